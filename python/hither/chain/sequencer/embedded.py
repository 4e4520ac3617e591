"""The sequencer of a chain on one machine.

Instant: a block at once when there are transactions or receipts to process, then as
many as finality needs. A waiting yield, an empty queue and idle blocks that are not yet
final are no work. Without work there is one block each heartbeat, so that time-outs pass.
With a ``finality_block_time_ms``, blocks that bring nothing but finality or refunds come at
that pace while nobody waits for finality: who asks what became of a transaction then sees it
executed before it is final, as at NEAR's own node. A yield lives for a number of blocks: while
one waits in the second half of its life, blocks come ever slower, down to the public networks' pace,
so that much traffic does not take away the time in which somebody could have resumed it.
Interval: a block each interval. Manual: only the blocks that are asked for.

Heights are consecutive except across a fast-forward, which skips them. A timestamp is the
clock plus an offset, and always later than the one before. Only going back in time makes the
offset smaller.
"""

from typing import Final

import msgspec

from hither.primitives.types import BlockHeight

NANOSECONDS_IN_A_MILLISECOND: Final = 1_000_000
BLOCK_TIME_MS: Final = 600
"""What one skipped height adds to the clock, and the heartbeat: the public networks' block time."""
BLOCKS_TO_FINALITY: Final = 2
HURRIED_YIELD_BLOCKS: Final = 100
"""With fewer blocks left before a yield is given up, blocks begin to come slower."""
EPOCH_END_MARGIN: Final = 3
"""A fast-forward makes the last blocks of an epoch one by one, so that the epoch ends as usual."""


class SequencerState(msgspec.Struct, frozen=True, gc=False):
    """Everything the decision depends on. Times of the clock and of blocks are in nanoseconds.

    ``wanted_final_height`` is the newest height that brought something (0: none);
    ``is_finality_awaited`` says that somebody waits until it is final;
    ``has_refunds_only`` that the receipts that wait are all refunds;
    ``yield_until`` is the height at which the oldest yield that waits is given up (0: none waits);
    ``made_at_ns`` is when, by the clock, the newest block was made;
    ``next_epoch_height`` is where the next epoch starts if nothing is skipped.
    """

    mode: str = "instant"
    interval_ms: int = BLOCK_TIME_MS
    finality_block_time_ms: int = 0
    height: BlockHeight = BlockHeight(0)
    timestamp_ns: int = 0
    final_height: BlockHeight = BlockHeight(0)
    wanted_final_height: BlockHeight = BlockHeight(0)
    is_finality_awaited: bool = False
    next_epoch_height: BlockHeight = BlockHeight(0)
    has_transactions: bool = False
    has_receipts: bool = False
    has_refunds_only: bool = False
    is_making: bool = False
    owed_blocks: int = 0
    target_height: BlockHeight = BlockHeight(0)
    yield_until: BlockHeight = BlockHeight(0)
    offset_ns: int = 0
    made_at_ns: int = 0


class Ticked(msgspec.Struct, frozen=True, gc=False):
    """Time passed."""

    now_ns: int


class TransactionsArrived(msgspec.Struct, frozen=True, gc=False):
    """The pool is not empty any more."""

    now_ns: int


class BlockMade(msgspec.Struct, frozen=True, gc=False):
    """The block that was asked for is applied.

    ``is_busy``: something was executed in it, or a person asked for its effect.
    ``has_receipts``: receipts wait for the next block. ``has_transactions``: the pool holds more.
    ``has_refunds_only``: those receipts are all refunds. ``is_finality_awaited``: somebody still waits
    for something to be final. ``yield_until``: when the oldest yield that waits is given up (0: none waits).
    """

    now_ns: int
    height: BlockHeight
    timestamp_ns: int
    final_height: BlockHeight
    next_epoch_height: BlockHeight
    is_busy: bool
    has_receipts: bool
    has_transactions: bool
    has_refunds_only: bool
    is_finality_awaited: bool
    yield_until: BlockHeight = BlockHeight(0)


class FinalityAwaited(msgspec.Struct, frozen=True, gc=False):
    """Somebody began to wait for something to be final."""

    now_ns: int


class BlocksAsked(msgspec.Struct, frozen=True, gc=False):
    """Somebody wants so many blocks now."""

    now_ns: int
    count: int = 1


class FastForwardAsked(msgspec.Struct, frozen=True, gc=False):
    """Skip so many heights; time moves on by as many block times."""

    now_ns: int
    delta_height: int


class TimeSet(msgspec.Struct, frozen=True, gc=False):
    """From now on the clock shows this time. Backwards raises ``TimeGoesBackwards``."""

    now_ns: int
    timestamp_ns: int


class ModeSet(msgspec.Struct, frozen=True, gc=False):
    """Change when blocks are made; ``interval_ms`` None keeps the interval."""

    now_ns: int
    mode: str
    interval_ms: int | None = None


class WentBack(msgspec.Struct, frozen=True, gc=False):
    """The chain stands at another block: a revert.

    The clock goes on from that block's time where it was ahead, else it is the time of day again.
    """

    now_ns: int
    height: BlockHeight
    timestamp_ns: int
    final_height: BlockHeight
    next_epoch_height: BlockHeight
    has_receipts: bool


Event = (
    Ticked
    | TransactionsArrived
    | BlockMade
    | FinalityAwaited
    | BlocksAsked
    | FastForwardAsked
    | TimeSet
    | ModeSet
    | WentBack
)


class MakeBlock(msgspec.Struct, frozen=True, gc=False):
    """Make the block with this height and timestamp, then report ``BlockMade``."""

    height: BlockHeight
    timestamp_ns: int


