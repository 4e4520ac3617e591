"""Whatever arrives gets an answer in form, and the server lives."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hither.primitives.transaction import encode_signed_transaction
from hither.rpc.context import RpcSettings
from tests.rpc.asgi import HttpAnswer, call, post
from tests.rpc.running import RunningNode, run_node
from tests.unit.chain.chains import sign_transfer

pytestmark = pytest.mark.slow
HASH = "11111111111111111111111111111111"
KEY = "ed25519:DcA2MzgpJbrUATQLLceocVckhhAqrkingax4oJ9kZ847"
# Parameters that are right in form; of ``query`` one for each kind.
QUERIES: list[dict[str, Any]] = [
    {"request_type": "view_account"},
    {"request_type": "view_code"},
    {"request_type": "view_state", "prefix_base64": "", "include_proof": True},
    {"request_type": "view_access_key", "public_key": KEY},
    {"request_type": "view_access_key_list"},
    {"request_type": "view_gas_key_nonces", "public_key": KEY},
    {"request_type": "call_function", "method_name": "m", "args_base64": ""},
    {"request_type": "view_global_contract_code", "code_hash": HASH},
    {"request_type": "view_global_contract_code_by_account_id"},
]
FINAL = {"finality": "final"}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    *(("query", query | FINAL | {"account_id": "alice.near"}) for query in QUERIES),
    ("block", {"block_id": 0}),
    ("chunk", {"block_id": 0, "shard_id": 0}),
    ("chunk", {"chunk_id": HASH}),
    ("gas_price", {"block_id": None}),
    ("validators", {"latest": None}),
    ("validators", {"epoch_id": HASH}),
    ("tx", {"tx_hash": HASH, "sender_account_id": "alice.near", "wait_until": "NONE"}),
    ("EXPERIMENTAL_tx_status", {"tx_hash": HASH, "sender_account_id": "alice.near"}),
    ("EXPERIMENTAL_receipt", {"receipt_id": HASH}),
    ("EXPERIMENTAL_changes_in_block", {"block_id": 1}),
    ("EXPERIMENTAL_changes", FINAL | {"changes_type": "account_changes", "account_ids": ["alice.near"]}),
    (
        "EXPERIMENTAL_changes",
        FINAL | {"changes_type": "data_changes", "account_ids": ["aa"], "key_prefix_base64": ""},
    ),
    (
        "EXPERIMENTAL_changes",
        FINAL
        | {
            "changes_type": "single_access_key_changes",
            "keys": [{"account_id": "a.near", "public_key": KEY}],
        },
    ),
    (
        "EXPERIMENTAL_light_client_proof",
        {"type": "transaction", "transaction_hash": HASH, "sender_id": "a.near", "light_client_head": HASH},
    ),
    ("EXPERIMENTAL_light_client_block_proof", {"block_hash": HASH, "light_client_head": HASH}),
    ("next_light_client_block", {"last_block_hash": HASH}),
    ("EXPERIMENTAL_protocol_config", FINAL),
    ("EXPERIMENTAL_validators_ordered", {"block_id": None}),
    ("EXPERIMENTAL_maintenance_windows", {"account_id": "test.near"}),
    ("EXPERIMENTAL_congestion_level", {"block_id": 0, "shard_id": 0}),
    ("sandbox_patch_state", {"records": [{"Data": {"account_id": "a.near", "data_key": "", "value": ""}}]}),
    ("hither_revert", {"snapshot_id": "x"}),
]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from([HASH, KEY, "final", "alice.near", "", "a" * 70, "ed25519:1", "AA==", -1, 2**64]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


garbage = st.binary(max_size=60)
bodies = st.one_of(
    garbage,
    st.text(alphabet='{}[]",:\\ntrue0.1e-"jsonrpc"', max_size=60).map(str.encode),
    garbage.map(lambda text: b'"' + text + b'"'),
    garbage.map(lambda text: b'{"jsonrpc":"2.0","id":1,"method":"' + text + b'"}'),
    garbage.map(lambda text: b'{"jsonrpc":"2.0","id":' + text + b',"method":"status"}'),
    garbage.map(lambda text: b'{"jsonrpc":"2.0","id":1,"method":"block","params":' + text + b"}"),
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node that waits for nothing."""
    with run_node(tmp_path_factory.mktemp("home"), settings=RpcSettings(wait_timeout_ms=0)) as node:
        yield node


