"""The HTTP edge of the development nodes that are part of this program: loopback alone, any page may ask, one request
at a time, in the event loop of the process that runs it.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec
import uvicorn

from hither.foreign.engines.gate import CONTROL_PATH, Gate
from hither.foreign.engines.ports import LOOPBACK
from hither.foreign.errors import EngineError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = tuple[int, str, bytes]
"""Status, type of content, body."""

JSON: Final = "application/json"
TEXT: Final = "text/plain"
_CORS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"*"),
)


class Edge:
    """The ASGI callable: ``answer`` takes method, path and body; ``serve_socket`` a WebSocket's two ends.

    Requests wait at the ``gate`` before they are taken up.
    """

    def __init__(
        self,
        answer: Callable[[str, str, bytes], Answer],
        *,
        body_bytes_max: int,
        serve_socket: Callable[[Receive, Send], Awaitable[None]] | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._answer = answer
        self._gate = gate or Gate()
        self._body_bytes_max = body_bytes_max
        self._serve_socket = serve_socket

    @property
    def has_sockets(self) -> bool:
        """Whether it takes WebSockets."""
        return self._serve_socket is not None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and self._serve_socket is not None:

            async def receive_at_gate() -> Message:
                message = await receive()
                await self._gate.wait()
                return message

            await self._serve_socket(receive_at_gate, send)
        if scope["type"] != "http":
            return
        method = scope["method"]
        body = await self._read_body(receive)
        if scope["path"] != CONTROL_PATH:
            await self._gate.wait()
        if body is None:
            status, kind, content = 413, TEXT, b"the request is too large"
        elif method == "OPTIONS":
            status, kind, content = 204, TEXT, b""
        else:
            status, kind, content = self._answer(method, scope["path"], body)
        headers = (
            *_CORS,
            (b"content-type", kind.encode()),
            (b"content-length", str(len(content)).encode()),
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else content})

    async def _read_body(self, receive: Receive) -> bytes | None:
        """None when it is too large."""
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > self._body_bytes_max:
                return None
            if not message.get("more_body"):
                return b"".join(pieces)


def read_json(body: bytes | str) -> Any:
    """Raises ``ValueError`` for what is not JSON."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None


def listen(*ports: int) -> list[socket.socket]:
    """Sockets on all of them or on none; port 0 is any free one. Raises ``EngineError``."""
    listeners: list[socket.socket] = []
    for port in ports:
        # With the protocol named, asyncio switches Nagle's algorithm off, which holds answers back for 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listeners.append(listener)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((LOOPBACK, port))
            listener.listen()
            listener.setblocking(False)
        except OSError as error:
            for opened in listeners:
                opened.close()
            raise EngineError(
                f"port {port} is taken: {error.strerror}",
                hint="stop what listens there, or choose another port",
            ) from error
    return listeners


class Server:
    """An edge on its sockets."""

    def __init__(self, edge: Edge, listeners: list[socket.socket]) -> None:
        self.port: int = listeners[0].getsockname()[1]
        """The first one."""
        self._listeners = listeners
        config = uvicorn.Config(
            edge,
            loop="none",
            http="httptools",
            ws="websockets-sansio" if edge.has_sockets else "none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _QuietServer(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether it answers."""
        return self._task is not None and not self._task.done()

    async def start(self) -> None:
        """Returns when it answers. Raises ``EngineError``."""
        self._task = asyncio.create_task(self._server.serve(sockets=self._listeners))
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0)
        if self._task.done():
            raise EngineError("the server ended before it was ready")

    async def wait(self) -> None:
        """Until it has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Let running requests end, and go. A second call does nothing."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        for listener in self._listeners:
            listener.close()


class _QuietServer(uvicorn.Server):
    """Leaves signals to the program around it."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield
