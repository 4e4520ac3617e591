"""One account transacts on every chain of a running network, and shows each proof.

The account is new, with a random name: before anything is funded, its balance and nonce are zero on every chain. Each
signature on another chain comes from the signing network; the transaction on our chain that asked for it
stands in the row. In the end each row is read again by a client that is not ours.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hither.client import AsyncClient, Signer, UnknownAccount
from hither.client.actions import Yocto, transfer
from hither.client.operations import Finality, WaitUntil
from hither.crypto.keys import public_key_to_str
from hither.crypto.signing import secret_key_from_seed
from hither.foreign.adapter import Coin
from hither.foreign.caip import ChainId, parse_chain_id
from hither.foreign.engines.faucet import fund
from hither.primitives.types import ED25519
from hither.sdk.account import Account, Progress, say_nothing
from hither.sdk.network import Network
from hither.sdk.verification import Claim, verify

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
    """One chain of the demonstration. ``verified_by`` names the independent client that read it again."""

    chain: str
    address: str
    account_nonce_before: int
    sign_tx: tuple[str, ...]
    transaction_id: str
    amount: str
    fee: str
    confirmations: int
    total_ms: float
    verified_by: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it. ``total_s`` is from the account's creation to the last row final; ``verify_s`` the re-reading."""

    rows: tuple[Row, ...]
    total_s: float
    verify_s: float


async def run_demo(endpoints: Mapping[str, Any], progress: Progress = say_nothing) -> Report:
    """All rows, our chain first, each read again in the end.

    Raises DemoFailed, NotVerified, ForeignError, SigningFailed, ClientError, KeyError.
    """
    started = time.monotonic()
    made = await _make_rows(endpoints, progress)
    final = time.monotonic()
    progress("every row is final; independent clients read them again")
    facts = await verify([claim for _, claim in made])
    rows = (replace(row, verified_by=fact.verified_by) for (row, _), fact in zip(made, facts, strict=True))
    return Report(tuple(rows), final - started, time.monotonic() - final)


async def _make_rows(endpoints: Mapping[str, Any], progress: Progress) -> list[tuple[Row, Claim]]:
    network = Network.from_endpoints(endpoints)
    keys = {row["account_id"]: row["secret_key"] for row in endpoints["near"]["accounts"]}
    account_id = f"demo-{secrets.token_hex(4)}.{PARENT_ID}"
    signer = Signer(account_id, secret_key_from_seed(ED25519, secrets.token_bytes(32)))
    async with AsyncClient(network.rpc_url, signer=Signer(PARENT_ID, keys[PARENT_ID])) as client:
        await _must_be_new(client, account_id)
        progress(
            f"{endpoints['near']['caip2']}: {account_id} does not exist, so it has balance 0 and nonce 0; making it"
        )
        await client.create_account(account_id, public_key_to_str(signer.public_key), START_AMOUNT)
        rows = [await _transfer_at_home(client, parse_chain_id(endpoints["near"]["caip2"]), signer)]
    async with (
        Account(network, signer) as account,
        Account(network, Signer(RECEIVER_ID, keys[RECEIVER_ID])) as receiver,
    ):
        rows += [
            await _transfer_abroad(network, account, receiver, chain, progress) for chain in network.endpoints
        ]
    return rows


async def _must_be_new(client: AsyncClient, account_id: str) -> None:
    try:
        await client.get_account(account_id)
    except UnknownAccount:
        return
    raise DemoFailed(f"{account_id} is there already")


async def _transfer_at_home(client: AsyncClient, chain: ChainId, signer: Signer) -> tuple[Row, Claim]:
    started = time.monotonic()
    result = await client.send(
        RECEIVER_ID,
        transfer(Yocto(OWN_AMOUNT)),
        signer=signer,
        wait_until=WaitUntil.FINAL,
    )
    total_ms = (time.monotonic() - started) * 1000
    assert result.block_hash is not None, "it is final"
    included, newest = await asyncio.gather(
        client.get_block(result.block_hash), client.get_block(Finality.FINAL)
    )
    confirmations = newest.height - included.height + 1
    row = Row(
        chain=str(chain),
        address=signer.account_id,
        account_nonce_before=0,
        sign_tx=(),
        transaction_id=result.hash,
        amount=NEAR.format(OWN_AMOUNT),
        fee=NEAR.format(result.tokens_burnt),
        confirmations=confirmations,
        total_ms=total_ms,
    )
    claim = Claim(
        chain,
        client.url,
        result.hash,
        signer.account_id,
        RECEIVER_ID,
        OWN_AMOUNT,
        result.tokens_burnt,
        confirmations,
    )
    return row, claim


async def _transfer_abroad(
    network: Network, account: Account, receiver: Account, chain: ChainId, progress: Progress
) -> tuple[Row, Claim]:
    adapter = account.get_adapter(chain)
    address = await account.get_address(chain)
    balance, nonce = await adapter.fetch_balance(address), await adapter.fetch_nonce(address)
    if balance or nonce:
        raise DemoFailed(f"{chain}: {address} is new, but has {balance} and nonce {nonce}")
    progress(f"{chain}: {address} has balance 0 and nonce 0; funding it")
    await fund(chain, network.endpoints[chain].url, address, FUNDS[chain.namespace])
    target, amount = await receiver.get_address(chain), AMOUNTS[chain.namespace]
    before = await adapter.fetch_balance(target)
    sent = await account.send(chain, target, amount, lambda text: progress(f"{chain}: {text}"))
    gained = await adapter.fetch_balance(target) - before
    if gained != amount:
        raise DemoFailed(f"{chain}: the receiver has {gained} more, not {amount}")
    row = Row(
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
    url = network.endpoints[chain].url
    claim = Claim(
        chain,
        url,
        sent.transaction_id,
        address,
        target,
        amount,
        sent.fee,
        sent.confirmations,
        nonce if chain.namespace == "eip155" else None,
    )
    return row, claim
