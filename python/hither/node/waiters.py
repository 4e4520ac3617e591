"""Who waits for which transaction, so that a new block wakes only those whom it concerns."""

import asyncio
from collections.abc import Iterable, Sequence

from hither.chain.application import AppliedBlock
from hither.chain.reader import (
    ChainReader,
    ExecutionStatus,
    TransactionStatus,
    UnknownTransactionOrReceipt,
)
from hither.primitives.types import CryptoHash

_Waiter = tuple[CryptoHash, ExecutionStatus, "asyncio.Future[TransactionStatus]"]


class TransactionWaiters:
    """Lives in the event loop."""

    def __init__(self, reader: ChainReader) -> None:
        self._reader = reader
        self._by_id: dict[CryptoHash, list[_Waiter]] = {}
        self._by_final_height: dict[int, list[_Waiter]] = {}

    def wait(
        self, transaction_hash: CryptoHash, until: ExecutionStatus
    ) -> "asyncio.Future[TransactionStatus]":
        """A future of its status once it has come that far; done at once if it has."""
        future: asyncio.Future[TransactionStatus] = asyncio.get_running_loop().create_future()
        self._check((transaction_hash, until, future))
        return future

    def handle_blocks(self, blocks: Sequence[AppliedBlock], final_height: int) -> None:
        """Look again at those who wait for something that these blocks executed, or made final."""
        woken: list[_Waiter] = []
        if self._by_id:
            for block in blocks:
                for shard in block.shards:
                    for outcome in shard.result.outcomes:
                        woken += self._by_id.pop(outcome.id, ())
        for height in [height for height in self._by_final_height if height <= final_height]:
            woken += self._by_final_height.pop(height)
        self._check_all(woken)

    def handle_revert(self) -> None:
        """Everything may be different."""
        waiting = [waiter for waiters in self._by_id.values() for waiter in waiters]
        waiting += [waiter for waiters in self._by_final_height.values() for waiter in waiters]
        self._by_id, self._by_final_height = {}, {}
        self._check_all(waiting)

    def _check_all(self, waiters: Iterable[_Waiter]) -> None:
        for waiter in waiters:
            if not waiter[2].done():
                self._check(waiter)

    def _check(self, waiter: _Waiter) -> None:
        transaction_hash, until, future = waiter
        try:
            status = self._reader.get_transaction_status(transaction_hash)
        except UnknownTransactionOrReceipt:
            self._by_id.setdefault(transaction_hash, []).append(waiter)
            return
        if status.execution >= until:
            future.set_result(status)
        elif status.outcome is None:
            self._by_id.setdefault(transaction_hash, []).append(waiter)
        else:
            self._wait_on(waiter, status)

    def _wait_on(self, waiter: _Waiter, status: TransactionStatus) -> None:
        """Wake it for the next receipt that is missing, else when the newest outcome is final."""
        assert status.outcome is not None
        outcomes = (status.outcome, *status.receipt_outcomes)
        needs_execution = waiter[1] in (
            ExecutionStatus.EXECUTED_OPTIMISTIC,
            ExecutionStatus.EXECUTED,
            ExecutionStatus.FINAL,
        )
        if needs_execution:
            executed = {outcome.id for outcome in outcomes}
            for outcome in outcomes:
                for receipt_id in outcome.outcome.receipt_ids:
                    if receipt_id not in executed:
                        self._by_id.setdefault(receipt_id, []).append(waiter)
                        return
        heights = [outcome.block_height for outcome in outcomes]
        if waiter[1] is ExecutionStatus.INCLUDED_FINAL:
            heights = heights[:1]
        self._by_final_height.setdefault(max(heights), []).append(waiter)

    def forget(self, future: "asyncio.Future[TransactionStatus]") -> None:
        """Somebody stopped waiting: its entries go when they would have woken it, or here if there are many."""
        future.cancel()
