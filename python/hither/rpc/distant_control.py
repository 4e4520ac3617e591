"""The chain's control where another process makes the chain: ``ChainControl`` over a link."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hither.chain.followed_chain import FollowedChain
from hither.chain.reader import (
    BlockMode,
    ControlRefused,
    ExecutionStatus,
    InvalidTransaction,
    PooledTransaction,
    Tip,
    TransactionStatus,
)
from hither.primitives.transaction import SignedTransaction, encode_signed_transaction
from hither.primitives.types import CryptoHash
from hither.rpc.link import (
    WAITING,
    Answered,
    Ask,
    FinalityAwaited,
    Followed,
    Link,
    Published,
    Submit,
    Submitted,
    WentBack,
    split_hashes,
    unwrap_error,
)
from hither.rpc.waiters import TransactionWaiters

NODE_GONE: Final = "the node has ended"

_Submission = tuple[SignedTransaction, "asyncio.Future[PooledTransaction]"]


class WaitingTransactions:
    """Transactions that were taken and are in no block yet, as the node's answers tell."""

    def __init__(self) -> None:
        self._transactions: dict[CryptoHash, SignedTransaction] = {}

    def get(self, transaction_hash: CryptoHash) -> SignedTransaction | None:
        """One of them."""
        return self._transactions.get(transaction_hash)

    def count(self) -> int:
        """How many there are."""
        return len(self._transactions)

    def add(self, signed: SignedTransaction) -> None:
        """It was put into the pool."""
        self._transactions[signed.hash] = signed

    def remove(self, transaction_hashes: Sequence[CryptoHash]) -> None:
        """They left it."""
        for transaction_hash in transaction_hashes:
            self._transactions.pop(transaction_hash, None)

    def clear(self) -> None:
        """The chain went back."""
        self._transactions.clear()


