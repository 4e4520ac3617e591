"""A fork of a second node of ours, as ``hither up --fork URL`` makes it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hither.chain.genesis import derive_development_key
from hither.client import Client, RpcError, Signer, UnknownAccount, actions
from hither.crypto.hashing import sha256
from hither.crypto.keys import public_key_to_str
from hither.crypto.signing import compute_public_key
from hither.foreign.engines.ports import find_network_offset
from hither.primitives.action import Action
from tests.e2e.cli.running import Network, hither, must_hither, network

pytestmark = pytest.mark.slow
CONTRACTS = Path(__file__).resolve().parents[3] / "contracts"
TOKEN = (CONTRACTS / "fungible_token/fungible_token.wasm").read_bytes()
PING_PONG = (CONTRACTS / "ping_pong/ping_pong.wasm").read_bytes()


def connect(url: str, account_id: str) -> Client:
    """A client that signs with the account's well-known key."""
    return Client(url, signer=Signer(account_id, derive_development_key(account_id)))


def create(url: str, account_id: str, *more: Action) -> None:
    """An account below ``test.near`` with its well-known key and 100 N."""
    key = public_key_to_str(compute_public_key(derive_development_key(account_id)))
    with connect(url, "test.near") as client:
        client.send(
            account_id, actions.create_account(), actions.transfer("100 N"), actions.add_full_access_key(key)
        )
    with connect(url, account_id) as client:
        if more:
            client.send(account_id, *more)


def get_balance(url: str, account_id: str) -> str:
    """Of the token."""
    with Client(url) as client:
        return str(client.view("token.test.near", "ft_balance_of", {"account_id": account_id}).json())


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """One that the tests only read."""
    with network(tmp_path_factory.mktemp("remote"), "--quiet") as running:
        prepare_remote(running)
        yield running


def prepare_remote(remote: Network) -> None:
    """Accounts, a token and a contract that answers others."""
    for name in ("dana", "erin", "gone", "signer", "mpc-node-2"):
        create(remote.url, f"{name}.test.near")
    create(remote.url, "token.test.near", actions.deploy(TOKEN))
    create(remote.url, "pong.test.near", actions.deploy(PING_PONG))
    create(
        remote.url, "lane.test.near", actions.add_gas_key(GAS_KEY, 2), actions.fund_gas_key(GAS_KEY, "5 N")
    )
    create(remote.url, "shared.test.near", actions.deploy_global(PING_PONG, by_account=True))
    create(remote.url, "hashed.test.near", actions.deploy_global(PING_PONG))
    create(remote.url, "one.test.near", actions.use_global("shared.test.near"))
    create(remote.url, "two.test.near", actions.use_global(sha256(PING_PONG)))
    with connect(remote.url, "token.test.near") as token:
        owner = {"owner_id": "dana.test.near", "total_supply": "1000"}
        token.call("token.test.near", "new_default", owner)


GAS_SECRET = derive_development_key("the gas key of lane")
GAS_KEY = public_key_to_str(compute_public_key(GAS_SECRET))


def fork(home: Path, remote: Network, *more: str) -> Any:
    """A network that is a fork of the other."""
    return network(home, "--fork", remote.url, "--quiet", *more)


def test_accounts_keys_code_and_state_are_there_when_they_are_touched(
    remote: Network, tmp_path: Path
) -> None:
    """A query, a view call, a transaction under a copied key. What is changed here is not changed there."""
    with fork(tmp_path, remote) as ours:
        assert "fork of localnet at block" in ours.text
        with Client(ours.url) as client, Client(remote.url) as theirs:
            here, there = client.get_account("erin.test.near"), theirs.get_account("erin.test.near")
            assert (here.amount, here.storage_usage) == (there.amount, there.storage_usage)
            # A nonce that the remote has used is not free here.
            assert client.get_access_keys("dana.test.near") == theirs.get_access_keys("dana.test.near")
            assert client.get_block().height > 0
        assert get_balance(ours.url, "dana.test.near") == "1000"
        transfer_tokens(ours.url, "7")
        assert get_balance(ours.url, "erin.test.near") == "7"
        assert get_balance(remote.url, "erin.test.near") == "0"


