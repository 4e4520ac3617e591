"""Every error that a method of ours can come to, reached over a socket.

The first words of a case are the row of ``hither.rpc.errors.TABLE`` that it shows: family and cause.
"""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hither.chain.reader import BlockMode
from hither.client import WaitUntil
from hither.client.actions import transfer
from hither.codec import base58
from hither.node.node import NodeOptions
from tests.rpc.running import RunningNode, both_ways, run_node

pytestmark = pytest.mark.slow
TOKEN = Path(__file__).resolve().parents[2] / "contracts/fungible_token/fungible_token.wasm"
NO_HASH = base58.encode(bytes(32))
KEY = "ed25519:DcA2MzgpJbrUATQLLceocVckhhAqrkingax4oJ9kZ847"
NOBODY, ALICE = "nobody.near", "alice.near"
FINAL, NO_BLOCK = {"finality": "final"}, {"block_id": 10**9}
# A pruned block; its header is forgotten too, which that of the genesis never is.
GONE, GENESIS = {"block_id": 2}, {"sync_checkpoint": "genesis"}
CALL = {"method_name": "ft_metadata", "args_base64": ""}
Params = dict[str, Any]


def make_key(index: int) -> str:
    """Some public key."""
    return f"ed25519:{base58.encode(hashlib.sha256(str(index).encode()).digest())}"


def make_records() -> list[Any]:
    """An account with more keys than are listed at once, and one with more state than is shown."""
    account = {"amount": "1000", "locked": "0", "code_hash": "1" * 32, "storage_usage": 0, "version": "V1"}
    key = {"nonce": 0, "permission": "FullAccess"}
    large = base64.b64encode(bytes(60_000)).decode()
    return [
        {"Account": {"account_id": "many.near", "account": account}},
        {"Account": {"account_id": "large.near", "account": account | {"storage_usage": 60_300}}},
        {"Data": {"account_id": "large.near", "data_key": "aw==", "value": large}},
        *(
            {"AccessKey": {"account_id": "many.near", "public_key": make_key(index), "access_key": key}}
            for index in range(101)
        ),
    ]


@pytest.fixture(scope="module", **both_ways)
def running(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningNode]:
    """Short epochs, so that the first blocks are gone; blocks come when the test asks for them."""
    folder = tmp_path_factory.mktemp("home")
    with run_node(
        folder, options=NodeOptions(mode=BlockMode.INSTANT), epoch_length=10, is_apart=request.param
    ) as node:
        node.must("sandbox_patch_state", {"records": make_records()})
        with node.connect("alice.near") as alice:
            alice.deploy(TOKEN.read_bytes())
        node.must("hither_mine", {"count": 120})
        node.must("hither_set_block_mode", {"mode": "manual"})
        yield node


def ask_view(kind: str, block: Params, **values: Any) -> tuple[str, Params]:
    """The method of its own for a query."""
    return f"EXPERIMENTAL_{kind}", {**block, **values}


def ask_query(kind: str, block: Params, **values: Any) -> tuple[str, Params]:
    """The same through ``query``."""
    return "query", {"request_type": kind, **block, **values}


