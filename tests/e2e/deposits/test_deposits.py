"""A contract mints on proof of a bitcoin deposit or an EVM event; forged, unfinal, reorganised ones mint nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hither import Account, Units
from hither.client import AsyncClient, ExecutionFailed, Signer
from hither.crypto.keys import public_key_to_str
from hither.crypto.signing import secret_key_from_seed
from hither.foreign.bitcoin_addresses import REGTEST, format_script
from hither.foreign.evm_account import deploy, find_unlocked
from hither.foreign.evm_artefacts import read_artefact
from hither.foreign.transport import JsonRpc
from hither.primitives.types import ED25519
from tests.e2e.cli.running import Network, network

pytestmark = pytest.mark.slow
WASM = Path(__file__).resolve().parents[3] / "contracts/deposits/deposits.wasm"
CONTRACT_ID = "deposits.test.near"
BITCOIN = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"
ETHEREUM = "eip155:1"
CONFIRMATIONS = 2
FINAL_BLOCKS = 100
ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


@dataclass
class Stage:
    """alice, her deposit addresses, and the chains."""

    alice: Account
    client: AsyncClient
    bitcoin: JsonRpc
    ethereum: JsonRpc
    addresses: dict[str, str]
    token: str

    async def claim(self, method: str, **arguments: Any) -> bool:
        """Whether it minted. Raises ExecutionFailed when nothing was asked of the network."""
        result = await self.client.call(
            CONTRACT_ID,
            method,
            {"account_id": "alice.near", **arguments},
            gas="300 Tgas",
            signer=self.alice.signer,
        )
        return bool(result.value_json())

    async def get_balance(self, asset: str) -> int:
        view = await self.client.view(CONTRACT_ID, "balance_of", {"account_id": "alice.near", "asset": asset})
        return int(view.json())

    async def mine_bitcoin(self, blocks: int) -> None:
        await self.bitcoin.call("generatetoaddress", [blocks, ADDRESS], is_repeatable=False)

    async def deposit_bitcoin(self, satoshis: int) -> dict[str, Any]:
        """Pay to the deposit address; what a claim brings."""
        on = self.alice.on(BITCOIN)
        await on.fund("1 BTC")
        address = format_script(bytes.fromhex(self.addresses["script"]), REGTEST)
        assert address is not None
        sent = await on.send(address, Units(satoshis))
        found = await self.bitcoin.call("getrawtransaction", [sent.transaction_id, True])
        scripts = [output["scriptPubKey"]["hex"] for output in found["vout"]]
        return {
            "transaction": found["hex"],
            "output": scripts.index(self.addresses["script"]),
            "block_hash": found["blockhash"],
        }

    async def deposit_token(self, amount: int) -> dict[str, Any]:
        """Transfer to the deposit address; the event that a claim brings."""
        sent = await self.alice.on(ETHEREUM).send_token(self.token, self.addresses["evm"], Units(amount))
        receipt = await self.ethereum.call("eth_getTransactionReceipt", [sent.transaction_id])
        (log,) = receipt["logs"]
        return {
            "transaction_hash": log["transactionHash"],
            "transaction_index": int(log["transactionIndex"], 16),
            "log_index": int(log["logIndex"], 16),
            "block_hash": log["blockHash"],
            "block_number": int(log["blockNumber"], 16),
            "data": log["data"],
            "topics": log["topics"],
        }

    async def mine_ethereum(self) -> None:
        await self.ethereum.call("anvil_mine", [hex(FINAL_BLOCKS)], is_repeatable=False)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Our chain, the signing network, Bitcoin and Ethereum."""
    with network(tmp_path_factory.mktemp("home"), "--quiet", "--evm", "1", is_alone=False) as everything:
        yield everything


@pytest.fixture(scope="module")
def token(running: Network) -> str:
    """An ERC-20 of which alice has some, and a contract of ours that takes deposits of it."""

    async def set_up() -> str:
        urls = {row["caip2"]: row["rpc_url"] for row in running.endpoints["foreign"]}
        rpc = JsonRpc(urls[ETHEREUM])
        async with await Account.load("alice.near", home=running.home) as alice:
            on = alice.on(ETHEREUM)
            await on.fund("1 ETH")
            arguments = ("Token", "TOK", 10**24, await on.address())
            artefact = read_artefact("openzeppelin", "ERC20PresetFixedSupply")
            types = "(string,string,uint256,address)"
            address = await deploy(await find_unlocked(rpc), artefact, types, arguments)
        await rpc.close()
        own = Signer(CONTRACT_ID, secret_key_from_seed(ED25519, b"d" * 32))
        parent = Signer("test.near", running.get_key("test.near"))
        async with AsyncClient(running.url) as client:
            await client.create_account(CONTRACT_ID, public_key_to_str(own.public_key), "20 N", signer=parent)
            await client.deploy(WASM.read_bytes(), signer=own)
            setting = {
                "signer_id": "signer.test.near",
                "domain_id": 2,
                "confirmations": CONFIRMATIONS,
                "chain": "Ethereum",
                "token": address,
            }
            await client.call(CONTRACT_ID, "new", setting, signer=own)
            arguments_of_register = {"account_id": "alice.near"}
            await client.call(CONTRACT_ID, "register", arguments_of_register, gas="150 Tgas", signer=own)
        return address

    return asyncio.run(set_up())


