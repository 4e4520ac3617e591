"""Recorded requests, and our server's answers to them at the head that the node had.

Which head that was is not recorded. It is the one whose height the answer names;
else the lowest at which everything sent and waited for before has its outcomes,
or one after it, up to the end of the group.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from hither.chain.reader import ExecutionStatus, UnknownTransactionOrReceipt
from hither.codec.borsh import InvalidBorsh
from hither.primitives.transaction import decode_signed_transaction_of_84
from hither.rpc.methods.transactions import meets
from tests.rpc.asgi import HttpAnswer, call, post
from tests.vectors.comparison import Difference, compare
from tests.vectors.recorded_node import RecordedNode, run
from tests.vectors.recording import Group, Line

FINAL_BEHIND_HEAD = 4
"""How far below the head a final block can be that an answer names."""

TRIES_MAX = 400


@dataclass(frozen=True, slots=True)
class Asked:
    """A recorded line, the head it was answered at best, and what differs there."""

    line: Line
    height: int
    differences: list[Difference]


def _list_named_heights(body: Any) -> Iterator[int]:
    if isinstance(body, dict):
        for name, value in body.items():
            if name in ("block_height", "height", "latest_block_height") and isinstance(value, int):
                yield value
            yield from _list_named_heights(value)
    elif isinstance(body, list):
        for value in body:
            yield from _list_named_heights(value)


def parse_body(text: str) -> Any:
    """JSON where it is JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def get_request(line: Line) -> dict[str, Any]:
    """What was asked, as ``rpc`` lines have it."""
    match line["t"]:
        case "rpc":
            request: dict[str, Any] = line["request"]
            return request
        case "send":
            params = {"signed_tx_base64": line["signed_tx_base64"], "wait_until": line["wait_until"]}
            return {"method": "send_tx", "params": params}
        case "tx_status":
            params = {name: line[name] for name in ("tx_hash", "sender_account_id", "wait_until")}
            return {"method": "EXPERIMENTAL_tx_status", "params": params}
    return {"method": line["method"], "params": line["params"]}


def get_recorded_answer(line: Line) -> Any:
    """The body; None where only acceptance was recorded."""
    if "body" in line:
        return parse_body(line["body"])
    if "result" in line:
        return {"jsonrpc": "2.0", "result": line["result"], "id": "r"}
    return None


def ask(node: RecordedNode, line: Line) -> HttpAnswer:
    """Our answer at the node's present head."""
    request = get_request(line)
    if "path" in request:
        body = request["body"] or ""
        # A body too large to record stands as its length; some are text of bytes that are not UTF-8.
        data = bytes(body["length"]) if isinstance(body, dict) else body.encode("latin-1")
        coroutine = call(node.application, request["method"], request["path"], data, request["headers"])
    else:
        coroutine = post(node.application, msgspec.json.encode({"jsonrpc": "2.0", "id": "r", **request}))
    answer = run(coroutine)
    assert isinstance(answer, HttpAnswer)
    return answer


def _compare_answer(line: Line, answer: HttpAnswer, where: str) -> list[Difference]:
    found = compare(f"{where} HTTP status", answer.status, line["http_status"])
    return found + compare(where, parse_body(answer.text), get_recorded_answer(line))


class Conversation:
    """The requests of one group in their order."""

    def __init__(self, node: RecordedNode, group: Group) -> None:
        self._node = node
        self._group = group
        self._low = node.list_heights(0, group.first_height - 1)[-1] if group.first_height else 0

    def run(self) -> Iterator[Asked]:
        """Every line that has a recorded answer."""
        for line in self._group.ordered:
            if line["t"] == "send" and line["accepted"]:
                self._pass_time(line)
            elif line["t"] in ("send", "rpc"):
                asked = self._answer(line, self._list_heights(line))
                self._low = max(self._low, asked.height)
                yield asked
        for line in [*self._group.get("query"), *self._group.get("tx_status")]:
            is_of_head = line["t"] == "query" and line["method"] != "query"
            yield self._answer(line, self._list_heights(line) if is_of_head else [self._node.last_height])

    def _pass_time(self, line: Line) -> None:
        """Whoever waited for a transaction asked the next question when it was done."""
        until = ExecutionStatus[line["wait_until"]]
        try:
            signed = decode_signed_transaction_of_84(msgspec.convert(line["signed_tx_base64"], bytes))
        except InvalidBorsh:
            return
        for height in self._node.list_heights(self._low, self._group.last_height):
            self._node.look_at(height)
            try:
                status = self._node.reader.get_transaction_status(signed.hash)
            except UnknownTransactionOrReceipt:
                continue
            if meets(status.execution, until):
                self._low = height
                return

    def _list_heights(self, line: Line) -> list[int]:
        """Heads to try, the likeliest first."""
        heights = self._node.list_heights(self._low, self._group.last_height)
        named = sorted(set(_list_named_heights(get_recorded_answer(line))))
        likely = [height + ahead for ahead in range(FINAL_BEHIND_HEAD) for height in named]
        return list(dict.fromkeys([height for height in [*likely, *heights] if height in heights]))[
            :TRIES_MAX
        ]

    def _answer(self, line: Line, heights: list[int]) -> Asked:
        """At the first head where nothing differs; else at the head where least does."""
        best: Asked | None = None
        where = f"{self._group.name} {line.get('case', '')} {get_request(line).get('method')}"
        for height in heights:
            self._node.look_at(height)
            found = _compare_answer(line, ask(self._node, line), where)
            if best is None or len(found) < len(best.differences):
                best = Asked(line, height, found)
            if not found:
                break
        assert best is not None
        return best
