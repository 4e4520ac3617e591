"""A treasury of three owners pays on other chains after a vote of two; engines and independent clients confirm it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from hither.client import AsyncClient, ExecutionFailed, Signer
from hither.crypto.keys import public_key_to_str
from hither.crypto.signing import secret_key_from_seed
from hither.foreign.adapter import Adapter, SignedTransaction, TransactionStatus
from hither.foreign.caip import parse_chain_id
from hither.foreign.engines.faucet import fund
from hither.primitives.types import ED25519
from hither.sdk.network import Network as SdkNetwork
from hither.sdk.treasury import Treasury, make_payment
from hither.sdk.verification import Claim, verify
from tests.e2e.cli.running import Network, network

pytestmark = pytest.mark.slow
OWNERS = ["alice.near", "bob.near", "carol.near"]
STRANGER = "trent.near"
TREASURY_ID = "treasury.test.near"
FAMILIES = {
    "eip155": (10**18, 2 * 10**16, 10**16, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
    "bip122": (10**8, 30_000, 2_000, "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"),
    "solana": (10**10, 10**9, 0, "FSgsbMdfhTqrUJtzGtz4NzFyJM9h7gKDt5tG7yQ4jAt3"),
}
"""What it is given, what it pays, for at most which fee, and to whom."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Our chain, the signing network, Bitcoin, one EVM chain and Solana, with a treasury that has money everywhere."""
    with network(tmp_path_factory.mktemp("home"), "--quiet", "--evm", "8453", is_alone=False) as everything:
        asyncio.run(set_up(everything))
        yield everything


@dataclass
class Stage:
    """What a test needs."""

    treasury: Treasury
    network: SdkNetwork
    client: AsyncClient
    signers: dict[str, Signer]

    def open_adapter(self, family: str) -> Adapter:
        (chain,) = [chain for chain in self.network.endpoints if chain.namespace == family]
        return self.network.open_adapter(chain)


@asynccontextmanager
async def stage(running: Network) -> AsyncIterator[Stage]:
    sdk_network = SdkNetwork.from_endpoints(running.endpoints)
    signers = {name: Signer(name, running.get_key(name)) for name in [*OWNERS, STRANGER, "test.near"]}
    async with AsyncClient(running.url) as client:
        yield Stage(Treasury(sdk_network, client, TREASURY_ID), sdk_network, client, signers)


async def set_up(running: Network) -> None:
    async with stage(running) as here:
        secret = secret_key_from_seed(ED25519, b"t" * 32)
        signer = Signer(TREASURY_ID, secret)
        await here.client.create_account(
            TREASURY_ID, public_key_to_str(signer.public_key), "20 N", signer=here.signers["test.near"]
        )
        await here.treasury.deploy(signer, OWNERS, 2)
        for family, (amount, *_) in FAMILIES.items():
            adapter = here.open_adapter(family)
            url = here.network.endpoints[adapter.chain].url
            await fund(adapter.chain, url, await here.treasury.get_address(adapter), amount)
            await adapter.close()


async def vote_through(here: Stage, adapter: Adapter, **changes: Any) -> int:
    """Proposed by alice, agreed to by bob."""
    _, amount, fee_max, receiver = FAMILIES[adapter.chain.namespace]
    wanted = {"receiver": receiver, "amount": amount, "fee_max": fee_max} | changes
    proposal_id = await here.treasury.propose(adapter, owner=here.signers["alice.near"], **wanted)
    assert (await here.treasury.get_proposal(proposal_id))["status"] == "Voting"
    assert await here.treasury.vote(proposal_id, here.signers["bob.near"]) == "Approved"
    return proposal_id


