"""Three engines and a clock that the test moves: how soon a caller learns that one who is needed is away."""

import heapq
import itertools
from dataclasses import dataclass, replace

import pytest

from hither.mpc import engine
from hither.mpc.choice import count_exact_seconds
from hither.mpc.engine import Request, order_participants
from hither.mpc.requests import EcdsaPayload, EcdsaSignature, SignatureRequest
from hither.mpc.watch import LOOK_S_MAX, SILENT_S

ROBUST_ID = 3
TOLD_MS_MAX = 1_750
"""Of the two seconds, the rest is for the answer's way through the chain."""
TICK_MS = 50
SIGNING_MS = 60
SILENT_MS = round((SILENT_S + LOOK_S_MAX) * 1e3)
ANSWER = EcdsaSignature(bytes(33), bytes(32), 0)
NODES = (0, 1, 2)
HEALTHY = 10**9


@dataclass(frozen=True)
class Fault:
    """What one node suffers. Times are counted from the request: when it stops, and when it was last heard of."""

    victim: int
    stops_ms: int = HEALTHY
    heard_ms: int = HEALTHY
    is_slow: bool = False
    """It is heard of, and no job with it ends."""


class Simulated:
    """The nodes' engines; protocols as what ``Node.sign`` makes of them."""

    def __init__(self, request: Request, fault: Fault) -> None:
        self.request, self.fault = request, fault
        self.events: list[tuple[int, int, int, engine.Event]] = []
        self._numbers = itertools.count()
        self.told: list[tuple[int, int, str]] = []
        self.answered_ms: int | None = None
        self.states = {}
        for me in NODES:
            state = engine.make_state((), ())
            for event in (
                engine.Members(NODES, frozenset({me}), -5_000, frozenset({ROBUST_ID})),
                engine.Reached(frozenset(NODES), -5_000),
            ):
                state, _ = engine.step(state, event)
            self.states[me] = state
            gone_ms = max(fault.heard_ms + SILENT_MS, -4_000)
            if me != fault.victim and gone_ms < HEALTHY:
                alive = frozenset(NODES) - {fault.victim}
                self.put(gone_ms, me, engine.Reached(alive, gone_ms))
            self.put(0, me, engine.Seen(request, 0))
            for now_ms in range(0, 4_000, TICK_MS):
                self.put(now_ms, me, engine.Tick(now_ms, request.block_height))

    def put(self, now_ms: int, me: int, event: engine.Event) -> None:
        heapq.heappush(self.events, (now_ms, next(self._numbers), me, event))

    def run(self) -> None:
        while self.events and self.answered_ms is None:
            now_ms, _, me, event = heapq.heappop(self.events)
            if me == self.fault.victim and now_ms >= self.fault.stops_ms:
                continue
            self.states[me], effects = engine.step(self.states[me], event)
            for effect in effects:
                self.perform(now_ms, me, effect)

    def perform(self, now_ms: int, me: int, effect: engine.Effect) -> None:
        match effect:
            case engine.StartSigning():
                self.sign(now_ms, me)
            case engine.SendRefusal(_, code, _, participant):
                if me != self.fault.victim:
                    self.told.append((now_ms, participant, code))
            case engine.SendResponse():
                self.answered_ms = now_ms
            case engine.TellPassed():
                for other in set(NODES) - {me}:
                    self.put(now_ms + 1, other, engine.Passed(self.request.key, me, now_ms + 1))

    def sign(self, now_ms: int, me: int) -> None:
        """It ends well if all live on until then; else when the silent one is known, or when the time is over."""
        fault, key = self.fault, self.request.key
        end_ms = now_ms + SIGNING_MS
        if not fault.is_slow and end_ms < fault.stops_ms:
            return self.put(end_ms, me, engine.Signed(key, ANSWER, end_ms))
        if me == fault.victim:
            return None  # Its own attempt hangs, too, and ends after all others'.
        # The end of a time-out is seen at the next look.
        left_ms = round(count_exact_seconds(now_ms / 1e3) * 1e3 + LOOK_S_MAX * 1e3)
        failed_ms = now_ms + (0 if now_ms >= fault.heard_ms + SILENT_MS else left_ms)
        failed = engine.Failed(key, "one is missing", failed_ms, "RobustSetIncomplete")
        return self.put(failed_ms, me, failed)


REQUEST = Request(
    bytes([7]) * 32, SignatureRequest(bytes(32), EcdsaPayload(bytes([1]) * 32), ROBUST_ID), bytes(32), 100
)
PLACES = ("first", "second", "third")


def simulate(place: str, fault: Fault) -> Simulated:
    victim = order_participants(NODES, REQUEST.id)[PLACES.index(place)]
    simulated = Simulated(REQUEST, replace(fault, victim=victim))
    simulated.run()
    return simulated


def must_be_told(simulated: Simulated, what: object) -> int:
    """After how many milliseconds."""
    assert simulated.told and {code for *_, code in simulated.told} == {"RobustSetIncomplete"}, what
    now_ms = simulated.told[0][0]
    assert now_ms <= TOLD_MS_MAX, f"{what}: told after {now_ms} ms"
    return now_ms


@pytest.mark.parametrize("place", PLACES)
def test_who_falls_silent_is_told_of_in_time(place: str) -> None:
    """Whoever leads, and at whatever moment before the request or in the middle of it."""
    for stops_ms in range(-2_000, SIGNING_MS, 40):
        for heard_ago_ms in (0, 250, 500):
            fault = Fault(0, stops_ms, stops_ms - heard_ago_ms)
            simulated = simulate(place, fault)
            assert simulated.answered_ms is None
            must_be_told(simulated, (place, stops_ms, heard_ago_ms))


@pytest.mark.parametrize("place", PLACES)
def test_who_is_slow_is_told_of_in_time(place: str) -> None:
    """It goes on to be heard of, and leads in its turn, and nothing comes of it."""
    must_be_told(simulate(place, Fault(0, is_slow=True)), place)


@pytest.mark.parametrize("place", PLACES)
def test_who_is_known_to_be_away_has_a_moment_to_come_back(place: str) -> None:
    """The caller learns of it soon after that moment, and not before."""
    simulated = simulate(place, Fault(0, -3_500, -3_500))
    told_ms = must_be_told(simulated, place)
    assert engine.REFUSE_AFTER_MS <= told_ms <= engine.REFUSE_AFTER_MS + TICK_MS


@pytest.mark.parametrize("place", PLACES)
def test_who_answers_before_it_falls_silent_costs_nothing(place: str) -> None:
    """The request is answered, and nobody is told of anything."""
    simulated = simulate(place, Fault(0, SIGNING_MS + 1, SIGNING_MS + 1))
    assert simulated.answered_ms == SIGNING_MS and not simulated.told
