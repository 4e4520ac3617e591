"""Requests that cannot be understood are refused as NEAR's own node refused them, word for word."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from hither.chain.genesis import Genesis, parse_genesis
from hither.rpc.context import Context, RpcSettings
from hither.rpc.dispatch import Dispatcher
from hither.rpc.http import Application
from hither.rpc.methods import make_methods
from tests.rpc.asgi import HttpAnswer, call, post
from tests.vectors.recording import CHAINS, RecordedChain

PROTOCOL_VERSION = 84
CHAIN = RecordedChain(CHAINS["one-shard"])
GROUPS = ("views", "rpc", "transaction_rules")


class Untouchable:
    """A chain of which only the genesis may be asked: these requests never get further."""

    is_development = True

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a refused request asked the chain for {name}")


@pytest.fixture(scope="module")
def application() -> Application:
    """The server before a chain that must not be asked."""
    chain: Any = Untouchable(parse_genesis(CHAIN.genesis))
    context = Context(chain, chain, chain, RpcSettings())
    return Application(context, Dispatcher(context, make_methods(PROTOCOL_VERSION, is_development=True)))


def _is_refusal(line: dict[str, Any]) -> bool:
    return line["http_status"] in (400, 404, 405, 413, 415)


REFUSED = [
    pytest.param(line, id=line["case"])
    for group in GROUPS
    for line in CHAIN.read_group(group).get("rpc")
    if _is_refusal(line) or line["case"] == "rpc/http_options"
]
REFUSED_TRANSACTIONS = [
    pytest.param(line, id=line["case"])
    for group in CHAIN.group_names
    for line in CHAIN.read_group(group).get("send")
    if _is_refusal(line)
]


def send(application: Application, request: dict[str, Any]) -> HttpAnswer:
    """A recorded request: a JSON-RPC call, or a bare HTTP request."""
    if "path" not in request:
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": "r", **request})
        return asyncio.run(post(application, body))
    body = request["body"] or ""
    # A body too large to record stands as its length; some are text of bytes that are not UTF-8.
    data = bytes(body["length"]) if isinstance(body, dict) else body.encode("latin-1")
    return asyncio.run(call(application, request["method"], request["path"], data, request["headers"]))


def check(answer: HttpAnswer, line: dict[str, Any]) -> None:
    """Status, type and body; JSON as JSON, text as text."""
    assert answer.status == line["http_status"]
    recorded = line.get("headers", {})
    for name in ("content-type", "allow"):
        assert answer.headers.get(name) == recorded.get(
            name, answer.headers.get(name) if not recorded else None
        )
    if line["body"].startswith("{"):
        assert json.loads(answer.text) == json.loads(line["body"])
    else:
        assert answer.text == line["body"]


@pytest.mark.parametrize("line", REFUSED)
def test_request_is_refused_as_recorded(application: Application, line: dict[str, Any]) -> None:
    """Unknown methods, parameters of the wrong shape, texts that are not JSON-RPC, wrong HTTP."""
    check(send(application, line["request"]), line)


@pytest.mark.parametrize("line", REFUSED_TRANSACTIONS)
def test_transaction_that_is_none_is_refused_as_recorded(
    application: Application, line: dict[str, Any]
) -> None:
    """Bytes that do not decode, and a body that is too large."""
    params = {"signed_tx_base64": line["signed_tx_base64"], "wait_until": line["wait_until"]}
    check(send(application, {"method": "send_tx", "params": params}), line)


def test_there_are_enough_recorded_refusals() -> None:
    """The lists above are not empty by mistake."""
    assert len(REFUSED) > 90
    assert len(REFUSED_TRANSACTIONS) > 5
