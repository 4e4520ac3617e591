"""Several endpoints that lie, stall, lag, limit their rate or are gone, in the place of one."""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from hither.foreign.errors import (
    EndpointError,
    EndpointsDisagree,
    EndpointTimeout,
    LyingEndpoint,
    RateLimited,
    TransportError,
)
from hither.foreign.evm_agreement import EVM_READING
from hither.foreign.quorum import STRICT, Quorum, Reading
from hither.foreign.solana_agreement import SOLANA_READING
from hither.foreign.transport import JsonRpc, RateLimit, RetryPolicy

Answer = dict[str, Any] | httpx.Response | Exception
ANSWERS: dict[str, Any] = {
    "eth_chainId": "0x1",
    "eth_blockNumber": "0x10",
    "eth_gasPrice": "0x64",
    "eth_getBalance": "0x7",
    "eth_sendRawTransaction": "0xid",
    "eth_getTransactionReceipt": {
        "transactionHash": "0xab",
        "status": "0x1",
        "logs": [],
        "blockNumber": "0x9",
    },
}


class Node:
    """Answers as an honest node does, unless told otherwise; remembers what it was asked."""

    def __init__(
        self, answer: Callable[[str, list[Any]], Any] | None = None, *, stalls: bool = False
    ) -> None:
        self.asked: list[tuple[str, list[Any]]] = []
        self._answer = answer
        self._stalls = stalls
        self._delay_seconds = 0.0

    async def handle(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        method, params = body["method"], body["params"]
        self.asked.append((method, params))
        if self._stalls:
            await asyncio.sleep(3600)
        await asyncio.sleep(self._delay_seconds)
        result = ANSWERS.get(method)
        if self._answer is not None:
            result = self._answer(method, params)
        if isinstance(result, Exception):
            raise result
        if isinstance(result, httpx.Response):
            return result
        return httpx.Response(200, json={"id": body["id"], "result": result})


def lie(method_lied: str, result: Any) -> Node:
    """Honest but for one method."""
    return Node(lambda method, _params: result if method == method_lied else ANSWERS[method])


async def rest(_seconds: float) -> None:
    """No pause in tests."""


def ask(
    nodes: Sequence[Node],
    agree: int,
    method: str,
    params: Sequence[Any] = (),
    reading: Reading = EVM_READING,
    timeout_seconds: float = 5.0,
) -> Any:
    """One request to a quorum of these nodes."""

    async def run() -> Any:
        endpoints = [
            JsonRpc(
                f"http://node-{index}.test/key",
                transport=httpx.MockTransport(node.handle),
                policy=RetryPolicy(attempts=1),
                timeout_seconds=timeout_seconds,
            )
            for index, node in enumerate(nodes)
        ]
        quorum = Quorum(endpoints, agree, reading, sleep=rest, grace_seconds=0.02)
        try:
            return await quorum.call(method, params)
        finally:
            await quorum.close()

    return asyncio.run(run())


def refuse(_method: str, _params: list[Any]) -> Exception:
    return httpx.ConnectError("refused")


@pytest.mark.parametrize(
    "other",
    [
        lie("eth_chainId", "0x2"),
        Node(stalls=True),
        Node(refuse),
        Node(lambda _method, _params: httpx.Response(429)),
        Node(lambda _method, _params: httpx.Response(200, text="<p>")),
        Node(
            lambda _method, _params: httpx.Response(
                200, json={"id": 1, "error": {"code": -1, "message": "no"}}
            )
        ),
    ],
    ids=["lies", "stalls", "is gone", "limits its rate", "is a broken proxy", "refuses"],
)
def test_two_of_three_are_enough_whatever_the_third_does(other: Node) -> None:
    """In any place among them."""
    for place in range(3):
        nodes = [Node(), Node()]
        nodes.insert(place, other)
        assert ask(nodes, 2, "eth_chainId") == "0x1"


def test_endpoints_that_disagree_are_told_of() -> None:
    """After they were asked again; how many gave which answer, without anybody's key."""
    nodes = [lie("eth_getBalance", hex(amount)) for amount in (1, 2, 3)]
    with pytest.raises(EndpointsDisagree, match="2 of 3 endpoints must agree, 3 answered") as caught:
        ask(nodes, 2, "eth_getBalance", ["0xab", "0x1"])
    assert caught.value.retryable and isinstance(caught.value, LyingEndpoint)
    assert "key" not in str(caught.value)
    assert len(nodes[0].asked) == 3


def test_a_node_that_lagged_agrees_when_it_is_asked_again() -> None:
    """A block later all have the receipt."""
    answers = iter([None, None])
    late = Node(lambda method, _params: next(answers, ANSWERS[method]))
    nodes = [Node(), late, Node(refuse)]
    assert ask(nodes, 2, "eth_getTransactionReceipt", ["0xab"])["status"] == "0x1"
    assert len(late.asked) == 3


def test_when_too_many_fail_their_own_error_is_told() -> None:
    """Two of three are away: that is no disagreement."""
    with pytest.raises(TransportError, match="ConnectError"):
        ask([Node(), Node(refuse), Node(refuse)], 2, "eth_chainId")
    with pytest.raises(EndpointTimeout, match=r"no whole answer in 0\.05 s"):
        ask([Node(), Node(stalls=True), Node(stalls=True)], 2, "eth_chainId", timeout_seconds=0.05)


def test_a_refusal_that_enough_share_is_the_answer() -> None:
    """Whatever words each has for it."""

    def revert(words: str) -> Node:
        error = {"code": 3, "message": words, "data": "0x"}
        return Node(lambda _method, _params: httpx.Response(200, json={"id": 1, "error": error}))

    with pytest.raises(EndpointError, match="reverted") as caught:
        ask([revert("execution reverted"), revert("reverted"), Node()], 2, "eth_getBalance", ["0xab", "0x1"])
    assert caught.value.rpc_code == 3


def test_a_height_counts_when_enough_have_reached_it() -> None:
    """One that runs ahead, or says so, moves nothing."""
    heights = [lie("eth_blockNumber", hex(number)) for number in (2**40, 16, 15)]
    assert ask(heights, 1, "eth_blockNumber") == hex(2**40)
    assert ask(heights, 2, "eth_blockNumber") == hex(16)
    assert ask(heights, 3, "eth_blockNumber") == hex(15)


@pytest.mark.parametrize("method", ["eth_blockNumber", "eth_gasPrice"])
def test_one_that_stalls_holds_no_number_up(method: str) -> None:
    """Enough have answered; the last is waited for a moment only."""
    assert ask([Node(stalls=True), Node(), Node()], 2, method, timeout_seconds=3600.0) == ANSWERS[method]


def test_the_newest_block_is_one_that_enough_have() -> None:
    """All are asked about the same."""
    nodes = [lie("eth_blockNumber", hex(number)) for number in (18, 17, 16)]
    assert ask(nodes, 2, "eth_getBalance", ["0xab", "latest"]) == "0x7"
    assert all(("eth_getBalance", ["0xab", "0x11"]) in node.asked for node in nodes)


def test_a_price_that_one_made_up_is_not_paid() -> None:
    """The middle one is."""
    nodes = [lie("eth_gasPrice", hex(price)) for price in (10**18, 101, 99)]
    assert ask(nodes, 2, "eth_gasPrice") == hex(101)
    with pytest.raises(LyingEndpoint):
        ask([lie("eth_gasPrice", "many"), lie("eth_gasPrice", None), Node()], 2, "eth_gasPrice")


def test_what_only_some_implementations_tell_is_no_disagreement() -> None:
    """Nor are the cases of letters."""
    receipt = ANSWERS["eth_getTransactionReceipt"]
    other = lie("eth_getTransactionReceipt", {**receipt, "transactionHash": "0xAB", "l1Fee": "0x5"})
    assert ask([Node(), other], 2, "eth_getTransactionReceipt", ["0xab"])["status"] == "0x1"
    forged = lie("eth_getTransactionReceipt", {**receipt, "status": "0x0"})
    with pytest.raises(EndpointsDisagree):
        ask([Node(), forged], 2, "eth_getTransactionReceipt", ["0xab"])
    log = {"address": "0x1", "topics": [], "data": "0x", "logIndex": "0x0"}
    with pytest.raises(EndpointsDisagree):
        ask(
            [Node(), lie("eth_getTransactionReceipt", {**receipt, "logs": [log]})],
            2,
            "eth_getTransactionReceipt",
        )


def test_a_transaction_is_sent_to_all_and_one_may_take_it() -> None:
    """One that swallows or refuses it cannot keep it from the chain."""
    known = httpx.Response(200, json={"id": 1, "error": {"code": -32000, "message": "already known"}})
    nodes = [Node(refuse), Node(lambda _method, _params: known), Node()]
    assert ask(nodes, 2, "eth_sendRawTransaction", ["0x00"]) == "0xid"
    assert all(node.asked == [("eth_sendRawTransaction", ["0x00"])] for node in nodes)
    with pytest.raises(EndpointError, match="already known"):
        ask(nodes[1:2], 1, "eth_sendRawTransaction", ["0x00"])


def test_who_differs_is_named() -> None:
    """By host, so that a person knows whom to remove."""
    nodes = [Node(), lie("eth_getBalance", "0x8"), Node()]
    with pytest.raises(EndpointsDisagree, match=r"node-0.test and node-2.test alike; node-1.test$"):
        ask(nodes, 3, "eth_getBalance", ["0x00", "0x1"])


def test_too_many_failures_say_how_many_are_needed() -> None:
    """And what to do."""
    with pytest.raises(TransportError) as caught:
        ask([Node(), Node(refuse), Node(refuse)], 2, "eth_chainId")
    assert caught.value.hint is not None
    assert "2 of 3 endpoints must agree, 1 answered" in caught.value.hint


@pytest.mark.parametrize("place", range(3))
def test_a_false_answer_to_sending_is_outvoted(place: int) -> None:
    """Whoever answers first."""
    nodes = [Node(), Node()]
    nodes.insert(place, lie("eth_sendRawTransaction", "0xother"))
    assert ask(nodes, 2, "eth_sendRawTransaction", ["0x00"]) == "0xid"


def test_one_that_stalls_is_waited_for_once() -> None:
    """After that the others are enough at once; when it answers in time again it counts again."""
    stalling = Node(stalls=True)
    nodes = [stalling, Node(), Node(lambda _method, _params: "0x30")]

    async def run() -> list[Any]:
        endpoints = [
            JsonRpc(f"http://node-{index}.test", transport=httpx.MockTransport(node.handle))
            for index, node in enumerate(nodes)
        ]
        quorum = Quorum(endpoints, 2, EVM_READING, sleep=rest, grace_seconds=0.02)
        first = await quorum.call("eth_gasPrice")
        quorum._grace_seconds = 3600.0
        second = await asyncio.wait_for(quorum.call("eth_gasPrice"), 60)
        late = set(quorum._late)
        stalling._stalls = False
        # The others now come after it.
        nodes[1]._delay_seconds = nodes[2]._delay_seconds = 0.05
        third = await quorum.call("eth_gasPrice")
        found = [first, second, late, third, set(quorum._late)]
        await quorum.close()
        return found

    assert asyncio.run(run()) == ["0x64", "0x64", {0}, "0x64", set()]


def test_those_that_differ_do_not_wait_for_one_that_stalls() -> None:
    """They are asked again, and agree by then."""
    told = iter(["0x6", "0x7", "0x7", "0x7"])
    nodes = [Node(stalls=True), Node(), Node(lambda _method, _params: next(told))]

    async def run() -> Any:
        endpoints = [
            JsonRpc(
                f"http://node-{index}.test", transport=httpx.MockTransport(node.handle), timeout_seconds=3600
            )
            for index, node in enumerate(nodes)
        ]
        quorum = Quorum(endpoints, 2, EVM_READING, sleep=rest, tie_seconds=0.02)
        try:
            return await asyncio.wait_for(quorum.call("eth_getBalance", ["0x00", "0x1"]), 60)
        finally:
            await quorum.close()

    assert asyncio.run(run()) == "0x7"


@pytest.mark.parametrize("has_it_already", [False, True])
def test_one_that_stalls_holds_no_sending_up(has_it_already: bool) -> None:
    """It was sent there too; the others have it, one of them perhaps from the other."""
    known = httpx.Response(200, json={"id": 1, "error": {"code": -27, "message": "known"}})
    nodes = [Node(stalls=True), Node(), Node(lambda _method, _params: known) if has_it_already else Node()]
    assert ask(nodes, 2, "eth_sendRawTransaction", ["0x00"], timeout_seconds=3600) == "0xid"
    assert all(node.asked for node in nodes)


@pytest.mark.parametrize("place", range(3))
def test_a_blockhash_that_the_others_deny_is_not_taken(place: int) -> None:
    """Each endpoint has another newest one, so they are not compared but asked about."""

    def make(name: str) -> Node:
        return Node(
            lambda method, params: (
                {"value": {"blockhash": name}}
                if method == "getLatestBlockhash"
                else {"value": params[0] != "false" or name == "false"}
            )
        )

    nodes = [make("one"), make("two")]
    nodes.insert(place, make("false"))
    found = ask(nodes, 2, "getLatestBlockhash", reading=SOLANA_READING)
    assert found["value"]["blockhash"] in ("one", "two")


def test_families_without_rules_compare_all() -> None:
    """The newest block is then each endpoint's own."""
    assert ask([Node(), Node()], 2, "eth_getBalance", ["0xab", "latest"], STRICT) == "0x7"
    with pytest.raises(EndpointsDisagree):
        ask([Node(), lie("eth_blockNumber", "0x11")], 2, "eth_blockNumber", (), STRICT)


@pytest.mark.parametrize("agree", [0, -1, 3])
def test_a_quorum_that_cannot_be_is_refused(agree: int) -> None:
    """None of two, or three of two."""
    endpoints = [JsonRpc("http://node.test")] * 2
    with pytest.raises(ValueError, match="cannot agree"):
        Quorum(endpoints, agree, STRICT)


# Rates


def test_a_rate_is_kept_and_a_burst_let_through() -> None:
    """Three at once, then one each half second; what was not used is kept for a burst."""

    async def run() -> list[float]:
        now = 100.0
        pauses: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)

        limit = RateLimit(2.0, burst=3, sleep=sleep, clock=lambda: now)
        for _ in range(5):
            await limit.wait()
        now += 10.0
        for _ in range(4):
            await limit.wait()
        return pauses

    assert asyncio.run(run()) == [0.5, 1.0, 0.5]


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_a_rate_of_nothing_is_refused(rate: float, burst: int) -> None:
    """It would wait for ever."""
    with pytest.raises(ValueError, match="rate limit"):
        RateLimit(rate, burst)


