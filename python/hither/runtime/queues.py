"""Receipt queues that live in the trie: delayed, buffered for another shard, and groups of the latter.

A queue is a pair of indices (first taken, next free) and one record per item.
Indices are kept in memory while a chunk is applied and written back at every
change, as NEAR does; load each queue once per chunk (NEAR: ``TrieQueue``,
``DelayedReceiptQueue``, ``ShardsOutgoingReceiptBuffer``, ``ReceiptGroupsQueue``).
"""

import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from hither.primitives.receipt import QueuedReceipt, decode_queued_receipt, encode_queued_receipt
from hither.primitives.types import Gas, ShardId
from hither.state import ChunkState, Trie, keys

GROUP_SIZE_BYTES_MAX: Final = 100_000
"""A group of buffered receipts is closed before it would pass this size."""

_INDICES: Final = struct.Struct("<QQ")
_SHARD_INDICES: Final = struct.Struct("<QQQ")


class StateInconsistent(AssertionError):
    """The trie breaks one of its own invariants: the node must stop."""


def _must_get(state: ChunkState, key: bytes) -> bytes:
    value = state.get(key)
    if value is None:
        raise StateInconsistent(f"a queue item is missing from the state: {key.hex()}")
    return value


class DelayedReceiptQueue:
    """Receipts that did not fit into an earlier chunk of this shard."""

    def __init__(self, state: ChunkState) -> None:
        self._state = state
        raw = state.get(keys.DELAYED_RECEIPT_INDICES)
        self._first: int = 0
        self._next: int = 0
        if raw is not None:
            self._first, self._next = _INDICES.unpack(raw)

    def __len__(self) -> int:
        return self._next - self._first

    def push_back(self, item: QueuedReceipt) -> None:
        """Append; the index records change with it."""
        self._state.set(keys.delayed_receipt(self._next), encode_queued_receipt(item))
        self._next += 1
        self._write_indices()

    def pop_front(self) -> QueuedReceipt | None:
        """Take the oldest, None when empty."""
        if self._first >= self._next:
            return None
        key = keys.delayed_receipt(self._first)
        item = decode_queued_receipt(_must_get(self._state, key))
        self._state.remove(key)
        self._first += 1
        self._write_indices()
        return item

    def _write_indices(self) -> None:
        self._state.set(keys.DELAYED_RECEIPT_INDICES, _INDICES.pack(self._first, self._next))


def count_delayed_receipts(trie: Trie) -> int:
    """How many receipts a shard has put off."""
    raw = trie.get(keys.DELAYED_RECEIPT_INDICES)
    if raw is None:
        return 0
    first, next_free = _INDICES.unpack(raw)
    return int(next_free - first)


class OutgoingBuffers:
    """Receipts that wait to be sent, one queue per receiving shard, in one record of indices."""

    def __init__(self, state: ChunkState) -> None:
        self._state = state
        raw = state.get(keys.BUFFERED_RECEIPT_INDICES)
        self._indices: dict[ShardId, tuple[int, int]] = {}
        if raw is not None:
            for shard_id, first, next_free in _SHARD_INDICES.iter_unpack(raw[4:]):
                self._indices[ShardId(shard_id)] = (first, next_free)

    def list_shards(self) -> list[ShardId]:
        """Shards that have a queue, also an empty one, in order."""
        return sorted(self._indices)

    def count(self, shard_id: ShardId) -> int:
        """How many receipts wait for the shard."""
        first, next_free = self._indices.get(shard_id, (0, 0))
        return next_free - first

    def push_back(self, shard_id: ShardId, item: QueuedReceipt) -> None:
        """Append to the shard's queue."""
        first, next_free = self._indices.get(shard_id, (0, 0))
        self._state.set(keys.buffered_receipt(shard_id, next_free), encode_queued_receipt(item))
        self._indices[shard_id] = (first, next_free + 1)
        self._write_indices()

    def iterate(self, shard_id: ShardId) -> Iterator[QueuedReceipt]:
        """From the oldest; each step reads the trie. Do not change the queue meanwhile."""
        for index in range(*self._indices.get(shard_id, (0, 0))):
            yield decode_queued_receipt(_must_get(self._state, keys.buffered_receipt(shard_id, index)))

    def drop_front(self, shard_id: ShardId, count: int) -> None:
        """Remove the oldest ``count`` without reading them."""
        if count == 0:
            return
        first, next_free = self._indices[shard_id]
        assert first + count <= next_free
        for index in range(first, first + count):
            self._state.remove(keys.buffered_receipt(shard_id, index))
        self._indices[shard_id] = (first + count, next_free)
        self._write_indices()

    def _write_indices(self) -> None:
        records = [
            _SHARD_INDICES.pack(shard_id, *self._indices[shard_id]) for shard_id in sorted(self._indices)
        ]
        self._state.set(keys.BUFFERED_RECEIPT_INDICES, struct.pack("<I", len(records)) + b"".join(records))


