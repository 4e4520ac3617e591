"""Real sends on the Solana chain for development, read again by solana-py; the server at its limits."""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from solana.exceptions import SolanaRpcException
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Finalized
from solana.rpc.websocket_api import SolanaWsClient
from solders.hash import Hash
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.rpc.config import RpcTransactionLogsFilterMentions
from solders.rpc.responses import SendTransactionResp
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import Transaction, VersionedTransaction
from websockets.asyncio.client import connect

from hither.foreign.adapter import SignedTransaction, State, UnsignedTransaction, track
from hither.foreign.caip import parse_chain_id
from hither.foreign.engines.solana import SOLANA_DEVELOPMENT, SolanaEngine, start_solana
from hither.foreign.errors import (
    BroadcastRefused,
    EndpointError,
    EngineError,
    InsufficientFunds,
    InvalidAddress,
    InvalidAmount,
    LyingEndpoint,
    TransactionDropped,
    TransactionFailed,
    WrongSignature,
)
from hither.foreign.solana import SolanaAdapter
from hither.foreign.solana_messages import TransferPlan, build_transfer_message
from hither.foreign.transport import JsonRpc, RetryPolicy
from tests.unit.foreign.signing_network import SigningNetwork

HERE: Final = Path(__file__).resolve().parent
SOL = 10**9
ALICE = SigningNetwork("alice")
BOB = SigningNetwork("bob")
WEB3_JS_FINDS = {
    "aliceBalance": SOL - 7 - 10_000,
    "bobBalance": SOL + 7,
    "fee": 5000,
    "simulatedError": None,
    "version": 0,
    "readFee": 5000,
    "signers": 1,
    "history": 3,
    "told": SOL + 7,
}
"""What `solana_web3.mjs` prints, but for the words of a refusal."""


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