async def must_be_confirmed(
    here: Stage, adapter: Adapter, signed: SignedTransaction, status: TransactionStatus
) -> None:
    """By a client that is not ours."""
    _, amount, _, receiver = FAMILIES[adapter.chain.namespace]
    claim = Claim(
        chain=adapter.chain,
        url=here.network.endpoints[adapter.chain].url,
        transaction_id=signed.transaction_id,
        sender=await here.treasury.get_address(adapter),
        receiver=receiver,
        amount=amount,
        fee=status.fee,
        confirmations=status.confirmations,
    )
    await verify([claim])


@pytest.mark.parametrize("family", FAMILIES)
def test_payment_after_a_vote_is_confirmed_abroad(running: Network, family: str) -> None:
    """Twice, so that nonces and coins go on; carol, who did not vote, has it carried out."""

    async def run() -> None:
        async with stage(running) as here:
            adapter = here.open_adapter(family)
            for _ in range(2):
                proposal_id = await vote_through(here, adapter)
                carol = here.signers["carol.near"]
                signed, status, asked_by = await here.treasury.pay(adapter, proposal_id, carol)
                await must_be_confirmed(here, adapter, signed, status)
                told = await here.treasury.get_proposal(proposal_id)
                assert told["status"] == "Signed"
                result = await here.client.wait_for(asked_by, "carol.near")
                assert any('"event":"payment"' in line for line in result.logs)
            await adapter.close()

    asyncio.run(run())


async def must_fail(work: Any, reason: str) -> None:
    with pytest.raises(ExecutionFailed, match=reason):
        await work


def test_nobody_pays_without_the_votes(running: Network) -> None:
    """Strangers do nothing; owners vote once; one vote of two is not enough; nothing is asked of the signers."""

    async def run() -> None:
        async with stage(running) as here:
            treasury, signers = here.treasury, here.signers
            adapter = here.open_adapter("eip155")
            _, amount, fee_max, receiver = FAMILIES["eip155"]
            proposal_id = await treasury.propose(adapter, receiver, amount, fee_max, signers["alice.near"])
            eve = signers[STRANGER]
            await must_fail(treasury.propose(adapter, receiver, amount, fee_max, eve), "only owners")
            await must_fail(treasury.vote(proposal_id, eve), "only owners")
            await must_fail(treasury.vote(proposal_id, signers["alice.near"]), "votes once")
            await must_fail(
                treasury.execute(adapter, proposal_id, signers["alice.near"]), "not enough owners"
            )
            await treasury.vote(proposal_id, signers["bob.near"])
            await must_fail(treasury.vote(proposal_id, signers["carol.near"]), "the vote is over")
            await must_fail(treasury.execute(adapter, proposal_id, eve), "only owners")
            await must_fail(treasury.vote(999_999, signers["carol.near"]), "no such payment")
            for method, arguments in [("on_signed", {"id": proposal_id}), ("on_keys", {})]:
                await must_fail(here.client.call(TREASURY_ID, method, arguments, signer=eve), "private")
            await adapter.close()

    asyncio.run(run())


def test_whoever_executes_cannot_pay_more_or_elsewhere(running: Network) -> None:
    """Fees above the vote, another chain's means, coins that do not suffice or belong to another payment."""

    async def run() -> None:
        async with stage(running) as here:
            alice = here.signers["alice.near"]
            evm, bitcoin = here.open_adapter("eip155"), here.open_adapter("bip122")
            proposal_id = await vote_through(here, evm)
            dear = {"gas_limit": 21_000, "gas_price_max": str(10**12), "priority_fee_max": "0"}
            await must_fail(here.treasury.execute(evm, proposal_id, alice, {"Evm": dear}), "exceeds")
            other = {"Solana": {"blockhash": "1" * 32}}
            await must_fail(here.treasury.execute(evm, proposal_id, alice, other), "another chain's")

            first, second = await vote_through(here, bitcoin), await vote_through(here, bitcoin)
            means = await here.treasury.find_means(bitcoin, await here.treasury.get_proposal(first))
            much = {"Bitcoin": {**means["Bitcoin"], "fee": "2001"}}
            await must_fail(here.treasury.execute(bitcoin, first, alice, much), "exceeds")
            few = {"Bitcoin": {"coins": [], "fee": "1000"}}
            await must_fail(here.treasury.execute(bitcoin, first, alice, few), "do not cover")
            await here.treasury.execute(bitcoin, first, alice, means)
            await must_fail(here.treasury.execute(bitcoin, second, alice, means), "another payment spends")
            # Signed, never sent: the same payment may be signed again for another fee, with the same coin.
            cheaper = {"Bitcoin": {**means["Bitcoin"], "fee": "1500"}}
            signed, _ = await here.treasury.execute(bitcoin, first, alice, cheaper)
            await bitcoin.broadcast(signed)
            await asyncio.gather(evm.close(), bitcoin.close())

    asyncio.run(run())


