"""Full nodes judge the development node: its blocks, its payments, and its answers to their command line."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hither.foreign.engines.bitcoin import BitcoinEngine, BitcoinOptions, start_bitcoin
from hither.foreign.engines.full_nodes import find_program, read_payments, run_full_node
from hither.foreign.errors import EngineError, LyingEndpoint
from hither.foreign.transport import JsonRpc
from tests.e2e.foreign.test_bitcoin import ALICE_ADDRESS, ALICE_KEY, BITCOIN, BOB_ADDRESS, run_chain, sign

pytestmark = pytest.mark.slow


def test_a_payment_is_read_again_by_knots(tmp_path: Path) -> None:
    """Who paid whom, how much, for which fee, in which block: after it has checked every block itself."""

    async def scenario() -> None:
        async with run_chain(tmp_path) as (engine, adapter):
            signed = sign(adapter, await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, BITCOIN))
            await adapter.broadcast(signed)
            status = await adapter.fetch_status(signed)
            await engine.mine(2)
            (facts,) = await read_payments(engine.url, [signed.transaction_id])
            assert facts.paid[BOB_ADDRESS] == BITCOIN
            assert facts.taken == {ALICE_ADDRESS: 10 * BITCOIN}
            assert sum(facts.taken.values()) - sum(facts.paid.values()) == facts.fee == status.fee
            assert (facts.height, facts.confirmations) == (status.height, 3)
            with pytest.raises(LyingEndpoint, match="knows no transaction"):
                await read_payments(engine.url, ["11" * 32])

    asyncio.run(scenario())


class Liar(JsonRpc):
    """A node that changes what a block pays."""

    async def call(self, method: str, params: Any = (), *, is_repeatable: bool = True) -> Any:
        """The truth but for one."""
        answer = await super().call(method, params, is_repeatable=is_repeatable)
        if method == "getblock" and (9 * BITCOIN).to_bytes(8, "little").hex() in answer:
            return answer.replace(
                (9 * BITCOIN).to_bytes(8, "little").hex(), (8 * BITCOIN).to_bytes(8, "little").hex()
            )
        return answer


def test_a_node_that_lies_about_a_block_is_found_out(tmp_path: Path) -> None:
    """One amount is another in the block that it gives."""

    async def scenario() -> None:
        engine = await start_bitcoin(BitcoinOptions(tmp_path))
        await engine.fund(BOB_ADDRESS, 9 * BITCOIN)
        liar = Liar(engine.url)
        async with run_full_node() as node:
            with pytest.raises(LyingEndpoint, match="bad-txnmrklroot"):
                await node.feed(liar)
        await liar.close()
        await engine.stop()

    asyncio.run(scenario())


def test_a_reorganisation_is_followed(tmp_path: Path) -> None:
    """Knots is fed one branch, then the longer one; and the other way round, ours takes Knots' blocks."""

    async def scenario() -> None:
        engine = await start_bitcoin(BitcoinOptions(tmp_path, is_instant=False))
        source = JsonRpc(engine.url)
        async with run_full_node() as node:
            await node.feed(source)
            await engine.snapshot("fork")
            await engine.mine(1)
            await node.feed(source)
            await engine.revert("fork")
            lost = await node.call("getbestblockhash")
            await engine.mine(2)
            await node.feed(source)
            assert await node.call("getbestblockhash") != lost
            for name in await node.call("generatetoaddress", 3, BOB_ADDRESS):
                assert await engine.call("submitblock", await node.call("getblock", name, 0)) is None
            assert await engine.call("getbestblockhash") == await node.call("getbestblockhash")
        await source.close()
        await engine.stop()

    asyncio.run(scenario())


def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what to do."""
    monkeypatch.setenv("HITHER_CACHE", str(tmp_path))
    with pytest.raises(EngineError, match="bitcoind is not at") as caught:
        find_program("bitcoind")
    assert caught.value.hint == "run `make setup`, which fetches it"


def test_the_command_line_of_core_works(tmp_path: Path) -> None:
    """bitcoin-cli, unmodified: numbers, objects, lists, errors with their codes, names for places."""

    async def scenario() -> None:
        engine = await start_bitcoin(BitcoinOptions(tmp_path))
        ask = CommandLine(engine)
        assert await ask("getblockcount") == "110"
        assert json.loads(await ask("getblockchaininfo"))["chain"] == "regtest"
        (name,) = json.loads(await ask("generatetoaddress", "1", BOB_ADDRESS))
        block = json.loads(await ask("-named", "getblock", f"blockhash={name}", "verbosity=2"))
        assert block["tx"][0]["vout"][0]["scriptPubKey"]["address"] == BOB_ADDRESS
        found = json.loads(await ask("scantxoutset", "start", f'["addr({BOB_ADDRESS})"]'))
        assert found["total_amount"] == 50
        assert "Blocks: 111" in await ask("-getinfo")
        assert "getblockcount" in await ask("help")
        assert (
            await ask("getblockhash", "500", code=8)
            == "error code: -8\nerror message:\nBlock height out of range"
        )
        refused = await ask("sendrawtransaction", "00", code=22)
        assert refused.startswith("error code: -22\nerror message:\nTX decode failed")
        await engine.stop()

    asyncio.run(scenario())


class CommandLine:
    """bitcoin-cli, pointed at a node."""

    def __init__(self, engine: BitcoinEngine) -> None:
        self._program = [str(find_program("bitcoin-cli")), "-regtest", f"-rpcport={engine.port}"]
        self._program += ["-rpcuser=anybody", "-rpcpassword=anything", "-color=never"]

    async def __call__(self, *arguments: str, code: int = 0) -> str:
        """What it prints."""
        result = await asyncio.to_thread(
            subprocess.run,
            [*self._program, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == code, result
        return (result.stdout or result.stderr).strip()
