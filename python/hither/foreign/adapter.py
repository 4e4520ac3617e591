"""The interface that every family of chains has, and what is the same for all of them.

A transfer goes through these steps; those marked * ask an endpoint, the rest is bytes in, bytes out::

    unsigned = await adapter.build_transfer(public_key, receiver, amount)  *
    payloads = adapter.list_payloads(unsigned)            what is to be signed, in order
    signed   = adapter.attach(unsigned, signatures)       one signature a payload, checked here
    await adapter.broadcast(signed)                       *
    status   = await track(adapter, signed, timeout_seconds=60)  *

``UnsignedTransaction`` and ``SignedTransaction`` are plain bytes and text, so a journal can keep them; sending a
signed transaction again has no further effect on any chain.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from hither.foreign.caip import ChainId
from hither.foreign.errors import (
    FinalityTimeout,
    NonceGap,
    TransactionDropped,
    TransactionFailed,
    TransactionReplaced,
    TransportError,
    WrongSignature,
)

ECDSA_DIGEST_SIZE: Final = 32
EDDSA_MESSAGE_SIZE_MAX: Final = 1232
"""What the signing network takes at most, which is what a Solana packet holds."""

POLL_FIRST_SECONDS: Final = 0.02
POLL_SECONDS_MAX: Final = 2.0


class Scheme(Enum):
    """Which signature a chain takes. The value is the signing network's default domain for it."""

    ECDSA = 0
    EDDSA = 1


@dataclass(frozen=True, slots=True)
class EcdsaSignature:
    """On secp256k1: ``big_r`` is the compressed nonce point (33 bytes), ``s`` (32 bytes) is low."""

    big_r: bytes
    s: bytes
    recovery_id: int

    @property
    def r(self) -> bytes:
        """The first half of the signature, 32 bytes."""
        return self.big_r[1:]


@dataclass(frozen=True, slots=True)
class EddsaSignature:
    """Ed25519, 64 bytes."""

    signature: bytes


Signature = EcdsaSignature | EddsaSignature


@dataclass(frozen=True, slots=True)
class Payload:
    """One thing to sign: a digest of 32 bytes for ECDSA, a whole message for EdDSA."""

    scheme: Scheme
    domain_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Coin:
    """A chain's own coin: 10 to the power of ``decimals`` smallest units are one ``symbol``."""

    symbol: str
    decimals: int

    def format(self, amount: int) -> str:
        """``1.5 ETH``, exactly."""
        whole, rest = divmod(amount, 10**self.decimals)
        fraction = f"{rest:0{self.decimals}d}".rstrip("0") if rest else ""
        return f"{whole}.{fraction} {self.symbol}" if fraction else f"{whole} {self.symbol}"


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """A transaction without its signatures.

    ``body`` is the family's own form of it: what EVM chains hash, a Solana message, a bitcoin PSBT. ``public_key``
    must sign it.
    """

    chain: ChainId
    public_key: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction as it is sent. Its id is known before."""

    chain: ChainId
    transaction_id: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a transaction does with the chain's coin, read from its bytes. ``fee_max`` is the most it can cost."""

    sender: str
    receiver: str
    amount: int
    fee_max: int


