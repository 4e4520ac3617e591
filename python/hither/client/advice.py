"""What each error that NEAR tells of a transaction, a receipt or a contract says in words, and what to do about it.

The table follows that of ``primitives.errors``: enum, variant, next step. ``find_advice`` walks an error's JSON to
the innermost variant that has one. Steps are for whoever sent the transaction or wrote the contract.
"""

from collections.abc import Mapping
from typing import Any, Final

from hither.codec.units import format_near
from hither.primitives.errors import BALANCE, ERRORS, STRUCTS, Data

_SHORTER: Final = "make it shorter than the limit that the error names"
_FEWER: Final = "split the work over several transactions; the error names the limit"
_VERSION: Final = (
    "this protocol version does not have it: start a chain with another --protocol-version, or leave it out"
)
_FUNDS: Final = "send money to the account first; the error says what is there and what it would cost"
_STORAGE: Final = "leave more money on the account, or let it store less: 100 kB need 1 N"
_KEY_OWNER: Final = "sign with a key that the account has (view_access_key_list lists them)"
_NODE: Final = (
    "the node's own state is damaged: stop it, keep a copy of its home, and start from a snapshot or --fresh"
)
_CODE_TOO_LARGE: Final = "make the contract smaller: leave out libraries, build with size optimisation"
_NOT_WASM: Final = (
    "build it again with `hither contracts build`: the VM takes WebAssembly with NEAR's imports"
)
_INPUT: Final = "the contract gave malformed bytes to a cryptographic function; the error says which"
_INTERNAL_INDEX: Final = "the contract used a number of a promise, register or iterator that it never got"
OWN_WORDS: Final = "the contract's own words; see its documentation or source"
"""Of an error that has said all there is to say."""

_RENEW: Final = "ask for the access key's nonce again and sign anew; hither.client does that by itself"

