"""The rows of a chain's tables, and how they are read. Writing them is ``storage``'s.

Rows are keyed by height first, so that they are appended, cut off at the end by a revert
and at the start by pruning.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from hither.chain.containers import (
    Making,
    Place,
    decode_making,
    decode_outcome,
    decode_place,
    get_item,
    unpack_items,
)
from hither.chain.epochs.types import EpochInfo, EpochStatistics, EpochSummary
from hither.chain.parameters import ChainParameters
from hither.primitives.block import Block, decode_block
from hither.primitives.chunk import Chunk, decode_chunk_header
from hither.primitives.outcome import Outcome
from hither.primitives.receipt import Receipt, decode_receipt
from hither.primitives.sharding import BandwidthRequest, CongestionInfo, ValidatorStake
from hither.primitives.transaction import SignedTransaction, decode_signed_transaction
from hither.primitives.types import BlockHeight, CryptoHash
from hither.state import Store
from hither.state.state_store import STATE_TABLES

BLOCKS: Final = "blocks"
HEIGHTS: Final = "heights"
CHUNKS: Final = "chunks"
CHUNK_PLACES: Final = "chunk_places"
OUTGOING: Final = "outgoing_receipts"
OUTCOMES: Final = "outcomes"
LEAVES: Final = "outcome_leaves"
RECEIPTS: Final = "local_receipts"
PLACES: Final = "places"
MAKINGS: Final = "makings"
PRUNED: Final = "pruned_blocks"
PROGRESS: Final = "progress"
EPOCHS: Final = "epochs"
EPOCH_STARTS: Final = "epoch_starts"
SUMMARIES: Final = "epoch_summaries"
MERKLE: Final = "block_merkle_nodes"
META: Final = "meta"
NODE_PREFIX: Final = b"node/"
"""Of rows of ``META`` that are the node's own."""
TABLES: Final = [
    BLOCKS,
    HEIGHTS,
    CHUNKS,
    CHUNK_PLACES,
    OUTGOING,
    OUTCOMES,
    LEAVES,
    RECEIPTS,
    PLACES,
    MAKINGS,
    PRUNED,
    PROGRESS,
    EPOCHS,
    EPOCH_STARTS,
    SUMMARIES,
    MERKLE,
    META,
    *STATE_TABLES,
]


class StorageError(RuntimeError):
    """The home directory's data cannot be used. The message says what to do."""


class ShardRow(msgspec.Struct, frozen=True):
    """A shard's ``ChunkResult`` without the receipts, and where its newest chunk is."""

    height_included: int
    outgoing_height: int | None
    outcome_root: bytes
    gas_used: int
    balance_burnt: int
    validator_proposals: tuple[ValidatorStake, ...]
    congestion_info: CongestionInfo
    bandwidth_requests: tuple[BandwidthRequest, ...]
    waiting: tuple[tuple[bytes, ...], ...] = ()


class ProgressRow(msgspec.Struct, frozen=True):
    """What a ``ChainHead`` holds that is in no other row."""

    final_height: int
    epoch_first_height: int
    merkle_path: tuple[bytes, ...]
    merkle_size: int
    shards: tuple[ShardRow, ...]
    statistics: EpochStatistics | None = None


def height_key(height: int) -> bytes:
    """Big endian, so that rows stand in the order of heights."""
    return height.to_bytes(8, "big")


def shard_key(height: int, shard_index: int) -> bytes:
    """A height and a shard's position in blocks."""
    return height.to_bytes(8, "big") + shard_index.to_bytes(2, "big")


def node_key(level: int, index: int) -> bytes:
    """A whole node of the tree of all blocks."""
    return bytes((level,)) + index.to_bytes(8, "big")


decode_progress = msgspec.json.Decoder(ProgressRow).decode
_decode_epoch = msgspec.json.Decoder(EpochInfo).decode
_decode_summary = msgspec.json.Decoder(EpochSummary).decode


