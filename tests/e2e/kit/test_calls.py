"""`hither contracts deploy|call|view` as a person types them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hither.client import Client
from tests.e2e.cli.running import Network, hither, must_hither, network

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
TOKEN = ROOT / "contracts/fungible_token/fungible_token.wasm"
SETTING = json.dumps({"owner_id": "alice.near", "total_supply": "1000"})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """With a token that was deployed and set up in one transaction."""
    with network(tmp_path_factory.mktemp("home"), "--quiet") as running:
        arguments = ("contracts", "deploy", str(TOKEN), "--to", "token.test.near", "--init", "new_default")
        said = must_hither(*arguments, "--args", SETTING, home=running.home)
        assert "created token.test.near with 10 N" in said
        yield running


def must_fail(running: Network, *arguments: str, code: int = 1) -> str:
    """A command that fails, and what it says."""
    result = hither("contracts", *arguments, home=running.home)
    assert result.returncode == code, result.stdout + result.stderr
    return result.stderr


def test_calls_change_what_views_tell(running: Network) -> None:
    """The output is the method's result; cost and hash are in JSON, or beside it."""
    receiver = json.dumps({"account_id": "bob.near"})
    call = ("contracts", "call", "token.test.near")
    must_hither(*call, "storage_deposit", receiver, "--deposit", "0.1 N", home=running.home)
    transfer = json.dumps({"receiver_id": "bob.near", "amount": "7"})
    told = must_hither(
        *call, "ft_transfer", transfer, "--deposit", "1 yoctonear", "--json", home=running.home
    )
    fields = json.loads(told)
    assert fields["value"] is None
    assert "ft_transfer" in fields["logs"][0]
    assert fields["gas_burnt"] > 10**12
    assert fields["transaction_hash"] in must_hither("tx", fields["transaction_hash"], home=running.home)
    balance = must_hither(
        "contracts", "view", "token.test.near", "ft_balance_of", receiver, home=running.home
    )
    assert balance == '"7"'


def test_new_code_comes_onto_an_account_that_is_there(running: Network) -> None:
    """With the key that the first deployment has kept; what is stored stays."""
    said = must_hither("contracts", "deploy", str(TOKEN), "--to", "token.test.near", home=running.home)
    assert "created" not in said
    supply = must_hither("contracts", "view", "token.test.near", "ft_total_supply", home=running.home)
    assert supply == '"1000"'


def test_failures_say_why_and_what_next(running: Network) -> None:
    """The contract's own words, the transaction to look at, whose keys are here."""
    again = must_fail(running, "call", "token.test.near", "new_default", SETTING)
    assert "already" in again
    assert "hint: hither tx " in again
    assert "no such function" in must_fail(running, "call", "token.test.near", "nothing")
    assert "no such function" in must_fail(running, "view", "token.test.near", "nothing")
    assert "no key of eve.near is kept here" in must_fail(
        running, "call", "token.test.near", "x", "--as", "eve.near"
    )
    assert "no key of near.org" in must_fail(running, "deploy", str(TOKEN), "--to", "x.near.org")
    assert "has no unit" in must_fail(running, "call", "token.test.near", "x", "--deposit", "1")
    assert "not JSON" in must_fail(running, "view", "token.test.near", "x", "{by: 1}", code=2)
    assert "one JSON object" in must_fail(running, "view", "token.test.near", "x", "[1]", code=2)


def test_what_is_no_contract_is_refused_before_anything_is_sent(running: Network, tmp_path: Path) -> None:
    """A file of something else, a folder of nothing, a project that was not built."""
    (tmp_path / "text.wasm").write_text("no")
    assert "is no WebAssembly" in must_fail(running, "deploy", str(tmp_path / "text.wasm"))
    assert "is no contract" in must_fail(running, "deploy", str(tmp_path))
    must_hither("contracts", "new", "early", "--language", "cpp", "--in", str(tmp_path), home=running.home)
    early = must_fail(running, "deploy", str(tmp_path / "early"))
    assert f"hint: hither contracts build {tmp_path / 'early'}" in early
    with Client(running.url) as client:
        assert client.get_account("test.near").amount > 0


def test_nothing_runs(tmp_path: Path) -> None:
    """What to start."""
    result = hither("contracts", "view", "a.near", "get", home=tmp_path)
    assert result.returncode == 1
    assert "hither up" in result.stderr