ADVICE: Final[Mapping[str, Mapping[str, str]]] = {
    "InvalidTxError": {
        "InvalidSignerId": "write the signer as a valid account id",
        "SignerDoesNotExist": "create the account first, or check the name: a new chain has none of the old one's",
        "InvalidNonce": _RENEW,
        "NonceTooLarge": _RENEW,
        "InvalidReceiverId": "write the receiver as a valid account id",
        "InvalidSignature": "sign exactly the bytes that are sent, with the key that the transaction names",
        "NotEnoughBalance": _FUNDS,
        "LackBalanceForState": _STORAGE,
        "CostOverflow": "lower the deposit or the gas: their sum is larger than any amount",
        "InvalidChain": "use a block hash of this chain; one of another network or of before a revert does not do",
        "Expired": "ask for a recent block hash and sign anew",
        "TransactionSizeExceeded": _SHORTER,
        "InvalidTransactionVersion": _VERSION,
        "ShardCongested": "send again a little later",
        "ShardStuck": "send again a little later",
        "InvalidNonceIndex": "use a nonce index below the number that the gas key has",
        "NotEnoughGasKeyBalance": "fill the gas key up with TransferToGasKey",
        "NotEnoughBalanceForDeposit": _FUNDS,
    },
    "InvalidAccessKeyError": {
        "AccessKeyNotFound": _KEY_OWNER,
        "ReceiverMismatch": "this key may call one contract only, which the error names; use another key",
        "MethodNameMismatch": "this key may call some methods only; use another key or add one for this method",
        "RequiresFullAccess": "sign with a full-access key: a function-call key only calls methods",
        "NotEnoughAllowance": "add a new key with a larger allowance",
        "DepositWithFunctionCall": "a function-call key cannot attach a deposit; sign with a full-access key",
        "DelegateActionRequiresNonGasKey": "sign the delegate action with an ordinary key",
        "DelegateActionRequiresGasKey": "sign the delegate action with a gas key",
    },
    "ActionsValidationError": {
        "DeleteActionMustBeFinal": "put DeleteAccount last",
        "TotalPrepaidGasExceeded": "attach less gas; the calls of one transaction share the limit",
        "TotalNumberOfActionsExceeded": _FEWER,
        "AddKeyMethodNamesNumberOfBytesExceeded": _SHORTER,
        "AddKeyMethodNameLengthExceeded": _SHORTER,
        "IntegerOverflow": "lower the amounts: their sum is larger than any",
        "InvalidAccountId": "write a valid account id: 2 to 64 letters, digits and . - _",
        "ContractSizeExceeded": _CODE_TOO_LARGE,
        "FunctionCallMethodNameLengthExceeded": _SHORTER,
        "FunctionCallArgumentsLengthExceeded": _SHORTER,
        "UnsuitableStakingKey": "stake with an ed25519 key",
        "FunctionCallZeroAttachedGas": "attach gas: 30 Tgas do for most calls",
        "DelegateActionMustBeOnlyOne": "send one delegate action a transaction",
        "UnsupportedProtocolFeature": _VERSION,
        "InvalidDeterministicStateInitReceiver": "send it to the account id that its content gives",
        "DeterministicStateInitKeyLengthExceeded": _SHORTER,
        "DeterministicStateInitValueLengthExceeded": _SHORTER,
        "GasKeyInvalidNumNonces": "ask for between one nonce and the limit that the error names",
        "AddGasKeyWithNonZeroBalance": "add the gas key with balance 0, then fill it with TransferToGasKey",
        "GasKeyFunctionCallAllowanceNotAllowed": "leave the allowance out: a gas key pays from its own balance",
        "TotalNumberOfDeployActionsExceeded": _FEWER,
        "FunctionCallEmptyMethodName": "name the method to call",
        "InvalidUniversalStateInitReceiver": "send it to the account id that its content gives",
        "UniversalStateInitKeyLengthExceeded": _SHORTER,
        "UniversalStateInitValueLengthExceeded": _SHORTER,
        "MalformedUniversalStateInit": "build the state init anew; its bytes cannot be read",
        "RemovedProtocolFeature": _VERSION,
        "WithdrawFromGasKeyNotAllowedInDelegate": "withdraw from a gas key in a transaction of the account's own",
        "TotalNumberOfStateInitKeysExceeded": _FEWER,
        "TotalNumberOfStateInitEntriesExceeded": _FEWER,
        "TransferToUniversalAccountNotAllowed": "initialise the universal account first",
    },
    "ReceiptValidationError": {
        "InvalidPredecessorId": "the contract made a promise with an account id that is none",
        "InvalidReceiverId": "the contract made a promise to an account id that is none",
        "InvalidSignerId": "the contract made a promise with an account id that is none",
        "InvalidDataReceiverId": "the contract made a promise to an account id that is none",
        "ReturnedValueLengthExceeded": "let the contract return less",
        "NumberInputDataDependenciesExceeded": "join fewer promises at once",
        "ReceiptSizeExceeded": "let the contract send less with one promise",
        "InvalidRefundTo": "name a valid account id for refunds",
    },
    "ActionErrorKind": {
        "AccountAlreadyExists": "choose another name, or use the account that is there",
        "AccountDoesNotExist": "create the account first, or check the name",
        "CreateAccountOnlyByRegistrar": "short top-level names are the registrar's; create NAME.YOURS instead",
        "CreateAccountNotAllowed": "only an account itself makes its sub-accounts: bob.alice is made by alice",
        "ActorNoPermission": "only the account itself may do this: send it from there",
        "DeleteKeyDoesNotExist": "the key is gone already, or was never there",
        "AddKeyAlreadyExists": "the account has this key; delete it first if it should get other rights",
        "DeleteAccountStaking": "unstake first, and wait for the stake to come back",
        "LackBalanceForState": _STORAGE,
        "TriesToUnstake": "the account has no stake",
        "TriesToStake": _FUNDS,
        "InsufficientStake": "stake at least what the error names",
        "OnlyImplicitAccountCreationAllowed": "such names come to be by a transfer to them, not by CreateAccount",
        "DeleteAccountWithLargeState": "let the contract remove its state first: above 10 kB an account cannot go",
        "DelegateActionInvalidSignature": "sign the delegate action as NEP-366 says, with the key that it names",
        "DelegateActionSenderDoesNotMatchTxReceiver": "send it to the account that signed the delegate action",
        "DelegateActionExpired": "let the user sign anew, with a later max_block_height",
        "DelegateActionInvalidNonce": "let the user sign anew, with a nonce above that of the key",
        "DelegateActionNonceTooLarge": "let the user sign anew, with the key's nonce and a little more",
        "GlobalContractDoesNotExist": "deploy the global contract first, and wait until every shard has it",
        "GasKeyDoesNotExist": "add the gas key first",
        "InsufficientGasKeyBalance": "fill the gas key up with TransferToGasKey",
        "GasKeyBalanceTooHigh": "withdraw from the gas key before it is deleted",
        "DelegateActionInvalidNonceIndex": "use a nonce index below the number that the gas key has",
        "TotalPromiseInputSizeExceeded": "let the promises that a callback waits for return less",
        "ReceiptStorageProofSizeExceeded": "touch less state in one call: split it over several",
        "MalformedUniversalStateInit": "build the state init anew; its bytes cannot be read",
        "AccountNotInitialized": "initialise the universal account first",
    },
    "FunctionCallError": {
        "LinkError": "the contract imports a function that this protocol version lacks: build it with an older SDK",
        "WasmUnknownError": "run the call again; if it repeats, tell the node's authors",
        "ExecutionError": OWN_WORDS,
    },
    "CompilationError": {
        "CodeDoesNotExist": "deploy a contract to the account, or check the receiver's name",
        "WasmerCompileError": _NOT_WASM,
    },
    "MethodResolveError": {
        "MethodEmptyName": "name the method to call",
        "MethodNotFound": "check the method's name; the contract exports no such function",
        "MethodInvalidSignature": "a method takes and returns nothing in WebAssembly: export it as the SDK does",
    },
    "PrepareError": {
        **dict.fromkeys(ERRORS["PrepareError"], _NOT_WASM),
        **{
            name: _CODE_TOO_LARGE
            for name in ERRORS["PrepareError"]
            if name.startswith("TooMany") or "TooLarge" in name
        },
    },
    "WasmTrap": {
        **dict.fromkeys(
            ERRORS["WasmTrap"],
            "a mistake in the contract's code: run it in a test and add logs before the place",
        ),
        "Unreachable": "the contract panicked without words; near-sdk built with --cfg near speaks",
        "StackOverflow": "the contract's recursion is too deep",
        "IllegalArithmetic": "a division by zero or an overflow in the contract",
    },
    "HostError": {
        "BadUTF16": "the contract logged or panicked with bytes that are no text",
        "BadUTF8": "the contract logged or panicked with bytes that are no text",
        "GasExceeded": "attach more gas to the call, or to the promise that makes it",
        "GasLimitExceeded": "the call needs more gas than any may have: split the work over several",
        "BalanceExceeded": "the contract sends more money than it has",
        "EmptyMethodName": "the contract makes a promise without a method's name",
        "GuestPanic": OWN_WORDS,
        "IntegerOverflow": "the contract gave numbers to the host that overflow",
        "InvalidPromiseIndex": _INTERNAL_INDEX,
        "CannotAppendActionToJointPromise": "add actions to the promises before they are joined",
        "CannotReturnJointPromise": "return a callback on the joined promises instead",
        "InvalidPromiseResultIndex": _INTERNAL_INDEX,
        "InvalidRegisterId": _INTERNAL_INDEX,
        "IteratorWasInvalidated": _INTERNAL_INDEX,
        "MemoryAccessViolation": "the contract pointed outside its memory, or its stack is exhausted by deep recursion",
        "InvalidReceiptIndex": _INTERNAL_INDEX,
        "InvalidIteratorIndex": _INTERNAL_INDEX,
        "InvalidAccountId": "the contract used an account id that is none",
        "InvalidMethodName": "the contract used a method name that is no text",
        "InvalidPublicKey": "the contract used a public key that is none",
        "ProhibitedInView": "send this call as a transaction: a view cannot do what the error names",
        "NumberOfLogsExceeded": "let the contract log less",
        "KeyLengthExceeded": _SHORTER,
        "ValueLengthExceeded": _SHORTER,
        "TotalLogLengthExceeded": "let the contract log less",
        "NumberPromisesExceeded": "make fewer promises in one call",
        "NumberInputDataDependenciesExceeded": "join fewer promises at once",
        "ReturnedValueLengthExceeded": "let the contract return less",
        "ContractSizeExceeded": _CODE_TOO_LARGE,
        "Deprecated": "build the contract with a newer SDK: the host function it calls is gone",
        "ECRecoverError": _INPUT,
        "AltBn128InvalidInput": _INPUT,
        "Ed25519VerifyInvalidInput": _INPUT,
        "P256VerifyInvalidInput": _INPUT,
        "MlDsaVerifyInvalidInput": _INPUT,
    },
    "StorageError": dict.fromkeys(ERRORS["StorageError"], _NODE),
}
"""Next steps. Variants that only wrap another enum have none of their own."""

