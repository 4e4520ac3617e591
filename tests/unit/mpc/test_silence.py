"""A node that is slow, or connected and silent: it costs an attempt, and does not hold up what others do."""

import asyncio
import time
from pathlib import Path

import pytest

from hither.mpc import node as node_module
from hither.mpc import stocking as stocking_module
from hither.mpc.channels import JobFailed
from hither.mpc.choice import EXACT_S_MAX, count_exact_seconds
from hither.mpc.engine import EXACT_TURN_MS
from hither.mpc.signers import NO_STOCK, NotSigned
from hither.mpc.transport import Limits
from tests.unit.mpc import meshed as meshed_module
from tests.unit.mpc.meshed import ECDSA, EDDSA, ROBUST, Meshed, must_become, run

NONE_MADE = {"DamgardEtAl": 0}


def test_a_slow_signer_costs_an_attempt_and_not_more(tmp_path: Path) -> None:
    """It answers after the time for a signature: the attempt ends with that reason, and others sign."""

    async def work(network: Meshed) -> None:
        for signers in ((0, 1), (0, 2)):
            await network.must_stock(0, signers)
        receive = network[1].receive
        loop = asyncio.get_running_loop()
        network.running[1].mesh._receive = lambda sender, frame: (
            loop.call_later(1.0, receive, sender, frame) and None
        )
        with pytest.raises(NotSigned, match="did not answer in time"):
            await network.must_sign((0, 1, 2))
        await network.must_sign((0, 2, 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_module, "SIGN_S_MAX", 0.8)
        run(tmp_path, work, domains=(ECDSA,))


def test_a_silent_signer_is_asked_last(tmp_path: Path) -> None:
    """It is connected and says nothing: it costs one attempt, not one of every request, and is asked again later."""

    async def work(network: Meshed) -> None:
        receive = network[0].receive
        network.running[0].mesh._receive = lambda _sender, _frame: None
        with pytest.raises(NotSigned, match="did not answer in time"):
            await network.must_sign((1, 0, 2), EDDSA)
        for _ in range(3):
            await network.must_sign((1, 0, 2), EDDSA)
        network.running[0].mesh._receive = receive
        network.running[2].mesh._receive = lambda _sender, _frame: None
        with pytest.raises(NotSigned, match="did not answer in time"):
            await network.must_sign((1, 0, 2), EDDSA)
        await network.must_sign((1, 0, 2), EDDSA)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_module, "SIGN_S_MAX", 2.0)
        run(tmp_path, work, domains=(EDDSA,))


def test_a_silent_signer_does_not_stop_the_others_stock(tmp_path: Path) -> None:
    """Making it with the silent one lasts until its time is over; the others make theirs beside it."""

    async def work(network: Meshed) -> None:
        network.running[0].mesh._receive = lambda _sender, _frame: None
        for node in (network[1], network[2]):
            node._stock = {"CaitSith": 6}

        def has_stock(me: int) -> bool:
            return len(network.running[me].store.list_presignatures(0, (1, 2), me)) == 1

        await must_become(lambda: has_stock(1) and has_stock(2), "stocked")
        assert network[1].counts["stock jobs failed"] == 0, "the silent one's still lasts"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_module, "PRESIGN_S_MAX", 300.0)
        patch.setattr(stocking_module, "PATIENCE_S", 0.5)
        run(tmp_path, work, domains=(ECDSA,))


def test_a_connection_that_came_and_went_unseen_ends_jobs_too(tmp_path: Path) -> None:
    """The node looks from time to time: what was lost between two looks was never there for it."""

    async def work(network: Meshed) -> None:
        await network.stop(1)
        await must_become(lambda: network[0].connected == {2}, "alone")
        channel = network[0]._channels.open(bytes(32), 0, (0, 1))
        with pytest.raises(JobFailed, match="participant 1 is not to be reached"):
            async with asyncio.timeout(30):
                await channel.receive(0)

    run(tmp_path, work, domains=())


def test_a_slow_signer_of_an_exact_set_is_told_of(tmp_path: Path) -> None:
    """It is connected and does not answer: the reason has the code that the contract passes on."""

    async def work(network: Meshed) -> None:
        await network.must_stock(0, (0, 1, 2), ROBUST)
        network.running[2].mesh._receive = lambda _sender, _frame: None
        with pytest.raises(NotSigned, match="did not answer in time") as caught:
            await network.must_sign((0, 1, 2), ROBUST)
        assert caught.value.code == "RobustSetIncomplete"

    run(tmp_path, work, domains=(ROBUST,), stock=NONE_MADE)


