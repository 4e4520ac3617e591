"""No money appears or disappears: the equation that every chunk must satisfy.

What was in the touched records, plus what came in, equals what is in them now,
plus what went out, plus what burnt. The check reads the bytes of records rather
than the values that the runtime computed, so that it is a second opinion.
"""

from collections.abc import Iterable
from typing import Final

from hither.primitives.account import (
    GasKeyFullAccess,
    GasKeyFunctionCall,
    decode_access_key,
    decode_account_record,
)
from hither.primitives.receipt import ActionReceipt, Receipt, decode_queued_receipt, decode_receipt
from hither.primitives.types import Balance
from hither.runtime.fees import Fees, prepaid_exec_and_send_gas, total_deposit
from hither.state import Trie, keys

_NEWER_VERSION_MARK: Final = b"\xff" * 16
_ACCOUNT_SIZE: Final = 72
_GAS_KEY_TAGS: Final = (2, 3)
_NONCE_SIZE: Final = 8
_PLAIN_RECEIPT_COLUMNS: Final = (keys.POSTPONED_RECEIPT, keys.PROMISE_YIELD_RECEIPT)
_QUEUE_COLUMNS: Final = (keys.DELAYED_RECEIPT, keys.BUFFERED_RECEIPT)
_MONEY_COLUMNS: Final = (keys.ACCOUNT, keys.ACCESS_KEY, *_PLAIN_RECEIPT_COLUMNS, *_QUEUE_COLUMNS)


class BalanceMismatch(AssertionError):
    """Money appeared or disappeared: the node must stop."""


def compute_receipt_balance(fees: Fees, receipt: Receipt) -> int:
    """The money that a receipt carries: deposits, and gas at the price it was bought for."""
    body = receipt.body
    if not isinstance(body, ActionReceipt):
        return 0
    balance = total_deposit(body.actions)
    if body.gas_price:
        gas = prepaid_exec_and_send_gas(fees, body.actions, receipt.receiver_id)
        return balance + gas * body.gas_price
    return balance


def compute_record_balance(fees: Fees, key: bytes, value: bytes) -> int:
    """The money in one record of the state."""
    column = key[0]
    if column == keys.ACCOUNT:
        if len(value) == _ACCOUNT_SIZE and not value.startswith(_NEWER_VERSION_MARK):
            return int.from_bytes(value[:16], "little") + int.from_bytes(value[16:32], "little")
        account = decode_account_record(value)
        return account.amount + getattr(account, "locked", 0)
    if column == keys.ACCESS_KEY:
        if len(value) == _NONCE_SIZE or value[8] not in _GAS_KEY_TAGS:
            return 0
        permission = decode_access_key(value).permission
        assert isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess))
        return permission.gas_key.balance
    if column in _PLAIN_RECEIPT_COLUMNS:
        return compute_receipt_balance(fees, decode_receipt(value))
    if column in _QUEUE_COLUMNS and len(key) > 1:
        return compute_receipt_balance(fees, decode_queued_receipt(value).receipt)
    return 0


def sum_state_balance(fees: Fees, trie: Trie) -> Balance:
    """All money in a shard's state, receipts in its queues included. Reads everything."""
    return Balance(
        sum(
            compute_record_balance(fees, key, value)
            for column in _MONEY_COLUMNS
            for key, value in trie.scan(bytes((column,)))
        )
    )


def assert_balanced(
    fees: Fees,
    changes: Iterable[tuple[bytes, bytes | None, bytes | None]],
    incoming: Iterable[Receipt],
    outgoing: Iterable[Receipt],
    minted: int,
    burnt: int,
) -> None:
    """Raise if a chunk made or lost money. ``burnt`` is net of what was made from nothing."""
    before = minted + sum(compute_receipt_balance(fees, receipt) for receipt in incoming)
    after = burnt + sum(compute_receipt_balance(fees, receipt) for receipt in outgoing)
    for key, old, new in changes:
        if key[0] not in _MONEY_COLUMNS:
            continue
        if old is not None:
            before += compute_record_balance(fees, key, old)
        if new is not None:
            after += compute_record_balance(fees, key, new)
    if before != after:
        raise BalanceMismatch(f"{before} before the chunk, {after} after it")
