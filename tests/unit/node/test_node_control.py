"""A node in this process: submission, waiting, development controls."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hither.chain.genesis import DEVELOPMENT_BOUNDARIES, DevelopmentOptions
from hither.chain.reader import (
    BlockMode,
    ControlRefused,
    ExecutionStatus,
    Finality,
    InvalidTransaction,
    PooledTransaction,
    TransactionStatus,
)
from hither.node.control import INTERVAL_MS_MAX, MINED_BLOCKS_MAX, SKIPPED_HEIGHTS_MAX, TIME_NS_MAX
from hither.node.home import BEGUN_FILE, HomeProblem, init_home, read_home
from hither.node.node import Node, NodeOptions
from hither.primitives.transaction import SignedTransaction
from hither.primitives.types import BlockHeight, Signature
from tests.unit.chain.chains import sign_transfer

FINAL = ExecutionStatus.FINAL


def make_home(folder: Path, **options: Any) -> Path:
    chosen = DevelopmentOptions(**({"boundary_accounts": DEVELOPMENT_BOUNDARIES} | options))
    init_home(folder, chosen, time.time_ns())
    return folder


def run(home: Path, scenario: Callable[[Node], Awaitable[None]], options: NodeOptions | None = None) -> None:
    """Open the home, run the scenario on the running node, and stop it."""

    async def main() -> None:
        node = Node.open(read_home(home), options)
        await node.start()
        try:
            await asyncio.wait_for(scenario(node), 30)
        finally:
            await node.stop()
        assert node.failure is None

    asyncio.run(main())


def transfer(node: Node, sender: str, receiver: str, at: int = 1) -> SignedTransaction:
    head = node.reader.get_head()
    return sign_transfer(sender, receiver, head.last_block_hash, head.height * 1000 + at)


async def send(node: Node, signed: SignedTransaction, until: ExecutionStatus = FINAL) -> TransactionStatus:
    await node.control.submit(signed)
    status = await node.control.wait_for_transaction(signed.hash, until, 10_000)
    assert status is not None
    assert status.execution >= until
    return status


def test_a_submission_that_cannot_be_checked_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails, nobody waits for ever, and the next one is checked again."""

    async def scenario(node: Node) -> None:
        def fail(items: Any) -> list[bool]:
            raise MemoryError

        many = [transfer(node, "alice.near", "bob.near", at) for at in range(1, 5)]
        with monkeypatch.context() as broken:
            broken.setattr("hither.node.control.are_valid_signatures", fail)
            answers = await asyncio.gather(
                node.control.submit_many(many), node.control.submit(many[0]), return_exceptions=True
            )
        assert [type(answer) for answer in answers] == [ControlRefused, ControlRefused]
        assert await node.control.submit(many[0]) == PooledTransaction(many[0].hash, True)

    run(make_home(tmp_path), scenario)


def test_signatures_are_checked_while_other_threads_are_busy(tmp_path: Path) -> None:
    """Views that run long take all of the loop's own threads; transactions do not wait for them."""

    async def scenario(node: Node) -> None:
        gate = threading.Event()
        busy = [asyncio.create_task(asyncio.to_thread(gate.wait)) for _ in range(64)]
        await asyncio.sleep(0)
        try:
            many = [transfer(node, "alice.near", "bob.near", at) for at in range(1, 5)]
            answers = await asyncio.wait_for(node.control.submit_many(many), 10)
            assert answers == [PooledTransaction(signed.hash, True) for signed in many]
        finally:
            gate.set()
            await asyncio.gather(*busy)

    run(make_home(tmp_path), scenario)


def test_the_chain_goes_back_when_its_observers_have(tmp_path: Path) -> None:
    """Until then, what they look at is on disk."""

    async def scenario(node: Node) -> None:
        snapshot = await node.control.snapshot()
        height = (await node.control.mine(3)).height
        seen: list[bool] = []

        def look(_head: object, _blocks: object, going_back: threading.Event | None) -> None:
            if going_back is None:
                return

            def take_a_while() -> None:
                time.sleep(0.1)
                seen.append(node._engine.storage.get_block(BlockHeight(height)) is not None)
                going_back.set()

            threading.Thread(target=take_a_while).start()

        node.control.observe(look)
        assert (await node.control.revert(snapshot)).height < height
        assert seen == [True, False], "told before and after"

    run(make_home(tmp_path), scenario, NodeOptions(mode=BlockMode.MANUAL))


