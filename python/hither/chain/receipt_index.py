"""Where each transaction and receipt is found: rows that come with every applied chunk.

A receipt is made by an outcome. It may leave at once, wait in its shard's buffer, or be processed
where it was made; its bytes are kept once, with what left the shard or with what the shard processed
of its own. It is executed with an outcome, at once or, when it waits for data, later.
"""

from collections.abc import Callable, Sequence

import msgspec

from hither.chain.containers import Making, Place, encode_making, encode_place, pack_items
from hither.chain.rows import MAKINGS, PLACES, RECEIPTS, shard_key
from hither.primitives.receipt import ActionReceipt, encode_receipt
from hither.primitives.transaction import SignedTransaction
from hither.primitives.types import ZERO_HASH, BlockHeight, CryptoHash
from hither.runtime.types import ApplyResult
from hither.state.state_store import Write


class ReceiptIndex:
    """Makes the rows, and remembers the receipts that are under way so as not to read them back."""

    def __init__(self, get_making: Callable[[CryptoHash], Making | None]) -> None:
        self._get_making = get_making
        self._under_way: dict[CryptoHash, Making] = {}

    def clear(self) -> None:
        """Forget what is under way: after a revert the rows tell."""
        self._under_way.clear()

    def write(
        self,
        height: BlockHeight,
        shard_index: int,
        result: ApplyResult,
        transactions: Sequence[SignedTransaction],
    ) -> list[Write]:
        """The rows of one shard at one height."""
        writes: list[Write] = []
        makings: dict[CryptoHash, Making] = {}
        executed = self._write_outcomes(height, shard_index, result, transactions, writes, makings)
        rows: list[bytes] = []
        for receipt in result.processed_receipts:
            id_ = receipt.receipt_id
            making = makings.get(id_) or executed.get(id_) or self._find(id_)
            if making is not None and making.kept_height is not None:
                if not isinstance(receipt.body, ActionReceipt):
                    self._under_way.pop(id_, None)  # Nothing else will be heard of it.
                continue
            if making is None:
                making = Making(height, shard_index, ZERO_HASH)
            makings[id_] = msgspec.structs.replace(
                making, kept_height=height, kept_index=len(rows), is_local=True
            )
            rows.append(encode_receipt(receipt))
        if rows:
            writes.append((RECEIPTS, shard_key(height, shard_index), pack_items(rows)))
        for at, receipt in enumerate(result.outgoing_receipts):
            id_ = receipt.receipt_id
            made = makings.get(id_) or self._find(id_) or Making(height, shard_index, ZERO_HASH)
            makings[id_] = Making(made.height, shard_index, made.origin, height, at)
        for id_, making in makings.items():
            writes.append((MAKINGS, id_, encode_making(making)))
            if id_ not in executed:
                self._under_way[id_] = making
        return writes

    def _write_outcomes(
        self,
        height: BlockHeight,
        shard_index: int,
        result: ApplyResult,
        transactions: Sequence[SignedTransaction],
        writes: list[Write],
        makings: dict[CryptoHash, Making],
    ) -> dict[CryptoHash, Making]:
        """Places of the outcomes, makings of what they made; the makings of what was executed."""
        # Of the repeats of a transaction in one chunk only the first has an outcome.
        positions: dict[CryptoHash, int] = {}
        for at, signed in enumerate(transactions):
            positions.setdefault(signed.hash, at)
        executed: dict[CryptoHash, Making] = {}
        for at, outcome in enumerate(result.outcomes):
            id_ = outcome.id
            position = positions.get(id_)
            origin = id_
            if position is None:
                making = makings.get(id_) or self._find(id_)
                origin = ZERO_HASH if making is None else making.origin
                if making is not None:
                    executed[id_] = making
                    self._under_way.pop(id_, None)
            writes.append((PLACES, id_, encode_place(Place(height, shard_index, at, position))))
            made = Making(height, shard_index, origin)
            for child in outcome.receipt_ids:
                makings[child] = made
        return executed

    def _find(self, id_: CryptoHash) -> Making | None:
        return self._under_way.get(id_) or self._get_making(id_)
