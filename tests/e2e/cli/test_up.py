"""``hither up`` and the commands around it, as a person uses them."""

import json
import os
import signal
import socket
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hither.cli.rpc import RpcCaller, RpcFailed
from hither.client import Client, ExecutionFailed, RpcError, Signer
from hither.codec.units import format_near
from hither.foreign.engines.ports import find_free_port, find_network_offset
from hither.sdk.endpoints import is_running
from tests.e2e.cli.running import NODE_PORT, Network, hither, must_hither, network

pytestmark = pytest.mark.slow
TOKEN = Path(__file__).resolve().parents[3] / "contracts/fungible_token/fungible_token.wasm"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """One network for the tests that only add to it."""
    with network(tmp_path_factory.mktemp("home")) as running:
        yield running


def connect(running: Network, account_id: str) -> Client:
    """A client that signs for a funded account."""
    return Client(running.url, signer=Signer(account_id, running.get_key(account_id)))


def test_screen_has_what_a_developer_needs(shared: Network) -> None:
    """Address, ten funded accounts with keys, at least three a shard, and what a transfer costs."""
    shared.must_show("Ctrl-C stops")
    assert shared.url in shared.text
    accounts = shared.endpoints["near"]["accounts"]
    names = {row["account_id"] for row in accounts}
    assert {"test.near", "near"} < names
    funded = [row for row in accounts if row["account_id"] not in ("test.near", "near")]
    assert len(funded) == 10
    assert min(Counter(row["shard_id"] for row in funded).values()) >= 3
    for row in accounts:
        assert row["secret_key"] in shared.text
    assert "A transfer burns" in shared.text


def test_printed_cost_of_a_transfer_is_what_it_burns(shared: Network) -> None:
    """The figure on the screen is the one that the chain charges."""
    with connect(shared, "alice.near") as client:
        burnt = client.transfer("bob.near", "1 N").tokens_burnt
    assert f"{burnt / 10**24:.13f}".rstrip("0") in shared.text


def test_endpoints_file_is_private(shared: Network) -> None:
    """It holds keys."""
    assert stat.S_IMODE((shared.home / "endpoints.json").stat().st_mode) == 0o600


def test_transaction_appears_live_and_by_its_hash(shared: Network) -> None:
    """The same tree on the screen and from `hither tx`."""
    with connect(shared, "carol.near") as client:
        result = client.transfer("peggy.near", "7 N")
    shared.must_show(f"transaction {result.hash}")
    shown = must_hither("tx", result.hash, home=shared.home)
    assert shown.splitlines()[0].startswith("✓ carol.near → peggy.near  transfer 7 N")
    assert shown.splitlines()[0] in shared.text
    # carol is on the first shard, peggy on the last; what arrived is what the receipt wrote.
    with connect(shared, "carol.near") as client:
        balance = client.get_account("peggy.near").amount
    assert "shard 2, block" in shown
    assert f"balance {format_near(balance)}, storage 182 bytes" in shown
    picture = shared.home / "picture.svg"
    arguments = ("tx", result.hash, "--json", "--svg", str(picture))
    exported = json.loads(must_hither(*arguments, home=shared.home))
    drawn = picture.read_text()
    assert all(text in drawn for text in ("<svg", "shard 0", "shard 2", "peggy.near"))
    assert exported["trace"][result.hash]["shard_id"] == 0
    writes = [change for row in exported["trace"].values() for change in row["changes"]]
    assert str(balance) in {change["change"].get("amount") for change in writes}


def test_logs_and_panics_of_contracts_appear_live(shared: Network) -> None:
    """What a contract says is what its developer looks for."""
    with connect(shared, "ivan.near") as client:
        client.deploy(TOKEN.read_bytes())
        client.call("ivan.near", "new_default", {"owner_id": "ivan.near", "total_supply": "5"})
        with pytest.raises(ExecutionFailed):
            client.call(
                "ivan.near",
                "ft_transfer",
                {"receiver_id": "eve.near", "amount": "1"},
                deposit="1 yoctonear",
            )
    shared.must_show('log: EVENT_JSON:{"standard":"nep141"')
    shared.must_show("panic: Smart contract panicked: The account eve.near is not registered")


