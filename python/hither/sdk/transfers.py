"""One transfer on another chain, from its intent until it is final, so that it can go on after a crash at any point.

Each step writes to the journal before the next can have an effect, and does the same when it is taken twice: bytes
are built once (a nonce, coins or a blockhash are in them); a request for a signature is asked about by its hash
before it is made again; what was signed is sent again without effect. Bytes are built anew only when the chain says
that the old ones can never be included, and only on Solana, where they expire by themselves; elsewhere something else
took their place, which may be this very transfer with a higher fee.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

from hither.client import AsyncClient, ExecutionFailed, InvalidTransaction, Signer, UnknownTransaction
from hither.codec import base58
from hither.foreign.adapter import (
    Adapter,
    Payload,
    Scheme,
    SignedTransaction,
    State,
    TransactionStatus,
    UnsignedTransaction,
    track,
)
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.caip import ChainId
from hither.foreign.errors import (
    BroadcastRefused,
    ForeignError,
    TransactionDropped,
    TransactionFailed,
)
from hither.foreign.evm import EvmAdapter
from hither.foreign.evm_calls import EvmCall
from hither.foreign.solana import SolanaAdapter
from hither.mpc.client import Signed, SigningClient
from hither.mpc.requests import EcdsaPayload, EddsaPayload, signature_from_json, signature_to_json
from hither.primitives import transaction as wire
from hither.sdk.events import Event, Progress, Step
from hither.sdk.journal import Entry, Record

FINAL_TIMEOUT_SECONDS: Final = 60.0
BUILDS_MAX: Final = 3


class NotOnThisChain(ForeignError):
    """The chain's family has no such thing."""

    code = "NOT_ON_THIS_CHAIN"
    hint = "ask the chain's own adapter what it can do; the reference page of its family lists it"


@dataclass(frozen=True, slots=True)
class Sent:
    """A transfer that is final. ``sign_transactions`` are the transactions on our chain that asked for signatures."""

    transfer_id: str
    chain: ChainId
    address: str
    receiver: str
    amount: int
    fee: int | None
    transaction_id: str
    confirmations: int
    height: int | None
    sign_transactions: tuple[str, ...]
    total_ms: float


@dataclass(frozen=True, slots=True)
class Means:
    """What every transfer of an account needs."""

    client: AsyncClient
    signing: SigningClient
    signer: Signer


