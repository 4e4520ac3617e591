"""One transfer on another chain, from its intent until it is final, so that it can go on after a crash at any point.

Each step writes to the journal before the next can have an effect, and does the same when it is taken twice: bytes
are built once (a nonce, coins or a blockhash are in them); a request for a signature is asked about by its hash
before it is made again; what was signed is sent again without effect, and is sent again where nodes have forgotten
it. Bytes are built anew only when the chain says that the old ones can never be included because of their age, as on
Solana; what was dropped otherwise had its place taken by something else. A higher fee is another transaction in the
same place, with the same nonce or the same coins: it is written down beside the first, either may come, and both are
watched.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable, Sequence
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
    format_confirmations,
    track,
)
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.caip import ChainId
from hither.foreign.errors import (
    BroadcastRefused,
    FinalityTimeout,
    ForeignError,
    NonceGap,
    TransactionDropped,
    TransactionFailed,
)
from hither.foreign.evm import EvmAdapter
from hither.foreign.evm_calls import EvmCall
from hither.foreign.solana import SolanaAdapter
from hither.foreign.solana_instructions import SolanaAccount, SolanaCall
from hither.mpc.client import Signed, SigningClient
from hither.mpc.requests import EcdsaPayload, EddsaPayload, signature_from_json, signature_to_json
from hither.primitives import transaction as wire
from hither.sdk.events import Progress, Step
from hither.sdk.home_transfers import find_shortage, has_had_no_effect
from hither.sdk.journal import Attempt, Entry
from hither.sdk.work import NotOnThisChain, Sent, Work

BUILDS_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Means:
    """What every transfer of an account needs."""

    client: AsyncClient
    signing: SigningClient
    signer: Signer
    home_chain: ChainId
    final_timeout_seconds: float


class Transfer(Work):
    """On another chain."""

    def __init__(self, means: Means, adapter: Adapter, entry: Entry, progress: Progress) -> None:
        super().__init__(entry, progress)
        self._means = means
        self._adapter = adapter

    async def bring_to_chain(self, *, must_take_newest: bool = False) -> None:
        """Until an endpoint has taken it. The caller has the chain to itself.

        What was sent before and is forgotten there, by a node that ended or has no room, is sent again. When a higher
        fee is refused, the attempts before it stand; that is an error to who must have the newest taken.
        Raises ``ForeignError``, ``SigningFailed``, ``ClientError``. An error before anything was built ends it.
        """
        if self._record.is_broadcast:
            if not self._record.has_ended:
                await self._send_again_if_forgotten()
            return
        for attempt in range(BUILDS_MAX):
            if self._record.body is None:
                await self._build()
            if self._record.earlier and await self._has_come():
                self._entry.write("broadcast")  # Without the higher fee; nobody needs to sign that any more.
                return
            signed = await self._sign()
            try:
                await self._adapter.broadcast(signed)
            except BroadcastRefused:
                if attempt + 1 < BUILDS_MAX and await self._has_expired(signed):
                    self._forget_bytes()
                    continue
                if self._record.earlier:
                    # The one before is where it was; what was signed now counts beside it.
                    self._entry.write("broadcast")
                    if not must_take_newest or await self._has_come():
                        return
                elif (await self._adapter.fetch_status(signed)).state is State.DROPPED:
                    self._end_as_dropped(signed.transaction_id)
                raise
            self._entry.write("broadcast")
            self._tell(Step.BROADCAST, f"sent as {signed.transaction_id}")
            return

    async def bump(self) -> None:
        """Send it again for a higher fee, unless a block has it. The caller has the chain to itself.

        Raises ``NotOnThisChain`` where another transaction could be included beside the first.
        """
        record = self._record
        if not isinstance(self._adapter, EvmAdapter | BitcoinAdapter):
            raise NotOnThisChain(
                f"{record.chain} lets no transaction take another's place",
                hint="wait: it expires within a minute or two, and the transfer is then built anew",
            )
        assert record.attempts, "something was signed"
        if (await self._watch().fetch_newest()).state in (State.INCLUDED, State.FINAL, State.DROPPED):
            return
        assert record.body is not None, "signed from it"
        assert record.public_key is not None, "signed by it"
        before = UnsignedTransaction(record.chain, record.public_key, record.body)
        unsigned = await self._adapter.bump(before)
        self._entry.write("bumped", body=unsigned.body.hex(), public_key=record.public_key.hex())
        self._tell(Step.BUMPED, self._adapter.describe(unsigned))
        await self.bring_to_chain(must_take_newest=True)

    async def follow(self) -> Sent:
        """Until it is final. Raises ``TransactionFailed``, ``TransactionDropped``, ``FinalityTimeout``."""
        if self._record.step == "final":
            return self._describe()
        watch = self._watch()
        signed = self._make_signed(self._record.attempts[-1])
        try:
            status = await track(watch, signed, timeout_seconds=self._means.final_timeout_seconds)
        except TransactionFailed as error:
            outcome = {"code": error.code, "message": str(error)}
            self._entry.write("failed", outcome=outcome, transaction_id=watch.leader.transaction_id)
            raise
        except TransactionDropped:
            if await self._has_expired(signed):
                self._forget_bytes()
                await self.bring_to_chain()
                return await self.follow()
            self._end_as_dropped(signed.transaction_id)
            raise
        except FinalityTimeout as error:
            if not isinstance(error, NonceGap):
                error.hint = (
                    f"it may still happen: resume() follows it further, bump({self._record.id!r}) pays more where "
                    "the chain allows that"
                )
            raise
        self._end_as_final(status, watch.leader.transaction_id)
        return self._describe()

    def _watch(self) -> "Watch":
        return Watch(self._adapter, [self._make_signed(one) for one in self._record.attempts])

    def _make_signed(self, attempt: Attempt) -> SignedTransaction:
        return SignedTransaction(self._record.chain, attempt.transaction_id, attempt.raw)

    async def _has_come(self) -> bool:
        """Whether a block has one of the attempts."""
        return (await self._watch().fetch_newest()).state in (State.INCLUDED, State.FINAL)

    async def _send_again_if_forgotten(self) -> None:
        if (await self._watch().fetch_newest()).state is not State.UNKNOWN:
            return
        for attempt in reversed(self._record.attempts):
            # Of two with one nonce a node takes the better paid alone. A refusal is explained by who follows.
            with contextlib.suppress(BroadcastRefused):
                await self._adapter.broadcast(self._make_signed(attempt))
                self._tell(Step.BROADCAST, f"{attempt.transaction_id} was forgotten, and is sent again")
                return

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
        status = await self._adapter.fetch_status(signed)
        return status.state is State.DROPPED and status.has_expired

    async def _sign(self) -> SignedTransaction:
        record = self._record
        if record.raw is not None:
            return self._make_signed(record.attempts[-1])
        assert record.body is not None, "built before"
        assert record.public_key is not None, "built before"
        unsigned = UnsignedTransaction(record.chain, record.public_key, record.body)
        payloads = self._adapter.list_payloads(unsigned)
        try:
            await _gather_whole(self._sign_one(index, payload) for index, payload in enumerate(payloads))
        except InvalidTransaction as error:
            self._end_as_unsigned(error)
            raise
        signatures = [signature_from_json(record.signatures[index]) for index in range(len(payloads))]
        signed = self._adapter.attach(unsigned, signatures)
        self._entry.write("ready", transaction_id=signed.transaction_id, raw=signed.raw.hex())
        self._tell(Step.READY, f"signed; its id will be {signed.transaction_id}")
        return signed

    def _end_as_unsigned(self, error: InvalidTransaction) -> None:
        """Our chain refused the request for a signature: nothing was signed, and later nobody would expect it.

        Raises ``InsufficientFunds`` when the account cannot pay for the request. A higher fee is only not paid.
        """
        short = find_shortage(error, self._means.home_chain)
        told = error if short is None else short
        record = self._record
        if has_had_no_effect(error) and not record.signatures and not record.earlier:
            self._entry.write("abandoned", outcome={"code": told.code, "message": str(told)})
        if short is not None:
            raise short from error

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

    def _end_as_dropped(self, transaction_id: str) -> None:
        self._entry.write("dropped", outcome={"code": TransactionDropped.code, "message": transaction_id})

    def _end_as_final(self, status: TransactionStatus, transaction_id: str) -> None:
        outcome = {
            "fee": status.fee,
            "confirmations": status.confirmations,
            "height": status.height,
            "total_ms": self._measure_ms(),
        }
        self._entry.write("final", outcome=outcome, transaction_id=transaction_id)
        depth = format_confirmations(status.confirmations)
        self._tell(Step.FINAL, f"{transaction_id} is final, with {depth}")

    def _describe(self) -> Sent:
        assert self._record.public_key is not None, "built before"
        return self._describe_end(self._adapter.derive_address(self._record.public_key))


class Watch:
    """Several transactions of which one can be included: how far the furthest is. ``leader`` is that one."""

    def __init__(self, adapter: Adapter, attempts: Sequence[SignedTransaction]) -> None:
        self._adapter = adapter
        self._attempts = attempts
        self.leader = attempts[-1]

    async def fetch_status(self, _signed: SignedTransaction) -> TransactionStatus:
        """Of whichever is furthest."""
        return await self.fetch_newest()

    async def fetch_newest(self) -> TransactionStatus:
        """The same."""
        statuses = await asyncio.gather(*(self._adapter.fetch_status(one) for one in self._attempts))
        status, self.leader = max(
            zip(statuses, self._attempts, strict=True), key=lambda pair: _NEARNESS.index(pair[0].state)
        )
        return status


_NEARNESS: Final = (State.DROPPED, State.UNKNOWN, State.PENDING, State.INCLUDED, State.FINAL)


async def _gather_whole(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All to their end, also beside one that fails, so that nobody writes to the journal later; the first error."""
    for result in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _to_request(payload: Payload) -> EcdsaPayload | EddsaPayload:
    return EcdsaPayload(payload.data) if payload.scheme is Scheme.ECDSA else EddsaPayload(payload.data)


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
        case "instructions" if isinstance(adapter, SolanaAdapter):
            return await adapter.build_calls(key, [_read_solana_call(row) for row in deed["instructions"]])
        case "pay" if isinstance(adapter, BitcoinAdapter):
            return await adapter.build_payment(key, [tuple(payment) for payment in deed["payments"]])
    raise NotOnThisChain(f"{adapter.chain} cannot do {deed['kind']!r}")


def _read_solana_call(row: dict[str, Any]) -> SolanaCall:
    accounts = tuple(SolanaAccount(*account) for account in row["accounts"])
    return SolanaCall(row["program"], bytes.fromhex(row["data"]), accounts)
