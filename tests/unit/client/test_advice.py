"""Every error that NEAR or we tell has a next step, and the innermost one is found."""

from typing import Any

import pytest

from hither.client.advice import ADVICE, find_advice, find_text_advice
from hither.client.errors import ClientError, ContractFailed, ExecutionFailed, InvalidTransaction, RpcError
from hither.client.results import TransactionResult
from hither.foreign.errors import ForeignError
from hither.primitives.errors import ERRORS, STRUCTS
from tests.errors_page import PAGE, make_page, walk

# Their hint depends on what NEAR tells.
BY_KIND = {ContractFailed, ExecutionFailed, InvalidTransaction, RpcError, ClientError, ForeignError}


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
