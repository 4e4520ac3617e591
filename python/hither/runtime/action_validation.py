"""Which lists of actions are well formed, whoever made them.

A pure check without state: the result is None, or NEAR's
``ActionsValidationError`` as RPC shows it. New receipts and transactions are
held to every rule; receipts that exist already are spared the rules that came
after them.

Source: nearcore ``runtime/runtime/src/action_validation.rs`` (``verifier.rs`` at 84).
"""

from collections.abc import Sequence
from typing import Any, Final

from hither.crypto.keys import public_key_to_str
from hither.crypto.signing import is_staking_key
from hither.params import Limits, ProtocolFeature, RuntimeConfig
from hither.primitives.account import (
    AccessKeyPermission,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    GlobalContractByAccount,
    GlobalContractIdentifier,
)
from hither.primitives.action import (
    Action,
    AddKey,
    Delegate,
    DelegateV2,
    DeleteAccount,
    DeleteKey,
    DeployContract,
    DeployGlobalContract,
    DeterministicStateInit,
    FunctionCall,
    Stake,
    Transfer,
    TransferToGasKey,
    UniversalStateInit,
    UseGlobalContract,
    WithdrawFromGasKey,
    encode_deterministic_state_init,
)
from hither.primitives.ids import (
    AccountKind,
    compute_account_kind,
    compute_deterministic_account_id,
    compute_universal_account_id,
    is_valid_account_id,
)
from hither.primitives.types import ML_DSA_65, PublicKey
from hither.primitives.universal_state_init import (
    count_state_init,
    decode_state_init_optional,
)
from hither.runtime.fees import IntegerOverflow, total_prepaid_gas

ValidationError = dict[str, Any] | str
"""NEAR's error as JSON: its name alone, or its name and fields."""

GAS_KEY_NONCES_MAX: Final = 1024
_SHOWN_ACCOUNT_ID_LENGTH_MAX: Final = 128


def validate_actions(
    config: RuntimeConfig,
    actions: Sequence[Action],
    receiver_id: str,
    version: int,
    *,
    is_new: bool = True,
) -> ValidationError | None:
    """The first rule that these actions for one receiver break, in NEAR's order."""
    limits = config.wasm.limits
    if len(actions) == 1 and type(actions[0]) is Transfer:
        return _validate_transfer(receiver_id, version, is_new)
    if len(actions) > limits.max_actions_per_receipt:
        return _too_many_actions(len(actions), limits)
    if not ProtocolFeature.POST_QUANTUM_SIGNATURES.is_enabled(version) and any(
        needs_post_quantum(action) for action in actions
    ):
        return _unsupported("PostQuantumSignatures", version)
    if is_new:
        error = _validate_totals_of_new(limits, actions)
        if error is not None:
            return error
    has_delegate = False
    for index, action in enumerate(actions):
        if isinstance(action, DeleteAccount):
            if index + 1 != len(actions):
                return "DeleteActionMustBeFinal"
        elif isinstance(action, (Delegate, DelegateV2)):
            if has_delegate:
                return "DelegateActionMustBeOnlyOne"
            has_delegate = True
        error = _validate_action(config, action, receiver_id, version, is_new)
        if error is not None:
            return error
    return _validate_prepaid_gas(limits, actions)


def _validate_prepaid_gas(limits: Limits, actions: Sequence[Action]) -> ValidationError | None:
    try:
        gas = total_prepaid_gas(actions)
    except IntegerOverflow:
        return "IntegerOverflow"
    if gas > limits.max_total_prepaid_gas:
        fields = {"total_prepaid_gas": gas, "limit": limits.max_total_prepaid_gas}
        return {"TotalPrepaidGasExceeded": fields}
    return None


