"""Where the clients of an engine wait while all engines and our chain are remembered as one.

While it is closed no client is answered and no request is taken up: what happened on one chain cannot lead to anything
on another, so that the snapshots of all of them are of one moment.
"""

import asyncio
from typing import Final

CONTROL_PATH: Final = "/hither/control"
"""Of HTTP servers: requests below it pass a closed gate. For the program that runs the engine."""


class Gate:
    """Open, unless somebody holds it."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self._opened.set()

    def hold(self) -> None:
        """From now on everybody waits."""
        self._opened.clear()

    def release(self) -> None:
        """Whoever waits goes on."""
        self._opened.set()

    async def wait(self) -> None:
        """Until it is open."""
        await self._opened.wait()
