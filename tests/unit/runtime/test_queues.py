"""Receipt queues in the trie: order, records, and what loading them again finds."""

from hither.primitives.receipt import DataReceipt, QueuedReceipt, Receipt, ReceiptMetadata
from hither.primitives.types import AccountId, CryptoHash, Gas, ShardId
from hither.runtime.queues import DelayedReceiptQueue, OutgoingBuffers, ReceiptGroups
from hither.state import ChunkState, Trie, keys

SHARD = ShardId(7)


def make_item(number: int, size_bytes: int = 200) -> QueuedReceipt:
    body = DataReceipt(CryptoHash(bytes([number]) * 32), b"data")
    receipt = Receipt(AccountId("alice.near"), AccountId("bob.near"), CryptoHash(bytes([number]) * 32), body)
    return QueuedReceipt(receipt, ReceiptMetadata(Gas(number), size_bytes))


def test_delayed_receipts_come_back_in_order_after_reloading() -> None:
    state = ChunkState(Trie())
    queue = DelayedReceiptQueue(state)
    assert queue.pop_front() is None
    for number in range(3):
        queue.push_back(make_item(number))
    assert queue.pop_front() == make_item(0)
    again = DelayedReceiptQueue(state)
    assert len(again) == 2
    assert [again.pop_front(), again.pop_front(), again.pop_front()] == [make_item(1), make_item(2), None]


def test_emptied_delayed_queue_keeps_its_indices() -> None:
    """NEAR never resets them: the record stays, and so does its part of the state root."""
    state = ChunkState(Trie())
    queue = DelayedReceiptQueue(state)
    queue.push_back(make_item(1))
    queue.pop_front()
    assert state.get(keys.DELAYED_RECEIPT_INDICES) == bytes([1, 0, 0, 0, 0, 0, 0, 0] * 2)
    assert state.get(keys.delayed_receipt(0)) is None


def test_buffers_of_two_shards_share_one_record_of_indices() -> None:
    state = ChunkState(Trie())
    buffers = OutgoingBuffers(state)
    for number in range(3):
        buffers.push_back(SHARD, make_item(number))
    buffers.push_back(ShardId(2), make_item(9))
    buffers.drop_front(SHARD, 2)
    again = OutgoingBuffers(state)
    assert again.list_shards() == [2, 7]
    assert list(again.iterate(SHARD)) == [make_item(2)]
    assert list(again.iterate(ShardId(2))) == [make_item(9)]
    assert again.count(ShardId(5)) == 0
    assert state.get(keys.buffered_receipt(SHARD, 1)) is None
    raw = state.get(keys.BUFFERED_RECEIPT_INDICES)
    assert raw is not None
    assert raw[:12] == bytes([2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0])


def test_groups_close_before_they_pass_their_size() -> None:
    state = ChunkState(Trie())
    groups = ReceiptGroups(state, SHARD)
    for size_bytes in (60_000, 40_000, 1, 250_000, 5):
        groups.add_receipt(size_bytes, Gas(1))
    again = ReceiptGroups.load_optional(state, SHARD)
    assert again is not None
    assert list(again.iterate_sizes()) == [100_000, 1, 250_000, 5]
    assert (again.total_size_bytes, again.total_gas, again.receipts_count) == (350_006, 5, 5)


def test_groups_shrink_from_the_front() -> None:
    state = ChunkState(Trie())
    groups = ReceiptGroups(state, SHARD)
    for size_bytes in (60_000, 40_000, 1):
        groups.add_receipt(size_bytes, Gas(2))
    groups.remove_receipt(60_000, Gas(2))
    assert list(groups.iterate_sizes()) == [40_000, 1]
    groups.remove_receipt(40_000, Gas(2))
    assert list(groups.iterate_sizes()) == [1]
    assert state.get(keys.buffered_receipt_group(SHARD, 0)) is None


def test_groups_of_a_shard_never_buffered_for_have_no_record() -> None:
    assert ReceiptGroups.load_optional(ChunkState(Trie()), SHARD) is None
