"""Every answer about a busy chain, read by NEAR's own client types and printed again: nothing is missing,
nothing is more. The types are of the release of protocol 88.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from hither.chain.genesis import DEVELOPMENT_BOUNDARIES
from tests.differential.oracle import get_oracle
from tests.rpc.activity import act, get_public_key
from tests.rpc.running import RunningNode, run_node
from tests.rpc.schemas import get_schemas

pytestmark = pytest.mark.slow
FINAL = {"finality": "final"}
Question = tuple[str, Any]
# The schemas are of a release that had no gas keys.
QUERIES_WITHOUT_SCHEMA = ("view_gas_key_nonces",)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Three shards at 88."""
    home = tmp_path_factory.mktemp("home")
    with run_node(
        home, boundary_accounts=DEVELOPMENT_BOUNDARIES, protocol_version=88, epoch_length=60
    ) as node:
        yield node


@pytest.fixture(scope="module")
def transactions(running: RunningNode) -> list[str]:
    """What happened, all of it final, and an epoch has ended."""
    hashes = act(running)
    running.must("hither_mine", {"count": 130})
    return hashes


def check(running: RunningNode, method: str, params: Any) -> Any:
    """Ask, and compare with what NEAR's types make of the answer; the schemas of its npm package take it too."""
    answer = running.ask(method, params)
    result = answer["result"]
    printed = get_oracle().reprint(method, result)
    assert result == printed, (method, params)
    if method == "query" and params["request_type"] in QUERIES_WITHOUT_SCHEMA:
        return result
    assert not get_schemas().find_faults(method, answer), (method, params)
    return result


def test_transactions_and_their_receipts(running: RunningNode, transactions: list[str]) -> None:
    """With outcomes, failures, gas profiles; each receipt by itself, its origin, and proofs."""
    head = running.must("block", FINAL)["header"]["hash"]
    for hash_ in transactions:
        for until in ("NONE", "EXECUTED_OPTIMISTIC", "FINAL"):
            params = {"tx_hash": hash_, "sender_account_id": "alice.near", "wait_until": until}
            check(running, "tx", params)
        full = check(running, "EXPERIMENTAL_tx_status", params)
        outcomes = full["receipts_outcome"]
        for receipt_id in [outcome["id"] for outcome in outcomes]:
            receipt = check(running, "EXPERIMENTAL_receipt", {"receipt_id": receipt_id})
            check(running, "EXPERIMENTAL_receipt_to_tx", {"receipt_id": receipt_id})
            about = {"type": "receipt", "receipt_id": receipt_id, "receiver_id": receipt["receiver_id"]}
            check(running, "light_client_proof", about | {"light_client_head": head})
        about = {
            "type": "transaction",
            "transaction_hash": hash_,
            "sender_id": full["transaction"]["signer_id"],
        }
        check(running, "EXPERIMENTAL_light_client_proof", about | {"light_client_head": head})


def test_blocks_chunks_and_changes(running: RunningNode, transactions: list[str]) -> None:
    """Every block from genesis to the head."""
    assert transactions
    head = running.must("block", FINAL)["header"]
    for height in range(head["height"] + 1):
        block = check(running, "block", {"block_id": height})
        check(running, "block_effects", {"block_id": height})
        check(running, "gas_price", {"block_id": height})
        for shard_id, chunk in enumerate(block["chunks"]):
            check(running, "chunk", {"chunk_id": chunk["chunk_hash"]})
            check(running, "EXPERIMENTAL_congestion_level", {"block_id": height, "shard_id": shard_id})
        hash_ = block["header"]["hash"]
        if 0 < height < head["height"]:
            proof = {"block_hash": hash_, "light_client_head": head["hash"]}
            check(running, "EXPERIMENTAL_light_client_block_proof", proof)
    next_block = check(
        running, "next_light_client_block", {"last_block_hash": running.must("status")["genesis_hash"]}
    )
    assert next_block["next_bps"]


def test_schemas_object_to_a_wrong_answer(running: RunningNode) -> None:
    """A field that is missing, and one of the wrong kind, each named."""
    answer = running.ask("block", FINAL)
    del answer["result"]["author"]
    answer["result"]["header"]["height"] = "7"
    assert get_schemas().find_faults("block", answer) == [
        "result.author: invalid_type string",
        "result.header.height: invalid_type number",
    ]
    assert get_schemas().find_faults("no_such_method", answer) is None


def make_changes() -> list[dict[str, Any]]:
    """One question of each kind."""
    account_ids = {"account_ids": ["alice.near", "sybil.near", "new.alice.near"]}
    keys = [
        {"account_id": "alice.near", "public_key": get_public_key(name)} for name in ("one", "two", "gas")
    ]
    kinds = ("account_changes", "all_access_key_changes", "contract_code_changes")
    return [
        *({"changes_type": kind, **account_ids} for kind in kinds),
        {"changes_type": "data_changes", "key_prefix_base64": "", **account_ids},
        {"changes_type": "single_access_key_changes", "keys": keys},
    ]


def test_changes_by_kind(running: RunningNode, transactions: list[str]) -> None:
    """Accounts, keys, gas keys, code and data, at every height where something happened."""
    assert transactions
    seen: set[str] = set()
    # Slow machines have more blocks of the clock between those of work; only where something changed is asked.
    head = running.must("block", FINAL)["header"]["height"]
    heights = [
        height
        for height in range(1, head + 1)
        if running.must("EXPERIMENTAL_changes_in_block", {"block_id": height})["changes"]
    ]
    for height, question in itertools.product(heights, make_changes()):
        for found in check(running, "EXPERIMENTAL_changes", question | {"block_id": height})["changes"]:
            seen.add(found["type"])
    assert seen >= {
        "account_update",
        "account_deletion",
        "access_key_update",
        "access_key_deletion",
        "contract_code_update",
        "data_update",
    }


QUERIES: list[dict[str, Any]] = [
    {"request_type": "view_account", "account_id": "alice.near"},
    {"request_type": "view_account", "account_id": "trent.near"},
    {"request_type": "view_code", "account_id": "alice.near"},
    {"request_type": "view_code", "account_id": "trent.near"},
    {"request_type": "view_state", "account_id": "alice.near", "prefix_base64": ""},
    {"request_type": "view_state", "account_id": "trent.near", "prefix_base64": "", "include_proof": True},
    {"request_type": "view_access_key", "account_id": "alice.near", "public_key": get_public_key("two")},
    {"request_type": "view_access_key", "account_id": "alice.near", "public_key": get_public_key("three")},
    {"request_type": "view_access_key", "account_id": "alice.near", "public_key": get_public_key("gas")},
    {"request_type": "view_access_key_list", "account_id": "alice.near"},
    {"request_type": "view_gas_key_nonces", "account_id": "alice.near", "public_key": get_public_key("gas")},
    {"request_type": "call_function", "account_id": "alice.near", "method_name": "counts", "args_base64": ""},
    {
        "request_type": "call_function",
        "account_id": "trent.near",
        "method_name": "ft_metadata",
        "args_base64": "e30=",
    },
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query['request_type']}-{query['account_id']}")
def test_queries(running: RunningNode, transactions: list[str], query: dict[str, Any]) -> None:
    """Through ``query``, and through the method of their own where there is one."""
    assert transactions
    check(running, "query", query | FINAL)
    params = {name: value for name, value in query.items() if name != "request_type"}
    check(running, f"EXPERIMENTAL_{query['request_type']}", params | FINAL)


OTHERS: list[Question] = [
    ("status", []),
    ("validators", {"latest": None}),
    ("validators", [None]),
    ("EXPERIMENTAL_validators_ordered", {"block_id": None}),
    ("network_info", []),
    ("genesis_config", []),
    ("EXPERIMENTAL_protocol_config", FINAL),
    ("maintenance_windows", {"account_id": "test.near"}),
    ("EXPERIMENTAL_split_storage_info", {}),
    ("gas_price", [None]),
]


@pytest.mark.parametrize(("method", "params"), OTHERS)
def test_other_methods(running: RunningNode, transactions: list[str], method: str, params: Any) -> None:
    """About the node and the chain as a whole."""
    assert transactions
    check(running, method, params)


def test_errors(running: RunningNode, transactions: list[str]) -> None:
    """Refusals of all kinds read as ``RpcError``."""
    unknown = "7" * 43
    questions: list[Question] = [
        ("block", {"block_id": 10**9}),
        ("block", {"finality": "never"}),
        ("chunk", {"chunk_id": unknown}),
        ("chunk", {"block_id": 1, "shard_id": 77}),
        ("query", {"request_type": "view_account", "account_id": "missing.near"} | FINAL),
        ("query", {"request_type": "view_code", "account_id": "bob.near"} | FINAL),
        (
            "EXPERIMENTAL_view_access_key",
            {"account_id": "bob.near", "public_key": get_public_key("x")} | FINAL,
        ),
        (
            "EXPERIMENTAL_call_function",
            {"account_id": "alice.near", "method_name": "fail", "args_base64": ""} | FINAL,
        ),
        (
            "EXPERIMENTAL_view_gas_key_nonces",
            {"account_id": "bob.near", "public_key": get_public_key("x")} | FINAL,
        ),
        ("tx", {"tx_hash": unknown, "sender_account_id": "a.near", "wait_until": "NONE"}),
        ("EXPERIMENTAL_receipt", {"receipt_id": unknown}),
        ("EXPERIMENTAL_receipt_to_tx", {"receipt_id": unknown}),
        ("validators", [unknown]),
        ("next_light_client_block", {"last_block_hash": unknown}),
        ("no_such_method", {}),
        ("send_tx", ["AAAA"]),
    ]
    assert transactions
    for method, params in questions:
        answer = running.ask(method, params)
        assert get_oracle().reprint("RpcError", answer["error"]) == answer["error"], (method, params)
        assert not get_schemas().find_faults(method, answer), (method, params)