def test_payment_keeps_its_nonce_over_attempts(running: Network) -> None:
    """Signed twice with other prices, it can be included once: the second takes the first one's place."""

    async def run() -> None:
        async with stage(running) as here:
            adapter, alice = here.open_adapter("eip155"), here.signers["alice.near"]
            # An approved payment of an earlier test waits with its nonce taken; whoever pays next finishes it first.
            for proposal_id in range(20):
                proposal = await here.treasury.get_proposal(proposal_id)
                if proposal and "Evm" in proposal["payment"] and proposal["status"] == "Approved":
                    await here.treasury.pay(adapter, proposal_id, alice)
            proposal_id = await vote_through(here, adapter)
            first, _ = await here.treasury.execute(adapter, proposal_id, alice)
            means = await here.treasury.find_means(adapter, await here.treasury.get_proposal(proposal_id))
            price = str(2 * int(means["Evm"]["gas_price_max"]))
            second, _ = await here.treasury.execute(
                adapter, proposal_id, alice, {"Evm": {**means["Evm"], "gas_price_max": price}}
            )
            assert first.transaction_id != second.transaction_id
            await adapter.broadcast(second)
            with pytest.raises(Exception, match=r"nonce|underpriced|known"):
                await adapter.broadcast(first)
            await adapter.close()

    asyncio.run(run())


def test_solana_payment_is_signed_once(running: Network) -> None:
    """Another blockhash would be another payment."""

    async def run() -> None:
        async with stage(running) as here:
            adapter, alice = here.open_adapter("solana"), here.signers["alice.near"]
            proposal_id = await vote_through(here, adapter)
            await here.treasury.pay(adapter, proposal_id, alice)
            await must_fail(here.treasury.execute(adapter, proposal_id, alice), "would pay again")
            await adapter.close()

    asyncio.run(run())


def test_bad_payments_are_refused_before_a_vote(running: Network) -> None:
    """Addresses with mistakes, dust, unknown networks."""

    async def run() -> None:
        async with stage(running) as here:
            bitcoin = make_payment(
                parse_chain_id("bip122:0f9188f13cb7b2c71f2a335e3a4fc328"), "bcrt1qw508", 9_999, 1
            )
            dust = {"Bitcoin": {**make_bitcoin(), "amount": "545"}}
            elsewhere = {"Bitcoin": {**make_bitcoin(), "network": "dogecoin"}}
            evm = make_payment(parse_chain_id("eip155:1"), "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", 1, 1)
            for payment, reason in [
                (bitcoin, "too short|checksum"),
                (dust, "too little"),
                (elsewhere, "no such network"),
                (evm, "checksum is wrong"),
            ]:
                alice = here.signers["alice.near"]
                await must_fail(
                    here.client.call(TREASURY_ID, "propose", {"payment": payment}, signer=alice), reason
                )

    asyncio.run(run())


def make_bitcoin() -> dict[str, str]:
    """A good payment's fields."""
    receiver = FAMILIES["bip122"][3]
    return {"network": "regtest", "receiver": receiver, "amount": "1000", "fee_max": "100"}
