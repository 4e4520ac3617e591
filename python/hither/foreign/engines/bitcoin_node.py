"""The development node: kernel, ledger, pool, miner, faucet and block log, without a socket.

The block log is a file in the form of Core's own block files (magic, size, block), synced after each change; a start
feeds it to a fresh kernel. A block that was written in part when the machine stopped is cut off.
"""

import fcntl
import os
import time
from collections.abc import Iterator
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
from hither.foreign.errors import EngineError

HALVING_BLOCKS: Final = 150
FIRST_BLOCKS: Final = COINBASE_MATURITY + 10
BLOCK_WEIGHT_MAX: Final = 3_900_000
"""Below the rule's four million, for header and coinbase."""
BLOCK_SIZE_BYTES_MAX: Final = 4_000_000

_MAGIC: Final = bytes.fromhex("fabfb5da")
_BITS: Final = bytes.fromhex("207fffff")
_VERSION: Final = 0x20000000


class BlockLog:
    """Every block that was accepted, in order. One process at a time. Raises ``EngineError`` when it is in use."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise EngineError(
                f"{path} is in use", hint="another node runs in that folder; stop it first"
            ) from None

    def read(self) -> Iterator[bytes]:
        """All blocks. What follows the last whole one is cut off."""
        self._file.seek(0)
        while True:
            end = self._file.tell()
            head = self._file.read(8)
            size = int.from_bytes(head[4:], "little")
            block = self._file.read(size) if head[:4] == _MAGIC and size <= BLOCK_SIZE_BYTES_MAX else b""
            if len(head) < 8 or not block or len(block) != size:
                self._file.truncate(end)
                return
            yield block

    def append(self, block: bytes) -> None:
        """Not safe from a power cut before ``sync``; safe from the end of this process."""
        self._file.write(_MAGIC + len(block).to_bytes(4, "little") + block)
        self._file.flush()

    def sync(self) -> None:
        """Wait until the disk has it."""
        os.fdatasync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class BitcoinNode:
    """A regtest chain in a folder. Raises ``EngineError`` when the folder is in use or its log damaged."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._log = BlockLog(home / "blocks.dat")
        self._kernel = Kernel(home / "kernel")
        self.ledger = Ledger()
        self.ledger.connect(self._kernel.get_block(0))
        assert self.ledger.tip.block_hash.hex() == REGTEST.genesis_hash, "regtest"
        self.pool = Pool(self.ledger, self._kernel)
        for raw in self._log.read():
            try:
                self._kernel.process_block(raw)
            except BlockRefused as error:
                raise EngineError(
                    f"{home / 'blocks.dat'} holds a bad block after height {self._kernel.height}: {error}",
                    hint="begin again with an empty folder",
                ) from error
        self._follow_kernel()
        if self.ledger.height == 0:
            self.generate(FIRST_BLOCKS, FAUCET_SCRIPT)

    def close(self) -> None:
        """Let go of the folder."""
        self._log.close()

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
        self.pool.add(self.pool.check(transaction, raw))
        return bytes(transaction.id)

    # Blocks

    def generate(self, count: int, script: bytes) -> list[bytes]:
        """Mine blocks that pay to a script and include what waits; returns their hashes."""
        hashes = []
        for _ in range(count):
            raw = self._make_block(script).serialize(check_validity=False)
            self._accept(raw)
            hashes.append(self.ledger.tip.block_hash)
        self._log.sync()
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
        waiting = [entry.transaction for entry in self.pool.entries.values()]
        for transaction_id in list(self.pool.entries):
            self.pool.remove(transaction_id)
        for transaction in transactions + waiting:
            try:
                self.pool.add(self.pool.check(transaction, transaction.serialize(True, check_validity=False)))
            except Refused:
                continue  # The other branch spent its inputs, or has it.

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
