"""Time as a node itself lives it, and of whom it heard nothing in that time.

A node looks around at short intervals. A look counts for no more than such an interval, however late it comes: a node
that was held up (a busy machine, a stopped process) does not take its own absence for the silence of all others, and
reads what waits for it before it gives anybody up.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

LOOK_PAUSE_S: Final = 0.05
LOOK_S_MAX: Final = 0.1
"""No more passes between two looks."""
SILENT_S: Final = 1.4
"""Of everybody who is well something is heard about three times in that time."""
TOLD_S_MAX: Final = 1.0
"""What others say of how far they have read is no older. A chain with instant blocks makes hundreds meanwhile."""


class Watch:
    """One node's. ``s`` is how long it was awake."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._looked_s = now_s()
        self._heard_s: dict[int, float] = {}
        self._ends_s: dict[asyncio.Timeout, float] = {}
        self._heights: deque[tuple[float, int]] = deque()
        self.s = 0.0

    def look(self) -> None:
        """Some time has passed. What lasts too long by now is ended."""
        now_s = self._now_s()
        self.s += min(now_s - self._looked_s, LOOK_S_MAX)
        self._looked_s = now_s
        for limit in [limit for limit, end_s in self._ends_s.items() if end_s <= self.s]:
            del self._ends_s[limit]
            limit.reschedule(asyncio.get_running_loop().time())

    def hear(self, participant: int) -> None:
        """Something came from this one."""
        self._heard_s[participant] = self.s

    def is_silent(self, participant: int) -> bool:
        """Whether it was heard once and is no longer."""
        return self.s - self._heard_s.get(participant, self.s) > SILENT_S

    def read(self, height: int) -> None:
        """The chain has been read as far as this."""
        if not self._heights or self._heights[-1][1] != height:
            self._heights.append((self.s, height))

    def get_height_before(self) -> int:
        """How far it was read when others may have told last; no more than now, if it went back. 0: it was not read."""
        while len(self._heights) > 1 and self._heights[1][0] <= self.s - TOLD_S_MAX:
            self._heights.popleft()
        return min(self._heights[0][1], self._heights[-1][1]) if self._heights else 0

    @contextlib.asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[None]:
        """As ``asyncio.timeout``, in this node's own time. Raises TimeoutError."""
        async with asyncio.timeout(None) as limit:
            self._ends_s[limit] = self.s + seconds
            try:
                yield
            finally:
                self._ends_s.pop(limit, None)
