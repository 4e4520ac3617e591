"""Nodes over TLS: keys, stock, signatures, while one is away, slow, killed in any round, or an old copy of itself."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import coincurve
import pytest

from hither.mpc import node as node_module
from hither.mpc import protocols
from hither.mpc.channels import JobFailed
from hither.mpc.contract import Key, KeyEvent
from hither.mpc.engine import Request
from hither.mpc.foreign_requests import BitcoinQuestion, BlockHash, ForeignTxRequest, Question
from hither.mpc.inspector import Inspector, NotConfirmed
from hither.mpc.messages import Begin, Data, decode_message
from hither.mpc.requests import EcdsaSignature, ForeignTxAnswer
from hither.mpc.schemes import BATCH, Domain
from hither.mpc.signers import NO_STOCK, KeyFailed, NotSigned
from hither.mpc.store import make_presignature_id
from tests.unit.mpc.meshed import APP_KEYS, ECDSA, EDDSA, ROBUST, Meshed, add_stock, must_become, run

SIGNED_S_MAX = 90
# Jobs with a member who fell silent hold their pair for half a minute each; a busy machine makes few presignatures.
STOCKED_S_MAX = 300
"""Stock may have to be made first, and what is being made with the victim lasts until its time is over."""
SEED = SystemRandom().randrange(2**32)


def test_nodes_make_keys_and_sign_and_find_everything_again(tmp_path: Path) -> None:
    """Either protocol, with stock and, for EdDSA, without; after a restart of all, with what was on disk."""

    async def work(network: Meshed) -> None:
        await network.must_sign((1, 2, 0), EDDSA)
        for leader, signers in ((0, (0, 1)), (0, (0, 2)), (1, (0, 1))):
            await network.must_stock(leader, signers)
        await network.must_stock(2, (1, 2), EDDSA)
        await network.must_sign((0, 1, 2))
        for number in range(3):
            await network.stop(number)
        for number in range(3):
            await network.start(number)
        await network.connect((0, 1, 2))
        await network.must_sign((0, 1, 2))
        await network.must_sign((2, 1, 0), EDDSA)
        assert network.running[2].store.count_presignatures() == {1: BATCH - 1}
        with pytest.raises(NotSigned, match=NO_STOCK):
            await network.must_sign((0, 1, 2))  # What is left belongs to another leader.
        await network.must_sign((1, 0, 2))

    run(tmp_path, work)


def test_stock_is_kept_by_itself_with_those_who_are_there(tmp_path: Path) -> None:
    """Every leader fills its own; what needs a node that is away is made when it is back."""

    async def work(network: Meshed) -> None:
        await must_become(lambda: all(network[me].is_stocked for me in range(3)), "stocked")
        assert [network.running[me].store.count_presignatures()[0] for me in range(3)] == [4, 4, 4]
        await network.stop(2)
        await must_become(lambda: network[0].connected == {1}, "alone")
        for _ in range(2):
            await network.must_sign((0, 1))
            await must_become(lambda: network.running[0].store.count_presignatures()[0] == 4, "refilled")

    run(tmp_path, work, stock={"CaitSith": 6, "Frost": 0}, domains=(ECDSA,))


def test_a_network_without_one_node_goes_on(tmp_path: Path) -> None:
    """Whichever is away; below the threshold the reason is named at once; back again, it signs."""

    async def work(network: Meshed) -> None:
        for leader, signers in ((0, (0, 1)), (0, (0, 2))):
            await network.must_stock(leader, signers)
        await network.stop(1)
        await must_become(lambda: network[0].connected == {2}, "alone")
        await network.must_sign((0, 2))
        await network.must_sign((0, 2), EDDSA)
        await network.stop(2)
        await must_become(lambda: not network[0].connected, "alone")
        with pytest.raises(NotSigned, match="2 signers are needed, and 1 are to be reached"):
            await network.must_sign((0,), EDDSA)
        await network.start(1)
        await network.connect((0, 1))
        await network.must_sign((0, 1))
        await network.must_sign((1, 0), EDDSA)

    run(tmp_path, work)


async def must_stop_after(
    network: Meshed, number: int, messages: int, work: Awaitable[Any]
) -> BaseException | None:
    """Run something while a node stops at its n-th protocol message; what it raised."""
    node, left = network[number], messages
    receive = node.receive
    stopped = asyncio.Event()

    def count(sender: int, frame: bytes) -> None:
        nonlocal left
        if stopped.is_set():
            return
        if isinstance(decode_message(frame), Data | Begin):
            if left == 0:
                stopped.set()
                return
            left -= 1
        receive(sender, frame)

    network.running[number].mesh._receive = count
    task = asyncio.ensure_future(work)
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if stopped.is_set():
        await network.stop(number)
    (answer,) = await asyncio.gather(task, return_exceptions=True)
    if number in network.running:
        network.running[number].mesh._receive = receive
    return answer if isinstance(answer, BaseException) else None


# The invitation is the first message; then one of each round of the other signer.
ROUNDS = [(ECDSA, 2), (EDDSA, 3)]
KILLED_IN = [(domain, number) for domain, count in ROUNDS for number in range(count)]


@pytest.mark.parametrize(("domain", "messages"), KILLED_IN)
def test_a_signer_killed_in_any_round_is_done_without(tmp_path: Path, domain: Domain, messages: int) -> None:
    """The attempt fails quickly and leaves no presignature behind; the next one has other signers."""

    async def work(network: Meshed) -> None:
        for signers in ((0, 1), (0, 2)):
            await network.must_stock(0, signers)
        before = network.running[0].store.count_presignatures()
        failure = await must_stop_after(network, 1, messages, network.must_sign((0, 1, 2), domain))
        assert failure is None or isinstance(
            failure, NotSigned
        )  # In the last round the leader needs it no more.
        assert failure is not None or 1 in network.running or messages == dict(ROUNDS)[domain] - 1
        await must_become(lambda: network[0].connected == {2} or 1 in network.running, "noticed")
        await network.must_sign((0, 2, 1), domain)
        used = before[0] - network.running[0].store.count_presignatures().get(0, 0)
        assert used == (0 if domain is EDDSA else 2)

    run(tmp_path, work)


@pytest.mark.parametrize("messages", [0, 1, 2, 5, 20])
def test_a_signer_killed_while_stock_is_made_leaves_none(tmp_path: Path, messages: int) -> None:
    """Neither side keeps half of a presignature; with others, and with the same when it is back, making goes on."""

    async def work(network: Meshed) -> None:
        failure = await must_stop_after(network, 1, messages, add_stock(network[0], network.view, (0, 1)))
        assert isinstance(failure, JobFailed)
        assert network.running[0].store.count_presignatures() == {}
        await network.must_stock(0, (0, 2))
        await network.start(1)
        await network.connect((0, 1, 2))
        await network.must_stock(0, (0, 1))
        assert network.running[1].store.count_presignatures() == {0: 1}

    run(tmp_path, work, domains=(ECDSA,))


@pytest.mark.parametrize("messages", [0, 3, 6, 9, 13])
def test_a_node_killed_in_a_ceremony_ends_the_attempt_for_all(tmp_path: Path, messages: int) -> None:
    """Nobody has a share, but where only the last confirmation is missing: the contract does not count that attempt.

    The next attempt succeeds, and what the first left is erased.
    """

    async def work(network: Meshed) -> None:
        event = KeyEvent(0, EDDSA, network.describe(range(3)), 3, 10**9, (), 4)
        network.set_view(replace(network.view, event=event))
        others = asyncio.gather(
            *(network[me].make_key(network.view, event, 3) for me in (0, 1)), return_exceptions=True
        )

        async def die() -> None:
            await network[2].make_key(network.view, event, 3)

        await must_stop_after(network, 2, messages, die())
        answers = await others
        for me, answer in enumerate(answers):
            assert isinstance(answer, KeyFailed) or messages == 13
            assert ((1, 0, 3) in network.running[me].store.list_shares()) == isinstance(answer, bytes)
        await network.start(2)
        await network.connect((0, 1, 2))
        (key,) = set(await network.run_event(replace(event, attempt_id=4), 4))
        assert isinstance(key, bytes)
        keys = {**network.view.keys, EDDSA.id: Key(EDDSA, key, 4)}
        network.set_view(replace(network.view, event=None, keys=keys))
        assert all((1, 0, 3) not in network.running[me].store.list_shares() for me in range(3))
        await network.must_sign((0, 1), EDDSA)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_module, "KEY_S_MAX", 5.0)
        run(tmp_path, work, domains=(ECDSA,))


def test_a_partition_is_worked_around_and_heals(tmp_path: Path) -> None:
    """0 and 1 do not reach each other; both sign with 2; when the cut is mended they sign together."""

    async def work(network: Meshed) -> None:
        for leader, signers in ((0, (0, 1)), (0, (0, 2)), (1, (1, 2))):
            await network.must_stock(leader, signers)
        people = network.view.participants
        network[0].set_view(replace(network.view, participants=(people[0], people[2])))
        network[1].set_view(replace(network.view, participants=people[1:]))
        await must_become(lambda: network[0].connected == {2} and network[1].connected == {2}, "cut")
        for order in ((0, 2), (1, 2)):
            request = network.ask()
            network.verify(request, await network[order[0]].sign(request, network.view, order))
        network.set_view(network.view)
        await network.connect((0, 1, 2))
        await network.must_sign((0, 1))

    run(tmp_path, work, domains=(ECDSA,))


def must_copy_stock(network: Meshed, number: int) -> Callable[[], None]:
    """Remember a node's stock; the answer puts it back into its store, as a restored disk would, unnoticed."""
    store = network.running[number].store
    rows = store._database.execute("SELECT * FROM presignatures").fetchall()

    def put_back() -> None:
        places = ",".join("?" * len(rows[0]))
        store._database.executemany(f"INSERT OR IGNORE INTO presignatures VALUES ({places})", rows)

    return put_back


