"""Every error that the server answers, in one table, and its JSON form.

An error of a method is a *cause* within the method's family; the row says which
fields of it are told (``info``), and what ``data`` says. Rows follow NEAR's
``near-jsonrpc-primitives``; the few families without a table there share another's.
The HTTP status follows from the cause alone (``http_status``), except that an unknown
block below the head is 422 (the dispatcher knows the head).
"""

from typing import Any, Final

import msgspec

PARSE_ERROR_CODE: Final = -32700
METHOD_NOT_FOUND_CODE: Final = -32601
SERVER_ERROR_CODE: Final = -32000

SAME_AS_CAUSE: Final = None
"""``data`` repeats the cause's object."""


class Row(msgspec.Struct, frozen=True):
    """How one cause is told.

    ``info``: the fields in the cause's ``info``; None when it has no ``info`` at all.
    ``data``: a template over all values given, or ``SAME_AS_CAUSE``. ``is_info_optional``: when none of
    the fields is given there is no ``info`` either.
    """

    info: tuple[str, ...] | None
    data: str | None
    is_info_optional: bool = False


_BLOCK_FIELDS: Final = ("block_height", "block_hash")
_LIMITS: Final = "The node reached its limits. Try again later. More details: {error_message}"
_INTERNAL: Final = Row(("error_message",), _LIMITS)
_INTERNAL_PLAIN: Final = Row(("error_message",), "Internal error: {error_message}")
_INTERNAL_SAME: Final = Row(("error_message",), SAME_AS_CAUSE)
_UNKNOWN_BLOCK: Final = Row((), "DB Not Found Error: {error_message} \n Cause: Unknown")
_UNKNOWN_BLOCK_SAME: Final = Row((), SAME_AS_CAUSE)
_UNKNOWN_BLOCK_VIEW: Final = Row(
    ("block_reference",),
    "Block either has never been observed on the node or has been garbage collected: {reference_text}",
)
_GARBAGE_COLLECTED: Final = (
    "The data for block #{block_height} is garbage collected on this node, "
    "use an archival node to fetch historical data"
)

_QUERY: Final = {
    "NO_SYNCED_BLOCKS": Row(None, "There are no fully synchronized blocks on the node yet"),
    "UNAVAILABLE_SHARD": Row(
        ("requested_shard_id",), "The node does not track the shard ID {requested_shard_id}"
    ),
    "GARBAGE_COLLECTED_BLOCK": Row(_BLOCK_FIELDS, _GARBAGE_COLLECTED),
    "UNKNOWN_BLOCK": Row(("block_reference",), "{error_message}"),
    "INVALID_ACCOUNT": Row(
        ("requested_account_id", *_BLOCK_FIELDS), "Account ID {requested_account_id} is invalid"
    ),
    "UNKNOWN_ACCOUNT": Row(
        ("requested_account_id", *_BLOCK_FIELDS),
        "account {requested_account_id} does not exist while viewing",
    ),
    "NO_CONTRACT_CODE": Row(
        ("contract_account_id", *_BLOCK_FIELDS),
        "Contract code for contract ID #{contract_account_id} has never been observed on the node",
    ),
    "TOO_LARGE_CONTRACT_STATE": Row(
        ("contract_account_id", *_BLOCK_FIELDS),
        "State of contract {contract_account_id} is too large to be viewed",
    ),
    "UNKNOWN_ACCESS_KEY": Row(
        ("public_key", *_BLOCK_FIELDS),
        "Access key for public key {public_key} does not exist while viewing",
    ),
    "UNKNOWN_GAS_KEY": Row(
        ("public_key", *_BLOCK_FIELDS),
        "Gas key for public key {public_key} does not exist while viewing",
    ),
    "TOO_MANY_ACCESS_KEYS": Row(
        ("requested_account_id", "limit", *_BLOCK_FIELDS),
        "Account {requested_account_id} has more than {limit} access keys; "
        "use a paginated view_access_key_list request",
    ),
    "CONTRACT_EXECUTION_ERROR": Row(
        ("vm_error", *_BLOCK_FIELDS), "Function call returned an error: {error_text}"
    ),
    "NO_GLOBAL_CONTRACT_CODE": Row(
        ("identifier", *_BLOCK_FIELDS),
        "Global contract code with identifier {identifier_text} has never been observed on the node",
    ),
    "INTERNAL_ERROR": _INTERNAL,
}


def _view(*causes: str, account_word: str = "account") -> dict[str, Row]:
    """The rows of an ``EXPERIMENTAL_view_*`` method: those of ``query`` that it can meet."""
    rows = {cause: _QUERY[cause] for cause in ("INVALID_ACCOUNT", *causes, "INTERNAL_ERROR")}
    unknown = f"{account_word} {{requested_account_id}} does not exist while viewing"
    account = Row(("requested_account_id", *_BLOCK_FIELDS), unknown)
    return {"UNKNOWN_BLOCK": _UNKNOWN_BLOCK_VIEW, "UNKNOWN_ACCOUNT": account, **rows}


