"""The development node: kernel, ledger, pool, miner, faucet and block log, without a socket.

The block log holds every block that was accepted, on whatever branch, in the form of Core's own block files, and is
synced after each change; a start feeds it to a fresh kernel. A snapshot is a place in that log and what waited then: to
go back is to forget what followed and to begin again. What waits is kept in a file beside it.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from btclib.block import Block as ParsedBlock
from btclib.block.build import build_block, build_coinbase
from btclib.block.mining import mine
from btclib.tx import Tx

from hither.foreign.bitcoin_addresses import REGTEST
from hither.foreign.engines.bitcoin_faucet import FAUCET_SCRIPT, make_payment
from hither.foreign.engines.bitcoin_kernel import BlockRefused, Kernel
from hither.foreign.engines.bitcoin_ledger import Ledger
from hither.foreign.engines.bitcoin_pool import COINBASE_MATURITY, Entry, Pool, Refused, parse_raw
from hither.foreign.engines.journal import Journal, Snapshots
from hither.foreign.errors import EngineError

HALVING_BLOCKS: Final = 150
FIRST_BLOCKS: Final = COINBASE_MATURITY + 10
BLOCK_WEIGHT_MAX: Final = 3_900_000
"""Below the rule's four million, for header and coinbase."""
BLOCK_SIZE_BYTES_MAX: Final = 4_000_000

_MAGIC: Final = bytes.fromhex("fabfb5da")
_POOL_MARK: Final = b"pool"
_BITS: Final = bytes.fromhex("207fffff")
_VERSION: Final = 0x20000000