def test_no_log_holds_a_key(shared: Network) -> None:
    """The screen shows the keys that are there to be used, and the files beside it not even those."""
    own = [
        json.loads((shared.home / f"{name}_key.json").read_text())["secret_key"]
        for name in ("validator", "node")
    ]
    funded = [row["secret_key"] for row in shared.endpoints["near"]["accounts"]]
    with connect(shared, "alice.near") as client, pytest.raises(RpcError):
        client.request("query", {"request_type": "view_account", "account_id": own[0], "finality": "final"})
    logs = [path.read_text(errors="replace") for path in shared.home.rglob("*.log")]
    assert logs, "the server has one"
    # The validator's key is that of test.near, which is funded.
    assert funded[0] in shared.text and own[1] not in shared.text
    assert [secret for secret in own + funded for log in logs if secret.partition(":")[2] in log] == []


def test_status_tells_height_and_address(shared: Network) -> None:
    """For people and, with --json, for programs."""
    assert shared.url in must_hither("status", home=shared.home)
    status = json.loads(must_hither("status", "--json", home=shared.home))
    assert status["height"] > 0
    assert status["endpoints"]["pid"] == shared.process.pid


def test_created_account_can_be_used_and_can_create(shared: Network) -> None:
    """Its key is kept, so accounts below it can be made too."""
    created = json.loads(
        must_hither("accounts", "create", "shop.near", "--amount", "50 N", "--json", home=shared.home)
    )
    with Client(shared.url, signer=Signer("shop.near", created["secret_key"])) as client:
        client.transfer("bob.near", "1 N")
        must_hither("accounts", "create", "till.shop.near", home=shared.home)
        assert client.get_account("till.shop.near").amount == 10 * 10**24
    refused = hither("accounts", "create", "x.nobody.near", home=shared.home)
    assert refused.returncode == 1
    assert "no key here for nobody.near" in refused.stderr
    refused = hither("accounts", "create", "free.near", "--amount", "50", home=shared.home)
    assert refused.returncode == 1
    assert "has no unit" in refused.stderr


def test_snapshot_and_revert(tmp_path: Path) -> None:
    """What happened after the snapshot has not happened."""
    with network(tmp_path) as running, connect(running, "alice.near") as client:
        before = client.get_account("bob.near").amount
        snapshot = must_hither("snapshot", home=tmp_path)
        client.transfer("bob.near", "5 N")
        assert client.get_account("bob.near").amount == before + 5 * 10**24
        must_hither("revert", snapshot, home=tmp_path)
        assert client.get_account("bob.near").amount == before
        assert hither("revert", snapshot, home=tmp_path).returncode == 1


def test_state_stays_across_ctrl_c_and_goes_with_fresh(tmp_path: Path) -> None:
    """Ctrl-C is no reason to lose anything; --fresh is."""
    with network(tmp_path) as running:
        with connect(running, "alice.near") as client:
            client.transfer("bob.near", "5 N")
            kept = client.get_account("bob.near").amount
            height = client.get_block().height
        assert running.end(signal.SIGINT) == 0
        assert not (tmp_path / "endpoints.json").exists()
    with network(tmp_path) as running:
        with connect(running, "alice.near") as client:
            assert client.get_account("bob.near").amount == kept
            assert client.get_block().height >= height
        assert running.end(signal.SIGTERM) == 0
    with network(tmp_path, "--fresh") as running, connect(running, "alice.near") as client:
        assert client.get_account("bob.near").amount == kept - 5 * 10**24


