"""The HTTP edge: a bare ASGI application over a dispatcher.

``POST /`` is JSON-RPC; ``GET /status``, ``/health``, ``/network_info`` and ``/metrics`` are for people and
monitors. Bodies, headers and refusals are those of NEAR's node.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import msgspec

from hither.rpc.ahead import Gatherer
from hither.rpc.context import BODY_SIZE_MAX, Context
from hither.rpc.dispatch import Answered, Call, Dispatcher, InvalidJson
from hither.rpc.errors import RpcError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DISCARDED_SIZE_MAX: Final = 64 * 1024 * 1024
"""How much of a refused body is read before the answer, so that a client that sends first can hear it."""

_JSON: Final = (b"content-type", b"application/json")
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_ALLOW_POST: Final = (b"allow", b"POST")
_ALLOW_GET: Final = (b"allow", b"GET,HEAD")
_METRICS_TYPE: Final = (b"content-type", b"text/plain")
_VARY: Final = (b"vary", b"origin, access-control-request-method, access-control-request-headers")
_PREFLIGHT_AGE: Final = (b"access-control-max-age", b"3600")

Answer = tuple[int, tuple[tuple[bytes, bytes], ...], bytes]


class _Disconnected(Exception):
    """The client went away before its request was complete."""


class _TooLarge(Exception):
    """The body is larger than allowed."""


class Application:
    """The ASGI callable."""

    def __init__(self, context: Context, dispatcher: Dispatcher) -> None:
        self.context = context
        self.dispatcher = dispatcher
        self.origins = tuple(origin.encode() for origin in context.settings.cors_allowed_origins)
        self.allows_any_origin = self.origins == (b"*",)
        self.announced_size_max = context.settings.announced_size_max

    @functools.cached_property
    def gatherer(self) -> Gatherer:
        """Fetches what requests need, for all that come in within a turn of the running event loop."""
        return Gatherer(asyncio.get_running_loop())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        try:
            status, answer_headers, body = await self.route(scope, headers, receive)
        except _Disconnected:
            return
        cors = self.make_cors_headers(scope["method"], headers)
        length = (b"content-length", str(len(body)).encode())
        all_headers = (*answer_headers, *cors, length)
        await send({"type": "http.response.start", "status": status, "headers": all_headers})
        content = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": content})

    async def route(self, scope: Message, headers: dict[bytes, bytes], receive: Receive) -> Answer:
        """The answer to one request."""
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > self.announced_size_max:
            await _discard(receive)
            return 413, (_TEXT,), b"length limit exceeded"
        path, method = scope["path"], scope["method"]
        if path == "/":
            return await self.route_root(method, headers, receive)
        await _discard(receive)
        if path not in ("/status", "/health", "/network_info", "/metrics"):
            return 404, (), b""
        if method == "OPTIONS":
            return 200, (_ALLOW_GET,), b""
        if method not in ("GET", "HEAD"):
            return 405, (_ALLOW_GET,), b""
        if path == "/metrics":
            return 200, (_METRICS_TYPE,), self.render_metrics()
        return self.answer_plain(path[1:])

    async def route_root(self, method: str, headers: dict[bytes, bytes], receive: Receive) -> Answer:
        """JSON-RPC, or what says that only that is here."""
        if method == "OPTIONS":
            await _discard(receive)
            return 200, (_ALLOW_POST,), b""
        if method != "POST":
            await _discard(receive)
            return 405, (_ALLOW_POST,), b""
        if not is_json(headers.get(b"content-type", b"")):
            await _discard(receive)
            return 415, (_TEXT,), b"Expected request with `Content-Type: application/json`"
        try:
            body = await _read_body(receive)
        except _TooLarge:
            return 413, (_TEXT,), b"Failed to buffer the request body: length limit exceeded"
        return await self.answer_call(body)

    async def answer_call(self, body: bytes) -> Answer:
        """The answer to the whole body of a JSON-RPC request."""
        call = self.read_call(body)
        if not isinstance(call, Call):
            return call
        return self.answer_at_once(call) if call.is_at_once else await self.answer_later(call)

    def read_call(self, body: bytes) -> Call | Answer:
        """What the body asks for, or the answer where it cannot be read."""
        try:
            call = self.dispatcher.read(body)
        except InvalidJson as error:
            return 400, (_TEXT,), str(error).encode()
        return call if isinstance(call, Call) else _as_json(call)

    def answer_at_once(self, call: Call) -> Answer:
        """The answer of a method that neither waits nor takes long."""
        return _as_json(self.dispatcher.answer_at_once(call))

    async def answer_later(self, call: Call) -> Answer:
        """The answer of any other."""
        return _as_json(await self.dispatcher.answer_later(call))

    def answer_plain(self, name: str) -> Answer:
        """A method without parameters, its result alone."""
        if name == "status":
            self.context.metrics.status_requests += 1
        try:
            result = self.dispatcher.methods[name].answer(self.context, None)
        except RpcError:
            return 503, (), b""
        return 200, (_JSON,), msgspec.json.encode(result)

    def render_metrics(self) -> bytes:
        """Prometheus' text."""
        context = self.context
        context.metrics.metrics_requests += 1
        gauges: dict[str, tuple[str, float]] = {
            "near_block_height_head": ("Height of the newest block", context.reader.get_head().height),
            "near_transaction_pool_entries": (
                "Transactions waiting in the pool",
                context.reader.get_pending_count(),
            ),
        }
        return context.metrics.render(gauges).encode()

    def make_cors_headers(self, method: str, headers: dict[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
        """Who may read the answer from a web page."""
        is_preflight = method == "OPTIONS" and b"access-control-request-method" in headers
        if self.allows_any_origin:
            common = (_VARY, (b"access-control-allow-origin", b"*"))
            if is_preflight:
                any_method = (b"access-control-allow-methods", b"*")
                return (*common, any_method, (b"access-control-allow-headers", b"*"))
            return (*common, (b"access-control-expose-headers", b"*"))
        origin = headers.get(b"origin")
        if origin is None or origin not in self.origins:
            return (_VARY,)
        allowed = (_VARY, (b"access-control-allow-origin", origin))
        if not is_preflight:
            return allowed
        methods = (b"access-control-allow-methods", b"GET,POST")
        names = (b"access-control-allow-headers", b"authorization,accept,content-type")
        return (*allowed, methods, names, _PREFLIGHT_AGE)


class MetricsApplication:
    """``GET /metrics`` of an application and nothing else, for a monitor that may not ask more."""

    def __init__(self, whole: Application) -> None:
        self.context = whole.context
        self._whole = whole

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/metrics":
            await send(
                {"type": "http.response.start", "status": 404, "headers": ((b"content-length", b"0"),)}
            )
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._whole(scope, receive, send)


def _as_json(answered: Answered) -> Answer:
    """The same with its content type."""
    status, body = answered
    return status, (_JSON,), body


def is_json(content_type: bytes) -> bool:
    """Whether a body of that type is taken for a request."""
    kind = content_type.partition(b";")[0].strip().lower()
    return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and message["type"] == "http.request":
        if len(body) > BODY_SIZE_MAX:
            raise _TooLarge
        return body
    parts, size = [body], len(body)
    while message.get("more_body", False) or message["type"] == "http.disconnect":
        if message["type"] == "http.disconnect":
            raise _Disconnected
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_SIZE_MAX:
            parts.clear()
        if size > DISCARDED_SIZE_MAX:
            break
    if size > BODY_SIZE_MAX:
        raise _TooLarge
    return b"".join(parts)


async def _discard(receive: Receive) -> None:
    """Read a body that nobody wants."""
    size = 0
    while size <= DISCARDED_SIZE_MAX:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            return


async def _live(receive: Receive, send: Send) -> None:
    """Start and end of the server: nothing to prepare, nothing to put away."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
