"""Signing nodes look at other chains and sign what they see; what is forged, unfinal or gone again is refused."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from hither import Account
from hither.client import ExecutionFailed
from hither.foreign.evm_artefacts import read_artefact
from hither.foreign.evm_calls import create_contract
from hither.foreign.transport import JsonRpc
from hither.mpc.client import SigningClient
from hither.mpc.foreign_requests import (
    BitcoinBlock,
    BitcoinQuestion,
    BlockHash,
    EvmBlock,
    EvmLog,
    EvmQuestion,
    Log,
    Question,
    compute_payload_hash,
)
from hither.mpc.inspector import Inspector, NotConfirmed
from tests.e2e.cli.running import Network, network
from tests.e2e.demo.falsifying import falsified

pytestmark = pytest.mark.slow
DOMAIN = 2
BITCOIN = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"
ETHEREUM = "eip155:1"
NOWHERE = "http://127.0.0.1:1"
REFUSED = "ForeignTransactionNotConfirmed"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Our chain, the signing network, Bitcoin and Ethereum."""
    with network(tmp_path_factory.mktemp("home"), "--quiet", "--evm", "1", is_alone=False) as everything:
        yield everything


@dataclass
class Stage:
    """alice, and the endpoints of the other chains."""

    alice: Account
    signing: SigningClient
    bitcoin: JsonRpc
    ethereum: JsonRpc

    async def confirm(self, question: Question, expected: bytes | None = None) -> bytes:
        confirmed = await self.signing.confirm(self.alice.signer, question, DOMAIN, expected)
        return confirmed.payload_hash

    async def must_refuse(self, question: Question, expected: bytes | None = None) -> None:
        with pytest.raises(ExecutionFailed, match=REFUSED):
            await self.confirm(question, expected)


@asynccontextmanager
async def stage(running: Network) -> AsyncIterator[Stage]:
    urls = {row["caip2"]: row["rpc_url"] for row in running.endpoints["foreign"]}
    async with await Account.load("alice.near", home=running.home) as alice:
        bitcoin, ethereum = JsonRpc(urls[BITCOIN]), JsonRpc(urls[ETHEREUM])
        signing = SigningClient(alice.client, alice.network.contract_id)
        try:
            yield Stage(alice, signing, bitcoin, ethereum)
        finally:
            await asyncio.gather(bitcoin.close(), ethereum.close())


