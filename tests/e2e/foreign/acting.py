"""A chain with somebody who acts on it: shared by the tests of contracts."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hither.foreign.adapter import Payload, Signature
from hither.foreign.caip import parse_chain_id
from hither.foreign.engines.anvil import Anvil, AnvilOptions, start_anvil
from hither.foreign.evm import EvmAdapter
from hither.foreign.evm_account import SigningActor
from hither.foreign.evm_chains import get_evm_chain
from hither.foreign.transport import JsonRpc, RetryPolicy
from tests.unit.foreign.signing_network import SigningNetwork

ETHER = 10**18


@dataclass(frozen=True)
class Stage:
    """Signatures come from outside the builders; ``funder`` deploys what alice uses."""

    engine: Anvil
    adapter: EvmAdapter
    rpc: JsonRpc
    alice: SigningActor
    funder: SigningActor

    def make_actor(self, name: str) -> SigningActor:
        """Another person, without money."""
        return make_actor(self.adapter, self.rpc, name)


def make_actor(adapter: EvmAdapter, rpc: JsonRpc, name: str) -> SigningActor:
    """A person at the address that follows from a key."""
    network = SigningNetwork(name)

    async def sign(payload: Payload) -> Signature:
        return network.sign(payload)

    return SigningActor(adapter, rpc, network.get_public_key(adapter.scheme), sign)


@contextlib.asynccontextmanager
async def run_stage(chain: str = "eip155:1") -> AsyncIterator[Stage]:
    """A fresh chain on which alice has a thousand of its coin, and the funder more."""
    engine = await start_anvil(AnvilOptions(parse_chain_id(chain)))
    rpc = JsonRpc(engine.url, policy=RetryPolicy(attempts=1))
    adapter = EvmAdapter(get_evm_chain(engine.chain, confirmations=1), rpc)
    try:
        alice, funder = (make_actor(adapter, rpc, name) for name in ("alice", "funder"))
        await engine.fund(alice.address, 1000 * ETHER)
        await engine.fund(funder.address, 5000 * ETHER)
        yield Stage(engine, adapter, rpc, alice, funder)
    finally:
        await rpc.close()
        await engine.stop()
