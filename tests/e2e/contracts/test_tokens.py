"""The contracts on near-sdk, deployed and called at each protocol version that they link at."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hither.client import Client, ExecutionFailed
from hither.testing.network import LocalNetwork

pytestmark = pytest.mark.slow
CONTRACTS = Path(__file__).resolve().parents[3] / "contracts"
EVENT = 'EVENT_JSON:{"standard":"'


def read_wasm(name: str) -> bytes:
    """A committed contract."""
    return (CONTRACTS / name / f"{name}.wasm").read_bytes()


@pytest.fixture(scope="module", params=[86, 87, 88])
def network(request: pytest.FixtureRequest) -> Iterator[LocalNetwork]:
    """Three shards: alice and bob in the first, heidi in the second, trent in the third."""
    with LocalNetwork(shards=3, protocol_version=request.param) as running:
        yield running


@pytest.fixture
def alice(network: LocalNetwork) -> Iterator[Client]:
    """Signs for alice.near."""
    with network.connect("alice.near") as client:
        yield client


def test_fungible_token(network: LocalNetwork, alice: Client) -> None:
    """Registration, transfer, balances, metadata, and the refusals that wallets rely on."""
    alice.deploy(read_wasm("fungible_token"))
    minted = alice.call("alice.near", "new_default", {"owner_id": "alice.near", "total_supply": "1000"})
    assert minted.logs[0].startswith(EVENT + "nep141")
    with pytest.raises(ExecutionFailed, match="already been initialized"):
        alice.call("alice.near", "new_default", {"owner_id": "eve.near", "total_supply": "1"})
    transfer = {"receiver_id": "trent.near", "amount": "30"}
    with pytest.raises(ExecutionFailed, match=r"The account trent\.near is not registered"):
        alice.call("alice.near", "ft_transfer", transfer, deposit="1 yoctonear")
    alice.call("alice.near", "storage_deposit", {"account_id": "trent.near"}, deposit="0.1 N")
    with pytest.raises(ExecutionFailed, match="Requires attached deposit of exactly 1 yoctoNEAR"):
        alice.call("alice.near", "ft_transfer", transfer)
    moved = alice.call("alice.near", "ft_transfer", transfer, deposit="1 yoctonear")
    assert '"event":"ft_transfer"' in moved.logs[0]
    with network.connect("trent.near") as trent:
        back = {"receiver_id": "alice.near", "amount": "10"}
        trent.call("alice.near", "ft_transfer", back, deposit="1 yoctonear")
    for account_id, amount in (("alice.near", "980"), ("trent.near", "20")):
        assert alice.view("alice.near", "ft_balance_of", {"account_id": account_id}).json() == amount
    assert alice.view("alice.near", "ft_total_supply").json() == "1000"
    assert alice.view("alice.near", "ft_metadata").json()["spec"] == "ft-1.0.0"


def test_transfer_call_to_an_account_without_contract_is_undone(network: LocalNetwork) -> None:
    """NEP-141: what the receiver does not take comes back, though receipts ran in three shards."""
    with network.connect("bob.near") as bob:
        bob.deploy(read_wasm("fungible_token"))
        bob.call("bob.near", "new_default", {"owner_id": "bob.near", "total_supply": "1000"})
        bob.call("bob.near", "storage_deposit", {"account_id": "peggy.near"}, deposit="0.1 N")
        sent = {"receiver_id": "peggy.near", "amount": "7", "msg": ""}
        result = bob.call("bob.near", "ft_transfer_call", sent, deposit="1 yoctonear", gas="100 Tgas")
        assert result.value_json() == "0"
        assert bob.view("bob.near", "ft_balance_of", {"account_id": "bob.near"}).json() == "1000"


def test_non_fungible_token(network: LocalNetwork) -> None:
    """Minting by the owner alone, transfer, enumeration."""
    with network.connect("heidi.near") as heidi, network.connect("ivan.near") as ivan:
        heidi.deploy(read_wasm("nft"))
        heidi.call("heidi.near", "new_default", {"owner_id": "heidi.near"})
        metadata = {"title": "One", "copies": 1}
        mint = {"token_id": "1", "receiver_id": "ivan.near", "token_metadata": metadata}
        with pytest.raises(ExecutionFailed, match="Only the owner mints"):
            ivan.call("heidi.near", "nft_mint", mint, deposit="0.1 N")
        minted = heidi.call("heidi.near", "nft_mint", mint, deposit="0.1 N")
        assert '"event":"nft_mint"' in minted.logs[0]
        transfer = {"receiver_id": "trent.near", "token_id": "1"}
        with pytest.raises(ExecutionFailed, match="Sender not approved"):
            heidi.call("heidi.near", "nft_transfer", transfer, deposit="1 yoctonear")
        ivan.call("heidi.near", "nft_transfer", transfer, deposit="1 yoctonear")
        assert heidi.view("heidi.near", "nft_token", {"token_id": "1"}).json()["owner_id"] == "trent.near"
        owned = heidi.view("heidi.near", "nft_tokens_for_owner", {"account_id": "trent.near"}).json()
        assert [token["token_id"] for token in owned] == ["1"]


def test_ping_pong_between_shards(network: LocalNetwork) -> None:
    """Calls and callbacks to and fro; the deposit travels along and ends with the last one called."""
    with network.connect("judy.near") as judy, network.connect("sybil.near") as sybil:
        judy.deploy(read_wasm("ping_pong"))
        sybil.deploy(read_wasm("ping_pong"))
        result = judy.call(
            "judy.near", "ping", {"other_id": "sybil.near", "rounds": 5}, gas="300 Tgas", deposit="1 N"
        )
        assert result.value_json() == 6
        assert judy.view("judy.near", "counts").json() == [3, 3, 0]
        assert judy.view("sybil.near", "counts").json() == [3, 2, 0]
        failed = judy.call("judy.near", "ping_failure", {"other_id": "sybil.near"}, gas="100 Tgas")
        assert failed.value_json() == 0
        assert judy.view("judy.near", "counts").json() == [3, 4, 1]
        with pytest.raises(ExecutionFailed, match="asked to fail"):
            judy.call("sybil.near", "fail")