_BLOCK: Final = {
    "UNKNOWN_BLOCK": _UNKNOWN_BLOCK,
    "NOT_SYNCED_YET": Row(None, "There are no fully synchronized blocks yet"),
    "INTERNAL_ERROR": _INTERNAL,
}
_CHUNK: Final = {
    "INTERNAL_ERROR": _INTERNAL,
    "UNKNOWN_BLOCK": _UNKNOWN_BLOCK,
    "INVALID_SHARD_ID": Row(("shard_id",), "Shard id {shard_id} does not exist"),
    "UNKNOWN_CHUNK": Row(
        ("chunk_hash",),
        "Chunk Missing (unavailable on the node): ChunkHash(`{chunk_hash}`) \n Cause: Unknown",
    ),
}
_SANDBOX: Final = {"INTERNAL_ERROR": _INTERNAL_SAME}

TABLE: Final[dict[str, dict[str, Row]]] = {
    "block": _BLOCK,
    "chunk": _CHUNK,
    "changes": {
        "UNKNOWN_BLOCK": _UNKNOWN_BLOCK_SAME,
        "NOT_SYNCED_YET": Row(None, SAME_AS_CAUSE),
        "INTERNAL_ERROR": _INTERNAL_SAME,
        "SHARD_NOT_APPLIED": Row(("shard_id",), SAME_AS_CAUSE),
    },
    "gas_price": {"INTERNAL_ERROR": _INTERNAL_PLAIN, "UNKNOWN_BLOCK": _UNKNOWN_BLOCK},
    "protocol_config": {
        "UNKNOWN_BLOCK": Row((), "Block Not Found: {error_message}"),
        "INTERNAL_ERROR": _INTERNAL,
    },
    "light_client_proof": {
        "UNKNOWN_BLOCK": Row((), "DB Not Found Error: {error_message}"),
        "INCONSISTENT_STATE": Row(
            ("number_or_shards", "execution_outcome_shard_id"),
            "Inconsistent state. Total number of shards is {number_or_shards} but the execution "
            "outcome is in shard {execution_outcome_shard_id}",
        ),
        "NOT_CONFIRMED": Row(
            ("transaction_or_receipt_id",), "{transaction_or_receipt_id} has not been confirmed"
        ),
        "UNKNOWN_TRANSACTION_OR_RECEIPT": Row(
            ("transaction_or_receipt_id",), "{transaction_or_receipt_id} does not exist"
        ),
        "UNAVAILABLE_SHARD": Row(
            ("transaction_or_receipt_id", "shard_id"),
            "Node doesn't track the shard where {transaction_or_receipt_id} is executed",
        ),
        "INTERNAL_ERROR": _INTERNAL_PLAIN,
    },
    "next_light_client_block": {
        "INTERNAL_ERROR": _INTERNAL_SAME,
        "UNKNOWN_BLOCK": _UNKNOWN_BLOCK_SAME,
        "EPOCH_OUT_OF_BOUNDS": Row(("epoch_id",), SAME_AS_CAUSE),
    },
    "validators": {
        "UNKNOWN_EPOCH": Row(None, "Unknown Epoch"),
        "VALIDATOR_INFO_UNAVAILABLE": Row(None, "Validator info unavailable"),
        "INTERNAL_ERROR": _INTERNAL,
    },
    "receipt": {
        "INTERNAL_ERROR": _INTERNAL_SAME,
        "UNKNOWN_RECEIPT": Row(("receipt_id",), SAME_AS_CAUSE),
    },
    "receipt_to_tx": {
        "UNKNOWN_RECEIPT": Row(("receipt_id",), SAME_AS_CAUSE),
        "DEPTH_EXCEEDED": Row(("receipt_id", "limit"), SAME_AS_CAUSE),
        "UNSUPPORTED": Row(("error_message",), SAME_AS_CAUSE),
        "INTERNAL_ERROR": _INTERNAL_SAME,
        "OUTCOMES_NOT_STORED": Row(None, SAME_AS_CAUSE),
        "WINDOW_TOO_LARGE": Row(("requested", "maximum"), SAME_AS_CAUSE),
        "MALFORMED_HINT": Row(("error_message",), SAME_AS_CAUSE),
        "BUDGET_EXCEEDED": Row(("scanned", "limit"), SAME_AS_CAUSE),
    },
    "transaction": {
        # ``data`` is the transaction's own error, so it is given whole ({error}).
        "INVALID_TRANSACTION": Row((), "{error}"),
        "DOES_NOT_TRACK_SHARD": Row(
            None, "Node doesn't track this shard. Cannot determine whether the transaction is valid"
        ),
        "REQUEST_ROUTED": Row(("transaction_hash",), "Transaction with hash {transaction_hash} was routed"),
        "UNKNOWN_TRANSACTION": Row(
            ("requested_transaction_hash",), "Transaction {requested_transaction_hash} doesn't exist"
        ),
        # NEAR looks for ``error_message`` here, finds ``debug_info``, and says so.
        "INTERNAL_ERROR": Row(
            ("error_message",),
            "The node reached its limits. Try again later. More details: {debug_info}",
        ),
        "TIMEOUT_ERROR": Row(("cause", "status", "debug_info"), "Timeout", is_info_optional=True),
    },
    "status": {
        "NODE_IS_SYNCING": Row(None, SAME_AS_CAUSE),
        "NO_NEW_BLOCKS": Row(("elapsed",), SAME_AS_CAUSE),
        "EPOCH_OUT_OF_BOUNDS": Row(("epoch_id",), SAME_AS_CAUSE),
        "INTERNAL_ERROR": _INTERNAL_SAME,
    },
    "network_info": {"INTERNAL_ERROR": _INTERNAL_SAME},
    "client_config": {"INTERNAL_ERROR": _INTERNAL_SAME},
    "maintenance_windows": {"INTERNAL_ERROR": _INTERNAL},
    "split_storage": {"INTERNAL_ERROR": _INTERNAL},
    "sandbox": _SANDBOX,
    "development": {**_SANDBOX, "CONTROL_REFUSED": Row(("error_message",), "{error_message}")},
    "query": _QUERY,
    "view_account": _view(),
    "view_code": _view("NO_CONTRACT_CODE"),
    "view_state": _view("TOO_LARGE_CONTRACT_STATE"),
    "view_access_key": _view("UNKNOWN_ACCESS_KEY", account_word="Account"),
    "view_access_key_list": _view(),
    "view_gas_key_nonces": _view("UNKNOWN_GAS_KEY", account_word="Account"),
    "call_function": _view("NO_CONTRACT_CODE", "CONTRACT_EXECUTION_ERROR"),
}
"""Family, then cause."""


