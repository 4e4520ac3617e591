"""The signing engine: who leads, what is retried, and when nobody tries any more."""

from hither.mpc.engine import (
    ATTEMPTS_MAX,
    LIFE_BLOCKS,
    Failed,
    GiveUp,
    Gone,
    Phase,
    Request,
    Seen,
    SendResponse,
    Signed,
    StartSigning,
    State,
    Tick,
    order_participants,
    step,
)
from hither.mpc.requests import EcdsaPayload, EcdsaSignature, SignatureRequest

REQUEST = Request(
    bytes([7]) * 32, SignatureRequest(bytes(32), EcdsaPayload(bytes([1]) * 32), 0), bytes(32), 100
)
SIGNATURE = EcdsaSignature(bytes(33), bytes(32), 0)


def must_start() -> State:
    state, effects = step(State((0, 1, 2)), Seen(REQUEST, 0))
    assert [type(effect) for effect in effects] == [StartSigning]
    return state


def test_every_participant_orders_alike_and_leads_its_share() -> None:
    """The order is a permutation that depends on the request; over many requests everyone leads about as often."""
    orders = [order_participants((2, 0, 1), number.to_bytes(32, "big")) for number in range(300)]
    assert all(sorted(order) == [0, 1, 2] for order in orders)
    assert orders[5] == order_participants((0, 1, 2), (5).to_bytes(32, "big"))
    leads = [sum(order[0] == participant for order in orders) for participant in range(3)]
    assert min(leads) > 70


def test_a_request_is_signed_then_answered_by_its_leader() -> None:
    """Signed leads to one response by the first in the order; seeing the request again does nothing."""
    state = must_start()
    assert step(state, Seen(REQUEST, 1)) == (state, [])
    state, effects = step(state, Signed(REQUEST.id, SIGNATURE))
    assert effects == [SendResponse(REQUEST, SIGNATURE, order_participants((0, 1, 2), REQUEST.id)[0])]
    state, effects = step(state, Gone(REQUEST.request))
    assert (dict(state.pending), effects) == ({}, [])


def test_a_failure_is_retried_later_by_the_next_leader() -> None:
    """Not before the pause is over, and with another participant first."""
    state, effects = step(must_start(), Failed(REQUEST.id, "no stock", 1_000))
    assert effects == []
    state, effects = step(state, Tick(1_049, 101))
    assert effects == []
    state, effects = step(state, Tick(1_050, 101))
    first = order_participants((0, 1, 2), REQUEST.id)
    assert effects == [StartSigning(REQUEST, (first[1], first[2], first[0]))]


def test_a_signature_in_hand_is_sent_again_not_made_again() -> None:
    """When the response fails, the retry sends the same signature: no second presignature is spent."""
    state, _ = step(must_start(), Signed(REQUEST.id, SIGNATURE))
    state, _ = step(state, Failed(REQUEST.id, "the node did not answer", 0))
    state, effects = step(state, Tick(10_000, 101))
    assert [type(effect) for effect in effects] == [SendResponse]
    assert state.pending[REQUEST.id].phase is Phase.RESPONDING


def test_nobody_tries_for_ever() -> None:
    """After the last attempt, and after the yield's life, the engine gives up and forgets."""
    state, given_up, now_ms = must_start(), [], 0
    for _ in range(ATTEMPTS_MAX):
        state, effects = step(state, Failed(REQUEST.id, "no stock", now_ms))
        given_up += [effect for effect in effects if isinstance(effect, GiveUp)]
        now_ms += 10_000
        state, _ = step(state, Tick(now_ms, 101))
    assert given_up == [GiveUp(REQUEST, "no stock")]
    assert not state.pending

    state, effects = step(must_start(), Tick(0, REQUEST.block_height + LIFE_BLOCKS))
    assert (len(state.pending), effects) == (1, [])
    state, effects = step(state, Tick(0, REQUEST.block_height + LIFE_BLOCKS + 1))
    assert (len(state.pending), effects) == (0, [GiveUp(REQUEST, "nobody waits any more")])


def test_late_news_about_a_forgotten_request_is_ignored() -> None:
    """A signature or failure that comes after the answer changes nothing."""
    state, _ = step(must_start(), Gone(REQUEST.request))
    assert step(state, Signed(REQUEST.id, SIGNATURE)) == (state, [])
    assert step(state, Failed(REQUEST.id, "late", 5)) == (state, [])
