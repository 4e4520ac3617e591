"""One account transacts on every chain of a running network, and shows each proof.

The account is new, with a random name: before anything is funded, its balance and nonce are zero on every chain. Each
signature on another chain comes from the signing network; the transaction on our chain that asked for it
stands in the row.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hither.client import AsyncClient, Signer
from hither.client.actions import Yocto, transfer
from hither.client.operations import WaitUntil
from hither.crypto.keys import public_key_to_str
from hither.crypto.signing import secret_key_from_seed
from hither.foreign.adapter import Coin
from hither.foreign.caip import ChainId
from hither.foreign.engines.faucet import fund
from hither.primitives.types import ED25519
from hither.sdk.account import Account, Progress, say_nothing
from hither.sdk.network import Network

PARENT_ID: Final = "test.near"
RECEIVER_ID: Final = "bob.near"
NEAR: Final = Coin("N", 24)
START_AMOUNT: Final = "50 N"
OWN_AMOUNT: Final = 10**24
FUNDS: Final = {"eip155": 10**18, "bip122": 10**8, "solana": 10**9}
AMOUNTS: Final = {"eip155": 10**15, "bip122": 10**5, "solana": 10**7}


class DemoFailed(Exception):
    """A row is not what it must be; the message names it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One chain of the demonstration. Amounts are in the chain's smallest unit."""

    chain: str
    address: str
    account_nonce_before: int
    sign_tx: tuple[str, ...]
    transaction_id: str
    amount: str
    fee: str
    confirmations: int
    total_ms: float


async def run_demo(endpoints: Mapping[str, Any], progress: Progress = say_nothing) -> list[Row]:
    """All rows, our chain first. Raises DemoFailed, ForeignError, SigningFailed, ClientError, KeyError."""
    network = Network.from_endpoints(endpoints)
    keys = {row["account_id"]: row["secret_key"] for row in endpoints["near"]["accounts"]}
    account_id = f"demo-{secrets.token_hex(4)}.{PARENT_ID}"
    signer = Signer(account_id, secret_key_from_seed(ED25519, secrets.token_bytes(32)))
    progress(f"making the account {account_id}")
    async with AsyncClient(network.rpc_url, signer=Signer(PARENT_ID, keys[PARENT_ID])) as client:
        await client.create_account(account_id, public_key_to_str(signer.public_key), START_AMOUNT)
        rows = [await _transfer_at_home(client, endpoints["near"]["caip2"], signer)]
    async with (
        Account(network, signer) as account,
        Account(network, Signer(RECEIVER_ID, keys[RECEIVER_ID])) as receiver,
    ):
        rows += [
            await _transfer_abroad(network, account, receiver, chain, progress) for chain in network.endpoints
        ]
    return rows


async def _transfer_at_home(client: AsyncClient, chain: str, signer: Signer) -> Row:
    key = await client.get_access_key(signer.account_id, signer.public_key)
    started = time.monotonic()
    result = await client.send(
        RECEIVER_ID,
        transfer(Yocto(OWN_AMOUNT)),
        signer=signer,
        wait_until=WaitUntil.FINAL,
    )
    return Row(
        chain=chain,
        address=signer.account_id,
        account_nonce_before=key.nonce,
        sign_tx=(),
        transaction_id=result.hash,
        amount=NEAR.format(OWN_AMOUNT),
        fee=NEAR.format(result.tokens_burnt),
        confirmations=3,
        total_ms=(time.monotonic() - started) * 1000,
    )


async def _transfer_abroad(
    network: Network, account: Account, receiver: Account, chain: ChainId, progress: Progress
) -> Row:
    adapter = account.get_adapter(chain)
    address = await account.get_address(chain)
    balance, nonce = await adapter.fetch_balance(address), await adapter.fetch_nonce(address)
    if balance or nonce:
        raise DemoFailed(f"{chain}: {address} is new, but has {balance} and nonce {nonce}")
    progress(f"{chain}: funding {address}")
    await fund(chain, network.endpoints[chain].url, address, FUNDS[chain.namespace])
    target, amount = await receiver.get_address(chain), AMOUNTS[chain.namespace]
    before = await adapter.fetch_balance(target)
    sent = await account.send(chain, target, amount, lambda text: progress(f"{chain}: {text}"))
    gained = await adapter.fetch_balance(target) - before
    if gained != amount:
        raise DemoFailed(f"{chain}: the receiver has {gained} more, not {amount}")
    return Row(
        chain=str(chain),
        address=address,
        account_nonce_before=nonce,
        sign_tx=sent.sign_transactions,
        transaction_id=sent.transaction_id,
        amount=adapter.coin.format(sent.amount),
        fee="unknown" if sent.fee is None else adapter.coin.format(sent.fee),
        confirmations=sent.confirmations,
        total_ms=sent.total_ms,
    )
