"""What a fork takes from its remote and what it refuses: a remote that is made of answers."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from hither.codec import base58
from hither.crypto.hashing import sha256
from hither.foreign.transport import JsonRpc, RetryPolicy
from hither.node.fork.accounts import AccountCopy, make_writes
from hither.node.fork.errors import ForkProblem, RemoteLies, RemoteRefuses, RemoteSilent, StateTooLarge
from hither.node.fork.fork import AccountCache
from hither.node.fork.pin import ForkPin
from hither.node.fork.remote import Remote, find_block
from hither.primitives.sharding import ShardLayout
from hither.state import keys

HASH = base58.encode(sha256(b"a block"))
PIN = ForkPin("http://remote/", "testnet", 88, 500, HASH)
NO_CODE = base58.encode(bytes(32))
CODE = b"\0asm code"
AT = {"block_height": 500, "block_hash": HASH}
ACCOUNT = {
    "amount": "5",
    "locked": "0",
    "code_hash": base58.encode(sha256(CODE)),
    "storage_usage": 182,
    "storage_paid_at": 0,
    **AT,
}
KEY = "ed25519:" + base58.encode(bytes(range(32)))
KEYS = {"keys": [{"public_key": KEY, "access_key": {"nonce": 7, "permission": "FullAccess"}}], **AT}


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def answer_whole(question: dict[str, Any]) -> dict[str, Any]:
    """A remote that tells the truth about one account, its state in two pages."""
    match question["request_type"]:
        case "view_account":
            return ACCOUNT
        case "view_access_key_list":
            return KEYS
        case "view_code":
            return {"code_base64": encode(CODE), "hash": ACCOUNT["code_hash"], **AT}
        case "view_state" if "after_key_base64" not in question:
            first = {"key": encode(b"a"), "value": encode(b"1")}
            return {"values": [first], "last_key": first["key"], **AT}
        case "view_state":
            return {"values": [{"key": encode(b"b"), "value": encode(b"2")}], **AT}
    raise AssertionError(question)


def refuse(name: str, info: dict[str, Any]) -> dict[str, Any]:
    """An error as NEAR's node words it."""
    return {"error": {"code": -32000, "message": "Server error", "cause": {"name": name, "info": info}}}


Answer = Callable[[dict[str, Any]], Any]