async def wait_for_height(node: Node, height: int) -> None:
    while (head := node.reader.get_head()).height < height:
        await node.control.wait_for_head(head)


@pytest.mark.parametrize("until", list(ExecutionStatus)[1:])
def test_each_status_is_waited_for(tmp_path: Path, until: ExecutionStatus) -> None:
    """Instant blocks come until the transaction is final, whatever is waited for."""

    async def scenario(node: Node) -> None:
        await wait_for_height(node, 1)
        height = node.reader.get_head().height
        await send(node, transfer(node, "alice.near", "peggy.near"), until)
        # Blocks of the clock alone would stand 600 ms apart; those of work follow each other.
        blocks = [
            node.reader.get_header(number) for number in range(height + 1, node.reader.get_head().height + 1)
        ]
        gaps_ns = [after.timestamp_ns - before.timestamp_ns for before, after in itertools.pairwise(blocks)]
        assert min(gaps_ns, default=0) < 600_000_000, "no heartbeat was needed"

    run(make_home(tmp_path), scenario)


def test_who_waits_for_inclusion_is_told_of_that_alone(tmp_path: Path) -> None:
    """NEAR's node answers before it has applied the chunk; who asks later is told everything."""

    async def scenario(node: Node) -> None:
        await wait_for_height(node, 1)
        signed = transfer(node, "alice.near", "peggy.near")
        status = await send(node, signed, ExecutionStatus.INCLUDED)
        assert (status.execution, status.outcome) == (ExecutionStatus.INCLUDED, None)
        later = await send(node, signed, ExecutionStatus.INCLUDED)
        assert later.outcome is not None

    run(make_home(tmp_path), scenario)


def test_finality_that_nobody_waits_for_comes_at_its_pace(tmp_path: Path) -> None:
    """Executed at once, final at once for who waits though a block has ten minutes; else at 0.5 s a block."""

    async def wait(node: Node) -> None:
        await wait_for_height(node, 1)
        signed = transfer(node, "alice.near", "bob.near")
        status = await send(node, signed, ExecutionStatus.EXECUTED_OPTIMISTIC)
        assert status.execution is ExecutionStatus.EXECUTED_OPTIMISTIC
        assert node.reader.get_transaction_status(signed.hash) == status, "nobody waits"
        assert (await send(node, signed)).execution is FINAL

    async def look_on(node: Node) -> None:
        signed = transfer(node, "carol.near", "bob.near")
        await send(node, signed, ExecutionStatus.EXECUTED_OPTIMISTIC)
        while node.reader.get_transaction_status(signed.hash).execution is not FINAL:
            await node.control.wait_for_head(node.reader.get_head())
        head = node.reader.get_head()
        before = node.reader.get_header(BlockHeight(head.height - 2))
        assert head.timestamp_ns - before.timestamp_ns >= 900_000_000

    home = make_home(tmp_path, boundary_accounts=())
    run(home, wait, NodeOptions(finality_block_time_ms=600_000))
    run(home, look_on, NodeOptions(finality_block_time_ms=500))


