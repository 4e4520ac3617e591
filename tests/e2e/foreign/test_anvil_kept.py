"""anvil's chain over stops of any kind, and its snapshots."""

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from web3 import HTTPProvider, Web3
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hither.foreign.caip import parse_chain_id
from hither.foreign.engines import UnknownSnapshot, anvil_journal
from hither.foreign.engines.anvil import Anvil, AnvilOptions, start_anvil
from hither.foreign.errors import TransportError
from hither.foreign.transport import JsonRpc, RetryPolicy
from tests.e2e.foreign.test_anvil import must_be_gone

BOB = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


async def read(engine: Anvil, *transaction_ids: str) -> dict[str, Any]:
    """What an independent client sees; from a thread, as the engine answers in this loop."""
    return await asyncio.to_thread(read_now, engine, transaction_ids)


def read_now(engine: Anvil, transaction_ids: Sequence[str]) -> dict[str, Any]:
    """The same in the present thread."""
    web3 = Web3(HTTPProvider(engine.url))
    receipts = [web3.eth.get_transaction_receipt(id_) for id_ in transaction_ids]
    newest = web3.eth.get_block("latest")
    return {
        "height": newest["number"],
        "timestamp": newest["timestamp"],
        "balance": web3.eth.get_balance(BOB),
        "nonce": web3.eth.get_transaction_count(web3.eth.accounts[0]),
        "receipts": [(row["blockNumber"], row["status"], row["gasUsed"], row["from"]) for row in receipts],
        "code": bytes(web3.eth.get_code("0x420000000000000000000000000000000000000F")).hex(),
    }


def kill(engine: Anvil) -> None:
    """No chance to write anything."""
    os.kill(engine.process_id, signal.SIGKILL)
    must_be_gone(engine.process_id)


