"""Rows of the demonstration, and what each of them claims. Shared by its acts."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hither.client import ClientError
from hither.foreign.caip import ChainId
from hither.foreign.errors import ForeignError
from hither.mpc.client import SigningFailed
from hither.sdk.account import Account, OnChain
from hither.sdk.events import Event
from hither.sdk.network import Network
from hither.sdk.verification import Claim, TokenGain
from hither.sdk.work import Sent

Say = Callable[[str], None]


class DemoFailed(Exception):
    """A row is not what it must be; the message names it. ``hint`` says what to do, where something can be done."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@contextlib.contextmanager
def naming(chain: ChainId | str, deed: str) -> Iterator[None]:
    """What goes wrong within is told as that row's. Raises DemoFailed."""
    try:
        yield
    except (ClientError, ForeignError, SigningFailed) as problem:
        raise DemoFailed(f"{chain}: {deed}: {problem}", hint=getattr(problem, "hint", None)) from problem


@dataclass(frozen=True, slots=True)
class Row:
    """One transaction of the demonstration. ``verified_by`` names the independent client that read it again.

    Balance and nonce are the address's before anything of this row, funding included.
    """

    chain: str
    deed: str
    address: str
    account_balance_before: str
    account_nonce_before: int
    sign_tx: tuple[str, ...]
    transaction_id: str
    amount: str
    fee: str
    confirmations: int
    total_ms: float
    verified_by: str = ""


@dataclass(frozen=True, slots=True)
class Before:
    """What an address has (smallest unit), and how often it has sent."""

    balance: int = 0
    nonce: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """The new account and the one that is paid. ``say`` tells what is being done, ``note`` what shall stay."""

    network: Network
    account: Account
    receiver: Account
    say: Say
    note: Say

    def follow(self, event: Event) -> None:
        """Progress of a transfer, as text."""
        self.say(str(event))


def make_row(on: OnChain, sent: Sent, before: Before, *, deed: str, amount: str = "") -> Row:
    """What a person sees of a transfer."""
    return Row(
        chain=str(sent.chain),
        deed=deed,
        address=sent.address,
        account_balance_before=on.format(before.balance),
        account_nonce_before=before.nonce,
        sign_tx=sent.sign_transactions,
        transaction_id=sent.transaction_id,
        amount=amount or on.format(sent.amount),
        fee="unknown" if sent.fee is None else on.format(sent.fee),
        confirmations=sent.confirmations,
        total_ms=sent.total_ms,
    )


def make_claim(
    network: Network, sent: Sent, *, deed: str, nonce: int | None = None, gain: TokenGain | None = None
) -> Claim:
    """What a witness has to confirm; only EVM chains count nonces in a way that it can compare."""
    is_token = gain is not None and sent.chain.namespace == "solana"
    return Claim(
        chain=sent.chain,
        url=network.rpc_url if sent.chain == network.chain else network.endpoints[sent.chain].url,
        transaction_id=sent.transaction_id,
        sender=sent.address,
        receiver=None if is_token else sent.receiver,
        amount=None if is_token else sent.amount,
        fee=sent.fee,
        confirmations=sent.confirmations,
        nonce=nonce if sent.chain.namespace == "eip155" else None,
        height=sent.height,
        gain=gain,
        deed=deed,
    )