_TEXTS: Final = {
    "Exceeded the prepaid gas": ADVICE["HostError"]["GasExceeded"],
    "Exceeded the maximum amount of gas": ADVICE["HostError"]["GasLimitExceeded"],
    "MethodNotFound": ADVICE["MethodResolveError"]["MethodNotFound"],
    "MemoryAccessViolation": ADVICE["HostError"]["MemoryAccessViolation"],
    "is not allowed in view": ADVICE["HostError"]["ProhibitedInView"],
    "CodeDoesNotExist": ADVICE["CompilationError"]["CodeDoesNotExist"],
    "WebAssembly trap: unreachable": ADVICE["WasmTrap"]["Unreachable"],
}
"""An ``ExecutionError`` is text; these are the parts of it that are NEAR's and not the contract's."""


_LATER: Final = "ask again a little later"
_OTHER_BLOCK: Final = "use a block that the node keeps: 5 epochs, or all with --archive"
_KNOWN_ID: Final = "check the id; what was never in a block, or lies before what the node keeps, is not found"
_NARROWER: Final = "ask for less: a smaller window, or with the hint that the method takes"

CAUSE_ADVICE: Final[Mapping[str, str]] = {
    "BUDGET_EXCEEDED": _NARROWER,
    "CONTRACT_EXECUTION_ERROR": OWN_WORDS,
    "CONTROL_REFUSED": "read the node's reason; development calls want a development chain, and time only goes forward",
    "DEPTH_EXCEEDED": _NARROWER,
    "DOES_NOT_TRACK_SHARD": "ask a node that follows this shard; ours follows all",
    "EPOCH_OUT_OF_BOUNDS": _OTHER_BLOCK,
    "GARBAGE_COLLECTED_BLOCK": _OTHER_BLOCK,
    "INCONSISTENT_STATE": _LATER,
    "INTERNAL_ERROR": "read the node's reason, and its log if it repeats; `hither doctor` asks every part",
    "INVALID_ACCOUNT": "write a valid account id: 2 to 64 letters, digits and . - _",
    "INVALID_SHARD_ID": "ask `EXPERIMENTAL_protocol_config` which shards there are",
    "INVALID_TRANSACTION": "by the error that it holds, below",
    "MALFORMED_HINT": "leave the hint out, or give what the method's page says",
    "METHOD_NOT_FOUND": "compare its name with the reference; development calls want a development chain",
    "NODE_IS_SYNCING": _LATER,
    "NOT_CONFIRMED": "wait until the block is final, then ask again",
    "NOT_SYNCED_YET": _LATER,
    "NO_CONTRACT_CODE": "deploy a contract to the account, or check the account's name",
    "NO_GLOBAL_CONTRACT_CODE": "publish the global contract first, or check its hash or account",
    "NO_NEW_BLOCKS": "the chain has stopped: `hither doctor` says why; in manual mode, make a block with hither_mine",
    "NO_SYNCED_BLOCKS": _LATER,
    "OUTCOMES_NOT_STORED": "ask a node that keeps outcomes",
    "PARSE_ERROR": "compare the parameters with the method's page; the message says where they differ",
    "REQUEST_ROUTED": "ask for the transaction by its hash",
    "SHARD_NOT_APPLIED": _LATER,
    "TIMEOUT_ERROR": "ask for the transaction by its hash: it may still happen",
    "TOO_LARGE_CONTRACT_STATE": "ask for it in pages: view_state with limit, then after_key_base64",
    "TOO_MANY_ACCESS_KEYS": "ask for them in pages: view_access_key_list with limit, then after_key",
    "UNAVAILABLE_SHARD": "ask a node that follows this shard; ours follows all",
    "UNKNOWN_ACCESS_KEY": "list the account's keys: view_access_key_list",
    "UNKNOWN_ACCOUNT": "check the name, or create the account; a newer block may have it",
    "UNKNOWN_BLOCK": _OTHER_BLOCK,
    "UNKNOWN_CHUNK": "take the chunk's hash from a block that the node keeps",
    "UNKNOWN_EPOCH": "take the epoch's id from a block that the node keeps",
    "UNKNOWN_GAS_KEY": "add the gas key first, or list the account's keys: view_access_key_list",
    "UNKNOWN_RECEIPT": _KNOWN_ID,
    "UNKNOWN_TRANSACTION": "check the hash and the sender; what no block has taken is forgotten after a while",
    "UNKNOWN_TRANSACTION_OR_RECEIPT": _KNOWN_ID,
    "UNSUPPORTED": "ask for it in the form that the method's page shows",
    "VALIDATOR_INFO_UNAVAILABLE": "name the last block of an epoch, or ask for the current one",
    "WINDOW_TOO_LARGE": _NARROWER,
}
"""What to do about a node's refusal, by the name of its cause."""

