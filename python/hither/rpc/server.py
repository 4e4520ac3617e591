"""A server on a socket: uvicorn around the ASGI application."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hither.chain.reader import ChainControl, ChainReader
from hither.rpc.context import Context, RpcSettings
from hither.rpc.dispatch import Dispatcher
from hither.rpc.http import Application
from hither.rpc.methods import make_methods
from hither.vm import Vm

DEFAULT_HOST: Final = "127.0.0.1"
BACKLOG: Final = 2048
SHUTDOWN_TIMEOUT_SECONDS: Final = 5
KEEP_ALIVE_SECONDS: Final = 75
REQUEST_LINE_SIZE_MAX: Final = 64 * 1024


def make_application(
    reader: ChainReader, control: ChainControl, vm: Vm | None, settings: RpcSettings | None = None
) -> Application:
    """The ASGI application. Development methods are there only on a development chain."""
    context = Context(reader, control, vm, settings or RpcSettings())
    methods = make_methods(context.protocol_version, is_development=control.is_development)
    return Application(context, Dispatcher(context, methods))


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ``OSError`` when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def format_address(listener: socket.socket) -> str:
    """``host:port`` of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class GatheringProtocol(HttpToolsProtocol):
    """uvicorn's protocol, but head and body of an answer leave in one system call.

    A call on a socket takes a third of the time of a short request, and holds the interpreter lock.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_GatheringTransport(transport, self.loop))  # type: ignore[arg-type]


class _GatheringTransport:
    """A transport whose writes of one turn of the event loop go out together; the rest is the transport's."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.get_extra_info = transport.get_extra_info

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class RpcServer:
    """A running server. ``address`` is where it listens; ``close`` lets requests end first."""

    def __init__(self, application: Application, listener: socket.socket) -> None:
        self.application = application
        self.address = format_address(listener)
        self._listener = listener
        config = uvicorn.Config(
            application,
            loop="none",
            http=GatheringProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECONDS,
        )
        self._server = _QuietServer(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to answer; returns when it does."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        while not self._server.started:
            if self._task.done():
                await self._task
                return
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Take no more connections, let running requests end (those that wait: at once), and go."""
        self.application.context.close()
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._listener.close()

    async def wait(self) -> None:
        """Until the server has ended."""
        if self._task is not None:
            await self._task


class _QuietServer(uvicorn.Server):
    """Leaves signals to the program around it."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


@contextlib.asynccontextmanager
async def serve(
    reader: ChainReader,
    control: ChainControl,
    vm: Vm | None,
    listener: socket.socket,
    settings: RpcSettings | None = None,
) -> AsyncIterator[RpcServer]:
    """Serve on a bound socket as long as the block runs."""
    settings = settings or RpcSettings()
    if settings.rpc_address is None:
        settings = msgspec.structs.replace(settings, rpc_address=format_address(listener))
    server = RpcServer(make_application(reader, control, vm, settings), listener)
    await server.start()
    try:
        yield server
    finally:
        await server.close()
