"""A file of accounts for a genesis: what is taken, and what is refused with its place."""

import json
from pathlib import Path
from typing import Any

import pytest

from hither.chain.genesis import DevelopmentOptions, derive_development_key
from hither.crypto.keys import public_key_to_str
from hither.crypto.signing import compute_public_key
from hither.node.accounts_file import (
    COUNT_MAX,
    InvalidAccounts,
    list_account_ids,
    make_numbered_accounts,
    read_accounts,
)
from hither.node.home import HomeProblem, init_home, is_initialized

KEY = public_key_to_str(compute_public_key(derive_development_key("shop")))
SHOP = {"account_id": "shop.near", "public_key": KEY, "balance": "2 N"}


def test_account_becomes_its_records() -> None:
    """With one full-access key."""
    account, key = read_accounts(json.dumps([SHOP]))
    assert account["Account"]["account"]["amount"] == str(2 * 10**24)
    assert key["AccessKey"] == {
        "account_id": "shop.near",
        "public_key": KEY,
        "access_key": {"nonce": 0, "permission": "FullAccess"},
    }


def test_name_and_number_stand_for_accounts_with_well_known_keys() -> None:
    """And with the balance of the usual ones, which an account without a balance of its own has too."""
    (account, key), numbered = read_accounts('["shop.near"]'), make_numbered_accounts(2)
    well_known = public_key_to_str(compute_public_key(derive_development_key("shop.near")))
    assert key["AccessKey"]["public_key"] == well_known
    assert list(list_account_ids(numbered)) == ["user1.near", "user2.near"]
    without = read_accounts(json.dumps([{"account_id": "b.near", "public_key": KEY}]))
    for record in (account, numbered[0], without[0]):
        assert record["Account"]["account"]["amount"] == str(10**6 * 10**24)
    for count in (0, COUNT_MAX + 1):
        with pytest.raises(InvalidAccounts, match="is not between 1 and"):
            make_numbered_accounts(count)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "not JSON"),
        ({"accounts": [SHOP]}, "expected a list"),
        ([], "expected a list"),
        ([SHOP, {"account_id": "a.near"}], "account 1: expected a name, or account_id"),
        ([SHOP | {"nonce": 1}], "account 0: expected a name, or account_id"),
        ([1], "account 0: expected a name"),
        (["Shop"], "account 0: 'Shop' is not"),
        ([SHOP, "shop.near"], "account 1: shop.near is there twice"),
        ([SHOP | {"balance": 2}], "account 0: balance is a text"),
        ([SHOP | {"balance": "2"}], "account 0: .*has no unit"),
        ([SHOP | {"account_id": "Shop"}], "account 0: 'Shop' is not"),
        ([SHOP | {"public_key": "ed25519:1"}], "account 0: "),
        ([SHOP, SHOP], "account 1: shop.near is there twice"),
        ([SHOP | {"balance": f"{2**128 - 1} yoctonear"}], "more than a chain can count"),
    ],
)
def test_wrong_files_are_refused(content: Any, message: str) -> None:
    """Nothing is written for them: they are read first."""
    with pytest.raises(InvalidAccounts, match=message):
        read_accounts(content if isinstance(content, str) else json.dumps(content))


def test_accounts_of_every_chain_are_refused(tmp_path: Path) -> None:
    """alice is there already; no home is left behind half made."""
    records = read_accounts(json.dumps([SHOP | {"account_id": "alice.near"}]))
    with pytest.raises(HomeProblem, match=r"alice\.near is an account of every"):
        init_home(tmp_path, DevelopmentOptions(), 0, records)
    assert not is_initialized(tmp_path)