def transfer_tokens(url: str, amount: str) -> None:
    """From dana to erin, under dana's key, which the fork has from the remote."""
    with connect(url, "dana.test.near") as dana:
        dana.call("token.test.near", "storage_deposit", {"account_id": "erin.test.near"}, deposit="1 N")
        args = {"receiver_id": "erin.test.near", "amount": amount}
        dana.call("token.test.near", "ft_transfer", args, deposit="1 yocto")


def test_gas_key_is_copied_with_its_nonces(remote: Network, tmp_path: Path) -> None:
    """And pays here from the balance that it had there, from nonces that are not used there."""
    lane = "lane.test.near"
    with Client(remote.url, signer=Signer(lane, GAS_SECRET, gas_key_nonces=2)) as client:
        client.transfer("erin.test.near", "1 yoctonear")
    with fork(tmp_path, remote) as ours:
        asked = {
            "request_type": "view_gas_key_nonces",
            "finality": "final",
            "account_id": lane,
            "public_key": GAS_KEY,
        }
        with (
            Client(ours.url, signer=Signer(lane, GAS_SECRET, gas_key_nonces=2)) as here,
            Client(remote.url) as there,
        ):
            nonces = here.request("query", asked)["nonces"]
            assert nonces == there.request("query", asked)["nonces"]
            assert here.transfer("erin.test.near", "1 yoctonear").is_executed
            after = here.request("query", asked)["nonces"]
            assert after != nonces and after[1:] == nonces[1:]
            assert there.request("query", asked)["nonces"] == nonces


@pytest.mark.parametrize("user", ["one.test.near", "two.test.near"])
def test_global_contract_comes_with_the_account_that_uses_it(
    user: str, remote: Network, tmp_path: Path
) -> None:
    """By the account that published it, or by its hash; other shards run it too."""
    with fork(tmp_path, remote) as ours, Client(ours.url) as client:
        assert client.view(user, "counts").json() == [0, 0, 0]
        assert client.get_account(user).has_contract
        with connect(ours.url, "alice.near") as alice:
            # alice lives on another shard, where the code was written by the same copy.
            alice.send(
                "alice.near",
                actions.use_global(sha256(PING_PONG) if user == "two.test.near" else "shared.test.near"),
            )
            args = {"other_id": user, "rounds": 2}
            assert alice.call("alice.near", "ping", args, gas="200 Tgas").value_json() == 3


def test_first_export_of_an_account_copies_it(remote: Network, tmp_path: Path) -> None:
    """The block that is exported is one that has the copy."""
    with fork(tmp_path, remote) as ours:
        here = must_hither("state", "export", "token.test.near", "dana.test.near", home=ours.home)
        there = must_hither("state", "export", "token.test.near", "dana.test.near", home=remote.home)
        assert json.loads(here) == json.loads(there)
        absent = hither("state", "export", "nobody.test.near", home=ours.home)
        assert absent.returncode == 1 and "UNKNOWN_ACCOUNT" in absent.stderr


def test_question_about_a_block_before_the_copy_is_refused(remote: Network, tmp_path: Path) -> None:
    """It would be answered with what is not so; the account is copied meanwhile."""
    with fork(tmp_path, remote) as ours, Client(ours.url) as client:
        block = client.get_block()
        asked = {"request_type": "view_account", "block_id": block.hash, "account_id": "erin.test.near"}
        with pytest.raises(RpcError, match="FORK_BLOCK_TOO_OLD: erin"):
            client.request("query", asked)
        assert client.get_account("erin.test.near", at=client.get_block().hash).amount