@asynccontextmanager
async def stage(running: Network, token: str) -> AsyncIterator[Stage]:
    urls = {row["caip2"]: row["rpc_url"] for row in running.endpoints["foreign"]}
    async with (
        await Account.load("alice.near", home=running.home) as alice,
        AsyncClient(running.url) as client,
    ):
        view = await client.view(CONTRACT_ID, "get_addresses", {"account_id": "alice.near"})
        here = Stage(alice, client, JsonRpc(urls[BITCOIN]), JsonRpc(urls[ETHEREUM]), view.json(), token)
        try:
            yield here
        finally:
            await asyncio.gather(here.bitcoin.close(), here.ethereum.close())


def test_bitcoin_deposit_mints_once_it_is_deep_enough(running: Network, token: str) -> None:
    """One block is not enough; two are; and it mints once."""

    async def run() -> None:
        async with stage(running, token) as here:
            before = await here.get_balance("bitcoin")
            claim = await here.deposit_bitcoin(70_000)
            assert not await here.claim("claim_bitcoin", **claim)
            await here.mine_bitcoin(1)
            assert await here.claim("claim_bitcoin", **claim)
            assert await here.get_balance("bitcoin") == before + 70_000
            with pytest.raises(ExecutionFailed, match="claimed before"):
                await here.claim("claim_bitcoin", **claim)
            assert await here.get_balance("bitcoin") == before + 70_000

    asyncio.run(run())


def test_forged_and_reorganised_deposits_mint_nothing(running: Network, token: str) -> None:
    """Another amount is another transaction; another output is not alice's; a block that lost says nothing."""

    async def run() -> None:
        async with stage(running, token) as here:
            before = await here.get_balance("bitcoin")
            await here.bitcoin.call("hither_snapshot", ["fork"], is_repeatable=False)
            claim = await here.deposit_bitcoin(70_000)
            await here.mine_bitcoin(3)
            honest = (70_000).to_bytes(8, "little").hex()
            assert honest in claim["transaction"]
            much = claim["transaction"].replace(honest, (70_000_000).to_bytes(8, "little").hex())
            assert not await here.claim("claim_bitcoin", **{**claim, "transaction": much})
            with pytest.raises(ExecutionFailed, match="does not pay"):
                await here.claim("claim_bitcoin", **{**claim, "output": 1 - claim["output"]})
            with pytest.raises(ExecutionFailed, match="ends too early"):
                await here.claim("claim_bitcoin", **{**claim, "transaction": claim["transaction"][:-2]})
            assert not await here.claim("claim_bitcoin", **{**claim, "block_hash": "11" * 32})
            await here.bitcoin.call("hither_revert", ["fork"], is_repeatable=False)
            await here.mine_bitcoin(5)
            assert not await here.claim("claim_bitcoin", **claim)
            assert await here.get_balance("bitcoin") == before

    asyncio.run(run())


def test_event_mints_once_it_is_finalized(running: Network, token: str) -> None:
    """Not before, not for more, not for another account's transfer, not twice."""

    async def run() -> None:
        async with stage(running, token) as here:
            log = await here.deposit_token(12_345)
            assert not await here.claim("claim_token", log=log)
            await here.mine_ethereum()
            more = {**log, "data": "0x" + (10**18).to_bytes(32, "big").hex()}
            assert not await here.claim("claim_token", log=more)
            elsewhere = [*log["topics"][:2], "0x" + bytes(12).hex() + "07" * 20]
            with pytest.raises(ExecutionFailed, match="not to this account"):
                await here.claim("claim_token", log={**log, "topics": elsewhere})
            assert await here.claim("claim_token", log=log)
            assert await here.get_balance("token") == 12_345
            with pytest.raises(ExecutionFailed, match="claimed before"):
                await here.claim("claim_token", log=log)

    asyncio.run(run())


def test_event_of_a_lost_block_mints_nothing(running: Network, token: str) -> None:
    """The chain went another way before anybody claimed."""

    async def run() -> None:
        async with stage(running, token) as here:
            before = await here.get_balance("token")
            snapshot = await here.ethereum.call("evm_snapshot", is_repeatable=False)
            log = await here.deposit_token(777)
            await here.ethereum.call("evm_revert", [snapshot], is_repeatable=False)
            await here.mine_ethereum()
            assert not await here.claim("claim_token", log=log)
            assert await here.get_balance("token") == before

    asyncio.run(run())
