"""One asynchronous JSON-RPC client for the endpoints of all chains.

What is repeated: a request that never left (no connection) or was refused for its rate, always; any other failure
only when the caller says that the request does the same when it arrives twice. Pauses double and are drawn at random
between half and whole, so that clients do not come back together. The answer's error is an ``EndpointError``,
whatever the HTTP status beside it.
"""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
import msgspec

from hither.foreign.errors import EndpointError, TransportError

ANSWER_SIZE_BYTES_MAX: Final = 64 * 1024 * 1024
_HEADERS: Final = {"content-type": "application/json"}
_NEVER_LEFT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_LIMIT_EXCEEDED: Final = -32005
"""The code that EVM endpoints give when a client asks too often."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently."""

    attempts: int = 4
    first_pause_seconds: float = 0.2
    pause_seconds_max: float = 5.0

    def compute_pause(self, failures: int, chance: float) -> float:
        """The pause after so many failures; ``chance`` is from 0 to 1."""
        whole = min(self.first_pause_seconds * 2.0 ** (failures - 1), self.pause_seconds_max)
        return whole * (0.5 + chance / 2)


class JsonRpc:
    """One endpoint. ``headers`` may carry a key; it is never put into an error."""

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 15.0,
        policy: RetryPolicy | None = None,
        headers: dict[str, str] | None = None,
        credentials: tuple[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._url = url
        self._policy = policy or RetryPolicy()
        self._sleep = sleep
        self._draw = draw
        self._request_ids = itertools.count(1)
        self._http = httpx.AsyncClient(
            timeout=timeout_seconds,
            headers={**_HEADERS, **(headers or {})},
            auth=credentials,
            transport=transport,
            # Certificates take a tenth of a second to load; endpoints on this machine have none.
            verify=httpx.URL(url).scheme == "https",
        )

    @property
    def host(self) -> str:
        """Where it is, without path and query, where providers put keys."""
        return httpx.URL(self._url).host

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(self, method: str, params: Sequence[Any] = (), *, is_repeatable: bool = True) -> Any:
        """The result. Raises ``EndpointError`` or ``TransportError``.

        ``is_repeatable`` is for requests that do the same when they arrive twice: reads, and sending the very same
        signed transaction.
        """
        request_id = next(self._request_ids)
        body = msgspec.json.encode(
            {"jsonrpc": "2.0", "id": request_id, "method": method, "params": list(params)}
        )
        failures = 0
        while True:
            try:
                return await self._call_once(method, request_id, body)
            except (TransportError, _RateLimited) as error:
                failures += 1
                has_not_run = isinstance(error, _RateLimited) or isinstance(error.__cause__, _NEVER_LEFT)
                is_safe = is_repeatable or has_not_run
                if not (error.retryable and is_safe) or failures >= self._policy.attempts:
                    raise
                await self._sleep(self._policy.compute_pause(failures, self._draw()))

    async def _call_once(self, method: str, request_id: int, body: bytes) -> Any:
        try:
            answer = await self._http.post(self._url, content=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The error's own text may hold the whole URL.
            raise TransportError(f"{self.host}: {method}: {type(error).__name__}") from error
        return _decode(self.host, method, request_id, answer)


class _RateLimited(EndpointError):
    """The endpoint answered that it was asked too often."""

    code = "RATE_LIMITED"
    retryable = True


def _decode(host: str, method: str, request_id: int, answer: httpx.Response) -> Any:
    """The result, or what the endpoint says is wrong."""
    if len(answer.content) > ANSWER_SIZE_BYTES_MAX:
        raise TransportError(f"{host}: {method}: an answer of {len(answer.content)} bytes", http_status=413)
    try:
        body = msgspec.json.decode(answer.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    if isinstance(body, dict):
        error = body.get("error")
        if error is not None:
            raise _make_error(method, error, answer.status_code)
        if answer.is_success and "result" in body and body.get("id") == request_id:
            return body["result"]
    raise TransportError(
        f"{host}: {method}: HTTP {answer.status_code} without a JSON-RPC answer",
        # Success without an answer is a broken proxy; it may pass.
        http_status=None if answer.is_success else answer.status_code,
    )


def _make_error(method: str, error: Any, http_status: int) -> EndpointError:
    if not isinstance(error, dict):
        return EndpointError(f"{method}: {error}")
    code = error.get("code")
    rpc_code = code if isinstance(code, int) else None
    message = f"{method}: {error.get('message', 'no reason given')}"
    if rpc_code == _LIMIT_EXCEEDED or http_status == 429:
        return _RateLimited(message, rpc_code=rpc_code, data=error.get("data"))
    return EndpointError(message, rpc_code=rpc_code, data=error.get("data"))
