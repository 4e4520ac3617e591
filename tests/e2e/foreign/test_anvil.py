"""Real sends on anvil, read again by web3.py; the engine's life and death."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from web3 import HTTPProvider, Web3

from hither.foreign import evm_addresses
from hither.foreign import evm_transactions as codec
from hither.foreign.adapter import SignedTransaction, State, UnsignedTransaction, track
from hither.foreign.caip import parse_chain_id
from hither.foreign.engines.anvil import Anvil, AnvilOptions, start_anvil
from hither.foreign.errors import (
    BroadcastRefused,
    EngineError,
    InsufficientFunds,
    InvalidAddress,
    InvalidAmount,
    LyingEndpoint,
    TransactionDropped,
    TransactionFailed,
    TransportError,
    WrongSignature,
)
from hither.foreign.evm import EvmAdapter
from hither.foreign.evm_calls import EvmCall
from hither.foreign.evm_chains import get_evm_chain
from hither.foreign.transport import JsonRpc, RetryPolicy
from tests.unit.foreign.signing_network import SigningNetwork

ETHER = 10**18
ALICE = SigningNetwork("alice")
BOB = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def make_adapter(engine: Anvil, chain: str | None = None, confirmations: int | None = 1) -> EvmAdapter:
    info = get_evm_chain(parse_chain_id(chain) if chain else engine.chain, confirmations=confirmations)
    return EvmAdapter(info, JsonRpc(engine.url, policy=RetryPolicy(attempts=1)))


@contextlib.asynccontextmanager
async def run_chain(chain: str = "eip155:8453", port: int = 0) -> AsyncIterator[tuple[Anvil, EvmAdapter]]:
    """A fresh chain on which alice has ten ether."""
    engine = await start_anvil(AnvilOptions(parse_chain_id(chain), port))
    adapter = make_adapter(engine)
    try:
        await engine.fund(adapter.derive_address(ALICE.get_public_key(adapter.scheme)), 10 * ETHER)
        yield engine, adapter
    finally:
        await adapter.close()
        await engine.stop()


def sign(adapter: EvmAdapter, unsigned: UnsignedTransaction) -> SignedTransaction:
    """Outside the builder."""
    return adapter.attach(unsigned, [ALICE.sign(payload) for payload in adapter.list_payloads(unsigned)])


@pytest.mark.parametrize("kind", ["fee market", "legacy"])
@pytest.mark.parametrize("chain", ["eip155:1", "eip155:8453", "eip155:42161"])
def test_a_transfer_arrives(chain: str, kind: str) -> None:
    """Balance, nonce, fee and id agree with what an independent client reads."""

    async def run() -> None:
        async with run_chain(chain) as (engine, adapter):
            key = ALICE.get_public_key(adapter.scheme)
            alice = adapter.derive_address(key)
            assert await adapter.fetch_nonce(alice) == 0
            unsigned = await adapter.build_transfer(key, BOB, ETHER)
            if kind == "legacy":
                built = codec.decode_unsigned(unsigned.body)
                assert isinstance(built, codec.FeeMarketTransaction)
                legacy = codec.LegacyTransaction(
                    built.chain_id, 0, built.gas_price_max, built.gas_limit, built.receiver, built.amount
                )
                unsigned = replace(unsigned, body=codec.encode_unsigned(legacy))
            signed = sign(adapter, unsigned)
            assert (await adapter.fetch_status(signed)).state is State.UNKNOWN
            await adapter.broadcast(signed)
            status = await track(adapter, signed, timeout_seconds=60)
            await adapter.broadcast(signed)  # Once more has no effect.

            web3 = Web3(HTTPProvider(engine.url))
            receipt = web3.eth.get_transaction_receipt(signed.transaction_id)
            assert web3.eth.chain_id == int(engine.chain.reference)
            assert (receipt["from"], receipt["to"], receipt["status"]) == (alice, BOB, 1)
            assert receipt["type"] == (0 if kind == "legacy" else 2)
            parent_fee = (status.fee or 0) - receipt["gasUsed"] * receipt["effectiveGasPrice"]
            assert (parent_fee > 0) == (chain == "eip155:8453")
            assert web3.eth.get_balance(BOB) == ETHER
            assert web3.eth.get_balance(alice) == 9 * ETHER - (status.fee or 0)
            assert await adapter.fetch_balance(alice) == web3.eth.get_balance(alice)
            assert await adapter.fetch_nonce(alice) == web3.eth.get_transaction_count(alice) == 1
            assert (status.fee or 0) <= (await adapter.fetch_fee(unsigned)).total

    asyncio.run(run())


def test_bad_transfers_are_refused_before_they_are_sent() -> None:
    """Each with its own error; the account's nonce stays."""

    async def run() -> None:
        async with run_chain() as (_engine, adapter):
            key = ALICE.get_public_key(adapter.scheme)
            with pytest.raises(InvalidAddress):
                await adapter.build_transfer(key, BOB[:-1] + "D", 1)
            for amount in (-1, 2**256):
                with pytest.raises(InvalidAmount):
                    await adapter.build_transfer(key, BOB, amount)
            with pytest.raises(InsufficientFunds, match=r"has 10 ETH on Base; 11\.0000\d+ ETH are needed"):
                await adapter.build_transfer(key, BOB, 11 * ETHER)
            with pytest.raises(InsufficientFunds) as caught:
                await adapter.build_transfer(key, BOB, 10 * ETHER)
            assert caught.value.needed > caught.value.balance == 10 * ETHER
            unsigned = await adapter.build_transfer(key, BOB, 1)
            other = await adapter.build_transfer(key, BOB, 2)
            with pytest.raises(WrongSignature):
                adapter.attach(unsigned, [ALICE.sign(adapter.list_payloads(other)[0])])
            assert await adapter.fetch_nonce(adapter.derive_address(key)) == 0

    asyncio.run(run())


