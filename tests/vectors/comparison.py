"""Differences between what we made and what was recorded, each with the place where it is."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hither.crypto.keys import key_handle_to_str
from hither.primitives.account import decode_access_key, decode_account_record
from hither.primitives.views.accounts import view_access_key, view_account, view_bytes
from hither.runtime.causes import describe_cause
from hither.state import keys

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """``where`` is height, shard or id and JSON path; what we have and what the recording has."""

    where: str
    ours: Any
    recorded: Any

    def __str__(self) -> str:
        return f"{self.where}\n    ours     {_shorten(self.ours)}\n    recorded {_shorten(self.recorded)}"


MISSING = "(missing)"


def _shorten(value: Any, limit: int = 400) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def compare(where: str, ours: Any, recorded: Any) -> list[Difference]:
    """Walk two JSON values; the order of fields does not count, everything else does. A tuple is a list."""
    if isinstance(ours, tuple):
        ours = list(ours)
    if isinstance(ours, dict) and isinstance(recorded, dict):
        found = []
        for name in [*recorded, *(name for name in ours if name not in recorded)]:
            found += compare(f"{where}.{name}", ours.get(name, MISSING), recorded.get(name, MISSING))
        return found
    if isinstance(ours, list) and isinstance(recorded, list):
        if len(ours) != len(recorded):
            return [Difference(f"{where} (lengths {len(ours)} and {len(recorded)})", ours, recorded)]
        found = []
        for index, (left, right) in enumerate(zip(ours, recorded, strict=True)):
            found += compare(f"{where}[{index}]", left, right)
        return found
    if type(ours) is type(recorded) and ours == recorded:
        return []
    return [Difference(where, ours, recorded)]


# State changes

ChangeKey = tuple[str, ...]
ChangesByKey = dict[ChangeKey, list[Json]]


def group_recorded_changes(changes: Json) -> ChangesByKey:
    """The recorded changes of a height by what they change, in their order."""
    grouped: ChangesByKey = {}
    for kind in changes.values():
        for entry in kind:
            change = entry["change"]
            what = str(entry["type"]).removesuffix("_update").removesuffix("_deletion")
            key = (what, change["account_id"], change.get("public_key", change.get("key_base64", "")))
            grouped.setdefault(key, []).append(entry)
    return grouped


def _show_update(trie_key: bytes, value: bytes) -> Json:
    column = trie_key[0]
    if column == keys.ACCOUNT:
        return view_account(decode_account_record(value))
    if column == keys.CONTRACT_CODE:
        return {"code_base64": view_bytes(value)}
    if column == keys.ACCESS_KEY:
        return {"access_key": view_access_key(decode_access_key(value))}
    return {"value_base64": view_bytes(value)}


def _parse_key(trie_key: bytes) -> tuple[str, Json] | None:
    """What is changed, and the fields that name it; None for columns that the recording does not show."""
    match trie_key[0]:
        case keys.ACCOUNT:
            return "account", {"account_id": keys.parse_account(trie_key)}
        case keys.CONTRACT_CODE:
            return "contract_code", {"account_id": keys.parse_contract_code(trie_key)}
        case keys.ACCESS_KEY:
            name = keys.parse_access_key(trie_key)
            return "access_key", {
                "account_id": name.account_id,
                "public_key": key_handle_to_str(name.handle),
            }
        case keys.CONTRACT_DATA:
            item = keys.parse_contract_data(trie_key)
            return "data", {"account_id": item.account_id, "key_base64": view_bytes(item.item)}
    return None


CausedChanges = Iterable[tuple[bytes, list[tuple[bytes, bytes | None]]]]


def group_our_changes(caused: CausedChanges) -> ChangesByKey:
    """Our changes of accounts, code, keys and data in the recorded form."""
    grouped: ChangesByKey = {}
    for trie_key, writes in caused:
        parsed = _parse_key(trie_key)
        if parsed is None:
            continue
        what, fields = parsed
        entries = grouped.setdefault((what, *fields.values(), *([""] if len(fields) == 1 else [])), [])
        for cause, value in writes:
            change = fields if value is None else fields | _show_update(trie_key, value)
            kind = "deletion" if value is None else "update"
            entries.append({"cause": describe_cause(cause), "type": f"{what}_{kind}", "change": change})
    return grouped


def list_our_touched(caused: CausedChanges) -> list[Json]:
    """What was touched, record by record in the order of keys, as ``changes_in_block`` lists it."""
    parsed = [_parse_key(trie_key) for trie_key in sorted(trie_key for trie_key, _ in caused)]
    return [
        {"type": f"{one[0]}_touched", "account_id": one[1]["account_id"]} for one in parsed if one is not None
    ]