def ask(answer: Answer, pauses: list[float] | None = None) -> Remote:
    """A remote that answers so: with a result, an object with an ``error``, or a whole response."""

    def handle(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        answered = answer(body["params"])
        if isinstance(answered, httpx.Response):
            return answered
        part = answered if isinstance(answered.get("error"), dict) else {"result": answered}
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": body["id"], **part})

    async def sleep(seconds: float) -> None:
        (pauses if pauses is not None else []).append(seconds)

    rpc = JsonRpc(PIN.url, transport=httpx.MockTransport(handle), sleep=sleep, policy=RetryPolicy(attempts=3))
    return Remote(rpc, PIN)


def fetch(answer: Answer, pauses: list[float] | None = None) -> AccountCopy:
    """The copy of one account."""

    async def run() -> AccountCopy:
        remote = ask(answer, pauses)
        try:
            return await remote.fetch_account("dana.near")
        finally:
            await remote.close()

    return asyncio.run(run())


def must_refuse(answer: Answer, kind: type[ForkProblem], text: str) -> None:
    """Nothing comes of it but this error, which says what to do."""
    with pytest.raises(kind, match=text) as caught:
        fetch(answer)
    assert str(caught.value).startswith(kind.code) and kind.hint in str(caught.value)


def test_account_is_copied_with_keys_code_and_all_pages_of_its_state() -> None:
    """And everything goes into its shard, with the mark."""
    copy = fetch(answer_whole)
    assert [next(iter(record)) for record in copy.records] == [
        "Account",
        "AccessKey",
        "Contract",
        "Data",
        "Data",
    ]
    layout = ShardLayout(("m",), (0, 1), 1)
    patches = make_writes(copy, layout)
    assert set(patches) == {0}
    writes = dict(patches[0])
    assert writes[keys.contract_data("dana.near", b"b")] == b"2"
    assert writes[keys.contract_code("dana.near")] == CODE
    assert keys.fork_mark("dana.near") in writes and keys.account("dana.near") in writes


def test_every_question_is_about_the_pinned_block() -> None:
    """By its hash, not by its height, which a fork of the remote could give to another block."""
    asked: list[dict[str, Any]] = []

    def answer(question: dict[str, Any]) -> Any:
        asked.append(question)
        return answer_whole(question)

    fetch(answer)
    assert len(asked) == 5 and {question["block_id"] for question in asked} == {HASH}


def test_account_that_is_not_there_is_an_empty_copy() -> None:
    """Only when the remote says so of the pinned block."""
    info = {"requested_account_id": "dana.near", **AT}
    copy = fetch(lambda _: refuse("UNKNOWN_ACCOUNT", info))
    assert copy.records == []
    assert make_writes(copy, ShardLayout((), (0,), 0)) == {0: ((keys.fork_mark("dana.near"), b"\x01"),)}
    must_refuse(lambda _: refuse("UNKNOWN_ACCOUNT", {**info, "block_height": 501}), RemoteLies, "501")


@pytest.mark.parametrize("wrong", [{"block_height": 499}, {"block_hash": NO_CODE}, {"block_height": None}])
@pytest.mark.parametrize("kind", ["view_account", "view_access_key_list", "view_code", "view_state"])
def test_answer_about_another_block_is_refused(kind: str, wrong: dict[str, Any]) -> None:
    """Whichever of the questions it is."""

    def answer(question: dict[str, Any]) -> Any:
        told = answer_whole(question)
        return told | wrong if question["request_type"] == kind else told

    must_refuse(answer, RemoteLies, "asked about block 500")


def test_code_that_the_account_does_not_name_is_refused() -> None:
    """A remote cannot put other code in its place."""

    def answer(question: dict[str, Any]) -> Any:
        told = answer_whole(question)
        return told | {"code_base64": encode(b"other")} if question["request_type"] == "view_code" else told

    must_refuse(answer, RemoteLies, "not the one whose hash the account names")


def test_state_above_the_remotes_limit_is_an_error_that_says_what_to_do() -> None:
    """A node without pages says that it is too much."""

    def answer(question: dict[str, Any]) -> Any:
        if question["request_type"] == "view_state":
            return refuse("TOO_LARGE_CONTRACT_STATE", {"contract_account_id": "dana.near", **AT})
        return answer_whole(question)

    must_refuse(answer, StateTooLarge, "dana.near holds more state than remote shows")


def test_block_that_is_no_longer_kept_is_an_error_that_says_what_to_do() -> None:
    """The remote forgets blocks after a few epochs."""
    must_refuse(lambda _: refuse("GARBAGE_COLLECTED_BLOCK", AT), RemoteRefuses, "GARBAGE_COLLECTED_BLOCK")


def test_remote_that_asks_to_wait_is_obeyed() -> None:
    """As long as it says, and then the copy is whole."""
    pauses: list[float] = []
    refusals = [httpx.Response(429, headers={"retry-after": "3"}) for _ in range(2)]
    copy = fetch(lambda question: refusals.pop() if refusals else answer_whole(question), pauses)
    assert len(copy.records) == 5 and pauses == [3.0, 3.0]


def test_remote_that_always_asks_to_wait_is_an_error() -> None:
    """After so many attempts, and retryable."""
    must_refuse(lambda _: httpx.Response(429, headers={"retry-after": "1"}), RemoteSilent, "asked too often")
    assert RemoteSilent.retryable and not RemoteLies.retryable


def test_remote_that_stalls_is_an_error() -> None:
    """After so many attempts, each of which ends."""
    asked = []

    def answer(question: dict[str, Any]) -> Any:
        asked.append(question)
        raise httpx.ReadTimeout("stalls")

    must_refuse(answer, RemoteSilent, "ReadTimeout")
    assert len(asked) == 3


def test_block_of_another_height_than_asked_for_is_refused() -> None:
    """What a fork is pinned to must be what was named."""

    def answer(question: dict[str, Any]) -> Any:
        if not question:
            return {"chain_id": "testnet", "protocol_version": 88}
        return {"header": {"height": 500, "hash": HASH}}

    async def find(height: int | None) -> ForkPin:
        remote = ask(answer)
        try:
            return await find_block(remote._rpc, PIN.url, height)
        finally:
            await remote.close()

    assert asyncio.run(find(500)) == asyncio.run(find(None)) == PIN
    with pytest.raises(RemoteLies, match="asked for block 499, answered with 500"):
        asyncio.run(find(499))


def test_block_without_room_above_it_is_refused() -> None:
    """No chain could begin there."""

    def answer(question: dict[str, Any]) -> Any:
        if not question:
            return {"chain_id": "testnet", "protocol_version": 88}
        return {"header": {"height": 2**64, "hash": HASH}}

    async def find() -> ForkPin:
        remote = ask(answer)
        try:
            return await find_block(remote._rpc, PIN.url, None)
        finally:
            await remote.close()

    with pytest.raises(RemoteLies):
        asyncio.run(find())


def test_cache_gives_back_what_was_put_and_nothing_that_is_damaged(tmp_path: Path) -> None:
    """A file that is cut short is as if it were not there."""
    cache = AccountCache(tmp_path)
    copy = fetch(answer_whole)
    assert cache.get("dana.near") is None
    cache.put(copy)
    assert cache.get("dana.near") == copy
    path = tmp_path / "dana.near.json"
    path.write_bytes(path.read_bytes()[:-9])
    assert cache.get("dana.near") is None
    cache.put(AccountCopy("dana.near", [record for record in copy.records if "Contract" not in record]))
    assert cache.get("dana.near") is None
