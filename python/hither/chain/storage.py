"""Where a chain is kept: tables of the store for blocks and what they brought, beside the state's own.

Each height is one set of writes. It becomes visible to readers at once and is on disk
after the next ``sync``; several heights may share one. Rows are keyed by height first, so
that they are appended, cut off at the end by a revert and at the start by pruning.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from hither.chain.application import AppliedBlock, AppliedShard, make_block_info
from hither.chain.containers import (
    Making,
    decode_outcome,
    encode_making,
    encode_outcome,
    pack_items,
    unpack_items,
)
from hither.chain.epochs.tracker import EpochPosition, make_empty_block_info, record_block
from hither.chain.epochs.types import BlockInfo, EpochInfo, EpochStatistics
from hither.chain.head import ChainHead, ChunkResult, ShardProgress
from hither.chain.parameters import ChainParameters
from hither.chain.receipt_index import ReceiptIndex
from hither.chain.rows import (
    BLOCKS,
    CHUNK_PLACES,
    CHUNKS,
    EPOCH_STARTS,
    EPOCHS,
    HEIGHTS,
    LEAVES,
    MAKINGS,
    MERKLE,
    META,
    NODE_PREFIX,
    OUTCOMES,
    OUTGOING,
    PLACES,
    PROGRESS,
    PRUNED,
    RECEIPTS,
    SUMMARIES,
    ChainRows,
    ProgressRow,
    ShardRow,
    StorageError,
    decode_progress,
    height_key,
    node_key,
    shard_key,
)
from hither.crypto.hashing import combine_hashes
from hither.primitives.block import Block, encode_block
from hither.primitives.chunk import Chunk, encode_chunk_header
from hither.primitives.merkle import PartialMerkleTree
from hither.primitives.receipt import Receipt, decode_receipt, encode_receipt
from hither.primitives.transaction import encode_signed_transaction
from hither.primitives.types import ZERO_HASH, Balance, BlockHeight, CryptoHash, Gas, ShardId
from hither.state import Store, Trie
from hither.state.failpoints import reach
from hither.state.state_store import StateStore, Write

FORMAT_VERSION: Final = 1
RETENTION_HEIGHTS_MAX: Final = 100_000
STATISTICS_PERIOD: Final = 100
"""An epoch's record of production is kept at every so many heights; in between it is counted again."""

_FORMAT: Final = b"format"
_GENESIS: Final = b"genesis"
_HEAD: Final = b"head"
_TAIL: Final = b"tail"
_END: Final = 2**64 - 1


def compute_retention(parameters: ChainParameters) -> int:
    """How many heights are kept: five epochs, and as long as a transaction may wait; not more than 100,000."""
    wanted = max(5 * parameters.epoch_config.epoch_length, parameters.transaction_validity_period)
    return min(wanted, RETENTION_HEIGHTS_MAX)


