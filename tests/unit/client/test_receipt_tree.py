"""A transaction as a person reads it."""

import base64
from typing import Any

import pytest

from hither.client.advice import ADVICE
from hither.client.receipt_tree import RECEIPTS_MAX, describe_actions, get_failure, render_transaction

PANIC = {
    "Failure": {
        "ActionError": {
            "index": 0,
            "kind": {"FunctionCallError": {"ExecutionError": "Smart contract panicked: no\x1b[2J"}},
        }
    }
}


def make_outcome(id_: str, children: list[str], status: Any = None, logs: list[str] | None = None) -> Any:
    """An execution outcome as the node tells it."""
    return {
        "id": id_,
        "outcome": {
            "logs": logs or [],
            "receipt_ids": children,
            "gas_burnt": 223_182_562_500,
            "tokens_burnt": "22318256250000000000",
            "executor_id": f"{id_}.near",
            "status": status or {"SuccessValue": ""},
        },
    }


def make_status(receipts: list[Any], status: Any = None) -> Any:
    """The answer of EXPERIMENTAL_tx_status for alice calling bob."""
    arguments = base64.b64encode(b'{"times":2}').decode()
    call = {"FunctionCall": {"method_name": "go", "args": arguments, "gas": 1, "deposit": "0"}}
    return {
        "transaction": {"signer_id": "alice.near", "receiver_id": "bob.near", "actions": [call], "hash": "H"},
        "transaction_outcome": make_outcome("alice", ["bob"], {"SuccessReceiptId": "bob"}),
        "receipts_outcome": receipts,
        "receipts": [
            {
                "receipt_id": "bob",
                "predecessor_id": "alice.near",
                "receiver_id": "bob.near",
                "receipt": {"Action": {"actions": [call]}},
            },
            {
                "receipt_id": "back",
                "predecessor_id": "system",
                "receiver_id": "alice.near",
                "receipt": {"Action": {"actions": [{"Transfer": {"deposit": "1"}}]}},
            },
        ],
        "status": status or {"SuccessValue": ""},
    }


def test_tree_shows_calls_logs_and_refunds() -> None:
    """One line a receipt, its logs below it."""
    status = make_status([make_outcome("bob", ["back"], logs=["hello"]), make_outcome("back", [])])
    assert render_transaction(status) == [
        '✓ alice.near → bob.near  go({"times":2})  0.67 Tgas, 0.00006695476875 N',
        "  transaction H",
        '  └ ✓ bob.near  go({"times":2})  0.22 Tgas',
        "      log: hello",
        "    └ ✓ back.near  refund 1 yoctonear  0.22 Tgas",
    ]


def test_panic_is_shown_without_its_control_characters() -> None:
    """A contract must not move the cursor of whoever looks at it."""
    lines = render_transaction(make_status([make_outcome("bob", [], PANIC)], PANIC))
    assert lines[0].startswith("✗ alice.near")
    assert lines[-1] == "      panic: Smart contract panicked: no\\x1b[2J"


def test_loops_and_very_long_trees_end() -> None:
    """A receipt is shown once, and no more than the maximum."""
    many = [make_outcome("bob", [f"r{i}" for i in range(300)])]
    many += [make_outcome(f"r{i}", ["bob"]) for i in range(300)]
    lines = render_transaction(make_status(many))
    assert len(lines) == RECEIPTS_MAX + 3
    assert lines[-1].strip() == "… 101 more receipts"


@pytest.mark.parametrize(
    ("action", "text"),
    [
        ("CreateAccount", "create account"),
        ({"Transfer": {"deposit": str(10**24)}}, "transfer 1 N"),
        ({"DeployContract": {"code": "c2hvd24gYXMgYSBoYXNo"}}, "deploy contract"),
        ({"DeleteAccount": {"beneficiary_id": "eve.near"}}, "delete account to eve.near"),
        ({"FunctionCall": {"method_name": "m", "args": "/w==", "deposit": "1"}}, "m(3 bytes) with "),
        ({"UseGlobalContract": {}}, "use global contract"),
    ],
)
def test_action_is_described(action: Any, text: str) -> None:
    """In words, with amounts in N."""
    assert describe_actions([action]).startswith(text)


def test_success_is_no_failure() -> None:
    """Only a status with Failure is one, whatever shape its error has."""
    assert get_failure({"SuccessValue": ""}) is None
    assert get_failure("Unknown") is None
    assert get_failure({"Failure": {"InvalidTxError": "Expired"}}) == "failed: Expired"
    kind = {"AccountDoesNotExist": {"account_id": "x"}}
    assert get_failure({"Failure": {"ActionError": {"index": 0, "kind": kind}}}) is not None


def test_failure_is_followed_by_what_to_do_unless_the_contract_has_said_it() -> None:
    """A missing method has a next step; a panic's own words stand alone."""
    kind = {"FunctionCallError": {"MethodResolveError": "MethodNotFound"}}
    failure = {"Failure": {"ActionError": {"index": 0, "kind": kind}}}
    lines = render_transaction(make_status([make_outcome("bob", [], failure)], failure))
    assert lines[-1] == f"      next: {ADVICE['MethodResolveError']['MethodNotFound']}"
    assert not [
        line
        for line in render_transaction(make_status([make_outcome("bob", [], PANIC)], PANIC))
        if "next" in line
    ]