def test_contract_calls_one_that_nobody_has_touched(remote: Network, tmp_path: Path) -> None:
    """The receipts to it wait until it is copied; then it answers as it does there."""
    with fork(tmp_path, remote) as ours:
        with connect(ours.url, "alice.near") as alice:
            alice.deploy(PING_PONG)
            args = {"other_id": "pong.test.near", "rounds": 3}
            assert alice.call("alice.near", "ping", args, gas="200 Tgas").value_json() == 4
        with Client(ours.url) as client, Client(remote.url) as theirs:
            assert client.get_state("pong.test.near")
            assert not theirs.get_state("pong.test.near")


def test_absent_account_is_absent_and_can_be_made(remote: Network, tmp_path: Path) -> None:
    """The remote is asked for an account that it does not have; then it is ours to create."""
    with fork(tmp_path, remote) as ours, Client(ours.url) as client:
        with pytest.raises(UnknownAccount):
            client.get_account("nobody.test.near")
        create(ours.url, "nobody.test.near")
        assert client.get_account("nobody.test.near").amount == 100 * 10**24


def test_accounts_of_the_signing_network_are_never_copied(remote: Network, tmp_path: Path) -> None:
    """A remote that is `hither up` has them too, under keys that nobody has here; here they are made anew."""
    with fork(tmp_path, remote) as ours, Client(ours.url) as client, Client(remote.url) as theirs:
        for account_id in ("signer.test.near", "mpc-node-2.test.near"):
            assert theirs.get_account(account_id).amount
            with pytest.raises(UnknownAccount):
                client.get_account(account_id)
            create(ours.url, account_id)


def test_copy_that_a_revert_took_away_is_made_again(remote: Network, tmp_path: Path) -> None:
    """What was changed after the copy went with it; the second copy is as the first was."""
    with fork(tmp_path, remote) as ours:
        before = must_hither("snapshot", home=ours.home)
        transfer_tokens(ours.url, "7")
        must_hither("revert", before, home=ours.home)
        assert get_balance(ours.url, "dana.test.near") == "1000"
        transfer_tokens(ours.url, "9")
        assert get_balance(ours.url, "erin.test.near") == "9"


def test_fork_goes_on_without_its_remote(tmp_path: Path) -> None:
    """After a restart what was changed or deleted is so still; what was never copied is refused with what to do."""
    home = tmp_path / "fork"
    with network(tmp_path / "remote", "--quiet") as remote:
        prepare_remote(remote)
        with fork(home, remote) as ours:
            transfer_tokens(ours.url, "7")
            with connect(ours.url, "gone.test.near") as gone:
                gone.send("gone.test.near", actions.delete_account("erin.test.near"))
            ours.end()
    with network(home, "--quiet") as ours, Client(ours.url) as client:
        assert get_balance(ours.url, "erin.test.near") == "7"
        with pytest.raises(UnknownAccount):
            client.get_account("gone.test.near")
        with pytest.raises(RpcError, match="FORK_REMOTE_SILENT"):
            client.request(
                "query", {"request_type": "view_account", "finality": "final", "account_id": "pong.test.near"}
            )
        with connect(ours.url, "alice.near") as alice:
            alice.deploy(PING_PONG)
            args = {"other_id": "pong.test.near", "rounds": 1}
            # The callback is told of the failure that a call to no account is.
            alice.call("alice.near", "ping", args, gas="200 Tgas")
            assert alice.view("alice.near", "counts").json() == [1, 1, 1]
        transfer_tokens(ours.url, "3")
        assert get_balance(ours.url, "erin.test.near") == "10"
        ours.end()
    other = hither("up", "--alone", "--fork", "http://127.0.0.1:9", home=home)
    assert other.returncode == 1 and "begin anew with --fresh" in other.stderr


def test_remote_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Nothing is begun; the same command works once the remote answers."""
    offset = str(find_network_offset())
    result = hither("up", "--alone", "--port-offset", offset, "--fork", "http://127.0.0.1:9", home=tmp_path)
    assert result.returncode == 1 and "FORK_REMOTE_SILENT" in result.stderr
    assert not (tmp_path / "genesis.json").exists()
    result = hither("up", "--alone", "--block", "5", home=tmp_path)
    assert result.returncode == 2 and "--block goes with --fork" in result.stderr
