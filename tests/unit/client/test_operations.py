"""Operations driven by a script of answers: what is asked, in which order, and what is made of it."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from hither.client import actions
from hither.client.errors import (
    ClientError,
    ContractFailed,
    ExecutionFailed,
    InvalidRequest,
    InvalidTransaction,
    TransactionTimeout,
    TransportError,
    UnknownAccessKey,
    make_rpc_error,
)
from hither.client.flow import AskTime, Call, Flow, Pause, RetryPolicy, TakeTurn
from hither.client.operations import Finality, SendOptions, Session, WaitUntil
from hither.client.signer import Signer
from hither.codec import base58
from hither.crypto.signing import is_valid_signature, secret_key_from_seed
from hither.primitives.action import compute_delegate_hash
from hither.primitives.transaction import SignedTransaction, decode_signed_transaction

T = TypeVar("T")

ALICE_KEY = secret_key_from_seed(0, b"\1" * 32)
BLOCK_HASH = base58.encode(b"\7" * 32)
BLOCK = {"header": {"height": 10, "hash": BLOCK_HASH, "timestamp_nanosec": "5", "gas_price": "100"}}
KEY = {"nonce": 41, "permission": "FullAccess", "block_height": 10, "block_hash": BLOCK_HASH}
DONE = {
    "final_execution_status": "FINAL",
    "status": {"SuccessValue": "NDI="},
    "transaction_outcome": {
        "block_hash": BLOCK_HASH,
        "outcome": {"logs": [], "gas_burnt": 2, "tokens_burnt": "20"},
    },
    "receipts_outcome": [{"outcome": {"logs": ["hello"], "gas_burnt": 3, "tokens_burnt": "30"}}],
}
Answer = Any


class Script:
    """Answers in order; remembers the requests and the pauses. ``now`` moves only by pauses."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.calls: list[Call] = []
        self.pauses: list[float] = []
        self.now = 0.0

    def run(self, flow: Flow[T]) -> T:
        """Drive a flow to its end."""
        try:
            effect = next(flow)
            while True:
                match effect:
                    case Call():
                        self.calls.append(effect)
                        answer = self.answers.pop(0)
                        if callable(answer):
                            answer = answer(effect)
                        effect = flow.throw(answer) if isinstance(answer, ClientError) else flow.send(answer)
                    case Pause(seconds):
                        self.pauses.append(seconds)
                        self.now += seconds
                        effect = flow.send(None)
                    case AskTime():
                        effect = flow.send(self.now)
                    case TakeTurn():
                        effect = flow.send(lambda: None)
        except StopIteration as stop:
            result: T = stop.value
            return result

    @property
    def methods(self) -> list[str]:
        """What was asked."""
        return [call.method for call in self.calls]


def refusal(cause: str, data: Any = None, info: Any = None) -> ClientError:
    """The node's refusal as the client sees it."""
    body = {"name": "HANDLER_ERROR", "cause": {"name": cause, "info": info or {}}, "data": data}
    return make_rpc_error(body, 200)


def invalid(error: Any) -> ClientError:
    """A transaction refused before it ran."""
    return refusal("INVALID_TRANSACTION", {"TxExecutionError": {"InvalidTxError": error}})


def sent(call: Call) -> SignedTransaction:
    """The transaction in a request."""
    import base64

    return decode_signed_transaction(base64.b64decode(call.params["signed_tx_base64"]))


def make_signer(**options: Any) -> Signer:
    """Alice with one key."""
    return Signer("alice.near", ALICE_KEY, **options)


def send(script: Script, signer: Signer | None = None, session: Session | None = None, **options: Any) -> Any:
    """Send a transfer."""
    flow = (session or Session()).send(
        signer or make_signer(), "bob.near", [actions.transfer("1 N")], SendOptions(**options)
    )
    return script.run(flow)


def test_transfer_asks_nonce_and_block_then_sends() -> None:
    """The signature is good, the nonce is the next one, the wait is what was asked."""
    script = Script(KEY, BLOCK, DONE)
    result = send(script, wait_until=WaitUntil.FINAL)
    assert script.methods == ["query", "block", "send_tx"]
    signed = sent(script.calls[2])
    assert signed.transaction.nonce == 42
    assert signed.transaction.block_hash == b"\7" * 32
    assert is_valid_signature(signed.transaction.public_key, signed.hash, signed.signature)
    assert script.calls[2].params["wait_until"] == "FINAL"
    assert (result.value_json(), result.logs, result.gas_burnt, result.tokens_burnt) == (
        42,
        ("hello",),
        5,
        50,
    )


def test_nonce_and_block_hash_are_remembered() -> None:
    """A second transfer costs one request, until the block hash is old."""
    session, signer = Session(), make_signer()
    script = Script(KEY, BLOCK, DONE, DONE, BLOCK, DONE)
    send(script, signer, session)
    send(script, signer, session)
    script.now += 31
    send(script, signer, session)
    assert script.methods == ["query", "block", "send_tx", "send_tx", "block", "send_tx"]
    assert [sent(script.calls[at]).transaction.nonce for at in (2, 3, 5)] == [42, 43, 44]


