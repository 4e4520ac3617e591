"""What an epoch pays, in exact integers.

Sources: nearcore chain/epoch-manager/src/{reward_calculator,validator_stats}.rs.
"""

from collections.abc import Mapping

from hither.chain.epochs.types import EpochConfig, Production, Ratio, RewardConfig, ValidatorStatistics
from hither.primitives.types import AccountId, Balance

SECONDS_IN_A_YEAR = 24 * 60 * 60 * 365
NANOSECONDS_IN_A_SECOND = 1_000_000_000


def compute_online_ratio(statistics: ValidatorStatistics, endorsement_cutoff: int | None) -> Ratio:
    """The mean of the shares of blocks, chunks and endorsements that were due, not reduced.

    With a cutoff, endorsements count as all or nothing.
    """
    endorsements = statistics.endorsements
    if endorsements.expected and endorsement_cutoff is not None:
        endorsements = Production(0 if endorsements.is_less_than(endorsement_cutoff) else 1, 1)
    due = [part for part in (statistics.blocks, statistics.chunks, endorsements) if part.expected]
    if not due:
        return 0, 1
    denominator = len(due)
    for part in due:
        denominator *= part.expected
    numerator = sum(part.produced * denominator // (len(due) * part.expected) for part in due)
    return numerator, denominator


def compute_rewards(
    statistics: Mapping[AccountId, ValidatorStatistics],
    stakes: Mapping[AccountId, Balance],
    total_supply: Balance,
    duration_ns: int,
    config: EpochConfig,
    genesis: RewardConfig,
) -> tuple[dict[AccountId, Balance], Balance]:
    """Rewards by account, the treasury's included, and how much money they make in all.

    ``statistics`` are of those who are not kicked out; ``stakes`` of all validators.
    """
    inflation, reward_rate = config.max_inflation_rate, genesis.protocol_reward_rate
    total = inflation[0] * total_supply * duration_ns
    total //= SECONDS_IN_A_YEAR * inflation[1] * NANOSECONDS_IN_A_SECOND
    treasury = total * reward_rate[0] // reward_rate[1]
    rewards = {genesis.protocol_treasury_account: Balance(treasury)}
    if not statistics:
        return rewards, Balance(0)
    minted = treasury
    total_stake = sum(stakes.values())
    for account_id, validator in statistics.items():
        reward = _compute_reward(validator, stakes[account_id], total - treasury, total_stake, config)
        # A treasury that validates gets what it earns as a validator alone.
        rewards[account_id] = Balance(reward)
        minted += reward
    return rewards, Balance(minted)


def _compute_reward(
    statistics: ValidatorStatistics, stake: Balance, pot: int, total_stake: int, config: EpochConfig
) -> int:
    """The part of the pot for one validator: by stake, and by how far its uptime exceeds the minimum."""
    numerator, denominator = compute_online_ratio(statistics, config.chunk_validator_only_kickout_threshold)
    low, high = config.online_min_threshold, config.online_max_threshold
    is_idle = not (
        statistics.blocks.expected or statistics.chunks.expected or statistics.endorsements.expected
    )
    if is_idle or numerator * low[1] < low[0] * denominator:
        return 0
    uptime_numerator = (numerator * low[1] - low[0] * denominator) * high[1]
    uptime_denominator = (high[0] * low[1] - low[0] * high[1]) * denominator
    uptime_numerator = min(uptime_numerator, uptime_denominator)
    return pot * uptime_numerator * stake // uptime_denominator // total_stake