def check(answer: HttpAnswer) -> Any:
    """Result or error, both complete; the error if there is one."""
    assert answer.status in (200, 400, 404, 408, 422, 500), answer.text
    if not answer.headers["content-type"].startswith("application/json"):
        assert answer.status == 400
        assert answer.text.startswith("Failed to parse the request body as JSON: ")
        return None
    body = json.loads(answer.text)
    assert set(body) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    error = body.get("error")
    if error is not None:
        assert set(error) <= {"name", "cause", "code", "message", "data"}
        assert error["cause"]["name"] not in ("", None)
        assert error["name"] in ("REQUEST_VALIDATION_ERROR", "HANDLER_ERROR", "INTERNAL_ERROR")
    return error


def ask(running: RunningNode, method: str, params: Any) -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    return check(running.run(post(running.server.application, body)))


@settings(max_examples=300)
@example(b'"\x80"')
@example(b'{"jsonrpc":"2.0","id":1,"method":"\xff"}')
@given(bodies)
def test_any_bytes(running: RunningNode, body: bytes) -> None:
    """Not JSON, or not a request."""
    check(running.run(post(running.server.application, body)))


@settings(max_examples=300)
@given(
    st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "HEAD", "X"]),
    st.sampled_from(["/", "/status", "/health", "/metrics", "/network_info", "//", "/a/../b", "/\0"]),
    st.dictionaries(
        st.sampled_from(["content-type", "origin", "content-length", "access-control-request-method"]),
        st.sampled_from(["application/json", "", "0", "99999999999", "-1", "x", "POST"]),
    ),
    st.binary(max_size=20),
)
def test_any_http(running: RunningNode, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
    """Every method, path and header: a status, never a fault."""
    answer = running.run(call(running.server.application, method, path, body, headers))
    assert answer.status in (200, 400, 404, 405, 413, 415)


@settings(max_examples=300)
@given(st.sampled_from([name for name, _ in REQUESTS] + ["status", "x", ""]), json_values)
def test_any_parameters(running: RunningNode, method: str, params: Any) -> None:
    """Of every method."""
    ask(running, method, params)


@settings(max_examples=300)
@given(st.data(), json_values)
def test_right_parameters_with_one_replaced(running: RunningNode, data: st.DataObject, value: Any) -> None:
    """One field left out, replaced or added."""
    method, params = data.draw(st.sampled_from(REQUESTS))
    name = data.draw(st.sampled_from([*params, "more"]))
    ask(running, method, params | {name: value})
    ask(running, method, {key: kept for key, kept in params.items() if key != name})


@pytest.mark.parametrize(("method", "params"), REQUESTS)
def test_right_parameters_are_understood(running: RunningNode, method: str, params: Any) -> None:
    """So that the tests above begin from what the server reads."""
    error = ask(running, method, params)
    assert error is None or error["name"] != "REQUEST_VALIDATION_ERROR", error


@settings(max_examples=300)
@given(st.binary(max_size=300), st.integers(0, 400), st.integers(1, 255))
def test_any_transaction(running: RunningNode, garbage: bytes, at: int, flip: int) -> None:
    """Bytes of any kind, and a good transaction with one byte changed or cut off: refused in form."""
    head = running.node.reader.get_head()
    good = bytearray(
        encode_signed_transaction(sign_transfer("bob.near", "alice.near", head.last_block_hash, 1, 1))
    )
    cut = bytes(good[: at % len(good)])
    good[at % len(good)] ^= flip
    for data in (garbage, cut, bytes(good)):
        text = base64.b64encode(data).decode()
        for method in ("send_tx", "tx", "broadcast_tx_async", "EXPERIMENTAL_tx_status"):
            ask(running, method, {"signed_tx_base64": text, "wait_until": "NONE"})
        assert ask(running, "broadcast_tx_commit", [text]) is not None


def test_node_lives_after_all_this(running: RunningNode) -> None:
    """It makes blocks and answers."""
    assert running.node.failure is None
    assert running.must("health") is None
    with running.connect("carol.near") as client:
        client.transfer("bob.near", "1 N")
