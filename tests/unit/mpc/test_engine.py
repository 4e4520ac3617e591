"""The signing engine: who leads, what is retried, and when nobody tries any more."""

from hither.mpc.engine import (
    ATTEMPTS_MAX,
    BUSY_REQUESTS,
    LIFE_BLOCKS,
    REFUSE_AFTER_MS,
    REFUSE_AGAIN_MS,
    RETRY_MS_MAX,
    TURN_MS,
    Event,
    Failed,
    GiveUp,
    Gone,
    Members,
    Passed,
    Phase,
    Reached,
    Request,
    Seen,
    SendRefusal,
    SendResponse,
    Signed,
    StartSigning,
    State,
    TellPassed,
    Tick,
    make_state,
    order_participants,
    step,
)
from hither.mpc.requests import EcdsaPayload, EcdsaSignature, SignatureRequest

REQUEST = Request(
    bytes([7]) * 32, SignatureRequest(bytes(32), EcdsaPayload(bytes([1]) * 32), 0), bytes(32), 100
)
SIGNATURE = EcdsaSignature(bytes(33), bytes(32), 0)


def must_start() -> State:
    state, effects = step(make_state((0, 1, 2), (0, 1, 2)), Seen(REQUEST, 0))
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
    state, effects = step(state, Signed(REQUEST.key, SIGNATURE, 0))
    assert effects == [SendResponse(REQUEST, SIGNATURE, order_participants((0, 1, 2), REQUEST.id)[0])]
    state, effects = step(state, Gone(REQUEST.request))
    assert (dict(state.pending), effects) == ({}, [])


def test_a_failure_is_retried_later_by_the_next_leader() -> None:
    """Not before the pause is over, and with another participant first."""
    state, effects = step(must_start(), Failed(REQUEST.key, "no stock", 1_000))
    assert effects == [TellPassed(REQUEST)]
    state, effects = step(state, Tick(1_049, 101))
    assert effects == []
    state, effects = step(state, Tick(1_050, 101))
    first = order_participants((0, 1, 2), REQUEST.id)
    assert effects == [StartSigning(REQUEST, (first[1], first[2], first[0]))]


def test_a_signature_in_hand_is_sent_again_not_made_again() -> None:
    """When the response fails, the retry sends the same signature: no second presignature is spent."""
    state, _ = step(must_start(), Signed(REQUEST.key, SIGNATURE, 0))
    state, _ = step(state, Failed(REQUEST.key, "the node did not answer", 0))
    state, effects = step(state, Tick(10_000, 101))
    assert [type(effect) for effect in effects] == [SendResponse]
    assert state.pending[REQUEST.key].phase is Phase.RESPONDING


def test_nobody_tries_for_ever() -> None:
    """After the last attempt, and after the yield's life, the engine gives up and forgets."""
    state, given_up, now_ms = must_start(), [], 0
    for _ in range(ATTEMPTS_MAX):
        state, effects = step(state, Failed(REQUEST.key, "the others did not answer", now_ms))
        given_up += [effect for effect in effects if isinstance(effect, GiveUp)]
        now_ms += 10_000
        state, _ = step(state, Tick(now_ms, 101))
    assert given_up == [GiveUp(REQUEST, "the others did not answer")]
    assert not state.pending

    state, effects = step(must_start(), Tick(0, REQUEST.block_height + LIFE_BLOCKS))
    assert (len(state.pending), effects) == (1, [])
    state, effects = step(state, Tick(0, REQUEST.block_height + LIFE_BLOCKS + 1))
    assert (len(state.pending), effects) == (0, [GiveUp(REQUEST, "nobody waits any more")])


def test_who_lacks_stock_tries_until_there_is_some() -> None:
    """Nothing was used up, and more is made: a long queue waits its turn, at most a second more each time."""
    state, now_ms = must_start(), 0
    for _ in range(5 * ATTEMPTS_MAX):
        state, _ = step(state, Failed(REQUEST.key, "no stock", now_ms, is_lacking=True))
        assert state.pending[REQUEST.key].not_before_ms <= now_ms + 1_000
        now_ms += 1_000
        state, _ = step(state, Tick(now_ms, 101))
    given_up = []
    for _ in range(ATTEMPTS_MAX):
        state, effects = step(state, Failed(REQUEST.key, "the others did not answer", now_ms))
        given_up += [effect for effect in effects if isinstance(effect, GiveUp)]
        now_ms += 10_000
        state, _ = step(state, Tick(now_ms, 101))
    assert len(given_up) == 1, "attempts are counted from here"


def test_late_news_about_a_forgotten_request_is_ignored() -> None:
    """A signature or failure that comes after the answer changes nothing."""
    state, _ = step(must_start(), Gone(REQUEST.request))
    assert step(state, Signed(REQUEST.key, SIGNATURE, 0)) == (state, [])
    assert step(state, Failed(REQUEST.key, "late", 5)) == (state, [])


FIRST, SECOND, THIRD = order_participants((0, 1, 2), REQUEST.id)


def must_step(state: State, *events: Event) -> tuple[State, list[type]]:
    kinds = []
    for event in events:
        state, effects = step(state, event)
        kinds += [type(effect) for effect in effects]
    return state, kinds


def make_node(me: int) -> State:
    """A node with one participant, all others in reach."""
    return step(make_state((0, 1, 2), (me,)), Reached(frozenset({0, 1, 2}), 0))[0]