@pytest.mark.parametrize(("pause", "pauses"), [("7", [7.0]), ("0", [0.2]), ("soon", [0.2])])
def test_an_endpoint_says_how_long_to_stay_away(pause: str, pauses: list[float]) -> None:
    """No shorter than our own pause."""
    assert call_limited(pause) == pauses


def test_a_stay_that_is_too_long_is_the_callers_to_decide() -> None:
    """An hour is not waited out in silence."""
    with pytest.raises(RateLimited) as caught:
        call_limited("3600")
    assert (caught.value.pause_seconds, caught.value.retryable) == (3600.0, True)


def call_limited(pause: str) -> list[float]:
    """Call an endpoint that limits its rate once; the pauses made."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    answers = iter([httpx.Response(429, headers={"retry-after": pause})])

    def handle(request: httpx.Request) -> httpx.Response:
        request_id = json.loads(request.content)["id"]
        return next(answers, httpx.Response(200, json={"id": request_id, "result": 1}))

    client = JsonRpc("http://node.test", transport=httpx.MockTransport(handle), sleep=sleep, draw=lambda: 1.0)
    assert asyncio.run(client.call("eth_chainId")) == 1
    return pauses


def test_an_endpoint_that_drips_is_timed_out() -> None:
    """Each byte comes in time, the whole never does."""

    class Drip(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                await asyncio.sleep(0.01)
                yield b" "

    client = JsonRpc(
        "http://node.test/key",
        timeout_seconds=0.1,
        policy=RetryPolicy(attempts=1),
        transport=httpx.MockTransport(lambda _request: httpx.Response(200, stream=Drip())),
    )
    with pytest.raises(EndpointTimeout, match=r"node\.test: eth_chainId: no whole answer in 0\.1 s"):
        asyncio.run(client.call("eth_chainId"))


def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it fills the memory; it is not asked for again."""
    monkeypatch.setattr("hither.foreign.transport.ANSWER_SIZE_BYTES_MAX", 1000)
    client = JsonRpc(
        "http://node.test",
        transport=httpx.MockTransport(lambda _request: httpx.Response(200, text="x" * 1001)),
    )
    with pytest.raises(TransportError, match="an answer of more than 1000 bytes") as caught:
        asyncio.run(client.call("eth_chainId"))
    assert not caught.value.retryable