def test_configured_address_counts(tmp_path: Path) -> None:
    """``rpc.addr`` of config.json, with the offset added; what else is configured reaches the server too.

    An address for monitors that somebody has is told with its owner, and nothing starts.
    """
    with network(tmp_path) as running:
        assert running.end(signal.SIGINT) == 0
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["rpc"]["addr"] = f"127.0.0.1:{NODE_PORT + 5}"
    config["rpc"]["polling_config"]["polling_timeout"] = {"secs": 0, "nanos": 200_000_000}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config["rpc"]["prometheus_addr"] = f"127.0.0.1:{taken.getsockname()[1]}"
        path.write_text(json.dumps(config))
        refused = hither("up", "--alone", "--port-offset", str(find_network_offset()), home=tmp_path)
    assert refused.returncode == 1
    assert f"{config['rpc']['prometheus_addr']}: Address already in use, " in refused.stderr
    assert f"(process {os.getpid()})" in refused.stderr
    config["rpc"]["prometheus_addr"] = f"127.0.0.1:{find_free_port()}"
    path.write_text(json.dumps(config))
    key = json.loads((tmp_path / "node_key.json").read_text())["public_key"]
    with network(tmp_path) as running:
        assert running.url == f"http://127.0.0.1:{NODE_PORT + 5 + running.offset}"
        caller = RpcCaller(running.url, timeout_s=5)
        assert caller.call("status", [])["node_public_key"] == key
        with pytest.raises(RpcFailed, match="TIMEOUT_ERROR"):
            caller.call("tx", ["1" * 32, "alice.near"])
        caller.close()
        metrics = httpx.get(f"http://{config['rpc']['prometheus_addr']}/metrics", timeout=30)
        assert 'near_rpc_total_count{method="tx"} 1' in metrics.text


def test_killed_network_starts_again(tmp_path: Path) -> None:
    """After SIGKILL the file stays behind; nobody takes it for a running network, and the next start works."""
    with network(tmp_path) as running:
        with connect(running, "alice.near") as client:
            client.transfer("bob.near", "5 N")
            kept = client.get_account("bob.near").amount
        running.end(signal.SIGKILL)
    assert "has ended" in hither("status", home=tmp_path).stderr
    with network(tmp_path) as running, connect(running, "alice.near") as client:
        assert client.get_account("bob.near").amount == kept


def test_second_network_on_a_home_is_refused(shared: Network) -> None:
    """And told which process has it."""
    offset = str(find_network_offset())
    refused = hither("up", "--home", str(shared.home), "--port-offset", offset, home=shared.home)
    assert refused.returncode == 1
    assert f"in use by process {shared.process.pid}" in refused.stderr
    assert (shared.home / "endpoints.json").exists()


def test_port_in_use_names_its_owner_and_offers_another(tmp_path: Path) -> None:
    """A person reads whom to stop, or what to type instead."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        offset = taken.getsockname()[1] - NODE_PORT
        refused = hither("up", "--port-offset", str(offset), home=tmp_path)
    assert refused.returncode == 1
    assert f"(process {os.getpid()})" in refused.stderr
    assert "hint: stop it, or use port" in refused.stderr


def test_fresh_leaves_folders_of_others_alone(tmp_path: Path) -> None:
    """A mistyped --home must not cost anybody's files."""
    (tmp_path / "thesis.txt").write_text("important")
    refused = hither("up", "--fresh", "--port-offset", str(find_network_offset()), home=tmp_path)
    assert refused.returncode == 1
    assert "not a home of hither" in refused.stderr
    assert (tmp_path / "thesis.txt").read_text() == "important"


def test_detached_network_is_stopped_by_down(tmp_path: Path) -> None:
    """For scripts: ready when the command returns, with the signing contract's name and keys; gone when `down` does."""
    shown = must_hither("up", "--detach", "--port-offset", str(find_network_offset()), home=tmp_path)
    assert "JSON-RPC" in shown
    status = json.loads(must_hither("status", "--json", home=tmp_path))
    signing = status["endpoints"]["mpc"]
    # Never v1.signer: for that name clients derive addresses from keys of NEAR's own network.
    assert signing["contract_id"] == "signer.test.near"
    assert [domain["id"] for domain in signing["domains"]] == [0, 1, 2]
    for word in (signing["contract_id"], *(domain["public_key"] for domain in signing["domains"])):
        assert word in shown
    must_hither("down", home=tmp_path)
    assert not is_running(status["endpoints"]["pid"])
    assert hither("down", home=tmp_path).returncode == 1
