"""A client of what runs in a home, by the keys that are kept there."""

import json
import os
from pathlib import Path

import pytest

from hither import connect
from hither.client import InvalidRequest, Signer
from hither.sdk.endpoints import NoKey, NoNetwork, write_endpoints

ALICE = Signer.generate("alice.near")
SHOP = Signer.generate("shop.alice.near")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """With a network that "runs", a funded account and one that was made from here."""
    funded = [{"account_id": "alice.near", "secret_key": ALICE.secret_key}]
    near = {"rpc_url": "http://127.0.0.1:1", "accounts": funded}
    write_endpoints(tmp_path, {"pid": os.getpid(), "near": near})
    (tmp_path / "accounts").mkdir()
    made = {"account_id": "shop.alice.near", "secret_key": SHOP.secret_key}
    (tmp_path / "accounts/shop.alice.near.json").write_text(json.dumps(made))
    return tmp_path


def test_client_signs_for_an_account_whose_key_is_here(home: Path) -> None:
    """Funded or made here; or for nobody."""
    for signer in (ALICE, SHOP):
        with connect(signer.account_id, home=home) as client:
            assert client.url == "http://127.0.0.1:1"
            assert client.signer is not None
            assert client.signer.public_key == signer.public_key
    with connect(home=home) as client:
        assert client.signer is None


def test_what_is_missing_is_named(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The key, the name, the network."""
    with pytest.raises(NoKey, match=r"no key of bob\.near is kept"):
        connect("bob.near", home=home)
    with pytest.raises(InvalidRequest):
        connect("Bob", home=home)
    with pytest.raises(NoNetwork, match="hither up"):
        connect(home=tmp_path_factory.mktemp("empty"))
