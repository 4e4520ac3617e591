"""What changes a running chain, asked from the event loop (``ChainControl``)."""

import asyncio
import itertools
import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec

from hither.chain.admission import AdmissionContext, admit, check_unsigned_parts
from hither.chain.application import AppliedBlock
from hither.chain.engine import ChainEngine, StatePatch, make_admission_context
from hither.chain.head import ChainHead
from hither.chain.pool import POOL_SIZE_BYTES_MAX, PooledEntry
from hither.chain.reader import (
    BlockMode,
    ChainEvent,
    ControlRefused,
    ExecutionStatus,
    Finality,
    InvalidTransaction,
    PooledTransaction,
    Tip,
    TransactionStatus,
)
from hither.chain.sequencer.embedded import BLOCK_TIME_MS, NANOSECONDS_IN_A_MILLISECOND
from hither.chain.stored_chain import StoredChain, make_tip
from hither.crypto.signing import are_valid_signatures
from hither.node.chain_thread import STOPPED, ChainThread
from hither.node.fork.errors import ForkProblem
from hither.node.fork.fork import Fork
from hither.node.state_patch import list_accounts_of_records, make_patches
from hither.primitives.transaction import SignedTransaction
from hither.primitives.types import AccountId, BlockHeight, CryptoHash
from hither.rpc.waiters import TransactionWaiters

BATCH_MAX: Final = 512
"""Signatures are checked so many at a time, on all cores."""

INLINE_MAX: Final = 2
"""So few signatures are checked faster here than another thread is woken."""

GATHERING_S: Final = 0.001
"""How long signatures wait for others when transactions wait for a block anyway."""

TIME_NS_MAX: Final = 2**63 - 1
"""In the year 2262. Later times do not fit into every program that reads them."""

HEIGHT_MAX: Final = 2**63 - 1
SKIPPED_HEIGHTS_MAX: Final = 10_000_000
MINED_BLOCKS_MAX: Final = 10_000
INTERVAL_MS_MAX: Final = 2**32 - 1

_SNAPSHOTS: Final = b"snapshots"

SubmissionAnswer = PooledTransaction | InvalidTransaction

Observer = Callable[[ChainHead, Sequence[AppliedBlock], "threading.Event | None"], None]
"""Told in the event loop of each new head and the blocks since the last. An event says that the chain goes back,
and is set once the observer looks at nothing above that head any more."""


class _Batch(msgspec.Struct):
    """Transactions that were handed in together. ``places`` are those of the checked among the ``answers``."""

    checked: list[tuple[SignedTransaction, BlockHeight]]
    places: list[int]
    answers: list[SubmissionAnswer]
    deliver: Callable[[list[SubmissionAnswer] | ControlRefused], None]