@pytest.mark.parametrize("restored", [0, 1])
def test_a_presignature_out_of_an_old_backup_signs_nothing(tmp_path: Path, restored: int) -> None:
    """Leader or not, the other one deleted its part; then both drop what is left, and new stock signs."""

    async def work(network: Meshed) -> None:
        await network.must_stock(0, (0, 1))
        put_back = must_copy_stock(network, restored)
        await network.must_sign((0, 1))
        put_back()
        for me in (0, 1):  # As after a restart.
            network[me]._in_use.clear()
            network[me]._making.clear()
        assert network.running[restored].store.count_presignatures() == {0: 1}
        with pytest.raises(NotSigned, match=NO_STOCK if restored == 1 else "was used"):
            await network.must_sign((0, 1))
        if restored == 0:
            put_back()
            for me in (0, 1):
                network[me]._in_use.clear()
        network[0]._announce(1)
        await must_become(lambda: network.running[restored].store.count_presignatures() == {}, "collected")
        await network.must_stock(0, (0, 1))
        await network.must_sign((0, 1))

    run(tmp_path, work, domains=(ECDSA,))


def test_stock_that_only_one_side_holds_is_collected(tmp_path: Path) -> None:
    """What the owner lost goes at the signers, what a signer lost goes at the owner; shared stock stays."""

    async def work(network: Meshed) -> None:
        stores = {me: network.running[me].store for me in range(3)}
        await network.must_stock(0, (0, 1))
        kept = set(stores[0].list_owned(0))
        for me in (0, 1):
            stores[me].put_presignatures(
                make_presignature_id(0), 0, 0, (0, 1), [protocols.Secret(b"one side only")]
            )
        network[0]._announce(1)
        await must_become(lambda: all(set(stores[me].list_owned(0)) == kept for me in (0, 1)), "collected")
        assert network[0].counts["orphaned stock dropped"] == network[1].counts["orphaned stock dropped"] == 1

    run(tmp_path, work, domains=(ECDSA,))


