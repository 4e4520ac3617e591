"""Records of state as values: read and write them through the overlay or from a trie.

Functions that read take anything with ``get``; an overlay records the read, a
trie does not. A record that does not decode means a damaged state: the error
goes up and stops the node.
"""

import enum
from typing import Protocol

import msgspec
from hither_native import ChunkState

from hither.codec.borsh import HASH, U64, Codec, record
from hither.crypto.keys import KeyHandle
from hither.primitives.account import (
    AccessKey,
    Account,
    UninitialisedAccount,
    decode_access_key,
    decode_account,
    decode_account_record,
    encode_access_key,
    encode_account,
    encode_uninitialised_account,
)
from hither.primitives.ids import ACCOUNT_ID
from hither.primitives.receipt import (
    ActionReceipt,
    Receipt,
    decode_receipt,
    decode_received_data,
    encode_receipt,
    encode_received_data,
)
from hither.primitives.types import AccountId, BlockHeight, CryptoHash, Nonce
from hither.state import keys


class Readable(Protocol):
    """What can be read from: an overlay or a trie."""

    def get(self, key: bytes, /) -> bytes | None: ...


class PromiseYieldStatus(enum.IntEnum):
    """How far a yield has come."""

    YIELDED = 0
    RESUME_INITIATED = 1


class PromiseYieldTimeout(msgspec.Struct, frozen=True, gc=False):
    """One entry of the time-out queue."""

    account_id: AccountId
    data_id: CryptoHash
    expires_at: BlockHeight


class QueueIndices(msgspec.Struct, frozen=True, gc=False):
    """Where a queue begins, and the index that the next item gets."""

    first_index: int = 0
    next_available_index: int = 0


class ReceivedData(msgspec.Struct, frozen=True, gc=False):
    """Data that came before the receipt that waits for it; None when its sender failed."""

    data: bytes | None


_INDICES: Codec[QueueIndices] = record(QueueIndices, {"first_index": U64, "next_available_index": U64})
_TIMEOUT: Codec[PromiseYieldTimeout] = record(
    PromiseYieldTimeout, {"account_id": ACCOUNT_ID, "data_id": HASH, "expires_at": U64}
)


# Accounts


def get_account_optional(state: Readable, account_id: AccountId) -> Account | None:
    """The account; None also while it is universal and uninitialised."""
    data = state.get(b"\x00" + account_id.encode())
    if data is None:
        return None
    # Uninitialised ones start with a sentinel and tag 1; version 1 is by far the commonest.
    if len(data) == 72:
        return decode_account(data)
    account = decode_account_record(data)
    return account if isinstance(account, Account) else None


def get_account_record_optional(
    state: Readable, account_id: AccountId
) -> Account | UninitialisedAccount | None:
    """Whatever stands in the account column."""
    data = state.get(b"\x00" + account_id.encode())
    if data is None:
        return None
    return decode_account(data) if len(data) == 72 else decode_account_record(data)


def set_account(state: ChunkState, account_id: AccountId, account: Account | UninitialisedAccount) -> None:
    """Write the account, of whatever kind."""
    if isinstance(account, Account):
        state.set(b"\x00" + account_id.encode(), encode_account(account))
    else:
        state.set(keys.account(account_id), encode_uninitialised_account(account))


# Access keys


def get_access_key_optional(state: Readable, account_id: AccountId, handle: KeyHandle) -> AccessKey | None:
    """The access key, None if there is none."""
    data = state.get(keys.access_key(account_id, handle))
    return None if data is None else decode_access_key(data)


def set_access_key(
    state: ChunkState, account_id: AccountId, handle: KeyHandle, access_key: AccessKey
) -> None:
    """Write an access key. The nonces of a gas key are records of their own."""
    state.set(keys.access_key(account_id, handle), encode_access_key(access_key))


def remove_access_key(state: ChunkState, account_id: AccountId, handle: KeyHandle) -> None:
    """Remove an access key; the nonces of a gas key stay."""
    state.remove(keys.access_key(account_id, handle))


def get_gas_key_nonce_optional(
    state: Readable, account_id: AccountId, handle: KeyHandle, index: int
) -> Nonce | None:
    """One nonce of a gas key."""
    data = state.get(keys.gas_key_nonce(account_id, handle, index))
    return None if data is None else Nonce(U64.decode(data))


def set_gas_key_nonce(
    state: ChunkState, account_id: AccountId, handle: KeyHandle, index: int, nonce: Nonce
) -> None:
    """Write one nonce of a gas key."""
    state.set(keys.gas_key_nonce(account_id, handle, index), U64.encode(nonce))


def remove_gas_key_nonce(state: ChunkState, account_id: AccountId, handle: KeyHandle, index: int) -> None:
    """Remove one nonce of a gas key."""
    state.remove(keys.gas_key_nonce(account_id, handle, index))


