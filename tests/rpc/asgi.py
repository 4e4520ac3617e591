"""Call the ASGI application as a server would, with no socket between."""

from dataclasses import dataclass
from typing import Any

from hither.rpc.http import Application


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


async def call(
    application: Application, method: str, path: str, body: bytes, headers: dict[str, str]
) -> HttpAnswer:
    """One request; a body is announced by its length as clients do."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    if body:
        raw.append((b"content-length", str(len(body)).encode()))
    scope = {"type": "http", "method": method, "path": path, "headers": raw}
    inbox: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return inbox.pop(0) if inbox else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await application(scope, receive, send)
    start, *parts = sent
    answer_headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return HttpAnswer(start["status"], answer_headers, b"".join(part.get("body", b"") for part in parts))


async def post(application: Application, body: bytes) -> HttpAnswer:
    """A JSON-RPC request."""
    return await call(application, "POST", "/", body, {"content-type": "application/json"})