def needs_post_quantum(action: Action) -> bool:
    """Whether the action carries an ML-DSA-65 key or signature, at any depth."""
    match action:
        case (
            Stake(public_key=key)
            | AddKey(public_key=key)
            | DeleteKey(public_key=key)
            | TransferToGasKey(public_key=key)
            | WithdrawFromGasKey(public_key=key)
        ):
            return key.kind == ML_DSA_65
        case (
            Delegate(delegate_action=inner, signature=signature)
            | DelegateV2(delegate_action=inner, signature=signature)
        ):
            return (
                inner.public_key.kind == ML_DSA_65
                or signature.kind == ML_DSA_65
                or any(needs_post_quantum(action) for action in inner.actions)
            )
        case UniversalStateInit(state_init=raw):
            state_init = decode_state_init_optional(raw, is_strict=False)
            return state_init is not None and any(handle.kind > 1 for handle in state_init.access_keys)
    return False


def _validate_totals_of_new(limits: Limits, actions: Sequence[Action]) -> ValidationError | None:
    """Limits on what all actions of a new receipt have together."""
    deploy_count = sum(isinstance(action, (DeployContract, DeployGlobalContract)) for action in actions)
    if deploy_count > limits.max_deploy_actions_per_receipt:
        fields = {
            "number_of_deploy_actions": deploy_count,
            "limit": limits.max_deploy_actions_per_receipt,
        }
        return {"TotalNumberOfDeployActionsExceeded": fields}
    entry_count, key_count = _count_state_inits(actions)
    if entry_count > limits.max_state_init_entries:
        fields = {"number_of_entries": entry_count, "limit": limits.max_state_init_entries}
        return {"TotalNumberOfStateInitEntriesExceeded": fields}
    if key_count > limits.max_universal_state_init_keys:
        fields = {"number_of_keys": key_count, "limit": limits.max_universal_state_init_keys}
        return {"TotalNumberOfStateInitKeysExceeded": fields}
    return None


def _count_state_inits(actions: Sequence[Action]) -> tuple[int, int]:
    """Entries and keys that the state inits in these actions carry, inside delegates too."""
    entry_count = key_count = 0
    for action in actions:
        if isinstance(action, DeterministicStateInit):
            entry_count += len(action.data)
        elif isinstance(action, UniversalStateInit):
            entries, keys = count_state_init(action.state_init)
            entry_count, key_count = entry_count + entries, key_count + keys
        elif isinstance(action, (Delegate, DelegateV2)):
            entries, keys = _count_state_inits(action.delegate_action.actions)
            entry_count, key_count = entry_count + entries, key_count + keys
    return entry_count, key_count


def _validate_action(
    config: RuntimeConfig, action: Action, receiver_id: str, version: int, is_new: bool
) -> ValidationError | None:
    limits = config.wasm.limits
    match action:
        case Transfer():
            return _validate_transfer(receiver_id, version, is_new)
        case FunctionCall():
            return _validate_function_call(limits, action, version, is_new)
        case DeployContract(code=code) | DeployGlobalContract(code=code):
            if len(code) > limits.max_contract_size:
                fields = {"size": len(code), "limit": limits.max_contract_size}
                return {"ContractSizeExceeded": fields}
        case UseGlobalContract(contract_identifier=identifier):
            return _validate_identifier(identifier)
        case Stake(public_key=key):
            if not is_staking_key(key):
                return {"UnsuitableStakingKey": {"public_key": public_key_to_str(key)}}
        case AddKey(access_key=access_key):
            return _validate_add_key(limits, access_key.permission, version)
        case DeleteAccount(beneficiary_id=beneficiary_id):
            return _validate_account_id(beneficiary_id)
        case Delegate() | DelegateV2():
            return _validate_delegate(config, action, receiver_id, version, is_new)
        case DeterministicStateInit():
            return _validate_deterministic_state_init(limits, action, receiver_id)
        case UniversalStateInit():
            return _validate_universal_state_init(config, action, receiver_id, version)
        case TransferToGasKey() | WithdrawFromGasKey():
            if not ProtocolFeature.GAS_KEYS.is_enabled(version):
                return _unsupported("GasKeys", version)
    return None