class RpcError(Exception):
    """What a request is refused with: NEAR's error object and its HTTP status."""

    def __init__(self, body: dict[str, Any], http_status: int) -> None:
        super().__init__(body.get("data"))
        self.body = body
        self.http_status = http_status

    @property
    def cause_name(self) -> str:
        """The name that clients look at."""
        name: str = self.body["cause"]["name"]
        return name


def _validation_error(cause: dict[str, Any], code: int, message: str, data: str) -> RpcError:
    body = {
        "name": "REQUEST_VALIDATION_ERROR",
        "cause": cause,
        "code": code,
        "message": message,
        "data": data,
    }
    return RpcError(body, 400)


def parse_error(text: str) -> RpcError:
    """The request or its parameters cannot be understood."""
    cause = {"name": "PARSE_ERROR", "info": {"error_message": text}}
    return _validation_error(cause, PARSE_ERROR_CODE, "Parse error", text)


def method_not_found(method: str) -> RpcError:
    """There is no such method."""
    cause = {"name": "METHOD_NOT_FOUND", "info": {"method_name": method}}
    return _validation_error(cause, METHOD_NOT_FOUND_CODE, "Method not found", method)


_HTTP_STATUS: Final = {"TIMEOUT_ERROR": 408, "INTERNAL_ERROR": 500}


def handler_error(family: str, cause: str, /, **values: Any) -> RpcError:
    """A method's own error: the row of the table filled with ``values``."""
    row = TABLE[family][cause]
    told: dict[str, Any] = {"name": cause}
    if row.info is not None:
        info = {field: values[field] for field in row.info if field in values}
        if info or not row.is_info_optional:
            told["info"] = info
    if row.data is SAME_AS_CAUSE:
        data: Any = told
    elif row.data == "{error}":
        data = values["error"]
    else:
        data = row.data.format(**values)
    body = {
        "name": "INTERNAL_ERROR" if cause == "INTERNAL_ERROR" else "HANDLER_ERROR",
        "cause": told,
        "code": SERVER_ERROR_CODE,
        "message": "Server error",
        "data": data,
    }
    return RpcError(body, _HTTP_STATUS.get(cause, 200))


def invalid_transaction(error: Any) -> RpcError:
    """The transaction was refused; ``error`` is the JSON of NEAR's ``InvalidTxError``."""
    wrapped = {"TxExecutionError": {"InvalidTxError": error}}
    return handler_error("transaction", "INVALID_TRANSACTION", error=wrapped)


def transaction_internal_error(debug_info: str) -> RpcError:
    """Something broke while sending or looking up a transaction."""
    message = "InternalError happened during serializing InternalError"
    return handler_error("transaction", "INTERNAL_ERROR", error_message=message, debug_info=debug_info)
