"""The Solana chain for development and Surfpool, asked for the same, answer the same."""

import asyncio
import base64
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from solana.rpc.async_api import AsyncClient
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature
from spl.token.constants import TOKEN_2022_PROGRAM_ID, TOKEN_PROGRAM_ID

from hither.foreign.adapter import Scheme, SignedTransaction, UnsignedTransaction, track
from hither.foreign.caip import ChainId
from hither.foreign.engines.solana import start_solana
from hither.foreign.errors import EndpointError
from hither.foreign.solana import SolanaAdapter, Wishes
from hither.foreign.solana_instructions import derive_nonce_account
from hither.foreign.transport import JsonRpc, RetryPolicy
from tests.e2e.foreign.test_solana import ALICE, BOB, HERE, SOL, get_javascript_libraries
from tests.e2e.foreign.test_solana_tokens import issue, make_table

pytestmark = pytest.mark.slow

NEWER_MINT = Keypair.from_seed(b"\x22" * 32)


class Network:
    """A chain, our adapter for it, and the accounts of the tests."""

    def __init__(self, url: str, chain: ChainId) -> None:
        self.url = url
        self.rpc = JsonRpc(url, policy=RetryPolicy(attempts=1))
        self.adapter = SolanaAdapter(chain, self.rpc)
        self.client = AsyncClient(url)
        self.engine = self  # The part of it that gives money.
        self.alice_key = ALICE.get_public_key(Scheme.EDDSA)
        self.alice = self.adapter.derive_address(self.alice_key)
        self.bob = self.adapter.derive_address(BOB.get_public_key(Scheme.EDDSA))

    async def fund(self, address: str, lamports: int) -> None:
        """From the chain's faucet, once it is there."""
        before = await self.adapter.fetch_balance(address)
        await self.rpc.call("requestAirdrop", [address, lamports], is_repeatable=False)
        while await self.adapter.fetch_balance(address) == before:
            await asyncio.sleep(0.02)

    def sign(self, unsigned: UnsignedTransaction) -> SignedTransaction:
        """Alice."""
        return self.adapter.attach(unsigned, [ALICE.sign(self.adapter.list_payloads(unsigned)[0])])

    async def finish(self, unsigned: UnsignedTransaction) -> Any:
        """Send it and tell what the chain says of it, without what only this chain can say."""
        signed = self.sign(unsigned)
        await self.adapter.broadcast(signed)
        await track(self.adapter, signed, timeout_seconds=30)
        options = {"maxSupportedTransactionVersion": 0, "encoding": "json"}
        found = await self.rpc.call("getTransaction", [signed.transaction_id, options])
        message = found["transaction"]["message"]
        del message["recentBlockhash"]
        meta = found["meta"]
        # Surfpool names the fee without its part for priority; what was paid is in the balances.
        names = ["err", "logMessages", "preBalances", "postBalances", "computeUnitsConsumed"]
        names += ["innerInstructions", "preTokenBalances", "postTokenBalances", "loadedAddresses"]
        return found["version"], message, {name: meta.get(name) for name in names}

    async def refuse(self, method: str, *params: Any) -> Any:
        """Code and message."""
        with pytest.raises(EndpointError) as caught:
            await self.rpc.call(method, params)
        return caught.value.rpc_code, str(caught.value)

    async def close(self) -> None:
        """All connections."""
        await self.client.close()
        await self.rpc.close()


@contextlib.asynccontextmanager
async def run_ours() -> AsyncIterator[Network]:
    """By the clock of this machine."""
    engine = await start_solana()
    network = Network(engine.url, engine.chain)
    try:
        yield network
    finally:
        await network.close()
        await engine.stop()


@contextlib.asynccontextmanager
async def run_surfpool(folder: Path) -> AsyncIterator[Network]:
    """In a process that ends with its standard input."""
    shutil.copy(HERE / "surfpool.mjs", folder)
    (folder / "node_modules").symlink_to(get_javascript_libraries() / "node_modules")
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(
        "node", str(folder / "surfpool.mjs"), stdin=pipe, stdout=pipe
    )
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        url = json.loads(await asyncio.wait_for(program.stdout.readline(), 60))["url"]
        rpc = JsonRpc(url)
        genesis = await rpc.call("getGenesisHash")
        await rpc.close()
        network = Network(url, ChainId("solana", genesis[:32]))
        try:
            yield network
        finally:
            await network.close()
    finally:
        program.stdin.close()
        await program.wait()


