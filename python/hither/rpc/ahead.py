"""Records that several requests need, fetched in one question to the process that has the states.

A question costs two system calls, waking a thread there, and waiting for it: more than all the rest of reading an
account. Requests that come in within one turn of the event loop share it.
"""

import asyncio
from collections.abc import Callable

from hither.rpc.context import Foreseen
from hither.state import read_ahead


class Gatherer:
    """Calls back once what was foreseen is at hand; each in a call of its own, so that none fails with another."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._wanted: list[Foreseen] = []
        self._callers: list[Callable[[], None]] = []

    def add(self, wanted: Foreseen, call_back: Callable[[], None]) -> None:
        """Ask for a record together with the others of this turn."""
        if not self._wanted:
            self._loop.call_soon(self._fetch)
        self._wanted.append(wanted)
        self._callers.append(call_back)

    def _fetch(self) -> None:
        wanted, self._wanted = self._wanted, []
        callers, self._callers = self._callers, []
        for call_back in callers:
            self._loop.call_soon(call_back)
        if len(wanted) > 1:
            read_ahead(wanted)
