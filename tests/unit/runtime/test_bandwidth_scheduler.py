"""Grants between shards: what the algorithm promises, on small layouts."""

import pytest

from hither.params import get_runtime_config
from hither.primitives.sharding import BandwidthRequest
from hither.primitives.types import ShardId
from hither.runtime.bandwidth_scheduler.distribute_remaining import distribute_remaining_bandwidth
from hither.runtime.bandwidth_scheduler.links import Link, list_links
from hither.runtime.bandwidth_scheduler.params import (
    BandwidthParams,
    compute_bandwidth_params,
    compute_request_values,
    get_requested_values,
    make_bandwidth_request,
)
from hither.runtime.bandwidth_scheduler.run import SchedulerState
from hither.runtime.bandwidth_scheduler.scheduler import LinkRequest, ShardStatus, schedule_bandwidth

SEED = bytes(32)
IDLE = ShardStatus(is_last_chunk_missing=False, is_fully_congested=False, allowed_sender=0)
MISSING = ShardStatus(is_last_chunk_missing=True, is_fully_congested=False, allowed_sender=0)


def make_params(shard_count: int) -> BandwidthParams:
    return compute_bandwidth_params(get_runtime_config(88), shard_count)


def must_ask(params: BandwidthParams, *sizes: int) -> BandwidthRequest:
    request = make_bandwidth_request(ShardId(1), sizes, params)
    assert request is not None
    return request


@pytest.mark.parametrize(("shard_count", "base"), [(1, 100_000), (2, 100_000), (6, 61_139), (9, 38_212)])
def test_base_leaves_room_for_one_largest_grant(shard_count: int, base: int) -> None:
    """Nine shards get the figure that NEAR publishes for mainnet."""
    params = make_params(shard_count)
    assert params.base_bandwidth == base
    assert params.base_bandwidth * (shard_count - 1) + params.max_single_grant <= params.max_shard_bandwidth


def test_requested_values_end_at_the_largest_grant() -> None:
    values = compute_request_values(make_params(6))
    assert len(values) == 40
    assert list(values) == sorted(set(values))
    assert values[-1] == 4_194_304


def test_request_names_the_value_that_each_group_needs() -> None:
    """Bits are sums so far, rounded up; what fits the base asks for nothing."""
    params = make_params(6)
    values = compute_request_values(params)
    assert make_bandwidth_request(ShardId(1), [params.base_bandwidth], params) is None
    assert make_bandwidth_request(ShardId(1), [], params) is None
    assert get_requested_values(must_ask(params, params.base_bandwidth + 1), params) == [values[0]]
    request = must_ask(params, values[1], values[0])
    assert get_requested_values(request, params) == [
        values[1],
        next(v for v in values if v >= values[0] + values[1]),
    ]


def test_request_stops_at_what_can_never_be_granted() -> None:
    params = make_params(6)
    assert must_ask(params, 4_194_304, 1, 1) == must_ask(params, 4_194_304)
    assert make_bandwidth_request(ShardId(1), [4_194_305], params) is None


def test_all_budgets_are_spent_when_nobody_asks() -> None:
    """What is left after the base is spread evenly."""
    params = make_params(3)
    schedule = schedule_bandwidth(params, [IDLE] * 3, {}, [], SEED)
    assert set(schedule.granted.values()) == {params.max_shard_bandwidth // 3}
    assert set(schedule.allowances.values()) == {params.max_shard_bandwidth // 3 - params.base_bandwidth}


def test_one_request_takes_nearly_everything() -> None:
    params = make_params(2)
    increase = params.max_single_grant - params.base_bandwidth
    schedule = schedule_bandwidth(params, [IDLE] * 2, {}, [LinkRequest((0, 1), (increase,))], SEED)
    assert schedule.granted[0, 1] >= params.max_single_grant
    assert schedule.allowances[0, 1] == 0


def test_of_two_large_requests_the_link_with_more_allowance_wins() -> None:
    params = make_params(2)
    increase = params.max_single_grant - params.base_bandwidth
    requests = [LinkRequest((0, 1), (increase,)), LinkRequest((1, 1), (increase,))]
    for winner, loser in (((0, 1), (1, 1)), ((1, 1), (0, 1))):
        schedule = schedule_bandwidth(params, [IDLE] * 2, {winner: 10}, requests, SEED)
        assert schedule.granted[winner] >= params.max_single_grant
        assert schedule.granted[loser] < params.max_single_grant


def test_nothing_goes_to_or_from_a_shard_without_a_chunk() -> None:
    schedule = schedule_bandwidth(make_params(3), [IDLE, MISSING, IDLE], {}, [], SEED)
    assert sorted(schedule.granted) == [(0, 0), (0, 2), (2, 0), (2, 2)]


def test_a_full_shard_hears_only_the_allowed_one() -> None:
    full = ShardStatus(is_last_chunk_missing=False, is_fully_congested=True, allowed_sender=2)
    schedule = schedule_bandwidth(make_params(3), [IDLE, full, IDLE], {}, [], SEED)
    assert [link for link in sorted(schedule.granted) if link[1] == 1] == [(2, 1)]


def test_allowance_stops_growing_at_its_maximum() -> None:
    params = make_params(2)
    links = list_links(2)
    schedule = schedule_bandwidth(params, [MISSING] * 2, dict.fromkeys(links, params.max_allowance), [], SEED)
    assert set(schedule.allowances.values()) == {params.max_allowance}
    assert schedule.granted == {}


@pytest.mark.parametrize(
    ("senders", "receivers", "expected"),
    [
        ([50], [100], {(0, 0): 50}),
        ([300, 300, 300], [300, 300, 300], dict.fromkeys(list_links(3), 100)),
        ([100, 300], [200, 200], {(0, 0): 50, (0, 1): 50, (1, 0): 150, (1, 1): 150}),
    ],
)
def test_leftovers_are_shared_evenly(
    senders: list[int], receivers: list[int], expected: dict[Link, int]
) -> None:
    allowed = dict.fromkeys(list_links(len(senders)), True)
    assert distribute_remaining_bandwidth(senders, receivers, allowed) == expected


def test_record_keeps_its_form() -> None:
    state = SchedulerState(((0, 1, 5), (1, 0, 7)), bytes(range(32)))
    assert SchedulerState.decode(state.encode()) == state
    assert state.encode()[:13] == bytes([0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    with pytest.raises(AssertionError):
        SchedulerState.decode(state.encode() + b"\0")