def test_used_nonce_is_replaced_and_signed_again() -> None:
    """The chain says which nonce it is at."""
    used = invalid({"InvalidNonce": {"ak_nonce": 90, "tx_nonce": 42}})
    script = Script(KEY, BLOCK, used, DONE)
    send(script)
    assert script.methods == ["query", "block", "send_tx", "send_tx"]
    assert sent(script.calls[3]).transaction.nonce == 91


def test_transaction_that_was_sent_before_is_looked_for_before_another_is_made() -> None:
    """Its answer may have been lost; it is signed again only when the node does not know it."""
    used = invalid({"InvalidNonce": {"ak_nonce": 90, "tx_nonce": 42}})
    script = Script(KEY, BLOCK, TransportError("broken"), used, refusal("UNKNOWN_TRANSACTION"), DONE)
    send(script)
    assert script.methods == ["query", "block", "send_tx", "send_tx", "tx", "send_tx"]
    assert sent(script.calls[5]).transaction.nonce == 91


def test_overtaken_transactions_are_brought_to_the_node_in_turn() -> None:
    """After the first that was overtaken, each is announced before the next is signed, then asked about."""
    signer, session = make_signer(), Session()
    lane = signer.lanes[0]
    used = invalid({"InvalidNonce": {"ak_nonce": 90, "tx_nonce": 42}})
    announced = {"final_execution_status": "NONE"}
    script = Script(KEY, BLOCK, used, announced, DONE)
    lane.in_flight = 1  # Another one is on its way.
    send(script, signer, session)
    assert script.methods == ["query", "block", "send_tx", "send_tx", "tx"]
    assert [call.params["wait_until"] for call in script.calls[3:]] == ["NONE", "EXECUTED_OPTIMISTIC"]
    assert sent(script.calls[4]) == sent(script.calls[3])
    assert lane.is_ordered
    lane.in_flight = 0
    script.answers += [announced, DONE, DONE]
    send(script, signer, session)
    assert not lane.is_ordered, "nothing is on its way any more"
    send(script, signer, session)
    assert script.methods[5:] == ["send_tx", "tx", "send_tx"]


def test_overtaken_transactions_are_signed_again_until_the_time_is_up() -> None:
    """First at once, then with pauses; the refusal is raised at the end."""
    used = invalid({"InvalidNonce": {"ak_nonce": 90, "tx_nonce": 42}})
    script = Script(KEY, BLOCK, *[used] * 12, DONE)
    send(script)
    assert len(script.pauses) == 4
    script = Script(KEY, *[BLOCK, *[used] * 20] * 20)
    with pytest.raises(InvalidTransaction):
        send(script)


def test_transaction_whose_answer_was_lost_is_not_sent_twice() -> None:
    """After a broken connection the nonce counts as used by itself: the result is fetched instead."""
    used = invalid({"InvalidNonce": {"ak_nonce": 42, "tx_nonce": 42}})
    script = Script(KEY, BLOCK, TransportError("broken"), used, DONE)
    result = send(script)
    assert script.methods == ["query", "block", "send_tx", "send_tx", "tx"]
    assert sent(script.calls[2]).hash == sent(script.calls[3]).hash
    assert result.is_executed


def test_expired_block_hash_is_replaced() -> None:
    """A fresh one is asked for, and another nonce used."""
    script = Script(KEY, BLOCK, invalid("Expired"), BLOCK, DONE)
    send(script)
    assert script.methods == ["query", "block", "send_tx", "block", "send_tx"]


def test_other_refusals_are_raised_at_once() -> None:
    """Signing again would not help."""
    poor = invalid({"NotEnoughBalance": {"signer_id": "alice.near", "balance": "1", "cost": "2"}})
    script = Script(KEY, BLOCK, poor)
    with pytest.raises(InvalidTransaction) as caught:
        send(script)
    assert (caught.value.kind, caught.value.fields["cost"], caught.value.retryable) == (
        "NotEnoughBalance",
        "2",
        False,
    )


def test_broken_connection_is_retried_with_growing_pauses_and_given_up() -> None:
    """The last error is raised after as many attempts as the policy has."""
    session = Session(RetryPolicy(attempts=3, first_pause_seconds=1, pause_seconds_max=1.5))
    script = Script(*[TransportError("broken")] * 3)
    with pytest.raises(TransportError):
        script.run(session.get_account("alice.near", Finality.FINAL))
    assert script.pauses == [1, 1.5]


def test_refused_request_is_not_retried() -> None:
    """An HTTP status that says the request itself is bad."""
    script = Script(TransportError("HTTP 404", 404))
    with pytest.raises(TransportError):
        script.run(Session().get_account("alice.near", Finality.FINAL))
    assert script.pauses == []


def test_waiting_goes_on_after_the_node_gave_up() -> None:
    """The same transaction is sent again, until the caller's own time is over."""
    timeout = refusal("TIMEOUT_ERROR")
    session = Session(RetryPolicy(attempts=2, first_pause_seconds=20, pause_seconds_max=20))
    script = Script(KEY, BLOCK, *[timeout] * 20)
    with pytest.raises(TransactionTimeout) as caught:
        send(script, session=session, timeout_seconds=60)
    hashes = {sent(call).hash for call in script.calls[2:]}
    assert [base58.encode(hash_) for hash_ in hashes] == [caught.value.transaction_hash]
    assert script.now == 60