def test_equal_requests_of_another_fork_take_another_presignature(tmp_path: Path) -> None:
    """Signed, reverted, asked again at the same height with another payload: two presignatures, two good signatures."""

    async def work(network: Meshed) -> None:
        for _ in range(2):
            await network.must_stock(0, (0, 1))
        first = network.ask(text="before the revert")
        one = await network[0].sign(first, network.view, (0, 1))
        for me in range(3):
            network[me].forget_requests()
        second = replace(network.ask(text="after the revert"), id=first.id)
        for me in range(3):
            network[me].note_request(second)
        two = await network[0].sign(second, network.view, (0, 1))
        network.verify(first, one)
        network.verify(second, two)
        assert one.r != two.r  # type: ignore[union-attr]
        assert network.running[0].store.count_presignatures() == {}

    run(tmp_path, work, domains=(ECDSA,))


def test_a_signer_signs_only_what_it_has_seen_itself(tmp_path: Path) -> None:
    """A request that the leader made up is refused with that reason; one that a signer sees late is waited for."""

    async def work(network: Meshed) -> None:
        request = network.ask(EDDSA)
        network[1].forget_requests()
        with pytest.raises(NotSigned, match="has not seen the request"):
            await network[0].sign(request, network.view, (0, 1))
        asyncio.get_running_loop().call_later(0.2, network[1].note_request, request)
        network.verify(request, await network[0].sign(request, network.view, (0, 1)))

    run(tmp_path, work, domains=(EDDSA,))