async def pay_bitcoin(here: Stage) -> bytes:
    on = here.alice.on(BITCOIN)
    await on.fund("1 BTC")
    sent = await on.send("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "10_000 sat")
    return bytes.fromhex(sent.transaction_id)


def test_bitcoin_payment_is_confirmed(running: Network) -> None:
    """The signed hash is that of the block which a client finds by itself; more confirmations come with more blocks."""

    async def run() -> None:
        async with stage(running) as here:
            transaction_id = await pay_bitcoin(here)
            question = BitcoinQuestion(transaction_id, 1, (BlockHash(),))
            found = await here.bitcoin.call("getrawtransaction", [transaction_id.hex(), True])
            wanted = compute_payload_hash(question, (BitcoinBlock(bytes.fromhex(found["blockhash"])),))
            assert await here.confirm(question) == wanted
            assert await here.confirm(question, wanted) == wanted
            await here.must_refuse(question, b"\x01" * 32)

            deeper = BitcoinQuestion(transaction_id, 4, (BlockHash(),))
            await here.must_refuse(deeper)
            address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
            await here.bitcoin.call("generatetoaddress", [3, address], is_repeatable=False)
            # The question is another one, so the refusal before is not its answer.
            assert await here.confirm(BitcoinQuestion(transaction_id, 3, (BlockHash(),)))

    asyncio.run(run())


def test_forged_and_reorganised_payments_are_refused(running: Network) -> None:
    """One that nobody made, and one whose block lost."""

    async def run() -> None:
        async with stage(running) as here:
            await here.must_refuse(BitcoinQuestion(b"\x07" * 32, 1, (BlockHash(),)))
            await here.bitcoin.call("hither_snapshot", ["fork"], is_repeatable=False)
            transaction_id = await pay_bitcoin(here)
            question = BitcoinQuestion(transaction_id, 1, (BlockHash(),))
            assert await here.confirm(question)
            await here.bitcoin.call("hither_revert", ["fork"], is_repeatable=False)
            await here.must_refuse(question)

    asyncio.run(run())


def test_event_of_an_evm_chain_is_confirmed(running: Network) -> None:
    """A deposit of WETH, with its log; once the chain itself calls it finalized, and not before."""

    async def run() -> None:
        async with stage(running) as here:
            on = here.alice.on(ETHEREUM)
            await on.fund("2 ETH")
            created = await on.act(create_contract(read_artefact("weth", "WETH9")))
            receipt = await here.ethereum.call("eth_getTransactionReceipt", [created.transaction_id])
            sent = await on.call(receipt["contractAddress"], "deposit()", amount="1 ETH")
            receipt = await here.ethereum.call("eth_getTransactionReceipt", [sent.transaction_id])
            transaction_id = bytes.fromhex(sent.transaction_id[2:])
            question = EvmQuestion("Ethereum", transaction_id, (BlockHash(), Log(0)), "Latest")
            wanted = compute_payload_hash(question, read_values(receipt))
            assert await here.confirm(question) == wanted

            final = EvmQuestion("Ethereum", transaction_id, (BlockHash(), Log(0)), "Finalized")
            await here.must_refuse(final)
            await here.ethereum.call("anvil_mine", [hex(100)], is_repeatable=False)
            assert await here.confirm(final) == compute_payload_hash(final, read_values(receipt))

            await here.must_refuse(EvmQuestion("Ethereum", transaction_id, (Log(1),), "Latest"))
            await here.must_refuse(EvmQuestion("Ethereum", b"\x09" * 32, (BlockHash(),), "Latest"))

    asyncio.run(run())


def read_values(receipt: dict[str, Any]) -> tuple[EvmBlock | EvmLog, ...]:
    """As a client takes them from a receipt."""
    (log,) = receipt["logs"]
    block_hash = bytes.fromhex(receipt["blockHash"][2:])
    return EvmBlock(block_hash), EvmLog(
        removed=False,
        log_index=0,
        transaction_index=0,
        transaction_hash=bytes.fromhex(receipt["transactionHash"][2:]),
        block_hash=block_hash,
        block_number=int(receipt["blockNumber"], 16),
        address=bytes.fromhex(log["address"][2:]),
        data=log["data"],
        topics=tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
    )


def lie_about_block(transaction: Any) -> Any:
    """Deeper than it is."""
    return {**transaction, "confirmations": 100} if isinstance(transaction, dict) else transaction


def test_endpoints_must_agree(running: Network) -> None:
    """More than half of all; one that contradicts the others stops it, one that is away does not."""
    url = next(row["rpc_url"] for row in running.endpoints["foreign"] if row["caip2"] == BITCOIN)

    async def run() -> None:
        async with stage(running) as here:
            transaction_id = await pay_bitcoin(here)
        question = BitcoinQuestion(transaction_id, 1, (BlockHash(),))
        deep = BitcoinQuestion(transaction_id, 50, (BlockHash(),))
        honest = await Inspector({"Bitcoin": (url,)}).inspect(question)
        assert await Inspector({"Bitcoin": (url, url, NOWHERE)}).inspect(question) == honest
        with pytest.raises(NotConfirmed, match="does not answer"):
            await Inspector({"Bitcoin": (url, NOWHERE, NOWHERE)}).inspect(question)
        with pytest.raises(NotConfirmed, match="no endpoint of Bitcoin"):
            await Inspector({}).inspect(question)
        with ExitStack() as lying:
            deeper = lying.enter_context(falsified(url, "getrawtransaction", lie_about_block))
            assert await Inspector({"Bitcoin": (deeper,)}).inspect(deep), "alone it is believed"
            with pytest.raises(NotConfirmed, match="confirmations, of 50"):
                await Inspector({"Bitcoin": (url, url, deeper)}).inspect(deep)

    asyncio.run(run())