class ChainRows:
    """A chain's tables for reading. Any thread may read; a row is never half written."""

    def __init__(self, store: Store, parameters: ChainParameters) -> None:
        self._store = store
        self._parameters = parameters

    def must_get(self, table: str, key: bytes) -> bytes:
        row = self._store.get(table, key)
        if row is None:
            raise StorageError(f"table {table} lacks the row {key.hex()}: the data is damaged")
        return row

    def get_height(self, block_hash: CryptoHash) -> BlockHeight | None:
        """The height of a block; None if it is not on this chain."""
        row = self._store.get(HEIGHTS, block_hash)
        return None if row is None else BlockHeight(int.from_bytes(row, "big"))

    def get_block(self, height: BlockHeight) -> Block | None:
        """The block at that height; None if it was skipped, is not there yet, or is pruned."""
        row = self._store.get(BLOCKS, height_key(height)) if 0 <= height < 2**64 else None
        return None if row is None else decode_block(row)

    def must_get_block(self, height: BlockHeight) -> Block:
        """A block that is known to be there."""
        return decode_block(self.must_get(BLOCKS, height_key(height)))

    def get_next_block(self, height: BlockHeight) -> Block | None:
        """The first block above that height."""
        rows = self._store.scan(BLOCKS, height_key(height + 1), limit=1)
        return decode_block(rows[0][1]) if rows else None

    def iterate_blocks(self, start: int, end: int) -> Iterator[Block]:
        """The blocks with start <= height < end."""
        while start < end:
            rows = self._store.scan(BLOCKS, height_key(start), height_key(end), limit=256)
            if not rows:
                return
            yield from (decode_block(row) for _, row in rows)
            start = int.from_bytes(rows[-1][0], "big") + 1

    def get_chunk_place(self, chunk_hash: CryptoHash) -> tuple[int, int] | None:
        """The height and shard position of a chunk."""
        row = self._store.get(CHUNK_PLACES, chunk_hash)
        return None if row is None else (int.from_bytes(row[:8], "big"), int.from_bytes(row[8:], "big"))

    def get_chunk(self, height: int, shard_index: int) -> Chunk | None:
        """The chunk that was included at that height."""
        row = self._store.get(CHUNKS, shard_key(height, shard_index))
        if row is None:
            return None
        header, parent_height, *transactions = unpack_items(row)
        receipts: tuple[Receipt, ...] = ()
        if height != self._parameters.genesis_height:
            receipts = self.get_outgoing(int.from_bytes(parent_height, "big"), shard_index)
        return Chunk(
            decode_chunk_header(header),
            tuple(decode_signed_transaction(row) for row in transactions),
            receipts,
        )

    def get_outgoing(self, height: int, shard_index: int) -> tuple[Receipt, ...]:
        """The receipts that left the shard when its chunk at that height was applied."""
        row = self._store.get(OUTGOING, shard_key(height, shard_index))
        return () if row is None else tuple(decode_receipt(item) for item in unpack_items(row))

    def get_place(self, id_: CryptoHash) -> Place | None:
        """Where the outcome of a transaction or receipt is."""
        row = self._store.get(PLACES, id_) if len(id_) == 32 else None
        return None if row is None else decode_place(row)

    def get_making(self, receipt_id: CryptoHash) -> Making | None:
        """Where a receipt was made and is kept."""
        row = self._store.get(MAKINGS, receipt_id) if len(receipt_id) == 32 else None
        return None if row is None else decode_making(row)

    def get_pruned_hash(self, height: BlockHeight) -> CryptoHash | None:
        """The hash of a block that was pruned not too long ago."""
        row = self._store.get(PRUNED, height_key(height))
        return None if row is None else CryptoHash(row)

    def get_transaction(self, place: Place) -> SignedTransaction | None:
        """The transaction at its place; None when that has just been pruned."""
        assert place.transaction_index is not None
        row = self._store.get(CHUNKS, shard_key(place.height, place.shard_index))
        return None if row is None else decode_signed_transaction(get_item(row, place.transaction_index + 2))

    def get_receipt(self, making: Making) -> Receipt | None:
        """A receipt; None while it waits in its shard's queues, or when its bytes are pruned."""
        if making.kept_height is None or making.kept_index is None:
            return None
        table = RECEIPTS if making.is_local else OUTGOING
        row = self._store.get(table, shard_key(making.kept_height, making.shard_index))
        return None if row is None else decode_receipt(get_item(row, making.kept_index))

    def get_outcome(self, place: Place) -> Outcome | None:
        """The outcome at its place; None when that has just been pruned."""
        row = self._store.get(OUTCOMES, shard_key(place.height, place.shard_index))
        return None if row is None else decode_outcome(get_item(row, place.outcome_index))

    def get_outcomes(self, height: int, shard_index: int) -> list[Outcome]:
        """All outcomes of a shard at a height."""
        row = self._store.get(OUTCOMES, shard_key(height, shard_index))
        return [] if row is None else [decode_outcome(item) for item in unpack_items(row)]

    def get_leaves(self, height: int, shard_index: int) -> list[bytes]:
        """Their Merkle leaves, in the same order."""
        row = self._store.get(LEAVES, shard_key(height, shard_index)) or b""
        return [row[at : at + 32] for at in range(0, len(row), 32)]

    def get_final_height(self, height: BlockHeight) -> BlockHeight:
        """The newest final height as the block at ``height`` saw it."""
        return BlockHeight(decode_progress(self.must_get(PROGRESS, height_key(height))).final_height)

    def get_epoch(self, epoch_id: CryptoHash) -> EpochInfo | None:
        """An epoch's validators."""
        row = self._store.get(EPOCHS, epoch_id) if len(epoch_id) == 32 else None
        return None if row is None else _decode_epoch(row)

    def must_get_epoch(self, epoch_id: CryptoHash) -> EpochInfo:
        """An epoch that is known to be there."""
        return _decode_epoch(self.must_get(EPOCHS, epoch_id))

    def get_epoch_start(self, epoch_id: CryptoHash) -> BlockHeight | None:
        """The height of an epoch's first block; None if it has not begun."""
        row = self._store.get(EPOCH_STARTS, epoch_id)
        return None if row is None else BlockHeight(int.from_bytes(row, "big"))

    def get_summary(self, epoch_id: CryptoHash) -> EpochSummary | None:
        """What a finished epoch came to."""
        row = self._store.get(SUMMARIES, epoch_id)
        return None if row is None else _decode_summary(row)

    def get_merkle_node(self, level: int, index: int) -> CryptoHash | None:
        """A whole inner node (or leaf, at level 0) of the tree of all blocks."""
        row = self._store.get(MERKLE, node_key(level, index))
        return None if row is None else CryptoHash(row)

    def get_meta(self, key: bytes) -> bytes | None:
        """A row of the node's own, such as its snapshots."""
        return self._store.get(META, NODE_PREFIX + key)
