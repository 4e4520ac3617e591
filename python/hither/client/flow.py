"""Operations without I/O: generators that ask for effects and go on with the answers.

An operation yields a ``Call`` (one JSON-RPC request), a ``Pause``, ``AskTime`` or ``TakeTurn``, and is
resumed with the result, or has the error thrown into it. The synchronous and the asynchronous client drive
the same operations; tests drive them with a list of answers.
"""

from collections.abc import Generator, Mapping
from typing import Any, TypeVar

import msgspec

from hither.client.errors import ClientError, TransportError, make_rpc_error
from hither.client.signer import Lane

T = TypeVar("T")


class Call(msgspec.Struct, frozen=True):
    """A request to the node."""

    method: str
    params: Any


class Pause(msgspec.Struct, frozen=True):
    """Wait so long."""

    seconds: float


class AskTime(msgspec.Struct, frozen=True):
    """Seconds of a clock that never goes back."""


class TakeTurn(msgspec.Struct, frozen=True):
    """Be the only one who signs with this lane. The answer is a function that ends the turn."""

    lane: Lane


Effect = Call | Pause | AskTime | TakeTurn
Flow = Generator[Effect, Any, T]


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often and how patiently a request that may be repeated is repeated."""

    attempts: int = 5
    """In all, the first included."""
    first_pause_seconds: float = 0.2
    """After the first failure; doubled after each further one."""
    pause_seconds_max: float = 5.0

    def get_pause(self, failures: int) -> float:
        """The pause after so many failures: doubled each time, up to a limit."""
        return min(self.first_pause_seconds * float(2 ** (failures - 1)), self.pause_seconds_max)


def call(method: str, params: Any, policy: RetryPolicy | None) -> Flow[Any]:
    """One request; with a policy it is repeated after errors that may pass.

    Only requests that do the same when they arrive twice may have a policy: reads, and sending
    a signed transaction, which a node takes again without effect.
    """
    failures = 0
    while True:
        try:
            return (yield Call(method, params))
        except ClientError as error:
            error.was_sent_before = failures > 0
            failures += 1
            if policy is None or not error.retryable or failures >= policy.attempts:
                raise
            yield Pause(policy.get_pause(failures))


def encode_request(request_id: int, effect: Call) -> bytes:
    """The body of an HTTP request."""
    return msgspec.json.encode(
        {"jsonrpc": "2.0", "id": request_id, "method": effect.method, "params": effect.params}
    )


def decode_answer(http_status: int, body: bytes) -> Any:
    """The result, or the node's error as an exception."""
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        text = body[:200].decode(errors="replace").strip()
        raise TransportError(f"HTTP {http_status}, not JSON: {text}", http_status) from None
    if not isinstance(answer, Mapping):
        raise TransportError(f"HTTP {http_status}, not an answer of JSON-RPC", http_status)
    error = answer.get("error")
    if error is not None:
        raise make_rpc_error(error if isinstance(error, Mapping) else {"data": error}, http_status)
    if "result" not in answer:
        raise TransportError(f"HTTP {http_status}, an answer without result", http_status)
    return answer["result"]