@pytest.mark.parametrize("chain", ["eip155:1", "eip155:8453"])
def test_a_chain_is_the_same_after_sigkill(
    chain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Part of it in the written state, part in the journal; and again after the second kill."""
    monkeypatch.setattr(anvil_journal, "QUIET_SECONDS", 3600.0)
    monkeypatch.setattr(anvil_journal, "BUSY_SECONDS_MAX", 3600.0)
    options = AnvilOptions(parse_chain_id(chain), folder=tmp_path / "chain")

    async def run() -> None:
        engine = await start_anvil(options)
        ids = [await engine.fund(BOB, 5)]
        await engine.persist()
        ids += [await engine.fund(BOB, amount) for amount in (7, 11)]
        await engine.mine(3)
        ids.append(await engine.fund(BOB, 13))
        before = await read(engine, *ids)
        assert (before["balance"], before["height"], before["nonce"]) == (36, 7, 4)
        for _ in range(2):
            kill(engine)
            await engine.stop()
            await asyncio.sleep(1.1)  # Later than the blocks, whose times have a second's grain.
            engine = await start_anvil(options)
            assert await read(engine, *ids) == before
        await engine.fund(BOB, 1)
        assert (await read(engine))["balance"] == 37
        await engine.stop()
        engine = await start_anvil(options)
        assert (await read(engine))["height"] == 8
        await engine.stop()

    asyncio.run(run())


def test_what_a_client_was_told_of_survives(tmp_path: Path) -> None:
    """SIGKILL in the very moment of the answer, again and again."""
    options = AnvilOptions(parse_chain_id("eip155:1"), folder=tmp_path)

    async def run() -> None:
        told = 0
        for turn in range(4):
            engine = await start_anvil(options)
            assert (await read(engine))["balance"] == told
            rpc = JsonRpc(engine.url, policy=RetryPolicy(attempts=1))
            sender = (await rpc.call("eth_accounts"))[0]
            for amount in range(1, 4 + turn):
                transfer = {"from": sender, "to": BOB, "value": hex(amount)}
                await rpc.call("eth_sendTransactionSync", [transfer], is_repeatable=False)
                told += amount
            kill(engine)
            await rpc.close()
            await engine.stop()

    asyncio.run(run())


def test_subscriptions_reach_clients_and_a_dead_chain_ends_them(tmp_path: Path) -> None:
    """What stands between passes WebSockets on, and hides no end."""

    async def run() -> None:
        engine = await start_anvil(AnvilOptions(parse_chain_id("eip155:1"), folder=tmp_path))
        async with connect(engine.url.replace("http", "ws", 1)) as socket:
            request = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
            await socket.send(json.dumps(request))
            await socket.recv()
            await engine.fund(BOB, 5)
            head = json.loads(await asyncio.wait_for(socket.recv(), 60))
            assert head["params"]["result"]["number"] == "0x1"
            kill(engine)
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 60)
        rpc = JsonRpc(engine.url, policy=RetryPolicy(attempts=1))
        with pytest.raises(TransportError):
            await rpc.call("eth_chainId")
        await rpc.close()
        assert not await engine.is_healthy()
        await engine.stop()

    asyncio.run(run())


def test_the_state_is_written_once_the_chain_is_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal is then empty, and a start has nothing to replay."""
    monkeypatch.setattr(anvil_journal, "QUIET_SECONDS", 0.05)
    options = AnvilOptions(parse_chain_id("eip155:1"), folder=tmp_path)

    async def run() -> None:
        engine = await start_anvil(options)
        id_ = await engine.fund(BOB, 5)
        async with asyncio.timeout(60):
            while not (tmp_path / "state.json").exists() or (tmp_path / "blocks").stat().st_size:
                await asyncio.sleep(0.01)
        before = await read(engine, id_)
        kill(engine)
        await engine.stop()
        engine = await start_anvil(options)
        assert await read(engine, id_) == before
        await engine.stop()

    asyncio.run(run())


@pytest.mark.parametrize("blocks_after", [1, 2, 3])
def test_a_client_that_takes_the_chain_back_is_followed(blocks_after: int, tmp_path: Path) -> None:
    """Tests of other tools do so with evm_revert; the new chain may be shorter, as long, or longer."""
    options = AnvilOptions(parse_chain_id("eip155:1"), folder=tmp_path)

    async def run() -> None:
        engine = await start_anvil(options)
        await engine.fund(BOB, 5)
        client = JsonRpc(engine.url)
        number = await client.call("evm_snapshot")
        await engine.fund(BOB, 7)
        await engine.fund(BOB, 9)
        await client.call("evm_revert", [number])
        for _ in range(blocks_after - 1):
            await client.call("evm_mine")
        await client.close()
        await engine.fund(BOB, 11)
        before = await read(engine)
        assert (before["balance"], before["height"]) == (16, 1 + blocks_after)
        kill(engine)
        await engine.stop()
        engine = await start_anvil(options)
        assert await read(engine) == before
        await engine.stop()

    asyncio.run(run())


@pytest.mark.parametrize("is_restarted", [False, True], ids=["in one run", "after SIGKILL"])
def test_snapshots_are_gone_back_to(is_restarted: bool, tmp_path: Path) -> None:
    """Tip, balances and history; what came after does not return; later snapshots are used up."""
    options = AnvilOptions(parse_chain_id("eip155:8453"), folder=tmp_path)

    async def run() -> None:
        engine = await start_anvil(options)
        ids = [await engine.fund(BOB, 5)]
        await engine.snapshot("first")
        before = await read(engine, *ids)
        await engine.fund(BOB, 7)
        await engine.snapshot("second")
        await engine.fund(BOB, 9)
        if is_restarted:
            kill(engine)
            await engine.stop()
            engine = await start_anvil(options)
        with pytest.raises(UnknownSnapshot):
            await engine.revert("third")
        port = engine.port
        await engine.revert("first")
        assert (await read(engine, *ids), engine.port) == (before, port)
        for name in ("first", "second"):
            with pytest.raises(UnknownSnapshot):
                await engine.revert(name)
        assert not list(tmp_path.glob("snapshot-*"))
        kill(engine)
        await engine.stop()
        engine = await start_anvil(options)
        assert await read(engine, *ids) == before
        await engine.fund(BOB, 1)
        assert (await read(engine))["balance"] == 6
        await engine.stop()

    asyncio.run(run())


def test_a_snapshot_without_a_folder_lasts_as_long_as_the_chain() -> None:
    """And a name that is taken again means the later present."""

    async def run() -> None:
        engine = await start_anvil(AnvilOptions(parse_chain_id("eip155:1")))
        await engine.snapshot("a")
        await engine.fund(BOB, 5)
        await engine.snapshot("a")
        await engine.fund(BOB, 7)
        await engine.revert("a")
        assert (await read(engine))["balance"] == 5
        with pytest.raises(UnknownSnapshot):
            await engine.revert("a")
        await engine.stop()

    asyncio.run(run())
