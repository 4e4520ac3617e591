"""Bitcoin's and Solana's adapters over three endpoints of which one lies, lags or is gone: two must agree."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from hither.foreign.adapter import Adapter, Scheme, SignedTransaction, State, track
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.bitcoin_agreement import BITCOIN_READING
from hither.foreign.engines.bitcoin import BitcoinOptions, start_bitcoin
from hither.foreign.engines.solana import start_solana
from hither.foreign.errors import EndpointsDisagree, ForeignError
from hither.foreign.quorum import Quorum, Reading
from hither.foreign.solana import SolanaAdapter
from hither.foreign.solana_agreement import SOLANA_READING
from hither.foreign.transport import JsonRpc, RetryPolicy
from tests.unit.foreign.signing_network import SigningNetwork

pytestmark = pytest.mark.slow

ALICE, BOB = SigningNetwork("alice"), SigningNetwork("bob")
AMOUNT = 10**7
Lie = Callable[[str, Any], Any]


class Liar(JsonRpc):
    """An endpoint that changes answers."""

    def __init__(self, url: str, lie: Lie) -> None:
        super().__init__(url, policy=RetryPolicy(attempts=1))
        self._lie = lie

    async def call(self, method: str, params: Sequence[Any] = (), *, is_repeatable: bool = True) -> Any:
        """The truth, changed."""
        return self._lie(method, await super().call(method, params, is_repeatable=is_repeatable))


def ask_three(url: str, lie: Lie | None, reading: Reading, liars: int = 1) -> Quorum:
    """Two honest ones and a liar, or one that nobody answers at; two must agree."""
    false = "http://127.0.0.1:1" if lie is None else url
    odd = [Liar(false, lie or (lambda _, answer: answer)) for _ in range(liars)]
    honest = [JsonRpc(url) for _ in range(3 - liars)]
    return Quorum([*odd, *honest], 2, reading, policy=RetryPolicy(attempts=2, first_pause_seconds=0.01))


def lie_about_bitcoin(method: str, answer: Any) -> Any:
    """Coins that are not there, confirmations that have not come, fees out of reason."""
    match method:
        case "scantxoutset":
            return {**answer, "total_amount": answer["total_amount"] + 1, "unspents": []}
        case "getrawtransaction" if isinstance(answer, dict):
            return {**answer, "confirmations": 100}
        case "estimatesmartfee":
            return {**answer, "feerate": 0.05}
        case "getblockcount":
            return answer + 1_000
        case "getblockhash":
            return "11" * 32
    return answer


def lie_about_solana(method: str, answer: Any) -> Any:
    """Money that is not there, transactions that have not come."""
    match method:
        case "getBalance":
            return {**answer, "value": answer["value"] + 10**12}
        case "getSignatureStatuses":
            status = {"slot": 1, "err": None, "confirmationStatus": "finalized", "confirmations": None}
            return {**answer, "value": [status]}
        case "getTransaction" if answer is not None:
            return {**answer, "meta": {**answer["meta"], "fee": 1}}
        case "getGenesisHash":
            return "1" * 32
    return answer


async def pay(adapter: Adapter) -> SignedTransaction:
    """Alice's payment to bob, sent and final."""
    is_ecdsa = adapter.scheme is Scheme.ECDSA
    keys = [
        one.ecdsa.public_key.format() if is_ecdsa else one.get_public_key(adapter.scheme)
        for one in (ALICE, BOB)
    ]
    unsigned = await adapter.build_transfer(keys[0], adapter.derive_address(keys[1]), AMOUNT)
    signed = adapter.attach(unsigned, [ALICE.sign(one) for one in adapter.list_payloads(unsigned)])
    assert (await adapter.fetch_status(signed)).state is State.UNKNOWN
    await adapter.broadcast(signed)
    status = await track(adapter, signed, timeout_seconds=60)
    assert status.confirmations < 100
    assert await adapter.fetch_balance(adapter.derive_address(keys[1])) == AMOUNT
    await adapter.close()
    return signed


@pytest.mark.parametrize("lie", [lie_about_bitcoin, None], ids=["a liar", "one that is gone"])
def test_two_honest_bitcoin_nodes_are_enough(tmp_path: Path, lie: Lie | None) -> None:
    """Nothing of what the third says counts."""

    async def run() -> None:
        engine = await start_bitcoin(BitcoinOptions(tmp_path))
        adapter = BitcoinAdapter(engine.chain, ask_three(engine.url, lie, BITCOIN_READING))
        await engine.fund(adapter.derive_address(ALICE.ecdsa.public_key.format()), 10**8)
        await pay(adapter)
        await engine.stop()

    asyncio.run(run())


@pytest.mark.parametrize("lie", [lie_about_solana, None], ids=["a liar", "one that is gone"])
def test_two_honest_solana_endpoints_are_enough(lie: Lie | None) -> None:
    """Nothing of what the third says counts."""

    async def run() -> None:
        engine = await start_solana()
        adapter = SolanaAdapter(engine.chain, ask_three(engine.url, lie, SOLANA_READING))
        await engine.fund(adapter.derive_address(ALICE.get_public_key(Scheme.EDDSA)), 10**9)
        await pay(adapter)
        await engine.stop()

    asyncio.run(run())


def test_endpoints_that_each_say_something_else_say_nothing(tmp_path: Path) -> None:
    """Two that lie each in a way of its own leave one honest one, which is not enough."""

    async def run() -> None:
        engine = await start_bitcoin(BitcoinOptions(tmp_path))
        lies = iter(range(1, 1_000))
        quorum = ask_three(
            engine.url,
            lambda method, answer: (
                {**answer, "total_amount": next(lies)} if method == "scantxoutset" else answer
            ),
            BITCOIN_READING,
            liars=2,
        )
        adapter = BitcoinAdapter(engine.chain, quorum)
        with pytest.raises(EndpointsDisagree):
            await adapter.fetch_balance(adapter.derive_address(ALICE.ecdsa.public_key.format()))
        with pytest.raises(ForeignError):
            await quorum.call("nonsense")
        await adapter.close()
        await engine.stop()

    asyncio.run(run())