class NodeControl:
    """Lives in the event loop; the chain's thread does the work."""

    def __init__(
        self, reader: StoredChain, engine: ChainEngine, thread: ChainThread, *, is_development: bool
    ) -> None:
        self._reader = reader
        self._engine = engine
        self._thread = thread
        self._is_development = is_development
        self._context: AdmissionContext | None = None
        self._context_head = reader.head
        self._waiters = TransactionWaiters(reader, thread.set_finality_awaited)
        self._waiting: dict[CryptoHash, SignedTransaction] = {}
        self._waiting_bytes = 0
        self._batches: deque[_Batch] = deque()
        self._verifier: asyncio.Task[None] | None = None
        # A thread of its own: views that run long must not keep signatures from being checked.
        self._verification = ThreadPoolExecutor(1, thread_name_prefix="signatures")
        self._observers: list[Observer] = []
        self._head_changed: asyncio.Future[None] | None = None
        self._streams: set[BlockEvents] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.fork: Fork | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Belong to this loop from now on."""
        self._loop = loop

    def stop(self) -> None:
        """End what waits."""
        for stream in list(self._streams):
            stream.close()
        if self._verifier is not None:
            self._verifier.cancel()
        self._verification.shutdown(wait=False)

    @property
    def is_development(self) -> bool:
        """Whether the development controls are allowed."""
        return self._is_development

    # Transactions

    def get_waiting(self, transaction_hash: CryptoHash) -> SignedTransaction | None:
        """A transaction that was taken and is not in a block yet."""
        return self._waiting.get(transaction_hash)

    def count_waiting(self) -> int:
        """How many there are."""
        return len(self._waiting)

    async def submit(self, transaction: SignedTransaction) -> PooledTransaction:
        """Check as NEAR does at submission and put into the pool. Raises InvalidTransaction."""
        (answer,) = await self.submit_many([transaction])
        if isinstance(answer, InvalidTransaction):
            raise answer
        return answer

    async def check(self, transaction: SignedTransaction) -> None:
        """The same checks, and nothing else. Raises InvalidTransaction."""
        context = self._get_context()
        base_height = check_unsigned_parts(transaction, context)
        item = (transaction.transaction.public_key, transaction.hash, transaction.signature)
        if not are_valid_signatures([item])[0]:
            raise InvalidTransaction("InvalidSignature")
        admit(transaction, base_height, context)

    async def submit_many(self, transactions: Sequence[SignedTransaction]) -> list[SubmissionAnswer]:
        """The same for many at once; errors are returned in place."""
        future: asyncio.Future[list[SubmissionAnswer]] = asyncio.get_running_loop().create_future()

        def deliver(answers: list[SubmissionAnswer] | ControlRefused) -> None:
            if future.done():
                return
            if isinstance(answers, ControlRefused):
                future.set_exception(answers)
            else:
                future.set_result(answers)

        self.hand_in(transactions, deliver)
        return await future

    def hand_in(
        self,
        transactions: Sequence[SignedTransaction],
        deliver: Callable[[list[SubmissionAnswer] | ControlRefused], None],
    ) -> None:
        """The same with a callback, which is called before any block holds the transactions.

        It is called exactly once, whatever happens; with ControlRefused where they could not be checked.
        """
        context = self._get_context()
        batch = _Batch([], [], [], deliver)
        for place, signed in enumerate(transactions):
            batch.answers.append(PooledTransaction(signed.hash, False))
            if self._is_known(signed.hash):
                continue
            try:
                batch.checked.append((signed, check_unsigned_parts(signed, context)))
            except InvalidTransaction as error:
                batch.answers[place] = error
            else:
                batch.places.append(place)
        if not batch.checked:
            deliver(batch.answers)
            return
        self._batches.append(batch)
        if self._verifier is None:
            self._verifier = asyncio.create_task(self._verify_batches())

    def _is_known(self, transaction_hash: CryptoHash) -> bool:
        return self._reader.get_transaction(transaction_hash) is not None

    def _get_context(self) -> AdmissionContext:
        head = self._reader.head
        if self._context is None or self._context_head is not head:
            self._context_head = head
            self._context = make_admission_context(self._engine.parameters, head, self._engine.storage)
        return self._context

    async def _verify(self, transactions: Sequence[SignedTransaction]) -> list[bool]:
        """Whose signatures are good, found on all cores, outside the interpreter lock."""
        items = [(signed.transaction.public_key, signed.hash, signed.signature) for signed in transactions]
        if len(items) <= INLINE_MAX:
            return are_valid_signatures(items)
        return await asyncio.get_running_loop().run_in_executor(
            self._verification, are_valid_signatures, items
        )

    async def _verify_batches(self) -> None:
        """Check signatures, many together, while more come in."""
        taken: list[_Batch] = []
        try:
            while self._batches:
                if self._waiting and sum(len(batch.checked) for batch in self._batches) < BATCH_MAX:
                    # The chain has enough to do: a larger batch costs less.
                    await asyncio.sleep(GATHERING_S)
                count = 0
                while self._batches and count < BATCH_MAX:
                    taken.append(self._batches.popleft())
                    count += len(taken[-1].checked)
                good = iter(await self._verify([signed for batch in taken for signed, _ in batch.checked]))
                for batch in taken:
                    self._admit_batch(batch, [next(good) for _ in batch.checked])
                while taken:
                    batch = taken.pop(0)
                    batch.deliver(batch.answers)
        finally:
            self._verifier = None
            # Only where something failed, or the node ends: nobody must wait for ever.
            left = [*taken, *self._batches]
            self._batches.clear()
            for batch in left:
                batch.deliver(ControlRefused(STOPPED))

    def _admit_batch(self, batch: _Batch, good: Sequence[bool]) -> None:
        """Put what is good into the pool, and note an answer for each."""
        context = self._get_context()
        entries: list[PooledEntry] = []
        for place, (signed, base_height), is_good in zip(batch.places, batch.checked, good, strict=True):
            try:
                if not is_good:
                    raise InvalidTransaction("InvalidSignature")
                entry = admit(signed, base_height, context)
            except InvalidTransaction as error:
                batch.answers[place] = error
                continue
            is_new = signed.hash not in self._waiting
            # What comes into a full pool is dropped without a word, as NEAR drops it.
            if is_new and self._waiting_bytes + signed.size <= POOL_SIZE_BYTES_MAX:
                self._waiting[signed.hash] = signed
                self._waiting_bytes += signed.size
                entries.append(entry)
            batch.answers[place] = PooledTransaction(signed.hash, is_new)
        if entries:
            self._thread.add_transactions(entries)

    # Waiting

    async def wait_for_head(self, after: Tip) -> Tip:
        """Return as soon as the newest block differs from ``after``."""
        while True:
            tip = self._reader.get_head()
            if tip.last_block_hash != after.last_block_hash:
                return tip
            if self._head_changed is None:
                self._head_changed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._head_changed)

    async def wait_for_transaction(
        self, transaction_hash: CryptoHash, until: ExecutionStatus, timeout_ms: int
    ) -> TransactionStatus | None:
        """Its status once it has come at least as far as ``until``; None on time-out.

        Raises TransactionDropped.
        """
        return await self._waiters.wait_for(transaction_hash, until, timeout_ms)

    def observe(self, observer: Observer) -> None:
        """Tell it of every new head from now on."""
        self._observers.append(observer)

    @property
    def is_observed(self) -> bool:
        """Whether anybody has to go back before the chain does."""
        return bool(self._observers)

    def set_finality_awaited(self, is_awaited: bool) -> None:
        """Whether somebody in another process waits for a transaction to be final."""
        self._thread.set_finality_awaited(is_awaited)

    def handle_publication(
        self, head: ChainHead, blocks: Sequence[AppliedBlock], going_back: threading.Event | None
    ) -> None:
        """A new head was published."""
        if going_back is not None:
            self._waiting.clear()
            self._waiting_bytes = 0
            self._waiters.handle_revert()
        else:
            self._forget_waiting(blocks)
            for block in blocks:
                self._waiters.handle_dropped(block.dropped)
            if len(self._waiters):
                self._waiters.handle_executed(list_executed(blocks), head.final_height)
        changed, self._head_changed = self._head_changed, None
        if changed is not None and not changed.done():
            changed.set_result(None)
        for stream in self._streams:
            stream.add(self._reader, blocks)
        for observer in self._observers:
            observer(head, blocks, going_back)

    def _forget_waiting(self, blocks: Sequence[AppliedBlock]) -> None:
        waiting = self._waiting
        if not waiting:
            return
        for block in blocks:
            for transaction_hash in (*list_included(block), *block.dropped):
                signed = waiting.pop(transaction_hash, None)
                self._waiting_bytes -= 0 if signed is None else signed.size

    def watch(self, *, queue_size: int = 1024) -> "BlockEvents":
        """Everything that happens from now on."""
        stream = BlockEvents(self._streams, queue_size)
        self._streams.add(stream)
        return stream

    # Development controls

    def _must_be_development(self) -> None:
        if not self._is_development:
            raise ControlRefused("this is not a development chain: its controls are off")

    async def fast_forward(self, delta_height: int) -> Tip:
        """Skip heights; in instant mode the new block is final as well when this returns."""
        self._must_be_development()
        if delta_height > SKIPPED_HEIGHTS_MAX:
            raise ControlRefused(f"at most {SKIPPED_HEIGHTS_MAX} heights at once")
        head = self._reader.get_head()
        _must_be_in_time(head.timestamp_ns + delta_height * BLOCK_TIME_MS * NANOSECONDS_IN_A_MILLISECOND)
        if head.height + delta_height > HEIGHT_MAX:
            raise ControlRefused(f"no chain is so high; at most {HEIGHT_MAX}")
        await asyncio.wrap_future(self._thread.fast_forward(delta_height))
        return self._reader.get_head()

    async def patch_state(self, records: Sequence[Any]) -> Tip:
        """Write records into the state; visible in the returned block. Raises ControlRefused."""
        self._must_be_development()
        if self.fork is not None:
            await self.bring(list_accounts_of_records(records))
        patches: dict[Any, StatePatch] = make_patches(records, self._reader)
        if not patches:
            return self._reader.get_head()
        await asyncio.wrap_future(self._thread.patch(patches))
        return self._reader.get_head()

    async def bring(self, account_ids: Sequence[str]) -> None:
        """Copy accounts that a fork does not know; visible when this returns. Raises ControlRefused."""
        if self.fork is None:
            raise ControlRefused("this chain is no fork")
        try:
            await self.fork.bring([AccountId(account_id) for account_id in account_ids])
        except ForkProblem as problem:
            raise ControlRefused(str(problem)) from None

    async def mine(self, count: int = 1) -> Tip:
        """Make so many blocks now."""
        self._must_be_development()
        if count > MINED_BLOCKS_MAX:
            raise ControlRefused(f"at most {MINED_BLOCKS_MAX} blocks at once")
        await asyncio.wrap_future(self._thread.mine(count))
        return self._reader.get_head()

    async def set_time(self, timestamp_ns: int) -> Tip:
        """Move the clock forward; a block shows it. Raises ControlRefused for the past."""
        self._must_be_development()
        _must_be_in_time(timestamp_ns)
        await asyncio.wrap_future(self._thread.set_time(timestamp_ns))
        return self._reader.get_head()

    async def set_block_mode(self, mode: BlockMode, interval_ms: int | None = None) -> None:
        """Change when blocks are made."""
        self._must_be_development()
        if interval_ms is not None and interval_ms > INTERVAL_MS_MAX:
            raise ControlRefused(f"the interval is at most {INTERVAL_MS_MAX} milliseconds")
        await asyncio.wrap_future(self._thread.set_mode(mode.value, interval_ms))

    async def snapshot(self) -> str:
        """Remember the present. Survives a restart."""
        self._must_be_development()
        snapshot: str = await asyncio.wrap_future(self._thread.call(self._take_snapshot))
        return snapshot

    def _take_snapshot(self) -> str:
        """In the chain's thread, between two blocks."""
        snapshots = self._load_snapshots()
        snapshot_id = secrets.token_hex(8)
        # The height that readers see: what they saw is what they come back to.
        snapshots[snapshot_id] = self._reader.get_head().height
        self._engine.storage.set_meta(_SNAPSHOTS, msgspec.json.encode(snapshots))
        return snapshot_id

    async def revert(self, snapshot_id: str) -> Tip:
        """Go back to a snapshot. It and all later ones are used up."""
        self._must_be_development()
        await asyncio.wrap_future(self._thread.revert(lambda: self._use_snapshot(snapshot_id)))
        return self._reader.get_head(Finality.OPTIMISTIC)

    def _use_snapshot(self, snapshot_id: str) -> tuple[BlockHeight, dict[bytes, bytes]]:
        """In the chain's thread: its height, and the row without it and those taken after it."""
        snapshots = self._load_snapshots()
        height = snapshots.get(snapshot_id)
        if height is None:
            raise ControlRefused(f"there is no snapshot {snapshot_id!r}; it may have been used")
        if height < self._reader.get_earliest_height():
            raise ControlRefused(f"snapshot {snapshot_id!r} is older than what this node keeps")
        # Dictionaries keep the order of taking.
        earlier = itertools.takewhile(lambda item: item[0] != snapshot_id, snapshots.items())
        return BlockHeight(height), {_SNAPSHOTS: msgspec.json.encode(dict(earlier))}

    def _load_snapshots(self) -> dict[str, int]:
        row = self._engine.storage.get_meta(_SNAPSHOTS)
        return {} if row is None else msgspec.json.decode(row, type=dict[str, int])


