"""``/metrics`` and ``/health`` of a signing node, for the machine that it runs on."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec
import uvicorn

PREFIX = "hither_mpc_"


class Metric(msgspec.Struct, frozen=True):
    """One figure: a counter or a gauge, with labels."""

    name: str
    kind: str
    help: str
    value: float
    labels: Mapping[str, str] = {}


def format_metrics(metrics: list[Metric]) -> str:
    """The text format of Prometheus, version 0.0.4: each name's rows together, under its help and type."""
    by_name: dict[str, list[Metric]] = {}
    for metric in metrics:
        by_name.setdefault(metric.name, []).append(metric)
    lines = []
    for name, rows in by_name.items():
        lines += [f"# HELP {PREFIX}{name} {rows[0].help}", f"# TYPE {PREFIX}{name} {rows[0].kind}"]
        for row in rows:
            labels = ",".join(f'{key}="{_escape(value)}"' for key, value in row.labels.items())
            lines.append(
                f"{PREFIX}{name}{{{labels}}} {row.value:g}" if labels else f"{PREFIX}{name} {row.value:g}"
            )
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def make_application(
    get_metrics: Callable[[], list[Metric]], get_health: Callable[[], dict[str, Any]]
) -> Application:
    """An ASGI application with two pages. ``/health`` answers 503 unless ``status`` is ``ok``."""

    async def application(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, kind, body = 404, b"text/plain", b"there are /metrics and /health\n"
        if scope["path"] == "/metrics":
            status, kind = 200, b"text/plain; version=0.0.4"
            body = format_metrics(get_metrics()).encode()
        elif scope["path"] == "/health":
            health = get_health()
            status, kind = (200 if health["status"] == "ok" else 503), b"application/json"
            body = msgspec.json.encode(health) + b"\n"
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body})

    return application


class _QuietServer(uvicorn.Server):
    """Leaves signals to the program around it."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


@contextlib.asynccontextmanager
async def serve(application: Application, host: str, port: int) -> AsyncIterator[str]:
    """Answer on this machine while the context is open; yields ``host:port``. Raises OSError."""
    listener = socket.create_server((host, port))
    bound = listener.getsockname()
    config = uvicorn.Config(
        application,
        loop="none",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
    )
    server = _QuietServer(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"{bound[0]}:{bound[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
