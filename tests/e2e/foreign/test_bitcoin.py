"""Real sends on the embedded Bitcoin node, read by embit and by plain HTTP; the engine's life and death."""

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
from typing import Any

import httpx
import pytest
from btclib.script.witness import Witness
from embit import ec, networks, script
from embit.transaction import Transaction

from hither.foreign import bitcoin_transactions as codec
from hither.foreign.adapter import EcdsaSignature, SignedTransaction, State, UnsignedTransaction, track
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.bitcoin_addresses import MAINNET, REGTEST, derive_address
from hither.foreign.bitcoin_psbt import parse_transaction
from hither.foreign.engines.bitcoin import BitcoinEngine, BitcoinOptions, start_bitcoin
from hither.foreign.errors import (
    BroadcastRefused,
    EndpointError,
    EngineError,
    InsufficientFunds,
    InvalidAmount,
    InvalidInput,
    LyingEndpoint,
    TransactionDropped,
    WrongNetwork,
    WrongSignature,
)
from hither.foreign.transport import JsonRpc, RetryPolicy
from tests.unit.foreign.signing_network import SigningNetwork

BITCOIN = 10**8
ALICE, BOB = SigningNetwork("alice"), SigningNetwork("bob")
ALICE_KEY = ALICE.ecdsa.public_key.format()
BOB_KEY = BOB.ecdsa.public_key.format()
ALICE_ADDRESS = derive_address(ALICE_KEY, REGTEST)
BOB_ADDRESS = derive_address(BOB_KEY, REGTEST)


def make_adapter(url: str, chain: Any = REGTEST.chain) -> BitcoinAdapter:
    """Without patience."""
    return BitcoinAdapter(chain, JsonRpc(url, policy=RetryPolicy(attempts=1)))


@contextlib.asynccontextmanager
async def run_chain(
    home: Path, *, is_instant: bool = True
) -> AsyncIterator[tuple[BitcoinEngine, BitcoinAdapter]]:
    """A chain; on a fresh one alice is given ten bitcoin."""
    engine = await start_bitcoin(BitcoinOptions(home, is_instant=is_instant))
    adapter = make_adapter(engine.url)
    try:
        if await adapter.fetch_balance(ALICE_ADDRESS) == 0:
            await engine.fund(ALICE_ADDRESS, 10 * BITCOIN)
        yield engine, adapter
    finally:
        await adapter.close()
        await engine.stop()


def sign(adapter: BitcoinAdapter, unsigned: UnsignedTransaction) -> SignedTransaction:
    """By the stand-in of the signing network."""
    return adapter.attach(unsigned, [ALICE.sign(payload) for payload in adapter.list_payloads(unsigned)])


def test_a_payment_is_accepted_and_confirmed(tmp_path: Path) -> None:
    """Signed outside, mined, final; embit reads the same from the node's bytes."""

    async def scenario() -> None:
        async with run_chain(tmp_path) as (engine, adapter):
            assert await adapter.fetch_balance(BOB_ADDRESS) == await adapter.fetch_nonce(BOB_ADDRESS) == 0
            unsigned = await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, BITCOIN)
            fee = adapter.inspect(unsigned).fee_max
            signed = sign(adapter, unsigned)
            assert (await adapter.fetch_status(signed)).state is State.UNKNOWN
            await adapter.broadcast(signed)
            await adapter.broadcast(signed)
            status = await track(adapter, signed, timeout_seconds=60)
            assert (status.state, status.fee, status.failure) == (State.FINAL, fee, None)
            assert await adapter.fetch_balance(BOB_ADDRESS) == BITCOIN
            assert await adapter.fetch_balance(ALICE_ADDRESS) == 9 * BITCOIN - fee
            raw = await engine.call("getrawtransaction", signed.transaction_id)
            theirs = Transaction.from_string(raw)
            assert theirs.txid().hex() == signed.transaction_id
            receiver = script.p2wpkh(ec.PublicKey.parse(BOB_KEY))
            assert receiver.address(networks.NETWORKS["regtest"]) == BOB_ADDRESS
            assert (theirs.vout[0].value, theirs.vout[0].script_pubkey) == (BITCOIN, receiver)
            block = await engine.call("getblock", await engine.call("getblockhash", status.height), 2)
            assert [one["txid"] for one in block["tx"][1:]] == [signed.transaction_id]
            # Each virtual byte paid what nodes ask, and less than two satoshis more for the shorter signatures.
            assert 0 <= fee - block["tx"][1]["vsize"] < 2

    asyncio.run(scenario())