async def must_reshare(network: Meshed, members: list[int], threshold: int, attempt_id: int) -> None:
    """All keys to other members; the contract then runs with them."""
    view = network.view
    people = network.describe(members)
    keys = dict(view.keys)
    for key in view.keys.values():
        domain = replace(key.domain, threshold=threshold)
        event = KeyEvent(view.epoch_id + 1, domain, people, attempt_id, 10**9, (), attempt_id + 1, key)
        network.view = view
        for me in members:
            if me not in network.running:
                await network.start(me)
        network.set_view(replace(view, event=event))
        await network.connect(members)
        answers = await network.run_event(event, attempt_id)
        assert set(answers) == {key.public_key}
        keys[domain.id] = Key(domain, key.public_key, attempt_id)
    network.set_view(
        replace(view, epoch_id=view.epoch_id + 1, threshold=threshold, participants=people, keys=keys)
    )


async def walk_reshares(
    network: Meshed, thresholds: tuple[int, int, int], sign: Callable[[list[int], int], Awaitable[None]]
) -> None:
    """Three, four, five, three again: root keys stay, old shares and stock are gone from disk, the new ones sign."""
    roots = {id_: key.public_key for id_, key in network.view.keys.items()}
    teams = ([0, 1, 2, 3], [0, 1, 2, 3, 4], [1, 3, 4])
    for attempt_id, (members, threshold) in enumerate(zip(teams, thresholds, strict=True)):
        for me in members:
            if me not in network.running:
                network.addresses.setdefault(me, ("127.0.0.1", 0))
                await network.start(me)
        await must_reshare(network, members, threshold, attempt_id)
        assert {id_: key.public_key for id_, key in network.view.keys.items()} == roots
        for number, running in network.running.items():
            shares = [(id_, network.view.epoch_id, attempt_id) for id_ in roots]
            assert running.store.list_shares() == (shares if number in members else [])
            assert running.store.count_presignatures() == {}
        await sign(members, threshold)


def test_keys_move_to_other_members_and_thresholds(tmp_path: Path) -> None:
    """Any threshold of the new members signs."""

    async def work(network: Meshed) -> None:
        async def sign(members: list[int], threshold: int) -> None:
            signers = tuple(members[-threshold:])
            await network.must_stock(signers[0], signers, replace(ECDSA, threshold=threshold))
            await network.must_sign(signers)
            await network.must_sign(signers, EDDSA)

        network.tls_keys += Meshed(tmp_path, 2).tls_keys
        await network.must_stock(0, (0, 1))
        await walk_reshares(network, (3, 3, 2), sign)

    run(tmp_path, work)