def _must_be_in_time(timestamp_ns: int) -> None:
    if timestamp_ns > TIME_NS_MAX:
        raise ControlRefused(f"no chain lives until {timestamp_ns} ns; at most {TIME_NS_MAX}")


def list_executed(blocks: Sequence[AppliedBlock]) -> list[CryptoHash]:
    """The transactions and receipts that these blocks executed."""
    return [outcome.id for block in blocks for shard in block.shards for outcome in shard.result.outcomes]


def list_included(block: AppliedBlock) -> list[CryptoHash]:
    """The transactions that got into a chunk with it."""
    return [signed.hash for chunk in block.chunks for signed in chunk.transactions]


class BlockEvents:
    """An asynchronous iterator over new blocks. One that lags loses its oldest."""

    def __init__(self, streams: "set[BlockEvents]", queue_size: int) -> None:
        self._streams = streams
        self._events: deque[ChainEvent] = deque(maxlen=queue_size)
        self._ready = asyncio.Event()
        self._is_closed = False

    def __aiter__(self) -> "BlockEvents":
        return self

    async def __anext__(self) -> ChainEvent:
        while not self._events:
            if self._is_closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._events.popleft()

    def add(self, reader: StoredChain, blocks: Sequence[AppliedBlock]) -> None:
        """Take what these blocks brought."""
        for block in blocks:
            transactions = tuple(signed for chunk in block.chunks for signed in chunk.transactions)
            receipts = tuple(r for shard in block.shards for r in shard.result.processed_receipts)
            outcomes = reader.get_block_outcomes(block.block.hash)
            tip = make_tip(block.block.header)
            self._events.append(ChainEvent(tip, outcomes, transactions, receipts))
        if blocks:
            self._ready.set()

    def close(self) -> None:
        """No more events."""
        self._is_closed = True
        self._streams.discard(self)
        self._ready.set()