def _validate_transfer(receiver_id: str, version: int, is_new: bool) -> ValidationError | None:
    """Just before universal accounts start, none may be funded without its creation fee."""
    if (
        is_new
        and ProtocolFeature.REJECT_UNIVERSAL_ACCOUNT_TRANSFERS.is_enabled(version)
        and not ProtocolFeature.UNIVERSAL_ACCOUNTS.is_enabled(version)
        and compute_account_kind(receiver_id) is AccountKind.UNIVERSAL
    ):
        return {"TransferToUniversalAccountNotAllowed": {"account_id": receiver_id}}
    return None


def _validate_function_call(
    limits: Limits, action: FunctionCall, version: int, is_new: bool
) -> ValidationError | None:
    if action.gas == 0:
        return "FunctionCallZeroAttachedGas"
    if not action.method_name and is_new and ProtocolFeature.REJECT_EMPTY_METHOD_NAME.is_enabled(version):
        return "FunctionCallEmptyMethodName"
    name_length = len(action.method_name.encode())
    if name_length > limits.max_length_method_name:
        fields = {"length": name_length, "limit": limits.max_length_method_name}
        return {"FunctionCallMethodNameLengthExceeded": fields}
    if len(action.args) > limits.max_arguments_length:
        fields = {"length": len(action.args), "limit": limits.max_arguments_length}
        return {"FunctionCallArgumentsLengthExceeded": fields}
    return None


def _validate_add_key(
    limits: Limits, permission: AccessKeyPermission, version: int
) -> ValidationError | None:
    call_permission: FunctionCallPermission | None = None
    if isinstance(permission, FunctionCallPermission):
        call_permission = permission
    elif isinstance(permission, GasKeyFunctionCall):
        call_permission = permission.function_call
    if call_permission is not None:
        error = _validate_call_permission(limits, call_permission)
        if error is not None:
            return error
    if not isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess)):
        return None
    if not ProtocolFeature.GAS_KEYS.is_enabled(version):
        return _unsupported("GasKeys", version)
    if call_permission is not None and call_permission.allowance is not None:
        return "GasKeyFunctionCallAllowanceNotAllowed"
    gas_key = permission.gas_key
    if not 0 < gas_key.num_nonces <= GAS_KEY_NONCES_MAX:
        fields = {"requested_nonces": gas_key.num_nonces, "limit": GAS_KEY_NONCES_MAX}
        return {"GasKeyInvalidNumNonces": fields}
    if gas_key.balance != 0:
        return {"AddGasKeyWithNonZeroBalance": {"balance": str(gas_key.balance)}}
    return None


def _validate_call_permission(limits: Limits, permission: FunctionCallPermission) -> ValidationError | None:
    if limits.account_id_validity_rules_version > 0 and not is_valid_account_id(permission.receiver_id):
        return {"InvalidAccountId": {"account_id": _truncate(permission.receiver_id)}}
    total_size = 0
    for name in permission.method_names:
        length = len(name.encode())
        if length > limits.max_length_method_name:
            fields = {"length": length, "limit": limits.max_length_method_name}
            return {"AddKeyMethodNameLengthExceeded": fields}
        total_size += length + 1
    if total_size > limits.max_number_bytes_method_names:
        fields = {"total_number_of_bytes": total_size, "limit": limits.max_number_bytes_method_names}
        return {"AddKeyMethodNamesNumberOfBytesExceeded": fields}
    return None


def _truncate(text: str) -> str:
    """As many bytes as an error shows, cut between characters."""
    return text.encode()[:_SHOWN_ACCOUNT_ID_LENGTH_MAX].decode(errors="ignore")


