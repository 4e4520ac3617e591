"""A transaction's receipts over the shards: where and when each ran, and what it wrote.

NEAR's node tells what a block wrote (``EXPERIMENTAL_changes``) with the hash of the receipt that caused it; here the
two are brought together. The only effect is the ``call`` that ``trace_transaction`` is given, so any NEAR node can be
asked, by any client. What a node does not tell (an old block, a method it lacks) is left out, and said.

Where a contract carries its ABI (near-abi), arguments and results in borsh are read by it. It does not describe what
lies in storage; a value there is told as one of its structures only where no other reads the same bytes.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hither.client.contract_abi import ContractAbi, InvalidAbi, fetch_abi
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
    abis: Mapping[str, ContractAbi] = field(default_factory=dict)

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
    abis = {
        account_id: abi
        for account_id, block_hash in list_called(status).items()
        if (abi := fetch_abi(account_id, block_hash, call, problems)) is not None
    }
    return Trace(status, group_changes(status, changes), heights, layout, tuple(notes), abis)


def list_called(status: Json) -> dict[str, str]:
    """The contracts that were called, each with the block of the last call."""
    calls = {item["id"] for item in list_outcomes(status) if list_calls(status, item["id"])}
    return {
        item["outcome"]["executor_id"]: item["block_hash"]
        for item in status.get("receipts_outcome", ())
        if item["id"] in calls
    }


def list_calls(status: Json, receipt_id: str) -> list[Json]:
    """The function calls of a receipt. One that is not listed is the transaction's own."""
    for receipt in status.get("receipts", ()):
        if receipt["receipt_id"] == receipt_id:
            actions = receipt["receipt"].get("Action", {}).get("actions", [])
            break
    else:
        actions = status["transaction"]["actions"]
    return [
        action["FunctionCall"] for action in actions if isinstance(action, dict) and "FunctionCall" in action
    ]


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
    abi = trace.abis.get(item["outcome"]["executor_id"])
    written = describe_changes(trace.changes.get(item["id"], ()), abi)
    called = list(describe_calls(list_calls(trace.status, item["id"]), item["outcome"]["status"], abi))
    return [f"{style.dim}{', '.join(where)}{style.reset}", *called, *written]


def describe_calls(calls: Sequence[Json], outcome: Any, abi: ContractAbi | None) -> Iterator[str]:
    """Arguments that only an ABI can read, and what came back, a line each."""
    for name, value in decode_calls(calls, outcome, abi).items():
        for method, decoded in value.items():
            shown = decoded if isinstance(decoded, str) else json.dumps(decoded, ensure_ascii=False)
            yield _shorten(f"{name} of {make_printable(method)}: {make_printable(shown)}")
    returned = outcome.get("SuccessValue") if isinstance(outcome, dict) else None
    if calls and returned:
        yield f"returns {describe_value(returned)}"


def decode_calls(calls: Sequence[Json], outcome: Any, abi: ContractAbi | None) -> dict[str, Json]:
    """``arguments`` and ``result`` by method, where the ABI says borsh; in place of a value why it cannot be read."""
    decoded: dict[str, Json] = {}
    if abi is None:
        return decoded
    for call in calls:
        _decode(decoded, "arguments", call["method_name"], abi.decode_arguments, call["args"])
    returned = outcome.get("SuccessValue") if isinstance(outcome, dict) else None
    if calls and returned:
        _decode(decoded, "result", calls[-1]["method_name"], abi.decode_result, returned)
    return decoded


def _decode(
    into: dict[str, Json], what: str, method: str, decode: Callable[[str, bytes], Any], encoded: str
) -> None:
    try:
        value = decode(method, base64.b64decode(encoded))
    except InvalidAbi as error:
        value = f"not as the contract's ABI says: {error}"
    if value is not None:
        into.setdefault(what, {})[method] = value


def describe_changes(changes: Sequence[Json], abi: ContractAbi | None = None) -> list[str]:
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
            line = _describe_change(kind, content, abi)
            if line is not None:
                lines.append(line)
    if len(lines) > CHANGES_MAX:
        return [*lines[:CHANGES_MAX], f"… {len(lines) - CHANGES_MAX} more writes (--json has them all)"]
    return lines


def _describe_change(kind: str, content: Json, abi: ContractAbi | None) -> str | None:
    match kind:
        case "data_update":
            key, value = describe_bytes(content["key_base64"]), describe_value(content["value_base64"])
            reading = abi.find_reading(base64.b64decode(content["value_base64"])) if abi is not None else None
            if reading is not None:
                name, decoded = reading
                value = _shorten(make_printable(f"{name} {json.dumps(decoded, ensure_ascii=False)}"))
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
            "decoded": decode_calls(
                list_calls(trace.status, item["id"]),
                item["outcome"]["status"],
                trace.abis.get(item["outcome"]["executor_id"]),
            ),
        }
        for item in list_outcomes(trace.status)
    }
    return trace.status | {"trace": rows, "trace_notes": list(trace.notes)}