_WRAPPERS: Final = ("TxExecutionError", "ActionError", "InvalidTxError", "FunctionCallError")
"""Names that say nothing beside those within."""


def split_error(error: Any) -> tuple[str, dict[str, Any]]:
    """Name and fields of an error in NEAR's JSON: a word, or an object with one key."""
    if isinstance(error, str):
        return error, {}
    if isinstance(error, Mapping) and len(error) == 1:
        ((name, content),) = error.items()
        return str(name), dict(content) if isinstance(content, Mapping) else {"value": content}
    return "Unknown", {"value": error}


def find_advice(error: Any, enum: str = "TxExecutionError") -> str | None:
    """The next step for the JSON of an error of this enum; None for one that nobody knows."""
    found = None
    while enum in ADVICE or enum in ERRORS or enum in STRUCTS:
        if enum in STRUCTS:  # ActionError: an object without a variant.
            error, enum = error.get("kind") if isinstance(error, Mapping) else None, STRUCTS[enum]["kind"]
            continue
        name, content = split_error(error)
        shape = ERRORS[enum].get(name)
        found = ADVICE.get(enum, {}).get(name, found)
        if name == "ExecutionError" and isinstance(content.get("value"), str):
            return find_text_advice(content["value"]) or found
        error, enum = content.get("value", content), shape if isinstance(shape, str) else ""
    return found