def test_an_endpoint_of_another_chain_is_noticed() -> None:
    """A replayed chain id would sign money away elsewhere."""

    async def run() -> None:
        async with run_chain("eip155:8453") as (engine, _):
            adapter = make_adapter(engine, "eip155:1")
            with pytest.raises(LyingEndpoint, match="serves eip155:8453, not eip155:1"):
                await adapter.build_transfer(ALICE.get_public_key(adapter.scheme), BOB, 1)
            await adapter.close()

    asyncio.run(run())


def test_a_replaced_transaction_is_dropped() -> None:
    """Of two with one nonce the second sent can never come, and the node says why."""

    async def run() -> None:
        async with run_chain() as (_, adapter):
            key = ALICE.get_public_key(adapter.scheme)
            first = sign(adapter, await adapter.build_transfer(key, BOB, 1))
            second = sign(adapter, await adapter.build_transfer(key, BOB, 2))
            await adapter.broadcast(first)
            await track(adapter, first, timeout_seconds=60)
            with pytest.raises(BroadcastRefused, match="nonce too low"):
                await adapter.broadcast(second)
            with pytest.raises(TransactionDropped):
                await track(adapter, second, timeout_seconds=60)

    asyncio.run(run())


def test_a_reverted_call_is_told_as_a_failure() -> None:
    """It is in a block and paid for, without effect."""

    async def run() -> None:
        async with run_chain() as (engine, adapter):
            key = ALICE.get_public_key(adapter.scheme)
            # Creation code that returns one byte, 0xfe: a contract that always fails.
            created = sign(
                adapter, await adapter.build(key, EvmCall(None, bytes.fromhex("60fe60005360016000f3")))
            )
            await adapter.broadcast(created)
            await track(adapter, created, timeout_seconds=60)
            receipt = Web3(HTTPProvider(engine.url)).eth.get_transaction_receipt(created.transaction_id)
            call = codec.FeeMarketTransaction(
                8453,
                1,
                0,
                2 * 10**9,
                50_000,
                evm_addresses.parse_address(str(receipt["contractAddress"])),
                0,
                b"\1",
            )
            unsigned = UnsignedTransaction(adapter.chain, key, codec.encode_unsigned(call))
            assert adapter.describe(unsigned).startswith(
                f"Call the contract {receipt['contractAddress']} with 1 bytes"
            )
            failing = sign(adapter, unsigned)
            await adapter.broadcast(failing)
            with pytest.raises(TransactionFailed, match="reverted or ran out of gas"):
                await track(adapter, failing, timeout_seconds=60)

    asyncio.run(run())