class Network:
    """A fresh chain on which alice has ten SOL, our adapter, and the independent client."""

    def __init__(self, engine: SolanaEngine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self.rpc = JsonRpc(engine.url, policy=RetryPolicy(attempts=1))
        self.adapter = SolanaAdapter(engine.chain, self.rpc)
        self.client = AsyncClient(engine.url)
        self.alice_key = ALICE.get_public_key(self.adapter.scheme)
        self.alice = self.adapter.derive_address(self.alice_key)
        self.bob = self.adapter.derive_address(BOB.get_public_key(self.adapter.scheme))

    def sign(self, unsigned: UnsignedTransaction) -> SignedTransaction:
        """Outside the builder."""
        return self.adapter.attach(unsigned, [ALICE.sign(self.adapter.list_payloads(unsigned)[0])])

    async def read_balance(self, address: str) -> int:
        """By solana-py."""
        return (await self.client.get_balance(Pubkey.from_string(address))).value


@contextlib.asynccontextmanager
async def run_network() -> AsyncIterator[Network]:
    clock = Clock()
    engine = await start_solana(now=clock)
    network = Network(engine, clock)
    try:
        await engine.fund(network.alice, 10 * SOL)
        yield network
    finally:
        await network.client.close()
        await network.adapter.close()
        await engine.stop()


@pytest.mark.parametrize("is_legacy", [False, True], ids=["v0", "legacy"])
def test_a_transfer_arrives(is_legacy: bool) -> None:
    """Balances, fee, status and the transaction itself agree with what an independent client reads."""

    async def run() -> None:
        async with run_network() as network:
            adapter, client = network.adapter, network.client
            assert await adapter.fetch_nonce(network.bob) == await adapter.fetch_balance(network.bob) == 0
            unsigned = await adapter.build_transfer(network.alice_key, network.bob, SOL)
            if is_legacy:
                blockhash = (await client.get_latest_blockhash()).value.blockhash
                plan = TransferPlan(
                    Pubkey.from_string(network.alice), Pubkey.from_string(network.bob), SOL, blockhash, True
                )
                unsigned = UnsignedTransaction(adapter.chain, network.alice_key, build_transfer_message(plan))
            signed = network.sign(unsigned)
            assert (await adapter.fetch_status(signed)).state is State.UNKNOWN
            await adapter.broadcast(signed)
            status = await track(adapter, signed, timeout_seconds=60)
            await adapter.broadcast(signed)  # Once more has no effect.

            assert status.fee == 5000 == adapter.inspect(unsigned).fee_max
            assert await network.read_balance(network.alice) == 9 * SOL - 5000
            assert await network.read_balance(network.bob) == SOL == await adapter.fetch_balance(network.bob)
            signature = Signature.from_string(signed.transaction_id)
            found = (await client.get_signature_statuses([signature])).value[0]
            assert found is not None
            assert (found.slot, found.err) == (status.height, None)
            read = (await client.get_transaction(signature, max_supported_transaction_version=0)).value
            assert read is not None
            assert read.transaction.meta is not None
            assert read.transaction.meta.fee == 5000
            names = [str(key) for key in read.transaction.transaction.message.account_keys]
            assert names[:2] == [network.alice, network.bob]
            assert read.transaction.meta.pre_balances[:2] == [10 * SOL, 0]
            assert read.transaction.meta.post_balances[:2] == [9 * SOL - 5000, SOL]
            assert await adapter.fetch_nonce(network.bob) == 1

    asyncio.run(run())


def test_solana_py_sends_by_itself() -> None:
    """Airdrop, blockhash, preflight, send, confirmation: as its users write it."""

    async def run() -> None:
        async with run_network() as network:
            client, keys, target = network.client, Keypair(), Pubkey.from_string(network.bob)
            assert await client.is_connected()
            await client.confirm_transaction(
                (await client.request_airdrop(keys.pubkey(), SOL)).value, Finalized
            )
            latest = (await client.get_latest_blockhash()).value
            payment = transfer(TransferParams(from_pubkey=keys.pubkey(), to_pubkey=target, lamports=SOL // 2))
            transaction = Transaction.new_signed_with_payer(
                [payment], keys.pubkey(), [keys], latest.blockhash
            )
            fee = (await client.get_fee_for_message(transaction.message)).value
            simulated = (
                await client.simulate_transaction(VersionedTransaction.from_legacy(transaction))
            ).value
            assert (simulated.err, simulated.units_consumed) == (None, 150)
            sent = (await client.send_transaction(transaction)).value
            await client.confirm_transaction(
                sent, Finalized, last_valid_block_height=latest.last_valid_block_height
            )
            assert await network.read_balance(str(keys.pubkey())) == SOL // 2 - (fee or 0) == SOL // 2 - 5000
            history = (await client.get_signatures_for_address(keys.pubkey())).value
            assert history[0].signature == sent
            assert len(history) == 2
            account = (await client.get_account_info(target)).value
            assert account is not None
            assert account.lamports == SOL // 2
            assert (await client.get_minimum_balance_for_rent_exemption(0)).value == 890_880
            assert (await client.get_version()).value.solana_core
            assert (await client.get_slot()).value - (await client.get_first_available_block()).value == (
                await client.get_block_height()
            ).value
            epoch = (await client.get_epoch_info()).value
            assert epoch.transaction_count == (await client.get_transaction_count()).value == 3
            assert str((await client.get_genesis_hash()).value)[:32] == SOLANA_DEVELOPMENT.reference

    asyncio.run(run())


def test_solana_py_is_told_what_happens() -> None:
    """Its WebSocket client, on the port above: each kind of subscription, each once, and none after its end."""

    async def run() -> None:
        async with run_network() as network:
            bob = Pubkey.from_string(network.bob)
            url = f"ws://127.0.0.1:{network.engine.port + 1}"
            async with SolanaWsClient(url, request_timeout=120) as client:
                kinds = {
                    "account": await client.account_subscribe(pubkey=bob, encoding="base64"),
                    "program": await client.program_subscribe(
                        program_id=Pubkey.default(), encoding="base64", filters=[0]
                    ),
                    "logs": await client.logs_subscribe(filter_=RpcTransactionLogsFilterMentions(bob)),
                    "slot": await client.slot_subscribe(),
                    "root": await client.root_subscribe(),
                }
                signature = Signature.from_string(await network.engine.fund(network.bob, SOL))
                kinds["signature"] = await client.signature_subscribe(signature=signature)
                names = {one.subscription_id: name for name, one in kinds.items()}
                told: dict[str, Any] = {}
                while set(told) != set(kinds):
                    notification = await asyncio.wait_for(client.recv(), 120)
                    told[names[notification.subscription]] = notification.result
                assert told["account"].value.lamports == told["program"].value.account.lamports == SOL
                assert told["program"].value.pubkey == bob
                assert (told["logs"].value.signature, told["logs"].value.err) == (signature, None)
                assert told["signature"].value.err is None
                assert told["slot"].slot > 0 and told["root"] > 0
                for name in ("account", "program", "logs", "slot", "root"):
                    await client.unsubscribe(kinds[name])
                last = await client.signature_subscribe(
                    signature=Signature.from_string(await network.engine.fund(network.bob, SOL))
                )
                numbers = set(names)
                while (notification := await asyncio.wait_for(client.recv(), 120)).subscription in numbers:
                    pass  # What was on its way.
                assert notification.subscription == last.subscription_id

    asyncio.run(run())


def get_javascript_libraries() -> Path:
    """Where `make setup` has put them."""
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("HITHER_CACHE") or Path.home() / ".cache/hither")
    folder = cache / "foreign-clients" / lock
    assert (folder / "complete").exists(), "@solana/web3.js is not installed: run `make setup`"
    return folder


def test_web3_js_sends_by_itself(tmp_path: Path) -> None:
    """With the confirmation that it gets through its WebSocket."""
    shutil.copy(HERE / "solana_web3.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(get_javascript_libraries() / "node_modules")

    async def run() -> None:
        async with run_network() as network:
            program = await asyncio.create_subprocess_exec(
                "node", str(tmp_path / "solana_web3.mjs"), network.engine.url, stdout=asyncio.subprocess.PIPE
            )
            try:
                output, _ = await asyncio.wait_for(program.communicate(), 120)
            except TimeoutError:
                program.kill()
                raise
            assert program.returncode == 0
            found = json.loads(output)
            refusal = found.pop("refusal")
            assert "already been processed" in refusal
            assert found == WEB3_JS_FINDS

    asyncio.run(run())


def test_subscriptions_are_answered_once_and_refused_cleanly() -> None:
    """A signature that is known already is told at once; bad requests get an error and the connection stays."""

    async def run() -> None:
        async with run_network() as network, connect(network.engine.url.replace("http", "ws")) as socket_:

            async def ask(method: str, params: Any) -> Any:
                body = {"jsonrpc": "2.0", "id": 3, "method": method, "params": params}
                await socket_.send(json.dumps(body))
                return json.loads(await socket_.recv())

            signature = await network.engine.fund(network.bob, SOL)
            subscription = (await ask("signatureSubscribe", [signature]))["result"]
            told = json.loads(await socket_.recv())
            assert told["method"] == "signatureNotification"
            assert told["params"]["subscription"] == subscription
            assert told["params"]["result"]["value"] == {"err": None}
            assert (await ask("signatureUnsubscribe", [subscription]))["error"]["code"] == -32602
            assert (await ask("signatureSubscribe", ["bad"]))["error"]["code"] == -32602
            assert (await ask("blockSubscribe", []))["error"]["code"] == -32601
            assert (await ask("signatureSubscribe", {}))["error"]["code"] == -32602
            await socket_.send("{")
            assert json.loads(await socket_.recv())["error"]["code"] == -32700
            subscription = (await ask("accountSubscribe", [network.bob, {"encoding": "base64"}]))["result"]
            await network.engine.fund(network.bob, SOL)
            told = json.loads(await socket_.recv())
            assert told["params"]["result"]["value"]["lamports"] == 2 * SOL
            assert (await ask("accountUnsubscribe", [subscription]))["result"] is True

    asyncio.run(run())


def test_bad_transfers_are_refused_before_they_are_sent() -> None:
    """Each with its own error."""

    async def run() -> None:
        async with run_network() as network:
            build = network.adapter.build_transfer
            for address in ("", "0OIl", network.bob[:-5], network.bob + "1", "0x" + "11" * 20):
                with pytest.raises(InvalidAddress):
                    await build(network.alice_key, address, SOL)
            for amount in (-1, 0, 2**64):
                with pytest.raises(InvalidAmount):
                    await build(network.alice_key, network.bob, amount)
            with pytest.raises(
                InvalidAmount, match=r"would hold 0\.00089 SOL; accounts hold at least 0\.00089088"
            ):
                await build(network.alice_key, network.bob, 890_000)
            with pytest.raises(InvalidAmount, match="would keep"):
                await build(network.alice_key, network.bob, 10 * SOL - 5001)
            with pytest.raises(InsufficientFunds) as caught:
                await build(network.alice_key, network.bob, 10 * SOL)
            assert (caught.value.balance, caught.value.needed) == (10 * SOL, 10 * SOL + 5000)
            await build(network.alice_key, network.bob, 10 * SOL - 5000)
            unsigned = await build(network.alice_key, network.bob, SOL)
            other = await build(network.alice_key, network.bob, SOL + 1)
            with pytest.raises(WrongSignature):
                network.adapter.attach(unsigned, [ALICE.sign(network.adapter.list_payloads(other)[0])])

    asyncio.run(run())


def test_a_blockhash_is_good_for_150_slots() -> None:
    """At its last height it is taken; one slot later it never is, and the adapter knows that it was dropped."""

    async def run() -> None:
        async with run_network() as network:
            first, second = [
                network.sign(await network.adapter.build_transfer(network.alice_key, network.bob, amount))
                for amount in (SOL, 2 * SOL)
            ]
            network.clock.seconds += 149 * 0.4
            await network.adapter.broadcast(first)
            network.clock.seconds += 10 * 0.4
            assert (await network.adapter.fetch_status(first)).state is State.FINAL
            with pytest.raises(BroadcastRefused, match="Blockhash not found"):
                await network.adapter.broadcast(second)
            with pytest.raises(TransactionDropped):
                await track(network.adapter, second, timeout_seconds=60)
            assert await network.read_balance(network.bob) == SOL

    asyncio.run(run())


def test_a_forged_signature_is_refused() -> None:
    """By the chain as well; and solana-py's parser survives the answer."""

    async def run() -> None:
        async with run_network() as network:
            unsigned = await network.adapter.build_transfer(network.alice_key, network.bob, SOL)
            good = VersionedTransaction.from_bytes(network.sign(unsigned).raw)
            forged = bytes(VersionedTransaction.populate(good.message, [Signature(b"\1" * 64)]))
            params = [base64.b64encode(forged).decode(), {"encoding": "base64"}]
            with pytest.raises(EndpointError, match="signature verification failure") as caught:
                await network.rpc.call("sendTransaction", params)
            assert caught.value.rpc_code == -32003
            body = {"jsonrpc": "2.0", "id": 1, "method": "sendTransaction", "params": params}
            async with httpx.AsyncClient() as http:
                answer = await http.post(network.engine.url, json=body)
            SendTransactionResp.from_json(answer.text)
            assert await network.read_balance(network.bob) == 0

    asyncio.run(run())


def test_a_failure_without_preflight_is_included_and_told() -> None:
    """The fee is paid, the transfer is not made."""

    async def run() -> None:
        async with run_network() as network:
            blockhash = (await network.client.get_latest_blockhash()).value.blockhash
            plan = TransferPlan(
                Pubkey.from_string(network.alice), Pubkey.from_string(network.bob), 11 * SOL, blockhash
            )
            body = build_transfer_message(plan)
            signed = network.sign(UnsignedTransaction(network.adapter.chain, network.alice_key, body))
            with pytest.raises(
                BroadcastRefused,
                match=r"simulation failed: Error processing Instruction 0: custom program error: 0x1",
            ):
                await network.adapter.broadcast(signed)
            params = [base64.b64encode(signed.raw).decode(), {"encoding": "base64", "skipPreflight": True}]
            await network.rpc.call("sendTransaction", params)
            with pytest.raises(TransactionFailed, match="Custom"):
                await track(network.adapter, signed, timeout_seconds=60)
            assert await network.read_balance(network.alice) == 10 * SOL - 5000

    asyncio.run(run())


def test_another_network_is_noticed() -> None:
    """A transfer for devnet must not be made on this chain."""

    async def run() -> None:
        async with run_network() as network:
            adapter = SolanaAdapter(parse_chain_id("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"), network.rpc)
            with pytest.raises(LyingEndpoint, match="not solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"):
                await adapter.build_transfer(network.alice_key, network.bob, SOL)

    asyncio.run(run())


HOSTILE: list[tuple[str, Any]] = [
    ("getBalance", []),
    ("getBalance", [1]),
    ("getBalance", ["bad"]),
    ("getAccountInfo", ["1" * 32, {"dataSlice": 7}]),
    ("getAccountInfo", ["1" * 32, {"dataSlice": {"offset": -1, "length": 1}}]),
    ("getMultipleAccounts", ["1" * 32]),
    ("getMultipleAccounts", [["1" * 32] * 101]),
    ("getSignatureStatuses", [[7]]),
    ("getSignaturesForAddress", ["1" * 32, {"limit": "many"}]),
    ("getSignaturesForAddress", ["1" * 32, {"limit": 0}]),
    ("getTransaction", ["1" * 10]),
    ("getFeeForMessage", ["AAAA"]),
    ("getFeeForMessage", ["!"]),
    ("isBlockhashValid", ["bad"]),
    ("requestAirdrop", ["1" * 32, -5]),
    ("requestAirdrop", ["1" * 32, "5"]),
    ("getMinimumBalanceForRentExemption", [-1]),
    ("sendTransaction", ["AA==", {"encoding": "base64"}]),
    ("sendTransaction", ["0OIl"]),
    ("sendTransaction", ["AA==", {"encoding": "base32"}]),
    ("sendTransaction", [base64.b64encode(bytes(1300)).decode(), {"encoding": "base64"}]),
    ("simulateTransaction", [base64.b64encode(b"\1" + bytes(200)).decode(), {"encoding": "base64"}]),
]


def test_hostile_requests_are_refused_and_the_chain_goes_on() -> None:
    """Each with an error of JSON-RPC that has data."""

    async def run() -> None:
        async with run_network() as network, httpx.AsyncClient(base_url=network.engine.url) as http:
            for method, params in HOSTILE:
                body = {"jsonrpc": "2.0", "id": 5, "method": method, "params": params}
                answer = (await http.post("/", json=body)).json()
                assert (answer["id"], answer["error"]["code"]) == (5, -32602), (method, params, answer)
                assert "data" in answer["error"]
            for content, code in (("{", -32700), ("[]", -32600), ("7", -32600), ('{"method":7}', -32600)):
                assert (await http.post("/", content=content)).json()["error"]["code"] == code
            missing = {"jsonrpc": "2.0", "id": 1, "method": "getNothing"}
            assert (await http.post("/", json=missing)).json()["error"]["code"] == -32601
            both = [missing, {"jsonrpc": "2.0", "id": 2, "method": "getHealth"}]
            assert (await http.post("/", json=both)).json()[1]["result"] == "ok"
            assert (await http.post("/", content=b" " * 60_000)).status_code == 413
            assert (await http.get("/health")).text == "ok"
            assert (await http.get("/")).status_code == 405
            assert await network.engine.is_healthy()

    asyncio.run(run())


def test_a_taken_port_is_named_and_a_stopped_chain_is_gone() -> None:
    """Nothing listens afterwards."""

    async def run() -> None:
        async with run_network() as network:
            with pytest.raises(EngineError, match=f"port {network.engine.port} is taken"):
                await start_solana(network.engine.port)
        assert not await network.engine.is_healthy()
        with pytest.raises(SolanaRpcException):
            await AsyncClient(network.engine.url).get_slot()
        for port in (network.engine.port, network.engine.port + 1):
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) != 0
        await network.engine.stop()

    asyncio.run(run())


def test_an_unknown_transaction_is_unknown() -> None:
    """To solana-py too."""

    async def run() -> None:
        async with run_network() as network:
            signature = Signature(b"\7" * 64)
            assert (await network.client.get_signature_statuses([signature])).value == [None]
            assert (await network.client.get_transaction(signature)).value is None
            assert (await network.client.get_account_info(Pubkey(b"\7" * 32))).value is None
            answer = await network.rpc.call("isBlockhashValid", [str(Hash(b"\7" * 32))])
            assert answer["value"] is False

    asyncio.run(run())
