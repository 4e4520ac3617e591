"""What an engine's folder promises, told by its own clients: nothing is lost, and going back is complete."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hither.foreign.adapter import Adapter, Scheme
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.engines import Engine, UnknownSnapshot
from hither.foreign.engines.bitcoin import BitcoinOptions, start_bitcoin
from hither.foreign.engines.solana import start_solana
from hither.foreign.solana import SolanaAdapter
from hither.foreign.transport import JsonRpc
from tests.unit.foreign.signing_network import SigningNetwork

ALICE, BOB = SigningNetwork("alice"), SigningNetwork("bob")
AMOUNT = 10**9

Start = Callable[[Path], Awaitable[Engine]]


async def start_a_bitcoin(home: Path) -> Engine:
    """With instant blocks."""
    return await start_bitcoin(BitcoinOptions(home))


async def start_a_solana(home: Path) -> Engine:
    """By the clock of this machine."""
    return await start_solana(home=home)


STARTS: dict[str, tuple[Start, Callable[[Engine], Adapter]]] = {
    "bitcoin": (start_a_bitcoin, lambda engine: BitcoinAdapter(engine.chain, JsonRpc(engine.url))),
    "solana": (start_a_solana, lambda engine: SolanaAdapter(engine.chain, JsonRpc(engine.url))),
}


async def look(engine: Engine, make: Callable[[Engine], Adapter]) -> list[Any]:
    """Balances and counts of transactions of two accounts."""
    adapter = make(engine)
    try:
        addresses = [derive(adapter, person) for person in (ALICE, BOB)]
        return [
            (await adapter.fetch_balance(address), await adapter.fetch_nonce(address))
            for address in addresses
        ]
    finally:
        await adapter.close()


def derive(adapter: Adapter, person: SigningNetwork) -> str:
    """Of the scheme that the chain takes."""
    is_ecdsa = adapter.scheme is Scheme.ECDSA
    return adapter.derive_address(
        person.ecdsa.public_key.format() if is_ecdsa else person.get_public_key(adapter.scheme)
    )


@pytest.mark.parametrize("name", STARTS)
def test_a_folder_keeps_a_chain_and_goes_back(name: str, tmp_path: Path) -> None:
    """Snapshots of one name on every chain; a stop in between; unknown ones are refused and change nothing."""
    start, make = STARTS[name]

    async def scenario() -> None:
        engine = await start(tmp_path)
        adapter = make(engine)
        await engine.fund(derive(adapter, ALICE), AMOUNT)
        before = await look(engine, make)
        await engine.snapshot("before")
        await engine.fund(derive(adapter, BOB), AMOUNT)
        after = await look(engine, make)
        assert after != before
        with pytest.raises(UnknownSnapshot):
            await engine.revert("another")
        await engine.persist()
        await engine.stop()
        engine = await start(tmp_path)
        assert await look(engine, make) == after
        await engine.revert("before")
        assert await look(engine, make) == before
        with pytest.raises(UnknownSnapshot):
            await engine.revert("before")
        await engine.stop()
        engine = await start(tmp_path)
        assert await look(engine, make) == before
        await engine.stop()
        await adapter.close()

    asyncio.run(scenario())


def test_a_killed_solana_is_as_it_was(tmp_path: Path) -> None:
    """In a process of its own, ended by SIGKILL right after its answer."""

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        asyncio.run(live_until_killed(writing, tmp_path))
    os.close(writing)
    with os.fdopen(reading) as told:
        before = told.readline().strip()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    async def scenario() -> str:
        engine = await start_a_solana(tmp_path)
        found = await look(engine, STARTS["solana"][1])
        await engine.stop()
        return str(found)

    assert asyncio.run(scenario()) == before


async def live_until_killed(told: int, home: Path) -> None:
    """Fund somebody, tell what is to be seen, and wait."""
    engine = await start_a_solana(home)
    make = STARTS["solana"][1]
    await engine.fund(derive(make(engine), ALICE), AMOUNT)
    os.write(told, f"{await look(engine, make)}\n".encode())
    await asyncio.sleep(60)
