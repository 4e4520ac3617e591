"""What can go wrong, as one tree of exceptions.

::

    ClientError                 code, retryable, hint
    ├── InvalidRequest          the caller's mistake, nothing was sent
    ├── TransportError          no usable answer: connection, HTTP status, not JSON
    ├── RpcError                the node's refusal: name, cause, info, data, http_status
    │   ├── UnknownAccount  UnknownAccessKey  UnknownBlock  UnknownTransaction
    │   ├── ContractFailed      a view call failed
    │   ├── InvalidTransaction  refused before it ran: kind, fields
    │   └── RequestTimeout      the node waited its full time
    ├── TransactionTimeout      not as far as asked within the time given; it may still happen
    └── ExecutionFailed         it ran and failed: kind, fields, action_index, result

``retryable`` means: the same request may succeed later without a change. ``code`` is stable.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from hither.client.advice import (
    CAUSE_ADVICE,
    describe_error,
    find_advice,
    find_text_advice,
    split_error,
)
from hither.client.results import TransactionResult


class ClientError(Exception):
    """The root of the tree."""

    code: str = "CLIENT_ERROR"
    retryable: bool = False
    hint: str | None = None
    was_sent_before: bool = False
    """Whether the request had been sent before, and an answer may have been lost."""


class InvalidRequest(ClientError, ValueError):
    """The caller's mistake; nothing was sent."""

    code = "INVALID_REQUEST"
    hint = "correct what the message names; nothing was sent"


class TransportError(ClientError):
    """No usable answer. Whether the request arrived is not known."""

    code = "TRANSPORT"
    hint = "check that the node runs (`hither status`); ask for a transaction by its hash, then send it again"
    retryable = True

    def __init__(self, message: str, http_status: int | None = None) -> None:
        super().__init__(message)
        self.http_status = http_status
        # Refusals that a later attempt will meet again.
        if http_status is not None and http_status < 500 and http_status not in (408, 425, 429):
            self.retryable = False


_RETRYABLE_CAUSES = frozenset(
    {
        "INTERNAL_ERROR",
        "NODE_IS_SYNCING",
        "NOT_SYNCED_YET",
        "NO_NEW_BLOCKS",
        "NO_SYNCED_BLOCKS",
        "TIMEOUT_ERROR",
        "UNAVAILABLE_SHARD",
        "DOES_NOT_TRACK_SHARD",
        "REQUEST_ROUTED",
    }
)


class RpcError(ClientError):
    """The node's refusal. ``code`` is the name of its cause."""

    def __init__(self, body: Mapping[str, Any], http_status: int) -> None:
        cause = body.get("cause") or {}
        self.code = str(cause.get("name") or body.get("name") or body.get("code") or "RPC_ERROR")
        self.name = str(body.get("name", ""))
        self.info: Any = cause.get("info") or {}
        self.data: Any = body.get("data")
        self.http_status = http_status
        self.retryable = self.code in _RETRYABLE_CAUSES
        self.hint = CAUSE_ADVICE.get(self.code)
        super().__init__(f"{self.code}: {self.data if self.data is not None else body.get('message', '')}")


class UnknownAccount(RpcError):
    """There is no such account at that block."""

    @property
    def account_id(self) -> str:
        """The account asked for."""
        return str(self.info.get("requested_account_id", ""))


class UnknownAccessKey(RpcError):
    """The account has no such key."""


class UnknownBlock(RpcError):
    """No such block, or it is no longer kept."""


class UnknownTransaction(RpcError):
    """The node has not seen the transaction."""


class RequestTimeout(RpcError):
    """The node waited as long as it waits; what was asked for may still happen."""


class ContractFailed(RpcError):
    """A view call failed; ``text`` says how."""

    def __init__(self, text: str, block_height: int | None = None) -> None:
        super().__init__(
            {"name": "HANDLER_ERROR", "cause": {"name": "CONTRACT_EXECUTION_ERROR"}, "data": text}, 200
        )
        self.text = text
        self.block_height = block_height
        self.hint = find_text_advice(text) or self.hint


class InvalidTransaction(RpcError):
    """Refused before it ran. ``kind`` is NEAR's ``InvalidTxError``, ``fields`` its content."""

    kind: str
    fields: dict[str, Any]

    def __init__(self, body: Mapping[str, Any], http_status: int) -> None:
        super().__init__(body, http_status)
        data = body.get("data")
        inner: Any = data.get("TxExecutionError", {}) if isinstance(data, Mapping) else {}
        self.kind, self.fields = split_error(inner.get("InvalidTxError", inner) if inner else str(data))
        self.hint = find_advice(inner)
        # Another nonce or a fresh block hash makes a new transaction of it; the same one stays refused.
        self.retryable = self.kind in ("ShardCongested", "ShardStuck")
        self.args = (describe_error(inner) if inner else self.kind,)


class TransactionTimeout(ClientError):
    """Not as far as asked within the time given. It may still happen: ask again by its hash."""

    code = "TRANSACTION_TIMEOUT"
    hint = "ask for the transaction by its hash before sending another one"

    def __init__(self, transaction_hash: str) -> None:
        super().__init__(f"transaction {transaction_hash} did not come as far as asked in time")
        self.transaction_hash = transaction_hash


class ExecutionFailed(ClientError):
    """It ran and failed. ``kind`` and ``fields`` are the innermost error, ``action_index`` the action, if one."""

    code = "EXECUTION_FAILED"

    def __init__(self, failure: Any, result: TransactionResult) -> None:
        self.failure = failure
        self.result = result
        self.action_index: int | None = None
        self.hint = find_advice(failure)
        kind, fields = split_error(failure)
        if kind == "ActionError":
            index = fields.get("index")
            self.action_index = index if isinstance(index, int) else None
            kind, fields = split_error(fields.get("kind"))
        self.kind = kind
        self.fields = fields
        super().__init__(describe_error(failure))

    @property
    def panic_message(self) -> str | None:
        """What the contract said as it panicked."""
        text = self.fields.get("ExecutionError")
        return text if isinstance(text, str) else None


class _Classes:
    by_cause: ClassVar[dict[str, type[RpcError]]] = {
        "UNKNOWN_ACCOUNT": UnknownAccount,
        "UNKNOWN_ACCESS_KEY": UnknownAccessKey,
        "UNKNOWN_BLOCK": UnknownBlock,
        "UNKNOWN_TRANSACTION": UnknownTransaction,
        "INVALID_TRANSACTION": InvalidTransaction,
        "TIMEOUT_ERROR": RequestTimeout,
    }


def make_rpc_error(body: Mapping[str, Any], http_status: int) -> RpcError:
    """The class that fits the cause."""
    cause = body.get("cause") or {}
    return _Classes.by_cause.get(str(cause.get("name")), RpcError)(body, http_status)
