"""The Solana chain for development as a server: JSON-RPC and WebSocket on loopback, in this process.

Clients of Solana take it for a node: solana-py, @solana/web3.js, @solana/kit. By Solana's custom the WebSocket is
expected one port above; both ports answer both.
"""

import contextlib
import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from hither.foreign.caip import ChainId
from hither.foreign.engines import faucet
from hither.foreign.engines.gate import Gate
from hither.foreign.engines.http_edge import (
    JSON,
    TEXT,
    Answer,
    Edge,
    Receive,
    Send,
    Server,
    listen,
    read_json,
)
from hither.foreign.engines.ports import LOOPBACK
from hither.foreign.engines.solana_chain import GENESIS_HASH, SolanaChain
from hither.foreign.engines.solana_methods import Methods
from hither.foreign.engines.solana_params import MethodError
from hither.foreign.engines.solana_subscriptions import Connection
from hither.foreign.errors import EngineError

BODY_BYTES_MAX: Final = 50 * 1024
BATCH_MAX: Final = 100
FREE_PAIR_ATTEMPTS: Final = 50
SOLANA_DEVELOPMENT: Final = ChainId("solana", str(GENESIS_HASH)[:32])


class Application:
    """What the chain answers, over whatever edge."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods

    async def serve_socket(self, receive: Receive, send: Send) -> None:
        """One client's subscriptions."""
        await Connection(self._methods).serve(receive, send)

    def route(self, method: str, path: str, body: bytes) -> Answer:
        """To one HTTP request."""
        if method in ("GET", "HEAD") and path == "/health":
            return 200, TEXT, b"ok"
        if method != "POST":
            return 405, JSON, b'"JSON-RPC takes POST"'
        return 200, JSON, self.answer(body)

    def answer(self, body: bytes) -> bytes:
        """One request or a list of them."""
        try:
            request = read_json(body)
        except ValueError:
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

    def __init__(
        self, inner: SolanaChain, listeners: list[socket.socket], ending: contextlib.ExitStack
    ) -> None:
        self.inner = inner
        self._ending = ending
        application = Application(Methods(inner))
        self._gate = Gate()
        edge = Edge(
            application.route,
            body_bytes_max=BODY_BYTES_MAX,
            serve_socket=application.serve_socket,
            gate=self._gate,
        )
        self._server = Server(edge, listeners)

    @property
    def port(self) -> int:
        """The first of its two."""
        return self._server.port

    @property
    def url(self) -> str:
        """Where it answers."""
        return self._server.url

    @property
    def process_id(self) -> int:
        """It runs in ours."""
        return os.getpid()

    async def start(self) -> None:
        """Returns when it answers."""
        await self._server.start()

    async def is_healthy(self) -> bool:
        """Whether it still answers."""
        return self._server.is_running

    async def fund(self, address: str, amount: int) -> str:
        """From the faucet; returns the transaction's signature."""
        return await faucet.fund(self.chain, self.url, address, amount)

    async def mine(self, blocks: int = 1) -> None:
        """Let slots pass."""
        self.inner.let_pass(blocks)

    async def hold(self) -> None:
        """Take up nothing."""
        self._gate.hold()

    async def release(self) -> None:
        """Go on."""
        self._gate.release()

    async def snapshot(self, name: str) -> None:
        """Remember the present under a name, over a stop of any kind too."""
        self.inner.snapshot(name)

    async def revert(self, name: str) -> None:
        """Go back to a snapshot, which uses up it and all later ones. Raises ``UnknownSnapshot``."""
        self.inner.revert(name)

    async def persist(self) -> None:
        """Wait until the folder holds the present."""
        self.inner.persist()

    async def stop(self) -> None:
        """Let running requests end, and go. A second call does nothing."""
        await self._server.stop()
        self._ending.close()


async def start_solana(
    port: int = 0, now: Callable[[], float] = time.time, *, home: Path | None = None
) -> SolanaEngine:
    """Start a chain on a port and the next; port 0 takes a free pair. Raises ``EngineError``.

    ``home`` keeps it; without one it is gone with the engine.
    """
    listeners = _listen_free() if port == 0 else listen(port, port + 1)
    with contextlib.ExitStack() as undoing:
        for listener in listeners:
            undoing.callback(listener.close)
        if home is None:
            home = Path(undoing.enter_context(tempfile.TemporaryDirectory(prefix="hither-solana-")))
        inner = SolanaChain(now, home)
        undoing.callback(inner.close)
        engine = SolanaEngine(inner, listeners, undoing.pop_all())
    await engine.start()
    return engine


def _listen_free() -> list[socket.socket]:
    """A free port whose neighbour is free too."""
    for _ in range(FREE_PAIR_ATTEMPTS):
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        with contextlib.suppress(EngineError, OverflowError):
            return listen(port, port + 1)
    raise EngineError("no two free ports beside each other were found")
