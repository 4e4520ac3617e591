"""One account on every chain."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from hither.client import AsyncClient, Signer
from hither.foreign.adapter import Adapter, Payload, Scheme, track
from hither.foreign.caip import ChainId
from hither.mpc.client import Signed, SigningClient
from hither.mpc.requests import EcdsaPayload, EddsaPayload
from hither.sdk.network import Network

PATHS: Final = {"eip155": "ethereum-1", "bip122": "bitcoin-1", "solana": "solana-1"}
"""The usual derivation path of a family: all its chains share an address."""

FINAL_TIMEOUT_SECONDS: Final = 60.0

Progress = Callable[[str], None]


def say_nothing(_text: str) -> None:
    """Progress for nobody."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A transfer that is final. ``sign_transactions`` are the transactions on our chain that asked for signatures."""

    chain: ChainId
    address: str
    receiver: str
    amount: int
    fee: int | None
    transaction_id: str
    confirmations: int
    sign_transactions: tuple[str, ...]
    total_ms: float


class Account:
    """An account of our chain, on every chain of a network."""

    def __init__(self, network: Network, signer: Signer) -> None:
        self._network = network
        self._signer = signer
        self._client = AsyncClient(network.rpc_url)
        self._signing = SigningClient(self._client, network.contract_id)
        self._adapters: dict[ChainId, Adapter] = {}

    async def __aenter__(self) -> "Account":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(adapter.close() for adapter in self._adapters.values()))
        await self._client.close()

    @property
    def account_id(self) -> str:
        """Its name on our chain."""
        return self._signer.account_id

    def get_adapter(self, chain: ChainId) -> Adapter:
        """The adapter of a chain, opened once. Raises UnknownChain."""
        if chain not in self._adapters:
            self._adapters[chain] = self._network.open_adapter(chain)
        return self._adapters[chain]

    async def derive_key(self, chain: ChainId) -> bytes:
        """Its compressed public key on a chain."""
        domain_id = self.get_adapter(chain).scheme.value
        return await self._signing.derive_key(self.account_id, PATHS[chain.namespace], domain_id)

    async def get_address(self, chain: ChainId) -> str:
        """Its address on a chain."""
        return self.get_adapter(chain).derive_address(await self.derive_key(chain))

    async def get_balance(self, chain: ChainId) -> int:
        """What it has on a chain, in that chain's smallest unit."""
        return await self.get_adapter(chain).fetch_balance(await self.get_address(chain))

    async def send(
        self, chain: ChainId, receiver: str, amount: int, progress: Progress = say_nothing
    ) -> Sent:
        """Transfer a chain's own coin and wait until that is final.

        Raises ForeignError, SigningFailed, ClientError.
        """
        started = time.monotonic()
        adapter, key = self.get_adapter(chain), await self.derive_key(chain)
        unsigned = await adapter.build_transfer(key, receiver, amount)
        progress(adapter.describe(unsigned))
        answers = await self._sign_all(chain, adapter.list_payloads(unsigned))
        signed = adapter.attach(unsigned, [answer.signature for answer in answers])
        await adapter.broadcast(signed)
        progress(f"sent as {signed.transaction_id}")
        status = await track(adapter, signed, timeout_seconds=FINAL_TIMEOUT_SECONDS)
        return Sent(
            chain=chain,
            address=adapter.derive_address(key),
            receiver=receiver,
            amount=amount,
            fee=status.fee,
            transaction_id=signed.transaction_id,
            confirmations=status.confirmations,
            sign_transactions=tuple(answer.transaction_hash for answer in answers),
            total_ms=(time.monotonic() - started) * 1000,
        )

    async def _sign_all(self, chain: ChainId, payloads: Sequence[Payload]) -> list[Signed]:
        path = PATHS[chain.namespace]
        calls = (
            self._signing.sign(
                self._signer,
                path,
                EcdsaPayload(payload.data) if payload.scheme is Scheme.ECDSA else EddsaPayload(payload.data),
                payload.domain_id,
            )
            for payload in payloads
        )
        return list(await asyncio.gather(*calls))
