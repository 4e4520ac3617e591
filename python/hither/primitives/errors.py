"""Every error that NEAR's RPC shows of transactions, receipts and contracts: one table, one constructor.

An error is its JSON, as outcomes carry it: a variant without data is its name, any
other ``{name: data}``. The table says for every enum which variants there are and
what data each has. ``make_error`` builds one and ``explain_misfit`` checks one, so
that no error of another shape can leave unnoticed. The order is NEAR's.
Source: ``near_primitives::errors`` 0.38.0.
"""

from collections.abc import Mapping
from typing import Any, Final

from hither.crypto.keys import PublicKey, public_key_to_str

Error = dict[str, Any] | str
"""The JSON of one error."""

BALANCE: Final = "balance"
"""Yoctonear, a decimal string."""
NUMBER: Final = "number"
TEXT: Final = "text"
KEY: Final = "key"
"""A public key in its text form."""
LEVEL: Final = "level"
"""A congestion level: a number with a fraction."""
IDENTIFIER: Final = "identifier"
"""A global contract identifier, as ``view_global_contract_identifier`` shows it."""

Fields = Mapping[str, str]
Data = Fields | str | None
"""What a variant holds: named fields, one value of a kind or enum, or nothing."""

_LENGTH: Final = {"length": NUMBER, "limit": NUMBER}
_SIZE: Final = {"size": NUMBER, "limit": NUMBER}
_ACCOUNT: Final = {"account_id": TEXT}
_ACCOUNT_KEY: Final = {"account_id": TEXT, "public_key": KEY}
_PAYER: Final = {"signer_id": TEXT, "balance": BALANCE, "cost": BALANCE}
_DERIVED: Final = {"receiver_id": TEXT, "derived_id": TEXT}
_FEATURE: Final = {"protocol_feature": TEXT, "version": NUMBER}
_MESSAGE: Final = {"msg": TEXT}

