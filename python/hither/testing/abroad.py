"""A contract on another chain: its address there, and transfers that the contract itself has signed.

::

    base = network.abroad(contract, "eip155:8453", path="savings")
    base.fund("1 ETH")
    base.send(receiver, "0.25 ETH", sign)

``sign`` is how this contract is asked: it gets what is to be signed, in hex, and returns the transaction of ours whose
result is the signature.
"""

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from hither.client import AsyncClient, TransactionResult
from hither.foreign.adapter import Adapter, SignedTransaction, track
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.bitcoin_transactions import Coin
from hither.foreign.caip import parse_chain_id
from hither.foreign.engines.faucet import fund
from hither.mpc.client import SigningClient
from hither.mpc.requests import signature_from_json
from hither.sdk.amounts import Amount, parse_amount
from hither.sdk.network import Network
from hither.sdk.treasury import make_signed
from hither.sdk.work import NotOnThisChain

FINAL_SECONDS_MAX: Final = 60.0
T = TypeVar("T")
Sign = Callable[[str], TransactionResult]


class ContractAbroad:
    """Made by ``WholeNetwork.abroad``. Raises ``ForeignError`` where the other chain refuses something."""

    def __init__(self, network: Network, contract_id: str, chain: str, path: str) -> None:
        self.contract_id = contract_id
        self.chain = parse_chain_id(chain)
        self.path = path
        self._network = network

    @property
    def address(self) -> str:
        """Where it is paid: follows from the contract's account and the path."""

        async def read(adapter: Adapter, key: bytes) -> str:
            return adapter.derive_address(key)

        return self._work(read)

    @property
    def balance(self) -> int:
        """In the chain's smallest unit."""
        return self._work(lambda adapter, key: adapter.fetch_balance(adapter.derive_address(key)))

    def fund(self, amount: Amount) -> None:
        """Coins from the chain's faucet."""
        url = self._network.endpoints[self.chain].url

        async def pay(adapter: Adapter, key: bytes) -> None:
            wanted = parse_amount(amount, self.chain.namespace, adapter.coin)
            await fund(self.chain, url, adapter.derive_address(key), wanted)

        self._work(pay)

    def send(self, receiver: str, amount: Amount, sign: Sign) -> SignedTransaction:
        """Build a transfer, have the contract sign it, send it and wait until it is final."""

        async def transfer(adapter: Adapter, key: bytes) -> SignedTransaction:
            wanted = parse_amount(amount, self.chain.namespace, adapter.coin)
            unsigned = await adapter.build_transfer(key, receiver, wanted)
            answers = [sign(payload.data.hex()).value_json() for payload in adapter.list_payloads(unsigned)]
            return await _finish(
                adapter, adapter.attach(unsigned, [signature_from_json(answer) for answer in answers])
            )

        return self._work(transfer)

    @property
    def coins(self) -> list[Coin]:
        """What can be spent, on Bitcoin."""

        async def read(adapter: Adapter, key: bytes) -> list[Coin]:
            if not isinstance(adapter, BitcoinAdapter):
                raise NotOnThisChain(f"{self.chain} has balances, not coins")
            return await adapter.fetch_coins(adapter.derive_address(key))

        return self._work(read)

    def broadcast(self, raw: bytes | str) -> SignedTransaction:
        """Send a transaction that the contract has put together, as bytes or base64, and wait until it is final."""
        signed = make_signed(self.chain, b64decode(raw, validate=True) if isinstance(raw, str) else raw)

        async def send(adapter: Adapter, key: bytes) -> SignedTransaction:
            return await _finish(adapter, signed)

        return self._work(send)

    def _work(self, work: Callable[[Adapter, bytes], Awaitable[T]]) -> T:
        """With the chain's adapter and the contract's key there."""

        async def run() -> T:
            adapter = self._network.open_adapter(self.chain)
            try:
                async with AsyncClient(self._network.rpc_url) as client:
                    signing = SigningClient(client, self._network.contract_id)
                    key = await signing.derive_key(self.contract_id, self.path, adapter.scheme.value)
                return await work(adapter, key)
            finally:
                await adapter.close()

        return asyncio.run(run())


async def _finish(adapter: Adapter, signed: SignedTransaction) -> SignedTransaction:
    await adapter.broadcast(signed)
    await track(adapter, signed, timeout_seconds=FINAL_SECONDS_MAX)
    return signed
