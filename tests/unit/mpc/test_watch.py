"""A node's own time: it does not take its own absence for the silence of others."""

import asyncio

import pytest

from hither.mpc.watch import LOOK_S_MAX, SILENT_S, TOLD_S_MAX, Watch


class Clock:
    """Moved by the test alone."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def look(self, watch: Watch, seconds: float, pause_s: float = 0.05) -> None:
        """Let time pass, looking as often as a node does that is not held up."""
        for _ in range(round(seconds / pause_s)):
            self.now_s += pause_s
            watch.look()


def test_who_says_nothing_is_silent_after_a_while_and_not_once_it_is_heard() -> None:
    """Only who was heard before can be silent; a word is enough."""
    clock = Clock()
    watch = Watch(clock)
    watch.hear(1)
    clock.look(watch, SILENT_S)
    assert not watch.is_silent(1)
    clock.look(watch, 0.1)
    assert watch.is_silent(1) and not watch.is_silent(2)
    watch.hear(1)
    assert not watch.is_silent(1)


def test_a_node_that_was_held_up_blames_nobody() -> None:
    """A minute without a look is no longer than the longest pause between two."""
    clock = Clock()
    watch = Watch(clock)
    watch.hear(1)
    clock.now_s += 60
    watch.look()
    assert watch.s == LOOK_S_MAX and not watch.is_silent(1)
    # On a machine so busy that each look comes late, others have as much longer.
    clock.look(watch, SILENT_S * 3, pause_s=LOOK_S_MAX * 4)
    assert not watch.is_silent(1)


def test_others_are_measured_by_how_far_the_chain_was_when_they_may_have_told() -> None:
    """A chain that makes hundreds of blocks a second leaves nobody behind who told a moment ago."""
    clock = Clock()
    watch = Watch(clock)
    assert watch.get_height_before() == 0
    for height in range(100, 1_100, 100):
        watch.read(height)
        clock.look(watch, TOLD_S_MAX / 10)
    assert watch.get_height_before() == 100
    clock.look(watch, TOLD_S_MAX / 2 + 0.05)
    assert watch.get_height_before() == 600
    clock.look(watch, 10)
    assert watch.get_height_before() == 1_000
    watch.read(40)
    assert watch.get_height_before() == 40, "the chain went back"


def test_what_lasts_too_long_is_ended_in_the_nodes_own_time() -> None:
    """Not while it is held up; at the look at which the time is over; and what ended in time is left alone."""

    async def main() -> None:
        clock = Clock()
        watch = Watch(clock)

        async def wait() -> None:
            async with watch.timeout(0.3):
                await asyncio.Event().wait()

        waiting = asyncio.create_task(wait())
        async with watch.timeout(0.05):
            await asyncio.sleep(0)
        for _ in range(2):
            clock.now_s += 60
            watch.look()
            await asyncio.sleep(0)
        assert not waiting.done()
        for _ in range(3):  # Ended once, however often is looked before it has noticed.
            clock.now_s += 60
            watch.look()
        with pytest.raises(TimeoutError):
            await waiting

    asyncio.run(main())
