"""A transaction's receipts over the shards: where and when each ran, and what it wrote.

NEAR's node tells what a block wrote (``EXPERIMENTAL_changes``) with the hash of the receipt that caused it; here the
two are brought together. The only effect is the ``call`` that ``trace_transaction`` is given, so any NEAR node can be
asked, by any client. What a node does not tell (an old block, a method it lacks) is left out, and said.

A contract's ABI is of no help here: near-abi describes calls and their results, not what lies in storage.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hither.client.receipt_tree import (
    PLAIN,
    Style,
    describe_permission,
    format_amount,
    make_printable,
    render_transaction,
)
from hither.primitives.sharding import ShardLayout

Json = dict[str, Any]
Call = Callable[[str, Any], Any]
SHOWN_LENGTH_MAX: Final = 160
CHANGES_MAX: Final = 50
READABLE_RUN_MIN: Final = 4
# Kinds of change -> the rest of the question.
_QUESTIONS: Final[Mapping[str, Json]] = {
    "account_changes": {},
    "all_access_key_changes": {},
    "contract_code_changes": {},
    "data_changes": {"key_prefix_base64": ""},
}
_INTEGER_SIZES: Final = {4: "u32", 8: "u64", 16: "u128"}


@dataclass(frozen=True)
class Trace:
    """A transaction's status with what is known beyond it. Changes are by receipt, in the node's form."""

    status: Json
    changes: Mapping[str, Sequence[Json]]
    heights: Mapping[str, int]
    layout: ShardLayout | None
    notes: Sequence[str] = field(default=())

    def get_shard_id(self, account_id: str) -> int | None:
        """Where an account lives; None if the node does not tell."""
        return None if self.layout is None else self.layout.get_shard_id(account_id)

    def get_height(self, outcome: Json) -> int | None:
        """Of the block that an outcome is in."""
        return self.heights.get(outcome["block_hash"])


def list_outcomes(status: Json) -> list[Json]:
    """The outcome of the transaction and those of its receipts."""
    if "transaction_outcome" not in status:
        return []
    return [status["transaction_outcome"], *status["receipts_outcome"]]


def trace_transaction(status: Json, call: Call, problems: tuple[type[Exception], ...]) -> Trace:
    """Ask a node for what is beyond a transaction's status. ``problems`` are what ``call`` raises for a refusal."""
    accounts: dict[str, set[str]] = {}
    for item in list_outcomes(status):
        accounts.setdefault(item["block_hash"], set()).add(item["outcome"]["executor_id"])
    heights: dict[str, int] = {}
    changes: list[Json] = []
    notes: dict[str, None] = {}
    layout = None
    for block_hash, touched in accounts.items():
        try:
            heights[block_hash] = int(call("block", {"block_id": block_hash})["header"]["height"])
            if layout is None:
                layout = read_layout(call("EXPERIMENTAL_protocol_config", {"block_id": block_hash}))
            for kind, more in _QUESTIONS.items():
                question = {
                    "block_id": block_hash,
                    "changes_type": kind,
                    "account_ids": sorted(touched),
                    **more,
                }
                changes += call("EXPERIMENTAL_changes", question)["changes"]
        except problems as error:
            notes[f"not all that was written is known: {error}"] = None
    return Trace(status, group_changes(status, changes), heights, layout, tuple(notes))


def read_layout(protocol_config: Json) -> ShardLayout | None:
    """The shards of a chain; None for layouts that are not cut at boundary accounts."""
    for version in ("V2", "V1"):
        fields = protocol_config.get("shard_layout", {}).get(version)
        if fields is not None:
            boundaries = tuple(fields["boundary_accounts"])
            shard_ids = fields.get("shard_ids") or list(range(len(boundaries) + 1))
            return ShardLayout(boundaries, tuple(shard_ids), fields.get("version", 0))
    return None


def group_changes(status: Json, changes: Sequence[Json]) -> dict[str, list[Json]]:
    """Changes by the receipt that caused them, and under the transaction's id its own; all others are left out."""
    grouped: dict[str, list[Json]] = {item["id"]: [] for item in list_outcomes(status)}
    for change in changes:
        cause = change["cause"]
        own = grouped.get(cause.get("receipt_hash") or cause.get("tx_hash") or "")
        if own is not None:
            own.append(change)
    return grouped


# As text


