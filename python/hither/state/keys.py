"""Every trie key: one function a column, and the way back.

A key is a column byte and what names the record within it (``near-primitives``
``trie_key.rs``). Indices that name singletons are constants. Account ids are the
bare text; what follows one is set off by a comma, access keys by the byte 2.
"""

from typing import Final

import msgspec

from hither.codec.borsh import InvalidBorsh
from hither.crypto.keys import KeyHandle, decode_key_handle, encode_key_handle
from hither.primitives.account import (
    GlobalContractIdentifier,
    decode_global_contract_identifier,
    encode_global_contract_identifier,
)
from hither.primitives.types import AccountId, CryptoHash, ShardId

ACCOUNT: Final = 0
CONTRACT_CODE: Final = 1
ACCESS_KEY: Final = 2
RECEIVED_DATA: Final = 3
POSTPONED_RECEIPT_ID: Final = 4
PENDING_DATA_COUNT: Final = 5
POSTPONED_RECEIPT: Final = 6
DELAYED_RECEIPT: Final = 7
CONTRACT_DATA: Final = 9
PROMISE_YIELD_TIMEOUT: Final = 11
PROMISE_YIELD_RECEIPT: Final = 12
BUFFERED_RECEIPT: Final = 14
BUFFERED_RECEIPT_GROUPS_DATA: Final = 16
BUFFERED_RECEIPT_GROUP: Final = 17
GLOBAL_CONTRACT_CODE: Final = 18
GLOBAL_CONTRACT_NONCE: Final = 19
PROMISE_YIELD_STATUS: Final = 20
YIELD_ID_TO_DATA_ID: Final = 22
DATA_ID_TO_YIELD_ID: Final = 23

DELAYED_RECEIPT_INDICES: Final = b"\x07"
PROMISE_YIELD_INDICES: Final = b"\x0a"
BUFFERED_RECEIPT_INDICES: Final = b"\x0d"
BANDWIDTH_SCHEDULER_STATE: Final = b"\x0f"

_ACCESS_KEY_SEPARATOR: Final = b"\x02"
_KEY_HANDLE_SIZES: Final = {0: 33, 1: 65, 3: 33}

_COLUMNS_OF_ACCOUNTS: Final = frozenset(
    {
        ACCOUNT,
        CONTRACT_CODE,
        ACCESS_KEY,
        RECEIVED_DATA,
        POSTPONED_RECEIPT_ID,
        PENDING_DATA_COUNT,
        POSTPONED_RECEIPT,
        CONTRACT_DATA,
        PROMISE_YIELD_RECEIPT,
        PROMISE_YIELD_STATUS,
        YIELD_ID_TO_DATA_ID,
        DATA_ID_TO_YIELD_ID,
    }
)


class InvalidTrieKey(ValueError):
    """The bytes are not a trie key of the column asked for."""


def account(account_id: AccountId) -> bytes:
    """The account record."""
    return b"\x00" + account_id.encode()


def contract_code(account_id: AccountId) -> bytes:
    """The code of a contract of its own."""
    return b"\x01" + account_id.encode()


def access_key(account_id: AccountId, handle: KeyHandle) -> bytes:
    """An access key, by its handle."""
    return b"\x02" + account_id.encode() + b"\x02" + encode_key_handle(handle)


def access_key_prefix(account_id: AccountId) -> bytes:
    """All access keys and gas-key nonces of an account, in NEAR's order of key lists."""
    return b"\x02" + account_id.encode() + b"\x02"


def gas_key_nonce(account_id: AccountId, handle: KeyHandle, index: int) -> bytes:
    """Right behind its access key: the same bytes and the index."""
    return access_key(account_id, handle) + index.to_bytes(2, "little")


def received_data(receiver_id: AccountId, data_id: CryptoHash) -> bytes:
    """Data that waits for the receipt that wants it."""
    return b"\x03" + receiver_id.encode() + b"," + data_id


def postponed_receipt_id(receiver_id: AccountId, data_id: CryptoHash) -> bytes:
    """Which receipt waits for this data."""
    return b"\x04" + receiver_id.encode() + b"," + data_id


def pending_data_count(receiver_id: AccountId, receipt_id: CryptoHash) -> bytes:
    """How many inputs a postponed receipt still lacks."""
    return b"\x05" + receiver_id.encode() + b"," + receipt_id


def postponed_receipt(receiver_id: AccountId, receipt_id: CryptoHash) -> bytes:
    """A receipt that waits for data."""
    return b"\x06" + receiver_id.encode() + b"," + receipt_id


def delayed_receipt(index: int) -> bytes:
    """An item of the queue of receipts that did not fit into a chunk."""
    return b"\x07" + index.to_bytes(8, "little")


def contract_data(account_id: AccountId, key: bytes) -> bytes:
    """A contract's own key."""
    return b"\x09" + account_id.encode() + b"," + key


def contract_data_prefix(account_id: AccountId, prefix: bytes = b"") -> bytes:
    """All data of a contract whose own key starts with ``prefix``."""
    return b"\x09" + account_id.encode() + b"," + prefix


def promise_yield_timeout(index: int) -> bytes:
    """An item of the queue of time-outs."""
    return b"\x0b" + index.to_bytes(8, "little")


def promise_yield_receipt(receiver_id: AccountId, data_id: CryptoHash) -> bytes:
    """A receipt that waits for a resume."""
    return b"\x0c" + receiver_id.encode() + b"," + data_id


def buffered_receipt(receiving_shard: ShardId, index: int) -> bytes:
    """The shard takes two bytes here and eight elsewhere."""
    return b"\x0e" + receiving_shard.to_bytes(2, "little") + index.to_bytes(8, "little")


