"""When the embedded sequencer makes blocks."""

import msgspec
import pytest

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

MS = 1_000_000
START_NS = 1_000_000 * MS


class Harness:
    """A clock and a chain that does nothing but count; says what each block brought."""

    def __init__(self, mode: str = "instant", height: int = 10, next_epoch_height: int = 10_000) -> None:
        self.now_ns = START_NS
        self.state = SequencerState(
            mode=mode,
            height=height,
            final_height=height,
            timestamp_ns=START_NS - 1,
            made_at_ns=START_NS,
            next_epoch_height=next_epoch_height,
        )
        self.blocks: list[MakeBlock] = []
        self.wake_at_ns: int | None = None
        self.receipts_at: set[int] = set()
        self.busy_at: set[int] = set()
        self.epoch_length = 10_000
        self.is_finality_awaited = False
        self.refunds_at: set[int] = set()
        self.yield_until = 0

    def send(self, event: Event) -> list[int]:
        """Handle the event and every block that follows from it; returns their heights."""
        first = len(self.blocks)
        self.state, effects = step(self.state, event)
        while effects:
            effect = effects.pop()
            if isinstance(effect, WakeAt):
                self.wake_at_ns = effect.time_ns
                continue
            self.blocks.append(effect)
            self.state, effects = step(self.state, self._make(effect))
        return [block.height for block in self.blocks[first:]]

    def _make(self, block: MakeBlock) -> BlockMade:
        heights = [b.height for b in self.blocks]
        is_final = heights[-3:] == list(range(block.height - 2, block.height + 1))
        self.now_ns += 1000
        return BlockMade(
            now_ns=self.now_ns,
            height=block.height,
            timestamp_ns=block.timestamp_ns,
            final_height=block.height - 2 if is_final else self.state.final_height,
            next_epoch_height=self.state.next_epoch_height
            + (self.epoch_length if block.height >= self.state.next_epoch_height else 0),
            is_busy=block.height in self.busy_at,
            has_receipts=block.height in self.receipts_at,
            has_transactions=False,
            has_refunds_only=block.height in self.refunds_at,
            is_finality_awaited=self.is_finality_awaited,
            yield_until=self.yield_until,
        )


def test_a_transaction_gets_its_blocks_at_once_and_as_many_as_finality_needs() -> None:
    """Transaction in 11, its receipt in 12; 14 makes 12 final; then nothing more."""
    chain = Harness()
    chain.receipts_at = {11}
    chain.busy_at = {11, 12}
    assert chain.send(TransactionsArrived(START_NS)) == [11, 12, 13, 14]
    assert chain.wake_at_ns == chain.now_ns + 600 * MS


def make_paced() -> Harness:
    """Blocks for finality alone come each 100 ms while nobody waits for it."""
    chain = Harness()
    chain.state = msgspec.structs.replace(chain.state, finality_block_time_ms=100)
    return chain


def test_what_nobody_waits_for_becomes_final_at_its_pace() -> None:
    """Receipt in 12, refund in 13; then 14 and 15 for finality; then only the heartbeat."""
    chain = make_paced()
    chain.receipts_at = {11, 12}
    chain.refunds_at = {12}
    chain.busy_at = {11, 12, 13}
    assert chain.send(TransactionsArrived(START_NS)) == [11, 12]
    for height in (13, 14, 15):
        assert chain.wake_at_ns == chain.now_ns + 100 * MS
        assert chain.send(Ticked(chain.wake_at_ns - 1)) == []
        chain.now_ns = chain.wake_at_ns
        assert chain.send(Ticked(chain.now_ns)) == [height]
    assert chain.wake_at_ns == chain.now_ns + 600 * MS


def test_who_begins_to_wait_for_finality_gets_its_blocks_at_once() -> None:
    """Also when what it waits for was executed before; refunds as well."""
    chain = make_paced()
    chain.receipts_at = {11}
    chain.refunds_at = {11}
    chain.busy_at = {11, 12}
    assert chain.send(TransactionsArrived(START_NS)) == [11]
    chain.is_finality_awaited = True
    assert chain.send(FinalityAwaited(chain.now_ns)) == [12, 13, 14]
    assert chain.send(FinalityAwaited(chain.now_ns)) == [], "idle blocks need not be final"