def list_differences(place: str, ours: Any, theirs: Any) -> list[str]:
    """Where two answers differ, member by member."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        pairs = [(f"{place}.{name}", ours[name], theirs[name]) for name in ours]
    elif isinstance(ours, list | tuple) and isinstance(theirs, list | tuple) and len(ours) == len(theirs):
        pairs = [(f"{place}[{index}]", *pair) for index, pair in enumerate(zip(ours, theirs, strict=True))]
    else:
        # Surfpool neither drops noughts at the end as Solana does nor always sets the point.
        is_same = ours == theirs or place.endswith(".uiAmountString")
        return [] if is_same else [f"{place}: ours {ours!r}, theirs {theirs!r}"]
    return [line for pair in pairs for line in list_differences(*pair)]


async def play(network: Network) -> dict[str, Any]:
    """Everything that a wallet does, and what it is told."""
    adapter, key, seen = network.adapter, network.alice_key, dict[str, Any]()
    await network.fund(network.alice, 10 * SOL)
    build = adapter.build_transfer
    seen["transfer"] = await network.finish(await build(key, network.bob, SOL))
    wishes = Wishes(memo="thanks", unit_limit=30_000, unit_price=10_000, is_legacy=True)
    seen["memo and priority"] = await network.finish(await build(key, network.bob, SOL, wishes=wishes))
    mint = await issue(network, TOKEN_PROGRAM_ID, 10_000_000)  # type: ignore[arg-type]
    while not await adapter.fetch_token_balance(network.alice, mint):
        await asyncio.sleep(0.02)
    first = await adapter.build_token_transfer(key, mint, network.bob, 1_500_000)
    seen["token transfer"] = await network.finish(first)
    seen["another"] = await network.finish(await adapter.build_token_transfer(key, mint, network.bob, 1))
    seen["nonce account"] = await network.finish(await adapter.build_nonce_account(key, "patience"))
    durable = Wishes(nonce_account=str(derive_nonce_account(Pubkey(key), "patience")))
    seen["durable nonce"] = await network.finish(await build(key, network.bob, SOL, wishes=durable))
    newer = await issue(network, TOKEN_2022_PROGRAM_ID, 10_000_000, NEWER_MINT)  # type: ignore[arg-type]
    while not await adapter.fetch_token_balance(network.alice, newer):
        await asyncio.sleep(0.02)
    seen["Token-2022 transfer"] = await network.finish(
        await adapter.build_token_transfer(key, newer, network.bob, 2_500_000)
    )
    seen["lookup table"] = await play_table(network)
    for name, method, params in list_questions(network, mint):
        seen[name] = (await network.rpc.call(method, params))["value"]
    for name, make in BAD.items():
        unsigned = await build(key, network.bob, SOL)
        code, message = await network.refuse("sendTransaction", *make(network, unsigned))
        # Surfpool adds the logs to the message.
        seen[name] = code, message.partition(": 3 log messages")[0]
    return seen


async def play_table(network: Network) -> Any:
    """A payment to an address that a table holds; the table's own address follows from the slot, so is each chain's."""
    table = str(await make_table(network))
    made_at = await network.rpc.call("getSlot")
    while await network.rpc.call("getSlot") < made_at + 2 or not await has_account(network, table):
        await asyncio.sleep(0.02)
    told = await network.finish(
        await network.adapter.build_transfer(
            network.alice_key, network.bob, SOL, wishes=Wishes(tables=[table])
        )
    )
    assert table in json.dumps(told)
    return json.loads(json.dumps(told).replace(table, "the table"))


async def has_account(network: Network, address: str) -> bool:
    """Whether the chain has it."""
    found = await network.rpc.call("getAccountInfo", [address, {"encoding": "base64"}])
    return found["value"] is not None


def list_questions(network: Network, mint: str) -> list[tuple[str, str, list[Any]]]:
    """About accounts and tokens."""
    parsed = {"encoding": "jsonParsed"}
    return [
        ("balance", "getBalance", [network.alice]),
        ("mint", "getAccountInfo", [mint, parsed]),
        ("supply", "getTokenSupply", [mint]),
        ("largest", "getTokenLargestAccounts", [mint]),
        ("owned", "getTokenAccountsByOwner", [network.bob, {"mint": mint}, parsed]),
        (
            "owned by program",
            "getTokenAccountsByOwner",
            [network.bob, {"programId": str(TOKEN_PROGRAM_ID)}, parsed],
        ),
        ("none", "getTokenAccountsByOwner", [network.bob, {"programId": str(TOKEN_2022_PROGRAM_ID)}, parsed]),
        ("bob", "getAccountInfo", [network.bob, {"encoding": "base64"}]),
        ("nobody", "getAccountInfo", [str(Pubkey(b"\x09" * 32)), {"encoding": "base64"}]),
        (
            "several",
            "getMultipleAccounts",
            [[network.alice, mint, str(Pubkey(b"\x09" * 32))], {"encoding": "base64"}],
        ),
        ("unknown status", "getSignatureStatuses", [[str(Signature.default())]]),
    ]


def age(network: Network, unsigned: UnsignedTransaction) -> tuple[str, dict[str, Any]]:
    """A blockhash that no block has."""
    start = 5 + 32 * 3
    body = unsigned.body[:start] + bytes(32) + unsigned.body[start + 32 :]
    signature = ALICE.eddsa.sign(body)
    return base64.b64encode(b"\x01" + signature + body).decode(), {"encoding": "base64"}


def overdraw(network: Network, unsigned: UnsignedTransaction) -> tuple[str, dict[str, Any]]:
    """More than alice has."""
    body = unsigned.body.replace(SOL.to_bytes(8, "little"), (1000 * SOL).to_bytes(8, "little"))
    signature = ALICE.eddsa.sign(body)
    return base64.b64encode(b"\x01" + signature + body).decode(), {"encoding": "base64"}


BAD: dict[str, Callable[[Network, UnsignedTransaction], tuple[str, dict[str, Any]]]] = {
    "aged": age,
    "overdrawn": overdraw,
}


def test_both_say_the_same(tmp_path: Path) -> None:
    """Transactions with logs, balances and inner calls; accounts as JSON; refusals with code and message."""

    async def run() -> None:
        async with run_ours() as ours, run_surfpool(tmp_path) as theirs:
            first, second = await play(ours), await play(theirs)
            different = [line for name in first for line in list_differences(name, first[name], second[name])]
            assert not different, "\n".join(different)

    asyncio.run(run())


async def read_extensions(network: Network, script: Path) -> list[Any]:
    """What the chain says of mints and accounts that @solana/spl-token made; times are each chain's own."""
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec("node", str(script), network.url, stdout=pipe, stderr=pipe)
    try:
        output, errors = await asyncio.wait_for(program.communicate(), 120)
    except TimeoutError:
        program.kill()
        raise
    assert program.returncode == 0, errors.decode()
    found: list[Any] = json.loads(output)
    for account in found:
        for extension in account["parsed"]["info"]["extensions"]:
            for name in ("initializationTimestamp", "lastUpdateTimestamp"):
                if name in extension.get("state", {}):
                    assert extension["state"].pop(name) > 0
    return found


def test_extensions_of_tokens_are_parsed_alike(tmp_path: Path) -> None:
    """Of mints and of accounts, with every member."""
    shutil.copy(HERE / "solana_extensions.mjs", tmp_path)

    async def run() -> None:
        async with run_surfpool(tmp_path) as theirs, run_ours() as ours:
            script = tmp_path / "solana_extensions.mjs"
            first, second = await read_extensions(ours, script), await read_extensions(theirs, script)
            different = list_differences("found", first, second)
            assert not different, "\n".join(different)
            names = [one["extension"] for account in first for one in account["parsed"]["info"]["extensions"]]
            assert len(set(names)) == 19
            assert "unparseableExtension" not in names

    asyncio.run(run())