class WakeAt(msgspec.Struct, frozen=True, gc=False):
    """Report ``Ticked`` at this time of the clock, unless another event comes first."""

    time_ns: int


Effect = MakeBlock | WakeAt


class TimeGoesBackwards(ValueError):
    """The time asked for is not later than the newest block's."""


def step(state: SequencerState, event: Event) -> tuple[SequencerState, list[Effect]]:
    """Fold one event into the state; the caller performs the effects."""
    state = _fold(state, event)
    if state.is_making:
        return state, []
    height = _choose_height(state, event.now_ns)
    if height is None:
        wake_at = _get_next_wake(state)
        return state, [] if wake_at is None else [WakeAt(wake_at)]
    timestamp_ns = max(event.now_ns + state.offset_ns, state.timestamp_ns + 1)
    owed = max(0, state.owed_blocks - (height == state.height + 1 and state.target_height <= state.height))
    state = msgspec.structs.replace(state, is_making=True, owed_blocks=owed)
    return state, [MakeBlock(height, timestamp_ns)]


def has_work(state: SequencerState) -> bool:
    """Whether instant mode makes a block now."""
    if state.has_transactions or (state.has_receipts and not state.has_refunds_only):
        return True
    is_hurried = state.is_finality_awaited or state.finality_block_time_ms == 0
    return is_hurried and _is_unfinished(state)


def _is_unfinished(state: SequencerState) -> bool:
    return state.has_receipts or state.wanted_final_height > state.final_height


def _fold(state: SequencerState, event: Event) -> SequencerState:
    replace = msgspec.structs.replace
    match event:
        case Ticked():
            return state
        case TransactionsArrived():
            return replace(state, has_transactions=True)
        case BlockMade():
            assert event.height > state.height, "heights grow"
            assert event.timestamp_ns > state.timestamp_ns, "time grows"
            return replace(
                state,
                is_making=False,
                made_at_ns=event.now_ns,
                height=event.height,
                timestamp_ns=event.timestamp_ns,
                final_height=event.final_height,
                wanted_final_height=event.height if event.is_busy else state.wanted_final_height,
                next_epoch_height=event.next_epoch_height,
                has_receipts=event.has_receipts,
                has_transactions=event.has_transactions,
                has_refunds_only=event.has_refunds_only,
                is_finality_awaited=event.is_finality_awaited,
                yield_until=event.yield_until,
            )
        case FinalityAwaited():
            return replace(state, is_finality_awaited=True)
        case BlocksAsked():
            return replace(state, owed_blocks=state.owed_blocks + event.count)
        case FastForwardAsked():
            start = max(state.height + state.is_making, state.target_height)
            target = BlockHeight(start + event.delta_height + 1)
            added = event.delta_height * BLOCK_TIME_MS * NANOSECONDS_IN_A_MILLISECOND
            return replace(
                state, target_height=target, wanted_final_height=target, offset_ns=state.offset_ns + added
            )
        case TimeSet():
            shown_ns = max(state.timestamp_ns, event.now_ns + state.offset_ns)
            if event.timestamp_ns <= shown_ns:
                raise TimeGoesBackwards(f"the chain's clock already shows {shown_ns} ns")
            return replace(
                state, offset_ns=event.timestamp_ns - event.now_ns, owed_blocks=state.owed_blocks + 1
            )
        case ModeSet():
            interval = state.interval_ms if event.interval_ms is None else event.interval_ms
            return replace(state, mode=event.mode, interval_ms=interval)
        case WentBack():
            return replace(
                state,
                made_at_ns=event.now_ns,
                offset_ns=max(0, event.timestamp_ns - event.now_ns),
                height=event.height,
                timestamp_ns=event.timestamp_ns,
                final_height=event.final_height,
                wanted_final_height=BlockHeight(0),
                next_epoch_height=event.next_epoch_height,
                has_receipts=event.has_receipts,
                has_refunds_only=False,
                has_transactions=False,
                yield_until=BlockHeight(0),
                owed_blocks=0,
                target_height=BlockHeight(0),
            )


def _choose_height(state: SequencerState, now_ns: int) -> BlockHeight | None:
    """The height of the block to make now, or None."""
    following = BlockHeight(state.height + 1)
    if state.target_height > state.height:
        before_end = state.next_epoch_height - EPOCH_END_MARGIN
        if state.target_height > before_end and following <= before_end:
            return BlockHeight(before_end)
        return following if following > before_end else state.target_height
    if state.owed_blocks > 0:
        return following
    if state.mode == "instant" and has_work(state) and not _compute_pause_ms(state):
        return following
    wake_at = _get_next_wake(state)
    return following if wake_at is not None and now_ns >= wake_at else None


def _get_next_wake(state: SequencerState) -> int | None:
    """When, by the clock, the next block comes by itself."""
    if state.mode == "manual":
        return None
    if state.mode == "interval":
        interval_ms = state.interval_ms
    elif has_work(state):
        interval_ms = _compute_pause_ms(state)
    else:
        interval_ms = state.finality_block_time_ms if _is_unfinished(state) else BLOCK_TIME_MS
    return state.made_at_ns + interval_ms * NANOSECONDS_IN_A_MILLISECOND


def _compute_pause_ms(state: SequencerState) -> int:
    """Between two blocks in instant mode: longer the sooner a yield would be given up."""
    if not state.yield_until:
        return 0
    left = max(0, state.yield_until - state.height)
    return max(0, BLOCK_TIME_MS * (HURRIED_YIELD_BLOCKS - left) // HURRIED_YIELD_BLOCKS)