def buffered_receipt_groups_data(receiving_shard: ShardId) -> bytes:
    """Totals of the groups of receipts buffered for a shard."""
    return b"\x10" + receiving_shard.to_bytes(8, "little")


def buffered_receipt_group(receiving_shard: ShardId, index: int) -> bytes:
    """One group of receipts buffered for a shard."""
    return b"\x11" + receiving_shard.to_bytes(8, "little") + index.to_bytes(8, "little")


def global_contract_code(identifier: GlobalContractIdentifier) -> bytes:
    """The code of a global contract, in every shard."""
    return b"\x12" + encode_global_contract_identifier(identifier)


def global_contract_nonce(identifier: GlobalContractIdentifier) -> bytes:
    """The nonce of the last distribution that arrived."""
    return b"\x13" + encode_global_contract_identifier(identifier)


def promise_yield_status(receiver_id: AccountId, data_id: CryptoHash) -> bytes:
    """How far a yield has come."""
    return b"\x14" + receiver_id.encode() + b"," + data_id


def yield_id_to_data_id(receiver_id: AccountId, yield_id: CryptoHash) -> bytes:
    """A contract's own name of a yield to the data id (85)."""
    return b"\x16" + receiver_id.encode() + b"," + yield_id


def data_id_to_yield_id(receiver_id: AccountId, data_id: CryptoHash) -> bytes:
    """The same backwards (85)."""
    return b"\x17" + receiver_id.encode() + b"," + data_id


def fork_mark(account_id: AccountId) -> bytes:
    """Not NEAR's: a fork has copied this account, or found that there is none. In a column that NEAR does not use."""
    return b"\xf0" + account_id.encode()


# The way back


class AccessKeyName(msgspec.Struct, frozen=True, gc=False):
    """Whose key, which, and for a gas key's nonce its index."""

    account_id: AccountId
    handle: KeyHandle
    nonce_index: int | None


class AccountItem(msgspec.Struct, frozen=True, gc=False):
    """An account and what names one of its records: 32 bytes, or a contract's own key."""

    account_id: AccountId
    item: bytes


def _text(raw: bytes) -> AccountId:
    try:
        return AccountId(raw.decode("ascii"))
    except UnicodeDecodeError:
        raise InvalidTrieKey(f"no account id: {raw!r}") from None


def _check_column(raw: bytes, column: int) -> None:
    if raw[:1] != bytes((column,)):
        raise InvalidTrieKey(f"not a key of column {column}: {raw!r}")


def get_account_id_optional(raw: bytes) -> AccountId | None:
    """The account that a key belongs to; None for keys of the shard and of global contracts."""
    if not raw or raw[0] not in _COLUMNS_OF_ACCOUNTS:
        return None
    if raw[0] in (ACCOUNT, CONTRACT_CODE):
        return _text(raw[1:])
    separator = _ACCESS_KEY_SEPARATOR if raw[0] == ACCESS_KEY else b","
    account_id, found, _ = raw[1:].partition(separator)
    if not found:
        raise InvalidTrieKey(f"an account id that does not end: {raw!r}")
    return _text(account_id)


def parse_account(raw: bytes) -> AccountId:
    """Whose account record it is."""
    _check_column(raw, ACCOUNT)
    return _text(raw[1:])


def parse_contract_code(raw: bytes) -> AccountId:
    """Whose code it is."""
    _check_column(raw, CONTRACT_CODE)
    return _text(raw[1:])


def parse_access_key(raw: bytes) -> AccessKeyName:
    """An access key or one nonce of a gas key: they share the column."""
    _check_column(raw, ACCESS_KEY)
    account_id, _, rest = raw[1:].partition(_ACCESS_KEY_SEPARATOR)
    size = _KEY_HANDLE_SIZES.get(rest[0], 0) if rest else 0
    try:
        handle = decode_key_handle(rest[:size])
    except InvalidBorsh:
        raise InvalidTrieKey(f"no key handle: {raw!r}") from None
    index = rest[size:]
    if len(index) not in (0, 2):
        raise InvalidTrieKey(f"neither an access key nor a nonce: {raw!r}")
    return AccessKeyName(_text(account_id), handle, int.from_bytes(index, "little") if index else None)


def parse_contract_data(raw: bytes) -> AccountItem:
    """The contract, and its own key."""
    _check_column(raw, CONTRACT_DATA)
    account_id, found, key = raw[1:].partition(b",")
    if not found:
        raise InvalidTrieKey(f"an account id that does not end: {raw!r}")
    return AccountItem(_text(account_id), key)


def parse_account_item(raw: bytes) -> AccountItem:
    """Keys of an account and 32 bytes: data, receipts and yields that wait for something."""
    account_id, found, item = raw[1:].partition(b",")
    if not found or len(item) != 32:
        raise InvalidTrieKey(f"no account id and hash: {raw!r}")
    return AccountItem(_text(account_id), item)


def parse_global_contract(raw: bytes) -> GlobalContractIdentifier:
    """The identifier in a key of global code or of a global nonce."""
    if raw[:1] not in (b"\x12", b"\x13"):
        raise InvalidTrieKey(f"not a key of a global contract: {raw!r}")
    try:
        return decode_global_contract_identifier(raw[1:])
    except InvalidBorsh as error:
        raise InvalidTrieKey(f"no global contract identifier: {error}") from None


def parse_index(raw: bytes) -> int:
    """The index at the end of a queue item's key."""
    if len(raw) < 9:
        raise InvalidTrieKey(f"no index: {raw!r}")
    return int.from_bytes(raw[-8:], "little")
