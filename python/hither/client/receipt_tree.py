"""A transaction as a person reads it: its receipts as a tree, with gas, logs and panics.

Works on the JSON of ``EXPERIMENTAL_tx_status``, so it shows transactions of any NEAR node. Pure: it
returns lines and prints nothing.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hither.client.advice import OWN_WORDS, describe_error, find_advice
from hither.codec.units import format_near

Json = dict[str, Any]
ARGUMENTS_LENGTH_MAX = 120
# A loop of promises can make very many receipts; a person reads the first of them.
RECEIPTS_MAX = 200


@dataclass(frozen=True)
class Style:
    """Terminal colours, or none."""

    good: str = ""
    bad: str = ""
    dim: str = ""
    reset: str = ""


PLAIN = Style()
COLOURS = Style(good="\x1b[32m", bad="\x1b[31m", dim="\x1b[2m", reset="\x1b[0m")


def render_transaction(
    status: Json, style: Style = PLAIN, details: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """The lines for one transaction. ``details`` are more lines for receipts by id, below their logs."""
    transaction, first = status["transaction"], status["transaction_outcome"]
    outcomes = {item["id"]: item for item in status["receipts_outcome"]}
    receipts = {item["receipt_id"]: item for item in status.get("receipts", ())}
    all_outcomes = [first["outcome"], *(item["outcome"] for item in status["receipts_outcome"])]
    gas = sum(int(outcome["gas_burnt"]) for outcome in all_outcomes)
    tokens = sum(int(outcome["tokens_burnt"]) for outcome in all_outcomes)
    what = describe_actions(transaction["actions"])
    head = f"{transaction['signer_id']} → {transaction['receiver_id']}  {what}"
    mark = _mark(status["status"], style)
    lines = [f"{mark} {head}  {style.dim}{format_gas(gas)}, {format_amount(tokens)}{style.reset}"]
    lines.append(f"  {style.dim}transaction {transaction['hash']}{style.reset}")
    failure = get_failure(first["outcome"]["status"])
    if failure:
        lines.append(f"  {style.bad}{failure}{style.reset}")
        if step := _find_step(first["outcome"]["status"]["Failure"]):
            lines.append(f"  next: {step}")
    tree = _Tree(outcomes, receipts, transaction, style, details or {})
    children = [id_ for id_ in first["outcome"]["receipt_ids"] if id_ in outcomes]
    for index, receipt_id in enumerate(children):
        lines += tree.render(receipt_id, "  ", index == len(children) - 1)
    return lines


class _Tree:
    """Walks receipts depth first, each once."""

    def __init__(
        self,
        outcomes: dict[str, Json],
        receipts: dict[str, Json],
        transaction: Json,
        style: Style,
        details: Mapping[str, Sequence[str]],
    ) -> None:
        self.outcomes, self.receipts, self.transaction, self.style = outcomes, receipts, transaction, style
        self.details = details
        self.seen: set[str] = set()

    def render(self, root_id: str, root_indent: str, root_is_last: bool) -> Iterator[str]:
        """The lines of a receipt and of all below it, without recursion: trees can be deep."""
        stack = [(root_id, root_indent, root_is_last)]
        while stack:
            receipt_id, indent, is_last = stack.pop()
            if receipt_id in self.seen:
                continue
            self.seen.add(receipt_id)
            if len(self.seen) > RECEIPTS_MAX:
                yield f"{indent}… {len(self.outcomes) - RECEIPTS_MAX} more receipts"
                return
            outcome = self.outcomes[receipt_id]["outcome"]
            yield f"{indent}{'└' if is_last else '├'} {self._title(receipt_id, outcome)}"
            below = indent + ("  " if is_last else "│ ")
            yield from self._details(outcome, below)
            yield from (f"{below}  {line}" for line in self.details.get(receipt_id, ()))
            children = [child for child in outcome["receipt_ids"] if child in self.outcomes]
            last = len(children) - 1
            stack += [(children[index], below, index == last) for index in range(last, -1, -1)]

    def _title(self, receipt_id: str, outcome: Json) -> str:
        what = describe_receipt(self.receipts.get(receipt_id), self.transaction)
        style = self.style
        gas = f"{style.dim}{format_gas(int(outcome['gas_burnt']))}{style.reset}"
        return f"{_mark(outcome['status'], style)} {outcome['executor_id']}  {what}  {gas}"

    def _details(self, outcome: Json, indent: str) -> Iterator[str]:
        for log in outcome["logs"]:
            yield f"{indent}  log: {make_printable(log)}"
        failure = get_failure(outcome["status"])
        if failure:
            yield f"{indent}  {self.style.bad}{failure}{self.style.reset}"
            if step := _find_step(outcome["status"]["Failure"]):
                yield f"{indent}  next: {step}"


def describe_receipt(receipt: Json | None, transaction: Json) -> str:
    """What a receipt does. The local first receipt is not listed (None): its actions are the transaction's."""
    if receipt is None:
        return describe_actions(transaction["actions"])
    action = receipt["receipt"].get("Action")
    what = describe_actions(action["actions"]) if action else str(next(iter(receipt["receipt"])))
    is_refund = receipt["predecessor_id"] == "system"
    return f"refund {what.removeprefix('transfer ')}" if is_refund else what