def test_waiting_for_a_transaction_that_never_comes_ends(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        assert await node.control.wait_for_transaction(bytes(32), FINAL, 50) is None
        await asyncio.sleep(0)
        assert len(node.control._waiters) == 0, "who gave up is forgotten"

    run(make_home(tmp_path), scenario)


def test_a_transaction_that_is_known_is_taken_again_without_effect(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await wait_for_height(node, 1)
        signed = transfer(node, "alice.near", "peggy.near")
        assert await node.control.submit(signed) == PooledTransaction(signed.hash, True)
        assert node.reader.get_transaction(signed.hash) == signed
        assert await node.control.submit(signed) == PooledTransaction(signed.hash, False)
        await node.control.wait_for_transaction(signed.hash, FINAL, 10_000)
        assert await node.control.submit(signed) == PooledTransaction(signed.hash, False)

    run(make_home(tmp_path), scenario)


def test_a_bad_signature_is_refused_after_what_costs_less(tmp_path: Path) -> None:
    """NEAR's order: expiry, actions, then the signature, then the account."""

    async def scenario(node: Node) -> None:
        await wait_for_height(node, 1)
        good = transfer(node, "alice.near", "peggy.near")
        forged = Signature(0, bytes(64))
        bad = SignedTransaction(good.transaction, forged, good.hash, good.size)
        with pytest.raises(InvalidTransaction) as caught:
            await node.control.submit(bad)
        assert caught.value.error == "InvalidSignature"
        nobody = transfer(node, "nobody.near", "peggy.near")
        with pytest.raises(InvalidTransaction) as caught:
            await node.control.submit(SignedTransaction(nobody.transaction, forged, nobody.hash, nobody.size))
        assert caught.value.error == "InvalidSignature"

    run(make_home(tmp_path), scenario)


def test_many_are_submitted_at_once(tmp_path: Path) -> None:
    """Errors stand in their places; the others all become final."""

    async def scenario(node: Node) -> None:
        await wait_for_height(node, 1)
        names = ("alice.near", "bob.near", "nobody.near", "ivan.near", "trent.near")
        many = [transfer(node, name, "peggy.near") for name in names]
        results = await node.control.submit_many(many)
        assert [isinstance(result, PooledTransaction) for result in results] == [
            True,
            True,
            False,
            True,
            True,
        ]
        assert isinstance(results[2], InvalidTransaction)
        for at in (0, 1, 3, 4):
            assert await node.control.wait_for_transaction(many[at].hash, FINAL, 10_000) is not None
        assert node.reader.get_pending_count() == 0

    run(make_home(tmp_path), scenario)


def test_what_was_submitted_into_a_stopped_chain_waits(tmp_path: Path) -> None:
    """In manual mode a transaction is known, without an outcome, until a block is mined."""

    async def scenario(node: Node) -> None:
        await node.control.mine(2)
        signed = transfer(node, "alice.near", "peggy.near")
        await node.control.submit(signed)
        assert node.reader.get_transaction_status(signed.hash).execution is ExecutionStatus.NONE
        assert node.reader.get_pending_count() == 1
        height = (await node.control.mine(1)).height
        assert node.reader.get_transaction_status(signed.hash).execution is ExecutionStatus.INCLUDED
        assert node.reader.get_pending_count() == 0
        assert (await node.control.mine(4)).height == height + 4
        assert node.reader.get_transaction_status(signed.hash).execution is FINAL

    run(make_home(tmp_path), scenario, NodeOptions(mode=BlockMode.MANUAL))


def test_fast_forward_is_visible_and_final_when_it_returns(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await wait_for_height(node, 1)
        before = node.reader.get_head()
        tip = await node.control.fast_forward(100)
        assert tip.height >= before.height + 101
        assert node.reader.get_head(Finality.FINAL).height >= before.height + 101
        assert tip.timestamp_ns >= before.timestamp_ns + 100 * 600_000_000

    run(make_home(tmp_path), scenario)


def test_fast_forward_goes_through_epochs(tmp_path: Path) -> None:
    """Each epoch ends on its way, so validators and rewards are as if time had passed."""

    async def scenario(node: Node) -> None:
        await wait_for_height(node, 1)
        await node.control.fast_forward(1000)
        info = node.reader.get_validator_info()
        assert info.epoch_height >= 9
        assert info.current_validators[0].stake > 0

    run(make_home(tmp_path, epoch_length=100), scenario)


def test_time_is_set_forward_only(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        target = time.time_ns() + 86_400 * 10**9
        assert (await node.control.set_time(target)).timestamp_ns >= target
        with pytest.raises(ControlRefused):
            await node.control.set_time(target - 10**9)

    run(make_home(tmp_path), scenario)


def test_what_does_not_fit_into_64_bits_is_refused(tmp_path: Path) -> None:
    """Before anything is done: the chain goes on."""

    async def scenario(node: Node) -> None:
        control = node.control
        for refused in (
            control.set_time(TIME_NS_MAX + 1),
            control.set_time(2**80),
            control.fast_forward(SKIPPED_HEIGHTS_MAX + 1),
            control.fast_forward(2**80),
            control.mine(MINED_BLOCKS_MAX + 1),
            control.set_block_mode(BlockMode.INTERVAL, INTERVAL_MS_MAX + 1),
        ):
            with pytest.raises(ControlRefused, match="at most"):
                await refused
        tip = await control.set_time(TIME_NS_MAX - 10**12)
        with pytest.raises(ControlRefused, match="no chain lives until"):
            await control.fast_forward(10**4)
        assert (await control.mine(1)).height == tip.height + 1
        await control.set_block_mode(BlockMode.INTERVAL, INTERVAL_MS_MAX)
        assert (await control.mine(1)).timestamp_ns < 2**63

    run(make_home(tmp_path), scenario)


def test_a_time_that_was_set_stays_set_after_a_restart(tmp_path: Path) -> None:
    """The chain's clock never goes back, so it goes on from the newest block."""
    target = time.time_ns() + 86_400 * 10**9

    async def set_time(node: Node) -> None:
        await node.control.set_time(target)

    async def look(node: Node) -> None:
        assert (await node.control.mine(1)).timestamp_ns > target

    home = make_home(tmp_path)
    run(home, set_time)
    run(home, look)


def test_a_snapshot_is_come_back_to(tmp_path: Path) -> None:
    """Also after a restart; it and the later ones are used up."""
    ids: list[str] = []

    async def take(node: Node) -> None:
        await wait_for_height(node, 1)
        ids.append(await node.control.snapshot())
        ids.append(str(node.reader.get_head().last_block_hash.hex()))
        await send(node, transfer(node, "alice.near", "peggy.near"))
        ids.append(await node.control.snapshot())

    async def come_back(node: Node) -> None:
        await send(node, transfer(node, "alice.near", "peggy.near"))
        tip = await node.control.revert(ids[0])
        assert tip.last_block_hash.hex() == ids[1]
        for used in (ids[0], ids[2]):
            with pytest.raises(ControlRefused):
                await node.control.revert(used)
        await send(node, transfer(node, "alice.near", "peggy.near"))

    home = make_home(tmp_path)
    run(home, take)
    run(home, come_back)


def test_patched_records_are_visible_when_it_returns(tmp_path: Path) -> None:
    """Accounts of different shards in one call; the balance of the next block holds."""
    from hither.state.records import get_account_optional

    def record(account_id: str, amount: int) -> dict[str, Any]:
        account = {
            "amount": str(amount),
            "locked": "0",
            "code_hash": "1" * 32,
            "storage_usage": 182,
            "version": "V1",
        }
        return {"Account": {"account_id": account_id, "account": account}}

    async def scenario(node: Node) -> None:
        await wait_for_height(node, 1)
        tip = await node.control.patch_state([record("alice.near", 5 * 10**24), record("zoe.near", 7)])
        for finality in (Finality.OPTIMISTIC, Finality.FINAL):
            head = node.reader.get_head(finality)
            assert head.height <= tip.height + 2
            for account_id, shard_id, amount in (("alice.near", 0, 5 * 10**24), ("zoe.near", 2, 7)):
                account = get_account_optional(
                    node.reader.get_trie(head.last_block_hash, shard_id), account_id
                )
                assert account is not None
                assert account.amount == amount
        await send(node, transfer(node, "alice.near", "peggy.near"))
        with pytest.raises(ControlRefused):
            await node.control.patch_state([{"Nonsense": {}}])
        code = {"Contract": {"account_id": "alice.near", "code": "AAAA"}}
        with pytest.raises(ControlRefused):
            await node.control.patch_state([code])

    run(make_home(tmp_path), scenario)


def test_modes_can_be_changed(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await wait_for_height(node, 1)
        await node.control.set_block_mode(BlockMode.MANUAL)
        height = (await node.control.mine(1)).height
        await asyncio.sleep(0.7)
        assert node.reader.get_head().height == height
        await node.control.set_block_mode(BlockMode.INTERVAL, 20)
        await asyncio.sleep(0.5)
        assert node.reader.get_head().height > height + 5
        with pytest.raises(ControlRefused):
            await node.control.set_block_mode(BlockMode.INTERVAL, 0)

    run(make_home(tmp_path), scenario)


def test_an_idle_chain_makes_a_block_each_heartbeat(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        await wait_for_height(node, 1)
        height = node.reader.get_head().height
        await asyncio.sleep(1.4)
        assert height + 1 <= node.reader.get_head().height <= height + 3

    run(make_home(tmp_path), scenario)


def test_controls_are_off_where_the_chain_is_not_for_development(tmp_path: Path) -> None:
    async def scenario(node: Node) -> None:
        for refused in (
            node.control.mine(1),
            node.control.fast_forward(1),
            node.control.snapshot(),
            node.control.patch_state([]),
            node.control.set_time(2**62),
            node.control.set_block_mode(BlockMode.MANUAL),
            node.control.revert("x"),
        ):
            with pytest.raises(ControlRefused):
                await refused

    run(make_home(tmp_path), scenario, NodeOptions(is_development=False))


def test_watchers_see_what_happens(tmp_path: Path) -> None:
    """Outcomes in order, with their transactions and receipts; closing ends the iteration."""

    async def scenario(node: Node) -> None:
        await wait_for_height(node, 1)
        stream = node.control.watch()
        signed = transfer(node, "alice.near", "peggy.near")
        await send(node, signed)
        seen = []
        async for event in stream:
            seen += [outcome.id for outcome in event.outcomes]
            if len(seen) == 3:
                break
        assert seen[0] == signed.hash
        stream.close()
        assert [event async for event in stream if event.outcomes] == []

    run(make_home(tmp_path), scenario)


async def begin(node: Node) -> None:
    await wait_for_height(node, 1)


def test_a_home_of_another_genesis_is_refused(tmp_path: Path) -> None:
    """Data that belongs to other records is not silently taken, also where an older program began it."""
    home = make_home(tmp_path)
    run(home, begin)
    genesis = home / "genesis.json"
    before = genesis.read_text()
    genesis.write_text(before.replace('"localnet"', '"othernet"'))
    with pytest.raises(HomeProblem, match=r"another genesis\.json"):
        Node.open(read_home(home))
    (home / "data" / BEGUN_FILE).unlink()
    with pytest.raises(HomeProblem, match=r"another genesis\.json"):
        Node.open(read_home(home))
    genesis.write_text(before)
    run(home, begin)
    assert (home / "data" / BEGUN_FILE).exists()


def test_a_home_that_cannot_be_written_is_a_problem_of_the_home(tmp_path: Path) -> None:
    """Said in one line; once it can be, the chain that was begun goes on."""
    home = make_home(tmp_path)
    obstacle = home / "data" / "begun.new"
    obstacle.mkdir(parents=True)
    with pytest.raises(HomeProblem, match=r"begun\.new"):
        Node.open(read_home(home))
    obstacle.rmdir()
    run(home, begin)
    assert (home / "data" / BEGUN_FILE).exists()


def test_records_in_a_file_of_their_own_are_bound_too(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    genesis, records = json.loads((home / "genesis.json").read_text()), home / "records.json"
    records.write_text(json.dumps(genesis.pop("records")))
    (home / "genesis.json").write_text(json.dumps(genesis | {"records_file": "records.json"}))
    run(home, begin)
    records.write_text(records.read_text().replace("alice.near", "alina.near"))
    with pytest.raises(HomeProblem, match=r"another records\.json; .*remove the folder"):
        read_home(home)
    records.unlink()
    with pytest.raises(HomeProblem, match=r"records\.json is missing"):
        read_home(home)


def test_the_genesis_of_a_chain_is_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million records would take minutes; hash and configuration are all that a restart needs."""
    home = make_home(tmp_path)
    first = read_home(home)
    run(home, begin)

    def refuse(_: Path) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr("hither.node.home.read_genesis", refuse)
    again = read_home(home)
    assert again.genesis.config == first.genesis.config
    assert list(again.genesis.records) == list(first.genesis.records)
    run(home, begin)


def test_a_home_is_not_opened_twice(tmp_path: Path) -> None:
    home = make_home(tmp_path)

    async def scenario(node: Node) -> None:
        with pytest.raises(HomeProblem):
            Node.open(read_home(home))

    run(home, scenario)
