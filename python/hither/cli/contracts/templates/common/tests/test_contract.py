"""What the contract does. The fixture `chain` comes with hither's pytest plugin."""

import base64
import json
from pathlib import Path

import pytest

from hither.testing import reverts

WASM = Path(__file__).parents[1] / "build/{{name}}.wasm"


@pytest.fixture(scope="module")
def counter(chain):
    return chain.deploy(WASM)


def test_it_counts(chain, counter, gas):
    alice = chain.account("alice")
    result = alice.call(counter, "increment", {"by": 3})
    alice.call(counter, "increment", {})
    assert counter.view("get") == 4
    assert "EVENT_JSON" in result.logs[0]
    gas(result)


def test_too_large_a_step_fails(chain, counter):
    with reverts("by is at most 100"):
        chain.account("alice").call(counter, "increment", {"by": 101})
    assert counter.view("get") == 0


def test_it_adds_what_another_counter_says(chain, counter):
    bob = chain.account("bob")
    other = chain.deploy(WASM, "other")
    bob.call(other, "increment", {"by": 40})
    result = bob.call(counter, "add_from", {"other": other.id}, gas="100 Tgas")
    assert result.value == b"40"
    with reverts("the other contract did not answer"):
        bob.call(counter, "add_from", {"other": "bob.near"}, gas="100 Tgas")


def test_nobody_else_may_answer(chain, counter):
    with reverts():
        chain.account("bob").call(counter, "on_answer", {})


def test_nobody_else_may_have_it_sign(chain, counter):
    request = {"signer": "bob.near", "path": "savings", "payload": "00" * 32}
    with reverts("own account may ask for a signature"):
        chain.account("bob").call(counter, "sign", request, gas="100 Tgas")
    # On this chain nobody signs; bob.near stands in for the signing network's contract, and has no such method.
    with reverts():
        counter.account.call(counter, "sign", request, gas="100 Tgas")
    receipts = chain.get_whole(chain.results[-1])["receipts"]
    (asked,) = [
        one for one in receipts if one["predecessor_id"] == counter.id and one["receiver_id"] == "bob.near"
    ]
    (action,) = asked["receipt"]["Action"]["actions"]
    call = action["FunctionCall"]
    assert (call["method_name"], call["deposit"]) == ("sign", "1")
    what = {"path": "savings", "payload_v2": {"Ecdsa": "00" * 32}, "domain_id": 0}
    assert json.loads(base64.b64decode(call["args"])) == {"request": what}