class Transfer:
    """Works on one entry of the journal."""

    def __init__(self, means: Means, adapter: Adapter, entry: Entry, progress: Progress) -> None:
        self._means = means
        self._adapter = adapter
        self._entry = entry
        self._progress = progress
        self._started = time.monotonic()

    @property
    def _record(self) -> Record:
        return self._entry.record

    def _tell(self, step: Step, text: str) -> None:
        self._progress(Event(self._record.id, self._record.chain, step, text))

    async def bring_to_chain(self) -> None:
        """Until an endpoint has taken it. The caller has the chain to itself.

        Raises ``ForeignError``, ``SigningFailed``, ``ClientError``. An error before anything was built ends it.
        """
        for attempt in range(BUILDS_MAX):
            if self._record.body is None:
                await self._build()
            signed = await self._sign()
            try:
                await self._adapter.broadcast(signed)
            except BroadcastRefused:
                if attempt + 1 < BUILDS_MAX and await self._has_expired(signed):
                    self._forget_bytes()
                    continue
                if (await self._adapter.fetch_status(signed)).state is State.DROPPED:
                    self._end_as_dropped(signed.transaction_id)
                raise
            self._entry.write("broadcast")
            self._tell(Step.BROADCAST, f"sent as {signed.transaction_id}")
            return

    async def follow(self) -> Sent:
        """Until it is final. Raises ``TransactionFailed``, ``TransactionDropped``, ``FinalityTimeout``."""
        if self._record.step == "final":
            return self._describe_end()
        signed = self._get_signed()
        try:
            status = await track(self._adapter, signed, timeout_seconds=FINAL_TIMEOUT_SECONDS)
        except TransactionFailed as error:
            self._entry.write("failed", outcome={"code": error.code, "message": str(error)})
            raise
        except TransactionDropped:
            if await self._has_expired(signed):
                self._forget_bytes()
                await self.bring_to_chain()
                return await self.follow()
            self._end_as_dropped(signed.transaction_id)
            raise
        self._end_as_final(status)
        return self._describe_end()

    async def _build(self) -> None:
        record = self._record
        key = await self._means.signing.derive_key(record.account_id, record.path, self._adapter.scheme.value)
        try:
            unsigned = await build(self._adapter, key, record.deed)
        except ForeignError as error:
            if not error.retryable:
                self._entry.write("abandoned", outcome={"code": error.code, "message": str(error)})
            raise
        self._entry.write("built", body=unsigned.body.hex(), public_key=key.hex())
        self._tell(Step.BUILT, self._adapter.describe(unsigned))

    def _forget_bytes(self) -> None:
        self._entry.write("intended")

    async def _has_expired(self, signed: SignedTransaction) -> bool:
        """Whether it can never be included because of its age alone."""
        if signed.chain.namespace != "solana":
            return False
        return (await self._adapter.fetch_status(signed)).state is State.DROPPED

    async def _sign(self) -> SignedTransaction:
        record = self._record
        if record.raw is not None:
            return self._get_signed()
        assert record.body is not None, "built before"
        assert record.public_key is not None, "built before"
        unsigned = UnsignedTransaction(record.chain, record.public_key, record.body)
        payloads = self._adapter.list_payloads(unsigned)
        await asyncio.gather(*(self._sign_one(index, payload) for index, payload in enumerate(payloads)))
        signatures = [signature_from_json(record.signatures[index]) for index in range(len(payloads))]
        signed = self._adapter.attach(unsigned, signatures)
        self._entry.write("ready", transaction_id=signed.transaction_id, raw=signed.raw.hex())
        self._tell(Step.READY, f"signed; its id will be {signed.transaction_id}")
        return signed

    async def _sign_one(self, index: int, payload: Payload) -> None:
        if index in self._record.signatures:
            return
        answer = await self._recall(index, payload)
        if answer is None:

            def note(signed: wire.SignedTransaction) -> None:
                raw = wire.encode_signed_transaction(signed).hex()
                hash_ = base58.encode(signed.hash)
                self._entry.write("asked", index=index, transaction_hash=hash_, transaction=raw)
                self._tell(Step.ASKED, f"a signature is asked for in {hash_}")

            answer = await self._means.signing.sign(
                self._means.signer, self._record.path, _to_request(payload), payload.domain_id, note
            )
        signature = signature_to_json(answer.signature)
        self._entry.write(
            "signed", index=index, transaction_hash=answer.transaction_hash, signature=signature
        )
        self._tell(Step.SIGNED, f"{answer.transaction_hash} gave a signature")

    async def _recall(self, index: int, payload: Payload) -> Signed | None:
        """The answer to a request that was made before; None when none will come."""
        if index not in self._record.asked:
            return None
        hash_, raw = self._record.asked[index]
        try:
            try:
                result = await self._means.client.wait_for(hash_, self._record.account_id)
            except UnknownTransaction:
                # It did not leave, or was lost on its way. The same bytes cannot run twice.
                result = await self._means.client.submit(wire.decode_signed_transaction(raw))
        except (ExecutionFailed, InvalidTransaction):
            return None
        return await self._means.signing.read_answer(
            result, self._record.account_id, self._record.path, _to_request(payload), payload.domain_id
        )

    def _get_signed(self) -> SignedTransaction:
        record = self._record
        assert record.transaction_id is not None, "signed before"
        assert record.raw is not None, "signed before"
        return SignedTransaction(record.chain, record.transaction_id, record.raw)

    def _end_as_dropped(self, transaction_id: str) -> None:
        self._entry.write("dropped", outcome={"code": TransactionDropped.code, "message": transaction_id})

    def _end_as_final(self, status: TransactionStatus) -> None:
        record = self._record
        outcome = {
            "fee": status.fee,
            "confirmations": status.confirmations,
            "height": status.height,
            "total_ms": (time.monotonic() - self._started) * 1000,
        }
        self._entry.write("final", outcome=outcome)
        self._tell(Step.FINAL, f"{record.transaction_id} is final, {status.confirmations} confirmations")

    def _describe_end(self) -> Sent:
        record = self._record
        assert record.public_key is not None, "built before"
        receiver, amount = describe_deed(record.deed)
        return Sent(
            transfer_id=record.id,
            chain=record.chain,
            address=self._adapter.derive_address(record.public_key),
            receiver=receiver,
            amount=amount,
            fee=record.outcome["fee"],
            transaction_id=self._get_signed().transaction_id,
            confirmations=record.outcome["confirmations"],
            height=record.outcome["height"],
            sign_transactions=tuple(hash_ for _, hash_ in sorted(record.sign_transactions.items())),
            total_ms=record.outcome["total_ms"],
        )


def _to_request(payload: Payload) -> EcdsaPayload | EddsaPayload:
    return EcdsaPayload(payload.data) if payload.scheme is Scheme.ECDSA else EddsaPayload(payload.data)


def describe_deed(deed: dict[str, Any]) -> tuple[str, int]:
    """To whom, and how much of the chain's coin."""
    if deed["kind"] == "pay":
        payments = deed["payments"]
        return ", ".join(receiver for receiver, _ in payments), sum(amount for _, amount in payments)
    return deed["receiver"], deed["amount"]


async def build(adapter: Adapter, key: bytes, deed: dict[str, Any]) -> UnsignedTransaction:
    """The transaction that does it. Raises ``ForeignError``, ``NotOnThisChain``."""
    match deed["kind"]:
        case "send":
            return await adapter.build_transfer(key, deed["receiver"], deed["amount"])
        case "call" if isinstance(adapter, EvmAdapter):
            call = EvmCall(deed["receiver"] or None, bytes.fromhex(deed["data"]), deed["amount"])
            return await adapter.build(key, call)
        case "token" if isinstance(adapter, SolanaAdapter):
            return await adapter.build_token_transfer(key, deed["token"], deed["receiver"], deed["units"])
        case "pay" if isinstance(adapter, BitcoinAdapter):
            return await adapter.build_payment(key, [tuple(payment) for payment in deed["payments"]])
    raise NotOnThisChain(f"{adapter.chain} cannot do {deed['kind']!r}")
