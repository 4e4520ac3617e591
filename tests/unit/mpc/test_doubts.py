"""Who is asked last."""

from hither.mpc.doubts import PASSES_S, Doubts


def test_failures_are_counted_until_a_job_ends_well() -> None:
    """Of all others where nobody is proved to have lied, else of that one."""
    doubts = Doubts(lambda: 100.0)
    doubts.add({1, 2}, None)
    doubts.add({1, 3}, 1)
    assert [doubts.count(participant) for participant in (1, 2, 3)] == [2, 1, 0]
    doubts.add({2, 3}, 9)  # Who has no part in the job cannot be to blame for it.
    assert [doubts.count(participant) for participant in (2, 3, 9)] == [2, 1, 0]
    doubts.clear({1, 2})
    assert [doubts.count(participant) for participant in (1, 2, 3)] == [0, 0, 1]


def test_a_doubt_passes() -> None:
    """Nobody is left out for ever."""
    now_s = 0.0
    doubts = Doubts(lambda: now_s)
    doubts.add({1}, None)
    now_s = PASSES_S - 1
    assert doubts.count(1) == 1
    doubts.add({1}, None)
    now_s += PASSES_S - 1
    assert doubts.count(1) == 2
    now_s += 1
    assert doubts.count(1) == 0
    doubts.add({1}, None)
    assert doubts.count(1) == 1
