"""Recorded requests, and our server's answers to them at the head that the node had.

Which head that was is not recorded. It is the one whose height the answer names;
else the lowest at which everything sent and waited for before has its outcomes,
or one after it, up to the end of the group.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from hither.chain.reader import ExecutionStatus, InvalidTransaction, UnknownTransactionOrReceipt
from hither.primitives.transaction import SignedTransaction, decode_signed_transaction_of_84
from tests.rpc.asgi import HttpAnswer, call, post
from tests.vectors.comparison import Difference, compare
from tests.vectors.coverage import Coverage, LineCheck
from tests.vectors.recorded_node import RecordedNode, run
from tests.vectors.recording import Group, Line

FINAL_BEHIND_HEAD = 4
"""How far below the head a final block can be that an answer names."""

TRIES_MAX = 400


OTHER_NODE = "of the recorded node and its build, not of the chain"

ANSWERS_NOT_COMPARED: dict[str, str] = {
    "client_config.result.gc.gc_num_epochs_to_keep": "the recorded node was set to keep everything",
    "client_config.result.rpc_addr": OTHER_NODE,
    "client_config.result.version.*": OTHER_NODE,
    "status.result.node_public_key": OTHER_NODE,
    "status.result.rpc_addr": OTHER_NODE,
    "status.result.uptime_sec": OTHER_NODE,
    "status.result.version.*": OTHER_NODE,
}
"""Pattern of method and JSON path, and why what differs there may differ."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A recorded line, the head it was answered at best, and what differs there."""

    line: Line
    height: int
    differences: list[Difference]
    excused: list[Difference]


def get_excuse_optional(difference: Difference) -> str | None:
    """The entry of the table that fits the place of a difference."""
    return next((pattern for pattern in ANSWERS_NOT_COMPARED if fnmatchcase(difference.where, pattern)), None)


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


def get_method(line: Line) -> str:
    """What a line asks for, whichever way: ``GET /status`` and a posted body too."""
    request = get_request(line)
    if request.get("method") == "POST" and isinstance(request.get("body"), str):
        posted = parse_body(request["body"])
        return str(posted.get("method")) if isinstance(posted, dict) else "POST"
    return request.get("path", "").strip("/") or str(request.get("method"))


def _compare_answer(line: Line, answer: HttpAnswer) -> list[Difference]:
    method = get_method(line)
    ours, recorded = parse_body(answer.text), get_recorded_answer(line)
    if line.get("request", {}).get("method") == "GET" and isinstance(recorded, dict):
        ours, recorded = {"result": ours}, {"result": recorded}
    found = compare(f"{method} HTTP status", answer.status, line["http_status"])
    for name, value in line.get("headers", {}).items():
        found += compare(f"{method} HTTP header {name}", answer.headers.get(name), value)
    return found + compare(method, ours, recorded)


def _decode(line: Line) -> SignedTransaction:
    return decode_signed_transaction_of_84(base64.b64decode(line["signed_tx_base64"]))


class Conversation:
    """The requests of one group in their order."""

    def __init__(self, node: RecordedNode, group: Group, coverage: Coverage) -> None:
        self._node = node
        self._coverage = coverage
        self._group = group
        self._low = node.list_heights(0, group.first_height - 1)[-1] if group.first_height else 0

    def run(self) -> Iterator[Asked]:
        """Every line that has a recorded answer. The transactions of a case were sent at once, then waited for."""
        sent: list[Line] = []
        for line in self._group.ordered:
            if line["t"] == "send" and line["accepted"]:
                sent.append(line)
                yield Asked(line, self._low, self._submit(line), [])
            elif line["t"] in ("send", "rpc"):
                asked = self._answer(line, self._list_heights(line))
                self._low = max(self._low, asked.height)
                yield asked
            elif line["t"] == "case":
                for waiting in sent:
                    self._pass_time(waiting)
                sent = []
        for line in [*self._group.get("query"), *self._group.get("tx_status")]:
            is_of_head = line["t"] == "query" and line["method"] != "query"
            yield self._answer(line, self._list_heights(line) if is_of_head else [self._node.last_height])

    def _submit(self, line: Line) -> list[Difference]:
        """What the recorded node accepted must be accepted by ours, before it is in a chunk."""
        check = LineCheck(self._coverage, line, line["case"], is_counted=True)
        check.take("accepted")
        if "body" not in line:
            check.take("http_status")
        signed = _decode(line)
        place = self._node.storage.get_place(signed.hash)
        end = self._group.last_height if place is None else place.height - 1
        refusals = []
        for height in self._node.list_heights(self._low, end):
            self._node.look_at(height)
            try:
                run(self._node.control.submit(signed))
            except InvalidTransaction as refusal:
                refusals.append(refusal.error)
            else:
                return []
        return [Difference(f"{line['case']} accepted", refusals, recorded=True)]

    def _pass_time(self, line: Line) -> None:
        """Whoever waited for a transaction asked the next question when it was done, or gave up before."""
        until = ExecutionStatus[line["wait_until"]]
        if "body" in line or until is ExecutionStatus.NONE:
            return
        signed = _decode(line)
        for height in self._node.list_heights(self._low, self._group.last_height):
            self._node.look_at(height)
            try:
                status = self._node.reader.get_transaction_status(signed.hash)
            except UnknownTransactionOrReceipt:
                continue
            if status.execution.is_at_least(until):
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
        for height in heights:
            self._node.look_at(height)
            found = _compare_answer(line, ask(self._node, line))
            excused = [difference for difference in found if get_excuse_optional(difference) is not None]
            open_ = [difference for difference in found if difference not in excused]
            if best is None or len(open_) < len(best.differences):
                best = Asked(line, height, open_, excused)
            if not open_:
                break
        assert best is not None
        self._claim(line)
        return best

    def _claim(self, line: Line) -> None:
        """Count as compared what the answer stands for and the replay has not compared by itself."""
        check = LineCheck(self._coverage, line, line["t"], is_counted=True)
        check.take("http_status")
        if line["t"] in ("rpc", "send"):
            for name in ("accepted", "headers", "body"):
                check.take(name)
        elif line["t"] == "tx_status":
            check.take("result", "final_execution_status")
            check.take("body")
        elif line["method"] != "query":
            check.take("result")
