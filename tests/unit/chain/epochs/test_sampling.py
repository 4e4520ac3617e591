"""Choices by stake: figures from nearcore's own tests and hand-made cases."""

import pytest

from hither.chain.epochs.rewards import compute_online_ratio, compute_rewards
from hither.chain.epochs.sampling import compute_mandate_price, compute_mandates, compute_stake_weighted_index
from hither.chain.epochs.selection import EpochPlace, EpochResults, NotEnoughValidators, compute_epoch_info
from hither.chain.epochs.types import (
    EpochConfig,
    EpochInfo,
    EpochStatistics,
    Production,
    RewardConfig,
    ValidatorStatistics,
)
from hither.chain.epochs.update import EpochEnd, compute_epoch_update
from hither.crypto.keys import PublicKey
from hither.primitives.sharding import ShardLayout, ValidatorStake

KEY = PublicKey(0, bytes(32))


def make_stakes(*stakes: int) -> tuple[ValidatorStake, ...]:
    return tuple(ValidatorStake(f"account{index}", KEY, stake) for index, stake in enumerate(stakes))


def make_epoch(config: EpochConfig, stakes: tuple[ValidatorStake, ...], num_shards: int = 1) -> EpochInfo:
    layout = ShardLayout(tuple(f"b{i}" for i in range(num_shards - 1)), tuple(range(num_shards)))
    return compute_epoch_info(config, None, EpochResults(stakes), EpochPlace(1, 88, bytes(32), layout))


def test_alias_tables_match_the_known_example() -> None:
    """The example of nearcore's own test (from Schwarz, Darts, Dice, and Coins)."""
    index = compute_stake_weighted_index([5, 8, 4, 10, 4, 4, 5])
    assert index.aliases == (1, 0, 3, 1, 3, 3, 3)
    assert index.no_alias_odds == (35, 40, 28, 29, 28, 28, 35)


def test_mandates_match_the_known_example() -> None:
    """nearcore's test_validator_mandates_new."""
    mandates = compute_mandates(3, 4, [30, 27, 9, 12, 35, 4, 6])
    assert mandates.stake_per_mandate == 8
    assert mandates.mandates == (0, 0, 0, 1, 1, 1, 2, 3, 4, 4, 4, 4)
    assert mandates.partials == ((0, 6), (1, 3), (2, 1), (3, 4), (4, 3), (5, 4), (6, 6))


@pytest.mark.parametrize(
    ("target", "stakes", "price"),
    [(1000, [100], 1), (13, [11] * 13, 11), (26, [11] * 13, 5), (12, [11] * 13, 11)],
)
def test_mandate_prices_match_known_cases(target: int, stakes: list[int], price: int) -> None:
    """nearcore's tests of compute_mandate_price."""
    assert compute_mandate_price(target, stakes) == price


def test_the_online_ratio_is_the_mean_of_what_was_due() -> None:
    """nearcore's test: blocks 98 %, chunks 76 %, endorsements 42 %, with and without cutoff."""
    statistics = ValidatorStatistics(Production(98, 100), Production(76, 100), Production(42, 100))

    def ratio(cutoff: int | None) -> float:
        numerator, denominator = compute_online_ratio(statistics, cutoff)
        return numerator * 100 / denominator

    assert ratio(None) * 3 == 98 + 76 + 42
    assert ratio(30) * 3 == 98 + 76 + 100
    assert ratio(50) * 3 == 98 + 76 + 0


def test_nothing_due_earns_nothing() -> None:
    idle = ValidatorStatistics(Production(), Production(), Production())
    rewards, minted = compute_rewards(
        {"account0": idle},
        {"account0": 100},
        10**30,
        10**15,
        EpochConfig(10, 1),
        RewardConfig((1, 10), "near"),
    )
    assert rewards["account0"] == 0
    assert minted == rewards["near"] > 0


