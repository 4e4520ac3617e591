"""Actions as NEAR's RPC shows them."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from hither.crypto.hashing import sha256
from hither.crypto.keys import public_key_to_str, signature_to_str
from hither.primitives import action as actions
from hither.primitives.account import (
    AccessKeyPermission,
    DeployMode,
    GasKeyFunctionCall,
    GlobalContractByHash,
)
from hither.primitives.views.accounts import (
    CURRENT,
    View,
    view_access_key,
    view_bytes,
    view_function_call_permission,
    view_gas_key,
    view_global_contract_identifier,
    view_hash,
    view_permission,
)


def _view_pairs(pairs: Iterable[tuple[bytes, bytes]]) -> View:
    return dict(sorted((view_bytes(key), view_bytes(value)) for key, value in pairs))


def _view_function_call(action: actions.FunctionCall) -> View:
    return {
        "args": view_bytes(action.args),
        "deposit": str(action.deposit),
        "gas": action.gas,
        "method_name": action.method_name,
    }


def _view_add_key(action: actions.AddKey) -> View:
    return {
        "access_key": view_access_key(action.access_key),
        "public_key": public_key_to_str(action.public_key),
    }


def _view_use_global_contract(action: actions.UseGlobalContract) -> View:
    identifier = action.contract_identifier
    if isinstance(identifier, GlobalContractByHash):
        return {"UseGlobalContract": {"code_hash": view_hash(identifier.code_hash)}}
    return {"UseGlobalContractByAccountId": {"account_id": identifier.account_id}}


def _view_deploy_global_contract(action: actions.DeployGlobalContract) -> View:
    by_hash = action.deploy_mode is DeployMode.CODE_HASH
    name = "DeployGlobalContract" if by_hash else "DeployGlobalContractByAccountId"
    return {name: {"code": view_bytes(sha256(action.code))}}


def _view_state_init(action: actions.DeterministicStateInit) -> View:
    return {
        "code": view_global_contract_identifier(action.code),
        "data": _view_pairs(action.data),
        "deposit": str(action.deposit),
    }


_ACTION_VIEWS: Final[dict[type, Callable[[Any], View | str]]] = {
    actions.CreateAccount: lambda _: "CreateAccount",
    actions.DeployContract: lambda a: {"DeployContract": {"code": view_bytes(sha256(a.code))}},
    actions.FunctionCall: lambda a: {"FunctionCall": _view_function_call(a)},
    actions.Transfer: lambda a: {"Transfer": {"deposit": str(a.deposit)}},
    actions.Stake: lambda a: {
        "Stake": {"public_key": public_key_to_str(a.public_key), "stake": str(a.stake)}
    },
    actions.AddKey: lambda a: {"AddKey": _view_add_key(a)},
    actions.DeleteKey: lambda a: {"DeleteKey": {"public_key": public_key_to_str(a.public_key)}},
    actions.DeleteAccount: lambda a: {"DeleteAccount": {"beneficiary_id": a.beneficiary_id}},
    actions.DeployGlobalContract: _view_deploy_global_contract,
    actions.UseGlobalContract: _view_use_global_contract,
    actions.DeterministicStateInit: lambda a: {"DeterministicStateInit": _view_state_init(a)},
    actions.TransferToGasKey: lambda a: {
        "TransferToGasKey": {"deposit": str(a.deposit), "public_key": public_key_to_str(a.public_key)}
    },
    actions.WithdrawFromGasKey: lambda a: {
        "WithdrawFromGasKey": {"amount": str(a.amount), "public_key": public_key_to_str(a.public_key)}
    },
    actions.UniversalStateInit: lambda a: {
        "UniversalStateInit": {"deposit": str(a.deposit), "state_init": view_bytes(a.state_init)}
    },
}


def view_action(action: actions.Action, protocol_version: int = CURRENT) -> View | str:
    """``ActionView``."""
    if isinstance(action, actions.Delegate | actions.DelegateV2):
        name = "Delegate" if isinstance(action, actions.Delegate) else "DelegateV2"
        fields = {
            "delegate_action": _view_delegate_action(action, protocol_version),
            "signature": signature_to_str(action.signature),
        }
        return {name: fields}
    return _ACTION_VIEWS[type(action)](action)


def _view_delegate_action(
    delegate: actions.Delegate | actions.DelegateV2, protocol_version: int = CURRENT
) -> View:
    action = delegate.delegate_action
    view: View = {
        "actions": [view_raw_action(inner, protocol_version) for inner in action.actions],
        "max_block_height": action.max_block_height,
        "nonce": action.nonce,
        "public_key": public_key_to_str(action.public_key),
        "receiver_id": action.receiver_id,
        "sender_id": action.sender_id,
    }
    if isinstance(delegate, actions.Delegate):
        return view
    if action.nonce_index is None:
        view["nonce"] = {"Nonce": {"nonce": action.nonce}}
    else:
        view["nonce"] = {"GasKeyNonce": {"nonce": action.nonce, "nonce_index": action.nonce_index}}
    return {"V2": view}


def _view_raw_permission(permission: AccessKeyPermission) -> View | str:
    if isinstance(permission, GasKeyFunctionCall):
        call = view_function_call_permission(permission.function_call)
        return {"GasKeyFunctionCall": [view_gas_key(permission.gas_key), call]}
    return view_permission(permission)


def view_raw_action(action: actions.Action, protocol_version: int = CURRENT) -> View | str:
    """An action in NEAR's own JSON form, as it stands inside delegate actions."""
    match action:
        case actions.CreateAccount():
            return {"CreateAccount": {}}
        case actions.DeployContract(code):
            return {"DeployContract": {"code": view_bytes(code)}}
        case actions.AddKey(public_key, access_key):
            permission = _view_raw_permission(access_key.permission)
            key = {"nonce": access_key.nonce, "permission": permission}
            return {"AddKey": {"access_key": key, "public_key": public_key_to_str(public_key)}}
        case actions.DeployGlobalContract(code, mode):
            mode_name = "CodeHash" if mode is DeployMode.CODE_HASH else "AccountId"
            return {"DeployGlobalContract": {"code": view_bytes(code), "deploy_mode": mode_name}}
        case actions.UseGlobalContract(identifier):
            name = view_global_contract_identifier(identifier, protocol_version)
            return {"UseGlobalContract": {"contract_identifier": name}}
        case actions.DeterministicStateInit(code_, data, deposit):
            name = view_global_contract_identifier(code_, protocol_version)
            init = {"V1": {"code": name, "data": _view_pairs(data)}}
            return {"DeterministicStateInit": {"deposit": str(deposit), "state_init": init}}
    return view_action(action)
