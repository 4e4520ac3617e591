"""Each fault of one of three nodes, for each protocol: what two can do goes on, what needs all three is told of."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hither.mpc import node as node_module
from hither.mpc.backup import restore_backup, write_backup
from hither.mpc.contract import KeyEvent
from hither.mpc.messages import Data, decode_message, encode_message
from hither.mpc.schemes import Domain
from hither.mpc.signers import KeyFailed, NotSigned
from hither.mpc.transport import Limits
from tests.unit.mpc import meshed as meshed_module
from tests.unit.mpc.meshed import APP_KEYS, ECDSA, EDDSA, ROBUST, STORE_KEY, Meshed, must_become, run
from tests.unit.mpc.test_node import must_stop_after

VICTIM = 2
NONE_MADE = {"CaitSith": 0, "Frost": 0, "DamgardEtAl": 0}
ATTEMPTS_MAX = 3
"""A signer that is still thought well may cost one, and another where others were part of it."""
Heal = Callable[[], Awaitable[None]]


async def must_answer(network: Meshed, domain: Domain, order: tuple[int, ...]) -> None:
    """One try, whatever is asked for."""
    if domain is APP_KEYS:
        await network.must_derive(order)
    else:
        await network.must_sign(order, domain)


async def must_go_on(network: Meshed, domain: Domain, order: tuple[int, ...]) -> None:
    """As the engine tries: again, when an attempt fails."""
    for _ in range(ATTEMPTS_MAX - 1):
        try:
            await must_answer(network, domain, order)
        except NotSigned:
            continue
        return
    await must_answer(network, domain, order)


async def stop_node(network: Meshed) -> Heal:
    """Its process is killed."""
    await network.stop(VICTIM)
    await must_become(lambda: network[0].connected == {1}, "noticed")

    async def heal() -> None:
        await network.start(VICTIM)

    return heal


async def slow_node(network: Meshed) -> Heal:
    """Whatever it is told reaches it when nobody waits any more; it goes on to tell that it is there."""
    receive, loop = network[VICTIM].receive, asyncio.get_running_loop()
    mesh = network.running[VICTIM].mesh
    mesh._receive = lambda sender, frame: loop.call_later(20.0, receive, sender, frame) and None

    async def heal() -> None:
        mesh._receive = receive

    return heal


async def cut_node(network: Meshed) -> Heal:
    """Its connections end, and it accepts none."""
    network.running[VICTIM].mesh.set_peers({})
    await must_become(lambda: network[0].connected == {1}, "noticed")

    async def heal() -> None:
        network[VICTIM].set_view(network.view)

    return heal


async def lose_packets(network: Meshed) -> Heal:
    """Nothing comes through in either direction, and no connection ends."""
    mesh = network.running[VICTIM].mesh
    send, receive = mesh.send, mesh._receive
    mesh.send = lambda _to, _frame: None  # type: ignore[method-assign]
    mesh._receive = lambda _sender, _frame: None

    async def heal() -> None:
        mesh.send, mesh._receive = send, receive  # type: ignore[method-assign]

    return heal


FAULTS = {"down": stop_node, "slow": slow_node, "cut off": cut_node, "without packets": lose_packets}


@pytest.mark.parametrize("fault", FAULTS)
def test_two_go_on_and_the_third_is_named_where_all_are_needed(tmp_path: Path, fault: str) -> None:
    """Cait-Sith, FROST and key derivation answer; the robust domain refuses with its reason; then all heal."""

    async def work(network: Meshed) -> None:
        for signers in ((0, 1), (0, 2), (0, 2)):
            await network.must_stock(0, signers)
        for _ in range(2):
            await network.must_stock(0, (0, 1, 2), ROBUST)
        heal = await FAULTS[fault](network)
        for domain in (ECDSA, EDDSA, APP_KEYS):
            await must_go_on(network, domain, (0, 2, 1) if fault in ("slow", "without packets") else (0, 1))
        with pytest.raises(NotSigned) as caught:
            await network.must_sign((0, 1), ROBUST)
        assert caught.value.code == "RobustSetIncomplete"
        await heal()
        await network.connect((0, 1, 2))
        await must_become(lambda: network[0].heard == {1, 2}, "heard")
        await network.must_stock(0, (0, 1))
        for domain in (ECDSA, EDDSA, APP_KEYS, ROBUST):
            await must_go_on(network, domain, (0, 2, 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meshed_module, "QUICK", Limits(silence_s_max=60.0, reconnect_s_max=0.2))
        run(tmp_path, work, domains=(ECDSA, EDDSA, ROBUST, APP_KEYS), stock=NONE_MADE)


def test_a_node_out_of_an_old_backup_costs_its_stock_and_nothing_else(tmp_path: Path) -> None:
    """Two sign meanwhile. What was made with it is dropped everywhere, by each protocol; new stock signs."""

    async def work(network: Meshed) -> None:
        home = network.folder / f"node{VICTIM}"
        write_backup(network.running[VICTIM].store, STORE_KEY, tmp_path / "backup")
        await network.must_stock(0, (0, 1))
        for domain, signers in ((ECDSA, (0, 2)), (EDDSA, (0, 2)), (ROBUST, (0, 1, 2))):
            await network.must_stock(0, signers, domain)
        await network.stop(VICTIM)
        for domain in (ECDSA, EDDSA, APP_KEYS):
            await must_go_on(network, domain, (0, 1))
        for file in home.iterdir():
            file.unlink()
        restore_backup(tmp_path / "backup", STORE_KEY, home / "store.sqlite")
        for me in (0, 1):  # As if all was made long ago.
            network[me]._making.clear()
        await network.start(VICTIM)
        await network.connect((0, 1, 2))
        await must_become(
            lambda: not any(network.running[me].store.count_presignatures() for me in range(3)), "dropped"
        )
        for domain, signers in ((ECDSA, (0, 2)), (ROBUST, (0, 1, 2))):
            await network.must_stock(0, signers, domain)
        for domain in (ECDSA, EDDSA, APP_KEYS, ROBUST):
            await must_answer(network, domain, (0, 2, 1))

    run(tmp_path, work, domains=(ECDSA, EDDSA, ROBUST, APP_KEYS), stock=NONE_MADE)


# Its invitation, then what the others tell it of their view of the request.
@pytest.mark.parametrize("messages", [0, 1, 2])
def test_a_signer_killed_in_any_round_is_told_of_where_all_are_needed(tmp_path: Path, messages: int) -> None:
    """At once, for its connection ends; its presignature is gone; once it is back, another signs."""

    async def work(network: Meshed) -> None:
        await network.must_stock(0, (0, 1, 2), ROBUST)
        before = network.running[0].store.count_presignatures()[ROBUST.id]
        asked = network.must_sign((0, 1, 2), ROBUST)
        failure = await must_stop_after(network, VICTIM, messages, asked)
        assert VICTIM not in network.running
        assert isinstance(failure, NotSigned) and failure.code == "RobustSetIncomplete", failure
        await network.start(VICTIM)
        await network.connect((0, 1, 2))
        await must_go_on(network, ROBUST, (0, 1, 2))
        assert network.running[0].store.count_presignatures()[ROBUST.id] == before - 2

    run(tmp_path, work, domains=(ROBUST,), stock=NONE_MADE)


def test_a_signer_killed_while_keys_are_derived_is_done_without(tmp_path: Path) -> None:
    """It only ever gets the invitation."""

    async def work(network: Meshed) -> None:
        failure = await must_stop_after(network, VICTIM, 0, network.must_derive((0, 2, 1)))
        assert isinstance(failure, NotSigned)
        await must_become(lambda: network[0].connected == {1}, "noticed")
        await network.must_derive((0, 1))

    run(tmp_path, work, domains=(APP_KEYS,))


LEADER = 0
# What a leader gets of each round from one or two others.
LED = [(ECDSA, 1), (EDDSA, 2), (APP_KEYS, 1), (ROBUST, 4)]
LEADERS_KILLED_IN = [(domain, number) for domain, count in LED for number in range(count)]


@pytest.mark.parametrize(("domain", "messages"), LEADERS_KILLED_IN)
def test_a_leader_killed_in_any_round_leaves_the_request_to_the_next(
    tmp_path: Path, domain: Domain, messages: int
) -> None:
    """Who followed it has nothing left of the presignature; two others answer, or tell that it is missing."""

    async def work(network: Meshed) -> None:
        signers = (0, 1, 2) if domain is ROBUST else (0, 1)
        if domain.scheme.needs_stock:
            await network.must_stock(LEADER, signers, domain)
        if domain is ECDSA:
            await network.must_stock(1, (1, 2))
        held = set(network.running[1].store.list_owned(LEADER))
        failure = await must_stop_after(network, LEADER, messages, must_answer(network, domain, (0, 1, 2)))
        assert failure is not None and LEADER not in network.running
        await must_become(lambda: network[1].connected == {2}, "noticed")
        if domain is ROBUST:
            with pytest.raises(NotSigned) as caught:
                await network.must_sign((1, 2), ROBUST)
            assert caught.value.code == "RobustSetIncomplete"
        else:
            await must_go_on(network, domain, (1, 2))
        spent = held - set(network.running[1].store.list_owned(LEADER))
        assert len(spent) == (1 if domain.scheme.needs_stock else 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_module, "SIGN_S_MAX", 5.0)
        run(tmp_path, work, domains=(domain,), stock=NONE_MADE)


# Of what it sends to each in a ceremony: the hash of its commitments, these, and the other's share.
@pytest.mark.parametrize("lie", [2, 3, 5])
def test_a_liar_in_a_ceremony_is_named_and_the_next_attempt_makes_the_key(tmp_path: Path, lie: int) -> None:
    """By the one whom it lied to; the other learns that the attempt is over. Nobody has a share of it."""

    async def work(network: Meshed) -> None:
        event = KeyEvent(0, EDDSA, network.describe(range(3)), 3, 10**9, (), 4)
        mesh = network.running[VICTIM].mesh
        send, sent = mesh.send, 0

        def send_lie(to: int, frame: bytes) -> None:
            nonlocal sent
            message = decode_message(frame)
            if to == 0 and isinstance(message, Data):
                if sent == lie:
                    data = message.data[:-1] + bytes([message.data[-1] ^ 1])
                    frame = encode_message(msgspec.structs.replace(message, data=data))
                sent += 1
            send(to, frame)

        mesh.send = send_lie  # type: ignore[method-assign]
        answers = await network.run_event(event, 3)
        assert isinstance(answers[0], KeyFailed) and str(answers[0]).endswith("(participant 2)"), answers
        assert all(isinstance(answer, KeyFailed) for answer in answers)
        assert not any(running.store.list_shares() for running in network.running.values())
        mesh.send = send  # type: ignore[method-assign]
        (key,) = set(await network.run_event(replace(event, attempt_id=4), 4))
        assert isinstance(key, bytes)

    run(tmp_path, work, domains=())