class ChainStorage(ChainRows):
    """The rows of one chain. One writer; readers may be on other threads."""

    def __init__(self, store: Store, parameters: ChainParameters) -> None:
        super().__init__(store, parameters)
        self._window = compute_retention(parameters)
        self.state = StateStore(store)
        self._index = ReceiptIndex(self.get_making)
        self.tail = BlockHeight(parameters.genesis_height)

    def get_tail(self) -> BlockHeight:
        """``tail`` as it is on disk: for readers in another process."""
        return BlockHeight(int.from_bytes(self.must_get(META, _TAIL), "big"))

    # Beginning

    def start(
        self, head: ChainHead, chunks: tuple[Chunk, ...], meta: Mapping[bytes, bytes] = MappingProxyType({})
    ) -> None:
        """Write the genesis, with what ``set_meta`` would set. Interrupted, it leaves a store without a head,
        as good as empty.
        """
        tries = {shard.shard_id: shard.trie for shard in head.shards}
        for batch in self.state.genesis(head.height, tries):
            self._store.commit(batch, sync=False)
        writes = self._write_block(head, chunks, (head.height,) * len(chunks))
        writes += [(EPOCHS, epoch_id, msgspec.json.encode(info)) for epoch_id, info in head.epochs.items()]
        writes += [
            (META, _FORMAT, str(FORMAT_VERSION).encode()),
            (META, _GENESIS, head.hash),
            (META, _TAIL, height_key(head.height)),
            (EPOCH_STARTS, ZERO_HASH, height_key(head.height + 1)),
        ]
        writes += [(META, NODE_PREFIX + key, value) for key, value in meta.items()]
        self._store.commit(writes)

    def get_genesis_hash(self) -> CryptoHash | None:
        """What the store was started with; None when it is empty."""
        found = self._store.get(META, _GENESIS)
        return None if found is None else CryptoHash(found)

    def load(self) -> ChainHead:
        """The head as it was committed last, its state's roots compared."""
        version = self._store.get(META, _FORMAT)
        if version != str(FORMAT_VERSION).encode():
            raise StorageError(
                f"the data has format {version!r}, this program reads {FORMAT_VERSION}; "
                "use the program that wrote it"
            )
        found = self._store.get(META, _HEAD)
        assert found is not None, "a started store has a head"
        self.tail = self.get_tail()
        tries = {shard_id: trie for shard_id, (_, trie) in self.state.load().items()}
        return self.load_head(BlockHeight(int.from_bytes(found, "big")), tries)

    def load_head(self, height: BlockHeight, tries: Mapping[ShardId, Trie]) -> ChainHead:
        """The chain as it was after that height, with its state."""
        block = self.must_get_block(height)
        row = decode_progress(self.must_get(PROGRESS, height_key(height)))
        epochs = self._load_epochs(block, row)
        position = self.load_position(block, row)
        return ChainHead(
            block=block,
            final_height=BlockHeight(row.final_height),
            position=position,
            statistics=self.load_statistics(height, row, epochs[block.header.epoch_id]),
            epochs=epochs,
            merkle_tree=PartialMerkleTree(tuple(map(CryptoHash, row.merkle_path)), row.merkle_size),
            shards=tuple(
                self._load_shard(block, index, shard, tries) for index, shard in enumerate(row.shards)
            ),
        )

    def _load_shard(
        self, block: Block, index: int, row: ShardRow, tries: Mapping[ShardId, Trie]
    ) -> ShardProgress:
        chunk = block.chunks[index]
        receipts: tuple[Receipt, ...] = ()
        if row.outgoing_height is not None:
            receipts = self.get_outgoing(row.outgoing_height, index)
        result = ChunkResult(
            CryptoHash(row.outcome_root),
            Gas(row.gas_used),
            Balance(row.balance_burnt),
            row.validator_proposals,
            row.congestion_info,
            row.bandwidth_requests,
            receipts,
            tuple(map(encode_receipt, receipts)),
        )
        waiting = tuple(tuple(map(decode_receipt, receipts)) for receipts in row.waiting)
        return ShardProgress(chunk.shard_id, tries[chunk.shard_id], chunk, result, waiting)

    def _load_epochs(self, block: Block, row: ProgressRow) -> dict[CryptoHash, EpochInfo]:
        header = block.header
        ids = [header.epoch_id, header.next_epoch_id]
        if self._store.get(EPOCHS, header.hash) is not None:
            ids.append(header.hash)
        if header.hash != self.get_genesis_hash():
            first = self.must_get_block(BlockHeight(row.epoch_first_height))
            ids.append(self.must_get_block(BlockHeight(first.header.prev_height)).header.epoch_id)
        return {epoch_id: self.must_get_epoch(epoch_id) for epoch_id in ids}

    def load_position(self, block: Block, row: ProgressRow) -> EpochPosition:
        """Where a block stands in its epoch."""
        empty = make_empty_block_info()
        if block.header.is_genesis:
            info = make_block_info(block, BlockHeight(row.final_height))
            return EpochPosition(info, empty, empty, 0)
        first_block = self.must_get_block(BlockHeight(row.epoch_first_height))
        before_first = self.must_get_block(BlockHeight(first_block.header.prev_height))
        parent = self.must_get_block(BlockHeight(block.header.prev_height))
        return EpochPosition(
            self._make_info(block, first_block),
            self._make_info(parent, first_block),
            self._make_info(first_block, first_block),
            before_first.header.timestamp_ns,
        )

    def _make_info(self, block: Block, first: Block) -> BlockInfo:
        """A block's info, its epoch's first block being ``first`` unless it lies before that."""
        row = decode_progress(self.must_get(PROGRESS, height_key(block.header.height)))
        info = make_block_info(block, BlockHeight(row.final_height))
        if block.header.is_genesis:
            return info
        if block.header.height < first.header.height:
            first = self.must_get_block(BlockHeight(row.epoch_first_height))
        return msgspec.structs.replace(
            info, epoch_id=block.header.epoch_id, epoch_first_block=first.header.hash
        )

    def load_statistics(self, height: int, row: ProgressRow, epoch: EpochInfo) -> EpochStatistics:
        """The newest kept record, and the blocks since counted again."""
        if row.statistics is not None:
            return row.statistics
        first = row.epoch_first_height
        statistics, start = EpochStatistics(), first
        for at in range(height // STATISTICS_PERIOD * STATISTICS_PERIOD, first - 1, -STATISTICS_PERIOD):
            found = self._store.get(PROGRESS, height_key(at))
            kept = None if found is None else decode_progress(found).statistics
            if kept is not None:
                statistics, start = kept, at + 1
                break
        for block in self.iterate_blocks(start, height + 1):
            info = make_block_info(block, BlockHeight(0))
            statistics = record_block(statistics, info, BlockHeight(block.header.prev_height), epoch)
        return statistics

    # Going on

    def append(self, head: ChainHead, applied: AppliedBlock) -> None:
        """Keep a block and all that it brought. Visible at once, on disk after ``sync``."""
        height = head.height
        writes = self._write_block(head, applied.chunks, applied.parent_heights, applied.transaction_rows)
        for index, shard in enumerate(applied.shards):
            writes += self.state.append(height, shard.shard_id, shard.result.sealed)
            writes += self._write_shard(height, index, shard, applied)
        header = head.block.header
        if head.position.first is head.position.block:
            writes.append((EPOCH_STARTS, header.epoch_id, height_key(height)))
        if applied.ended_epoch is not None:
            ended_id, summary, decided = applied.ended_epoch
            writes.append((SUMMARIES, ended_id, msgspec.json.encode(summary)))
            writes.append((EPOCHS, header.hash, msgspec.json.encode(decided)))
        self._store.commit(writes, sync=False)

    def sync(self) -> None:
        """Put on disk, in one step, everything that was appended."""
        self._store.commit([])

    def _write_block(
        self,
        head: ChainHead,
        chunks: tuple[Chunk, ...],
        parent_heights: tuple[int, ...],
        transaction_rows: tuple[tuple[bytes, ...], ...] | None = None,
    ) -> list[Write]:
        block, key = head.block, height_key(head.height)
        writes: list[Write] = [
            (BLOCKS, key, encode_block(block)),
            (HEIGHTS, block.hash, key),
            (PROGRESS, key, self._encode_progress(head)),
            (META, _HEAD, key),
        ]
        writes += self._write_merkle_nodes(block.header.block_ordinal - 1, block.hash)
        positions = {chunk.shard_id: index for index, chunk in enumerate(block.chunks)}
        for at, (chunk, parent_height) in enumerate(zip(chunks, parent_heights, strict=True)):
            place = shard_key(head.height, positions[chunk.header.shard_id])
            items = [encode_chunk_header(chunk.header), height_key(parent_height)]
            items += (
                transaction_rows[at]
                if transaction_rows
                else map(encode_signed_transaction, chunk.transactions)
            )
            writes.append((CHUNKS, place, pack_items(items)))
            writes.append((CHUNK_PLACES, chunk.header.hash, place))
        return writes

    def _encode_progress(self, head: ChainHead) -> bytes:
        keeps = head.height % STATISTICS_PERIOD == 0 or head.position.first is head.position.block
        shards = []
        for shard in head.shards:
            result = shard.result
            is_genesis = shard.chunk.height_included == self._parameters.genesis_height
            shards.append(
                ShardRow(
                    shard.chunk.height_included,
                    None if is_genesis else shard.chunk.height_included,
                    result.outcome_root,
                    result.gas_used,
                    result.balance_burnt,
                    result.validator_proposals,
                    result.congestion_info,
                    result.bandwidth_requests,
                    tuple(tuple(map(encode_receipt, receipts)) for receipts in shard.waiting),
                )
            )
        row = ProgressRow(
            head.final_height,
            head.position.first.height,
            head.merkle_tree.path,
            head.merkle_tree.size,
            tuple(shards),
            head.statistics if keeps else None,
        )
        return msgspec.json.encode(row)

    def _write_merkle_nodes(self, index: int, leaf: CryptoHash) -> list[Write]:
        """The leaf, and every inner node that it completes."""
        writes: list[Write] = [(MERKLE, node_key(0, index), leaf)]
        level, node = 0, leaf
        while index % 2:
            left = self.must_get(MERKLE, node_key(level, index - 1))
            node = CryptoHash(combine_hashes(left, node))
            level, index = level + 1, index // 2
            writes.append((MERKLE, node_key(level, index), node))
        return writes

    def _write_shard(
        self, height: BlockHeight, index: int, shard: AppliedShard, applied: AppliedBlock
    ) -> list[Write]:
        """Outcomes, receipts, and where each is found."""
        result, key = shard.result, shard_key(height, index)
        writes: list[Write] = []
        chunk = next((c for c in applied.chunks if c.header.shard_id == shard.shard_id), None)
        if chunk is None:
            return writes
        if result.outcomes:
            writes.append((OUTCOMES, key, pack_items([encode_outcome(o) for o in result.outcomes])))
            writes.append((LEAVES, key, b"".join(shard.leaves)))
        if result.outgoing_rows:
            writes.append((OUTGOING, key, pack_items(result.outgoing_rows)))
        writes += self._index.write(height, index, result, chunk.transactions)
        return writes

    def set_meta(self, key: bytes, value: bytes | None) -> None:
        """Change one. On disk when it returns."""
        self._store.commit([(META, NODE_PREFIX + key, value)])

    # Going back, and forgetting

    def revert_to(self, height: BlockHeight, meta: Mapping[bytes, bytes]) -> None:
        """Cut off all that came after ``height`` and change ``meta``, in one step; on disk when it returns."""
        writes: list[Write] = [(META, NODE_PREFIX + key, value) for key, value in meta.items()]
        writes += self._list_rows(height + 1, _END)
        writes += self._undo_index(height)
        for block in self.iterate_blocks(height + 1, _END):
            header = block.header
            writes.append((HEIGHTS, header.hash, None))
            writes += [(MERKLE, key, None) for key in _list_completed_nodes(header.block_ordinal - 1)]
            if self.get_epoch_start(header.epoch_id) == header.height:
                writes.append((EPOCH_STARTS, header.epoch_id, None))
            if self._store.get(EPOCHS, header.hash) is not None:
                writes += [(EPOCHS, header.hash, None), (SUMMARIES, header.epoch_id, None)]
        writes += self.state.revert_to(height)
        writes.append((META, _HEAD, height_key(height)))
        self._store.commit(writes)
        self._index.clear()

    def prune(self, oldest_height: BlockHeight, *, heights_max: int = 64) -> None:
        """Forget blocks below ``oldest_height``, a few at a time. What epochs were stays.

        Hashes are remembered for as long again, so that a question about such a block can be told why.
        """
        end = min(oldest_height, self.tail + heights_max)
        if end <= self.tail:
            return
        start = max(self.tail, self._parameters.genesis_height + 1)
        writes = self._list_rows(start, end) + self._prune_index(start, end)
        for block in self.iterate_blocks(start, end):
            writes.append((PRUNED, height_key(block.header.height), block.hash))
            writes += [(MERKLE, key, None) for key in _list_obsolete_nodes(block.header.block_ordinal - 1)]
        window = self._window
        for key, block_hash in self._store.scan(PRUNED, None, height_key(max(0, end - window))):
            writes += [(PRUNED, key, None), (HEIGHTS, block_hash, None)]
        writes += self.state.prune(oldest_height)
        writes.append((META, _TAIL, height_key(end)))
        self._store.commit(writes, sync=False)
        reach("pruned")
        self.tail = BlockHeight(end)

    def _list_rows(self, start: int, end: int) -> list[Write]:
        """Deletions of what the heights from ``start`` up to ``end`` hold."""
        low, high = height_key(start), height_key(end)
        writes: list[Write] = []
        if start >= end:
            return writes
        for block in self.iterate_blocks(start, end):
            new = (chunk for chunk in block.chunks if chunk.height_included == block.header.height)
            writes += [(CHUNK_PLACES, chunk.hash, None) for chunk in new]
        for table in (BLOCKS, PROGRESS, CHUNKS, OUTGOING, OUTCOMES, LEAVES, RECEIPTS):
            writes += [(table, key, None) for key, _ in self._store.scan(table, low, high)]
        return writes

    def _undo_index(self, height: BlockHeight) -> list[Write]:
        """Forget where things were executed, made and kept after ``height``."""
        low = height_key(height + 1)
        writes: list[Write] = []
        for _, row in self._store.scan(OUTCOMES, low):
            for item in unpack_items(row):
                outcome = decode_outcome(item)
                writes.append((PLACES, outcome.id, None))
                writes += [(MAKINGS, child, None) for child in outcome.receipt_ids]
        for table in (OUTGOING, RECEIPTS):
            for _, row in self._store.scan(table, low):
                for item in unpack_items(row):
                    receipt_id = decode_receipt(item).receipt_id
                    making = self.get_making(receipt_id)
                    is_older = making is not None and making.height <= height and making.origin != ZERO_HASH
                    # What was made before waits in its shard's queues again.
                    kept = (
                        Making(making.height, making.shard_index, making.origin)
                        if making and is_older
                        else None
                    )
                    writes.append((MAKINGS, receipt_id, None if kept is None else encode_making(kept)))
        return writes

    def _prune_index(self, start: int, end: int) -> list[Write]:
        """Forget where the things of these heights are."""
        low, high = height_key(start), height_key(end)
        writes: list[Write] = []
        for _, row in self._store.scan(OUTCOMES, low, high):
            writes += [(PLACES, decode_outcome(item).id, None) for item in unpack_items(row)]
        for table in (OUTGOING, RECEIPTS):
            for _, row in self._store.scan(table, low, high):
                ids = (decode_receipt(item).receipt_id for item in unpack_items(row))
                writes += [(MAKINGS, receipt_id, None) for receipt_id in ids]
        return writes


def _list_completed_nodes(index: int) -> list[bytes]:
    """The nodes that came with a leaf."""
    keys, level = [node_key(0, index)], 0
    while index % 2:
        level, index = level + 1, index // 2
        keys.append(node_key(level, index))
    return keys


def _list_obsolete_nodes(index: int) -> list[bytes]:
    """The nodes that no proof needs once all leaves up to this one are forgotten."""
    keys, level = [], 0
    while index % 2:
        keys += [node_key(level, index - 1), node_key(level, index)]
        level, index = level + 1, index // 2
    return keys
