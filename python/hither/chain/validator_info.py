"""What ``validators`` tells about an epoch (nearcore chain/epoch-manager/src/lib.rs: get_validator_info)."""

from hither.chain.epochs.sampling import sample_block_producer, sample_chunk_producer
from hither.chain.epochs.types import (
    ChunkProduction,
    EpochInfo,
    EpochSummary,
    KickoutReason,
    Production,
    ValidatorStatistics,
)
from hither.chain.head import HeadView
from hither.chain.reader import (
    EpochValidatorInfo,
    NextValidator,
    ValidatorKickout,
    ValidatorProduction,
)
from hither.primitives.sharding import ValidatorStake
from hither.primitives.types import AccountId, Balance, BlockHeight, ShardId

_IDLE = ValidatorStatistics(Production(), Production(), Production())


def make_current_info(head: HeadView) -> EpochValidatorInfo:
    """The running epoch, counted up to the newest block, by shard."""
    epoch = head.epoch
    statistics = head.statistics
    current = []
    for index, validator in enumerate(epoch.validators):
        blocks = statistics.blocks.get(index, Production())
        by_shard = {
            shard: records[index] for shard, records in sorted(statistics.chunks.items()) if index in records
        }
        produced = [(shard, record) for shard, record in by_shard.items() if record.production.expected]
        endorsed = [(shard, record) for shard, record in by_shard.items() if record.endorsement.expected]
        current.append(_make_production(validator, blocks, produced, endorsed))
    proposals = tuple(proposal for _, proposal in sorted(statistics.proposals.items()))
    following = head.epochs[head.block.header.next_epoch_id]
    return _make_info(epoch, following, tuple(current), proposals, head.position.first.height)


def make_finished_info(
    epoch: EpochInfo, following: EpochInfo, summary: EpochSummary, start: BlockHeight
) -> EpochValidatorInfo:
    """A finished epoch: totals only. Which shards a validator had comes from its seats."""
    shards_of = _list_shards(epoch)
    current = []
    for index, validator in enumerate(epoch.validators):
        record = summary.statistics.get(validator.account_id, _IDLE)
        shards = shards_of[index]
        current.append(
            ValidatorProduction(
                account_id=validator.account_id,
                public_key=validator.public_key,
                stake=Balance(validator.stake),
                is_slashed=False,
                shards=shards,
                num_produced_blocks=record.blocks.produced,
                num_expected_blocks=record.blocks.expected,
                num_produced_chunks=record.chunks.produced,
                num_expected_chunks=record.chunks.expected,
                num_produced_chunks_per_shard=(0,) * len(shards),
                num_expected_chunks_per_shard=(0,) * len(shards),
                num_produced_endorsements=record.endorsements.produced,
                num_expected_endorsements=record.endorsements.expected,
                num_produced_endorsements_per_shard=(),
                num_expected_endorsements_per_shard=(),
                shards_produced=shards,
                shards_endorsed=(),
            )
        )
    return _make_info(epoch, following, tuple(current), summary.all_proposals, start)


def _make_production(
    validator: ValidatorStake,
    blocks: Production,
    produced: list[tuple[ShardId, ChunkProduction]],
    endorsed: list[tuple[ShardId, ChunkProduction]],
) -> ValidatorProduction:
    chunks = [record.production for _, record in produced]
    endorsements = [record.endorsement for _, record in endorsed]
    shards_produced = tuple(shard for shard, _ in produced)
    return ValidatorProduction(
        account_id=validator.account_id,
        public_key=validator.public_key,
        stake=Balance(validator.stake),
        is_slashed=False,
        shards=shards_produced,
        num_produced_blocks=blocks.produced,
        num_expected_blocks=blocks.expected,
        num_produced_chunks=sum(chunk.produced for chunk in chunks),
        num_expected_chunks=sum(chunk.expected for chunk in chunks),
        num_produced_chunks_per_shard=tuple(chunk.produced for chunk in chunks),
        num_expected_chunks_per_shard=tuple(chunk.expected for chunk in chunks),
        num_produced_endorsements=sum(record.produced for record in endorsements),
        num_expected_endorsements=sum(record.expected for record in endorsements),
        num_produced_endorsements_per_shard=tuple(record.produced for record in endorsements),
        num_expected_endorsements_per_shard=tuple(record.expected for record in endorsements),
        shards_produced=shards_produced,
        shards_endorsed=tuple(shard for shard, _ in endorsed),
    )


def _make_info(
    epoch: EpochInfo,
    following: EpochInfo,
    current: tuple[ValidatorProduction, ...],
    proposals: tuple[ValidatorStake, ...],
    start: BlockHeight,
) -> EpochValidatorInfo:
    shards_of = _list_shards(following)
    next_validators = tuple(
        NextValidator(v.account_id, v.public_key, Balance(v.stake), shards_of[index])
        for index, v in enumerate(following.validators)
    )
    kickouts: list[tuple[AccountId, KickoutReason]] = sorted(
        following.validator_kickout.items(), key=lambda item: item[0]
    )
    return EpochValidatorInfo(
        current_validators=current,
        next_validators=next_validators,
        current_fishermen=(),
        next_fishermen=(),
        current_proposals=proposals,
        prev_epoch_kickout=tuple(ValidatorKickout(account, reason) for account, reason in kickouts),
        epoch_start_height=start,
        epoch_height=epoch.epoch_height,
        rewards_paid_in_previous_epoch=epoch.validator_reward,
    )


def _list_shards(epoch: EpochInfo) -> list[tuple[ShardId, ...]]:
    """The shards for which each validator makes chunks."""
    shards: list[list[ShardId]] = [[] for _ in epoch.validators]
    for shard_index, settlement in enumerate(epoch.chunk_producers_settlement):
        for index in dict.fromkeys(settlement):
            shards[index].append(epoch.shard_layout.shard_ids[shard_index])
    return [tuple(sorted(of_validator)) for of_validator in shards]


def compute_maintenance_windows(
    head: HeadView, epoch_length: int, account_id: AccountId
) -> tuple[tuple[BlockHeight, BlockHeight], ...]:
    """Stretches of heights, from the head to the end of its epoch, in which the account makes nothing.

    Starts are included, ends are not.
    """
    epoch = head.epoch
    end = head.position.first.height + epoch_length
    own = epoch.get_validator_index(account_id)
    if own is None:
        return ((head.height, BlockHeight(end)),) if head.height < end else ()
    if len(epoch.validators) == 1:
        return ()
    windows: list[tuple[BlockHeight, BlockHeight]] = []
    start: int | None = None
    for height in range(head.height, end):
        if not _is_on_duty(epoch, own, BlockHeight(height)):
            start = height if start is None else start
        elif start is not None:
            windows.append((BlockHeight(start), BlockHeight(height)))
            start = None
    if start is not None:
        windows.append((BlockHeight(start), BlockHeight(end)))
    return tuple(windows)


def _is_on_duty(epoch: EpochInfo, validator: int, height: BlockHeight) -> bool:
    """Whether the validator makes the block or any chunk of the height."""
    if sample_block_producer(epoch, height) == validator:
        return True
    shards = epoch.shard_layout.shard_ids
    return any(sample_chunk_producer(epoch, shard_id, height) == validator for shard_id in shards)
