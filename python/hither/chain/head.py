"""The state of a chain after a block: all that the next block is made and applied from.

A head is immutable; going back to an old head is going back in time. Tries of successive
heads share their nodes.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from hither.chain.epochs.tracker import EpochPosition
from hither.chain.epochs.types import EpochInfo, EpochStatistics
from hither.primitives.block import Block
from hither.primitives.chunk import ChunkHeader
from hither.primitives.merkle import PartialMerkleTree
from hither.primitives.receipt import Receipt
from hither.primitives.sharding import (
    BandwidthRequest,
    CongestionInfo,
    ExtendedCongestionInfo,
    ShardLayout,
    ValidatorStake,
)
from hither.primitives.types import (
    SYSTEM_ACCOUNT,
    ZERO_HASH,
    Balance,
    BlockHeight,
    CryptoHash,
    Gas,
    ShardId,
)
from hither.state import AnyTrie, Trie


class ChunkResult(msgspec.Struct, frozen=True):
    """What applying a shard's newest chunk came to: its next chunk commits to it.

    ``outgoing_rows`` are the encoded receipts.
    """

    outcome_root: CryptoHash
    gas_used: Gas
    balance_burnt: Balance
    validator_proposals: tuple[ValidatorStake, ...]
    congestion_info: CongestionInfo
    bandwidth_requests: tuple[BandwidthRequest, ...]
    outgoing_receipts: tuple[Receipt, ...]
    outgoing_rows: tuple[bytes, ...] = ()


class ShardProgress(msgspec.Struct, frozen=True):
    """One shard after a block.

    ``chunk`` is its newest chunk's header. ``waiting`` are the receipts that came in with blocks in
    which the shard had no chunk, newest block first.
    """

    shard_id: ShardId
    trie: Trie
    chunk: ChunkHeader
    result: ChunkResult
    waiting: tuple[tuple[Receipt, ...], ...] = ()


class ChainHead(msgspec.Struct, frozen=True):
    """A chain after its newest block.

    ``merkle_tree`` has all blocks before this one as leaves. ``epochs`` holds at least the epochs
    before, of, and two after the block; ``final_height`` is the height of the newest final block.
    """

    block: Block
    final_height: BlockHeight
    position: EpochPosition
    statistics: EpochStatistics
    epochs: Mapping[CryptoHash, EpochInfo]
    merkle_tree: PartialMerkleTree
    shards: tuple[ShardProgress, ...]

    @property
    def height(self) -> BlockHeight:
        return BlockHeight(self.block.header.height)

    @property
    def hash(self) -> CryptoHash:
        return self.block.header.hash

    @property
    def epoch(self) -> EpochInfo:
        """The epoch of the newest block."""
        return self.epochs[self.block.header.epoch_id]

    def get_shard(self, shard_id: ShardId) -> ShardProgress:
        """The shard with this id."""
        return next(shard for shard in self.shards if shard.shard_id == shard_id)

    def get_trie(self, shard_index: int) -> Trie:
        """The state of the shard at that position in blocks."""
        return self.shards[shard_index].trie

    def has_waiting_receipts(self) -> bool:
        """Whether the next block has receipts to process, apart from yields."""
        for shard in self.shards:
            info = shard.result.congestion_info
            if shard.result.outgoing_receipts or shard.waiting:
                return True
            if info.delayed_receipts_gas or info.buffered_receipts_gas or info.receipt_bytes:
                return True
        return False

    def has_only_refunds_waiting(self) -> bool:
        """Whether the receipts that the next block has to process are all refunds."""
        for shard in self.shards:
            info = shard.result.congestion_info
            if shard.waiting or info.delayed_receipts_gas or info.buffered_receipts_gas or info.receipt_bytes:
                return False
            if any(receipt.predecessor_id != SYSTEM_ACCOUNT for receipt in shard.result.outgoing_receipts):
                return False
        return True


class HeadView(Protocol):
    """What readers need of a head: a ``ChainHead``, or one whose rows are read when they are asked for."""

    @property
    def block(self) -> Block: ...
    @property
    def height(self) -> BlockHeight: ...
    @property
    def hash(self) -> CryptoHash: ...
    @property
    def final_height(self) -> BlockHeight: ...
    @property
    def position(self) -> EpochPosition: ...
    @property
    def statistics(self) -> EpochStatistics: ...
    @property
    def epochs(self) -> Mapping[CryptoHash, EpochInfo]: ...
    @property
    def epoch(self) -> EpochInfo: ...
    def get_trie(self, shard_index: int) -> AnyTrie: ...


def get_congestion(block: Block) -> dict[ShardId, ExtendedCongestionInfo]:
    """The shards' congestion as the block's chunk headers tell it."""
    height = block.header.height
    return {
        chunk.shard_id: ExtendedCongestionInfo(chunk.congestion_info, height - chunk.height_included)
        for chunk in block.chunks
    }


def make_genesis_result(congestion_info: CongestionInfo) -> ChunkResult:
    """What a shard's first chunk commits to: nothing has happened yet."""
    return ChunkResult(ZERO_HASH, Gas(0), Balance(0), (), congestion_info, (), ())


def compute_shard_positions(layout: ShardLayout) -> dict[ShardId, int]:
    """Where each shard stands in blocks."""
    return {shard_id: index for index, shard_id in enumerate(layout.shard_ids)}
