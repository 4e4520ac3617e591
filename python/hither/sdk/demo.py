"""One account transacts on every chain of a running network, and shows each proof.

The account is new, with a random name: before anything is funded, its balance and nonce are zero on every chain. Each
signature on another chain comes from the signing network; the transaction on our chain that asked for it
stands in the row. In the end each row is read again by a client that is not ours.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hither.client import AsyncClient, Signer, UnknownAccount
from hither.crypto.keys import public_key_to_str
from hither.crypto.signing import secret_key_from_seed
from hither.foreign.engines.faucet import fund
from hither.primitives.types import ED25519
from hither.sdk.account import Account, OnChain
from hither.sdk.amounts import Units
from hither.sdk.events import Event
from hither.sdk.network import Network
from hither.sdk.transfers import Sent
from hither.sdk.verification import Claim, verify

PARENT_ID: Final = "test.near"
RECEIVER_ID: Final = "bob.near"
START_AMOUNT: Final = "50 N"
FUNDS: Final = {"eip155": 10**18, "bip122": 10**8, "solana": 10**9}
AMOUNTS: Final = {
    "near": Units(10**24),
    "eip155": Units(10**15),
    "bip122": Units(10**5),
    "solana": Units(10**7),
}

Say = Callable[[str], None]


class DemoFailed(Exception):
    """A row is not what it must be; the message names it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One transaction of the demonstration. ``verified_by`` names the independent client that read it again."""

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


@dataclass(frozen=True, slots=True)
class Stage:
    """The new account and the one that is paid."""

    network: Network
    account: Account
    receiver: Account
    say: Say

    def follow(self, event: Event) -> None:
        """Progress of a transfer, as text."""
        self.say(str(event))


def say_nothing(_text: str) -> None:
    """Progress for nobody."""


async def run_demo(endpoints: Mapping[str, Any], home: Path, say: Say = say_nothing) -> Report:
    """All rows, our chain first, each read again in the end.

    Raises DemoFailed, NotVerified, ForeignError, SigningFailed, ClientError, KeyError.
    """
    network = Network.from_endpoints(endpoints, home / "transfers")
    keys = {row["account_id"]: row["secret_key"] for row in endpoints["near"]["accounts"]}
    account_id = f"demo-{secrets.token_hex(4)}.{PARENT_ID}"
    signer = Signer(account_id, secret_key_from_seed(ED25519, secrets.token_bytes(32)))
    async with AsyncClient(network.rpc_url, signer=Signer(PARENT_ID, keys[PARENT_ID])) as client:
        await _must_be_new(client, account_id)
        say(f"{network.chain}: {account_id} does not exist, so it has balance 0 and nonce 0; making it")
        started = time.monotonic()
        await client.create_account(account_id, public_key_to_str(signer.public_key), START_AMOUNT)
    async with (
        Account(network, signer) as account,
        Account(network, Signer(RECEIVER_ID, keys[RECEIVER_ID])) as receiver,
    ):
        stage = Stage(network, account, receiver, say)
        made = [await _show_transfer(stage, chain) for chain in account.chains]
    final = time.monotonic()
    say("every row is final; independent clients read them again")
    facts = await verify([claim for _, claim in made])
    rows = (replace(row, verified_by=fact.verified_by) for (row, _), fact in zip(made, facts, strict=True))
    return Report(tuple(rows), final - started, time.monotonic() - final)


async def _must_be_new(client: AsyncClient, account_id: str) -> None:
    try:
        await client.get_account(account_id)
    except UnknownAccount:
        return
    raise DemoFailed(f"{account_id} is there already")


async def _show_transfer(stage: Stage, chain: str) -> tuple[Row, Claim]:
    sender, receiver = stage.account.on(chain), stage.receiver.on(chain)
    is_home = sender.chain == stage.network.chain
    if not is_home:
        await _fund_new_address(stage, sender)
    target, amount = await receiver.address(), AMOUNTS[sender.chain.namespace]
    before = await receiver.balance()
    sent = await sender.send(target, amount, progress=stage.follow)
    gained = await receiver.balance() - before
    if gained != amount:
        raise DemoFailed(f"{chain}: the receiver has {gained} more, not {amount}")
    return make_row(sender, sent), make_claim(stage.network, sent, nonce=0)


async def _fund_new_address(stage: Stage, on: OnChain) -> None:
    address, balance, nonce = await on.address(), await on.balance(), await on.nonce()
    if balance or nonce:
        raise DemoFailed(f"{on.chain}: {address} is new, but has {balance} and nonce {nonce}")
    stage.say(f"{on.chain}: {address} has balance 0 and nonce 0; funding it")
    await fund(on.chain, stage.network.endpoints[on.chain].url, address, FUNDS[on.chain.namespace])


def make_row(on: OnChain, sent: Sent) -> Row:
    """What a person sees of a transfer that was its address's first."""
    return Row(
        chain=str(sent.chain),
        address=sent.address,
        account_nonce_before=0,
        sign_tx=sent.sign_transactions,
        transaction_id=sent.transaction_id,
        amount=on.format(sent.amount),
        fee="unknown" if sent.fee is None else on.format(sent.fee),
        confirmations=sent.confirmations,
        total_ms=sent.total_ms,
    )


def make_claim(network: Network, sent: Sent, *, nonce: int | None = None) -> Claim:
    """What a witness has to confirm; only EVM chains count nonces in a way that it can compare."""
    return Claim(
        chain=sent.chain,
        url=network.rpc_url if sent.chain == network.chain else network.endpoints[sent.chain].url,
        transaction_id=sent.transaction_id,
        sender=sent.address,
        receiver=sent.receiver,
        amount=sent.amount,
        fee=sent.fee,
        confirmations=sent.confirmations,
        nonce=nonce if sent.chain.namespace == "eip155" else None,
    )