def test_robust_and_confidential_keys_move_as_well(tmp_path: Path) -> None:
    """The robust set is exactly 2t - 1 of the new members each time."""

    async def work(network: Meshed) -> None:
        async def sign(members: list[int], threshold: int) -> None:
            signers = tuple(members[-(2 * threshold - 1) :])
            await network.must_stock(signers[0], signers, replace(ROBUST, threshold=threshold))
            await network.must_sign(signers, ROBUST)
            await network.must_derive(tuple(members[-threshold:]))

        network.tls_keys += Meshed(tmp_path, 2).tls_keys
        await network.must_stock(0, (0, 1, 2), ROBUST)
        await walk_reshares(network, (2, 3, 2), sign)

    run(tmp_path, work, domains=(ROBUST, APP_KEYS), stock={"DamgardEtAl": 0})


def test_shares_of_two_epochs_do_not_meet(tmp_path: Path) -> None:
    """A node that has not heard of the new epoch drops what comes from it, and nothing is signed."""

    async def work(network: Meshed) -> None:
        old = network.view
        await must_reshare(network, [0, 1, 2], 2, 0)
        network[1]._view = old
        request = network.ask(EDDSA)
        with pytest.raises(NotSigned, match="did not answer in time"):
            await network[0].sign(request, network.view, (0, 1))
        assert network[1].counts["frame of another epoch"] >= 1
        await network[0].sign(request, network.view, (0, 2))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_module, "SIGN_S_MAX", 0.5)
        run(tmp_path, work, domains=(EDDSA,))


def test_the_robust_domain_needs_all_three_and_confidential_keys_any_two(tmp_path: Path) -> None:
    """With one away the first tells at once whom it lacks, the other goes on; with all there both answer."""

    async def work(network: Meshed) -> None:
        for _ in range(2):
            await network.must_stock(1, (0, 1, 2), ROBUST)
        await network.must_sign((1, 2, 0), ROBUST)
        await network.must_derive((2, 0))
        await network.stop(2)
        await must_become(lambda: network[1].connected == {0}, "noticed")
        with pytest.raises(NotSigned, match="3 signers are needed, and 2 are to be reached") as caught:
            await network.must_sign((1, 0), ROBUST)
        assert caught.value.code == "RobustSetIncomplete"
        await network.must_derive((0, 1))
        await network.start(2)
        await network.connect((0, 1, 2))
        await network.must_sign((1, 0, 2), ROBUST)

    run(tmp_path, work, domains=(ROBUST, APP_KEYS))


def test_of_five_nodes_one_may_go_for_every_domain(tmp_path: Path) -> None:
    """Three of five sign in each, also by the robust protocol, with stock of sets that do not have the dead one."""
    domains = tuple(replace(domain, threshold=3) for domain in (ECDSA, EDDSA, APP_KEYS)) + (ROBUST,)

    async def work(network: Meshed) -> None:
        for domain in (domains[0], ROBUST):
            for signers in ((0, 1, 4), (0, 1, 2)):
                await network.must_stock(0, signers, domain)
        await network.stop(4)
        await must_become(lambda: network[0].connected == {1, 2, 3}, "noticed")
        for domain in (domains[0], domains[1], ROBUST):
            await network.must_sign((0, 1, 2, 3), domain)
        await network.must_derive((3, 1, 2))

    run(tmp_path, work, size=5, domains=domains)


@pytest.mark.long
def test_a_network_lives_through_anything_that_happens_to_one_node(tmp_path: Path) -> None:
    """For a minute, a random node is killed, deafened or cut off, again and again; what is asked is always signed."""
    random = Random(SEED)

    async def must_sign_somehow(network: Meshed, domain: Domain) -> None:
        """With any leader that is there; attempts may fail, not all of them."""
        request = network.ask(domain)
        until_s = asyncio.get_running_loop().time() + SIGNED_S_MAX
        while asyncio.get_running_loop().time() < until_s:
            leader = random.choice(sorted(network.running))
            network[leader].note_request(request)
            for running in network.running.values():
                running.node.note_request(request)
            try:
                network.verify(request, await network[leader].sign(request, network.view, [leader]))
            except NotSigned:
                await asyncio.sleep(0.1)
            else:
                return
        raise AssertionError(f"seed {SEED}: not signed in {SIGNED_S_MAX} s")

    async def harm(network: Meshed) -> None:
        victim = random.randrange(3)
        kind = random.choice(("kill", "deafen", "cut"))
        if kind == "kill":
            await network.stop(victim)
        elif kind == "deafen":
            network.running[victim].mesh._receive = lambda _sender, _frame: None
        else:
            network.running[victim].mesh.set_peers({})
        for domain in (ECDSA, EDDSA, ECDSA):
            await must_sign_somehow(network, domain)
        if kind == "kill":
            await network.start(victim)
        elif kind == "deafen":
            network.running[victim].mesh._receive = network[victim].receive
        else:
            network[victim].set_view(network.view)
        await network.connect((0, 1, 2))

    async def work(network: Meshed) -> None:
        await must_become(lambda: all(network[me].is_stocked for me in range(3)), "stocked", STOCKED_S_MAX)
        until_s = asyncio.get_running_loop().time() + 60
        while asyncio.get_running_loop().time() < until_s:
            await harm(network)
        await must_become(
            lambda: all(network[me].is_stocked for me in range(3)), "stocked again", STOCKED_S_MAX
        )

    run(tmp_path, work, stock={"CaitSith": 24, "Frost": 48})


