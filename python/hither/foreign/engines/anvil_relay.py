"""Stands between an anvil and its clients, so that nobody is told of a block that would not survive.

Bytes go through as they are, HTTP and WebSocket alike. What anvil answers is held back until ``keep`` has returned: by
then every block that anvil had when it answered is in the journal. Both directions wait at a gate.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from hither.foreign.engines.gate import Gate
from hither.foreign.engines.http_edge import listen
from hither.foreign.engines.ports import LOOPBACK
from hither.foreign.errors import ForeignError

PIECE_BYTES_MAX: Final = 1024 * 1024


class Relay:
    """Listens from ``start`` to ``stop``. Raises ``EngineError`` when the port is taken."""

    def __init__(self, port: int, keep: Callable[[], Awaitable[None]]) -> None:
        (self._listener,) = listen(port)
        self.port: int = self._listener.getsockname()[1]
        self.gate = Gate()
        self._keep = keep
        self._behind = 0
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self, behind: int) -> None:
        """``behind`` is anvil's own port; a second call names that of the next anvil."""
        self._behind = behind
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, sock=self._listener, limit=PIECE_BYTES_MAX)

    async def stop(self) -> None:
        """Let go of the port and of every client."""
        if self._server is not None:
            self._server.close()
        self._listener.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _keep_and_wait(self) -> None:
        await self._keep()
        await self.gate.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "the server runs this as a task"
        self._clients.add(task)
        try:
            # Cancelled by `stop` alone, and nobody is above: the stream's own callback would complain.
            with contextlib.suppress(OSError, asyncio.CancelledError):
                answers, requests = await asyncio.open_connection(
                    LOOPBACK, self._behind, limit=PIECE_BYTES_MAX
                )
                try:
                    await self._relay(reader, requests, answers, writer)
                finally:
                    requests.close()
        finally:
            writer.close()
            self._clients.discard(task)

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        requests: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Until either side has ended."""
        forth = asyncio.create_task(_copy(reader, requests, self.gate.wait))
        back = asyncio.create_task(_copy(answers, writer, self._keep_and_wait))
        try:
            await asyncio.wait((forth, back), return_when=asyncio.FIRST_COMPLETED)
        finally:
            forth.cancel()
            back.cancel()
            await asyncio.gather(forth, back, return_exceptions=True)


async def _copy(
    source: asyncio.StreamReader,
    target: asyncio.StreamWriter,
    before: Callable[[], Awaitable[None]],
) -> None:
    # When anvil is gone its last answer cannot be kept, so nobody gets it.
    with contextlib.suppress(OSError, ForeignError):
        while piece := await source.read(PIECE_BYTES_MAX):
            await before()
            target.write(piece)
            await target.drain()
