"""The end of an epoch (nearcore chain/epoch-manager/src/lib.rs: collect_blocks_info, finalize_epoch)."""

from collections.abc import Mapping
from fractions import Fraction

import msgspec

from hither.chain.epochs.rewards import compute_online_ratio, compute_rewards
from hither.chain.epochs.selection import EpochPlace, EpochResults, NotEnoughValidators, compute_epoch_info
from hither.chain.epochs.types import (
    EpochConfig,
    EpochInfo,
    EpochStatistics,
    EpochSummary,
    KickoutReason,
    Production,
    RewardConfig,
    ValidatorStatistics,
)
from hither.primitives.sharding import ShardLayout, ValidatorStake
from hither.primitives.types import AccountId, Balance, CryptoHash, EpochHeight, ProtocolVersion
from hither.runtime.types import ValidatorAccountsUpdate


class EpochEnd(msgspec.Struct, frozen=True):
    """An epoch T at its last block.

    ``current`` and ``following`` are the validators of T and T+1, ``statistics`` what the blocks of T
    recorded, ``duration_ns`` from the last block of T-1 to that of T, ``total_supply`` and
    ``rng_seed`` (the random value) those of the last block.
    """

    current: EpochInfo
    following: EpochInfo
    statistics: EpochStatistics
    total_supply: Balance
    duration_ns: int
    rng_seed: bytes
    prev_epoch_last_block_hash: CryptoHash


def compute_genesis_epoch(
    config: EpochConfig,
    genesis: RewardConfig,
    validators: tuple[ValidatorStake, ...],
    protocol_version: ProtocolVersion,
    shard_layout: ShardLayout,
) -> EpochInfo:
    """The validators of the first two epochs."""
    reward = {genesis.protocol_treasury_account: Balance(0)}
    results = EpochResults(proposals=validators, validator_reward=reward)
    place = EpochPlace(EpochHeight(1), protocol_version, bytes(32), shard_layout)
    return compute_epoch_info(config, None, results, place)


def compute_epoch_update(
    end: EpochEnd, config: EpochConfig, genesis: RewardConfig
) -> tuple[EpochInfo, EpochSummary]:
    """What the end of epoch T decides: the validators of T+2, and the summary of T."""
    summary = _summarise(end, config)
    rewarded = {
        account_id: statistics
        for account_id, statistics in summary.statistics.items()
        if not _is_offline(summary.validator_kickout.get(account_id))
    }
    stakes = {validator.account_id: Balance(validator.stake) for validator in end.current.validators}
    rewards, minted = compute_rewards(rewarded, stakes, end.total_supply, end.duration_ns, config, genesis)
    results = EpochResults(summary.all_proposals, summary.validator_kickout, rewards, minted)
    height = EpochHeight(end.following.epoch_height + 1)
    place = EpochPlace(
        height,
        summary.next_next_epoch_version,
        end.rng_seed,
        end.following.shard_layout,
        keeps_shard_assignment=True,
    )
    try:
        return compute_epoch_info(config, end.following, results, place), summary
    except NotEnoughValidators:
        # All of them want to leave: the set stays, as NEAR keeps it.
        return msgspec.structs.replace(end.following, epoch_height=height), summary


def compute_validator_accounts_update(
    epochs: tuple[EpochInfo, EpochInfo, EpochInfo],
    last_proposals: tuple[ValidatorStake, ...],
    treasury: AccountId,
) -> ValidatorAccountsUpdate:
    """What the first block of an epoch does to accounts; ``epochs`` are T, T+1 and T+2 as T's end knows them.

    An account keeps locked the largest of its stakes in these three.
    ``last_proposals`` are those of the chunk in that block.
    """
    accounts = sorted({account_id for epoch in epochs for account_id in epoch.stake_change})
    stake = {
        account_id: Balance(max(epoch.stake_change.get(account_id, 0) for epoch in epochs))
        for account_id in accounts
    }
    proposals = {proposal.account_id: Balance(proposal.stake) for proposal in last_proposals}
    return ValidatorAccountsUpdate(stake, epochs[2].validator_reward, proposals, treasury)


def filter_validator_accounts_update(
    update: ValidatorAccountsUpdate, layout: ShardLayout, shard_id: int
) -> ValidatorAccountsUpdate:
    """The part of the update that concerns one shard's accounts."""

    def keep(amounts: Mapping[AccountId, Balance]) -> dict[AccountId, Balance]:
        return {a: amount for a, amount in amounts.items() if layout.get_shard_id(a) == shard_id}

    treasury = update.treasury_account
    is_here = treasury is not None and layout.get_shard_id(treasury) == shard_id
    return ValidatorAccountsUpdate(
        keep(update.stake), keep(update.rewards), keep(update.last_proposals), treasury if is_here else None
    )


def _is_offline(reason: KickoutReason | None) -> bool:
    """Kicked out for not delivering, so without reward."""
    names = ("NotEnoughBlocks", "NotEnoughChunks", "NotEnoughChunkEndorsements")
    return isinstance(reason, dict) and next(iter(reason)) in names