ERRORS: Final[Mapping[str, Mapping[str, Data]]] = {
    "TxExecutionError": {"ActionError": "ActionError", "InvalidTxError": "InvalidTxError"},
    "InvalidTxError": {
        "InvalidAccessKeyError": "InvalidAccessKeyError",
        "InvalidSignerId": {"signer_id": TEXT},
        "SignerDoesNotExist": {"signer_id": TEXT},
        "InvalidNonce": {"tx_nonce": NUMBER, "ak_nonce": NUMBER},
        "NonceTooLarge": {"tx_nonce": NUMBER, "upper_bound": NUMBER},
        "InvalidReceiverId": {"receiver_id": TEXT},
        "InvalidSignature": None,
        "NotEnoughBalance": _PAYER,
        "LackBalanceForState": {"signer_id": TEXT, "amount": BALANCE},
        "CostOverflow": None,
        "InvalidChain": None,
        "Expired": None,
        "ActionsValidation": "ActionsValidationError",
        "TransactionSizeExceeded": _SIZE,
        "InvalidTransactionVersion": None,
        "StorageError": "StorageError",
        "ShardCongested": {"shard_id": NUMBER, "congestion_level": LEVEL},
        "ShardStuck": {"shard_id": NUMBER, "missed_chunks": NUMBER},
        "InvalidNonceIndex": {"tx_nonce_index": "number?", "num_nonces": NUMBER},
        "NotEnoughGasKeyBalance": _PAYER,
        "NotEnoughBalanceForDeposit": {**_PAYER, "reason": "DepositCostFailureReason"},
    },
    "DepositCostFailureReason": {"NotEnoughBalance": None, "LackBalanceForState": None},
    "InvalidAccessKeyError": {
        "AccessKeyNotFound": _ACCOUNT_KEY,
        "ReceiverMismatch": {"tx_receiver": TEXT, "ak_receiver": TEXT},
        "MethodNameMismatch": {"method_name": TEXT},
        "RequiresFullAccess": None,
        "NotEnoughAllowance": {**_ACCOUNT_KEY, "allowance": BALANCE, "cost": BALANCE},
        "DepositWithFunctionCall": None,
        "DelegateActionRequiresNonGasKey": None,
        "DelegateActionRequiresGasKey": None,
    },
    "ActionsValidationError": {
        "DeleteActionMustBeFinal": None,
        "TotalPrepaidGasExceeded": {"total_prepaid_gas": NUMBER, "limit": NUMBER},
        "TotalNumberOfActionsExceeded": {"total_number_of_actions": NUMBER, "limit": NUMBER},
        "AddKeyMethodNamesNumberOfBytesExceeded": {"total_number_of_bytes": NUMBER, "limit": NUMBER},
        "AddKeyMethodNameLengthExceeded": _LENGTH,
        "IntegerOverflow": None,
        "InvalidAccountId": _ACCOUNT,
        "ContractSizeExceeded": _SIZE,
        "FunctionCallMethodNameLengthExceeded": _LENGTH,
        "FunctionCallArgumentsLengthExceeded": _LENGTH,
        "UnsuitableStakingKey": {"public_key": KEY},
        "FunctionCallZeroAttachedGas": None,
        "DelegateActionMustBeOnlyOne": None,
        "UnsupportedProtocolFeature": _FEATURE,
        "InvalidDeterministicStateInitReceiver": _DERIVED,
        "DeterministicStateInitKeyLengthExceeded": _LENGTH,
        "DeterministicStateInitValueLengthExceeded": _LENGTH,
        "GasKeyInvalidNumNonces": {"requested_nonces": NUMBER, "limit": NUMBER},
        "AddGasKeyWithNonZeroBalance": {"balance": BALANCE},
        "GasKeyFunctionCallAllowanceNotAllowed": None,
        "TotalNumberOfDeployActionsExceeded": {"number_of_deploy_actions": NUMBER, "limit": NUMBER},
        "FunctionCallEmptyMethodName": None,
        "InvalidUniversalStateInitReceiver": _DERIVED,
        "UniversalStateInitKeyLengthExceeded": _LENGTH,
        "UniversalStateInitValueLengthExceeded": _LENGTH,
        "MalformedUniversalStateInit": None,
        "RemovedProtocolFeature": _FEATURE,
        "WithdrawFromGasKeyNotAllowedInDelegate": None,
        "TotalNumberOfStateInitKeysExceeded": {"number_of_keys": NUMBER, "limit": NUMBER},
        "TotalNumberOfStateInitEntriesExceeded": {"number_of_entries": NUMBER, "limit": NUMBER},
        "TransferToUniversalAccountNotAllowed": _ACCOUNT,
    },
    "ReceiptValidationError": {
        "InvalidPredecessorId": _ACCOUNT,
        "InvalidReceiverId": _ACCOUNT,
        "InvalidSignerId": _ACCOUNT,
        "InvalidDataReceiverId": _ACCOUNT,
        "ReturnedValueLengthExceeded": _LENGTH,
        "NumberInputDataDependenciesExceeded": {
            "number_of_input_data_dependencies": NUMBER,
            "limit": NUMBER,
        },
        "ActionsValidation": "ActionsValidationError",
        "ReceiptSizeExceeded": _SIZE,
        "InvalidRefundTo": _ACCOUNT,
    },
    "ActionErrorKind": {
        "AccountAlreadyExists": _ACCOUNT,
        "AccountDoesNotExist": _ACCOUNT,
        "CreateAccountOnlyByRegistrar": {
            "account_id": TEXT,
            "registrar_account_id": TEXT,
            "predecessor_id": TEXT,
        },
        "CreateAccountNotAllowed": {"account_id": TEXT, "predecessor_id": TEXT},
        "ActorNoPermission": {"account_id": TEXT, "actor_id": TEXT},
        "DeleteKeyDoesNotExist": _ACCOUNT_KEY,
        "AddKeyAlreadyExists": _ACCOUNT_KEY,
        "DeleteAccountStaking": _ACCOUNT,
        "LackBalanceForState": {"account_id": TEXT, "amount": BALANCE},
        "TriesToUnstake": _ACCOUNT,
        "TriesToStake": {"account_id": TEXT, "stake": BALANCE, "locked": BALANCE, "balance": BALANCE},
        "InsufficientStake": {"account_id": TEXT, "stake": BALANCE, "minimum_stake": BALANCE},
        "FunctionCallError": "FunctionCallError",
        "NewReceiptValidationError": "ReceiptValidationError",
        "OnlyImplicitAccountCreationAllowed": _ACCOUNT,
        "DeleteAccountWithLargeState": _ACCOUNT,
        "DelegateActionInvalidSignature": None,
        "DelegateActionSenderDoesNotMatchTxReceiver": {"sender_id": TEXT, "receiver_id": TEXT},
        "DelegateActionExpired": None,
        "DelegateActionAccessKeyError": "InvalidAccessKeyError",
        "DelegateActionInvalidNonce": {"delegate_nonce": NUMBER, "ak_nonce": NUMBER},
        "DelegateActionNonceTooLarge": {"delegate_nonce": NUMBER, "upper_bound": NUMBER},
        "GlobalContractDoesNotExist": {"identifier": IDENTIFIER},
        "GasKeyDoesNotExist": _ACCOUNT_KEY,
        "InsufficientGasKeyBalance": {**_ACCOUNT_KEY, "balance": BALANCE, "required": BALANCE},
        "GasKeyBalanceTooHigh": {"account_id": TEXT, "public_key": "key?", "balance": BALANCE},
        "DelegateActionInvalidNonceIndex": {"nonce_index": NUMBER, "num_nonces": NUMBER},
        "TotalPromiseInputSizeExceeded": _SIZE,
        "ReceiptStorageProofSizeExceeded": {"limit": NUMBER},
        "MalformedUniversalStateInit": None,
        "AccountNotInitialized": _ACCOUNT,
    },
    "FunctionCallError": {
        "CompilationError": "CompilationError",
        "LinkError": _MESSAGE,
        "MethodResolveError": "MethodResolveError",
        "WasmTrap": "WasmTrap",
        "WasmUnknownError": None,
        "HostError": "HostError",
        "ExecutionError": TEXT,
    },
    "CompilationError": {
        "CodeDoesNotExist": _ACCOUNT,
        "PrepareError": "PrepareError",
        "WasmerCompileError": _MESSAGE,
    },
    "MethodResolveError": dict.fromkeys(("MethodEmptyName", "MethodNotFound", "MethodInvalidSignature")),
    "PrepareError": dict.fromkeys(
        (
            "Serialization",
            "Deserialization",
            "InternalMemoryDeclared",
            "GasInstrumentation",
            "StackHeightInstrumentation",
            "Instantiate",
            "Memory",
            "TooManyFunctions",
            "TooManyLocals",
            "TooManyTables",
            "TooManyTableElements",
            "FunctionBodyTooLarge",
            "InstrumentedCodeTooLarge",
            "TooManyBlocksPerFunction",
            "TooManyBlocksPerContract",
            "TooManyTypes",
            "TooManyParamsPerFunction",
            "TooManyParamsPerContract",
            "OperandStackTooLarge",
            "TooManyGlobals",
        )
    ),
    "WasmTrap": dict.fromkeys(
        (
            "Unreachable",
            "IncorrectCallIndirectSignature",
            "MemoryOutOfBounds",
            "CallIndirectOOB",
            "IllegalArithmetic",
            "MisalignedAtomicAccess",
            "IndirectCallToNull",
            "StackOverflow",
            "GenericTrap",
        )
    ),
    "HostError": {
        "BadUTF16": None,
        "BadUTF8": None,
        "GasExceeded": None,
        "GasLimitExceeded": None,
        "BalanceExceeded": None,
        "EmptyMethodName": None,
        "GuestPanic": {"panic_msg": TEXT},
        "IntegerOverflow": None,
        "InvalidPromiseIndex": {"promise_idx": NUMBER},
        "CannotAppendActionToJointPromise": None,
        "CannotReturnJointPromise": None,
        "InvalidPromiseResultIndex": {"result_idx": NUMBER},
        "InvalidRegisterId": {"register_id": NUMBER},
        "IteratorWasInvalidated": {"iterator_index": NUMBER},
        "MemoryAccessViolation": None,
        "InvalidReceiptIndex": {"receipt_index": NUMBER},
        "InvalidIteratorIndex": {"iterator_index": NUMBER},
        "InvalidAccountId": None,
        "InvalidMethodName": None,
        "InvalidPublicKey": None,
        "ProhibitedInView": {"method_name": TEXT},
        "NumberOfLogsExceeded": {"limit": NUMBER},
        "KeyLengthExceeded": _LENGTH,
        "ValueLengthExceeded": _LENGTH,
        "TotalLogLengthExceeded": _LENGTH,
        "NumberPromisesExceeded": {"number_of_promises": NUMBER, "limit": NUMBER},
        "NumberInputDataDependenciesExceeded": {
            "number_of_input_data_dependencies": NUMBER,
            "limit": NUMBER,
        },
        "ReturnedValueLengthExceeded": _LENGTH,
        "ContractSizeExceeded": _SIZE,
        "Deprecated": {"method_name": TEXT},
        "ECRecoverError": _MESSAGE,
        "AltBn128InvalidInput": _MESSAGE,
        "Ed25519VerifyInvalidInput": _MESSAGE,
        "P256VerifyInvalidInput": _MESSAGE,
        "MlDsaVerifyInvalidInput": _MESSAGE,
    },
    "StorageError": {
        "StorageInternalError": None,
        "MissingTrieValue": {"context": "MissingTrieValueContext", "hash": TEXT},
        "UnexpectedTrieValue": None,
        "StorageInconsistentState": TEXT,
        "FlatStorageBlockNotSupported": TEXT,
        "MemTrieLoadingError": TEXT,
    },
    "MissingTrieValueContext": dict.fromkeys(
        ("TrieIterator", "TriePrefetchingStorage", "TrieMemoryPartialStorage", "TrieStorage")
    ),
}
"""Enum to variant to data. ``FunctionCallError::_EVMError`` never occurs and is left out."""