def _validate_delegate(
    config: RuntimeConfig, action: Delegate | DelegateV2, receiver_id: str, version: int, is_new: bool
) -> ValidationError | None:
    inner = action.delegate_action
    if isinstance(action, DelegateV2):
        if not ProtocolFeature.DELEGATE_V2.is_enabled(version):
            return _unsupported("DelegateV2", version)
        if is_new and ProtocolFeature.REJECT_DELEGATE_V2.is_enabled(version):
            return {"RemovedProtocolFeature": {"protocol_feature": "DelegateV2", "version": version}}
    if len(inner.actions) > config.wasm.limits.max_actions_per_receipt:
        return _too_many_actions(len(inner.actions), config.wasm.limits)
    if (
        is_new
        and ProtocolFeature.REJECT_WITHDRAW_FROM_GAS_KEY_IN_DELEGATE.is_enabled(version)
        and any(isinstance(nested, WithdrawFromGasKey) for nested in inner.actions)
    ):
        return "WithdrawFromGasKeyNotAllowedInDelegate"
    if ProtocolFeature.FIX_DELEGATED_DETERMINISTIC_STATE_INIT.is_enabled(version):
        receiver_id = inner.receiver_id
    return validate_actions(config, inner.actions, receiver_id, version, is_new=is_new)


def _validate_deterministic_state_init(
    limits: Limits, action: DeterministicStateInit, receiver_id: str
) -> ValidationError | None:
    error = _validate_identifier(action.code)
    if error is not None:
        return error
    derived_id = compute_deterministic_account_id(encode_deterministic_state_init(action))
    if derived_id != receiver_id:
        fields = {"receiver_id": receiver_id, "derived_id": derived_id}
        return {"InvalidDeterministicStateInitReceiver": fields}
    return _validate_entries(limits, action.data, "DeterministicStateInit")


def _validate_entries(
    limits: Limits, data: tuple[tuple[bytes, bytes], ...], what: str
) -> ValidationError | None:
    for key, value in data:
        if len(key) > limits.max_length_storage_key:
            fields = {"length": len(key), "limit": limits.max_length_storage_key}
            return {f"{what}KeyLengthExceeded": fields}
        if len(value) > limits.max_length_storage_value:
            fields = {"length": len(value), "limit": limits.max_length_storage_value}
            return {f"{what}ValueLengthExceeded": fields}
    return None


def _validate_universal_state_init(
    config: RuntimeConfig, action: UniversalStateInit, receiver_id: str, version: int
) -> ValidationError | None:
    if not ProtocolFeature.UNIVERSAL_ACCOUNTS.is_enabled(version):
        return _unsupported("UniversalAccounts", version)
    derived_id = compute_universal_account_id(action.state_init)
    if derived_id != receiver_id:
        fields = {"receiver_id": receiver_id, "derived_id": derived_id}
        return {"InvalidUniversalStateInitReceiver": fields}
    is_strict = config.wasm.canonical_universal_state_init
    state_init = decode_state_init_optional(action.state_init, is_strict=is_strict)
    if state_init is None:
        return "MalformedUniversalStateInit"
    if state_init.code is not None:
        error = _validate_identifier(state_init.code)
        if error is not None:
            return error
    return _validate_entries(config.wasm.limits, state_init.data, "UniversalStateInit")


def _validate_identifier(identifier: GlobalContractIdentifier) -> ValidationError | None:
    if isinstance(identifier, GlobalContractByAccount):
        return _validate_account_id(identifier.account_id)
    return None


def _validate_account_id(account_id: str) -> ValidationError | None:
    if not is_valid_account_id(account_id):
        return {"InvalidAccountId": {"account_id": account_id}}
    return None


def _too_many_actions(count: int, limits: Limits) -> ValidationError:
    fields = {"total_number_of_actions": count, "limit": limits.max_actions_per_receipt}
    return {"TotalNumberOfActionsExceeded": fields}


def _unsupported(feature: str, version: int) -> ValidationError:
    return {"UnsupportedProtocolFeature": {"protocol_feature": feature, "version": version}}


def is_post_quantum_key(key: PublicKey) -> bool:
    """Whether the key is of a kind that starts at protocol 85."""
    return key.kind == ML_DSA_65
