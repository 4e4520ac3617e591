"""Plain values, accounts and keys as NEAR's RPC shows them."""

from binascii import b2a_base64
from typing import Any, Final

from hither.codec import base58
from hither.crypto.keys import public_key_to_str
from hither.primitives.account import (
    AccessKey,
    AccessKeyPermission,
    Account,
    Contract,
    FullAccess,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyInfo,
    GlobalContractByAccount,
    GlobalContractByHash,
    GlobalContractIdentifier,
    LocalContract,
    UninitialisedAccount,
)
from hither.primitives.sharding import ValidatorStake
from hither.primitives.types import ZERO_HASH

View = dict[str, Any]

CURRENT: Final = 85
"""Every version from this on is shown alike."""

ZERO_TEXT: Final = base58.encode(ZERO_HASH)


def view_hash(hash_: bytes) -> str:
    """Base58."""
    return ZERO_TEXT if hash_ == ZERO_HASH else base58.encode(hash_)


def view_bytes(data: bytes) -> str:
    """Base64."""
    return b2a_base64(data, newline=False).decode()


def view_account(account: Account | UninitialisedAccount) -> View:
    """``AccountView``."""
    if isinstance(account, UninitialisedAccount):
        return {
            "amount": str(account.amount),
            "bootstrap_nonce": account.bootstrap_nonce,
            "code_hash": ZERO_TEXT,
            "locked": "0",
            "state": "uninitialized",
            "storage_paid_at": 0,
            "storage_usage": account.storage_usage,
        }
    view: View = {
        "amount": str(account.amount),
        "code_hash": view_hash(account.local_code_hash),
        "locked": str(account.locked),
        "storage_paid_at": 0,
        "storage_usage": account.storage_usage,
    }
    contract = account.contract
    if isinstance(contract, GlobalContractByHash):
        view = {**view, "global_contract_hash": view_hash(contract.code_hash)}
    elif isinstance(contract, GlobalContractByAccount):
        view = {**view, "global_contract_account_id": contract.account_id}
    else:
        return view
    return dict(sorted(view.items()))


def view_function_call_permission(permission: FunctionCallPermission) -> View:
    """``FunctionCallPermission``."""
    return {
        "allowance": None if permission.allowance is None else str(permission.allowance),
        "method_names": permission.method_names,
        "receiver_id": permission.receiver_id,
    }


def view_gas_key(gas_key: GasKeyInfo) -> View:
    """``GasKeyInfo``."""
    return {"balance": str(gas_key.balance), "num_nonces": gas_key.num_nonces}


def view_permission(permission: AccessKeyPermission) -> View | str:
    """``AccessKeyPermissionView``."""
    if isinstance(permission, FullAccess):
        return "FullAccess"
    if isinstance(permission, FunctionCallPermission):
        return {"FunctionCall": view_function_call_permission(permission)}
    gas_key = view_gas_key(permission.gas_key)
    if isinstance(permission, GasKeyFullAccess):
        return {"GasKeyFullAccess": gas_key}
    fields = {**gas_key, **view_function_call_permission(permission.function_call)}
    return {"GasKeyFunctionCall": dict(sorted(fields.items()))}


def view_access_key(access_key: AccessKey) -> View:
    """``AccessKeyView``."""
    return {"nonce": access_key.nonce, "permission": view_permission(access_key.permission)}


def view_global_contract_identifier(
    identifier: GlobalContractIdentifier, protocol_version: int = CURRENT
) -> View:
    """``{"hash": …}`` or ``{"account_id": …}``; before 85 under the names of the Rust variants."""
    is_old = protocol_version < CURRENT
    if isinstance(identifier, GlobalContractByHash):
        return {"CodeHash" if is_old else "hash": view_hash(identifier.code_hash)}
    return {"AccountId" if is_old else "account_id": identifier.account_id}


def view_account_contract(contract: Contract) -> View | None:
    """``AccountContractView``, as metadata version 4 of outcomes lists it."""
    if contract is None:
        return None
    if isinstance(contract, LocalContract):
        return {"local": view_hash(contract.code_hash)}
    if isinstance(contract, GlobalContractByHash):
        return {"global_hash": view_hash(contract.code_hash)}
    return {"global_account_id": contract.account_id}


def view_validator_stake(stake: ValidatorStake) -> View:
    """``ValidatorStakeView``."""
    return {
        "account_id": stake.account_id,
        "public_key": public_key_to_str(stake.public_key),
        "stake": str(stake.stake),
        "validator_stake_struct_version": "V1",
    }
