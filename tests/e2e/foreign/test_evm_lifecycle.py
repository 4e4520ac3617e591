"""What happens to a transaction on its way: raised, cancelled, held up, replaced, lied about."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from hither.foreign import evm_transactions as codec
from hither.foreign.adapter import SignedTransaction, State, UnsignedTransaction, track
from hither.foreign.errors import (
    BroadcastRefused,
    CallReverted,
    EndpointsDisagree,
    FinalityTimeout,
    LyingEndpoint,
    NonceGap,
    TransactionDropped,
    TransactionReplaced,
)
from hither.foreign.evm import EvmAdapter, EvmOptions
from hither.foreign.evm_addresses import parse_address
from hither.foreign.evm_agreement import EVM_READING
from hither.foreign.evm_calls import EvmCall
from hither.foreign.evm_chains import get_evm_chain
from hither.foreign.evm_fees import Speed
from hither.foreign.quorum import Quorum
from hither.foreign.transport import Rpc
from tests.e2e.foreign.acting import Stage, run_stage
from tests.unit.foreign.signing_network import SigningNetwork

BOB = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def sign(adapter: EvmAdapter, unsigned: UnsignedTransaction, name: str = "alice") -> SignedTransaction:
    """Outside the builder."""
    network = SigningNetwork(name)
    return adapter.attach(unsigned, [network.sign(payload) for payload in adapter.list_payloads(unsigned)])


async def wait(stage: Stage, *, mines: bool) -> None:
    """Whether each transaction gets a block at once."""
    await stage.rpc.call("evm_setAutomine", [mines])


@pytest.mark.parametrize("is_legacy", [False, True], ids=["fee market", "legacy"])
@pytest.mark.parametrize("deed", ["bump", "cancel"])
def test_a_waiting_transaction_gives_way_to_a_dearer_one(deed: str, is_legacy: bool) -> None:
    """Raised or cancelled: the node takes the second; the first is told to be replaced, and by what."""

    async def run() -> None:
        async with run_stage("eip155:8453") as stage:
            adapter, key = stage.adapter, stage.alice.public_key
            await wait(stage, mines=False)
            first = await adapter.build(key, EvmCall(BOB, b"", 5), EvmOptions(is_legacy=is_legacy))
            sent = sign(adapter, first)
            await adapter.broadcast(sent)
            assert (await adapter.fetch_status(sent)).state is State.PENDING
            if deed == "bump":
                second = await adapter.bump(first, Speed.NORMAL)
                assert adapter.inspect(second).amount == 5
            else:
                second = await adapter.cancel(first)
                assert adapter.inspect(second).receiver == stage.alice.address
            assert adapter.inspect(second).fee_max > adapter.inspect(first).fee_max or deed == "cancel"
            other = sign(adapter, second)
            await adapter.broadcast(other)
            await wait(stage, mines=True)
            await stage.engine.mine()
            assert (await track(adapter, other, timeout_seconds=60)).state is State.FINAL
            with pytest.raises(TransactionReplaced, match=f"{other.transaction_id} has its place") as caught:
                await track(adapter, sent, timeout_seconds=60)
            assert caught.value.replaced_by == other.transaction_id
            assert isinstance(caught.value, TransactionDropped)
            assert await adapter.fetch_balance(BOB) == (5 if deed == "bump" else 0)

    asyncio.run(run())


def test_a_replacement_that_pays_no_more_is_refused() -> None:
    """By the node, with its reason; the first stays."""

    async def run() -> None:
        async with run_stage() as stage:
            adapter = stage.adapter
            await wait(stage, mines=False)
            first = await adapter.build_transfer(stage.alice.public_key, BOB, 5)
            await adapter.broadcast(sign(adapter, first))
            transaction = codec.decode_unsigned(first.body)
            assert isinstance(transaction, codec.FeeMarketTransaction)
            other = replace(transaction, amount=6)
            with pytest.raises(BroadcastRefused, match="underpriced"):
                await adapter.broadcast(sign(adapter, replace(first, body=codec.encode_unsigned(other))))

    asyncio.run(run())


def test_a_gap_before_a_transaction_is_named_and_can_be_filled() -> None:
    """The hint says which nonce is missing; then all are included."""

    async def run() -> None:
        async with run_stage() as stage:
            adapter, key = stage.adapter, stage.alice.public_key
            call = EvmCall(BOB, b"", 1)
            late = [
                sign(adapter, await adapter.build(key, call, EvmOptions(nonce=nonce))) for nonce in (3, 2)
            ]
            for signed in late:
                await adapter.broadcast(signed)
            for signed in late:
                status = await adapter.fetch_status(signed)
                assert (status.state, status.missing_nonce) == (State.PENDING, 0)
            with pytest.raises(NonceGap, match="the account's transaction with nonce 0 is missing") as caught:
                await track(adapter, late[0], timeout_seconds=0.05)
            assert caught.value.retryable and "nonce 0 first" in str(caught.value.hint)
            assert isinstance(caught.value, FinalityTimeout)
            for nonce in (0, 1):
                signed = sign(adapter, await adapter.build(key, call, EvmOptions(nonce=nonce)))
                await adapter.broadcast(signed)
            for signed in late:
                assert (await track(adapter, signed, timeout_seconds=60)).failure is None
            assert await adapter.fetch_balance(BOB) == 4

    asyncio.run(run())


def test_a_transaction_is_followed_through_reorganisations() -> None:
    """Its block is taken off, it comes again in another, and then another branch has its nonce used otherwise."""

    async def run() -> None:
        async with run_stage() as stage:
            patient = EvmAdapter(get_evm_chain(stage.engine.chain, confirmations=3), stage.rpc)
            first = await patient.build_transfer(stage.alice.public_key, BOB, 5)
            signed = sign(patient, first)
            rival = sign(patient, await patient.bump(first))
            await stage.rpc.call("eth_sendRawTransactionSync", ["0x" + signed.raw.hex()])
            assert (await patient.fetch_status(signed)).state is State.INCLUDED
            await stage.rpc.call("anvil_reorg", [1, []])
            assert (await patient.fetch_status(signed)).state in (State.UNKNOWN, State.PENDING)
            assert await patient.fetch_balance(BOB) == 0
            await patient.broadcast(signed)
            async with asyncio.timeout(60):
                while (status := await patient.fetch_status(signed)).state is not State.INCLUDED:
                    await asyncio.sleep(0.01)
            assert status.confirmations == 1
            await stage.rpc.call("anvil_reorg", [1, [["0x" + rival.raw.hex(), 0]]])
            with pytest.raises(TransactionReplaced, match=f"{rival.transaction_id} has its place"):
                await track(patient, signed, timeout_seconds=60)
            await stage.engine.mine(2)
            assert (await track(patient, rival, timeout_seconds=60)).confirmations == 3

    asyncio.run(run())


def test_prices_follow_the_wanted_speed() -> None:
    """Slow pays no more than usual, fast no less."""

    async def run() -> None:
        async with run_stage() as stage:
            for _ in range(3):
                await stage.alice.act(EvmCall(BOB, b"", 1))
            prices = {}
            for speed in Speed:
                unsigned = await stage.adapter.build(
                    stage.alice.public_key, EvmCall(BOB, b"", 1), EvmOptions(speed)
                )
                transaction = codec.decode_unsigned(unsigned.body)
                assert isinstance(transaction, codec.FeeMarketTransaction)
                prices[speed] = transaction.priority_fee_max
            assert 0 < prices[Speed.SLOW] <= prices[Speed.NORMAL] <= prices[Speed.FAST]

    asyncio.run(run())


def test_an_access_list_goes_along() -> None:
    """Type 1 as a node takes it, and type 2 with one."""

    async def run() -> None:
        async with run_stage() as stage:
            accesses = ((parse_address(BOB), (bytes(32), b"\1" * 32)),)
            for is_legacy, kind in ((True, 1), (False, 2)):
                options = EvmOptions(is_legacy=is_legacy, access_list=accesses)
                receipt = await stage.alice.act(EvmCall(BOB, b"", 1), options)
                assert int(receipt["type"], 16) == kind
                assert int(receipt["gasUsed"], 16) == 21_000 + 2400 + 2 * 1900

    asyncio.run(run())


def test_a_call_that_would_fail_is_refused_before_it_is_signed() -> None:
    """A contract's refusal costs nothing then."""

    async def run() -> None:
        async with run_stage() as stage:
            # Creation code that reverts with nothing.
            with pytest.raises(CallReverted, match="the contract gave no reason"):
                await stage.adapter.build(stage.alice.public_key, EvmCall(None, bytes.fromhex("5f5ffd")))
            with pytest.raises(CallReverted, match="no contract is there"):
                await stage.adapter.read(BOB, "totalSupply()(uint256)")

    asyncio.run(run())


