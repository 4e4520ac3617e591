"""A chunk as a whole: order, what is put off, what a missing chunk does, and the balance equation."""

import msgspec
import pytest

from hither.primitives.account import Account
from hither.primitives.action import FunctionCall, Stake, Transfer
from hither.primitives.sharding import ValidatorStake
from hither.primitives.types import AccountId, Balance, Gas
from hither.runtime import causes
from hither.runtime.apply import apply_chunk
from hither.runtime.balance_checker import BalanceMismatch, assert_balanced
from hither.runtime.types import ApplyResult, ValidatorAccountsUpdate
from hither.state import keys
from tests.unit.runtime import programs
from tests.unit.runtime.world import NEAR, TGAS, World, get_errors, get_vm, make_key


def test_receipts_beyond_the_limit_wait_and_go_first_in_the_next_chunk() -> None:
    world = World(84)
    signed = [world.sign("alice.near", "bob.near", Transfer(Balance(number + 1))) for number in range(5)]
    world.step(*signed)
    world.gas_limit = 2 * 223_182_562_500
    first = world.step()
    assert len(first) == 2
    (info,) = world.congestion.values()
    assert info.delayed_receipts_gas == 3 * 223_182_562_500
    assert info.receipt_bytes > 0
    late = world.sign("alice.near", "alice.near", Transfer(Balance(9)))
    second = world.step(late)
    # The conversion counts too, and a local receipt comes before delayed ones.
    assert [outcome.executor_id for outcome in second] == ["alice.near", "alice.near"]
    third = world.step()
    fourth = world.step()
    order = [outcome.id for outcome in (*first, *third, *fourth)]
    assert len(order) == len(set(order)) == 5
    (info,) = world.congestion.values()
    assert (info.delayed_receipts_gas, info.receipt_bytes) == (0, 0)


def test_a_chunk_is_full_by_compute_not_by_gas() -> None:
    """Deploying burns little gas and takes much compute."""
    from hither.primitives.action import DeployContract

    code = b"\0asm\x01\0\0\0"
    names = tuple(f"user{number}.near" for number in range(4))
    world = World(88, accounts=names)
    world.gas_limit = 30 * TGAS
    outcomes = world.step(*[world.sign(name, name, DeployContract(code)) for name in names])
    executed = [outcome for outcome in outcomes if outcome.compute_usage > 20 * TGAS]
    assert len(executed) == 2
    assert sum(outcome.gas_burnt for outcome in outcomes) < 5 * TGAS


def test_a_missing_chunk_changes_the_scheduler_and_nothing_else() -> None:
    world = World()
    world.height += 1
    context = msgspec.structs.replace(world.make_context(world.layout.shard_ids[0]), is_new_chunk=False)
    signed = world.sign("alice.near", "bob.near", Transfer(Balance(1)))
    result = apply_chunk(world.get_trie("alice.near"), context, [signed], [], get_vm())
    assert [key for key, _, _ in result.sealed.changes] == [keys.BANDWIDTH_SCHEDULER_STATE]
    assert (result.outcomes, result.outgoing_receipts, result.gas_burnt) == ((), (), 0)


def test_rewards_go_to_the_stake_and_what_need_not_be_locked_comes_back() -> None:
    world = World()
    world.put_account("staker.near", Account(Balance(5 * NEAR), Balance(100 * NEAR), 182))
    update = ValidatorAccountsUpdate(
        stake={AccountId("staker.near"): Balance(60 * NEAR)},
        rewards={AccountId("staker.near"): Balance(NEAR), AccountId("bob.near"): Balance(7)},
        last_proposals={AccountId("staker.near"): Balance(80 * NEAR)},
        treasury_account=AccountId("bob.near"),
    )
    context = msgspec.structs.replace(world.make_context(world.layout.shard_ids[0]), validator_update=update)
    result = apply_chunk(world.get_trie("alice.near"), context, [], [], get_vm())
    world.tries = {world.layout.shard_ids[0]: result.sealed.trie}
    staker = world.must_account("staker.near")
    assert (staker.amount, staker.locked) == (26 * NEAR, 80 * NEAR)
    assert world.must_account("bob.near").amount == 1000 * NEAR + 7


