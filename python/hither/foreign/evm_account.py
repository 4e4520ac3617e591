"""An EVM account that acts: have something done, wait until it is final, deploy contracts and check what was deployed.

Two kinds: one whose signatures come from elsewhere (the signing network), and the unlocked account of a development
chain, which sets the scene without a key.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from hither.foreign import evm_addresses as addresses
from hither.foreign.adapter import Payload, Signature, track
from hither.foreign.errors import EndpointError, EngineError, LyingEndpoint, TransactionFailed
from hither.foreign.evm import USUAL, EvmAdapter, EvmOptions, add_gas_margin
from hither.foreign.evm_artefacts import Artefact
from hither.foreign.evm_calls import EvmCall, create_contract
from hither.foreign.evm_rpc import explain, read_bytes, read_contract, read_quantity
from hither.foreign.evm_tracking import fetch_receipt
from hither.foreign.transport import Rpc

FINAL_SECONDS_MAX: Final = 60.0

Sign = Callable[[Payload], Awaitable[Signature]]
"""Makes one signature, wherever that happens."""


class EvmActor(Protocol):
    """Who acts."""

    @property
    def address(self) -> str:
        """On this chain."""
        ...

    @property
    def rpc(self) -> Rpc:
        """The chain's endpoint."""
        ...

    async def act(self, call: EvmCall) -> dict[str, Any]:
        """Do it and wait until that is final; the receipt. Raises ``TransactionFailed``, ``CallReverted``."""
        ...


class SigningActor:
    """Its signatures come from ``sign``."""

    def __init__(self, adapter: EvmAdapter, rpc: Rpc, public_key: bytes, sign: Sign) -> None:
        self.rpc = rpc
        self.public_key = public_key
        self.address = adapter.derive_address(public_key)
        self._adapter = adapter
        self._sign = sign

    async def act(self, call: EvmCall, options: EvmOptions = USUAL) -> dict[str, Any]:
        """Build, have signed, check, send, follow."""
        adapter = self._adapter
        unsigned = await adapter.build(self.public_key, call, options)
        payloads = adapter.list_payloads(unsigned)
        signed = adapter.attach(unsigned, await asyncio.gather(*map(self._sign, payloads)))
        await adapter.broadcast(signed)
        await track(adapter, signed, timeout_seconds=FINAL_SECONDS_MAX)
        receipt = await fetch_receipt(self.rpc, signed.transaction_id)
        if receipt is None:
            raise LyingEndpoint(f"{self.rpc.host} has no receipt of {signed.transaction_id}, which is final")
        return receipt


class UnlockedActor:
    """The first account of a development chain, which signs for itself. Made by ``find_unlocked``."""

    def __init__(self, rpc: Rpc, address: str) -> None:
        self.rpc = rpc
        self.address = address

    async def act(self, call: EvmCall) -> dict[str, Any]:
        """An estimate, and one request that answers with the receipt."""
        request = {"from": self.address, "data": "0x" + call.data.hex(), "value": hex(call.amount)}
        if call.receiver is not None:
            request["to"] = call.receiver
        try:
            # Without it the chain takes its estimate as the limit, to the unit; the block may come in another second.
            gas = add_gas_margin(read_quantity(await self.rpc.call("eth_estimateGas", [request])))
            receipt = await self.rpc.call(
                "eth_sendTransactionSync", [request | {"gas": hex(gas)}], is_repeatable=False
            )
        except EndpointError as error:
            raise explain(error) from error
        if receipt["status"] != "0x1":
            raise TransactionFailed(f"{receipt['transactionHash']} failed")
        return dict(receipt)


async def find_unlocked(rpc: Rpc) -> UnlockedActor:
    """Raises ``EngineError`` for a chain that has none."""
    accounts = await rpc.call("eth_accounts")
    if not accounts:
        raise EngineError(f"{rpc.host} has no unlocked accounts: it is no development chain")
    return UnlockedActor(rpc, addresses.format_address(addresses.parse_address(accounts[0])))


async def deploy(
    actor: EvmActor,
    artefact: Artefact,
    types: str = "()",
    arguments: Sequence[Any] = (),
    libraries: dict[str, str] | None = None,
) -> str:
    """The address of a new contract, once the chain has the package's code there. Raises ``EngineError``."""
    linked = {name: addresses.parse_address(address) for name, address in (libraries or {}).items()}
    receipt = await actor.act(create_contract(artefact, types, arguments, linked))
    address = addresses.format_address(addresses.parse_address(receipt["contractAddress"]))
    code = read_bytes(await actor.rpc.call("eth_getCode", [address, "latest"]))
    if not artefact.is_runtime(code):
        raise EngineError(f"the code at {address} is not that of {artefact.name} in its package")
    return address


async def read(actor: EvmActor, contract: str, function: str, *arguments: Any) -> Any:
    """What a contract answers to this account."""
    return await read_contract(actor.rpc, contract, function, arguments, actor.address)


async def fetch_time(rpc: Rpc) -> int:
    """The newest block's, in seconds."""
    return read_quantity((await rpc.call("eth_getBlockByNumber", ["latest", False]))["timestamp"])
