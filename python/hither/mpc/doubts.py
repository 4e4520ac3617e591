"""Who was part of jobs that failed lately. Such a participant is asked last, so that one that is silent or lies costs
a few attempts and not every request.

Where the transcript proves who lied, that one alone is doubted; else all the others of the job, of whom those who are
innocent are cleared by their next job that ends well. Doubts pass with time: whoever has healed is asked again.
"""

import time
from collections.abc import Callable, Collection
from typing import Final

PASSES_S: Final = 60.0


class Doubts:
    """Failed jobs by participant, since the last good one."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._failed: dict[int, tuple[int, float]] = {}

    def add(self, others: Collection[int], culprit: int | None) -> None:
        """A job with these others failed."""
        for participant in {culprit} if culprit in others else others:
            assert participant is not None
            self._failed[participant] = self.count(participant) + 1, self._now_s()

    def clear(self, others: Collection[int]) -> None:
        """A job with these others ended well."""
        for participant in others:
            self._failed.pop(participant, None)

    def count(self, participant: int) -> int:
        """How many, if the last of them was not long ago."""
        times, last_s = self._failed.get(participant, (0, 0.0))
        return times if self._now_s() - last_s < PASSES_S else 0