class BitcoinNode:
    """A regtest chain in a folder. Raises ``EngineError`` when the folder is in use or its log damaged.

    ``ledger`` and ``pool`` are other objects after a revert.
    """

    ledger: Ledger
    pool: Pool

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._home = home
        self._log = Journal(home / "blocks.dat", _MAGIC, entry_bytes_max=BLOCK_SIZE_BYTES_MAX)
        self._waiting = Journal(home / "pool.dat", _POOL_MARK, entry_bytes_max=BLOCK_SIZE_BYTES_MAX)
        self._snapshots = Snapshots(home / "snapshots.json")
        self._kernels = 0
        self._load(list(self._waiting.read()))
        if self.ledger.height == 0:
            self.generate(FIRST_BLOCKS, FAUCET_SCRIPT)

    def close(self) -> None:
        """Let go of the folder."""
        self._log.close()
        self._waiting.close()

    def persist(self) -> None:
        """Wait until the disk has what waits, too."""
        self._waiting.sync()

    # The whole

    def _load(self, waiting: Sequence[bytes]) -> None:
        """Begin with the blocks of the log, and with these transactions in the pool as far as they are still good.

        The kernel cannot go back, so each beginning has one of its own; the last one ends here.
        """
        self._kernels += 1
        scratch = self._home / "kernel" / str(self._kernels % 2)
        self._kernel = Kernel(scratch)
        self.ledger = Ledger()
        self.ledger.connect(self._kernel.get_block(0))
        assert self.ledger.tip.block_hash.hex() == REGTEST.genesis_hash, "regtest"
        self.pool = Pool(self.ledger, self._kernel)
        for raw in self._log.read():
            try:
                self._kernel.process_block(raw)
            except BlockRefused as error:
                raise EngineError(
                    f"{self._home / 'blocks.dat'} holds a bad block after height {self._kernel.height}: {error}",
                    hint="begin again with an empty folder",
                ) from error
        self._follow_kernel()
        self._fill_pool(waiting)

    def snapshot(self, name: str) -> None:
        """Remember the present under a name."""
        self._log.sync()
        waiting = [entry.raw.hex() for entry in self.pool.entries.values()]
        self._snapshots.put(name, {"end": self._log.end, "waiting": waiting})

    def revert(self, name: str) -> None:
        """Go back to a snapshot, which uses up it and all later ones. Raises ``UnknownSnapshot``."""
        state = self._snapshots.get(name)
        # In this order a stop in between leaves the snapshot, and going back can be asked for again.
        self._log.cut(state["end"])
        self._log.sync()
        self._load([bytes.fromhex(text) for text in state["waiting"]])
        self._waiting.sync()
        self._snapshots.use_up(name)

    # Transactions

    def check_transaction(self, raw: bytes) -> Entry:
        """Whether the pool would take it. Raises ``MalformedTransaction`` or ``Refused``."""
        return self.pool.check(parse_raw(raw), raw)

    def submit_transaction(self, raw: bytes) -> bytes:
        """Into the pool; one that waits there already is good. Returns its id. Raises like ``check_transaction``."""
        transaction = parse_raw(raw)
        waiting = self.pool.entries.get(transaction.id)
        if waiting is not None:
            return waiting.transaction_id
        self.add(self.pool.check(transaction, raw))
        return bytes(transaction.id)

    def add(self, entry: Entry) -> None:
        """Into the pool, what ``check_transaction`` has found good."""
        self.pool.add(entry)
        self._waiting.append(entry.raw)

    # Blocks

    def generate(self, count: int, script: bytes) -> list[bytes]:
        """Mine blocks that pay to a script and include what waits; returns their hashes."""
        hashes = []
        for _ in range(count):
            raw = self._make_block(script).serialize(check_validity=False)
            self._accept(raw)
            hashes.append(self.ledger.tip.block_hash)
        self._log.sync()
        if not self.pool.entries:
            self._waiting.cut(0)
        return hashes

    def submit_block(self, raw: bytes) -> bool:
        """Take in another miner's block, on whatever branch; whether it is new. Raises ``BlockRefused``."""
        is_new = self._accept(raw)
        self._log.sync()
        return is_new

    def _accept(self, raw: bytes) -> bool:
        if not self._kernel.process_block(raw):
            return False
        self._log.append(raw)
        self._follow_kernel()
        return True

    def _follow_kernel(self) -> None:
        """Bring ledger and pool to the kernel's chain, back over a branch that lost."""
        returned: list[Tx] = []
        while self.ledger.height > self._kernel.height or (
            self._kernel.get_block_hash(self.ledger.height) != self.ledger.tip.block_hash
        ):
            ids = self.ledger.tip.transaction_ids[1:]
            returned = [self.ledger.transactions[one].transaction for one in ids] + returned
            self.ledger.disconnect()
        while self.ledger.height < self._kernel.height:
            block = self.ledger.connect(self._kernel.get_block(self.ledger.height + 1))
            self.pool.settle(self.ledger.transactions[one].transaction for one in block.transaction_ids)
        if returned:
            self._return_to_pool(returned)

    def _return_to_pool(self, transactions: list[Tx]) -> None:
        """What a lost branch held waits again, as far as it still can, before what waited already."""
        returned = [transaction.serialize(True, check_validity=False) for transaction in transactions]
        self._fill_pool(returned + [entry.raw for entry in self.pool.entries.values()])

    def _fill_pool(self, waiting: Sequence[bytes]) -> None:
        """With what is still good of these transactions, and nothing else."""
        for transaction_id in list(self.pool.entries):
            self.pool.remove(transaction_id)
        for raw in waiting:
            try:
                self.pool.add(self.pool.check(parse_raw(raw), raw))
            except Refused:
                continue  # The chain spends its inputs otherwise, or has it.
        self._waiting.replace([entry.raw for entry in self.pool.entries.values()])

    def _make_block(self, script: bytes) -> ParsedBlock:
        entries = self._choose_entries()
        height = self.ledger.height + 1
        coinbase = build_coinbase(
            height, script, fees=sum(entry.fee for entry in entries), halving_interval=HALVING_BLOCKS
        )
        seconds = max(int(time.time()), self.ledger.compute_median_time(self.ledger.height) + 1)
        template = build_block(
            self.ledger.tip.block_hash,
            [coinbase, *(entry.transaction for entry in entries)],
            datetime.fromtimestamp(seconds, UTC),
            _BITS,
            version=_VERSION,
        )
        header = mine(template.header)
        assert header is not None, "every second nonce is good on regtest"
        return ParsedBlock(header, template.transactions, check_validity=False)

    def _choose_entries(self) -> list[Entry]:
        """What waits, in order of arrival, as far as it fits; a block is never so full here that fees decide."""
        chosen: dict[bytes, Entry] = {}
        weight = 0
        for entry in self.pool.entries.values():
            is_ready = all(
                one.prev_out.tx_id in chosen or one.prev_out.tx_id not in self.pool.entries
                for one in entry.transaction.vin
            )
            if is_ready and weight + entry.transaction.weight <= BLOCK_WEIGHT_MAX:
                chosen[entry.transaction_id] = entry
                weight += entry.transaction.weight
        return list(chosen.values())

    def fund(self, script: bytes, amount: int) -> bytes:
        """Pay development coins to a script and mine them in; returns the transaction's id.

        Raises ``EngineError`` when the faucet is empty, ``Refused`` for dust.
        """
        paid = make_payment(self.ledger, self.pool, script, amount)
        transaction_id = self.submit_transaction(paid.serialize(True, check_validity=False))
        self.generate(1, FAUCET_SCRIPT)
        return transaction_id
