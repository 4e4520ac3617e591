"""The treasury contract of ``contracts/treasury``: several owners who pay on other chains after a vote.

The contract builds and holds nothing but what was voted on; here is what it cannot do: find prices, coins and a recent
blockhash, and send what was signed.
"""

import importlib.resources
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any, Final

from hither.client import AsyncClient, Signer
from hither.codec import base58
from hither.crypto.hashing import keccak256
from hither.foreign.adapter import Adapter, SignedTransaction, TransactionStatus, track
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.bitcoin_addresses import MAINNET, REGTEST
from hither.foreign.bitcoin_psbt import parse_transaction
from hither.foreign.bitcoin_transactions import Coin, compute_transaction_id
from hither.foreign.caip import ChainId
from hither.foreign.errors import InsufficientFunds, WrongSignature
from hither.foreign.evm_fees import fetch_prices
from hither.foreign.transport import Rpc
from hither.mpc.contract import parse_public_key
from hither.sdk.network import Network
from hither.sdk.work import NotOnThisChain

CALL_GAS: Final = "300 Tgas"
FINAL_TIMEOUT_SECONDS: Final = 60.0
TRANSFER_GAS: Final = 100_000
"""A plain transfer takes 21,000, and on Arbitrum more for its data; what is not used is not paid."""

_KEY_NAMES: Final = {"eip155": "ethereum", "bip122": "bitcoin", "solana": "solana"}


def read_contract() -> bytes:
    """The contract's wasm, which comes with the package."""
    return importlib.resources.files("hither.sdk").joinpath("treasury.wasm").read_bytes()


class Treasury:
    """A treasury on our chain, which is deployed already or by ``deploy``."""

    def __init__(self, network: Network, client: AsyncClient, contract_id: str) -> None:
        self.network = network
        self.contract_id = contract_id
        self._client = client
        self._keys: Mapping[str, str] | None = None

    async def deploy(self, signer: Signer, owners: list[str], votes_needed: int) -> None:
        """Put the contract on the signer's account, and have it learn its keys."""
        await self._client.deploy(read_contract(), signer=signer)
        setting = {"owners": owners, "votes_needed": votes_needed, "signer_id": self.network.contract_id}
        await self._client.call(self.contract_id, "new", setting, signer=signer)
        await self._client.call(self.contract_id, "learn_keys", {}, gas=CALL_GAS, signer=signer)

    async def derive_key(self, chain: ChainId) -> bytes:
        """Its compressed key on a chain, as the contract knows it."""
        if self._keys is None:
            self._keys = (await self._client.view(self.contract_id, "get_keys")).json()
            assert self._keys is not None, "it has learnt them"
        return parse_public_key(self._keys[_KEY_NAMES[chain.namespace]])

    async def get_address(self, adapter: Adapter) -> str:
        """Where it is paid."""
        return adapter.derive_address(await self.derive_key(adapter.chain))

    async def propose(self, adapter: Adapter, receiver: str, amount: int, fee_max: int, owner: Signer) -> int:
        """Propose a payment of the chain's coin; its id. Raises ``ClientError``."""
        payment = make_payment(adapter.chain, receiver, amount, fee_max)
        result = await self._client.call(self.contract_id, "propose", {"payment": payment}, signer=owner)
        return int(result.value_json())

    async def vote(self, proposal_id: int, owner: Signer) -> str:
        """Agree; how far the payment is now."""
        result = await self._client.call(self.contract_id, "vote", {"id": proposal_id}, signer=owner)
        return str(result.value_json())

    async def get_proposal(self, proposal_id: int) -> dict[str, Any]:
        """As the contract tells it."""
        found: dict[str, Any] = (
            await self._client.view(self.contract_id, "get_proposal", {"id": proposal_id})
        ).json()
        return found

    async def execute(
        self, adapter: Adapter, proposal_id: int, owner: Signer, means: dict[str, Any] | None = None
    ) -> tuple[SignedTransaction, str]:
        """Have it signed; the transaction as it is sent, and that of ours which asked. Raises ``ClientError``."""
        if means is None:
            means = await self.find_means(adapter, await self.get_proposal(proposal_id))
        arguments = {"id": proposal_id, "means": means}
        result = await self._client.call(self.contract_id, "execute", arguments, gas=CALL_GAS, signer=owner)
        encoded = result.value_json()
        if encoded is None:
            raise WrongSignature(f"{result.hash} gave no signature; the payment can be executed again")
        return make_signed(adapter.chain, b64decode(encoded)), result.hash

    async def pay(
        self, adapter: Adapter, proposal_id: int, owner: Signer
    ) -> tuple[SignedTransaction, TransactionStatus, str]:
        """Have it signed, send it and wait until it is final."""
        signed, asked_by = await self.execute(adapter, proposal_id, owner)
        await adapter.broadcast(signed)
        return signed, await track(adapter, signed, timeout_seconds=FINAL_TIMEOUT_SECONDS), asked_by

    async def find_means(self, adapter: Adapter, proposal: dict[str, Any]) -> dict[str, Any]:
        """Prices, coins or a blockhash, as the chain is now. Raises ``ForeignError``."""
        if isinstance(adapter, BitcoinAdapter):
            payment = proposal["payment"]["Bitcoin"]
            wanted = int(payment["amount"]) + int(payment["fee_max"])
            coins = await adapter.fetch_coins(await self.get_address(adapter))
            return _choose_coins(coins, wanted, int(payment["fee_max"]), adapter.coin.format)
        rpc = self.network.endpoints[adapter.chain].open()
        try:
            if adapter.chain.namespace == "eip155":
                return await _find_evm_means(rpc, adapter.chain)
            latest = await rpc.call("getLatestBlockhash", [{"commitment": "confirmed"}])
            return {"Solana": {"blockhash": latest["value"]["blockhash"]}}
        finally:
            await rpc.close()


