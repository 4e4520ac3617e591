"""A counter that asks other counters, and that signs for other chains."""

import json

import near
from near_sdk_py import ONE_TGAS, Contract, call, view
from near_sdk_py.contract import ContractPanic
from near_sdk_py.promises import CrossContract, callback

STEP_MAX = 100


class Counter(Contract):
    @call
    def increment(self, by=1):
        """Storage, JSON, an event, and a case that fails."""
        if not isinstance(by, int) or by < 0:
            raise ContractPanic("by must be a whole number, 0 or more")
        if by > STEP_MAX:
            raise ContractPanic("by is at most 100")
        count = self.storage.get("count", 0) + by
        self.storage["count"] = count
        event = {"standard": "counter", "version": "1.0.0", "event": "increment"}
        event["data"] = [{"by": by, "count": count}]
        near.log_utf8("EVENT_JSON:" + json.dumps(event))
        return count

    @view
    def get(self):
        return self.storage.get("count", 0)

    @call
    def add_from(self, other):
        """A call of another contract, and a callback that adds what it answers."""
        answer = CrossContract(other, gas=10 * ONE_TGAS).call("get")
        answer.then("on_answer").value()

    @callback
    def on_answer(self, answer):
        if not answer.success:
            near.panic_utf8("the other contract did not answer")
        count = self.storage.get("count", 0) + answer.data
        self.storage["count"] = count
        return count

    @call
    def sign(self, signer, path, payload):
        """A signature for another chain, under a key of this contract's own.

        Whoever may ask for it has what is there.
        """
        if near.predecessor_account_id() != near.current_account_id():
            raise ContractPanic("only the contract's own account may ask for a signature")
        request = {"path": path, "payload_v2": {"Ecdsa": payload}, "domain_id": 0}
        CrossContract(signer, gas=50 * ONE_TGAS, deposit=1).call("sign", request=request).value()