def test_every_type_of_address_can_be_paid(tmp_path: Path) -> None:
    """All at once, with data beside."""

    async def scenario() -> None:
        key = ec.PublicKey.parse(BOB_KEY)
        inner = script.p2wpkh(key)
        receivers = (script.p2pkh(key), script.p2sh(inner), script.p2wsh(inner), script.p2tr(key), inner)
        addresses = [one.address(networks.NETWORKS["regtest"]) for one in receivers]
        async with run_chain(tmp_path) as (engine, adapter):
            payments = [(address, 70_000 + index) for index, address in enumerate(addresses)]
            signed = sign(adapter, await adapter.build_payment(ALICE_KEY, payments, data=b"thanks"))
            await adapter.broadcast(signed)
            await track(adapter, signed, timeout_seconds=60)
            found = await engine.call("getrawtransaction", signed.transaction_id, 1)
            assert [one["scriptPubKey"]["address"] for one in found["vout"][:5]] == addresses
            assert found["vout"][5]["scriptPubKey"]["asm"] == "OP_RETURN " + b"thanks".hex()
            for address, amount in payments:
                assert await adapter.fetch_balance(address) == amount

    asyncio.run(scenario())


@pytest.mark.slow
def test_many_inputs_are_signed_one_by_one(tmp_path: Path) -> None:
    """Each has its own digest; the node checks them all."""

    async def scenario() -> None:
        async with run_chain(tmp_path) as (engine, adapter):
            for _ in range(20):
                await engine.fund(BOB_ADDRESS, 100_000)
            unsigned = await adapter.build_transfer(BOB_KEY, ALICE_ADDRESS, 1_990_000)
            payloads = adapter.list_payloads(unsigned)
            assert len({payload.data for payload in payloads}) == 20
            signed = adapter.attach(unsigned, [BOB.sign(payload) for payload in payloads])
            await adapter.broadcast(signed)
            assert (await track(adapter, signed, timeout_seconds=60)).state is State.FINAL

    asyncio.run(scenario())


def test_a_wrong_signature_is_refused_here_and_by_the_node(tmp_path: Path) -> None:
    """Locally before it is sent; by the node with its reason when it is sent all the same."""

    async def scenario() -> None:
        async with run_chain(tmp_path) as (engine, adapter):
            unsigned = await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, BITCOIN)
            wrong = [BOB.sign(payload) for payload in adapter.list_payloads(unsigned)]
            with pytest.raises(WrongSignature):
                adapter.attach(unsigned, wrong)
            transaction = parse_transaction(sign(adapter, unsigned).raw)
            signature = wrong[0]
            assert isinstance(signature, EcdsaSignature)
            transaction.vin[0].script_witness = Witness([codec.encode_signature(signature), ALICE_KEY])
            forged = SignedTransaction(REGTEST.chain, transaction.id.hex(), transaction.serialize(True))
            height = await engine.call("getblockcount")
            with pytest.raises(BroadcastRefused, match="mempool-script-verify-flag-failed") as caught:
                await adapter.broadcast(forged)
            assert caught.value.rpc_code == -26
            assert await engine.call("getblockcount") == height
            assert (await adapter.fetch_status(forged)).state is State.UNKNOWN

    asyncio.run(scenario())


def test_what_cannot_be_sent_is_refused_before_anything_is_asked() -> None:
    """Wrong network, dust, amounts that cannot be: nothing listens at this endpoint."""

    async def scenario() -> None:
        adapter = make_adapter("http://127.0.0.1:1")
        with pytest.raises(WrongNetwork):
            await adapter.build_transfer(ALICE_KEY, derive_address(BOB_KEY, MAINNET), BITCOIN)
        for amount in (293, 0, -1, 22_000_000 * BITCOIN):
            with pytest.raises(InvalidAmount):
                await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, amount)
        await adapter.close()

    asyncio.run(scenario())


@pytest.mark.slow
def test_what_is_not_there_cannot_be_spent(tmp_path: Path) -> None:
    """The fee included; and a node of another network is found out before money moves."""

    async def scenario() -> None:
        async with run_chain(tmp_path) as (engine, adapter):
            with pytest.raises(InsufficientFunds) as caught:
                await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, 10 * BITCOIN)
            assert (caught.value.balance, caught.value.needed) == (10 * BITCOIN, 10 * BITCOIN + 110)
            other = make_adapter(engine.url, MAINNET.chain)
            with pytest.raises(LyingEndpoint):
                await other.build_transfer(ALICE_KEY, derive_address(BOB_KEY, MAINNET), BITCOIN)
            await other.close()

    asyncio.run(scenario())


def test_a_waiting_transaction_is_replaced_and_the_first_one_dropped(tmp_path: Path) -> None:
    """With blocks by hand: pending, replaced, mined."""

    async def scenario() -> None:
        async with run_chain(tmp_path, is_instant=False) as (engine, adapter):
            unsigned = await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, BITCOIN)
            first = sign(adapter, unsigned)
            await adapter.broadcast(first)
            assert (await adapter.fetch_status(first)).state is State.PENDING
            with pytest.raises(InsufficientFunds):  # Its only coin is in use.
                await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, BITCOIN)
            second = sign(adapter, adapter.replace(unsigned, 5_000))
            await adapter.broadcast(second)
            assert await engine.call("getrawmempool") == [second.transaction_id]
            assert (await adapter.fetch_status(first)).state is State.UNKNOWN, "it might still come back"
            await engine.mine()
            status = await track(adapter, second, timeout_seconds=60)
            assert status.fee == 5 * adapter.inspect(unsigned).fee_max
            with pytest.raises(TransactionDropped):
                await track(adapter, first, timeout_seconds=60)
            with pytest.raises(BroadcastRefused, match="missingorspent"):
                await adapter.broadcast(first)

    asyncio.run(scenario())


def test_explorers_see_the_same(tmp_path: Path) -> None:
    """Each path that wallets call, before and after a block."""

    async def scenario() -> None:
        async with run_chain(tmp_path, is_instant=False) as (engine, adapter):
            signed = sign(adapter, await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, BITCOIN))
            async with httpx.AsyncClient(base_url=f"{engine.url}/api") as http:
                answer = await http.post("/tx", content=signed.raw.hex())
                assert (answer.status_code, answer.text) == (200, signed.transaction_id)
                waiting = (await http.get(f"/address/{BOB_ADDRESS}/utxo")).json()
                assert waiting == [
                    {
                        "txid": signed.transaction_id,
                        "vout": 0,
                        "status": {"confirmed": False},
                        "value": BITCOIN,
                    }
                ]
                view = (await http.get(f"/address/{BOB_ADDRESS}")).json()
                assert view["chain_stats"]["funded_txo_sum"] == 0
                assert view["mempool_stats"]["funded_txo_sum"] == BITCOIN
                await engine.mine()
                view = (await http.get(f"/address/{ALICE_ADDRESS}")).json()
                stats = view["chain_stats"]
                assert stats["funded_txo_sum"] - stats["spent_txo_sum"] == await adapter.fetch_balance(
                    ALICE_ADDRESS
                )
                assert stats["tx_count"] == 2
                found = (await http.get(f"/tx/{signed.transaction_id}")).json()
                assert found["status"]["confirmed"]
                assert found["vin"][0]["prevout"]["scriptpubkey_address"] == ALICE_ADDRESS
                assert found["fee"] == (await adapter.fetch_status(signed)).fee
                assert (await http.get("/v1/fees/recommended")).json()["fastestFee"] == 1
                assert (await http.get("/blocks/tip/height")).text == str(await engine.call("getblockcount"))
                block = found["status"]["block_hash"]
                assert (await http.get(f"/block/{block}")).json()["tx_count"] == 2
                assert (await http.get(f"/block/{block}/txids")).json()[1] == signed.transaction_id
                assert (await http.get(f"/block/{block}/txs")).json()[1] == found
                assert (await http.get(f"/block/{block}/status")).json()["in_best_chain"] is True
                raw_block = (await http.get(f"/block/{block}/raw")).content
                assert raw_block.hex() == await engine.call("getblock", block, 0)
                assert raw_block[:80].hex() == (await http.get(f"/block/{block}/header")).text
                assert (await http.get(f"/tx/{signed.transaction_id}/raw")).content == signed.raw
                spends = (await http.get(f"/tx/{found['vin'][0]['txid']}/outspends")).json()
                assert spends[0]["txid"] == signed.transaction_id
                assert spends[0]["vin"] == 0
                own = (await http.get(f"/tx/{signed.transaction_id}/outspends")).json()
                assert own == [{"spent": False}, {"spent": False}]
                assert (await http.get("/mempool")).json()["count"] == 0
                assert (await http.get("/mempool/txids")).json() == []
                refused = await http.post("/tx", content="00")
                assert (refused.status_code, "TX decode failed" in refused.text) == (400, True)
                for path, status in (("/tx/" + "11" * 32, 404), ("/address/nobody", 400), ("/nothing", 404)):
                    assert (await http.get(path)).status_code == status

    asyncio.run(scenario())