async def _find_evm_means(rpc: Rpc, chain: ChainId) -> dict[str, Any]:
    prices = await fetch_prices(rpc)
    tip = prices.priority_fee_max
    if tip is None:
        raise NotOnThisChain(f"{chain} has no transactions of type 2, which alone the treasury makes")
    return {
        "Evm": {
            "gas_limit": TRANSFER_GAS,
            "gas_price_max": str(prices.gas_price_max),
            "priority_fee_max": str(tip),
        }
    }


def _choose_coins(coins: list[Coin], wanted: int, fee: int, write: Callable[[int], str]) -> dict[str, Any]:
    """The largest first, with the whole fee that was voted on: a contract asks nobody for a rate."""
    chosen: list[dict[str, Any]] = []
    total = 0
    for coin in sorted(coins, key=lambda one: -one.amount):
        chosen.append(
            {"transaction_id": coin.transaction_id, "index": coin.index, "amount": str(coin.amount)}
        )
        total += coin.amount
        if total >= wanted:
            return {"Bitcoin": {"coins": chosen, "fee": str(fee)}}
    raise InsufficientFunds(
        f"the treasury has {write(total)}; {write(wanted)} are needed, fee included",
        balance=total,
        needed=wanted,
        write=write,
    )


def make_payment(chain: ChainId, receiver: str, amount: int, fee_max: int) -> dict[str, Any]:
    """What is voted on, as the contract takes it. Raises ``NotOnThisChain``."""
    match chain.namespace:
        case "eip155":
            number = int(chain.reference)
            body: dict[str, Any] = {"chain_id": number, "receiver": receiver, "amount": str(amount)}
            return {"Evm": {**body, "fee_max": str(fee_max)}}
        case "bip122":
            name = {MAINNET.chain: "main", REGTEST.chain: "regtest"}.get(chain, "test")
            body = {"network": name, "receiver": receiver, "amount": str(amount)}
            return {"Bitcoin": {**body, "fee_max": str(fee_max)}}
        case "solana":
            return {"Solana": {"receiver": receiver, "amount": str(amount)}}
    raise NotOnThisChain(f"the treasury pays nothing on {chain}")


def make_signed(chain: ChainId, raw: bytes) -> SignedTransaction:
    """A transaction that the contract returned, with its id."""
    match chain.namespace:
        case "eip155":
            transaction_id = "0x" + keccak256(raw).hex()
        case "bip122":
            transaction_id = compute_transaction_id(parse_transaction(raw))
        case _:
            transaction_id = base58.encode(raw[1:65])
    return SignedTransaction(chain, transaction_id, raw)
