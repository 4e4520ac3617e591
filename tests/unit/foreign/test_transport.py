"""The JSON-RPC client: what it repeats, what it never repeats, and what it says when it gives up."""

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest

from hither.foreign.errors import EndpointError, TransportError
from hither.foreign.transport import JsonRpc, RetryPolicy

Answer = httpx.Response | Exception


class Endpoint:
    """Gives the prepared answers in order; remembers requests and pauses."""

    def __init__(self, *answers: Answer | Callable[[int], Answer]) -> None:
        self.answers = list(answers)
        self.requests: list[dict[str, object]] = []
        self.pauses: list[float] = []
        self.client = JsonRpc(
            "http://endpoint.test/secret-key",
            transport=httpx.MockTransport(self.answer),
            sleep=self.sleep,
            draw=lambda: 1.0,
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(json.loads(request.content))
        answer = self.answers.pop(0)
        if callable(answer):
            answer = answer(int(str(self.requests[-1]["id"])))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def call(self, *, is_repeatable: bool = True) -> object:
        return asyncio.run(self.client.call("eth_chainId", is_repeatable=is_repeatable))


def good(request_id: int) -> httpx.Response:
    return httpx.Response(200, json={"jsonrpc": "2.0", "id": request_id, "result": "0x1"})


def test_a_read_is_repeated_until_it_is_answered() -> None:
    """A time-out, a busy server and a broken proxy pass; pauses double."""
    endpoint = Endpoint(httpx.ReadTimeout("late"), httpx.Response(503), httpx.Response(200, text="<p>"), good)
    assert endpoint.call() == "0x1"
    assert endpoint.pauses == [0.2, 0.4, 0.8]


def test_it_gives_up_after_its_attempts_and_names_no_key() -> None:
    """The path of the address may be a provider's key."""
    endpoint = Endpoint(*[httpx.ReadTimeout("at http://endpoint.test/secret-key")] * 4)
    with pytest.raises(TransportError) as caught:
        endpoint.call()
    assert caught.value.retryable
    assert str(caught.value) == "endpoint.test: eth_chainId: ReadTimeout"


def test_what_must_not_arrive_twice_is_not_repeated() -> None:
    """A time-out after sending says nothing about arrival."""
    endpoint = Endpoint(httpx.ReadTimeout("late"), good)
    with pytest.raises(TransportError):
        endpoint.call(is_repeatable=False)
    assert len(endpoint.requests) == 1


def test_what_never_left_is_repeated_always() -> None:
    """Without a connection nothing can have arrived."""
    endpoint = Endpoint(httpx.ConnectError("refused"), good)
    assert endpoint.call(is_repeatable=False) == "0x1"


def test_an_error_of_the_endpoint_is_told_whole_and_not_repeated() -> None:
    """Bitcoin's nodes give it with HTTP status 500."""
    error = {"code": -26, "message": "dust", "data": {"at": 1}}
    endpoint = Endpoint(httpx.Response(500, json={"result": None, "error": error, "id": 1}))
    with pytest.raises(EndpointError, match="eth_chainId: dust") as caught:
        endpoint.call()
    assert (caught.value.rpc_code, caught.value.data, caught.value.retryable) == (-26, {"at": 1}, False)


@pytest.mark.parametrize(
    "refusal",
    [
        httpx.Response(429),
        httpx.Response(200, json={"id": 1, "error": {"code": -32005, "message": "too many requests"}}),
    ],
)
def test_a_rate_limit_is_waited_out(refusal: httpx.Response) -> None:
    """Whether it comes as a status or as an error."""
    endpoint = Endpoint(refusal, good)
    assert endpoint.call() == "0x1"
    assert endpoint.pauses == [0.2]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_that_stays_is_not_repeated(status: int) -> None:
    """A missing key does not come with time."""
    endpoint = Endpoint(httpx.Response(status, text="no"), good)
    with pytest.raises(TransportError) as caught:
        endpoint.call()
    assert (caught.value.http_status, caught.value.retryable) == (status, False)


def test_an_answer_to_another_request_is_no_answer() -> None:
    """Ids must match."""
    endpoint = Endpoint(lambda request_id: good(request_id + 1), good)
    assert endpoint.call() == "0x1"
    assert len(endpoint.requests) == 2


def test_pauses_are_spread_and_bounded() -> None:
    """From half to whole, never above the limit."""
    policy = RetryPolicy(first_pause_seconds=1.0, pause_seconds_max=3.0)
    assert [policy.compute_pause(failures, 0.0) for failures in (1, 2, 3)] == [0.5, 1.0, 1.5]
    assert policy.compute_pause(9, 1.0) == 3.0
