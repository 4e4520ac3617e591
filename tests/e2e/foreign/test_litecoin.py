"""Litecoin transfers, judged by litecoind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from embit import ec, script

from hither.foreign.adapter import SignedTransaction, State, UnsignedTransaction, track
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.bitcoin_addresses import LITECOIN_MAINNET, LITECOIN_REGTEST, derive_address
from hither.foreign.engines.full_nodes import FullNode, run_full_node
from hither.foreign.errors import (
    BroadcastRefused,
    InsufficientFunds,
    InvalidAmount,
    LyingEndpoint,
    WrongNetwork,
)
from tests.e2e.foreign.test_bitcoin import ALICE, ALICE_KEY, BOB_KEY

pytestmark = pytest.mark.slow

LITECOIN = 10**8
ALICE_ADDRESS, BOB_ADDRESS = (derive_address(key, LITECOIN_REGTEST) for key in (ALICE_KEY, BOB_KEY))
PREFIXES = {"p2pkh": b"\x6f", "p2sh": b"\x3a", "bech32": "rltc"}


@contextlib.asynccontextmanager
async def run_chain() -> AsyncIterator[tuple[FullNode, BitcoinAdapter]]:
    """Two coins of alice's that can be spent; below the height at which Litecoin's extension blocks begin."""
    async with run_full_node("litecoind") as node:
        await node.call("generatetoaddress", 2, ALICE_ADDRESS)
        await node.call("generatetoaddress", 100, BOB_ADDRESS)
        yield node, BitcoinAdapter(LITECOIN_REGTEST.chain, node.rpc)


def sign(adapter: BitcoinAdapter, unsigned: UnsignedTransaction) -> SignedTransaction:
    """Alice."""
    return adapter.attach(unsigned, [ALICE.sign(payload) for payload in adapter.list_payloads(unsigned)])


def test_every_type_of_address_is_paid() -> None:
    """With data beside; the node reads the same addresses and amounts."""

    async def run() -> None:
        async with run_chain() as (node, adapter):
            assert await adapter.fetch_balance(ALICE_ADDRESS) == 100 * LITECOIN
            key = ec.PublicKey.parse(BOB_KEY)
            inner = script.p2wpkh(key)
            kinds = (script.p2pkh(key), script.p2sh(inner), script.p2wsh(inner), script.p2tr(key), inner)
            payments = [(one.address(PREFIXES), 70_000 + index) for index, one in enumerate(kinds)]
            unsigned = await adapter.build_payment(ALICE_KEY, payments, data=b"thanks")
            assert "0.0007 LTC" not in adapter.describe(unsigned)
            assert adapter.describe(unsigned).startswith("Send 0.0035001 LTC from rltc1q")
            signed = sign(adapter, unsigned)
            await adapter.broadcast(signed)
            assert (await adapter.fetch_status(signed)).state is State.PENDING
            await node.call("generatetoaddress", 1, BOB_ADDRESS)
            status = await track(adapter, signed, timeout_seconds=60)
            assert (status.state, status.confirmations, status.height) == (State.FINAL, 1, 103)
            found = await node.call("getrawtransaction", signed.transaction_id, True)
            scripts = [one["scriptPubKey"] for one in found["vout"]]
            assert [one["addresses"][0] for one in scripts[:3]] == [address for address, _ in payments[:3]]
            assert [round(one["value"] * LITECOIN) for one in found["vout"][:5]] == [
                amount for _, amount in payments
            ]
            assert scripts[5]["asm"] == "OP_RETURN " + b"thanks".hex()

    asyncio.run(run())


def test_a_waiting_payment_is_hurried_by_its_change() -> None:
    """litecoind does not replace what waits, unless it is told to; a child pays for both."""

    async def run() -> None:
        async with run_chain() as (node, adapter):
            unsigned = await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, LITECOIN)
            first = sign(adapter, unsigned)
            await adapter.broadcast(first)
            with pytest.raises(BroadcastRefused, match="txn-mempool-conflict"):
                await adapter.broadcast(sign(adapter, await adapter.bump(unsigned, 20_000)))
            child = sign(adapter, await adapter.build_child(ALICE_KEY, first, 20_000))
            await adapter.broadcast(child)
            entry = await node.call("getmempoolentry", child.transaction_id)
            assert 20.0 <= entry["fees"]["ancestor"] * LITECOIN / entry["ancestorsize"] < 20.5
            await node.call("generatetoaddress", 1, BOB_ADDRESS)
            for one in (first, child):
                assert (await track(adapter, one, timeout_seconds=60)).state is State.FINAL

    asyncio.run(run())


def test_what_cannot_be_sent_is_refused() -> None:
    """Here before it is sent: other networks, dust by litecoind's own limit, fresh coins; there: a forged signature."""

    async def run() -> None:
        async with run_chain() as (node, adapter):
            with pytest.raises(WrongNetwork):
                await adapter.build_transfer(ALICE_KEY, derive_address(BOB_KEY, LITECOIN_MAINNET), LITECOIN)
            for amount, is_good in ((2_939, False), (2_940, True)):
                if not is_good:
                    with pytest.raises(InvalidAmount, match="dust"):
                        await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, amount)
                unsigned = await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, 5_000)
                raw = sign(adapter, change_amount(unsigned, 5_000, amount)).raw
                (verdict,) = await node.call("testmempoolaccept", [raw.hex()])
                assert verdict.get("reject-reason") == (None if is_good else "dust")
            await node.call("generatetoaddress", 1, ALICE_ADDRESS)
            with pytest.raises(InsufficientFunds):  # 50 more, of a block that is too young.
                await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, 120 * LITECOIN)
            unsigned = await adapter.build_transfer(ALICE_KEY, BOB_ADDRESS, LITECOIN)
            good = sign(adapter, unsigned)
            forged = bytearray(good.raw)
            forged[-60] ^= 1
            with pytest.raises(BroadcastRefused, match="mandatory-script-verify-flag"):
                await adapter.broadcast(SignedTransaction(good.chain, good.transaction_id, bytes(forged)))
            other = BitcoinAdapter(LITECOIN_MAINNET.chain, node.rpc)
            with pytest.raises(LyingEndpoint):
                await other.build_transfer(ALICE_KEY, derive_address(BOB_KEY, LITECOIN_MAINNET), LITECOIN)

    asyncio.run(run())


def change_amount(unsigned: UnsignedTransaction, old: int, new: int) -> UnsignedTransaction:
    """Of the payment, in the bytes that are signed."""
    body = unsigned.body.replace(old.to_bytes(8, "little"), new.to_bytes(8, "little"))
    assert body != unsigned.body
    return UnsignedTransaction(unsigned.chain, unsigned.public_key, body)
