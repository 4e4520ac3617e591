"""Who waits for which transaction, so that a new block wakes only those whom it concerns."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from hither.chain.reader import (
    ChainReader,
    ExecutionStatus,
    TransactionDropped,
    TransactionStatus,
    UnknownTransactionOrReceipt,
)
from hither.primitives.types import CryptoHash

NEEDS_FINALITY: Final = (ExecutionStatus.INCLUDED_FINAL, ExecutionStatus.EXECUTED, ExecutionStatus.FINAL)
NEEDS_EXECUTION: Final = (
    ExecutionStatus.EXECUTED_OPTIMISTIC,
    ExecutionStatus.EXECUTED,
    ExecutionStatus.FINAL,
)


class _Waiter:
    """One who waits: for what, until when, and in which group it stands at the moment."""

    __slots__ = ("future", "group", "transaction_hash", "until")

    def __init__(self, transaction_hash: CryptoHash, until: ExecutionStatus) -> None:
        self.transaction_hash = transaction_hash
        self.until = until
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[TransactionStatus] = loop.create_future()
        self.group: CryptoHash | int | None = None


class TransactionWaiters:
    """Lives in the event loop.

    Waiters stand in groups: by the id that they need executed, or by the height that they need final.
    ``set_finality_awaited`` is told when the first comes that needs something final, and when the last goes.
    """

    def __init__(self, reader: ChainReader, set_finality_awaited: Callable[[bool], None]) -> None:
        self._reader = reader
        self._set_finality_awaited = set_finality_awaited
        self._needing_finality = 0
        self._groups: dict[CryptoHash | int, dict[_Waiter, None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def wait(
        self, transaction_hash: CryptoHash, until: ExecutionStatus
    ) -> "asyncio.Future[TransactionStatus]":
        """A future of its status once it has come that far; done at once if it has. Cancel it to leave.

        It raises TransactionDropped when the transaction leaves the pool without getting into a block.
        Who waited until it was included is told just that: NEAR's node sees a transaction in a chunk before
        it has applied the chunk.
        """
        waiter = _Waiter(transaction_hash, until)
        self._check(waiter)
        if until in NEEDS_FINALITY and not waiter.future.done():
            self._count_finality(1)
            waiter.future.add_done_callback(lambda _: self._count_finality(-1))
        waiter.future.add_done_callback(lambda _: self._leave(waiter))
        return waiter.future

    async def wait_for(
        self, transaction_hash: CryptoHash, until: ExecutionStatus, timeout_ms: int
    ) -> TransactionStatus | None:
        """The same for so long at most; None on time-out. Raises TransactionDropped."""
        try:
            return await asyncio.wait_for(self.wait(transaction_hash, until), timeout_ms / 1000)
        except TimeoutError:
            return None

    def _count_finality(self, change: int) -> None:
        before, self._needing_finality = self._needing_finality, self._needing_finality + change
        if (before == 0) != (self._needing_finality == 0):
            self._set_finality_awaited(self._needing_finality > 0)

    def handle_executed(self, ids: Iterable[CryptoHash], final_height: int) -> None:
        """Look again at those who wait for one of these outcomes, or for a height that is final now."""
        groups = self._groups
        if not groups:
            return
        woken = [waiter for id_ in ids if id_ in groups for waiter in groups[id_]]
        for group in [group for group in groups if isinstance(group, int) and group <= final_height]:
            woken += groups[group]
        self._check_all(woken)

    def handle_dropped(self, transaction_hashes: Iterable[CryptoHash]) -> None:
        """These left the pool without getting into a block."""
        for transaction_hash in transaction_hashes:
            for waiter in list(self._groups.get(transaction_hash, ())):
                if not waiter.future.done():
                    waiter.future.set_exception(TransactionDropped())

    def handle_revert(self) -> None:
        """Everything may be different."""
        self._check_all([waiter for waiters in self._groups.values() for waiter in waiters])

    def _check_all(self, waiters: Iterable[_Waiter]) -> None:
        for waiter in waiters:
            if not waiter.future.done():
                self._check(waiter)

    def _check(self, waiter: _Waiter) -> None:
        has_waited = waiter.group is not None
        self._leave(waiter)
        try:
            status = self._reader.get_transaction_status(waiter.transaction_hash)
        except UnknownTransactionOrReceipt:
            self._enter(waiter, waiter.transaction_hash)
            return
        if status.execution.is_at_least(waiter.until):
            is_inclusion = has_waited and waiter.until is ExecutionStatus.INCLUDED
            waiter.future.set_result(_make_included(status) if is_inclusion else status)
        else:
            self._enter(waiter, _find_group(waiter.until, status))

    def _enter(self, waiter: _Waiter, group: CryptoHash | int) -> None:
        waiter.group = group
        self._groups.setdefault(group, {})[waiter] = None

    def _leave(self, waiter: _Waiter) -> None:
        if waiter.group is None:
            return
        members = self._groups[waiter.group]
        del members[waiter]
        if not members:
            del self._groups[waiter.group]
        waiter.group = None


def _make_included(status: TransactionStatus) -> TransactionStatus:
    """The same transaction when it was in a chunk that nobody had applied yet."""
    included = ExecutionStatus.INCLUDED
    return msgspec.structs.replace(status, execution=included, outcome=None, receipt_outcomes=(), receipts=())


def _find_group(until: ExecutionStatus, status: TransactionStatus) -> CryptoHash | int:
    """What has to happen next: the execution of a missing receipt, else finality of the newest outcome."""
    if status.outcome is None:
        return status.transaction.hash
    outcomes = (status.outcome, *status.receipt_outcomes)
    if until in NEEDS_EXECUTION:
        executed = {outcome.id for outcome in outcomes}
        for outcome in outcomes:
            for receipt_id in outcome.outcome.receipt_ids:
                if receipt_id not in executed:
                    return receipt_id
    if until is ExecutionStatus.INCLUDED_FINAL:
        return status.outcome.block_height
    return max(outcome.block_height for outcome in outcomes)