def test_without_a_number_of_confirmations_the_chain_says_what_is_final() -> None:
    """Included at once; final when the chain's finalized block has reached it."""

    async def run() -> None:
        async with run_chain() as (engine, _):
            adapter = make_adapter(engine, confirmations=None)
            signed = sign(adapter, await adapter.build_transfer(ALICE.get_public_key(adapter.scheme), BOB, 1))
            await adapter.broadcast(signed)
            # The block comes at once, but not before the answer.
            async with asyncio.timeout(60):
                while (state := (await adapter.fetch_status(signed)).state) is State.PENDING:
                    await asyncio.sleep(0.01)
            assert state is State.INCLUDED
            await engine.mine(64)
            status = await adapter.fetch_status(signed)
            assert (status.state, status.confirmations) == (State.FINAL, 65)
            await adapter.close()

    asyncio.run(run())


# The engine itself


def must_be_gone(process_id: int) -> None:
    """Soon."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        stat = Path(f"/proc/{process_id}/stat")
        if not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.01)
    raise AssertionError(f"process {process_id} still runs")


def test_a_stopped_engine_is_gone() -> None:
    """Process and port; a request to it says that it does not answer."""

    async def run() -> None:
        async with run_chain() as (engine, _adapter):
            assert await engine.is_healthy()
        must_be_gone(engine.process_id)
        assert not await engine.is_healthy()
        late = make_adapter(engine)
        with pytest.raises(TransportError, match="ConnectError"):
            await late.fetch_balance(BOB)
        await late.close()
        await engine.stop()

    asyncio.run(run())


def test_a_taken_port_is_named() -> None:
    """And nothing is left of the attempt."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EngineError, match=f"port {port} is taken"):
            asyncio.run(start_anvil(AnvilOptions(parse_chain_id("eip155:1"), port)))


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what to do."""
    monkeypatch.setenv("HITHER_CACHE", str(tmp_path))
    with pytest.raises(EngineError, match="anvil is not at") as caught:
        asyncio.run(start_anvil(AnvilOptions(parse_chain_id("eip155:1"))))
    assert "make setup" in str(caught.value.hint)


def test_an_engine_dies_with_its_parent_even_by_sigkill() -> None:
    """The parent has no chance to clean up."""
    program = (
        "import asyncio\n"
        "from hither.foreign.caip import parse_chain_id\n"
        "from hither.foreign.engines.anvil import AnvilOptions, start_anvil\n"
        "async def main():\n"
        "    engine = await start_anvil(AnvilOptions(parse_chain_id('eip155:1')))\n"
        "    print(engine.process_id, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        process_id = int(parent.stdout.readline())
        os.kill(process_id, 0)
        parent.send_signal(signal.SIGKILL)
        must_be_gone(process_id)


def test_a_chain_is_kept_over_an_orderly_stop(tmp_path: Path) -> None:
    """With a place for its state."""

    async def run() -> None:
        options = AnvilOptions(parse_chain_id("eip155:1"), folder=tmp_path / "chain")
        engine = await start_anvil(options)
        await engine.fund(BOB, 7)
        await engine.stop()
        engine = await start_anvil(options)
        # From a thread, as an engine with a folder answers in this loop.
        web3 = Web3(HTTPProvider(engine.url))
        assert await asyncio.to_thread(web3.eth.get_balance, BOB) == 7  # type: ignore[arg-type]
        await engine.stop()

    asyncio.run(run())