class State(Enum):
    """How far a transaction is."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    INCLUDED = "included"
    FINAL = "final"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class TransactionStatus:
    """``failure`` says why an included transaction had no effect; ``fee`` is what it cost.

    ``replaced_by`` names the transaction that took a dropped one's place. ``missing_nonce`` is that of an earlier
    transaction of the same account which the chain does not know, so that this one cannot be included yet. A dropped
    one that ``has_expired`` was too old, and nothing took its place: what it was to do may be done by another.
    """

    state: State
    confirmations: int = 0
    height: int | None = None
    fee: int | None = None
    failure: str | None = None
    replaced_by: str | None = None
    missing_nonce: int | None = None
    has_expired: bool = False


class Adapter(Protocol):
    """One chain. Methods that are not coroutines are pure."""

    @property
    def chain(self) -> ChainId:
        """Which one."""
        ...

    @property
    def coin(self) -> Coin:
        """What fees are paid in."""
        ...

    @property
    def scheme(self) -> Scheme:
        """Which keys it takes: ECDSA, compressed, 33 bytes; or EdDSA, 32 bytes."""
        ...

    def derive_address(self, public_key: bytes) -> str:
        """The address of a key. Raises ``InvalidPublicKey``."""
        ...

    def parse_address(self, text: str) -> str:
        """The address in its usual form. Raises ``InvalidAddress``, ``WrongNetwork``."""
        ...

    def list_payloads(self, unsigned: UnsignedTransaction) -> tuple[Payload, ...]:
        """What must be signed. Raises ``MalformedTransaction``."""
        ...

    def attach(self, unsigned: UnsignedTransaction, signatures: Sequence[Signature]) -> SignedTransaction:
        """The transaction as it is sent; raises ``WrongSignature`` unless every signature fits."""
        ...

    def inspect(self, unsigned: UnsignedTransaction) -> Transfer:
        """What it does. Raises ``MalformedTransaction``."""
        ...

    def describe(self, unsigned: UnsignedTransaction) -> str:
        """One plain sentence about what it does, for the person who is asked to confirm."""
        ...

    async def fetch_balance(self, address: str) -> int:
        """In the smallest unit, transactions in the newest block included."""
        ...

    async def fetch_nonce(self, address: str) -> int:
        """How many transactions of the address the chain counts, or, where it keeps no count, has."""
        ...

    async def build_transfer(self, public_key: bytes, receiver: str, amount: int) -> UnsignedTransaction:
        """A transfer of the chain's coin. Raises ``InvalidAddress``, ``InvalidAmount``, ``InsufficientFunds``."""
        ...

    async def broadcast(self, signed: SignedTransaction) -> None:
        """Send it. To send it again is no error. Raises ``BroadcastRefused``."""
        ...

    async def fetch_status(self, signed: SignedTransaction) -> TransactionStatus:
        """How far it is."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class Tracked(Protocol):
    """What tells how far a transaction is: an adapter."""

    async def fetch_status(self, signed: SignedTransaction) -> TransactionStatus:
        """How far it is."""
        ...


async def track(adapter: Tracked, signed: SignedTransaction, *, timeout_seconds: float) -> TransactionStatus:
    """Wait until the transaction is final.

    Raises ``TransactionDropped`` (``TransactionReplaced`` when it is known by what), ``TransactionFailed`` (once
    that is final too), ``FinalityTimeout`` (``NonceGap`` when an earlier transaction is missing). An endpoint that
    is away for a while does not end the wait.
    """
    deadline = time.monotonic() + timeout_seconds
    pause_seconds = POLL_FIRST_SECONDS
    newest = TransactionStatus(State.UNKNOWN)
    while True:
        away: TransportError | None = None
        try:
            newest = await adapter.fetch_status(signed)
        except TransportError as error:
            if not error.retryable:
                raise
            away = error
        if newest.state is State.DROPPED:
            raise _make_dropped(signed, newest)
        if newest.state is State.FINAL:
            if newest.failure is not None:
                raise TransactionFailed(f"{signed.transaction_id} failed: {newest.failure}")
            return newest
        if time.monotonic() + pause_seconds > deadline:
            raise _make_timeout(signed, newest, timeout_seconds, away) from away
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 1.5, POLL_SECONDS_MAX)


def _make_dropped(signed: SignedTransaction, status: TransactionStatus) -> TransactionDropped:
    message = f"{signed.transaction_id} can no longer be included in {signed.chain}"
    if status.replaced_by is None:
        return TransactionDropped(message)
    return TransactionReplaced(
        f"{message}: {status.replaced_by} has its place", replaced_by=status.replaced_by
    )


def _make_timeout(
    signed: SignedTransaction, status: TransactionStatus, timeout_seconds: float, away: TransportError | None
) -> FinalityTimeout:
    message = (
        f"{signed.transaction_id} is {status.state.value} on {signed.chain} "
        f"after {timeout_seconds:g} s, with {format_confirmations(status.confirmations)}"
    )
    if away is not None:
        message += f", as was last told; now there is no answer ({away})"
    if status.missing_nonce is None:
        return FinalityTimeout(message)
    return NonceGap(
        f"{message}: the account's transaction with nonce {status.missing_nonce} is missing",
        hint=f"send a transaction with nonce {status.missing_nonce} first, or this one again with that nonce",
    )


def must_match(
    unsigned: UnsignedTransaction, payloads: Sequence[Payload], signatures: Sequence[Signature]
) -> None:
    """One signature of the right scheme and size for each payload; raises ``WrongSignature``."""
    if len(signatures) != len(payloads):
        raise WrongSignature(
            f"{len(payloads)} signatures are needed on {unsigned.chain}, {len(signatures)} were given"
        )
    for payload, signature in zip(payloads, signatures, strict=True):
        wanted = EcdsaSignature if payload.scheme is Scheme.ECDSA else EddsaSignature
        if not isinstance(signature, wanted):
            raise WrongSignature(f"{unsigned.chain} takes {payload.scheme.name} signatures")
        if isinstance(signature, EddsaSignature):
            is_good = len(signature.signature) == 64
        else:
            is_good = (
                len(signature.big_r) == 33
                and signature.big_r[0] in (2, 3)
                and len(signature.s) == 32
                and 0 <= signature.recovery_id <= 3
            )
        if not is_good:
            raise WrongSignature(f"not the bytes of an {payload.scheme.name} signature")


def format_confirmations(number: int) -> str:
    """``1 confirmation``, ``6 confirmations``."""
    return "1 confirmation" if number == 1 else f"{number} confirmations"


def format_transfer(transfer: Transfer, coin: Coin, chain_name: str) -> str:
    """``Send 1.5 ETH from … to … on …, for a fee of at most …``."""
    return (
        f"Send {coin.format(transfer.amount)} from {transfer.sender} to {transfer.receiver} on {chain_name}, "
        f"for a fee of at most {coin.format(transfer.fee_max)}."
    )