# Endpoints that lie


class Liar:
    """A real endpoint, some of whose answers are others."""

    def __init__(self, rpc: Rpc, **lies: Callable[[Any], Any]) -> None:
        self._rpc = rpc
        self._lies = lies
        self.host = "liar"

    async def call(self, method: str, params: Sequence[Any] = (), *, is_repeatable: bool = True) -> Any:
        result = await self._rpc.call(method, params, is_repeatable=is_repeatable)
        lie = self._lies.get(method)
        return result if lie is None else lie(result)

    async def close(self) -> None:
        pass


def forge(receipt: dict[str, Any] | None) -> dict[str, Any] | None:
    """A transaction that failed, they say."""
    return None if receipt is None else {**receipt, "status": "0x0"}


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_liar_of_three_changes_nothing(place: int) -> None:
    """Balances, nonces, prices, receipts: two honest endpoints agree."""

    async def run() -> None:
        async with run_stage() as stage:
            rows: list[Rpc] = [stage.rpc, stage.rpc]
            liar = Liar(
                stage.rpc,
                eth_getBalance=lambda _: "0x0",
                eth_getTransactionCount=lambda _: "0x99",
                eth_maxPriorityFeePerGas=lambda _: hex(10**18),
                eth_getTransactionReceipt=forge,
                eth_chainId=lambda _: "0x5",
                eth_sendRawTransaction=lambda id_: id_,
            )
            rows.insert(place, liar)
            info = get_evm_chain(stage.engine.chain, confirmations=1)
            adapter = EvmAdapter(info, Quorum(rows, 2, EVM_READING))
            unsigned = await adapter.build_transfer(stage.alice.public_key, BOB, 5)
            transaction = codec.decode_unsigned(unsigned.body)
            assert transaction.nonce == 0 and transaction.fee_max < 10**15
            signed = sign(adapter, unsigned)
            await adapter.broadcast(signed)
            assert (await track(adapter, signed, timeout_seconds=60)).failure is None
            assert await adapter.fetch_balance(BOB) == 5

    asyncio.run(run())


