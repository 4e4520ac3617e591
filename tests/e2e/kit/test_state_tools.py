"""State as files, as a person moves it from one chain to another."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mnemonic import Mnemonic

from hither.chain.genesis import derive_development_key
from hither.client import Client, RpcError, Signer
from hither.crypto.keys import public_key_to_str
from hither.crypto.signing import compute_public_key
from hither.testing.network import LocalNetwork
from tests.e2e.cli.running import hither, must_hither
from tests.e2e.cli.running import network as running_network

pytestmark = pytest.mark.slow
TOKEN = Path(__file__).resolve().parents[3] / "contracts/fungible_token/fungible_token.wasm"


@pytest.fixture(scope="module")
def urls() -> Iterator[tuple[str, str]]:
    """Two chains of different shards; on the first, alice has a token."""
    with LocalNetwork(shards=3) as first, LocalNetwork(shards=1) as second:
        with first.connect("alice.near") as client:
            client.deploy(TOKEN.read_bytes())
            client.call("alice.near", "new_default", {"owner_id": "bob.near", "total_supply": "77"})
            client.transfer("bob.near", "3 N")
        yield first.url, second.url


def test_contract_moves_to_another_chain(urls: tuple[str, str], tmp_path: Path) -> None:
    """Balance, keys, code and state are there, and the contract works on."""
    first, second = urls
    file = tmp_path / "token.json"
    must_hither(
        "state", "export", "alice.near", "bob.near", "--out", str(file), "--node", first, home=tmp_path
    )
    told = must_hither("state", "import", str(file), "--node", second, home=tmp_path)
    assert told.endswith("of 2 accounts")
    again = must_hither("state", "export", "alice.near", "bob.near", "--node", second, home=tmp_path)
    assert json.loads(again) == json.loads(file.read_text())
    signer = Signer("bob.near", derive_development_key("bob.near"))
    with Client(second, signer=signer) as client:
        assert client.view("alice.near", "ft_balance_of", {"account_id": "bob.near"}).json() == "77"
        client.call("alice.near", "storage_deposit", {"account_id": "carol.near"}, deposit="0.1 N")
        transfer = {"receiver_id": "carol.near", "amount": "7"}
        client.call("alice.near", "ft_transfer", transfer, deposit="1 yoctonear")
        assert client.view("alice.near", "ft_balance_of", {"account_id": "bob.near"}).json() == "70"


def test_export_has_the_form_of_a_genesis(urls: tuple[str, str], tmp_path: Path) -> None:
    """Records by NEAR's names; the key is the account's, the code the contract's, and no secret is there."""
    records = json.loads(must_hither("state", "export", "alice.near", "--node", urls[0], home=tmp_path))
    kinds = [next(iter(record)) for record in records]
    assert kinds[:3] == ["Account", "Contract", "AccessKey"]
    assert set(kinds[3:]) == {"Data"}
    assert base64.b64decode(records[1]["Contract"]["code"]) == TOKEN.read_bytes()
    public = compute_public_key(derive_development_key("alice.near"))
    assert records[2]["AccessKey"]["public_key"] == public_key_to_str(public)
    assert "secret" not in json.dumps(records)


def test_wrong_files_and_accounts_change_nothing(urls: tuple[str, str], tmp_path: Path) -> None:
    """One wrong record among good ones: the message says which, and the good ones are not written either."""
    file = tmp_path / "wrong.json"
    exported = must_hither("state", "export", "alice.near", "--node", urls[0], home=tmp_path)
    records = json.loads(exported.replace("alice.near", "dave.near"))
    file.write_text(json.dumps([*records, {"Data": {"account_id": "dave.near"}}]))
    result = hither("state", "import", str(file), "--node", urls[1], home=tmp_path)
    assert result.returncode == 1
    assert f"record {len(records)}" in result.stderr
    missing = hither("state", "export", "dave.near", "--node", urls[1], home=tmp_path)
    assert missing.returncode == 1
    assert "UNKNOWN_ACCOUNT" in missing.stderr
    assert "hint: check the name, or create the account" in missing.stderr
    account = next(record for record in records if "Account" in record)["Account"]
    for name, amount in (("A B", "1"), ("dave.near", "-1"), ("dave.near", str(2**128))):
        wrong = {"account_id": name, "account": account["account"] | {"amount": amount}}
        file.write_text(json.dumps([{"Account": wrong}]))
        result = hither("state", "import", str(file), "--node", urls[1], home=tmp_path)
        assert (result.returncode, result.stderr.count("record 0: ")) == (1, 1), result.stderr
        with Client(urls[1]) as client, pytest.raises(RpcError, match="not a record of state"):
            client.request("sandbox_patch_state", {"records": [{"Account": wrong}]})


WORDS = "fortune conduct light unusual gloom process wrap spare season exact anchor devote"
SECRETS = [
    "ed25519:G94YBVktAVUFZWvYBtYmfpvVMNCtSf2x73bMfTCM9CfzyrUyN5X6VpTqr8QTCHYBTdUfzufDsTy3cR9CfNf74Bv",
    "ed25519:2Q6EAt5ikTSVT2HvAB6fb5XLFukrahVXFdSzdYt8sVxXRasDktuAx2hTY5yBiPju4wdqbevnSgKxfayKvUBShsRv",
]