class ReceiptGroup(msgspec.Struct, frozen=True, gc=False):
    """Consecutive buffered receipts: their sizes and gas together."""

    size_bytes: int
    gas: Gas

    def encode(self) -> bytes:
        """Version 0, u64 size, u128 gas."""
        return struct.pack("<BQ", 0, self.size_bytes) + self.gas.to_bytes(16, "little")

    @staticmethod
    def decode(raw: bytes) -> "ReceiptGroup":
        """Inverse of ``encode``."""
        if len(raw) != 25 or raw[0] != 0:
            raise StateInconsistent("unknown form of a receipt group")
        return ReceiptGroup(int.from_bytes(raw[1:9], "little"), Gas(int.from_bytes(raw[9:], "little")))


class ReceiptGroups:
    """Totals and groups of the receipts buffered for one shard.

    They tell how much bandwidth to ask for without reading each receipt.
    """

    def __init__(self, state: ChunkState, shard_id: ShardId) -> None:
        """A queue that has no record yet."""
        self._state = state
        self._shard_id = shard_id
        self._first, self._next = 0, 0
        self.total_size_bytes = 0
        self.total_gas = 0
        self.receipts_count = 0

    @staticmethod
    def load_optional(state: ChunkState, shard_id: ShardId) -> "ReceiptGroups | None":
        """The shard's record: version 0, indices, total size, total gas, number of receipts."""
        raw = state.get(keys.buffered_receipt_groups_data(shard_id))
        if raw is None:
            return None
        if len(raw) != 49 or raw[0] != 0:
            raise StateInconsistent("unknown form of receipt group totals")
        groups = ReceiptGroups(state, shard_id)
        groups._first, groups._next, groups.total_size_bytes = struct.unpack_from("<QQQ", raw, 1)
        groups.total_gas = int.from_bytes(raw[25:41], "little")
        groups.receipts_count = int.from_bytes(raw[41:], "little")
        return groups

    def add_receipt(self, size_bytes: int, gas: Gas) -> None:
        """Account for a receipt appended to the buffer: into the last group, or a new one."""
        self.total_size_bytes += size_bytes
        self.total_gas += gas
        self.receipts_count += 1
        last = self._pop_back()
        if last is None:
            self._push_back(ReceiptGroup(size_bytes, gas))
        elif last.size_bytes + size_bytes > GROUP_SIZE_BYTES_MAX or last.gas + gas > 2**64 - 1:
            self._push_back(last)
            self._push_back(ReceiptGroup(size_bytes, gas))
        else:
            self._push_back(ReceiptGroup(last.size_bytes + size_bytes, Gas(last.gas + gas)))

    def remove_receipt(self, size_bytes: int, gas: Gas) -> None:
        """Account for a receipt taken from the front of the buffer."""
        self.total_size_bytes -= size_bytes
        self.total_gas -= gas
        self.receipts_count -= 1
        assert min(self.total_size_bytes, self.total_gas, self.receipts_count) >= 0
        assert self._first < self._next, "every buffered receipt is in a group"
        key = keys.buffered_receipt_group(self._shard_id, self._first)
        group = ReceiptGroup.decode(_must_get(self._state, key))
        rest = ReceiptGroup(group.size_bytes - size_bytes, Gas(group.gas - gas))
        if rest.size_bytes == 0:
            assert rest.gas == 0
            self._state.remove(key)
            self._first += 1
        else:
            self._state.set(key, rest.encode())
        self._write_data()

    def iterate_sizes(self) -> Iterator[int]:
        """Sizes of the groups from the oldest; each step reads the trie."""
        for index in range(self._first, self._next):
            key = keys.buffered_receipt_group(self._shard_id, index)
            yield ReceiptGroup.decode(_must_get(self._state, key)).size_bytes

    def _pop_back(self) -> ReceiptGroup | None:
        if self._first >= self._next:
            return None
        self._next -= 1
        key = keys.buffered_receipt_group(self._shard_id, self._next)
        group = ReceiptGroup.decode(_must_get(self._state, key))
        self._state.remove(key)
        self._write_data()
        return group

    def _push_back(self, group: ReceiptGroup) -> None:
        self._state.set(keys.buffered_receipt_group(self._shard_id, self._next), group.encode())
        self._next += 1
        self._write_data()

    def _write_data(self) -> None:
        raw = struct.pack("<BQQQ", 0, self._first, self._next, self.total_size_bytes)
        raw += self.total_gas.to_bytes(16, "little") + struct.pack("<Q", self.receipts_count)
        self._state.set(keys.buffered_receipt_groups_data(self._shard_id), raw)
