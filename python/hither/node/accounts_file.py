"""The accounts that a development chain begins with beside its own: a number, or a JSON list of id, key and balance.

A name alone stands for an account with its well-known key and the usual balance.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from hither.chain.genesis import (
    DEVELOPMENT_BALANCE,
    compute_total_supply,
    derive_development_key,
    make_account_records,
)
from hither.codec.units import InvalidAmount, parse_near
from hither.crypto.keys import InvalidKey, public_key_from_str
from hither.crypto.signing import compute_public_key
from hither.primitives.ids import is_valid_account_id

COUNT_MAX: Final = 1_000
REQUIRED: Final = frozenset({"account_id", "public_key"})
TAKEN: Final = REQUIRED | {"balance", "secret_key", "path"}
"""The last two are what ``hither accounts derive --json`` has beside; they are not kept."""

SUPPLY_MAX: Final = 2**127
"""Leaves as much for the chain's own accounts and what it mints."""


class InvalidAccounts(ValueError):
    """The file is no list of accounts; the message says which entry is wrong."""


def make_numbered_accounts(count: int) -> list[dict[str, Any]]:
    """The records of ``user1.near``, ``user2.near`` …, each with its well-known key. Raises ``InvalidAccounts``."""
    if not 1 <= count <= COUNT_MAX:
        raise InvalidAccounts(f"{count} is not between 1 and {COUNT_MAX}; a file may name more accounts")
    return [record for number in range(count) for record in _make_known_account(f"user{number + 1}.near")]


def list_account_ids(records: list[dict[str, Any]]) -> Iterator[str]:
    """Whose records they are."""
    return (record["Account"]["account_id"] for record in records if "Account" in record)


def _make_known_account(account_id: str) -> list[dict[str, Any]]:
    key = compute_public_key(derive_development_key(account_id))
    return make_account_records(account_id, key, DEVELOPMENT_BALANCE)


def read_accounts(text: str | bytes) -> list[dict[str, Any]]:
    """The records of a genesis for the accounts of a file. Raises ``InvalidAccounts``."""
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise InvalidAccounts(f"not JSON: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise InvalidAccounts("expected a list of names, or of {account_id, public_key, balance}")
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
    fields = {"account_id": entry} if isinstance(entry, str) else entry
    is_known = isinstance(entry, str)
    if (
        not isinstance(fields, dict)
        or (not is_known and not fields.keys() >= REQUIRED)
        or fields.keys() - TAKEN
    ):
        raise InvalidAccounts("expected a name, or account_id, public_key and balance, and nothing else")
    for name in fields.keys() & {*REQUIRED, "balance"}:
        if not isinstance(fields[name], str):
            raise InvalidAccounts(f"{name} is a text")
    account_id = fields["account_id"]
    if not is_valid_account_id(account_id):
        raise InvalidAccounts(f"{account_id!r} is not an account id")
    if account_id in seen:
        raise InvalidAccounts(f"{account_id} is there twice")
    seen.add(account_id)
    if is_known:
        return _make_known_account(account_id)
    public_key = public_key_from_str(fields["public_key"])
    balance = parse_near(fields["balance"]) if "balance" in fields else DEVELOPMENT_BALANCE
    return make_account_records(account_id, public_key, balance)