def test_words_and_their_seed_give_the_same_accounts(tmp_path: Path) -> None:
    """Those of NEAR's wallets, without a network; the account is the key's own."""
    seed = Mnemonic.to_seed(WORDS).hex()
    for option, text in (("--mnemonic", WORDS), ("--seed", seed)):
        derived = must_hither("accounts", "derive", option, text, "--count", "2", "--json", home=tmp_path)
        rows = json.loads(derived)
        assert [row["secret_key"] for row in rows] == SECRETS
        assert all(len(row["account_id"]) == 64 for row in rows)
    wrong = hither("accounts", "derive", "--mnemonic", WORDS + " gloom", home=tmp_path)
    assert (wrong.returncode, "gloom" in wrong.stderr) == (1, False)
    assert hither("accounts", "derive", "--seed", "xyz", home=tmp_path).returncode == 1
    assert hither("accounts", "derive", home=tmp_path).returncode == 2


def test_chain_begins_with_the_accounts_of_a_file(tmp_path: Path) -> None:
    """Their owners have the keys from words; the usual accounts are there too, and no secret is kept."""
    derived = must_hither("accounts", "derive", "--mnemonic", WORDS, "--json", home=tmp_path)
    (row,) = json.loads(derived)
    file, home = tmp_path / "accounts.json", tmp_path / "home"
    shop = {"account_id": "shop.near", "public_key": row["public_key"], "balance": "12.5 N"}
    file.write_text(json.dumps([row | {"balance": "3 N"}, shop]))
    must_hither("node", "init", "--accounts", str(file), "--shards", "2", home=home)
    assert row["secret_key"] not in (home / "genesis.json").read_text()
    with LocalNetwork(home=home) as network, Client(network.url) as client:
        assert client.get_account("shop.near").amount == 12_500 * 10**21
        signer = Signer(row["account_id"], row["secret_key"])
        client.transfer("alice.near", "1 N", signer=signer)
        assert client.get_account("alice.near").amount == (10**6 + 1) * 10**24
    again = hither("node", "init", "--accounts", str(file), home=home)
    assert (again.returncode, "already" in again.stderr) == (1, True)
    absent = hither("snapshot", "load", str(tmp_path / "nothing"), home=tmp_path / "third")
    assert (absent.returncode, "nothing.hither is not there\nhint: " in absent.stderr) == (1, True)


def test_up_begins_with_so_many_accounts_or_those_of_a_file(tmp_path: Path) -> None:
    """Their keys stand beside those of the usual ones; a chain that is there is not begun anew for others."""
    home, file = tmp_path / "home", tmp_path / "names.json"
    file.write_text('["shop.near"]')
    with running_network(home, "--accounts", "30") as running:
        with Client(running.url, signer=Signer("user30.near", running.get_key("user30.near"))) as client:
            client.transfer("user1.near", "1 N")
            assert client.get_account("user1.near").amount == (10**6 + 1) * 10**24
        running.must_show("more: hither accounts list")
        running.end()
    with running_network(home, "--quiet", "--accounts", "2") as running:
        assert running.get_key("user2.near")
        running.end()
    other = hither("up", "--alone", "--accounts", str(file), home=home)
    assert other.returncode == 1 and "began without shop.near" in other.stderr
    for wrong, told in (("0", "is not between 1 and"), (str(tmp_path / "none"), "No such file")):
        refused = hither("up", "--alone", "--accounts", wrong, home=tmp_path / "none yet")
        assert (refused.returncode, told in refused.stderr) == (1, True), refused.stderr
    with running_network(home, "--quiet", "--fresh", "--accounts", str(file)) as running:
        assert running.get_key("shop.near")
        running.end()


def test_chain_is_shared_as_a_file(tmp_path: Path) -> None:
    """Saved in one home, loaded into another, it goes on where it was; a running one is not saved."""
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "team.hither"
    with LocalNetwork(home=first) as network, network.connect("alice.near") as client:
        client.transfer("bob.near", "5 N")
        height = client.get_block().height
        busy = hither("snapshot", "save", str(tmp_path / "team"), home=first)
        assert (busy.returncode, "in use" in busy.stderr, file.exists()) == (1, True, False)
    must_hither("snapshot", "save", str(tmp_path / "team"), home=first)
    must_hither("snapshot", "load", str(tmp_path / "team"), home=second)
    with LocalNetwork(home=second) as network, network.connect("alice.near") as client:
        assert client.get_block().height >= height
        assert client.get_account("bob.near").amount == (10**6 + 5) * 10**24
        client.transfer("bob.near", "1 N")
    again = hither("snapshot", "load", str(file), home=second)
    assert (again.returncode, "already" in again.stderr) == (1, True)
    absent = hither("snapshot", "load", str(tmp_path / "nothing"), home=tmp_path / "third")
    assert (absent.returncode, "nothing.hither is not there\nhint: " in absent.stderr) == (1, True)


def test_snapshot_says_that_other_chains_and_signing_keys_stay(tmp_path: Path) -> None:
    """And a whole network does not begin on a chain whose signing keys are elsewhere; our chain alone does."""
    first, second, file = tmp_path / "first", tmp_path / "second", tmp_path / "team.hither"
    with LocalNetwork(home=first):
        pass
    (first / "mpc").mkdir()
    for arguments, home in ((("save", str(file)), first), (("load", str(file)), second)):
        assert "key shares of signing nodes never leave" in must_hither("snapshot", *arguments, home=home)
    whole = hither("up", home=second)
    assert whole.returncode == 1 and "signing nodes' keys stayed where it was saved" in whole.stderr
    with running_network(second, "--quiet") as running:
        running.end()
    again = tmp_path / "again.hither"
    assert "never leave" in must_hither("snapshot", "save", str(again), home=second)
    with running_network(second, "--quiet", "--fresh") as running:
        running.end()
    assert "never leave" not in must_hither("snapshot", "save", str(again), home=second)