def test_failed_execution_is_raised_with_its_innermost_error() -> None:
    """The result stays at hand; it can also be returned instead."""
    failure = {"ActionError": {"index": 0, "kind": {"AccountDoesNotExist": {"account_id": "bob.near"}}}}
    failed = {**DONE, "status": {"Failure": failure}}
    with pytest.raises(ExecutionFailed) as caught:
        send(Script(KEY, BLOCK, failed))
    error = caught.value
    assert (error.kind, error.fields, error.action_index) == (
        "AccountDoesNotExist",
        {"account_id": "bob.near"},
        0,
    )
    assert send(Script(KEY, BLOCK, failed), raise_on_failure=False).failure == failure


def test_errors_that_come_as_results_are_raised() -> None:
    """Through ``query`` a failed call and an unknown key are results."""
    failed = {"error": "wasm execution failed", "logs": [], "block_height": 3, "block_hash": BLOCK_HASH}
    with pytest.raises(ContractFailed, match="wasm execution failed"):
        Script(failed).run(Session().view("token.near", "get", None, Finality.FINAL))
    with pytest.raises(UnknownAccessKey):
        Script(failed).run(Session().get_access_key("alice.near", make_signer().public_key, Finality.FINAL))


def test_keys_are_read_in_pages_where_the_node_wants_that() -> None:
    """All pages are of one block."""
    item = {"access_key": {"nonce": 1, "permission": "FullAccess"}}
    first = {"keys": [{"public_key": "ed25519:a", **item}], "last_key": "ed25519:a", "block_hash": BLOCK_HASH}
    second = {"keys": [{"public_key": "ed25519:b", **item}], "block_hash": BLOCK_HASH}
    script = Script(refusal("TOO_MANY_ACCESS_KEYS"), first, second)
    found = script.run(Session().get_access_keys("alice.near", Finality.FINAL))
    assert list(found) == ["ed25519:a", "ed25519:b"]
    assert script.calls[2].params["after_key"] == "ed25519:a"
    assert script.calls[2].params["block_id"] == BLOCK_HASH


def test_delegate_is_signed_for_a_relayer() -> None:
    """The user signs, the relayer's transaction goes to the user's account."""
    session = Session()
    delegate = Script(KEY, BLOCK).run(
        session.delegate(make_signer(), "bob.near", [actions.transfer("1 N")], life_blocks=20)
    )
    inner = delegate.delegate_action
    assert (inner.sender_id, inner.nonce, inner.max_block_height) == ("alice.near", 42, 30)
    assert is_valid_signature(inner.public_key, compute_delegate_hash(delegate), delegate.signature)
    relayer = Signer("relayer.near", secret_key_from_seed(0, b"\2" * 32))
    script = Script(KEY, BLOCK, DONE)
    script.run(session.relay(relayer, delegate, SendOptions()))
    outer = sent(script.calls[-1]).transaction
    assert (outer.signer_id, outer.receiver_id, outer.actions) == ("relayer.near", "alice.near", (delegate,))


def test_lanes_are_used_in_parallel() -> None:
    """While one key's transaction is on its way the next one takes another key."""
    signer = Signer("alice.near", [secret_key_from_seed(0, bytes([n]) * 32) for n in (1, 2)])
    first = signer.choose_lane()
    first.in_flight += 1
    assert signer.choose_lane() is signer.lanes[1]


def test_gas_key_lanes_have_nonces_of_their_own() -> None:
    """Each index is a lane; its transaction is of version 1."""
    signer = make_signer(gas_key_nonces=2)
    signer.lanes[0].in_flight += 1
    script = Script({"nonces": [5, 70], "block_hash": BLOCK_HASH}, BLOCK, DONE)
    send(script, signer)
    transaction = sent(script.calls[2]).transaction
    assert (transaction.version, transaction.nonce_index, transaction.nonce) == (1, 1, 71)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: actions.transfer(5),  # type: ignore[arg-type]
        lambda: actions.transfer("5"),
        lambda: actions.function_call("m", gas="5 N"),
        lambda: actions.delete_account("NO"),
        lambda: actions.add_full_access_key("ed25519:zz"),
        lambda: Signer("alice.near", "ed25519:zz"),
        lambda: Signer("alice.near", []),
        lambda: actions.use_global(b"short"),
    ],
)
def test_mistakes_are_refused_before_anything_is_sent(mistake: Callable[[], Any]) -> None:
    """With a message that says what to write instead."""
    with pytest.raises(InvalidRequest):
        mistake()


def test_secret_is_not_shown_by_a_mistake() -> None:
    """Neither a refusal nor the signer's own form has the key in it."""
    text = "ed25519:3aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    with pytest.raises(InvalidRequest) as caught:
        Signer("alice.near", text)
    assert text[8:] not in str(caught.value)
    assert "SecretKey" not in repr(make_signer())
