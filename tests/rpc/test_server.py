"""The server on a socket: HTTP, web pages, figures, and how it ends."""

import concurrent.futures
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from hither.chain.reader import BlockMode
from hither.foreign.engines.ports import find_free_port
from hither.node.node import NodeOptions
from hither.rpc.context import BODY_SIZE_MAX, RpcSettings
from hither.rpc.server import bind
from tests.rpc.running import RunningNode, both_ways, run_node

pytestmark = pytest.mark.slow
JSON = {"content-type": "application/json"}
# (module (func (export "spin") (loop (br 0))))
SPINNING = bytes.fromhex("0061736d010000000104016000000302010007080104737069 6e00000a0901070003400c000b0b")
WAIT_S_MAX = 120
STATUS = b'{"jsonrpc":"2.0","id":"x","method":"status","params":[]}'


@pytest.fixture(scope="module", **both_ways)
def running(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningNode]:
    """One shard."""
    with run_node(tmp_path_factory.mktemp("home"), is_apart=request.param) as node:
        yield node


def talk(running: RunningNode, *parts: bytes, pause_s: float = 0) -> bytes:
    """Send bytes as they are and read until the server closes."""
    host, _, port = running.address.rpartition(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause_s)
        while data := connection.recv(65536):
            received += data
    return received


def test_listens_on_loopback_and_says_where(running: RunningNode) -> None:
    """``status`` tells the address that was bound."""
    assert running.address.startswith("127.0.0.1:")
    assert running.must("status")["rpc_addr"] == running.address


def test_taken_address_is_an_error(running: RunningNode) -> None:
    """Before anything is served."""
    host, _, port = running.address.rpartition(":")
    with pytest.raises(OSError, match="in use"):
        bind(host, int(port))


def ask_both_ways(running: RunningNode, body: bytes, extra: bytes = b"") -> tuple[bytes, bytes]:
    """The whole answer to a request with its length, which goes the short way, and to the same one in chunks."""
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n" + extra
    plain = talk(running, head + b"content-length: %d\r\n\r\n" % len(body) + body)
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    chunked = talk(running, head + b"transfer-encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n")
    return plain, chunked


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"jsonrpc":"2.0","id":"x","method":"health","params":[]}', 200),
        (b'{"jsonrpc":"2.0","id":1,"method":"nothing","params":[]}', 400),
        (b'{"jsonrpc":"2.0","id":1}', 400),
        (b"{", 400),
        (b"", 400),
    ],
)
def test_the_short_way_answers_as_the_long_one(running: RunningNode, body: bytes, status: int) -> None:
    """To the byte, head included; also when a web page asks."""
    for extra in (b"", b"origin: http://page.example\r\n"):
        plain, chunked = ask_both_ways(running, body, extra)
        assert plain == chunked
        assert plain.startswith(b"HTTP/1.1 %d " % status)
        assert b"connection: close" in plain


def test_a_failing_method_is_the_server_s_fault_either_way(tmp_path: Path) -> None:
    """An answer without detail, and the connection ends."""
    with run_node(tmp_path) as running:

        def fail(context: object, parameters: object) -> None:
            raise ZeroDivisionError

        methods = running.server.application.dispatcher.methods
        methods["health"] = msgspec.structs.replace(methods["health"], answer=fail)
        plain, chunked = ask_both_ways(running, b'{"jsonrpc":"2.0","id":"x","method":"health"}')
        assert running.must("status")["chain_id"] == "localnet"
    assert plain.startswith(b"HTTP/1.1 500 ")
    assert plain.endswith(b"\r\n\r\nInternal Server Error")
    assert sorted(plain.split(b"\r\n")) == sorted(chunked.split(b"\r\n"))