def describe_error(error: Any, enum: str = "TxExecutionError") -> str:
    """The JSON of an error of this enum in words: its names, and what it tells, amounts in N.

    A contract's own words stand alone. Control characters, which would move a terminal's cursor, are written out.
    """
    names: list[str] = []
    while enum:
        if enum in STRUCTS:
            error, enum = error.get("kind") if isinstance(error, Mapping) else error, STRUCTS[enum]["kind"]
            continue
        name, content = split_error(error)
        if name == "ExecutionError" and isinstance(content.get("value"), str):
            return _print(content["value"])
        names += [] if name in _WRAPPERS else [name]
        shape: Data = ERRORS.get(enum, {}).get(name)
        if isinstance(shape, str) and (shape in ERRORS or shape in STRUCTS):
            error, enum = content.get("value", content), shape
            continue
        kinds = shape if isinstance(shape, Mapping) else {}
        told = [_describe_field(field, value, kinds.get(field, "")) for field, value in content.items()]
        names += [", ".join(told)] if told else []
        enum = ""
    return _print(": ".join(names))


def _describe_field(field: str, value: Any, kind: str) -> str:
    is_amount = kind == BALANCE and isinstance(value, str) and value.isdigit()
    text = format_near(int(value)) if is_amount else str(value)
    return text if field == "value" else f"{field} {text}"


def _print(text: str) -> str:
    return "".join(one if one.isprintable() or one == "\n" else repr(one)[1:-1] for one in text)


def find_text_advice(text: str) -> str | None:
    """The same for an error that NEAR tells as text."""
    return next((step for part, step in _TEXTS.items() if part in text), None)
