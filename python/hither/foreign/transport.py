"""One asynchronous JSON-RPC client for the endpoints of all chains; ``quorum`` asks several of them.

What is repeated: a request that never left (no connection) or was refused for its rate, always; any other failure
only when the caller says that the request does the same when it arrives twice. Pauses double and are drawn at
random between half and whole, so that clients do not come back together; an endpoint that says how long to stay
away is obeyed, within reason. The answer's error is an ``EndpointError``, whatever the HTTP status beside it. A
time-out is for the whole answer: an endpoint that sends a byte now and then stalls as well.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import httpx
import msgspec

from hither.foreign.errors import EndpointError, EndpointTimeout, RateLimited, TransportError

ANSWER_SIZE_BYTES_MAX: Final = 64 * 1024 * 1024
_HEADERS: Final = {"content-type": "application/json"}
RATE_PAUSE_SECONDS_MAX: Final = 30.0
"""A longer stay that an endpoint asks for is an error to the caller."""

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


class RateLimit:
    """No more than so many requests a second; ``burst`` of them may come at once. For clients of one event loop."""

    def __init__(
        self,
        requests_per_second: float,
        burst: int = 1,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if requests_per_second <= 0 or burst < 1:
            raise ValueError("a rate limit lets at least one request through, at more than none a second")
        self._interval_seconds = 1 / requests_per_second
        self._slack_seconds = (burst - 1) * self._interval_seconds
        self._sleep = sleep
        self._clock = clock
        self._next_at = float("-inf")

    async def wait(self) -> None:
        """Until the next request may leave. Who comes first goes first."""
        now = self._clock()
        at = max(self._next_at, now - self._slack_seconds)
        self._next_at = at + self._interval_seconds
        if at > now:
            await self._sleep(at - now)


class Rpc(Protocol):
    """What adapters ask: one endpoint, or several that must agree."""

    @property
    def host(self) -> str:
        """Where it is, for messages; no keys are in it."""
        ...

    async def call(self, method: str, params: Sequence[Any] = (), *, is_repeatable: bool = True) -> Any:
        """The result. Raises ``EndpointError`` or ``TransportError``."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


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
        rate_limit: RateLimit | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._rate_limit = rate_limit
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
        url = httpx.URL(self._url)
        return url.host if url.port is None else f"{url.host}:{url.port}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(
        self, method: str, params: Sequence[Any] | Mapping[str, Any] = (), *, is_repeatable: bool = True
    ) -> Any:
        """The result. Raises ``EndpointError`` or ``TransportError``.

        ``is_repeatable`` is for requests that do the same when they arrive twice: reads, and sending the very same
        signed transaction.
        """
        request_id = next(self._request_ids)
        named = params if isinstance(params, Mapping) else list(params)
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "method": method, "params": named})
        failures = 0
        while True:
            try:
                return await self._call_once(method, request_id, body)
            except (TransportError, RateLimited) as error:
                failures += 1
                has_not_run = isinstance(error, RateLimited) or isinstance(error.__cause__, _NEVER_LEFT)
                is_safe = is_repeatable or has_not_run
                if not (error.retryable and is_safe) or failures >= self._policy.attempts:
                    raise
                pause_seconds = self._policy.compute_pause(failures, self._draw())
                if isinstance(error, RateLimited) and error.pause_seconds is not None:
                    if error.pause_seconds > RATE_PAUSE_SECONDS_MAX:
                        raise
                    pause_seconds = max(pause_seconds, error.pause_seconds)
                await self._sleep(pause_seconds)

    async def _call_once(self, method: str, request_id: int, body: bytes) -> Any:
        if self._rate_limit is not None:
            await self._rate_limit.wait()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                answer, content = await self._post(method, body)
        except TimeoutError:
            raise EndpointTimeout(
                f"{self.host}: {method}: no whole answer in {self._timeout_seconds:g} s"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The error's own text may hold the whole URL.
            kind = EndpointTimeout if isinstance(error, httpx.TimeoutException) else TransportError
            raise kind(f"{self.host}: {method}: {type(error).__name__}") from error
        return _decode(self.host, method, request_id, answer, content)

    async def _post(self, method: str, body: bytes) -> tuple[httpx.Response, bytes]:
        """Read no more than an answer may have."""
        async with self._http.stream("POST", self._url, content=body) as answer:
            content = bytearray()
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > ANSWER_SIZE_BYTES_MAX:
                    raise TransportError(
                        f"{self.host}: {method}: an answer of more than {ANSWER_SIZE_BYTES_MAX} bytes",
                        http_status=413,
                    )
            return answer, bytes(content)


def _decode(host: str, method: str, request_id: int, answer: httpx.Response, content: bytes) -> Any:
    """The result, or what the endpoint says is wrong."""
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    if isinstance(body, dict):
        error = body.get("error")
        if error is not None:
            raise _make_error(method, error, answer)
        if answer.is_success and "result" in body and body.get("id") == request_id:
            return body["result"]
    if answer.status_code == 429:
        raise _make_rate_limited(f"{host}: {method}: asked too often", answer)
    raise TransportError(
        f"{host}: {method}: HTTP {answer.status_code} without a JSON-RPC answer",
        # Success without an answer is a broken proxy; it may pass.
        http_status=None if answer.is_success else answer.status_code,
    )


def _make_error(method: str, error: Any, answer: httpx.Response) -> EndpointError:
    if not isinstance(error, dict):
        return EndpointError(f"{method}: {error}")
    code = error.get("code")
    rpc_code = code if isinstance(code, int) else None
    message = f"{method}: {error.get('message', 'no reason given')}"
    if rpc_code == _LIMIT_EXCEEDED or answer.status_code == 429:
        return _make_rate_limited(message, answer, rpc_code, error.get("data"))
    return EndpointError(message, rpc_code=rpc_code, data=error.get("data"), cause=error.get("cause"))


def _make_rate_limited(
    message: str, answer: httpx.Response, rpc_code: int | None = None, data: Any = None
) -> RateLimited:
    error = RateLimited(message, rpc_code=rpc_code, data=data)
    pause = answer.headers.get("retry-after", "")
    # The other form, a date, depends on two clocks that agree; nobody sends it for this.
    if pause.isascii() and pause.isdecimal():
        error.pause_seconds = float(pause[:9])
    return error