def test_blocks_come_slower_while_a_yield_is_in_the_second_half_of_its_life() -> None:
    """At once until 100 blocks are left; then later and later, up to the public networks' 600 ms."""
    chain = Harness()
    chain.yield_until = 115
    chain.busy_at = chain.receipts_at = set(range(11, 200))
    assert chain.send(TransactionsArrived(START_NS)) == [11, 12, 13, 14, 15, 16]
    pauses_ms = []
    while chain.state.height < 115:
        assert chain.wake_at_ns is not None
        pauses_ms.append((chain.wake_at_ns - chain.now_ns) // MS)
        assert chain.send(TransactionsArrived(chain.wake_at_ns - 1)) == []
        chain.now_ns = chain.wake_at_ns
        chain.send(Ticked(chain.now_ns))
    assert pauses_ms == [6 * number for number in range(1, 100)]
    chain.yield_until = 0
    chain.now_ns += 600 * MS
    assert len(chain.send(Ticked(chain.now_ns))) > 50, "nothing waits any more"


def test_blocks_that_are_asked_for_come_at_once_also_while_a_yield_waits() -> None:
    """Time-outs can be tried without waiting for them."""
    chain = Harness()
    chain.yield_until = 20
    chain.receipts_at = {11}
    chain.send(TransactionsArrived(START_NS))
    assert chain.send(BlocksAsked(chain.now_ns, 5)) == [12, 13, 14, 15, 16]
    assert chain.send(FastForwardAsked(chain.now_ns, 10))[0] > 20


def test_an_idle_chain_waits_for_the_heartbeat() -> None:
    """No block before 600 ms, one then, and the next 600 ms later: idle blocks ask for no finality."""
    chain = Harness()
    assert chain.send(Ticked(START_NS + 599 * MS)) == []
    assert chain.wake_at_ns == START_NS + 600 * MS
    assert chain.send(Ticked(START_NS + 600 * MS)) == [11]
    assert chain.wake_at_ns == chain.now_ns + 600 * MS


def test_manual_mode_makes_only_what_is_asked_for() -> None:
    """Neither transactions nor time make a block."""
    chain = Harness(mode="manual")
    assert chain.send(TransactionsArrived(START_NS)) == []
    assert chain.send(Ticked(START_NS + 3_600_000 * MS)) == []
    assert chain.send(BlocksAsked(START_NS, 3)) == [11, 12, 13]
    assert chain.send(Ticked(START_NS + 3_600_000 * MS)) == []


def test_interval_mode_keeps_the_interval_under_load() -> None:
    """A transaction does not hurry the block."""
    chain = Harness(mode="interval")
    assert chain.send(ModeSet(START_NS, "interval", 1000)) == []
    assert chain.send(TransactionsArrived(START_NS)) == []
    assert chain.send(Ticked(START_NS + 999 * MS)) == []
    assert chain.send(Ticked(START_NS + 1000 * MS)) == [11]


def test_a_block_in_the_making_is_not_made_twice() -> None:
    """Events during the making are remembered, not answered."""
    state, effects = step(SequencerState(height=5, made_at_ns=START_NS), TransactionsArrived(START_NS))
    assert effects == [MakeBlock(6, START_NS)]
    state, effects = step(state, TransactionsArrived(START_NS))
    assert effects == []
    made = BlockMade(START_NS, 6, START_NS, 4, 100, False, False, True, False, False)
    _, effects = step(state, made)
    assert effects == [MakeBlock(7, START_NS + 1)]


def test_timestamps_grow_even_when_the_clock_does_not() -> None:
    """Each block is at least a nanosecond later."""
    chain = Harness(mode="manual")
    chain.send(BlocksAsked(START_NS - 5, 2))
    assert [block.timestamp_ns for block in chain.blocks] == [START_NS, START_NS + 1000]


def test_fast_forward_skips_heights_and_moves_time() -> None:
    """20 heights are skipped, 12 s pass, and the new block becomes final."""
    chain = Harness()
    assert chain.send(FastForwardAsked(START_NS, 20)) == [31, 32, 33]
    assert chain.blocks[0].timestamp_ns == START_NS + 20 * 600 * MS


def test_fast_forward_in_manual_mode_makes_one_block() -> None:
    chain = Harness(mode="manual")
    assert chain.send(FastForwardAsked(START_NS, 20)) == [31]


def test_fast_forward_ends_epochs_block_by_block() -> None:
    """The last heights of an epoch are made one by one, so that it ends where it should."""
    chain = Harness(mode="manual", height=10, next_epoch_height=101)
    chain.epoch_length = 100
    assert chain.send(FastForwardAsked(START_NS, 200)) == [98, 99, 100, 101, 198, 199, 200, 201, 211]


def test_time_can_be_set_forward_and_stays_ahead() -> None:
    """A block shows the new time at once; the clock runs on from there."""
    chain = Harness()
    chain.send(TimeSet(START_NS, START_NS + 3_600_000 * MS))
    assert chain.blocks[-1].timestamp_ns == START_NS + 3_600_000 * MS
    chain.send(BlocksAsked(START_NS + MS))
    assert chain.blocks[-1].timestamp_ns == START_NS + 3_600_001 * MS


def test_time_cannot_be_set_backwards() -> None:
    chain = Harness()
    with pytest.raises(TimeGoesBackwards):
        chain.send(TimeSet(START_NS, START_NS - MS))


def test_after_a_revert_the_clock_goes_on_from_there() -> None:
    """A fast-forward that is undone leaves no trace in time; one that was before is kept."""
    chain = Harness(mode="manual")
    chain.send(FastForwardAsked(START_NS, 1000))
    assert chain.state.offset_ns == 600_000 * MS
    chain.send(WentBack(START_NS + 5 * MS, 10, START_NS - 1, 8, 10_000, False))
    assert chain.state.offset_ns == 0
    chain.send(WentBack(START_NS + 5 * MS, 10, START_NS + 3_600_000 * MS, 8, 10_000, False))
    chain.send(BlocksAsked(START_NS + 6 * MS))
    assert chain.blocks[-1].timestamp_ns == START_NS + 3_600_001 * MS


def test_after_a_revert_nothing_is_owed() -> None:
    """The blocks asked for before do not come after."""
    chain = Harness(mode="manual", height=50)
    chain.state = msgspec.structs.replace(chain.state, owed_blocks=5, has_transactions=True)
    assert chain.send(WentBack(START_NS, 20, START_NS - 1000, 18, 10_000, False)) == []
    assert chain.send(BlocksAsked(START_NS)) == [21]
