"""The Solana chain for development as a server: JSON-RPC and WebSocket on loopback, in this process.

Clients of Solana take it for a node: solana-py, @solana/web3.js. By Solana's custom the WebSocket is expected one
port above; both ports answer both.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec
import uvicorn
from solders.pubkey import Pubkey

from hither.foreign.caip import ChainId
from hither.foreign.engines.process import LOOPBACK
from hither.foreign.engines.solana_chain import GENESIS_HASH, Refused, SolanaChain
from hither.foreign.engines.solana_methods import MethodError, Methods
from hither.foreign.engines.solana_subscriptions import Connection
from hither.foreign.errors import EngineError

BODY_BYTES_MAX: Final = 50 * 1024
BATCH_MAX: Final = 100
FREE_PAIR_ATTEMPTS: Final = 50
SOLANA_DEVELOPMENT: Final = ChainId("solana", str(GENESIS_HASH)[:32])

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_CORS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", b"*"),
)


class Application:
    """The ASGI callable."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await Connection(self._methods).serve(receive, send)
        if scope["type"] != "http":
            return
        status, body = await self._route(scope, receive)
        headers = (
            *_CORS,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _route(self, scope: Message, receive: Receive) -> tuple[int, bytes]:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > BODY_BYTES_MAX:
                return 413, b'"the request is too large"'
            if not message.get("more_body"):
                break
        if scope["method"] == "OPTIONS":
            return 200, b""
        if scope["method"] in ("GET", "HEAD") and scope["path"] == "/health":
            return 200, b"ok"
        if scope["method"] != "POST":
            return 405, b'"JSON-RPC takes POST"'
        return 200, self.answer(body)

    def answer(self, body: bytes) -> bytes:
        """One request or a list of them."""
        try:
            request = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return msgspec.json.encode(_make_error(None, -32700, "Parse error"))
        if isinstance(request, list) and 0 < len(request) <= BATCH_MAX:
            return msgspec.json.encode([self._answer_one(item) for item in request])
        return msgspec.json.encode(self._answer_one(request))

    def _answer_one(self, request: Any) -> dict[str, Any]:
        request_id = request.get("id") if isinstance(request, dict) else None
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _make_error(request_id, -32600, "Invalid request")
        params = request.get("params") or []
        if not isinstance(params, list):
            return _make_error(request_id, -32602, "Invalid params: a list is needed")
        try:
            result = self._methods.answer(request["method"], params)
        except MethodError as error:
            return _make_error(request_id, error.code, str(error), error.data)
        return {"jsonrpc": "2.0", "result": result, "id": request_id}


def _make_error(request_id: Any, code: int, message: str, data: Any = None) -> dict[str, Any]:
    error = {"code": code, "message": message, "data": {} if data is None else data}
    return {"jsonrpc": "2.0", "error": error, "id": request_id}


class SolanaEngine:
    """A running Solana chain. Made by ``start_solana``."""

    chain: Final = SOLANA_DEVELOPMENT

    def __init__(self, inner: SolanaChain, listeners: list[socket.socket]) -> None:
        self.inner = inner
        self.port: int = listeners[0].getsockname()[1]
        self._listeners = listeners
        config = uvicorn.Config(
            Application(Methods(inner)),
            loop="none",
            http="httptools",
            ws="websockets-sansio",
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
    def process_id(self) -> int:
        """It runs in ours."""
        return os.getpid()

    async def start(self) -> None:
        """Returns when it answers."""
        self._task = asyncio.create_task(self._server.serve(sockets=self._listeners))
        while not self._server.started and not self._task.done():
            await asyncio.sleep(0)
        if self._task.done():
            raise EngineError("the Solana server ended before it was ready")

    async def is_healthy(self) -> bool:
        """Whether it still answers."""
        return self._task is not None and not self._task.done()

    async def fund(self, address: str, amount: int) -> str:
        """From the faucet; returns the transaction's signature."""
        try:
            record = self.inner.airdrop(Pubkey.from_string(address), amount)
        except (Refused, ValueError) as error:
            raise EngineError(
                f"Solana's faucet did not pay {amount} lamports to {address}: {error}"
            ) from None
        if record.error is not None:
            raise EngineError(f"Solana's faucet did not pay {amount} lamports to {address}: {record.error}")
        return record.signature

    async def mine(self, blocks: int = 1) -> None:
        """Let slots pass."""
        self.inner.advance(blocks)

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


async def start_solana(port: int = 0, now: Callable[[], float] = time.time) -> SolanaEngine:
    """Start a chain on a port and the next; port 0 takes a free pair. Raises ``EngineError``."""
    engine = SolanaEngine(SolanaChain(now), _listen_free() if port == 0 else _listen(port))
    await engine.start()
    return engine


def _listen_free() -> list[socket.socket]:
    """A free port whose neighbour is free too."""
    for _ in range(FREE_PAIR_ATTEMPTS):
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        with contextlib.suppress(EngineError, OverflowError):
            return _listen(port)
    raise EngineError("no two free ports beside each other were found")


def _listen(first: int) -> list[socket.socket]:
    """Both ports or none."""
    listeners: list[socket.socket] = []
    for port in (first, first + 1):
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
                hint="stop what listens there, or choose another port; Solana takes two",
            ) from error
    return listeners
