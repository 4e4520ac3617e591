"""Bitcoin's adapter on Bitcoin Knots itself: payments of every kind, replaced, hurried, reorganised, dropped."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from embit import ec, networks, script

from hither.foreign import bitcoin_transactions as codec
from hither.foreign.adapter import State, track
from hither.foreign.bitcoin import BitcoinAdapter, Strategy
from hither.foreign.bitcoin_addresses import REGTEST
from hither.foreign.engines.full_nodes import FullNode, run_full_node
from hither.foreign.errors import BroadcastRefused, TransactionDropped
from tests.e2e.foreign.test_bitcoin import (
    ALICE,
    ALICE_ADDRESS,
    ALICE_KEY,
    BITCOIN,
    BOB,
    BOB_ADDRESS,
    BOB_KEY,
    sign,
)

pytestmark = pytest.mark.slow

FINAL_S_MAX = 60


@contextlib.asynccontextmanager
async def run_chain() -> AsyncIterator[tuple[FullNode, BitcoinAdapter]]:
    """Two coins of alice's that can be spent."""
    async with run_full_node("bitcoind") as node:
        await node.call("generatetoaddress", 2, ALICE_ADDRESS)
        await node.call("generatetoaddress", 100, BOB_ADDRESS)
        yield node, BitcoinAdapter(REGTEST.chain, node.rpc)


def test_every_type_of_address_is_paid() -> None:
    """With data beside, from more coins than one; the node reads the same addresses, amounts and fee."""

    async def run() -> None:
        async with run_chain() as (node, adapter):
            key = ec.PublicKey.parse(BOB_KEY)
            inner = script.p2wpkh(key)
            kinds = (script.p2pkh(key), script.p2sh(inner), script.p2wsh(inner), script.p2tr(key), inner)
            addresses = [one.address(networks.NETWORKS["regtest"]) for one in kinds]
            payments = [(address, 12 * BITCOIN + index) for index, address in enumerate(addresses)]
            unsigned = await adapter.build_payment(
                ALICE_KEY, payments, data=b"thanks", strategy=Strategy.TIDY
            )
            signed = sign(adapter, unsigned)
            (verdict,) = await node.call("testmempoolaccept", [signed.raw.hex()])
            assert verdict["allowed"], verdict
            assert round(verdict["fees"]["base"] * BITCOIN) == adapter.inspect(unsigned).fee_max
            await adapter.broadcast(signed)
            assert (await adapter.fetch_status(signed)).state is State.PENDING
            await node.call("generatetoaddress", 1, BOB_ADDRESS)
            status = await track(adapter, signed, timeout_seconds=FINAL_S_MAX)
            assert (status.state, status.confirmations, status.height) == (State.FINAL, 1, 103)
            found = await node.call("decoderawtransaction", signed.raw.hex())
            assert len(found["vin"]) == 2
            assert [one["scriptPubKey"]["address"] for one in found["vout"][:5]] == addresses
            assert [round(one["value"] * BITCOIN) for one in found["vout"][:5]] == [
                amount for _, amount in payments
            ]
            assert found["vout"][5]["scriptPubKey"]["asm"] == "OP_RETURN " + b"thanks".hex()

    asyncio.run(run())


def test_a_psbt_is_read_and_finished_by_the_node() -> None:
    """Ours with its signatures; the node's transaction has our bytes."""

    async def run() -> None:
        async with run_chain() as (node, adapter):
            unsigned = await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, 60 * BITCOIN)
            signatures = [ALICE.sign(payload) for payload in adapter.list_payloads(unsigned)]
            body = adapter.sign_psbt(unsigned, signatures)
            for one, next_role in ((unsigned.body, "updater"), (body, "finalizer")):
                text = base64.b64encode(one).decode()
                told = await node.call("analyzepsbt", text)
                assert told["next"] == next_role
                assert round(told["fee"] * BITCOIN) == adapter.inspect(unsigned).fee_max
            finished = await node.call("finalizepsbt", base64.b64encode(body).decode())
            signed = adapter.extract_psbt(body)
            assert finished == {"hex": signed.raw.hex(), "complete": True}
            await adapter.broadcast(signed)

    asyncio.run(run())


def test_a_waiting_payment_is_replaced_and_another_one_hurried() -> None:
    """The node counts the fees of families as we do; what was replaced is dropped."""

    async def run() -> None:
        async with run_chain() as (node, adapter):
            unsigned = await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, BITCOIN)
            first = sign(adapter, unsigned)
            await adapter.broadcast(first)
            draft = codec.decode_draft(unsigned.body)
            change = replace(draft.outputs[1], amount=draft.outputs[1].amount - 1)
            too_little = codec.encode_draft(replace(draft, outputs=(draft.outputs[0], change)))
            with pytest.raises(BroadcastRefused, match="insufficient fee"):
                await adapter.broadcast(sign(adapter, replace(unsigned, body=too_little)))
            second = sign(adapter, await adapter.bump(unsigned))
            await adapter.broadcast(second)
            assert await node.call("getrawmempool") == [second.transaction_id]
            assert (await adapter.fetch_status(first)).state is State.UNKNOWN, "it might still come back"
            hurrying = await adapter.build_child(BOB_KEY, second, 15_000)
            signatures = [BOB.sign(payload) for payload in adapter.list_payloads(hurrying)]
            child = adapter.attach(hurrying, signatures)
            await adapter.broadcast(child)
            entry = await node.call("getmempoolentry", child.transaction_id)
            assert entry["ancestorcount"] == 2
            assert 15.0 <= entry["fees"]["ancestor"] * BITCOIN / entry["ancestorsize"] < 15.5
            await node.call("generatetoaddress", 1, BOB_ADDRESS)
            for one in (second, child):
                assert (await track(adapter, one, timeout_seconds=FINAL_S_MAX)).state is State.FINAL
            with pytest.raises(TransactionDropped):
                await track(adapter, first, timeout_seconds=FINAL_S_MAX)

    asyncio.run(run())


def test_a_payment_is_followed_through_reorganisations() -> None:
    """Its block is taken off: it waits; it comes again; then another branch spends its coin: it is dropped."""

    async def run() -> None:
        async with run_chain() as (node, adapter):
            patient = BitcoinAdapter(REGTEST.chain, node.rpc, confirmations=3)
            unsigned = await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, BITCOIN)
            signed, rival = sign(adapter, unsigned), sign(adapter, adapter.replace(unsigned, 5_000))
            await patient.broadcast(signed)
            for miner in (BOB_ADDRESS, ALICE_ADDRESS):
                (lost,) = await node.call("generatetoaddress", 1, miner)
                assert (await patient.fetch_status(signed)).state is State.INCLUDED
                await node.call("invalidateblock", lost)
                assert (await patient.fetch_status(signed)).state is State.PENDING
            await node.call("generateblock", BOB_ADDRESS, [rival.raw.hex()])
            with pytest.raises(TransactionDropped):
                await track(patient, signed, timeout_seconds=FINAL_S_MAX)
            assert (await patient.fetch_status(rival)).state is State.INCLUDED
            with pytest.raises(BroadcastRefused, match="missingorspent"):
                await patient.broadcast(signed)

    asyncio.run(run())
