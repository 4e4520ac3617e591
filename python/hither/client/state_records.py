"""Accounts as records of state: keys, code and a contract's own state, in the JSON form of NEAR's genesis.

A file is one JSON array of records, as ``records.json`` of NEAR's state dumps is; a whole genesis is read too. The
only effect is the ``call`` that is given: any NEAR node can be exported from, a development chain imported into.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from hither.crypto.hashing import sha256
from hither.primitives.account import Account
from hither.primitives.state_record import (
    AccountRecord,
    ContractRecord,
    InvalidStateRecord,
    StateRecord,
    state_record_from_json,
)
from hither.primitives.types import AccountId

Json = dict[str, Any]
Call = Callable[[str, Any], Any]
NO_CODE: Final = "1" * 32
ITEMS_IN_PAGE: Final = 1_000
KEYS_IN_PAGE: Final = 100
BATCH_BYTES_MAX: Final = 6 * 10**6
"""Of records in one call: below what nodes take as one request, above the largest code in base64."""


class InvalidStateFile(ValueError):
    """The file holds something else than records of state; the message says where. Nothing was written."""


# Export


def export_account(account_id: str, block_hash: str, call: Call) -> Iterator[Json]:
    """The records of an account at a block. What ``call`` raises comes through."""

    def ask(kind: str, **more: Any) -> Json:
        question = {"request_type": kind, "block_id": block_hash, "account_id": account_id}
        answer: Json = call("query", question | more)
        return answer

    account = ask("view_account")
    yield make_account_record(account_id, account)
    if account["code_hash"] != NO_CODE:
        code = ask("view_code")["code_base64"]
        yield {"Contract": {"account_id": account_id, "code": code}}
    page: Json = {"limit": KEYS_IN_PAGE}
    while True:
        answer = ask("view_access_key_list", **page)
        for listed in answer["keys"]:
            yield make_key_record(account_id, listed)
            if has_nonces(listed):
                nonces = ask("view_gas_key_nonces", public_key=listed["public_key"])["nonces"]
                name = {"account_id": account_id, "public_key": listed["public_key"]}
                for index, nonce in enumerate(nonces):
                    yield {"GasKeyNonce": {**name, "index": index, "nonce": nonce}}
        if answer.get("last_key") is None:
            break
        page["after_key"] = answer["last_key"]
    # Also without code: a contract that is gone may have left something.
    page = {"prefix_base64": "", "limit": ITEMS_IN_PAGE}
    while True:
        answer = ask("view_state", **page)
        for item in answer["values"]:
            yield {"Data": {"account_id": account_id, "data_key": item["key"], "value": item["value"]}}
        if answer.get("last_key") is None:
            return
        page["after_key_base64"] = answer["last_key"]


def make_account_record(account_id: str, view: Json) -> Json:
    """The record from what ``view_account`` answers."""
    is_global = any(view.get(f"global_contract_{kind}") is not None for kind in ("hash", "account_id"))
    left_out = ("block_height", "block_hash", "storage_paid_at")
    account = {name: value for name, value in view.items() if name not in left_out}
    return {
        "Account": {"account_id": account_id, "account": account | {"version": "V2" if is_global else "V1"}}
    }


def make_key_record(account_id: str, listed: Json) -> Json:
    """The record from an item of ``view_access_key_list``; views have a gas key's two parts as one."""
    permission = listed["access_key"]["permission"]
    if isinstance(permission, dict) and "GasKeyFunctionCall" in permission:
        fields = permission["GasKeyFunctionCall"]
        gas_key = {name: fields[name] for name in ("balance", "num_nonces")}
        grant = {name: fields[name] for name in ("allowance", "receiver_id", "method_names")}
        permission = {"GasKeyFunctionCall": [gas_key, grant]}
    access_key = {"nonce": listed["access_key"]["nonce"], "permission": permission}
    key = {"account_id": account_id, "public_key": listed["public_key"], "access_key": access_key}
    return {"AccessKey": key}


def has_nonces(listed: Json) -> bool:
    """Whether a key is a gas key, whose nonces are records of their own."""
    permission = listed["access_key"]["permission"]
    return isinstance(permission, dict) and any(name.startswith("GasKey") for name in permission)


# Import


def read_records(text: str | bytes) -> list[Json]:
    """The records of a file: an array, or a genesis. Raises ``InvalidStateFile``."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InvalidStateFile(f"not JSON: {error}") from None
    records = content.get("records") if isinstance(content, dict) else content
    if not isinstance(records, list):
        raise InvalidStateFile("expected an array of records, or a genesis with `records`")
    validate_records(records)
    return records


def validate_records(records: Sequence[Any]) -> None:
    """Raises ``InvalidStateFile`` unless each is a record, once, and code is what its account names."""
    accounts: dict[AccountId, AccountRecord] = {}
    seen: set[Any] = set()
    parsed: list[StateRecord] = []
    for index, record in enumerate(records):
        try:
            item = state_record_from_json(record)
        except InvalidStateRecord as error:
            raise InvalidStateFile(f"record {index}: {error}") from None
        if (name := _name_record(item)) in seen:
            raise InvalidStateFile(f"record {index}: {item.account_id} has the same {name[0]} twice")
        seen.add(name)
        parsed.append(item)
        if isinstance(item, AccountRecord):
            accounts[item.account_id] = item
    codes = {item.account_id: sha256(item.code) for item in parsed if isinstance(item, ContractRecord)}
    for item in parsed:
        if item.account_id not in accounts:
            raise InvalidStateFile(f"{item.account_id} has records, but no account among them")
    for account_id, record in accounts.items():
        account = record.account
        named = account.local_code_hash if isinstance(account, Account) else bytes(32)
        if named != codes.get(account_id, bytes(32)):
            raise InvalidStateFile(f"{account_id}: the code is not the one whose hash the account names")


def _name_record(record: StateRecord) -> tuple[Any, ...]:
    """What it is a record of: kind, account, and what tells it from others of the account."""
    fields = [getattr(record, name, None) for name in ("key", "index", "data_id")]
    return (type(record).__name__.removesuffix("Record"), record.account_id, *fields)


def import_records(records: Sequence[Json], call: Call) -> int:
    """Write records that were read into a development chain, accounts first. Returns how many calls it took."""
    in_order = sorted(records, key=lambda record: "Account" not in record)
    batches = list(_make_batches(in_order))
    for batch in batches:
        call("sandbox_patch_state", {"records": batch})
    return len(batches)


def _make_batches(records: Sequence[Json]) -> Iterator[list[Json]]:
    batch: list[Json] = []
    size = 0
    for record in records:
        length = len(json.dumps(record))
        if batch and size + length > BATCH_BYTES_MAX:
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += length
    if batch:
        yield batch
