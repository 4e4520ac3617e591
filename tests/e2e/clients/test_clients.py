"""Unmodified client libraries against a running node. README.md tells the scenario."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from hither.client import Client
from tests.e2e.cli.running import Network, network

pytestmark = pytest.mark.slow

HERE: Final = Path(__file__).resolve().parent
CODE: Final = HERE.parents[2] / "contracts/fungible_token/fungible_token.wasm"
SCRIPTS: Final = ("near_kit.mjs", "near_api_js.mjs", "near_kit_python.py", "py_near_python.py")
READER: Final = "near_jsonrpc_client.mjs"
SCRIPT_S_MAX: Final = 300
TRANSFERS: Final = 2000
TRANSFERS_S_MAX: Final = 1200
# Of a chain of two shards, cut at "n": names of the token, the receiver and the relayer.
NEIGHBOURS: Final = {
    "one shard": ("b", "bob.near", "carol.near"),
    "two shards": ("z", "sybil.near", "trent.near"),
}


def get_libraries() -> Path:
    """Where `make setup` has put the libraries."""
    locks = (HERE / "package-lock.json").read_bytes() + (HERE / "requirements.txt").read_bytes()
    cache = Path(os.environ.get("HITHER_CACHE", Path.home() / ".cache/hither"))
    folder = cache / "clients" / hashlib.sha256(locks).hexdigest()[:16]
    assert (folder / "complete").exists(), "the client libraries are not installed: run `make setup`"
    return folder


@pytest.fixture(scope="module", params=[86, 88])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A chain of two shards."""
    home = tmp_path_factory.mktemp("home")
    version = str(request.param)
    with network(home, "--quiet", "--shards", "2", "--protocol-version", version) as chain:
        yield chain


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts beside their libraries: modules of Node.js are found from where the script is."""
    folder = tmp_path_factory.mktemp("scripts")
    for name in (*SCRIPTS, READER):
        shutil.copy(HERE / name, folder)
    (folder / "node_modules").symlink_to(get_libraries() / "node_modules")
    return folder


def run_script(script: Path, running: Network, setting: dict[str, Any], seconds_max: float) -> dict[str, Any]:
    """Run one and read what it saw."""
    is_python = script.suffix == ".py"
    program = str(get_libraries() / "python/bin/python") if is_python else "node"
    owner = {"account_id": "alice.near", "secret_key": running.get_key("alice.near")}
    setting = {"url": running.url, "chain_id": "localnet", "owner": owner, **setting}
    result = subprocess.run(
        [program, str(script)],
        input=json.dumps(setting),
        capture_output=True,
        text=True,
        timeout=seconds_max,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    seen: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return seen


def check_errors(errors: dict[str, dict[str, Any]], user_id: str) -> None:
    """Each library tells its own way; all tell what happened."""
    texts = {case: json.dumps(error) for case, error in errors.items()}
    assert "missing.alice.near" in texts["missing_account"]
    assert "missing.alice.near" in texts["missing_receiver"]
    assert "doesn't have enough balance" in texts["panic"]
    assert "MethodNotFound" in texts["view_panic"]
    assert "CodeDoesNotExist" in texts["no_contract"] and user_id in texts["no_contract"]
    assert any(
        word in texts["too_poor"]
        for word in ("NotEnoughBalance", "InsufficientBalance", "INVALID_TRANSACTION")
    )


@pytest.mark.parametrize("place", NEIGHBOURS)
@pytest.mark.parametrize("name", SCRIPTS)
def test_library_runs_the_scenario(name: str, place: str, running: Network, scripts: Path) -> None:
    """Accounts, keys, a contract, tokens, money, a meta-transaction, errors."""
    letter, receiver_id, relayer_id = NEIGHBOURS[place]
    shards = {row["account_id"]: row["shard_id"] for row in running.endpoints["near"]["accounts"]}
    assert (shards[receiver_id] == shards["alice.near"]) == (place == "one shard")
    label = name.partition(".")[0].replace("_", "-") + place[:3]
    user_id = f"a-{label}.alice.near"
    setting = {
        "relayer": {"account_id": relayer_id, "secret_key": running.get_key(relayer_id)},
        "user_id": user_id,
        "token_id": f"{letter}-{label}.alice.near",
        "receiver_id": receiver_id,
        "code_path": str(CODE),
    }
    seen = run_script(scripts / name, running, setting, SCRIPT_S_MAX)
    check_errors(seen.pop("errors"), user_id)
    assert seen.pop("sent_status", "FINAL") == "FINAL"
    key = seen.pop("call_key", None)
    if key is not None:
        assert key["method_names"] == ["ft_transfer"] and key["allowance"] == str(10**24)
    assert seen == {
        "exists": True,
        "created_balance": str(20 * 10**24),
        "keys_after_add": 3,
        "keys_after_delete": 1,
        "code_size": CODE.stat().st_size,
        "token_name": "Example token",
        "user_tokens": "300",
        "receiver_tokens": "200",
        "received": str(15 * 10**23),
        "relayed_by": relayer_id,
        "tokens_after_relay": "250",
        "user_paid": "0",
    }


def test_near_jsonrpc_client_takes_every_answer(running: Network, scripts: Path) -> None:
    """Reads blocks, accounts and outcomes and sends, with its schemas on requests and answers."""
    setting = {"receiver_id": "sybil.near", "token_id": "r-schemas.alice.near", "code_path": str(CODE)}
    seen = run_script(scripts / READER, running, setting, SCRIPT_S_MAX)
    errors = seen.pop("errors")
    assert seen.pop("light_client_height") > 0
    assert errors["missing_account"]["name"] == "JsonRpcClientError"
    assert "missing.alice.near" in errors["missing_account"]["data"]
    assert errors["unknown_block"]["code"] == -32000
    assert "MethodNotFound" in errors["panic"]["message"]
    assert seen == {
        "chain_id": "localnet",
        "chunk_height": True,
        "gas_price": "100000000",
        "validators": ["test.near"],
        "permission": "FullAccess",
        "status": "FINAL",
        "received": "7",
        "same_outcome": True,
        "has_receipts": True,
        "token_name": "Example token",
    }


@pytest.mark.parametrize("running", [88], indirect=True)
def test_py_near_sends_thousands_of_transfers_in_sequence(running: Network, scripts: Path) -> None:
    """2,000 transfers, each sent when the one before has ended, leave a chain that answers."""
    setting = {"receiver_id": "sybil.near", "transfers": TRANSFERS}
    seen = run_script(scripts / "py_near_python.py", running, setting, TRANSFERS_S_MAX)
    assert seen["received"] == TRANSFERS
    assert seen["statuses"] == ['{"SuccessValue": ""}']
    with Client(running.url) as client:
        assert client.get_account("sybil.near").amount > 0