class DistantControl:
    """Lives in the event loop. Submissions of one turn of it go to the node together."""

    def __init__(
        self, reader: FollowedChain, waiting: WaitingTransactions, link: Link, *, is_development: bool
    ) -> None:
        self._reader = reader
        self._waiting = waiting
        self._link = link
        self._is_development = is_development
        self._waiters = TransactionWaiters(reader, self._tell_finality_awaited)
        self._submissions: list[_Submission] = []
        self._submitted: dict[int, list[_Submission]] = {}
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0

    @property
    def is_development(self) -> bool:
        """Whether the development controls are allowed."""
        return self._is_development

    # What the node says

    def handle(self, message: Submitted | Answered | Published | WentBack) -> None:
        """Take an answer or a new head."""
        match message:
            case Submitted():
                self._handle_submitted(message)
            case Answered():
                self._handle_answered(message)
            case Published():
                self._reader.publish(message.tip)
                self._waiting.remove(split_hashes(message.included))
                dropped = split_hashes(message.dropped)
                self._waiting.remove(dropped)
                self._waiters.handle_dropped(dropped)
                if len(self._waiters):
                    self._waiters.handle_executed(split_hashes(message.executed), message.tip.final_height)
            case WentBack():
                self._reader.publish(message.tip, is_revert=True)
                self._waiting.clear()
                self._waiters.handle_revert()
                self._link.send(Followed())

    def handle_end(self) -> None:
        """Nobody answers any more."""
        refusal = ControlRefused(NODE_GONE)
        futures = [future for batch in self._submitted.values() for _, future in batch]
        futures += [future for _, future in self._submissions]
        for future in (*futures, *self._asked.values()):
            if not future.done():
                future.set_exception(refusal)
        self._submitted.clear()
        self._submissions.clear()
        self._asked.clear()

    def _handle_submitted(self, message: Submitted) -> None:
        batch = self._submitted.pop(message.id)
        for (signed, future), answer in zip(batch, message.answers, strict=True):
            if answer == WAITING:
                self._waiting.add(signed)
            if future.done():
                continue
            if isinstance(answer, dict):
                future.set_exception(InvalidTransaction(unwrap_error(answer)))
            else:
                future.set_result(PooledTransaction(signed.hash, answer == WAITING))

    def _handle_answered(self, message: Answered) -> None:
        future = self._asked.pop(message.id)
        if future.done():
            return
        if message.invalid is not None:
            future.set_exception(InvalidTransaction(unwrap_error(message.invalid)))
        elif message.refused is not None:
            future.set_exception(ControlRefused(message.refused))
        else:
            future.set_result(message.result)

    # Transactions

    async def submit(self, transaction: SignedTransaction) -> PooledTransaction:
        """Check as NEAR does at submission and put into the pool. Raises InvalidTransaction."""
        self._must_be_there()
        future: asyncio.Future[PooledTransaction] = asyncio.get_running_loop().create_future()
        if not self._submissions:
            asyncio.get_running_loop().call_soon(self._send_submissions)
        self._submissions.append((transaction, future))
        return await future

    def _send_submissions(self) -> None:
        batch, self._submissions = self._submissions, []
        if not batch:
            return
        self._last_id += 1
        self._submitted[self._last_id] = batch
        rows = [encode_signed_transaction(signed) for signed, _ in batch]
        self._link.send(Submit(self._last_id, rows))

    async def check(self, transaction: SignedTransaction) -> None:
        """The same checks, and nothing else. Raises InvalidTransaction."""
        await self._ask("check", encode_signed_transaction(transaction).hex())

    async def wait_for_transaction(
        self, transaction_hash: CryptoHash, until: ExecutionStatus, timeout_ms: int
    ) -> TransactionStatus | None:
        """Its status once it has come at least as far as ``until``; None on time-out.

        Raises TransactionDropped.
        """
        return await self._waiters.wait_for(transaction_hash, until, timeout_ms)

    def _tell_finality_awaited(self, is_awaited: bool) -> None:
        self._link.send(FinalityAwaited(is_awaited))

    # Development controls

    async def fast_forward(self, delta_height: int) -> Tip:
        """Skip heights."""
        return _read_tip(await self._ask("fast_forward", delta_height))

    async def patch_state(self, records: Sequence[Any]) -> Tip:
        """Write records into the state; visible in the returned block. Raises ControlRefused."""
        return _read_tip(await self._ask("patch_state", list(records)))

    async def bring(self, account_ids: Sequence[str]) -> None:
        """Copy accounts that a fork does not know; visible when this returns. Raises ControlRefused."""
        await self._ask("bring", list(account_ids))

    async def mine(self, count: int = 1) -> Tip:
        """Make so many blocks now."""
        return _read_tip(await self._ask("mine", count))

    async def set_time(self, timestamp_ns: int) -> Tip:
        """Move the clock forward; a block shows it. Raises ControlRefused for the past."""
        return _read_tip(await self._ask("set_time", timestamp_ns))

    async def set_block_mode(self, mode: BlockMode, interval_ms: int | None = None) -> None:
        """Change when blocks are made."""
        await self._ask("set_block_mode", mode.value, interval_ms)

    async def snapshot(self) -> str:
        """Remember the present."""
        return str(await self._ask("snapshot"))

    async def revert(self, snapshot_id: str) -> Tip:
        """Go back to a snapshot. It and all later ones are used up."""
        return _read_tip(await self._ask("revert", snapshot_id))

    def _must_be_there(self) -> None:
        if not self._link.is_open:
            raise ControlRefused(NODE_GONE)

    async def _ask(self, method: str, *arguments: Any) -> Any:
        self._must_be_there()
        self._last_id += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[self._last_id] = future
        # JSON, because records may hold numbers that do not fit into 64 bits.
        self._link.send(Ask(self._last_id, method, json.dumps(arguments).encode()))
        return await future


def _read_tip(result: Any) -> Tip:
    return msgspec.convert(result, Tip)