# Data and the receipts that wait for it


def get_received_data_optional(
    state: Readable, receiver_id: AccountId, data_id: CryptoHash
) -> ReceivedData | None:
    """What came for this data id, None if nothing did."""
    data = state.get(keys.received_data(receiver_id, data_id))
    return None if data is None else ReceivedData(decode_received_data(data))


def set_received_data(
    state: ChunkState, receiver_id: AccountId, data_id: CryptoHash, data: bytes | None
) -> None:
    """Keep data for a receipt that is yet to come; None says that its sender failed."""
    state.set(keys.received_data(receiver_id, data_id), encode_received_data(data))


def get_postponed_receipt_id_optional(
    state: Readable, receiver_id: AccountId, data_id: CryptoHash
) -> CryptoHash | None:
    """The receipt that waits for this data."""
    data = state.get(keys.postponed_receipt_id(receiver_id, data_id))
    return None if data is None else CryptoHash(HASH.decode(data))


def set_postponed_receipt_id(
    state: ChunkState, receiver_id: AccountId, data_id: CryptoHash, receipt_id: CryptoHash
) -> None:
    """Remember which receipt waits for this data."""
    state.set(keys.postponed_receipt_id(receiver_id, data_id), receipt_id)


def get_pending_data_count_optional(
    state: Readable, receiver_id: AccountId, receipt_id: CryptoHash
) -> int | None:
    """How many inputs a postponed receipt still lacks."""
    data = state.get(keys.pending_data_count(receiver_id, receipt_id))
    return None if data is None else int.from_bytes(data, "little")


def set_pending_data_count(
    state: ChunkState, receiver_id: AccountId, receipt_id: CryptoHash, count: int
) -> None:
    """Write how many inputs the receipt lacks."""
    state.set(keys.pending_data_count(receiver_id, receipt_id), count.to_bytes(4, "little"))


def get_postponed_receipt_optional(
    state: Readable, receiver_id: AccountId, receipt_id: CryptoHash
) -> Receipt | None:
    """The receipt that waits for its data."""
    data = state.get(keys.postponed_receipt(receiver_id, receipt_id))
    return None if data is None else decode_receipt(data)


def set_postponed_receipt(state: ChunkState, receipt: Receipt) -> None:
    """Keep a receipt until its data is there."""
    key = keys.postponed_receipt(receipt.receiver_id, receipt.receipt_id)
    state.set(key, encode_receipt(receipt))


# Yields


def get_promise_yield_receipt_optional(
    state: Readable, receiver_id: AccountId, data_id: CryptoHash
) -> Receipt | None:
    """The receipt that waits for this resume."""
    data = state.get(keys.promise_yield_receipt(receiver_id, data_id))
    return None if data is None else decode_receipt(data)


def set_promise_yield_receipt(state: ChunkState, receipt: Receipt) -> None:
    """Keyed by the one input that a yield waits for."""
    assert isinstance(receipt.body, ActionReceipt), "only action receipts yield"
    (data_id,) = receipt.body.input_data_ids
    state.set(keys.promise_yield_receipt(receipt.receiver_id, data_id), encode_receipt(receipt))


def get_promise_yield_status_optional(
    state: Readable, receiver_id: AccountId, data_id: CryptoHash
) -> PromiseYieldStatus | None:
    """How far the yield has come, None if there is no such yield."""
    data = state.get(keys.promise_yield_status(receiver_id, data_id))
    return None if data is None else PromiseYieldStatus(data[0])


def set_promise_yield_status(
    state: ChunkState, receiver_id: AccountId, data_id: CryptoHash, status: PromiseYieldStatus
) -> None:
    """Write how far the yield has come."""
    state.set(keys.promise_yield_status(receiver_id, data_id), bytes((status,)))


def get_promise_yield_indices(state: Readable) -> QueueIndices:
    """The ends of the time-out queue."""
    data = state.get(keys.PROMISE_YIELD_INDICES)
    return QueueIndices() if data is None else _INDICES.decode(data)


def set_promise_yield_indices(state: ChunkState, indices: QueueIndices) -> None:
    """Write the ends of the time-out queue."""
    state.set(keys.PROMISE_YIELD_INDICES, _INDICES.encode(indices))


def get_promise_yield_timeout_optional(state: Readable, index: int) -> PromiseYieldTimeout | None:
    """An item of the time-out queue."""
    data = state.get(keys.promise_yield_timeout(index))
    return None if data is None else _TIMEOUT.decode(data)


def set_promise_yield_timeout(state: ChunkState, index: int, timeout: PromiseYieldTimeout) -> None:
    """Write an item of the time-out queue."""
    state.set(keys.promise_yield_timeout(index), _TIMEOUT.encode(timeout))
