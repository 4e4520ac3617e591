"""A node that is slow, or connected and silent: it costs an attempt, and does not hold up what others do."""

import asyncio
from pathlib import Path

import pytest

from hither.mpc import node as node_module
from hither.mpc import stocking as stocking_module
from hither.mpc.channels import JobFailed
from hither.mpc.signers import NotSigned
from tests.unit.mpc.meshed import ECDSA, EDDSA, ROBUST, Meshed, must_become, run


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

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_module, "SIGN_S_MAX", 0.5)
        run(tmp_path, work, domains=(ROBUST,))
