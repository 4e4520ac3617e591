"""Where the newest block stands in its epoch, and what the epoch's blocks recorded.

Sources: nearcore chain/epoch-manager/src/{lib,epoch_info_aggregator}.rs. There is one
branch, so the record grows forward with each block.
"""

import msgspec

from hither.chain.epochs.sampling import (
    sample_block_producer,
    sample_chunk_producer,
    sample_chunk_validators,
)
from hither.chain.epochs.types import (
    BlockInfo,
    ChunkProduction,
    EpochConfig,
    EpochInfo,
    EpochStatistics,
    Production,
)
from hither.primitives.types import ZERO_HASH, BlockHeight, CryptoHash, ShardId

_NOTHING = Production()
_NO_CHUNKS = ChunkProduction()


class EpochPosition(msgspec.Struct, frozen=True):
    """The newest block, its parent, and the first block of its epoch.

    Enough to tell the epoch of the next block. ``prev_epoch_last_timestamp_ns`` is
    the time of the last block of the epoch before.
    """

    block: BlockInfo
    parent: BlockInfo
    first: BlockInfo
    prev_epoch_last_timestamp_ns: int

    @property
    def next_epoch_id(self) -> CryptoHash:
        """The id of the epoch after that of the newest block."""
        return self.first.prev_hash

    def is_last_in_epoch(self, config: EpochConfig) -> bool:
        """Whether the next block is in the next epoch."""
        return is_last_in_epoch(self.block, self.first.height, config)

    def get_epoch_ids_of_next_block(self, config: EpochConfig) -> tuple[CryptoHash, CryptoHash]:
        """The epoch id and next epoch id that the next block has."""
        if self.is_last_in_epoch(config):
            return self.first.prev_hash, self.block.hash
        return self.block.epoch_id, self.first.prev_hash


def make_empty_block_info() -> BlockInfo:
    """What stands for the parent of genesis."""
    return BlockInfo(
        hash=ZERO_HASH,
        height=BlockHeight(0),
        last_finalized_height=BlockHeight(0),
        last_final_block_hash=ZERO_HASH,
        prev_hash=ZERO_HASH,
        epoch_first_block=ZERO_HASH,
        epoch_id=ZERO_HASH,
        proposals=(),
        chunk_mask=(),
        latest_protocol_version=0,  # type: ignore[arg-type]
        total_supply=0,  # type: ignore[arg-type]
        timestamp_ns=0,
        chunk_endorsements=(),
    )


def is_genesis(block: BlockInfo) -> bool:
    """Genesis, or what stands for its parent."""
    return block.prev_hash == ZERO_HASH


def is_last_in_epoch(block: BlockInfo, epoch_first_height: BlockHeight, config: EpochConfig) -> bool:
    """Whether the block after this one starts an epoch: decided by the last final height."""
    if is_genesis(block):
        return True
    next_start = epoch_first_height + config.epoch_length
    if config.epoch_length <= 3:
        return block.height + 1 >= next_start
    return block.last_finalized_height + 3 >= next_start


def needs_approvals_of_next_epoch(position: EpochPosition, config: EpochConfig) -> bool:
    """Whether the next block must carry the next epoch's approvals too: an epoch that ends late."""
    if position.is_last_in_epoch(config):
        return False
    next_start = position.first.height + config.epoch_length
    late = position.block.last_finalized_height + 3 < next_start
    return late and position.block.height + 3 >= next_start


def start_position(genesis: BlockInfo) -> EpochPosition:
    """The position at the genesis block."""
    empty = make_empty_block_info()
    return EpochPosition(genesis, empty, empty, 0)


def advance_position(position: EpochPosition, block: BlockInfo, config: EpochConfig) -> EpochPosition:
    """The position after one more block, whose epoch fields are filled in here."""
    if position.is_last_in_epoch(config):
        epoch_id = ZERO_HASH if is_genesis(position.block) else position.first.prev_hash
        block = msgspec.structs.replace(block, epoch_id=epoch_id, epoch_first_block=block.hash)
        return EpochPosition(block, position.block, block, position.block.timestamp_ns)
    block = msgspec.structs.replace(
        block, epoch_id=position.block.epoch_id, epoch_first_block=position.block.epoch_first_block
    )
    return EpochPosition(block, position.block, position.first, position.prev_epoch_last_timestamp_ns)


def record_block(
    statistics: EpochStatistics, block: BlockInfo, prev_height: BlockHeight, epoch: EpochInfo
) -> EpochStatistics:
    """The record with one block more. Skipped heights count against whose turn they were."""
    blocks = dict(statistics.blocks)
    for height in range(prev_height + 1, block.height + 1):
        producer = sample_block_producer(epoch, BlockHeight(height))
        blocks[producer] = blocks.get(producer, _NOTHING).add(is_produced=height == block.height)
    versions = dict(statistics.versions)
    versions[sample_block_producer(epoch, block.height)] = block.latest_protocol_version
    proposals = statistics.proposals
    if block.proposals:
        proposals = dict(proposals)
        # Of several proposals of one account in a block the first one counts.
        for proposal in reversed(block.proposals):
            proposals[proposal.account_id] = proposal
    chunks = _record_chunks(statistics, block, BlockHeight(prev_height + 1), epoch)
    return EpochStatistics(blocks, chunks, versions, proposals)


def _record_chunks(
    statistics: EpochStatistics, block: BlockInfo, height_created: BlockHeight, epoch: EpochInfo
) -> dict[ShardId, dict[int, ChunkProduction]]:
    chunks = dict(statistics.chunks)
    validators_by_shard = sample_chunk_validators(epoch, height_created)
    for shard_index, is_new in enumerate(block.chunk_mask):
        shard_id = epoch.shard_layout.shard_ids[shard_index]
        shard = chunks[shard_id] = dict(chunks.get(shard_id, {}))
        producer = sample_chunk_producer(epoch, shard_id, height_created)
        record = shard.get(producer, _NO_CHUNKS)
        shard[producer] = ChunkProduction(record.production.add(is_produced=is_new), record.endorsement)
        bitmap = block.chunk_endorsements[shard_index] if is_new else b""
        for position, validator in enumerate(validators_by_shard[shard_index]):
            is_endorsed = is_new and bool(bitmap[position // 8] >> (position % 8) & 1)
            record = shard.get(validator, _NO_CHUNKS)
            shard[validator] = ChunkProduction(
                record.production, record.endorsement.add(is_produced=is_endorsed)
            )
    return chunks