def test_the_last_proposal_of_an_account_counts_latest_first() -> None:
    world = World(accounts=("alice.near", "bob.near"))
    key = make_key("validator")
    world.height += 1
    context = world.make_context(world.layout.shard_ids[0])
    signed = [
        world.sign("alice.near", "alice.near", Stake(Balance(5 * NEAR), key)),
        world.sign("bob.near", "bob.near", Stake(Balance(6 * NEAR), key)),
        world.sign("alice.near", "alice.near", Stake(Balance(4 * NEAR), key)),
    ]
    result = apply_chunk(world.get_trie("alice.near"), context, signed, [], get_vm())
    assert result.validator_proposals == (
        ValidatorStake(AccountId("alice.near"), key, Balance(4 * NEAR)),
        ValidatorStake(AccountId("bob.near"), key, Balance(6 * NEAR)),
    )


@pytest.mark.parametrize(
    ("stake", "error"),
    [
        (NEAR - 1, {"InsufficientStake": {"stake": str(NEAR - 1), "minimum_stake": str(NEAR)}}),
        (0, {"TriesToUnstake": {}}),
        (NEAR, None),
    ],
)
def test_what_may_be_staked(stake: int, error: dict[str, dict[str, str]] | None) -> None:
    world = World()
    action = Stake(Balance(stake), make_key("validator"))
    errors = get_errors(world.act("alice.near", "alice.near", action))
    if error is None:
        assert errors == []
        assert world.must_account("alice.near").locked == NEAR
    else:
        ((name, fields),) = error.items()
        assert errors == [{name: {"account_id": "alice.near", **fields}}]


def test_changes_name_their_causes() -> None:
    world = World(84)
    world.height += 1
    context = world.make_context(world.layout.shard_ids[0])
    signed = world.sign("alice.near", "alice.near", Transfer(Balance(1)))
    result = apply_chunk(world.get_trie("alice.near"), context, [signed], [], get_vm())
    written = dict(result.sealed.caused_changes)[keys.account(AccountId("alice.near"))]
    shown = [causes.describe_cause(cause)["type"] for cause, _ in written]
    assert shown == ["transaction_processing", "receipt_processing"]


def apply_one(world: World) -> ApplyResult:
    world.height += 1
    context = world.make_context(world.layout.shard_ids[0])
    signed = world.sign("alice.near", "bob.near", Transfer(Balance(5)))
    return apply_chunk(world.get_trie("alice.near"), context, [signed], [], get_vm())


def test_one_yocto_more_or_less_anywhere_breaks_the_balance() -> None:
    world = World()
    result = apply_one(world)
    changes, outgoing, burnt = result.sealed.changes, result.outgoing_receipts, result.balance_burnt
    assert_balanced(world.fees, changes, [], outgoing, 0, burnt)
    with pytest.raises(BalanceMismatch):
        assert_balanced(world.fees, changes, [], outgoing, 0, burnt + 1)
    with pytest.raises(BalanceMismatch):
        assert_balanced(world.fees, changes, [], outgoing, 1, burnt)
    with pytest.raises(BalanceMismatch):
        assert_balanced(world.fees, changes, [], (), 0, burnt)
    with pytest.raises(BalanceMismatch):
        assert_balanced(world.fees, changes, outgoing, outgoing, 0, burnt)
    more = [
        (key, old, new if key[0] != keys.ACCOUNT or new is None else bytes([new[0] ^ 1]) + new[1:])
        for key, old, new in changes
    ]
    with pytest.raises(BalanceMismatch):
        assert_balanced(world.fees, more, [], outgoing, 0, burnt)


def test_what_burns_is_what_leaves_the_supply() -> None:
    """``World`` counts all money after each height; here with a call that pays a reward."""
    world = World(86, accounts=("alice.near", "bob.near"))
    world.put_contract("ex.near", programs.get_exerciser())
    program = programs.storage_write(b"key", b"value")
    call = FunctionCall("run", program, Gas(100 * TGAS), Balance(3))
    before = world.supply
    outcomes = world.act("alice.near", "ex.near", call)
    rewarded = before - world.supply
    assert 0 < rewarded < sum(outcome.tokens_burnt for outcome in outcomes)
