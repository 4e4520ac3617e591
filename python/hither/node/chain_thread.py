"""The thread that moves the chain: sequencer, engine and commit, one block after the other.

Everything that changes the chain happens here, in the order in which it was asked for. What was
asked is answered only when its effect is published, and what is published is on disk.
Several heights share one commit while nothing but blocks is due, and the next blocks are made
while it goes to disk.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import msgspec

from hither.chain.application import AppliedBlock
from hither.chain.engine import ChainEngine, StatePatch
from hither.chain.fork import has_work
from hither.chain.head import ChainHead
from hither.chain.pool import PooledEntry
from hither.chain.reader import ControlRefused
from hither.chain.sequencer.embedded import (
    BlockMade,
    BlocksAsked,
    Event,
    FastForwardAsked,
    FinalityAwaited,
    MakeBlock,
    ModeSet,
    SequencerState,
    Ticked,
    TimeGoesBackwards,
    TimeSet,
    TransactionsArrived,
    WakeAt,
    WentBack,
    step,
)
from hither.primitives.types import BlockHeight, ShardId
from hither.state.failpoints import reach

BATCH_BLOCKS_MAX: Final = 16
BATCH_NS_MAX: Final = 100_000_000
"""Blocks are published at least so often while more are due."""

STOPPED: Final = "the chain has stopped"

logger = logging.getLogger(__name__)

Publish = Callable[[ChainHead, Sequence[AppliedBlock], bool], None]
"""Called in the chain's thread: the new head, the blocks since the last call, whether it went back."""


class _Goal(msgspec.Struct):
    """Somebody waits for a height, and where it is to be final for that as well."""

    height: int
    final_height: int
    future: "Future[None]"


class _Leaving(msgspec.Struct):
    """Blocks that are being put on disk while others are made, and the head to publish with them."""

    synced: "Future[None]"
    head: ChainHead
    blocks: list[AppliedBlock]


class _Request(msgspec.Struct):
    """Something to do in the chain's thread, and who waits for it."""

    run: Callable[[], Any]
    future: "Future[Any] | None" = None


