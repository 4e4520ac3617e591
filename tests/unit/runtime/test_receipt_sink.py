"""What leaves for a congested shard, and what waits in this one."""

import pytest

from hither.primitives.action import FunctionCall, Transfer
from hither.primitives.sharding import CongestionInfo
from hither.primitives.types import Balance, Gas, ShardId
from tests.unit.runtime.world import World

FULL = CongestionInfo(delayed_receipts_gas=Gas(400 * 10**15), allowed_shard=0)
HERE, THERE = ShardId(0), ShardId(1)


def make_world(version: int, there: CongestionInfo) -> World:
    """Alice in one shard, bob in another that is congested."""
    world = World(version, boundaries=("b",))
    world.congestion[THERE] = there
    return world


@pytest.mark.parametrize("version", [84, 85])
def test_a_receipt_larger_than_any_limit_passes_an_open_link_from_85_on(version: int) -> None:
    """The allowed sender of a full shard has 1 Pgas; a call that attaches all of it is larger by its fees."""
    world = make_world(version, FULL)
    largest = FunctionCall("run", b"", Gas(10**15), Balance(0))
    world.step(world.sign("alice.near", "bob.near", largest))
    is_sent = version >= 85
    assert len(world.incoming[THERE]) == is_sent
    assert (world.congestion[HERE].buffered_receipts_gas == 0) == is_sent


def test_whoever_is_not_allowed_waits_and_sends_later() -> None:
    world = make_world(88, CongestionInfo(delayed_receipts_gas=Gas(400 * 10**15), allowed_shard=1))
    world.step(world.sign("alice.near", "bob.near", Transfer(Balance(5))))
    assert world.incoming[THERE] == []
    info = world.congestion[HERE]
    assert (info.buffered_receipts_gas, info.receipt_bytes > 0) == (223_182_562_500, True)
    world.congestion[THERE] = CongestionInfo()
    world.run()
    assert world.must_account("bob.near").amount == 1000 * 10**24 + 5
    assert world.congestion[HERE] == CongestionInfo(allowed_shard=world.congestion[HERE].allowed_shard)
