"""The accounts that a development chain begins with beside its own: a JSON list of who, whose key, how much."""

import json
from typing import Any, Final

from hither.chain.genesis import compute_total_supply, make_account_records
from hither.codec.units import InvalidAmount, parse_near
from hither.crypto.keys import InvalidKey, public_key_from_str
from hither.primitives.ids import is_valid_account_id

REQUIRED: Final = frozenset({"account_id", "public_key", "balance"})
TAKEN: Final = REQUIRED | {"secret_key", "path"}
"""The last two are what ``hither accounts derive --json`` has beside; they are not kept."""

SUPPLY_MAX: Final = 2**127
"""Leaves as much for the chain's own accounts and what it mints."""


class InvalidAccounts(ValueError):
    """The file is no list of accounts; the message says which entry is wrong."""


def read_accounts(text: str | bytes) -> list[dict[str, Any]]:
    """The records of a genesis for the accounts of a file. Raises ``InvalidAccounts``."""
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise InvalidAccounts(f"not JSON: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise InvalidAccounts("expected a list of {account_id, public_key, balance}")
    records: list[dict[str, Any]] = []
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        try:
            records += _read_account(entry, seen)
        except (InvalidAccounts, InvalidAmount, InvalidKey) as error:
            raise InvalidAccounts(f"account {index}: {error}") from None
    if compute_total_supply(records) > SUPPLY_MAX:
        raise InvalidAccounts("together they hold more than a chain can count")
    return records


def _read_account(entry: Any, seen: set[str]) -> list[dict[str, Any]]:
    if not isinstance(entry, dict) or not entry.keys() >= REQUIRED or entry.keys() - TAKEN:
        raise InvalidAccounts("expected account_id, public_key and balance, and nothing else")
    for name in REQUIRED:
        if not isinstance(entry[name], str):
            raise InvalidAccounts(f"{name} is a text")
    account_id = entry["account_id"]
    if not is_valid_account_id(account_id):
        raise InvalidAccounts(f"{account_id!r} is not an account id")
    if account_id in seen:
        raise InvalidAccounts(f"{account_id} is there twice")
    seen.add(account_id)
    public_key = public_key_from_str(entry["public_key"])
    return make_account_records(account_id, public_key, parse_near(entry["balance"]))