STRUCTS: Final[Mapping[str, Fields]] = {"ActionError": {"index": "number?", "kind": "ActionErrorKind"}}
"""Errors that are plain objects, without a variant."""


def _show(value: Any, kind: str) -> Any:
    if value is None or kind.rstrip("?") not in (BALANCE, KEY):
        return value
    return public_key_to_str(value) if isinstance(value, PublicKey) else str(value)


def make_error(enum: str, variant: str, data: Any = None, /, **fields: Any) -> Error:
    """The JSON of one error; balances may be integers and keys ``PublicKey``.

    ``data`` is for variants that wrap one value, ``fields`` for the others.
    """
    shape = ERRORS[enum][variant]
    if shape is None:
        error: Error = variant
    elif isinstance(shape, str):
        error = {variant: _show(data, shape)}
    else:
        error = {variant: {name: _show(fields.pop(name), shape[name]) for name in sorted(shape)}}
    assert not fields, f"{enum}::{variant} has no {', '.join(fields)}"
    misfit = explain_misfit(enum, error)
    assert misfit is None, misfit
    return error


def make_action_error(index: int | None, kind: Error) -> Error:
    """``TxExecutionError`` around the kind of error of one action of a receipt."""
    return {"ActionError": {"index": index, "kind": kind}}


def make_invalid_transaction(error: Error) -> Error:
    """``TxExecutionError`` around what is wrong with a transaction."""
    return {"InvalidTxError": error}


