"""The controls of a development chain over JSON-RPC."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hither.codec import base58
from hither.crypto.hashing import sha256
from hither.node.node import NodeOptions
from hither.rpc.methods import make_methods
from tests.rpc.running import RunningNode, both_ways, run_node

pytestmark = pytest.mark.slow
KEY = "ed25519:DcA2MzgpJbrUATQLLceocVckhhAqrkingax4oJ9kZ847"
CONTROLS = (
    "sandbox_patch_state",
    "sandbox_fast_forward",
    "hither_snapshot",
    "hither_revert",
    "hither_set_time",
    "hither_mine",
    "hither_set_block_mode",
)


@pytest.fixture(scope="module", **both_ways)
def running(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningNode]:
    """Two shards."""
    with run_node(tmp_path_factory.mktemp("home"), boundary_accounts=("n0",), is_apart=request.param) as node:
        yield node


def get_tip(running: RunningNode) -> tuple[int, int]:
    """Height and time of the newest block."""
    header = running.must("block", {"finality": "optimistic"})["header"]
    return header["height"], int(header["timestamp_nanosec"])


def view_account(running: RunningNode, account_id: str) -> Any:
    params = {"request_type": "view_account", "finality": "optimistic", "account_id": account_id}
    return running.ask("query", params)


def test_records_are_patched_into_the_state(running: RunningNode) -> None:
    """An account, its key, code and data, visible when the call returns; shards are found by name."""
    code = b"\0asm\1\0\0\0"
    encoded_code = base64.b64encode(code).decode()
    for account_id in ("aa.near", "zz.near"):
        account = {
            "amount": "7000",
            "locked": "0",
            "code_hash": base58.encode(sha256(code)),
            "storage_usage": 182,
            "version": "V1",
        }
        key = {"account_id": account_id, "public_key": KEY}
        records = [
            {"Account": {"account_id": account_id, "account": account}},
            {"AccessKey": key | {"access_key": {"nonce": 5, "permission": "FullAccess"}}},
            {"Contract": {"account_id": account_id, "code": encoded_code}},
            {"Data": {"account_id": account_id, "data_key": "YWI=", "value": "Y2Q="}},
        ]
        assert running.must("sandbox_patch_state", {"records": records}) == {}
        assert view_account(running, account_id)["result"]["amount"] == "7000"
        about = {"finality": "optimistic", "account_id": account_id}
        found = running.must("query", about | {"request_type": "view_access_key", "public_key": KEY})
        assert (found["nonce"], found["permission"]) == (5, "FullAccess")
        state = running.must("query", about | {"request_type": "view_state", "prefix_base64": ""})
        assert state["values"] == [{"key": "YWI=", "value": "Y2Q="}]


def test_broken_records_are_refused(running: RunningNode) -> None:
    """The chain goes on as before."""
    before = get_tip(running)
    for records in ([{"Nothing": {}}], [{"Account": {"account_id": "x.near"}}], ["text"], [7]):
        answer = running.ask("sandbox_patch_state", {"records": records})
        assert answer["error"]["name"] in ("HANDLER_ERROR", "INTERNAL_ERROR", "REQUEST_VALIDATION_ERROR")
    assert running.ask("sandbox_patch_state", {})["error"]["name"] == "REQUEST_VALIDATION_ERROR"
    assert get_tip(running) >= before
    assert running.must("health") is None


def test_heights_are_skipped(running: RunningNode) -> None:
    """The head is that much higher, its time accordingly later, and it is final."""
    height, time_ns = get_tip(running)
    assert running.must("sandbox_fast_forward", {"delta_height": 1000}) == {}
    new_height, new_time_ns = get_tip(running)
    assert new_height >= height + 1000
    assert new_time_ns > time_ns
    assert running.must("block", {"finality": "final"})["header"]["height"] >= height + 1000
    skipped = running.http.post(
        "/",
        json={"jsonrpc": "2.0", "id": 1, "method": "block", "params": {"block_id": height + 500}},
    )
    assert (skipped.status_code, skipped.json()["error"]["cause"]["name"]) == (422, "UNKNOWN_BLOCK")


def test_snapshot_is_used_up_by_reverting(running: RunningNode) -> None:
    """State and head come back; a snapshot serves once."""
    with running.connect() as client:
        before = client.get_account("sybil.near").amount
        snapshot = running.must("hither_snapshot")["snapshot_id"]
        client.transfer("sybil.near", "3 N")
        assert client.get_account("sybil.near").amount > before
        tip = running.must("hither_revert", {"snapshot_id": snapshot})
        assert client.get_account("sybil.near").amount == before
        assert tip["height"] == get_tip(running)[0]
        assert client.signer is not None
        client.signer.forget_nonces()
        client.session.forget_block_hash()
        client.transfer("sybil.near", "1 N")
    refused = running.ask("hither_revert", {"snapshot_id": snapshot})["error"]
    assert (refused["name"], refused["cause"]["name"]) == ("HANDLER_ERROR", "CONTROL_REFUSED")


def test_clock_goes_forward_only(running: RunningNode) -> None:
    """As number or digits; a block shows the time."""
    _, time_ns = get_tip(running)
    tip = running.must("hither_set_time", {"timestamp_nanosec": str(time_ns + 10**15)})
    assert int(tip["timestamp_nanosec"]) >= time_ns + 10**15
    assert get_tip(running)[1] >= time_ns + 10**15
    refused = running.ask("hither_set_time", {"timestamp_nanosec": time_ns})["error"]
    assert refused["cause"]["name"] == "CONTROL_REFUSED"
    assert (
        running.ask("hither_set_time", {"timestamp_nanosec": "soon"})["error"]["cause"]["name"]
        == "PARSE_ERROR"
    )


def test_blocks_are_made_when_asked_for(running: RunningNode) -> None:
    """In manual mode only then."""
    running.must("hither_set_block_mode", {"mode": "manual"})
    height, _ = get_tip(running)
    assert running.must("hither_mine", {"count": 3})["height"] == height + 3
    assert running.must("hither_mine", {})["height"] == height + 4
    assert get_tip(running)[0] == height + 4
    assert running.ask("hither_mine", {"count": 0})["error"]["cause"]["name"] == "PARSE_ERROR"
    running.must("hither_set_block_mode", {"mode": "interval", "interval_ms": 20})
    assert running.ask("hither_set_block_mode", {"mode": "never"})["error"]["cause"]["name"] == "PARSE_ERROR"
    running.must("hither_set_block_mode", {"mode": "instant"})


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("sandbox_fast_forward", {"delta_height": 2**64 - 1}),
        ("hither_set_time", {"timestamp_nanosec": 2**64 - 1}),
        ("hither_mine", {"count": 2**32 - 1}),
    ],
)
def test_what_would_never_end_is_refused(running: RunningNode, method: str, params: Any) -> None:
    """And the chain goes on."""
    assert "at most" in str(running.ask(method, params)["error"]["cause"])
    height, _ = get_tip(running)
    assert running.must("hither_mine", {"count": 1})["height"] > height


def test_other_chains_have_no_controls(tmp_path: Path) -> None:
    """There they are unknown methods, and all others are there."""
    with run_node(tmp_path, options=NodeOptions(is_development=False)) as running:
        for name in CONTROLS:
            answer = running.ask(name, {})
            assert answer["error"]["cause"]["name"] == "METHOD_NOT_FOUND", name
        assert running.must("status")["chain_id"] == "localnet"
    assert set(make_methods(88, is_development=True)) - set(make_methods(88, is_development=False)) == set(
        CONTROLS
    )
