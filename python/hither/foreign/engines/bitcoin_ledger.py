"""What the active chain says, by height, transaction, output and script: an index that blocks are put on and taken off.

It judges nothing: every block here was accepted by the kernel.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from btclib.block import Block as ParsedBlock
from btclib.block import BlockHeader
from btclib.tx import Tx

MEDIAN_BLOCKS: Final = 11

Point = tuple[bytes, int]
"""An output: the id of its transaction, as people write it, and its index."""


@dataclass(frozen=True, slots=True)
class Unspent:
    """An output; ``height`` is none while its transaction waits."""

    amount: int
    script: bytes
    height: int | None
    is_coinbase: bool


@dataclass(frozen=True, slots=True)
class Included:
    """A transaction in a block, with the outputs that it spent in the order of its inputs."""

    transaction: Tx
    spent: tuple[Unspent, ...]
    height: int

    @property
    def fee(self) -> int:
        """What it left to the miner; none for a coinbase."""
        if not self.spent:
            return 0
        return sum(one.amount for one in self.spent) - sum(one.value for one in self.transaction.vout)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the active chain."""

    block_hash: bytes
    height: int
    header: BlockHeader
    raw: bytes
    transaction_ids: tuple[bytes, ...]

    @property
    def time(self) -> int:
        """Seconds since 1970, as its miner says."""
        return int(self.header.time.timestamp())


class Ledger:
    """The index. Begins empty; the genesis block is put on first."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.heights: dict[bytes, int] = {}
        self.transactions: dict[bytes, Included] = {}
        self.unspent: dict[Point, Unspent] = {}
        self.histories: dict[bytes, list[bytes]] = {}
        self._points: dict[bytes, dict[Point, None]] = {}

    @property
    def tip(self) -> Block:
        """The newest block."""
        return self.blocks[-1]

    @property
    def height(self) -> int:
        """Of the newest block."""
        return len(self.blocks) - 1

    def compute_median_time(self, height: int) -> int:
        """Of the eleven blocks up to this one: what lock times are measured by (BIP-113)."""
        times = sorted(block.time for block in self.blocks[max(0, height + 1 - MEDIAN_BLOCKS) : height + 1])
        return times[len(times) // 2]

    def list_unspent(self, script: bytes) -> list[tuple[Point, Unspent]]:
        """The outputs of a script, oldest first."""
        return [(point, self.unspent[point]) for point in self._points.get(script, ())]

    def connect(self, raw: bytes) -> Block:
        """Put the next block on."""
        parsed = ParsedBlock.parse(raw, check_validity=False)
        height = len(self.blocks)
        assert not self.blocks or parsed.header.previous_block_hash == self.tip.block_hash, "the next block"
        ids = tuple(transaction.id for transaction in parsed.transactions)
        block = Block(parsed.header.hash, height, parsed.header, raw, ids)
        for transaction_id, transaction in zip(ids, parsed.transactions, strict=True):
            self._connect_transaction(transaction_id, transaction, height)
        self.blocks.append(block)
        self.heights[block.block_hash] = height
        return block

    def _connect_transaction(self, transaction_id: bytes, transaction: Tx, height: int) -> None:
        is_coinbase = transaction.is_coinbase
        spent = () if is_coinbase else tuple(self._spend(point) for point in list_points(transaction))
        self.transactions[transaction_id] = Included(transaction, spent, height)
        for index, output in enumerate(transaction.vout):
            script = output.script_pub_key.script
            # The genesis block's output was never one that can be spent; nor are outputs that only carry data.
            if height > 0 and script[:1] != b"\x6a":
                self._add((transaction_id, index), Unspent(output.value, script, height, is_coinbase))
        for script in list_scripts(transaction, spent):
            self.histories.setdefault(script, []).append(transaction_id)

    def disconnect(self) -> Block:
        """Take the newest block off."""
        block = self.blocks.pop()
        del self.heights[block.block_hash]
        for transaction_id in reversed(block.transaction_ids):
            included = self.transactions.pop(transaction_id)
            for script in list_scripts(included.transaction, included.spent):
                history = self.histories[script]
                history.pop()
                if not history:
                    del self.histories[script]
            for index in range(len(included.transaction.vout)):
                if (transaction_id, index) in self.unspent:
                    self._spend((transaction_id, index))
            if included.spent:
                for point, output in zip(list_points(included.transaction), included.spent, strict=True):
                    self._add(point, output)
        return block

    def _add(self, point: Point, output: Unspent) -> None:
        self.unspent[point] = output
        self._points.setdefault(output.script, {})[point] = None

    def _spend(self, point: Point) -> Unspent:
        output = self.unspent.pop(point)
        points = self._points[output.script]
        del points[point]
        if not points:
            del self._points[output.script]
        return output


def list_points(transaction: Tx) -> Iterator[Point]:
    """The outputs that its inputs name."""
    return ((entry.prev_out.tx_id, entry.prev_out.vout) for entry in transaction.vin)


def list_scripts(transaction: Tx, spent: tuple[Unspent, ...]) -> list[bytes]:
    """The scripts that it takes from or pays to, each once, in order."""
    scripts = [one.script for one in spent] + [one.script_pub_key.script for one in transaction.vout]
    return list(dict.fromkeys(scripts))