def explain_misfit(kind: str, value: Any) -> str | None:
    """Why a JSON value is not of this enum, struct or kind of field; None if it is."""
    if kind.endswith("?"):
        return None if value is None else explain_misfit(kind[:-1], value)
    if kind in STRUCTS:
        return _explain_fields(kind, STRUCTS[kind], value)
    if kind in ERRORS:
        return _explain_variant(kind, value)
    match kind:
        case "number":
            fits = type(value) is int and 0 <= value < 2**64
        case "balance":
            fits = isinstance(value, str) and value.isascii() and value.isdigit() and str(int(value)) == value
        case "level":
            fits = type(value) in (int, float)
        case "identifier":
            fits = isinstance(value, dict) and len(value) == 1
        case _:
            fits = isinstance(value, str)
    return None if fits else f"{value!r} is no {kind}"


def _explain_variant(enum: str, value: Any) -> str | None:
    variants = ERRORS[enum]
    if isinstance(value, str):
        is_unit = value in variants and variants[value] is None
        return None if is_unit else f"{enum} has no variant {value!r} without data"
    if not isinstance(value, dict) or len(value) != 1:
        return f"{value!r} is no {enum}"
    [(variant, data)] = value.items()
    shape = variants.get(variant)
    if shape is None:
        return f"{enum} has no variant {variant!r} with data"
    if isinstance(shape, str):
        return explain_misfit(shape, data)
    return _explain_fields(f"{enum}::{variant}", shape, data)


def _explain_fields(name: str, shape: Fields, data: Any) -> str | None:
    if not isinstance(data, dict) or data.keys() != shape.keys():
        return f"{name} has the fields {', '.join(shape)}, not {data!r}"
    for field, kind in shape.items():
        misfit = explain_misfit(kind, data[field])
        if misfit is not None:
            return f"{name}.{field}: {misfit}"
    return None