@pytest.mark.slow
def test_both_versions_of_json_rpc_are_answered(tmp_path: Path) -> None:
    """As Core does: 1.0 with both members and HTTP's status, 2.0 with one; names or places; lists."""

    async def scenario() -> None:
        async with run_chain(tmp_path) as (engine, _), httpx.AsyncClient() as http:

            async def post(body: Any) -> tuple[int, Any]:
                answer = await http.post(engine.url, json=body)
                return answer.status_code, answer.json()

            old: dict[str, Any] = {"method": "getblockhash", "params": [0], "id": "a"}
            assert await post(old) == (200, {"result": REGTEST.genesis_hash, "error": None, "id": "a"})
            new = {**old, "jsonrpc": "2.0", "params": {"height": 0}}
            assert await post(new) == (200, {"jsonrpc": "2.0", "result": REGTEST.genesis_hash, "id": "a"})
            status, answer = await post({**old, "params": [-1]})
            assert (status, answer["error"]["code"], answer["result"]) == (500, -8, None)
            status, answer = await post({**new, "params": [-1]})
            assert (status, answer["error"]["code"], "result" in answer) == (200, -8, False)
            assert (await post({**old, "method": "nonsense"}))[0] == 404
            assert [one["id"] for one in (await post([old, new]))[1]] == ["a", "a"]
            assert (await http.post(engine.url, content=b"{")).json()["error"]["code"] == -32700

    asyncio.run(scenario())


def test_a_restart_keeps_the_chain_also_after_a_kill(tmp_path: Path) -> None:
    """Balances, transactions and tip are as before."""

    async def scenario() -> None:
        engine = await start_bitcoin(BitcoinOptions(tmp_path))
        adapter = make_adapter(engine.url)
        await engine.fund(ALICE_ADDRESS, BITCOIN)
        signed = sign(adapter, await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, 40_000))
        await adapter.broadcast(signed)
        before = await engine.call("getblockchaininfo"), await adapter.fetch_balance(ALICE_ADDRESS)
        os.kill(engine.process_id, signal.SIGKILL)
        await adapter.close()
        await engine.stop()
        async with run_chain(tmp_path) as (again, other):
            assert (await again.call("getblockchaininfo"), await other.fetch_balance(ALICE_ADDRESS)) == before
            assert (await other.fetch_status(signed)).state is State.FINAL
            second = sign(other, await other.build_transfer(ALICE_KEY, BOB_ADDRESS, 40_000))
            await other.broadcast(second)
            assert await other.fetch_balance(BOB_ADDRESS) == 80_000

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_stopped_engine_leaves_nothing(tmp_path: Path) -> None:
    """No process, and its port and folder are free; a second stop does nothing."""

    async def scenario() -> None:
        engine = await start_bitcoin(BitcoinOptions(tmp_path))
        with pytest.raises(EngineError, match="taken"):
            await start_bitcoin(BitcoinOptions(tmp_path / "other", engine.port))
        with pytest.raises(EngineError, match="in use"):
            await start_bitcoin(BitcoinOptions(tmp_path))
        assert await engine.is_healthy()
        with pytest.raises(EngineError, match="faucet"):
            await engine.fund(BOB_ADDRESS, 10**15)
        with pytest.raises(EndpointError):
            await engine.call("generatetoaddress", 1, derive_address(BOB_KEY, MAINNET))
        await engine.stop()
        await engine.stop()
        assert not await engine.is_healthy()
        assert not Path(f"/proc/{engine.process_id}").exists()
        again = await start_bitcoin(BitcoinOptions(tmp_path, engine.port))
        await again.stop()

    asyncio.run(scenario())


