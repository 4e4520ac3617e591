"""Calls cut out of the recordings of NEAR's own node: same gas, logs, profile, error, receipts."""

import base64
from typing import Any

import msgspec
import pytest
from hither_native import CallOutcome, NewReceipt, Vm

from hither.codec import base58
from hither.primitives.action import ACTIONS, FunctionCall
from tests.unit.vm.recorded_calls import GROUPS, Json, RecordedCall, read_recorded_calls

# Cases in which the call itself succeeds and the runtime then refuses what it made, or in which
# there is no account to call: not the VM's to say.
REFUSED_LATER = {"NewReceiptValidationError", "LackBalanceForState", "AccountDoesNotExist"}

# Yields of earlier blocks are not among the recorded changes.
NEEDS_EARLIER_YIELD = {"yields/resume_by_other_account", "yields/resume_stored"}


def get_recorded_failure(outcome: Json) -> Any:
    """What stands in the status as the kind of a failed action, or None."""
    failure = outcome["status"].get("Failure")
    return failure["ActionError"]["kind"] if failure else None


def is_for_the_runtime(call: RecordedCall) -> bool:
    """Whether what was recorded is not the VM's to say, or not to be had from the changes."""
    kind = get_recorded_failure(call.outcome)
    is_refused = isinstance(kind, dict) and not REFUSED_LATER.isdisjoint(kind)
    return is_refused or call.case in NEEDS_EARLIER_YIELD


def describe(outcome: CallOutcome, call: RecordedCall) -> dict[str, Any]:
    """Our outcome in the shape of the recorded one."""
    error = outcome.error_json
    return {
        "gas_burnt": outcome.gas_burnt + call.execution_fee,
        "logs": outcome.logs,
        "gas_profile": [
            {"cost": cost, "cost_category": category, "gas_used": str(gas)}
            for category, cost, gas in outcome.profile
        ],
        "failure": None if error is None else {"FunctionCallError": msgspec.json.decode(error)},
    }


def describe_recorded(outcome: Json) -> dict[str, Any]:
    """The same of NEAR's node."""
    return {
        "gas_burnt": outcome["gas_burnt"],
        "logs": outcome["logs"],
        "gas_profile": outcome["metadata"]["gas_profile"],
        "failure": get_recorded_failure(outcome),
    }


def describe_receipt(receipt: NewReceipt) -> Json:
    """A receipt to make: what does not depend on the receipt that made it."""
    calls = [action for action in ACTIONS.decode(receipt.actions) if isinstance(action, FunctionCall)]
    return {
        "receiver_id": receipt.receiver_id,
        "input_data_ids": [base58.encode(item) for item in receipt.input_data_ids],
        "output_data_receivers": [
            {"data_id": base58.encode(data_id), "receiver_id": receiver_id}
            for data_id, receiver_id in receipt.output_data_receivers
        ],
        "is_promise_yield": receipt.is_promise_yield,
        "refund_to": receipt.refund_to,
        "action_count": len(ACTIONS.decode(receipt.actions)),
        "calls": [(call.method_name, call.args, call.gas, call.deposit) for call in calls],
    }


def describe_recorded_receipt(receipt: Json) -> Json:
    """The same of NEAR's node."""
    body = receipt["receipt"]["Action"]
    calls = [item["FunctionCall"] for item in body["actions"] if "FunctionCall" in item]
    return {
        "receiver_id": receipt["receiver_id"],
        "input_data_ids": body["input_data_ids"],
        "output_data_receivers": body["output_data_receivers"],
        "is_promise_yield": body["is_promise_yield"],
        "refund_to": body.get("refund_to"),
        "action_count": len(body["actions"]),
        "calls": [
            (call["method_name"], base64.b64decode(call["args"]), call["gas"], int(call["deposit"]))
            for call in calls
        ],
    }


@pytest.mark.parametrize("group", GROUPS)
def test_outcome_is_that_of_nears_node(vm: Vm, group: str) -> None:
    """Gas to the unit, logs, the profile in its order, the error in its shape."""
    calls = read_recorded_calls()[group]
    assert len(calls) == GROUPS[group]
    for call in calls:
        if not is_for_the_runtime(call):
            outcome = vm.call(call.state, call.build())
            assert describe(outcome, call) == describe_recorded(call.outcome), call.case


@pytest.mark.parametrize("group", ["promises", "promise_actions", "yields"])
def test_receipts_are_those_of_nears_node(vm: Vm, group: str) -> None:
    """Receivers, data ids, dependencies, actions, gas spread by weight, in the order of creation."""
    count = 0
    for call in read_recorded_calls()[group]:
        outcome = vm.call(call.state, call.build())
        if outcome.error_json is not None or is_for_the_runtime(call):
            continue
        if call.receipt["receipt"]["Action"]["output_data_receivers"]:
            continue  # The runtime hands these on to the returned promise.
        made = [describe_receipt(receipt) for receipt in outcome.receipts]
        recorded = [
            describe_recorded_receipt(receipt)
            for receipt in call.made_receipts
            if receipt["predecessor_id"] != "system" and "Action" in receipt["receipt"]
        ]
        assert made == recorded, call.case
        count += len(made)
    assert count > 10


def test_return_value_is_that_of_nears_node(vm: Vm) -> None:
    """Bytes come back as bytes, a returned promise as the receipt that stands for it."""
    kinds = set()
    for call in read_recorded_calls()["promises"]:
        outcome, status = vm.call(call.state, call.build()), call.outcome["status"]
        if "SuccessValue" in status:
            assert outcome.return_value in (base64.b64decode(status["SuccessValue"]), None), call.case
        elif "SuccessReceiptId" in status:
            assert isinstance(outcome.return_value, int), call.case
            returned = outcome.receipts[outcome.return_value]
            recorded = next(
                item for item in call.made_receipts if item["receipt_id"] == status["SuccessReceiptId"]
            )
            assert returned.receiver_id == recorded["receiver_id"]
        kinds.add(type(outcome.return_value))
    assert kinds == {bytes, int, type(None)}


@pytest.mark.parametrize("version", [85, 86, 87, 88])
def test_later_versions_run_the_same_calls(vm: Vm, version: int) -> None:
    """What the host gives back is the same at every version; so is the gas where no fee changed."""
    for group in ("host", "trie"):
        for call in read_recorded_calls()[group]:
            outcome = vm.call(call.state, call.build(version))
            described, recorded = describe(outcome, call), describe_recorded(call.outcome)
            assert described == recorded, call.case
