"""Transactions as they happen, for the person in front of ``hither up``."""

import asyncio
from collections.abc import Callable

from hither.chain.reader import (
    ChainEvent,
    ChainReader,
    ChainWatch,
    ExecutionStatus,
    UnknownTransactionOrReceipt,
)
from hither.client.receipt_tree import Style, render_transaction
from hither.primitives import views
from hither.primitives.types import CryptoHash

# Nobody reads more than this a block; a load test must not be slowed by its own log.
TRANSACTIONS_SHOWN_MAX = 20
TRANSACTIONS_WAITED_FOR_MAX = 200


class Watcher:
    """Prints each transaction once, when all that came of it is known."""

    def __init__(self, reader: ChainReader, show: Callable[[str], None], style: Style) -> None:
        self.reader, self.show, self.style = reader, show, style
        self.protocol_version = reader.genesis.config.protocol_version
        self.waiting: dict[CryptoHash, None] = {}

    async def run(self, control: ChainWatch) -> None:
        """Until it is cancelled."""
        stream = control.watch()
        try:
            async for event in stream:
                self.take(event)
                await asyncio.sleep(0)
        finally:
            stream.close()

    def take(self, event: ChainEvent) -> None:
        """What one height brought."""
        hashes = [transaction.hash for transaction in event.transactions]
        if len(hashes) > TRANSACTIONS_SHOWN_MAX:
            self.show(f"block {event.tip.height}: {len(hashes)} transactions")
            hashes = []
        self.waiting.update(dict.fromkeys(hashes))
        while len(self.waiting) > TRANSACTIONS_WAITED_FOR_MAX:
            self.waiting.pop(next(iter(self.waiting)))
        for transaction_hash in list(self.waiting):
            if self._show_if_executed(transaction_hash):
                del self.waiting[transaction_hash]

    def _show_if_executed(self, transaction_hash: CryptoHash) -> bool:
        try:
            status = self.reader.get_transaction_status(transaction_hash, with_receipts=True)
        except UnknownTransactionOrReceipt:
            return True  # The chain was set back meanwhile.
        if status.outcome is None or status.execution < ExecutionStatus.EXECUTED_OPTIMISTIC:
            return False
        if status.execution == ExecutionStatus.INCLUDED_FINAL:
            return False  # Its block is final, its receipts still run.
        view = views.view_transaction_status(
            status, with_receipts=True, protocol_version=self.protocol_version
        )
        for line in render_transaction(view, self.style):
            self.show(line)
        return True