@pytest.mark.slow
def test_the_node_ends_with_its_parent(tmp_path: Path) -> None:
    """Also when that is killed."""
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from hither.foreign.engines.bitcoin import BitcoinOptions, start_bitcoin\n"
        "async def run():\n"
        "    engine = await start_bitcoin(BitcoinOptions(Path(sys.argv[1])))\n"
        "    print(engine.process_id, engine.port, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(run())\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    process_id, port = map(int, parent.stdout.readline().split())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while is_running(process_id):
        assert time.monotonic() < deadline, "the node outlived its parent"
        time.sleep(0.01)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def is_running(process_id: int) -> bool:
    """A dead one that nobody has waited for does not count."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.slow
def test_signatures_for_one_coin_do_not_fit_another(tmp_path: Path) -> None:
    """The amount is signed for too, so that a lie about it costs nothing."""

    async def scenario() -> None:
        async with run_chain(tmp_path) as (_, adapter):
            unsigned = await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, BITCOIN)
            draft = codec.decode_draft(unsigned.body)
            richer = replace(draft.coins[0], amount=draft.coins[0].amount + 1)
            lie = replace(unsigned, body=codec.encode_draft(replace(draft, coins=(richer,))))
            with pytest.raises(BroadcastRefused, match="script-verify"):
                await adapter.broadcast(sign(adapter, lie))

    asyncio.run(scenario())


def test_a_waiting_payment_is_bumped_with_another_coin(tmp_path: Path) -> None:
    """All of a coin was paid, so the higher fee takes one more; the node replaces the first."""

    async def scenario() -> None:
        async with run_chain(tmp_path, is_instant=False) as (engine, adapter):
            await engine.fund(ALICE_ADDRESS, 50_000)
            everything = await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, 10 * BITCOIN - 110)
            first = sign(adapter, everything)
            await adapter.broadcast(first)
            dearer = await adapter.bump(everything, 20_000)
            second = sign(adapter, dearer)
            await adapter.broadcast(second)
            assert await engine.call("getrawmempool") == [second.transaction_id]
            third = sign(adapter, await adapter.bump(dearer))
            await adapter.broadcast(third)
            await engine.mine()
            assert (await track(adapter, third, timeout_seconds=60)).state is State.FINAL
            assert await adapter.fetch_balance(BOB_ADDRESS) == 10 * BITCOIN - 110
            assert (await adapter.fetch_status(first)).state is State.DROPPED

    asyncio.run(scenario())


@pytest.mark.slow
def test_the_receiver_of_a_waiting_payment_hurries_it(tmp_path: Path) -> None:
    """Its child pays for both; a payment that is in a block needs none."""

    async def scenario() -> None:
        async with run_chain(tmp_path, is_instant=False) as (engine, adapter):
            parent = sign(adapter, await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, BITCOIN))
            await adapter.broadcast(parent)
            unsigned = await adapter.build_child(BOB_KEY, parent, 15_000)
            signatures = [BOB.sign(payload) for payload in adapter.list_payloads(unsigned)]
            child = adapter.attach(unsigned, signatures)
            await adapter.broadcast(child)
            entry = await engine.call("getmempoolentry", child.transaction_id)
            assert entry["ancestorcount"] == 2
            # Signatures may be shorter than the largest, by which sizes are computed.
            assert 15.0 <= entry["fees"]["ancestor"] * BITCOIN / entry["ancestorsize"] < 15.5
            with pytest.raises(InvalidInput, match="unspent"):
                await adapter.build_child(BOB_KEY, parent, 50_000)
            await engine.mine()
            assert (await track(adapter, child, timeout_seconds=60)).state is State.FINAL
            with pytest.raises(InvalidInput, match="does not wait"):
                await adapter.build_child(BOB_KEY, child.transaction_id, 50_000)

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_payment_is_followed_through_reorganisations(tmp_path: Path) -> None:
    """In a block, back in the pool, in another block, final; and dropped where the other branch spends its coin."""

    async def scenario() -> None:
        async with (
            run_chain(tmp_path / "ours", is_instant=False) as (engine, adapter),
            run_chain(tmp_path / "theirs", is_instant=False) as (rival, _),
        ):
            patient = BitcoinAdapter(engine.chain, JsonRpc(engine.url), confirmations=3)
            await engine.mine()  # The longer of the two.
            await copy_chain(engine, rival)
            unsigned = await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, BITCOIN)
            signed, spent_otherwise = sign(adapter, unsigned), sign(adapter, adapter.replace(unsigned, 5_000))
            await adapter.broadcast(signed)
            await engine.mine()
            assert (await patient.fetch_status(signed)).state is State.INCLUDED
            await rival.mine(2)
            await copy_chain(rival, engine)
            assert (await patient.fetch_status(signed)).state is State.PENDING
            await engine.mine(3)
            status = await patient.fetch_status(signed)
            assert (status.state, status.confirmations) == (State.FINAL, 3)
            await rival.call("sendrawtransaction", spent_otherwise.raw.hex())
            await rival.mine(4)
            await copy_chain(rival, engine)
            with pytest.raises(TransactionDropped):
                await track(patient, signed, timeout_seconds=60)
            assert (await patient.fetch_status(spent_otherwise)).state is State.FINAL
            await patient.close()

    asyncio.run(scenario())


async def copy_chain(source: BitcoinEngine, target: BitcoinEngine) -> None:
    """Every block of one node to another, which follows the longer branch."""
    for height in range(1, await source.call("getblockcount") + 1):
        await target.call(
            "submitblock", await source.call("getblock", await source.call("getblockhash", height), 0)
        )
    assert await target.call("getbestblockhash") == await source.call("getbestblockhash")