def _summarise(end: EpochEnd, config: EpochConfig) -> EpochSummary:
    """Votes, proposals and who loses the seat."""
    version = _compute_next_version(end, config)
    kickout: dict[AccountId, KickoutReason] = {}
    for index, voted in sorted(end.statistics.versions.items()):
        if voted < version:
            reason = {"version": voted, "network_version": version}
            kickout[end.current.validators[index].account_id] = {"ProtocolVersionTooOld": reason}
    proposals = tuple(proposal for _, proposal in sorted(end.statistics.proposals.items()))
    for proposal in proposals:
        if proposal.stake == 0 and end.following.stake_change.get(proposal.account_id, 0) != 0:
            kickout[proposal.account_id] = "Unstaked"
    statistics = collect_statistics(end.current, end.statistics)
    kickout.update(_compute_offline_kickout(config, end.current, statistics, end.following.validator_kickout))
    return EpochSummary(end.prev_epoch_last_block_hash, proposals, kickout, statistics, version)


def _compute_next_version(end: EpochEnd, config: EpochConfig) -> ProtocolVersion:
    """The version that enough stake voted for, else the one already chosen for T+1."""
    votes: dict[ProtocolVersion, int] = {}
    for index, version in sorted(end.statistics.versions.items()):
        votes[version] = votes.get(version, 0) + end.current.validators[index].stake
    producers = set(end.current.block_producers_settlement)
    total = sum(end.current.validators[index].stake for index in sorted(producers))
    numerator, denominator = config.protocol_upgrade_stake_threshold
    for version, stake in votes.items():
        if stake == max(votes.values()) and stake > total * numerator // denominator:
            return version
    return end.following.protocol_version


def collect_statistics(epoch: EpochInfo, statistics: EpochStatistics) -> dict[AccountId, ValidatorStatistics]:
    """Each validator's record, summed over the shards."""
    result = {}
    for index, validator in enumerate(epoch.validators):
        blocks = statistics.blocks.get(index, Production())
        parts = [shard[index] for _, shard in sorted(statistics.chunks.items()) if index in shard]
        chunks = Production(
            sum(part.production.produced for part in parts), sum(part.production.expected for part in parts)
        )
        endorsements = Production(
            sum(part.endorsement.produced for part in parts), sum(part.endorsement.expected for part in parts)
        )
        result[validator.account_id] = ValidatorStatistics(blocks, chunks, endorsements)
    return result


def _compute_offline_kickout(
    config: EpochConfig,
    epoch: EpochInfo,
    statistics: Mapping[AccountId, ValidatorStatistics],
    already: Mapping[AccountId, KickoutReason],
) -> dict[AccountId, KickoutReason]:
    """Who delivered too little. The most reliable are spared until enough stake stays; one always stays."""
    spared = _compute_spared(config, epoch, statistics, already)
    kickout: dict[AccountId, KickoutReason] = {}
    is_anyone_left = False
    for account_id, record in statistics.items():
        if account_id in spared:
            is_anyone_left = True
            continue
        reason = _compute_reason(config, record)
        if reason is not None:
            kickout[account_id] = reason
        elif account_id not in already:
            is_anyone_left = True
    if not is_anyone_left:
        best: tuple[int, AccountId] | None = None
        for validator in epoch.validators:
            produced = statistics[validator.account_id].blocks.produced
            if validator.account_id not in already and (best is None or produced > best[0]):
                best = produced, validator.account_id
        if best is not None:
            kickout.pop(best[1], None)
    return kickout


def _compute_reason(config: EpochConfig, record: ValidatorStatistics) -> KickoutReason | None:
    blocks, chunks, endorsements = record.blocks, record.chunks, record.endorsements
    if blocks.is_less_than(config.block_producer_kickout_threshold):
        return {"NotEnoughBlocks": {"produced": blocks.produced, "expected": blocks.expected}}
    if chunks.is_less_than(config.chunk_producer_kickout_threshold):
        return {"NotEnoughChunks": {"produced": chunks.produced, "expected": chunks.expected}}
    only_endorses = blocks.expected == 0 and chunks.expected == 0
    if only_endorses and endorsements.is_less_than(config.chunk_validator_only_kickout_threshold):
        return {
            "NotEnoughChunkEndorsements": {
                "produced": endorsements.produced,
                "expected": endorsements.expected,
            }
        }
    return None


def _compute_spared(
    config: EpochConfig,
    epoch: EpochInfo,
    statistics: Mapping[AccountId, ValidatorStatistics],
    already: Mapping[AccountId, KickoutReason],
) -> set[AccountId]:
    """The most reliable validators that together hold the stake which must stay."""
    stakes = {validator.account_id: validator.stake for validator in epoch.validators}
    percent = max(0, 100 - config.validator_max_kickout_stake_perc)
    must_stay = sum(stakes.values()) * percent // 100
    order = sorted(
        statistics,
        key=lambda account: (
            Fraction(*compute_online_ratio(statistics[account], None)),
            stakes[account],
            account,
        ),
        reverse=True,
    )
    spared: set[AccountId] = set()
    stake = 0
    for account_id in order:
        if stake >= must_stay:
            break
        if account_id not in already:
            stake += stakes[account_id]
            spared.add(account_id)
    return spared