def test_what_is_being_used_is_announced_too(tmp_path: Path) -> None:
    """Otherwise a signer that compares lists just then would drop its part before it is asked for it."""

    async def work(network: Meshed) -> None:
        await network.must_stock(0, (0, 1))
        network[1]._making.clear()
        send, loop = network.running[0].mesh.send, asyncio.get_running_loop()

        def announce_first(to: int, frame: bytes) -> None:
            if isinstance(decode_message(frame), Begin):
                network[0]._announce(1)
                loop.call_later(0.3, send, to, frame)
            else:
                send(to, frame)

        network.running[0].mesh.send = announce_first  # type: ignore[method-assign]
        await network.must_sign((0, 1))

    run(tmp_path, work, domains=(ECDSA,))


class Seeing(Inspector):
    """What a node sees on another chain, without one."""

    def __init__(self, payload_hash: bytes | None) -> None:
        super().__init__({"Bitcoin": ("http://127.0.0.1:1",)})
        self.payload_hash = payload_hash

    async def inspect(self, question: Question) -> bytes:
        if self.payload_hash is None:
            raise NotConfirmed("the transaction is not known")
        return self.payload_hash


def test_each_signer_looks_at_the_other_chain_itself(tmp_path: Path) -> None:
    """What both see is signed under the root key; what one does not see, or sees otherwise, is not."""
    facts = replace(ECDSA, id=2, purpose="ForeignTx")

    async def ask(network: Meshed) -> ForeignTxAnswer:
        asked = ForeignTxRequest(BitcoinQuestion(os.urandom(32), 1, (BlockHash(),)), facts.id, 1, None)
        request = Request(os.urandom(32), asked, bytes(32), 1)
        for me in range(3):
            network[me].note_request(request)
        answer = await network[0].sign(request, network.view, (0, 1))
        assert isinstance(answer, ForeignTxAnswer)
        return answer

    async def work(network: Meshed) -> None:
        for _ in range(2):
            await network.must_stock(0, (0, 1), facts)
        seen = bytes([7]) * 32
        network[0].inspector = network[1].inspector = Seeing(seen)
        answer = await ask(network)
        signature = answer.signature
        assert isinstance(signature, EcdsaSignature) and answer.payload_hash == seen
        recoverable = signature.r + signature.s + bytes([signature.recovery_id])
        recovered = coincurve.PublicKey.from_signature_and_message(recoverable, seen, hasher=None)
        assert recovered.format() == network.view.keys[facts.id].public_key
        network[1].inspector = Seeing(None)
        with pytest.raises(NotSigned, match="the transaction is not known"):
            await ask(network)
        network[1].inspector = Seeing(bytes([8]) * 32)
        await network.must_stock(0, (0, 1), facts)
        with pytest.raises(NotSigned):
            await ask(network)
        network[0].inspector = Seeing(None)
        with pytest.raises(NotSigned, match="the transaction is not known") as caught:
            await ask(network)
        assert caught.value.code == "ForeignTransactionNotConfirmed"

    run(tmp_path, work, domains=(facts,))