def render_trace(trace: Trace, style: Style = PLAIN) -> list[str]:
    """The tree of receipts with shard, height, tokens and writes of each."""
    details = {item["id"]: _describe_outcome(trace, item, style) for item in trace.status["receipts_outcome"]}
    lines = render_transaction(trace.status, style, details)
    return [*lines, *(f"  {style.dim}{make_printable(note)}{style.reset}" for note in trace.notes)]


def _describe_outcome(trace: Trace, item: Json, style: Style) -> list[str]:
    shard_id = trace.get_shard_id(item["outcome"]["executor_id"])
    height = trace.get_height(item)
    where = [
        *([f"shard {shard_id}"] if shard_id is not None else []),
        *([f"block {height}"] if height is not None else []),
        f"burnt {format_amount(int(item['outcome']['tokens_burnt']))}",
    ]
    written = describe_changes(trace.changes.get(item["id"], ()))
    return [f"{style.dim}{', '.join(where)}{style.reset}", *written]


def describe_changes(changes: Sequence[Json]) -> list[str]:
    """What was written, a line each; of an account's balance the last."""
    lines = []
    last_balance = {
        change["change"]["account_id"]: index
        for index, change in enumerate(changes)
        if change["type"] == "account_update"
    }
    for index, change in enumerate(changes):
        kind, content = change["type"], change["change"]
        if kind != "account_update" or last_balance[content["account_id"]] == index:
            line = _describe_change(kind, content)
            if line is not None:
                lines.append(line)
    if len(lines) > CHANGES_MAX:
        return [*lines[:CHANGES_MAX], f"… {len(lines) - CHANGES_MAX} more writes (--json has them all)"]
    return lines


def _describe_change(kind: str, content: Json) -> str | None:
    match kind:
        case "data_update":
            key, value = describe_bytes(content["key_base64"]), describe_value(content["value_base64"])
            return f"write {key} = {value}"
        case "data_deletion":
            return f"remove {describe_bytes(content['key_base64'])}"
        case "account_update":
            return (
                f"balance {format_amount(int(content['amount']))}, storage {content['storage_usage']} bytes"
            )
        case "account_deletion":
            return "account deleted"
        case "contract_code_update":
            return f"code {len(content['code_base64']) * 3 // 4} bytes"
        case "contract_code_deletion":
            return "code removed"
        case "access_key_update":
            permission = describe_permission(content["access_key"]["permission"])
            return f"key {content['public_key']}: {permission}, nonce {content['access_key']['nonce']}"
        case "access_key_deletion":
            return f"key {content['public_key']} removed"
    return None


def describe_value(encoded: str) -> str:
    """A value as text or JSON where it is that; else as hex, and as an integer where it has the size of one."""
    data = base64.b64decode(encoded)
    shown = describe_bytes(encoded)
    name = _INTEGER_SIZES.get(len(data))
    if name is None or not shown.startswith("0x"):
        return shown
    return f"{shown.partition(' (')[0]} ({name} {int.from_bytes(data, 'little')})"


def describe_bytes(encoded: str) -> str:
    """Base64 as text or JSON where it is that, else as hex beside whatever text is in it."""
    data = base64.b64decode(encoded)
    try:
        text = data.decode()
        if text.isprintable() or _is_json(text):
            return _shorten(make_printable(text) if _is_json(text) else json.dumps(text, ensure_ascii=False))
    except UnicodeDecodeError:
        pass
    readable = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in data)
    has_words = any(len(run) >= READABLE_RUN_MIN for run in readable.split("·"))
    return _shorten("0x" + data.hex()) + (f" ({_shorten(readable)})" if has_words else "")


def _is_json(text: str) -> bool:
    """Whether it is an object or a list; a bare number is as well some other text."""
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _shorten(text: str) -> str:
    return text if len(text) <= SHOWN_LENGTH_MAX else text[:SHOWN_LENGTH_MAX] + "…"


# As JSON


def export_trace(trace: Trace) -> Json:
    """The node's answer with one field more: ``trace``, by the id of the transaction and of each receipt."""
    rows = {
        item["id"]: {
            "shard_id": trace.get_shard_id(item["outcome"]["executor_id"]),
            "block_height": trace.get_height(item),
            "changes": list(trace.changes.get(item["id"], ())),
        }
        for item in list_outcomes(trace.status)
    }
    return trace.status | {"trace": rows, "trace_notes": list(trace.notes)}
