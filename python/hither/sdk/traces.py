"""Whether somebody has used an account's addresses before it existed.

Addresses on other chains follow the account's name, not its key or its history: whoever makes a deleted name again
controls what the one before left there, and that one's addresses are still known to those who paid to them.
"""

import asyncio
from dataclasses import dataclass

from hither.client import AsyncClient
from hither.foreign.adapter import Coin
from hither.foreign.caip import ChainId
from hither.foreign.errors import ForeignError
from hither.mpc.client import SigningClient
from hither.sdk.account import get_path
from hither.sdk.network import Network


@dataclass(frozen=True, slots=True)
class Trace:
    """What an address has though nobody should have used it."""

    chain: ChainId
    address: str
    balance: int
    nonce: int
    coin: Coin

    def __str__(self) -> str:
        return f"{self.chain}: {self.address} has {self.coin.format(self.balance)} and nonce {self.nonce}"


async def find_traces(network: Network, account_id: str) -> list[Trace]:
    """The usual addresses of a name that have a balance or a history. Chains that do not answer are left out."""
    async with AsyncClient(network.rpc_url) as client:
        signing = SigningClient(client, network.contract_id)
        found = await asyncio.gather(
            *(_look(network, signing, account_id, chain) for chain in network.endpoints),
            return_exceptions=True,
        )
    traces = []
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, ForeignError):
            raise one
        if isinstance(one, Trace) and (one.balance or one.nonce):
            traces.append(one)
    return traces


async def _look(network: Network, signing: SigningClient, account_id: str, chain: ChainId) -> Trace:
    adapter = network.open_adapter(chain)
    try:
        key = await signing.derive_key(account_id, get_path(chain), adapter.scheme.value)
        address = adapter.derive_address(key)
        balance, nonce = await asyncio.gather(adapter.fetch_balance(address), adapter.fetch_nonce(address))
        return Trace(chain, address, balance, nonce, adapter.coin)
    finally:
        await adapter.close()