def test_two_liars_of_three_are_noticed_when_they_differ() -> None:
    """Nothing is built on what nobody else says."""

    async def run() -> None:
        async with run_stage() as stage:
            liars: list[Rpc] = [
                Liar(stage.rpc, eth_getBalance=lambda _, told=told: told) for told in ("0x1", "0x2")
            ]
            quorum = Quorum([stage.rpc, *liars], 2, EVM_READING, grace_seconds=0.1)
            adapter = EvmAdapter(get_evm_chain(stage.engine.chain), quorum)
            with pytest.raises(
                EndpointsDisagree, match=r"3 answered, and say different things: .*; liar; liar"
            ):
                await adapter.build_transfer(stage.alice.public_key, BOB, 5)

    asyncio.run(run())


LIES: dict[str, dict[str, Callable[[Any], Any]]] = {
    "another chain": {"eth_chainId": lambda _: "0x2"},
    "a balance that is a text": {"eth_getBalance": lambda _: "much"},
    "a nonce that is a number": {"eth_getTransactionCount": lambda _: 5},
    # Where the transaction is there whatever was said of it, it is sent, and that is no error.
    "another transaction's id": {
        "eth_sendRawTransaction": lambda _: "0x" + "11" * 32,
        "eth_getTransactionByHash": lambda _: None,
    },
    "another transaction's receipt": {
        "eth_getTransactionReceipt": lambda receipt: (
            receipt and {**receipt, "transactionHash": "0x" + "11" * 32}
        ),
    },
}


@pytest.mark.parametrize("lies", LIES.values(), ids=list(LIES))
def test_a_lie_that_shows_is_named(lies: dict[str, Callable[[Any], Any]]) -> None:
    """Even by one endpoint alone."""

    async def run() -> None:
        async with run_stage() as stage:
            info = get_evm_chain(stage.engine.chain, confirmations=1)
            adapter = EvmAdapter(info, Liar(stage.rpc, **lies))

            async def send() -> None:
                signed = sign(adapter, await adapter.build_transfer(stage.alice.public_key, BOB, 5))
                await adapter.broadcast(signed)
                await track(adapter, signed, timeout_seconds=60)

            with pytest.raises(LyingEndpoint):
                await send()

    asyncio.run(run())
