"""Sending transactions, and asking what became of them."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from hither.chain.reader import (
    ExecutionStatus,
    InvalidTransaction,
    TransactionDropped,
    TransactionStatus,
    UnknownTransactionOrReceipt,
)
from hither.codec import base58
from hither.codec.borsh import InvalidBorsh
from hither.primitives import views
from hither.primitives.transaction import (
    SignedTransaction,
    decode_signed_transaction,
    decode_signed_transaction_of_84,
)
from hither.primitives.types import CryptoHash
from hither.rpc.context import Context, Method
from hither.rpc.errors import handler_error, invalid_transaction, parse_error
from hither.rpc.parameters import (
    Field,
    InvalidParameters,
    Reader,
    decode_base64,
    enumeration,
    flattened,
    read_string,
    structure,
)
from hither.rpc.values import read_account_id, read_hash, untagged

STATUS_WORDS: Final = tuple(status.name for status in ExecutionStatus)
FIRST_VERSION_WITH_NONCE_MODE: Final = 85
"""Nodes before it read transactions by the form of 84."""

Decode = Callable[[bytes], SignedTransaction]


class SendRequest(msgspec.Struct, frozen=True, gc=False):
    """A transaction to send, and how far to wait for it."""

    transaction: SignedTransaction
    wait_until: ExecutionStatus = ExecutionStatus.EXECUTED_OPTIMISTIC


class StatusRequest(msgspec.Struct, frozen=True, gc=False):
    """Which transaction, by hash or whole, and how far to wait."""

    hash: CryptoHash
    wait_until: ExecutionStatus = ExecutionStatus.EXECUTED_OPTIMISTIC
    transaction: SignedTransaction | None = None


def _make_reader(decode: Decode) -> Reader[SignedTransaction]:
    """A transaction in an object of parameters."""

    def read(value: Any) -> SignedTransaction:
        text = read_string(value)
        try:
            data = decode_base64(text)
        except InvalidParameters as error:
            message = f"the value could not decoded from base64 due to: {error}"
            raise InvalidParameters(message) from None
        try:
            return decode(data)
        except InvalidBorsh as error:
            message = f"the value could not decoded from borsh due to: {error}"
            raise InvalidParameters(message) from None

    return read


def _make_single_reader(decode: Decode) -> Reader[SignedTransaction]:
    """A transaction alone in an array; its errors are worded otherwise."""

    def read(value: Any) -> SignedTransaction:
        text = read_string(value)
        try:
            return decode(decode_base64(text))
        except (InvalidParameters, InvalidBorsh) as error:
            raise parse_error(f"Failed to decode transaction: {error}") from None

    return read


_read_wait_word = enumeration(dict.fromkeys(STATUS_WORDS))


def _read_wait_until(value: Any) -> ExecutionStatus:
    return ExecutionStatus[_read_wait_word(value)[0]]


def make_send_reader(decode: Decode) -> Reader[SendRequest]:
    """An object, or an array of the transaction alone."""
    read_single = _make_single_reader(decode)
    read_object = structure(
        "RpcSendTransactionRequest",
        Field("signed_tx_base64", _make_reader(decode)),
        Field("wait_until", _read_wait_until, ExecutionStatus.EXECUTED_OPTIMISTIC),
    )

    def read(value: Any) -> SendRequest:
        if isinstance(value, list) and len(value) == 1:
            return SendRequest(read_single(value[0]))
        if isinstance(value, list) and len(value) == 2:
            for part in value:
                read_string(part)
            raise parse_error("Unable to parse send request: too many params passed")
        return SendRequest(*read_object(value))

    return read


def make_status_reader(decode: Decode) -> Reader[StatusRequest]:
    """An object, an array of hash and sender, or an array of the transaction alone."""
    read_single = _make_single_reader(decode)
    read_info = untagged(
        "TransactionInfo",
        structure("", Field("signed_tx_base64", _make_reader(decode))),
        structure("", Field("tx_hash", read_hash), Field("sender_account_id", read_account_id)),
    )
    read_object = flattened(
        "RpcTransactionStatusRequest",
        (Field("wait_until", _read_wait_until, ExecutionStatus.EXECUTED_OPTIMISTIC),),
        read_info,
    )

    def read(value: Any) -> StatusRequest:
        if isinstance(value, list) and len(value) == 1:
            transaction = read_single(value[0])
            return StatusRequest(transaction.hash, transaction=transaction)
        if isinstance(value, list) and len(value) == 2:
            transaction_hash = read_hash(value[0])
            read_account_id(value[1])
            return StatusRequest(transaction_hash)
        wait_until, info = read_object(value)
        first = info[0]
        if isinstance(first, SignedTransaction):
            return StatusRequest(first.hash, wait_until, first)
        return StatusRequest(CryptoHash(first), wait_until)

    return read


def view_status(
    context: Context, status: TransactionStatus, *, with_receipts: bool = False
) -> dict[str, Any]:
    """The answer of ``tx``, ``send_tx`` and their kin."""
    if status.outcome is None:
        return {"final_execution_status": status.execution.name}
    return views.view_transaction_status(
        status, with_receipts=with_receipts, protocol_version=context.protocol_version
    )


async def _submit_silently(context: Context, transaction: SignedTransaction) -> None:
    """Whoever does not wait is not told of a refusal either."""
    with contextlib.suppress(InvalidTransaction):
        await context.control.submit(transaction)


async def send(context: Context, request: SendRequest) -> dict[str, Any]:
    """``send_tx``: submit a signed transaction, then wait until it has come as far as ``wait_until``."""
    context.metrics.waits["send_tx", request.wait_until.name] += 1
    if request.wait_until is ExecutionStatus.NONE:
        await _submit_silently(context, request.transaction)
        return {"final_execution_status": ExecutionStatus.NONE.name}
    try:
        await context.control.submit(request.transaction)
    except InvalidTransaction as error:
        raise invalid_transaction(error.error) from None
    transaction = request.transaction
    status = await wait_for(context, transaction.hash, request.wait_until, transaction)
    return view_status(context, status)


async def send_and_commit(context: Context, request: SendRequest) -> dict[str, Any]:
    """``broadcast_tx_commit``: as ``send_tx``, until it has run."""
    wait_until = ExecutionStatus.EXECUTED_OPTIMISTIC
    return await send(context, SendRequest(request.transaction, wait_until))


async def send_without_waiting(context: Context, request: SendRequest) -> str:
    """``broadcast_tx_async``: the hash, whatever becomes of the transaction."""
    await _submit_silently(context, request.transaction)
    return base58.encode(request.transaction.hash)


async def wait_for(
    context: Context,
    transaction_hash: CryptoHash,
    until: ExecutionStatus,
    transaction: SignedTransaction | None = None,
) -> TransactionStatus:
    """The status once it has come as far as ``until``; a time-out says how far it came.

    Who has the whole ``transaction`` is told why it cannot come into a block any more.
    """
    deadline = context.now_seconds() + context.settings.wait_timeout_ms / 1000
    while True:
        left_ms = max(0, int((deadline - context.now_seconds()) * 1000))
        try:
            status = await _wait(context, transaction_hash, until, 0 if context.is_closing else left_ms)
        except TransactionDropped:
            if transaction is not None:
                await _check_unknown(context, transaction)
            continue
        if status is not None:
            return status
        context.metrics.timeouts += 1
        raise handler_error("transaction", "TIMEOUT_ERROR", **_explain_timeout(context, transaction_hash))


async def _wait(
    context: Context, transaction_hash: CryptoHash, until: ExecutionStatus, timeout_ms: int
) -> TransactionStatus | None:
    task = asyncio.current_task()
    assert task is not None
    context.waiting.add(task)
    try:
        return await context.control.wait_for_transaction(transaction_hash, until, timeout_ms)
    except asyncio.CancelledError:
        if not context.is_closing:
            raise
        task.uncancel()
        return None
    finally:
        context.waiting.discard(task)


async def _check_unknown(context: Context, transaction: SignedTransaction) -> None:
    """Refuse a transaction that is in no block and invalid."""
    if context.reader.get_transaction(transaction.hash) is not None:
        return
    try:
        await context.control.check(transaction)
    except InvalidTransaction as error:
        raise invalid_transaction(error.error) from None


FIRST_VERSION_WITH_TIMEOUT_CAUSE: Final = 87
"""The release of protocol 87 is the first that says what a time-out was about."""


def _explain_timeout(context: Context, transaction_hash: CryptoHash) -> dict[str, Any]:
    if context.protocol_version < FIRST_VERSION_WITH_TIMEOUT_CAUSE:
        return {}
    try:
        status = context.reader.get_transaction_status(transaction_hash)
    except UnknownTransactionOrReceipt:
        return {"cause": "NOT_OBSERVED"}
    return {"cause": "PENDING", "status": view_status(context, status)}


async def _find(context: Context, request: StatusRequest, *, with_receipts: bool) -> dict[str, Any]:
    context.metrics.waits["tx_status", request.wait_until.name] += 1
    try:
        status = context.reader.get_transaction_status(request.hash, with_receipts=with_receipts)
    except UnknownTransactionOrReceipt:
        if request.transaction is not None:
            await _check_unknown(context, request.transaction)
        if request.wait_until is ExecutionStatus.NONE:
            text = base58.encode(request.hash)
            raise handler_error(
                "transaction", "UNKNOWN_TRANSACTION", requested_transaction_hash=text
            ) from None
        status = None
    if status is None or not status.execution.is_at_least(request.wait_until):
        await wait_for(context, request.hash, request.wait_until, request.transaction)
        status = context.reader.get_transaction_status(request.hash, with_receipts=with_receipts)
    return view_status(context, status, with_receipts=with_receipts)


async def get_status(context: Context, request: StatusRequest) -> dict[str, Any]:
    """``tx``: a transaction, how far it has come, and the outcomes of all that came of it."""
    return await _find(context, request, with_receipts=False)


async def get_status_with_receipts(context: Context, request: StatusRequest) -> dict[str, Any]:
    """``EXPERIMENTAL_tx_status``: as ``tx``, with the receipts themselves."""
    return await _find(context, request, with_receipts=True)


def make_methods(protocol_version: int) -> dict[str, Method]:
    """The methods; how a transaction is read depends on the version."""
    is_early = protocol_version < FIRST_VERSION_WITH_NONCE_MODE
    decode = decode_signed_transaction_of_84 if is_early else decode_signed_transaction
    read_send = make_send_reader(decode)
    read_status = make_status_reader(decode)
    return {
        "send_tx": Method(read_send, send, "waits"),
        "broadcast_tx_commit": Method(read_send, send_and_commit, "waits"),
        "broadcast_tx_async": Method(read_send, send_without_waiting, "waits"),
        "tx": Method(read_status, get_status, "waits"),
        "EXPERIMENTAL_tx_status": Method(read_status, get_status_with_receipts, "waits"),
    }
