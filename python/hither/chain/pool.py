"""Transactions that wait for a chunk.

They are grouped by what their nonces count: signer, key, and the index of a gas key's
nonce. A chunk takes one transaction of each group in turn, in the order in which the
groups came, and within a group by nonce, as NEAR's pool does.
"""

import enum
from bisect import insort
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from hither.primitives.account import AccessKey, Account, UninitialisedAccount
from hither.primitives.transaction import SignedTransaction
from hither.primitives.types import BlockHeight, CryptoHash, Gas
from hither.runtime.fees import TransactionCost

POOL_SIZE_BYTES_MAX: Final = 100_000_000
"""NEAR's ``transaction_pool_size_limit``."""

GroupKey = tuple[str, int, bytes, int | None]


class InsertResult(enum.Enum):
    """What became of a transaction that was given to the pool."""

    ADDED = enum.auto()
    DUPLICATE = enum.auto()
    FULL = enum.auto()


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """That a transaction was found good, and on what grounds.

    The grounds are the bytes that its signer's records had and the gas price; while they are
    the same, the transaction still is good and has the same effect.
    """

    gas_price: int
    account_data: bytes
    key_data: bytes | None
    nonce_data: bytes | None
    cost: TransactionCost
    account_after: Account | UninitialisedAccount
    key_after: AccessKey | None


class PooledEntry(msgspec.Struct, frozen=True, gc=False):
    """A waiting transaction. ``base_height`` is the height of the block hash it names."""

    signed: SignedTransaction
    base_height: BlockHeight
    verdict: Verdict

    @property
    def gas_burnt(self) -> Gas:
        """What converting it into a receipt burns."""
        return self.verdict.cost.gas_burnt


def get_group_key(signed: SignedTransaction) -> GroupKey:
    """Transactions with equal keys have nonces in one sequence."""
    transaction = signed.transaction
    key = transaction.public_key
    return transaction.signer_id, key.kind, key.data, transaction.nonce_index


def _get_nonce(entry: PooledEntry) -> int:
    return entry.signed.transaction.nonce


class TransactionPool:
    """The waiting transactions of one shard's signers."""

    def __init__(self, size_bytes_max: int = POOL_SIZE_BYTES_MAX) -> None:
        self._groups: dict[GroupKey, list[PooledEntry]] = {}
        self._entries: dict[CryptoHash, PooledEntry] = {}
        self._size_bytes = 0
        self._size_bytes_max = size_bytes_max

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, transaction_hash: CryptoHash) -> bool:
        return transaction_hash in self._entries

    @property
    def size_bytes(self) -> int:
        """The borsh size of all that waits."""
        return self._size_bytes

    def get(self, transaction_hash: CryptoHash) -> SignedTransaction | None:
        """A waiting transaction."""
        entry = self._entries.get(transaction_hash)
        return None if entry is None else entry.signed

    def insert(self, entry: PooledEntry) -> InsertResult:
        """Add a transaction, unless it is there already or the pool is full."""
        signed = entry.signed
        if signed.hash in self._entries:
            return InsertResult.DUPLICATE
        if self._size_bytes + signed.size > self._size_bytes_max:
            return InsertResult.FULL
        self._entries[signed.hash] = entry
        self._size_bytes += signed.size
        key = get_group_key(signed)
        group = self._groups.get(key)
        if group is None:
            self._groups[key] = [entry]
        else:
            insort(group, entry, key=_get_nonce)
        return InsertResult.ADDED

    def iterate_groups(self) -> Iterator[tuple[GroupKey, list[PooledEntry]]]:
        """The groups in the order in which they came; the lists must not be changed."""
        return iter(list(self._groups.items()))

    def remove(self, hashes: Iterable[CryptoHash]) -> None:
        """Forget transactions that went into a chunk or were found useless."""
        touched: dict[GroupKey, set[CryptoHash]] = {}
        for transaction_hash in hashes:
            entry = self._entries.pop(transaction_hash, None)
            if entry is None:
                continue
            self._size_bytes -= entry.signed.size
            touched.setdefault(get_group_key(entry.signed), set()).add(transaction_hash)
        for key, gone in touched.items():
            left = [entry for entry in self._groups[key] if entry.signed.hash not in gone]
            # A group that had its turn goes to the end of the queue.
            del self._groups[key]
            if left:
                self._groups[key] = left

    def clear(self) -> None:
        """Forget everything."""
        self._groups.clear()
        self._entries.clear()
        self._size_bytes = 0