def test_requests_that_come_at_once_are_answered_in_order(running: RunningNode) -> None:
    """Three before the first is answered, the second of another kind."""
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    requests = [b'{"jsonrpc":"2.0","id":%d,"method":"health"}' % at for at in range(2)]
    first, last = (head % len(request) + request for request in requests)
    last = last.replace(b"host: x", b"host: x\r\nconnection: close")
    answer = talk(running, first + b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n" + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.index(b'"id":0') < answer.index(b"nullHTTP") < answer.index(b'"id":1')


def test_body_may_come_in_pieces(running: RunningNode) -> None:
    """With a length and late, or in chunks without one."""
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
    late = talk(
        running,
        head + b"content-length: %d\r\n\r\n" % len(STATUS),
        STATUS[:10],
        STATUS[10:],
        pause_s=0.02,
    )
    chunks = [STATUS[:7], STATUS[7:]]
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    chunked = talk(running, head + b"transfer-encoding: chunked\r\n\r\n", pieces, b"0\r\n\r\n", pause_s=0.02)
    for answer in (late, chunked):
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b'"id":"x"' in answer


def test_connection_serves_many_requests(running: RunningNode) -> None:
    """Also when they come before the answers to those before them."""
    request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % len(
        STATUS
    )
    last = request + b"connection: close\r\n\r\n" + STATUS
    answers = talk(running, (request + b"\r\n" + STATUS) * 4 + last)
    assert answers.count(b"HTTP/1.1 200 OK") == 5


def test_body_beyond_the_limit_is_refused(running: RunningNode) -> None:
    """Announced, in chunks, or far beyond: 413 and the server lives."""
    padding = b" " * (BODY_SIZE_MAX - len(STATUS))
    assert running.http.post("/", content=STATUS + padding, headers=JSON).status_code == 200
    over = running.http.post("/", content=STATUS + padding + b" ", headers=JSON)
    assert (over.status_code, over.text) == (
        413,
        "Failed to buffer the request body: length limit exceeded",
    )
    chunks = (b" " * 65536 for _ in range(64))
    assert running.http.post("/", content=chunks, headers=JSON).status_code == 413
    huge = running.http.post("/", content=b" " * (11 * 1024 * 1024), headers=JSON)
    assert (huge.status_code, huge.text) == (413, "length limit exceeded")
    assert running.must("health") is None


def test_client_that_hangs_up_harms_nobody(running: RunningNode) -> None:
    """In the middle of its head, its body, or while it waits."""
    host, _, port = running.address.rpartition(":")
    waiting = b'{"jsonrpc":"2.0","id":1,"method":"tx","params":["%s","a.near"]}' % (b"1" * 32)
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    for sent in (
        b"POST / HT",
        head % 100 + b"{",
        head % len(waiting) + waiting,
        b"\x16\x03\x01\x00garbage\r\n",
    ):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(sent)
            time.sleep(0.02)
    assert running.must("health") is None


def test_long_view_does_not_hold_up_others(running: RunningNode) -> None:
    """While a view call burns all its gas, other questions are answered, and it ends by itself."""
    with running.connect() as client:
        client.deploy(SPINNING)
    params = {
        "request_type": "call_function",
        "account_id": "alice.near",
        "method_name": "spin",
        "args_base64": "",
    }
    with concurrent.futures.ThreadPoolExecutor() as threads:
        spinning = threads.submit(running.ask, "query", params | {"finality": "optimistic"})
        time.sleep(0.1)
        answered = 0
        while not spinning.done():
            running.must("status")
            answered += 1
    assert "GasLimitExceeded" in spinning.result()["result"]["error"]
    assert answered >= 5


def test_pages_for_people_and_programs(running: RunningNode) -> None:
    """Answers to GET, and none where there is nothing."""
    assert running.http.get("/status").json()["chain_id"] == "localnet"
    health = running.http.get("/health")
    assert (health.status_code, health.text) == (200, "null")
    assert running.http.get("/network_info").json()["num_active_peers"] == 0
    assert running.http.get("/nowhere").status_code == 404
    assert running.http.get("/").status_code == 405
    assert running.http.delete("/status").status_code == 405
    assert running.http.head("/status").content == b""


def test_metrics_count_requests_errors_and_waits(running: RunningNode) -> None:
    """Each line of Prometheus' text is a comment or a number with a name."""
    running.must("health")
    running.ask("no_such_method")
    text = running.http.get("/metrics").text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    values = {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
    assert values['near_rpc_total_count{method="health"}'] >= 1
    assert values['near_rpc_error_count{method="UNSUPPORTED_METHOD",err_code="-32601"}'] >= 1
    assert values["near_block_height_head"] >= 0
    described = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(described) == len(set(described))


def test_any_web_page_may_ask(running: RunningNode) -> None:
    """A browser asks first with OPTIONS."""
    asked = {
        "origin": "http://page.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    allowed = running.http.options("/", headers=asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "*"
    answer = running.http.post("/", content=STATUS, headers=JSON | {"origin": "http://page.example"})
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("is_apart", both_ways["params"], ids=both_ways["ids"])
def test_only_named_web_pages_may_ask(tmp_path: Path, is_apart: bool) -> None:
    """The others get an answer without permission to read it."""
    settings = RpcSettings(cors_allowed_origins=("http://page.example",))
    with run_node(tmp_path, settings=settings, is_apart=is_apart) as running:
        named = running.http.post("/", content=STATUS, headers=JSON | {"origin": "http://page.example"})
        other = running.http.post("/", content=STATUS, headers=JSON | {"origin": "http://other.example"})
    assert named.headers["access-control-allow-origin"] == "http://page.example"
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("is_apart", both_ways["params"], ids=both_ways["ids"])
def test_ending_answers_who_waits(tmp_path: Path, is_apart: bool) -> None:
    """A request that waits for a transaction is answered at once; then nobody listens any more."""
    options, settings = NodeOptions(mode=BlockMode.MANUAL), RpcSettings(wait_timeout_ms=10_000 * WAIT_S_MAX)
    with (
        run_node(tmp_path, options=options, settings=settings, is_apart=is_apart) as running,
        concurrent.futures.ThreadPoolExecutor() as threads,
    ):
        waiting = threads.submit(running.ask, "tx", ["1" * 32, "alice.near"])
        time.sleep(0.2)
        assert not waiting.done()
        running.begin_end()
        assert waiting.result(WAIT_S_MAX)["error"]["cause"]["name"] == "TIMEOUT_ERROR"
        running.join()
        with pytest.raises(httpx.ConnectError):
            httpx.post(running.url, content=STATUS, headers=JSON)


@pytest.mark.parametrize("is_apart", both_ways["params"], ids=both_ways["ids"])
def test_monitors_have_a_door_of_their_own(tmp_path: Path, is_apart: bool) -> None:
    """The same figures, and no way from there to anything else."""
    address = f"127.0.0.1:{find_free_port()}"
    settings = RpcSettings(metrics_address=address)
    with run_node(tmp_path, settings=settings, is_apart=is_apart) as node:
        node.must("health")
        with httpx.Client(base_url=f"http://{address}", timeout=30) as monitor:
            answer = monitor.get("/metrics")
            assert answer.headers["content-type"] == "text/plain"
            assert 'near_rpc_total_count{method="health"} 1' in answer.text.splitlines()
            assert monitor.post("/metrics").status_code == 405
            assert monitor.post("/", content=STATUS, headers=JSON).status_code == 404
            assert monitor.get("/status").status_code == 404
            assert 'method="status"' not in node.http.get("/metrics").text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{address}/metrics")
