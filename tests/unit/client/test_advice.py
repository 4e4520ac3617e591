"""Every error that NEAR or we tell has a next step, and the innermost one is found."""

from typing import Any

import pytest

from hither.client.advice import ADVICE, CAUSE_ADVICE, describe_error, find_advice, find_text_advice
from hither.client.errors import (
    ClientError,
    ContractFailed,
    ExecutionFailed,
    InvalidTransaction,
    RpcError,
    make_rpc_error,
)
from hither.client.results import TransactionResult
from hither.foreign.errors import ForeignError
from hither.primitives.errors import ERRORS, STRUCTS
from hither.rpc.errors import TABLE
from tests.errors_page import PAGE, make_page, walk

# Their hint depends on what NEAR tells.
BY_KIND = {ExecutionFailed, ClientError, ForeignError, *walk(RpcError)}
CAUSES = sorted({"PARSE_ERROR", "METHOD_NOT_FOUND"}.union(*TABLE.values()))


def list_variants() -> list[tuple[str, str]]:
    """Those that a developer sees innermost: what only wraps another enum, or explains the node's own state, is not."""
    return [
        (enum, variant)
        for enum, variants in ERRORS.items()
        for variant, shape in variants.items()
        if not (isinstance(shape, str) and (shape in ERRORS or shape in STRUCTS))
        and enum not in ("DepositCostFailureReason", "MissingTrieValueContext")
    ]


@pytest.mark.parametrize(("enum", "variant"), list_variants())
def test_every_variant_has_a_next_step(enum: str, variant: str) -> None:
    """And it is found from that enum."""
    step = ADVICE[enum][variant]
    assert step and not step.endswith(".")
    assert find_advice({variant: {}}, enum) == step
    assert find_advice(variant, enum) == step


def test_no_step_is_for_a_variant_that_is_none() -> None:
    for enum, steps in ADVICE.items():
        assert not set(steps) - set(ERRORS[enum]), enum


@pytest.mark.parametrize("one", [*walk(ClientError), *walk(ForeignError)])
def test_every_error_of_ours_has_a_code_and_a_next_step(one: Any) -> None:
    assert one.code == one.code.upper()
    assert one in BY_KIND or one.hint


@pytest.mark.parametrize("cause", CAUSES)
def test_every_refusal_of_a_node_has_a_next_step(cause: str) -> None:
    """All that the server's table can answer, as a client meets it."""
    error = make_rpc_error({"name": "HANDLER_ERROR", "cause": {"name": cause}, "data": "why"}, 200)
    if cause == "INVALID_TRANSACTION":  # What is wrong with it decides.
        assert isinstance(error, InvalidTransaction)
    else:
        assert error.hint and error.hint == CAUSE_ADVICE[cause] and not error.hint.endswith(".")
        assert "why" in str(error)


def test_no_step_is_for_a_cause_that_is_none() -> None:
    assert set(CAUSE_ADVICE) == set(CAUSES)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            {"NotEnoughBalance": {"signer_id": "a.near", "balance": str(10**24), "cost": str(25 * 10**23)}},
            "NotEnoughBalance: signer_id a.near, balance 1 N, cost 2.5 N",
        ),
        ("Expired", "Expired"),
        (
            {"InvalidAccessKeyError": {"MethodNameMismatch": {"method_name": "go"}}},
            "InvalidAccessKeyError: MethodNameMismatch: method_name go",
        ),
        ({"SomethingNew": {"why": ["x"]}}, "SomethingNew: why ['x']"),
    ],
)
def test_refusals_are_told_in_words(error: Any, words: str) -> None:
    """Amounts in N, and nothing of the form that they travel in."""
    assert describe_error({"InvalidTxError": error}) == words


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"AccountAlreadyExists": {"account_id": "a.near"}}, "AccountAlreadyExists: account_id a.near"),
        (
            {"FunctionCallError": {"MethodResolveError": "MethodNotFound"}},
            "MethodResolveError: MethodNotFound",
        ),
        ({"FunctionCallError": {"ExecutionError": 'it\'s\n\x1b[2J "off"'}}, 'it\'s\n\\x1b[2J "off"'),
    ],
)
def test_failures_are_told_in_words(kind: Any, words: str) -> None:
    """A contract's own words stand alone, as it said them, and move no cursor."""
    failure = {"ActionError": {"index": 0, "kind": kind}}
    assert describe_error(failure) == words
    assert str(ExecutionFailed(failure, TransactionResult({}, "hash"))) == words


def test_innermost_error_decides() -> None:
    """Through ActionError, enums within enums, and NEAR's words within a text."""
    kind = {"FunctionCallError": {"CompilationError": {"CodeDoesNotExist": {"account_id": "a.near"}}}}
    failure = {"ActionError": {"index": 0, "kind": kind}}
    assert find_advice(failure) == ADVICE["CompilationError"]["CodeDoesNotExist"]
    kind = {"FunctionCallError": {"ExecutionError": "Exceeded the prepaid gas."}}
    error = ExecutionFailed({"ActionError": {"index": 0, "kind": kind}}, TransactionResult({}, "hash"))
    assert error.hint == ADVICE["HostError"]["GasExceeded"]
    refused = {"InvalidTxError": {"InvalidAccessKeyError": {"AccessKeyNotFound": {"account_id": "a"}}}}
    body = {
        "name": "HANDLER_ERROR",
        "cause": {"name": "INVALID_TRANSACTION"},
        "data": {"TxExecutionError": refused},
    }
    assert InvalidTransaction(body, 200).hint == ADVICE["InvalidAccessKeyError"]["AccessKeyNotFound"]
    assert (
        ContractFailed("storage_write is not allowed in view calls").hint
        == ADVICE["HostError"]["ProhibitedInView"]
    )
    # The same name in two enums means two things.
    assert find_advice({"ActionError": {"index": 0, "kind": {"LackBalanceForState": {}}}})
    assert find_advice({"InvalidTxError": {"ActionsValidation": "IntegerOverflow"}}) != find_advice(
        "IntegerOverflow", "HostError"
    )


def test_unknown_errors_have_none() -> None:
    assert find_advice({"SomethingNew": {}}) is None
    assert find_advice(7) is None
    assert find_text_advice("the contract's own words") is None


def test_page_is_what_the_code_says() -> None:
    """`make status` writes it."""
    assert PAGE.read_text() == make_page()