@pytest.mark.parametrize("turn_s", [0, EXACT_TURN_MS / 1e3])
def test_a_signer_that_cannot_be_done_without_has_so_long_from_when_the_request_came(
    tmp_path: Path, turn_s: float
) -> None:
    """It is heard of and does not answer: who leads first waits until the caller is to be told, the second as well."""

    async def work(network: Meshed) -> None:
        await network.must_stock(0, (0, 1, 2), ROBUST)
        network.running[2].mesh._receive = lambda _sender, _frame: None
        watch, request, limits = network[0]._watch, network.ask(ROBUST), list[tuple[float, float]]()
        timeout, seen_s = watch.timeout, watch.s
        await must_become(lambda: watch.s >= seen_s + turn_s, "its turn")
        watch.timeout = lambda seconds: limits.append((watch.s, seconds)) or timeout(seconds)  # type: ignore
        with pytest.raises(NotSigned, match="did not answer in time") as caught:
            await network[0].sign(request, network.view, (0, 1, 2))
        assert caught.value.code == "RobustSetIncomplete"
        ((at_s, seconds),) = limits
        assert seconds == pytest.approx(count_exact_seconds(at_s - seen_s))
        assert seconds <= EXACT_S_MAX - turn_s + 1e-9 and watch.s >= at_s + seconds

    run(tmp_path, work, domains=(ROBUST,), stock=NONE_MADE)


def test_stock_that_a_deaf_signer_used_up_is_told_of(tmp_path: Path) -> None:
    """Without it none is made again, so nothing would ever come of waiting."""

    async def work(network: Meshed) -> None:
        await network.must_stock(0, (0, 1, 2), ROBUST)
        network.running[0].store.drop_presignatures(list(network.running[0].store.list_owned(0))[1:])
        network.running[2].mesh._receive = lambda _sender, _frame: None
        for reason in ("did not answer in time", NO_STOCK):
            with pytest.raises(NotSigned, match=reason) as caught:
                await network.must_sign((0, 1, 2), ROBUST)
            assert caught.value.code == "RobustSetIncomplete"

    run(tmp_path, work, domains=(ROBUST,), stock=NONE_MADE)


def test_who_says_nothing_for_a_while_does_not_lead_nor_is_anything_spent_on_it(tmp_path: Path) -> None:
    """Its connections stand, as those of a stopped process; once it says a word it is as before."""

    async def work(network: Meshed) -> None:
        await network.must_stock(0, (0, 1, 2), ROBUST)
        before = network.running[0].store.count_presignatures()
        await must_become(lambda: network[0].get_alive(0) == {0, 1, 2}, "alive")
        send = network.running[2].mesh.send
        network.running[2].mesh.send = lambda _to, _frame: None  # type: ignore[method-assign]
        await must_become(lambda: network[0].get_alive(0) == {0, 1}, "silent")
        with pytest.raises(NotSigned, match="3 signers are needed, and 2 are to be reached") as caught:
            await network.must_sign((0, 1, 2), ROBUST)
        assert caught.value.code == "RobustSetIncomplete"
        assert network.running[0].store.count_presignatures() == before
        network.running[2].mesh.send = send  # type: ignore[method-assign]
        await must_become(lambda: network[0].heard == {1, 2}, "heard")
        await network.must_sign((0, 1, 2), ROBUST)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meshed_module, "QUICK", Limits(silence_s_max=60.0, reconnect_s_max=0.2))
        run(tmp_path, work, domains=(ROBUST,), stock=NONE_MADE)


def test_a_node_that_was_held_up_ends_no_connection(tmp_path: Path) -> None:
    """It reads what came meanwhile before it takes anybody for silent: the same connections stand."""

    async def work(network: Meshed) -> None:
        links = [link for me in range(3) for link in network.running[me].mesh._links.values()]
        before = [(link.incoming, link.outgoing) for link in links]
        time.sleep(2 * meshed_module.QUICK.silence_s_max)
        await asyncio.sleep(0)
        for me in range(3):
            # Every node has heard of every other since.
            since_s = time.monotonic()
            mesh = network.running[me].mesh
            await must_become(
                lambda mesh=mesh, since_s=since_s: all(
                    link.heard_s > since_s for link in mesh._links.values()
                ),
                "heard",
            )
        assert [(link.incoming, link.outgoing) for link in links] == before

    run(tmp_path, work, domains=())