class ChainThread:
    """Runs an engine. Its methods may be called from any thread; they answer with futures."""

    def __init__(
        self,
        engine: ChainEngine,
        sequencer: SequencerState,
        publish: Publish,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._engine = engine
        self._state = sequencer
        self._publish = publish
        self._clock_ns = clock_ns
        self._inbox: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self._arrived: queue.SimpleQueue[PooledEntry] = queue.SimpleQueue()
        self._is_signalled = False
        self._is_finality_awaited = False
        self._goals: list[_Goal] = []
        self._unpublished: list[AppliedBlock] = []
        self._leaving: _Leaving | None = None
        self._syncer = ThreadPoolExecutor(1, thread_name_prefix="sync")
        self._effects: list[MakeBlock] = []
        self._wake_at_ns: int | None = None
        self._is_stopping = False
        self._is_patched = False
        self.plan: Callable[[ChainHead], frozenset[ShardId]] | None = None
        """Of a fork: which shards have to wait after this head. Set before the start."""
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="chain", daemon=True)

    def start(self) -> None:
        """Begin to make blocks."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the block that is being made, put everything on disk, and end. Safe to repeat."""
        self._inbox.put(_Request(self._set_stopping))
        if self._thread.is_alive():
            self._thread.join()

    def _set_stopping(self) -> None:
        self._is_stopping = True

    # Asking

    def add_transactions(self, entries: Sequence[PooledEntry]) -> None:
        """Put admitted transactions into the pool before the next block is made."""
        for entry in entries:
            self._arrived.put(entry)
        if not self._is_signalled:
            self._is_signalled = True
            self._inbox.put(_Request(self._take_transactions))

    def set_finality_awaited(self, is_awaited: bool) -> None:
        """Whether any transaction is waited for until it is final: its blocks then come at once."""
        self._is_finality_awaited = is_awaited
        if is_awaited and self._state.finality_block_time_ms > 0:
            self._inbox.put(_Request(self._hurry))

    def _hurry(self) -> None:
        self._handle(FinalityAwaited(self._clock_ns()))

    def mine(self, count: int) -> "Future[None]":
        """Make so many blocks."""
        return self._ask(lambda: self._mine(count))

    def fast_forward(self, delta_height: int) -> "Future[None]":
        """Skip so many heights."""
        return self._ask(lambda: self._fast_forward(delta_height))

    def set_time(self, timestamp_ns: int) -> "Future[None]":
        """Move the clock forward."""
        return self._ask(lambda: self._set_time(timestamp_ns))

    def set_mode(self, mode: str, interval_ms: int | None) -> "Future[None]":
        """Change when blocks are made."""
        return self._ask(lambda: self._set_mode(mode, interval_ms))

    def patch(self, patches: Mapping[ShardId, StatePatch]) -> "Future[None]":
        """Write into the state with the next block."""
        return self._ask(lambda: self._patch(patches))

    def revert(self, choose: Callable[[], tuple[BlockHeight, Mapping[bytes, bytes]]]) -> "Future[None]":
        """Go back to the block that is chosen when it is this request's turn, and change what the storage notes
        with it, in one step: after a crash both have happened or neither. ``choose`` may raise ControlRefused.
        """
        return self._ask(lambda: self._revert(*choose()))

    def call(self, function: Callable[[], Any]) -> "Future[Any]":
        """Run a function between two blocks, when everything is on disk."""
        return self._ask(function)

    def _ask(self, function: Callable[[], Any]) -> "Future[Any]":
        """Run in the chain's thread. The answer is its result, or when a goal that it returns is reached."""
        future: Future[Any] = Future()
        if self.failure is not None or not self._thread.is_alive():
            future.set_exception(ControlRefused(STOPPED))
        else:
            self._inbox.put(_Request(function, future))
        return future

    def _perform(self, request: _Request) -> None:
        """Do what was asked, and answer now or when the goal is reached."""
        future = request.future
        try:
            goal = request.run()
        except (ControlRefused, TimeGoesBackwards) as error:
            assert future is not None, "nobody else asks for what can be refused"
            future.set_exception(error if isinstance(error, ControlRefused) else ControlRefused(str(error)))
            return
        except BaseException:
            if future is not None:
                future.set_exception(ControlRefused(STOPPED))
            raise
        if future is None:
            return
        if isinstance(goal, tuple):
            self._goals.append(_Goal(goal[0], goal[1], future))
        else:
            future.set_result(goal)

    # The thread

    def _run(self) -> None:
        try:
            if self.plan is not None:
                self._state = msgspec.structs.replace(self._state, has_receipts=self._has_receipts())
            self._handle(Ticked(self._clock_ns()))
            while not self._is_stopping:
                self._work()
            self._commit()
        except BaseException as error:  # The top of the thread: whatever it is, the chain must not go on.
            self.failure = error
            logger.exception("the chain stopped")
            raise
        finally:
            self._syncer.shutdown()
            self._refuse_all()

    def _refuse_all(self) -> None:
        """Answer everybody who still waits."""
        waiting = [goal.future for goal in self._goals]
        while not self._inbox.empty():
            future = self._inbox.get_nowait().future
            waiting += [] if future is None else [future]
        for future in waiting:
            future.set_exception(ControlRefused(STOPPED))

    def _work(self) -> None:
        """One round: what was asked for, then one block if one is due, else wait."""
        started_ns = time.monotonic_ns()
        while not self._is_stopping:
            self._drain()
            if not self._effects:
                break
            self._make_block(self._effects.pop())
            if self._leaving is not None and self._leaving.synced.done():
                self._finish_leaving()
            is_long = time.monotonic_ns() - started_ns > BATCH_NS_MAX
            if len(self._unpublished) >= BATCH_BLOCKS_MAX or is_long or self._has_reached_goal():
                break
        if self._effects:
            self._begin_leaving()
            return
        self._commit()
        if not self._is_stopping:
            self._wait()

    def _drain(self) -> None:
        while True:
            try:
                request = self._inbox.get_nowait()
            except queue.Empty:
                return
            self._perform(request)

    def _wait(self) -> None:
        """Sleep until something is asked or the sequencer wants to be woken."""
        timeout_s = None
        if self._wake_at_ns is not None:
            timeout_s = max(0.0, (self._wake_at_ns - self._clock_ns()) / 1e9)
        try:
            request = self._inbox.get(timeout=timeout_s)
        except queue.Empty:
            self._handle(Ticked(self._clock_ns()))
        else:
            self._perform(request)

    def _handle(self, event: Event) -> None:
        self._state, effects = step(self._state, event)
        for effect in effects:
            if isinstance(effect, WakeAt):
                self._wake_at_ns = effect.time_ns
            else:
                self._effects.append(effect)

    def _make_block(self, effect: MakeBlock) -> None:
        engine = self._engine
        self._take_arrived()
        applied = engine.produce(effect.height, effect.timestamp_ns)
        reach("applied")
        self._unpublished.append(applied)
        head = engine.head
        is_busy = self._is_patched or any(shard.result.outcomes for shard in applied.shards)
        self._is_patched = False
        self._handle(
            BlockMade(
                now_ns=self._clock_ns(),
                height=head.height,
                timestamp_ns=head.block.header.timestamp_ns,
                final_height=head.final_height,
                next_epoch_height=self._get_next_epoch_height(),
                is_busy=is_busy,
                has_receipts=self._has_receipts(),
                has_transactions=engine.has_transactions(),
                has_refunds_only=head.has_only_refunds_waiting(),
                is_finality_awaited=self._is_finality_awaited or self._has_final_goal(),
                yield_until=engine.find_next_timeout() or BlockHeight(0),
            )
        )

    def _has_receipts(self) -> bool:
        """Whether the next block has receipts to process; of a fork, and not only such as have to wait."""
        head = self._engine.head
        if self.plan is None:
            return head.has_waiting_receipts()
        self._engine.held = self.plan(head)
        return has_work(head, self._engine.held)

    def _get_next_epoch_height(self) -> BlockHeight:
        return get_next_epoch_height(self._engine)

    def _begin_leaving(self) -> None:
        """Put on disk what is not yet, while the next blocks are made: more are due at once."""
        self._finish_leaving()
        if not self._unpublished:
            return
        reach("before commit")
        blocks, self._unpublished = self._unpublished, []
        synced = self._syncer.submit(self._engine.storage.sync)
        self._leaving = _Leaving(synced, self._engine.head, blocks)

    def _finish_leaving(self) -> None:
        """Wait until it is on disk, then publish, then answer."""
        leaving, self._leaving = self._leaving, None
        if leaving is None:
            return
        leaving.synced.result()
        reach("committed")
        self._publish(leaving.head, leaving.blocks, False)
        self._answer_goals(leaving.head)

    def _commit(self) -> None:
        """Put everything on disk, then publish, then answer."""
        self._finish_leaving()
        if not self._unpublished:
            return
        reach("before commit")
        self._engine.storage.sync()
        reach("committed")
        blocks, self._unpublished = self._unpublished, []
        self._publish(self._engine.head, blocks, False)
        self._answer_goals(self._engine.head)

    def _answer_goals(self, head: ChainHead) -> None:
        reached = [goal for goal in self._goals if self._is_reached(goal, head)]
        self._goals = [goal for goal in self._goals if not self._is_reached(goal, head)]
        for goal in reached:
            goal.future.set_result(None)

    @staticmethod
    def _is_reached(goal: _Goal, head: ChainHead) -> bool:
        return head.height >= goal.height and head.final_height >= goal.final_height

    def _has_final_goal(self) -> bool:
        return any(goal.final_height > self._engine.head.final_height for goal in self._goals)

    def _has_reached_goal(self) -> bool:
        return any(self._is_reached(goal, self._engine.head) for goal in self._goals)

    # What was asked

    def _take_transactions(self) -> None:
        self._is_signalled = False
        self._take_arrived()
        if self._engine.has_transactions():
            self._handle(TransactionsArrived(self._clock_ns()))

    def _take_arrived(self) -> None:
        entries = []
        while True:
            try:
                entries.append(self._arrived.get_nowait())
            except queue.Empty:
                break
        self._engine.insert(entries)

    def _mine(self, count: int) -> tuple[int, int]:
        if count < 1:
            raise ControlRefused("at least one block can be mined")
        goal = self._engine.head.height + len(self._effects) + count
        self._handle(BlocksAsked(self._clock_ns(), count))
        return goal, 0

    def _fast_forward(self, delta_height: int) -> tuple[int, int]:
        if delta_height < 1:
            raise ControlRefused("at least one height can be skipped")
        self._handle(FastForwardAsked(self._clock_ns(), delta_height))
        return self._make_final_goal(self._state.target_height)

    def _make_final_goal(self, height: int) -> tuple[int, int]:
        """In instant mode what was done by hand is final when it is answered."""
        return height, height if self._state.mode == "instant" else 0

    def _set_time(self, timestamp_ns: int) -> tuple[int, int]:
        goal = self._engine.head.height + len(self._effects) + 1
        self._handle(TimeSet(self._clock_ns(), timestamp_ns))
        return goal, 0

    def _set_mode(self, mode: str, interval_ms: int | None) -> None:
        if interval_ms is not None and interval_ms < 1:
            raise ControlRefused("the interval is at least a millisecond")
        self._handle(ModeSet(self._clock_ns(), mode, interval_ms))

    def _patch(self, patches: Mapping[ShardId, StatePatch]) -> tuple[int, int]:
        # A block that is already decided on is not made yet, so it takes the patch along.
        self._engine.add_patch(dict(patches))
        self._is_patched = True
        goal = self._engine.head.height + 1
        if not self._effects:
            self._handle(BlocksAsked(self._clock_ns()))
        return self._make_final_goal(goal)

    def _revert(self, height: BlockHeight, meta: Mapping[bytes, bytes]) -> None:
        self._commit()
        self._effects.clear()
        head = self._engine.load_head(height)
        # Readers look at the old head before what is newer goes away under them.
        self._publish(head, (), True)
        reach("reverting")
        self._engine.revert_to(head, meta)
        reach("reverted")
        self._state = msgspec.structs.replace(self._state, is_making=False)
        self._handle(
            WentBack(
                now_ns=self._clock_ns(),
                height=head.height,
                timestamp_ns=head.block.header.timestamp_ns,
                final_height=head.final_height,
                next_epoch_height=self._get_next_epoch_height(),
                has_receipts=self._has_receipts(),
            )
        )
        for goal in self._goals:
            goal.future.set_exception(ControlRefused("the chain went back"))
        self._goals.clear()
        self._publish(head, (), True)


def get_next_epoch_height(engine: ChainEngine) -> BlockHeight:
    """Where the next epoch starts if no height is skipped."""
    first = engine.head.position.first
    if engine.head.position.block.height == engine.parameters.genesis_height:
        return BlockHeight(engine.parameters.genesis_height + 1 + engine.parameters.epoch_config.epoch_length)
    return BlockHeight(first.height + engine.parameters.epoch_config.epoch_length)


def start_sequencer(engine: ChainEngine, mode: str, interval_ms: int, now_ns: int) -> SequencerState:
    """The sequencer at the engine's head. The clock goes on where the chain's own is ahead."""
    head = engine.head
    timestamp_ns = head.block.header.timestamp_ns
    return SequencerState(
        mode=mode,
        interval_ms=interval_ms,
        height=head.height,
        timestamp_ns=timestamp_ns,
        final_height=head.final_height,
        next_epoch_height=get_next_epoch_height(engine),
        has_receipts=head.has_waiting_receipts(),
        offset_ns=max(0, timestamp_ns - now_ns),
        made_at_ns=0,
    )