def describe_permission(permission: Any) -> str:
    """What a key may do, as in ``full access``."""
    if isinstance(permission, str):
        return _words(permission)
    name, fields = next(iter(permission.items()))
    fields = fields[-1] if isinstance(fields, list) else fields
    receiver = fields.get("receiver_id") if isinstance(fields, dict) else None
    return f"{_words(name)} on {make_printable(receiver)}" if receiver else _words(name)


def describe_actions(actions: list[Any]) -> str:
    """What a list of actions does, in a few words each."""
    return ", ".join(_describe_action(action) for action in actions) or "nothing"


def _describe_action(action: Any) -> str:
    if isinstance(action, str):
        return _words(action)
    name, fields = next(iter(action.items()))
    match name:
        case "Transfer":
            return f"transfer {format_amount(int(fields['deposit']))}"
        case "FunctionCall":
            deposit = int(fields["deposit"])
            attached = f" with {format_amount(deposit)}" if deposit else ""
            return f"{make_printable(fields['method_name'])}({_describe_arguments(fields['args'])}){attached}"
        case "Stake":
            return f"stake {format_amount(int(fields['stake']))}"
        case "DeleteAccount":
            return f"delete account to {fields['beneficiary_id']}"
        case "Delegate":
            delegated = fields["delegate_action"]
            inner = describe_actions(delegated["actions"])
            return f"for {delegated['sender_id']} to {delegated['receiver_id']}: {inner}"
        case "AddKey" | "DeleteKey":
            return f"{_words(name)} {str(fields['public_key'])[:16]}…"
    return _words(name)


def _describe_arguments(encoded: str) -> str:
    try:
        text = base64.b64decode(encoded).decode()
        json.loads(text)
    except (ValueError, binascii.Error):
        size = len(encoded) * 3 // 4
        return f"{size} bytes" if size else ""
    text = make_printable(text)
    return text if len(text) <= ARGUMENTS_LENGTH_MAX else text[:ARGUMENTS_LENGTH_MAX] + "…"


def get_failure(status: Any) -> str | None:
    """Why an outcome failed, in one line; None if it did not."""
    if not isinstance(status, dict) or "Failure" not in status:
        return None
    failure = status["Failure"]
    kind = failure.get("ActionError", failure)
    kind = kind.get("kind", kind) if isinstance(kind, dict) else kind
    if isinstance(kind, dict) and "FunctionCallError" in kind:
        error = kind["FunctionCallError"]
        if isinstance(error, dict) and "ExecutionError" in error:
            return make_printable(f"panic: {error['ExecutionError']}")
    return make_printable(f"failed: {describe_error(failure)}")


def _find_step(failure: Any) -> str | None:
    """What to do about a failure; nothing where the contract itself has said what is wrong."""
    step = find_advice(failure)
    return None if step == OWN_WORDS else step


def format_amount(yoctonear: int) -> str:
    """In N; the smallest amounts, which stand for a confirmation more than for money, in yoctonear."""
    return f"{yoctonear} yoctonear" if 0 < yoctonear < 1000 else format_near(yoctonear)


def format_gas(gas: int) -> str:
    """Gas in Tgas with two decimals, below a hundredth in Ggas."""
    return f"{gas / 10**12:.2f} Tgas" if gas >= 10**10 else f"{gas / 10**9:.2f} Ggas"


def _mark(status: Any, style: Style) -> str:
    if get_failure(status):
        return f"{style.bad}✗{style.reset}"
    if status in ("NotStarted", "Started", "Unknown"):
        return "…"
    return f"{style.good}✓{style.reset}"


def _words(name: str) -> str:
    """``DeleteAccount`` as ``delete account``."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def make_printable(text: str) -> str:
    """Text from a contract, without the control characters that would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