CASES: dict[str, tuple[str, Params]] = {
    "view_account: UNKNOWN_BLOCK": ask_view("view_account", NO_BLOCK, account_id=ALICE),
    "view_account: UNKNOWN_ACCOUNT": ask_view("view_account", FINAL, account_id=NOBODY),
    "view_code: UNKNOWN_BLOCK": ask_view("view_code", NO_BLOCK, account_id=ALICE),
    "view_code: UNKNOWN_ACCOUNT": ask_view("view_code", FINAL, account_id=NOBODY),
    "view_code: NO_CONTRACT_CODE": ask_view("view_code", FINAL, account_id="bob.near"),
    "view_state: UNKNOWN_BLOCK": ask_view("view_state", NO_BLOCK, account_id=ALICE, prefix_base64=""),
    "view_state: UNKNOWN_ACCOUNT": ask_view("view_state", FINAL, account_id=NOBODY, prefix_base64=""),
    "view_state: TOO_LARGE_CONTRACT_STATE": ask_view(
        "view_state", FINAL, account_id="large.near", prefix_base64=""
    ),
    "view_access_key: UNKNOWN_BLOCK": ask_view("view_access_key", NO_BLOCK, account_id=ALICE, public_key=KEY),
    "view_access_key: UNKNOWN_ACCESS_KEY": ask_view(
        "view_access_key", FINAL, account_id=ALICE, public_key=KEY
    ),
    "view_access_key_list: UNKNOWN_BLOCK": ask_view("view_access_key_list", NO_BLOCK, account_id=ALICE),
    "view_gas_key_nonces: UNKNOWN_BLOCK": ask_view(
        "view_gas_key_nonces", NO_BLOCK, account_id=ALICE, public_key=KEY
    ),
    "view_gas_key_nonces: UNKNOWN_GAS_KEY": ask_view(
        "view_gas_key_nonces", FINAL, account_id=ALICE, public_key=KEY
    ),
    "call_function: UNKNOWN_BLOCK": ask_view("call_function", NO_BLOCK, account_id=ALICE, **CALL),
    "call_function: UNKNOWN_ACCOUNT": ask_view("call_function", FINAL, account_id=NOBODY, **CALL),
    "call_function: CONTRACT_EXECUTION_ERROR": ask_view("call_function", FINAL, account_id=ALICE, **CALL),
    "view_access_key_list: INTERNAL_ERROR": ask_view("view_access_key_list", FINAL, account_id="many.near"),
    "query: TOO_MANY_ACCESS_KEYS": ask_query("view_access_key_list", FINAL, account_id="many.near"),
    "query: GARBAGE_COLLECTED_BLOCK": ask_query("view_account", GONE, account_id=ALICE),
    "view_account: INTERNAL_ERROR": ask_view("view_account", GONE, account_id=ALICE),
    "view_code: INTERNAL_ERROR": ask_view("view_code", GONE, account_id=ALICE),
    "view_state: INTERNAL_ERROR": ask_view("view_state", GONE, account_id=ALICE, prefix_base64=""),
    "view_access_key: INTERNAL_ERROR": ask_view("view_access_key", GONE, account_id=ALICE, public_key=KEY),
    "view_gas_key_nonces: INTERNAL_ERROR": ask_view(
        "view_gas_key_nonces", GONE, account_id=ALICE, public_key=KEY
    ),
    "call_function: INTERNAL_ERROR": ask_view("call_function", GONE, account_id=ALICE, **CALL),
    "receipt_to_tx: UNKNOWN_RECEIPT": ("EXPERIMENTAL_receipt_to_tx", {"receipt_id": NO_HASH}),
    "sandbox: INTERNAL_ERROR": ("sandbox_fast_forward", {"delta_height": 10**12}),
    "development: CONTROL_REFUSED": ("hither_revert", {"snapshot_id": "none"}),
}


# Methods whose family of errors has another name.
FAMILIES = {"sandbox_fast_forward": "sandbox", "hither_revert": "development"}


@pytest.mark.parametrize("case", CASES)
def test_error_is_told(running: RunningNode, case: str) -> None:
    """Its cause, the outer name that belongs to it, and a sentence or an object as data."""
    method, params = CASES[case]
    family, _, cause = case.partition(": ")
    assert family in (method, method.removeprefix("EXPERIMENTAL_"), FAMILIES.get(method))
    answer = running.ask(method, params)
    assert "error" in answer, answer
    error = answer["error"]
    assert error["cause"]["name"] == cause, error
    assert error["name"] == ("INTERNAL_ERROR" if cause == "INTERNAL_ERROR" else "HANDLER_ERROR")
    assert (error["code"], error["message"]) == (-32000, "Server error")
    assert error["data"]


def test_state_of_the_genesis_goes_too(running: RunningNode) -> None:
    """Its header stays for ever, so only the state tells that it is gone."""
    method, params = ask_query("view_account", GENESIS, account_id=ALICE)
    assert running.ask(method, params)["error"]["cause"]["name"] == "GARBAGE_COLLECTED_BLOCK"


INSIDE: dict[str, tuple[tuple[str, Params], str]] = {
    "query: UNKNOWN_ACCESS_KEY": (
        ask_query("view_access_key", FINAL, account_id=ALICE, public_key=KEY),
        f"access key {KEY} does not exist while viewing",
    ),
    "query: CONTRACT_EXECUTION_ERROR": (
        ask_query("call_function", FINAL, account_id=ALICE, **CALL),
        "wasm execution failed with error: ",
    ),
}


@pytest.mark.parametrize("case", INSIDE)
def test_error_is_told_inside_the_result(running: RunningNode, case: str) -> None:
    """NEAR's trap: through ``query`` these two are results with an ``error``."""
    (method, params), beginning = INSIDE[case]
    result = running.must(method, params)
    assert result["error"].startswith(beginning)
    assert {"block_height", "block_hash", "logs"} <= set(result)


def test_outcome_that_no_chunk_commits_to_is_not_confirmed(running: RunningNode) -> None:
    """``light_client_proof: NOT_CONFIRMED``: executed, but the chunk after it is not made yet."""
    signer = running.get_signer("bob.near")
    with running.connect("bob.near") as client:
        result = client.send(ALICE, transfer("1 N"), signer=signer, wait_until=WaitUntil.NONE)
        running.must("hither_mine", {"count": 1})
        head = running.must("block", {"finality": "optimistic"})["header"]["hash"]
        request = {
            "type": "transaction",
            "transaction_hash": result.hash,
            "sender_id": "bob.near",
            "light_client_head": head,
        }
        error = running.ask("light_client_proof", request)["error"]
        assert error["cause"]["name"] == "NOT_CONFIRMED", error
