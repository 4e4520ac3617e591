"""Differences between what we made and what was recorded, each with the place where it is."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hither.codec import base58
from hither.crypto.keys import key_handle_to_str, public_key_to_str
from hither.primitives.account import (
    AccessKey,
    Account,
    FullAccess,
    FunctionCallPermission,
    GlobalContractByAccount,
    GlobalContractByHash,
    UninitialisedAccount,
    decode_access_key,
    decode_account_record,
)
from hither.primitives.merkle import MerklePathItem
from hither.primitives.outcome import Failure, Outcome, ProfileEntry, SuccessReceiptId, SuccessValue
from hither.primitives.sharding import BandwidthRequest, CongestionInfo, ValidatorStake
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
    """Walk two JSON values; the order of fields does not count, everything else does."""
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


# Our values as NEAR's RPC shows them


def show_base64(data: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(data).decode()


def show_congestion_info(info: CongestionInfo) -> Json:
    """As in a chunk header."""
    return {
        "delayed_receipts_gas": str(info.delayed_receipts_gas),
        "buffered_receipts_gas": str(info.buffered_receipts_gas),
        "receipt_bytes": info.receipt_bytes,
        "allowed_shard": info.allowed_shard,
    }


def show_bandwidth_requests(requests: Iterable[BandwidthRequest]) -> Json:
    """As in a chunk header."""
    shown = [
        {"to_shard": request.to_shard, "requested_values_bitmap": {"data": list(request.bitmap)}}
        for request in requests
    ]
    return {"V1": {"requests": shown}}


def show_validator_stake(stake: ValidatorStake) -> Json:
    """As in a header."""
    return {
        "account_id": stake.account_id,
        "public_key": public_key_to_str(stake.public_key),
        "stake": str(stake.stake),
        "validator_stake_struct_version": "V1",
    }


def show_account(account: Account | UninitialisedAccount) -> Json:
    """``AccountView``."""
    assert isinstance(account, Account), "there are none at 84"
    shown: Json = {
        "amount": str(account.amount),
        "locked": str(account.locked),
        "code_hash": base58.encode(account.local_code_hash),
        "storage_usage": account.storage_usage,
        "storage_paid_at": 0,
    }
    if isinstance(account.contract, GlobalContractByHash):
        shown["global_contract_hash"] = base58.encode(account.contract.code_hash)
    if isinstance(account.contract, GlobalContractByAccount):
        shown["global_contract_account_id"] = account.contract.account_id
    return shown


def show_access_key(access_key: AccessKey) -> Json:
    """``AccessKeyView``, for the permissions of 84."""
    permission = access_key.permission
    if isinstance(permission, FullAccess):
        return {"nonce": access_key.nonce, "permission": "FullAccess"}
    assert isinstance(permission, FunctionCallPermission)
    fields = {
        "allowance": None if permission.allowance is None else str(permission.allowance),
        "receiver_id": permission.receiver_id,
        "method_names": list(permission.method_names),
    }
    return {"nonce": access_key.nonce, "permission": {"FunctionCall": fields}}


def _show_profile(profile: tuple[ProfileEntry, ...] | None) -> Any:
    if profile is None:
        return None
    return [
        {"cost_category": entry.category, "cost": entry.cost, "gas_used": str(entry.gas_used)}
        for entry in profile
    ]


def show_proof(path: Iterable[MerklePathItem]) -> list[Json]:
    """A Merkle path."""
    return [{"hash": base58.encode(item.hash), "direction": item.direction.value} for item in path]


def show_outcome(outcome: Outcome) -> Json:
    """``ExecutionOutcomeView``."""
    status: Any
    if isinstance(outcome.status, Failure):
        status = {"Failure": outcome.status.error}
    elif isinstance(outcome.status, SuccessValue):
        status = {"SuccessValue": show_base64(outcome.status.value)}
    elif isinstance(outcome.status, SuccessReceiptId):
        status = {"SuccessReceiptId": base58.encode(outcome.status.receipt_id)}
    else:
        status = "Unknown"
    return {
        "logs": list(outcome.logs),
        "receipt_ids": [base58.encode(receipt_id) for receipt_id in outcome.receipt_ids],
        "gas_burnt": outcome.gas_burnt,
        "tokens_burnt": str(outcome.tokens_burnt),
        "executor_id": outcome.executor_id,
        "status": status,
        "metadata": {"version": outcome.metadata_version, "gas_profile": _show_profile(outcome.gas_profile)},
    }


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
        return show_account(decode_account_record(value))
    if column == keys.CONTRACT_CODE:
        return {"code_base64": show_base64(value)}
    if column == keys.ACCESS_KEY:
        return {"access_key": show_access_key(decode_access_key(value))}
    return {"value_base64": show_base64(value)}


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
            return "data", {"account_id": item.account_id, "key_base64": show_base64(item.item)}
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