def test_block_producers_come_in_order_of_stake_and_shards_are_balanced() -> None:
    """nearcore's test_validator_assignment_all_block_producers."""
    epoch = make_epoch(EpochConfig(10, 100), make_stakes(1000, 2000, 300), num_shards=2)
    assert [v.stake for v in epoch.validators] == [2000, 1000, 300]
    assert epoch.block_producers_settlement == (0, 1, 2)
    assert epoch.chunk_producers_settlement == ((0, 2), (1,))


def test_one_producer_serves_all_shards_but_none_twice() -> None:
    epoch = make_epoch(EpochConfig(10, 1, num_chunk_producer_seats=1), make_stakes(5), num_shards=3)
    assert epoch.chunk_producers_settlement == ((0,), (0,), (0,))


def test_without_any_validator_there_is_no_epoch() -> None:
    with pytest.raises(NotEnoughValidators):
        make_epoch(EpochConfig(10, 1), ())


def test_seats_that_are_all_taken_cost_one_more_than_the_last() -> None:
    config = EpochConfig(10, 2, num_chunk_producer_seats=2, num_chunk_validator_seats=2)
    epoch = make_epoch(config, make_stakes(10**6, 10**5, 10**4))
    assert [v.account_id for v in epoch.validators] == ["account0", "account1"]
    assert epoch.seat_price == 10**5 + 1
    assert epoch.stake_change["account2"] == 0


def make_end(epoch: EpochInfo, statistics: EpochStatistics) -> EpochEnd:
    return EpochEnd(epoch, epoch, statistics, 10**30, 10**12, bytes(32), bytes(32))


def test_who_makes_too_few_blocks_loses_the_seat_and_the_reward() -> None:
    """89 of 100 is under 90 %; the other, at 100 %, stays and is paid."""
    config = EpochConfig(10, 2)
    epoch = make_epoch(config, make_stakes(2000, 1000))
    statistics = EpochStatistics(
        blocks={0: Production(100, 100), 1: Production(89, 100)}, versions={0: 88, 1: 88}
    )
    following, summary = compute_epoch_update(
        make_end(epoch, statistics), config, RewardConfig((1, 10), "near")
    )
    assert summary.validator_kickout == {"account1": {"NotEnoughBlocks": {"produced": 89, "expected": 100}}}
    assert [v.account_id for v in following.validators] == ["account0"]
    assert "account1" not in following.validator_reward
    assert following.validators[0].stake == 2000 + following.validator_reward["account0"]


def test_the_best_of_those_who_all_failed_is_kept() -> None:
    config = EpochConfig(10, 2)
    epoch = make_epoch(config, make_stakes(2000, 1000))
    statistics = EpochStatistics(
        blocks={0: Production(10, 100), 1: Production(20, 100)}, versions={0: 88, 1: 88}
    )
    following, _ = compute_epoch_update(make_end(epoch, statistics), config, RewardConfig((1, 10), "near"))
    assert [v.account_id for v in following.validators] == ["account1"]


def test_unstaking_leaves_the_set() -> None:
    config = EpochConfig(10, 2)
    epoch = make_epoch(config, make_stakes(2000, 1000))
    statistics = EpochStatistics(
        blocks={0: Production(9, 9), 1: Production(9, 9)},
        versions={0: 88, 1: 88},
        proposals={"account1": ValidatorStake("account1", KEY, 0)},
    )
    following, summary = compute_epoch_update(
        make_end(epoch, statistics), config, RewardConfig((1, 10), "near")
    )
    assert summary.validator_kickout == {"account1": "Unstaked"}
    assert following.stake_change["account1"] == 0


def test_a_new_version_needs_more_than_four_fifths_of_the_stake() -> None:
    config = EpochConfig(10, 3)
    epoch = make_epoch(config, make_stakes(81, 19))
    blocks = {0: Production(9, 9), 1: Production(9, 9)}
    rewards = RewardConfig((1, 10), "near")

    def vote(first: int, second: int) -> int:
        statistics = EpochStatistics(blocks=blocks, versions={0: first, 1: second})
        return compute_epoch_update(make_end(epoch, statistics), config, rewards)[0].protocol_version

    assert vote(89, 88) == 89
    assert vote(88, 89) == 88