def test_of_several_nodes_one_leads_and_the_next_takes_over_in_time() -> None:
    """The first starts at once; the second when the first has had its time, the third after both."""
    assert must_step(make_node(FIRST), Seen(REQUEST, 0))[1] == [StartSigning]
    state, kinds = must_step(make_node(SECOND), Seen(REQUEST, 0), Tick(TURN_MS - 1, 101))
    assert kinds == []
    assert must_step(state, Tick(TURN_MS, 101))[1] == [StartSigning]
    state, kinds = must_step(
        make_node(THIRD), Seen(REQUEST, 0), Tick(TURN_MS, 101), Tick(2 * TURN_MS - 1, 101)
    )
    assert kinds == []
    assert must_step(state, Tick(2 * TURN_MS, 101))[1] == [StartSigning]


def test_a_leader_that_cannot_be_reached_is_skipped_at_once() -> None:
    """Whether it was away when the request came, or went while it had its turn."""
    away = step(make_node(SECOND), Reached(frozenset({SECOND, THIRD}), 0))[0]
    _, effects = step(away, Seen(REQUEST, 0))
    assert effects == [StartSigning(REQUEST, (SECOND, THIRD))]
    waiting = step(make_node(SECOND), Seen(REQUEST, 0))[0]
    assert must_step(waiting, Reached(frozenset({SECOND, THIRD}), 5))[1] == [StartSigning]


def test_a_leader_that_says_it_failed_is_not_waited_for() -> None:
    """Only the one whose turn it is can pass it on."""
    waiting = step(make_node(SECOND), Seen(REQUEST, 0))[0]
    assert must_step(waiting, Passed(REQUEST.key, THIRD, 5))[1] == []
    assert must_step(waiting, Passed(REQUEST.key, FIRST, 5))[1] == [StartSigning]


def test_nodes_whose_views_drifted_apart_still_lead_each_in_its_turn() -> None:
    """Each sees the request at another time, and none hears of the others: in three turns of its own, each leads."""
    for me, seen_ms in ((FIRST, 9_000), (SECOND, 0), (THIRD, 4_321)):
        state, kinds = must_step(make_node(me), Seen(REQUEST, seen_ms))
        for turn in (1, 2, 3):
            state, more = must_step(state, Tick(seen_ms + turn * TURN_MS, 101))
            kinds += more
        assert StartSigning in kinds


def test_who_leaves_leads_no_more() -> None:
    """A member that may not answer any more passes its turn; who stays takes it."""
    waiting = step(make_node(SECOND), Seen(REQUEST, 0))[0]
    state, effects = step(waiting, Members((SECOND, THIRD), frozenset({SECOND}), 5))
    assert [type(effect) for effect in effects] == [StartSigning]
    assert state.participants == tuple(sorted((SECOND, THIRD)))


def test_a_request_is_another_one_on_another_fork() -> None:
    """The same id in another block, or with another payload, has another key."""
    moved = Request(REQUEST.id, REQUEST.request, REQUEST.entropy, 100, bytes([1]) * 32)
    other = Request(
        REQUEST.id, SignatureRequest(bytes(32), EcdsaPayload(bytes([2]) * 32), 0), REQUEST.entropy, 100
    )
    assert len({REQUEST.key, moved.key, other.key}) == 3


def test_the_caller_is_told_of_what_does_not_pass_soon() -> None:
    """Not at the first failure, at the next one after a while, again later, and not for what a retry may mend."""

    def fail(state: State, now_ms: int, code: str | None) -> tuple[State, list[type]]:
        return must_step(state, Failed(REQUEST.key, "one is missing", now_ms, code))

    state, kinds = fail(must_start(), 5, "RobustSetIncomplete")
    assert kinds == [TellPassed]
    state, kinds = must_step(state, Tick(REFUSE_AFTER_MS - 1, 101))
    assert kinds == []
    state, kinds = must_step(state, Tick(REFUSE_AFTER_MS, 101))
    assert kinds == [StartSigning]
    leader = order_participants((0, 1, 2), REQUEST.id)[0]
    refused, effects = step(
        state, Failed(REQUEST.key, "one is missing", REFUSE_AFTER_MS, "RobustSetIncomplete")
    )
    assert effects == [
        TellPassed(REQUEST),
        SendRefusal(REQUEST, "RobustSetIncomplete", "one is missing", leader),
    ]
    refused, _ = must_step(refused, Tick(REFUSE_AFTER_MS + RETRY_MS_MAX, 101))
    again_ms = REFUSE_AFTER_MS + REFUSE_AGAIN_MS
    assert fail(refused, again_ms - 1, "RobustSetIncomplete")[1] == [TellPassed]
    assert fail(refused, again_ms, "RobustSetIncomplete")[1] == [TellPassed, SendRefusal]
    assert fail(must_start(), 10_000, None)[1] == [TellPassed]


def test_a_turn_is_longer_when_there_is_much_to_do() -> None:
    """Otherwise all would lead everything as soon as all are slow."""
    state = make_node(SECOND)
    others = [
        Request(number.to_bytes(32, "big"), REQUEST.request, bytes(32), 100)
        for number in range(1, 2 * BUSY_REQUESTS)
    ]
    for other in others:
        state, _ = step(state, Seen(other, 0))
    assert len(state.pending) == len(others)
    state, _ = step(state, Seen(REQUEST, 0))
    assert StartSigning(REQUEST, (SECOND, THIRD, FIRST)) not in step(state, Tick(TURN_MS, 101))[1]
    assert StartSigning(REQUEST, (SECOND, THIRD, FIRST)) in step(state, Tick(2 * TURN_MS, 101))[1]


def test_a_request_that_is_seen_before_the_members_are_known_waits_for_them() -> None:
    """A node that has just started reads chain and contract in any order."""
    state, kinds = must_step(make_state((), ()), Seen(REQUEST, 0), Tick(TURN_MS, 101))
    assert kinds == []
    assert must_step(state, Members((0, 1, 2), frozenset({0, 1, 2}), 5))[1] == [StartSigning]
