"""A chain with somebody who acts on it: shared by the tests of contracts."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from hither.foreign.adapter import Payload, Signature
from hither.foreign.caip import parse_chain_id
from hither.foreign.engines.anvil import Anvil, AnvilOptions, start_anvil
from hither.foreign.evm import EvmAdapter
from hither.foreign.evm_account import SigningActor, UnlockedActor, find_unlocked
from hither.foreign.evm_chains import get_evm_chain
from hither.foreign.transport import JsonRpc, RetryPolicy
from tests.unit.foreign.signing_network import SigningNetwork

ETHER = 10**18


@dataclass(frozen=True)
class Stage:
    """alice's signatures come from outside the builders; ``funder`` sets the scene."""

    engine: Anvil
    adapter: EvmAdapter
    rpc: JsonRpc
    alice: SigningActor
    funder: UnlockedActor

    def make_actor(self, name: str) -> SigningActor:
        """Another person, without money."""
        network = SigningNetwork(name)

        async def sign(payload: Payload) -> Signature:
            return network.sign(payload)

        return SigningActor(self.adapter, self.rpc, network.get_public_key(self.adapter.scheme), sign)


@contextlib.asynccontextmanager
async def run_stage(chain: str = "eip155:1") -> AsyncIterator[Stage]:
    """A fresh chain on which alice has a thousand of its coin."""
    engine = await start_anvil(AnvilOptions(parse_chain_id(chain)))
    rpc = JsonRpc(engine.url, policy=RetryPolicy(attempts=1))
    adapter = EvmAdapter(get_evm_chain(engine.chain, confirmations=1), rpc)
    network = SigningNetwork("alice")

    async def sign(payload: Payload) -> Signature:
        return network.sign(payload)

    try:
        alice = SigningActor(adapter, rpc, network.get_public_key(adapter.scheme), sign)
        await engine.fund(alice.address, 1000 * ETHER)
        yield Stage(engine, adapter, rpc, alice, await find_unlocked(rpc))
    finally:
        await rpc.close()
        await engine.stop()
