"""Which request is signed when, by whom, and what happens when that fails. Pure.

``step`` folds one event into the state and says what to do. The clock is part of the events. Every node orders the
participants the same way for a request, so they agree about its leader without asking: the leader brings the
signers together and answers the contract. Whoever runs several participants (``mine``) leads for all of them.

A request's turn goes to the next participant when its leader failed, says so, is not to be reached, or has taken too
long. Turns are counted by each node alone: whatever others think, a node leads once in a round of turns, and signers
follow any leader, so that nodes whose views have drifted apart need no common clock to find together again.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

from hither.mpc.requests import Answer, AnyRequest, encode_storage_key

ATTEMPTS_MAX = 10
LIFE_BLOCKS = 200
"""A yield lives so long; afterwards nobody waits for the answer."""
RETRY_MS_MIN = 50
RETRY_MS_MAX = 5_000
LACKING_MS_MAX = 1_000
"""Stock comes in fractions of a second."""
REFUSE_AFTER_MS = 600
"""Who is missing may come back by then, and nobody needs to hear of it."""
REFUSE_AGAIN_MS = 2_000
"""A refusal that is said again after a while, and is not answered by anybody else, ends the request."""
TURN_MS = 1_000
"""So long the others wait for a leader that can be reached but does not answer."""
EXACT_TURN_MS = 600
"""The same where all are needed: what the leader lacks the others lack, too, and the caller is to learn of it soon."""

BUSY_REQUESTS = 8
"""Every so many requests that wait at once lengthen a turn by itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that waits on chain.

    ``id`` is its first yield; ``entropy`` the random value of the block it came in, and ``block_hash`` that block's.
    """

    id: bytes
    request: AnyRequest
    entropy: bytes
    block_height: int
    block_hash: bytes = bytes(32)

    @property
    def key(self) -> bytes:
        """Names it on one fork alone: after a revert the same id may come in another block, or with another payload."""
        return hashlib.sha256(self.id + self.block_hash + encode_storage_key(self.request)).digest()


class Phase(Enum):
    """What a request waits for."""

    STARTING = "starting"
    SIGNING = "signing"
    WAITING = "waiting for another leader"
    RESPONDING = "responding"


@dataclass(frozen=True, slots=True)
class Pending:
    """A request under way.

    ``turn`` counts leaders, ``failures`` those of ours, ``attempts`` the failures that may have used something up;
    ``not_before_ms`` delays the next try.
    """

    request: Request
    phase: Phase = Phase.STARTING
    turn: int = 0
    failures: int = 0
    attempts: int = 0
    not_before_ms: int = 0
    turn_until_ms: int = 0
    signature: Answer | None = None
    seen_ms: int = 0
    refused_ms: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """All that the engine remembers. ``mine`` run here; ``alive`` are to be reached and not behind."""

    participants: tuple[int, ...]
    mine: frozenset[int]
    alive: frozenset[int]
    pending: Mapping[bytes, Pending] = field(default_factory=lambda: MappingProxyType({}))
    exact: frozenset[int] = frozenset()
    """Domains whose protocol needs every one of a signer set."""


def make_state(participants: Iterable[int], mine: Iterable[int]) -> State:
    """Nothing is pending; others are yet to be heard of."""
    own = frozenset(mine)
    return State(tuple(sorted(participants)), own, own)


@dataclass(frozen=True, slots=True)
class Seen:
    """A request came in with a block."""

    request: Request
    now_ms: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The contract no longer waits for this: it was answered, or timed out, or its block was reverted."""

    request: AnyRequest


@dataclass(frozen=True, slots=True)
class Signed:
    """The signers have the signature."""

    key: bytes
    signature: Answer
    now_ms: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Signing or responding did not work here. With a ``code``, the caller is to learn of it unless it passes soon.

    ``is_lacking``: nothing was tried for lack of stock, of which more is made meanwhile.
    """

    key: bytes
    reason: str
    now_ms: int
    code: str | None = None
    is_lacking: bool = False


@dataclass(frozen=True, slots=True)
class Passed:
    """Another participant says that it led and failed."""

    key: bytes
    participant: int
    now_ms: int


@dataclass(frozen=True, slots=True)
class Reached:
    """Which participants are to be reached now, and not behind the chain."""

    alive: frozenset[int]
    now_ms: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time and the chain have moved on."""

    now_ms: int
    height: int


@dataclass(frozen=True, slots=True)
class Members:
    """Who may lead from now on, which of them run here, and which domains need all of a signer set."""

    participants: tuple[int, ...]
    mine: frozenset[int]
    now_ms: int
    exact: frozenset[int] = frozenset()


Event = Members | Seen | Gone | Signed | Failed | Passed | Reached | Tick


@dataclass(frozen=True, slots=True)
class StartSigning:
    """Bring signers together, the leader first in ``order``."""

    request: Request
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SendResponse:
    """The leader answers the contract."""

    request: Request
    signature: Answer
    leader: int


@dataclass(frozen=True, slots=True)
class SendRefusal:
    """Tell the contract that this node cannot answer. Enough of these fail the request with their reason."""

    request: Request
    code: str
    reason: str
    participant: int


@dataclass(frozen=True, slots=True)
class TellPassed:
    """Let the others know that this attempt of ours failed, so that they need not wait."""

    request: Request


@dataclass(frozen=True, slots=True)
class GiveUp:
    """This node will not try again."""

    request: Request
    reason: str


Effect = StartSigning | SendResponse | SendRefusal | TellPassed | GiveUp


def order_participants(participants: Sequence[int], request_id: bytes) -> tuple[int, ...]:
    """Participants by SHA-256 of (number, request id), read as a number from its first 8 bytes."""

    def rank(participant: int) -> tuple[int, int]:
        digest = hashlib.sha256(participant.to_bytes(4, "little") + request_id).digest()
        return int.from_bytes(digest[:8], "little"), participant

    return tuple(sorted(participants, key=rank))


def choose_order(state: State, pending: Pending) -> tuple[int, ...]:
    """Those to be reached, in the order of the request, the one whose turn it is first."""
    everyone = order_participants(state.participants, pending.request.id)
    if not everyone:
        return ()  # The contract has not been read yet.
    turn = pending.turn % len(everyone)
    order = everyone[turn:] + everyone[:turn]
    return tuple(participant for participant in order if participant in state.alive)


def forget_requests(state: State) -> State:
    """The chain went back: nothing is known to wait."""
    return replace(state, pending=MappingProxyType({}))


def step(state: State, event: Event) -> tuple[State, list[Effect]]:
    """Fold one event into the state; the caller performs the effects."""
    match event:
        case Members(participants, mine, now_ms, exact):
            members = replace(
                state,
                participants=tuple(sorted(participants)),
                mine=mine & frozenset(participants),
                exact=exact,
            )
            return _reach(replace(members, alive=state.alive | members.mine), now_ms)
        case Seen(request, now_ms):
            if any(p.request.id == request.id for p in state.pending.values()):
                return state, []  # Another caller waits for the same answer.
            return _take_turn(state, Pending(request, seen_ms=now_ms), now_ms)
        case Gone(request):
            answered = [key for key, pending in state.pending.items() if pending.request.request == request]
            return _without(state, answered), []
        case Signed(key, signature, now_ms):
            pending = state.pending.get(key)
            if pending is None or pending.phase is not Phase.SIGNING:
                return state, []  # Answered meanwhile.
            return _take_turn(state, replace(pending, signature=signature), now_ms)
        case Failed():
            return _fail(state, event)
        case Passed(key, participant, now_ms):
            return _pass(state, key, participant, now_ms)
        case Reached(alive, now_ms):
            return _reach(replace(state, alive=alive | state.mine), now_ms)
        case Tick(now_ms, height):
            return _tick(state, now_ms, height)


def _take_turn(state: State, pending: Pending, now_ms: int) -> tuple[State, list[Effect]]:
    """Lead if it is the turn of one of ours, else wait for the one whose turn it is."""
    order = choose_order(state, pending)
    leader = order[0] if order else None
    if leader not in state.mine or leader is None:
        # With much to do every leader is slower: who takes over too soon makes it worse.
        usual_ms = EXACT_TURN_MS if pending.request.request.domain_id in state.exact else TURN_MS
        turn_ms = usual_ms * (1 + len(state.pending) // BUSY_REQUESTS)
        waiting = replace(pending, phase=Phase.WAITING, turn_until_ms=now_ms + turn_ms)
        return _with(state, waiting), []
    if pending.signature is not None:
        effect: Effect = SendResponse(pending.request, pending.signature, leader)
        return _with(state, replace(pending, phase=Phase.RESPONDING)), [effect]
    return _with(state, replace(pending, phase=Phase.SIGNING)), [StartSigning(pending.request, order)]


def _fail(state: State, event: Failed) -> tuple[State, list[Effect]]:
    pending = state.pending.get(event.key)
    if pending is None:
        return state, []
    effects: list[Effect] = [TellPassed(pending.request)]
    refuse_ms = pending.seen_ms + REFUSE_AFTER_MS
    is_due = pending.refused_ms is None or event.now_ms >= pending.refused_ms + REFUSE_AGAIN_MS
    if event.code is not None and event.now_ms >= refuse_ms and is_due:
        leader = choose_order(state, pending)[0]
        effects.append(SendRefusal(pending.request, event.code, event.reason, leader))
        pending = replace(pending, refused_ms=event.now_ms)
    attempts = pending.attempts + (not event.is_lacking)
    if attempts >= ATTEMPTS_MAX:
        return _without(state, [event.key]), [*effects, GiveUp(pending.request, event.reason)]
    pause_ms = min(RETRY_MS_MIN << pending.failures, LACKING_MS_MAX if event.is_lacking else RETRY_MS_MAX)
    # Nobody else will find those who are missing: look once more before the caller is told.
    is_kept = event.code is not None and event.now_ms < refuse_ms
    failed = replace(
        pending,
        phase=Phase.STARTING,
        # A signature in hand stays with the one that has it.
        turn=pending.turn + (pending.signature is None and not is_kept),
        failures=pending.failures + 1,
        attempts=attempts,
        not_before_ms=refuse_ms if is_kept else event.now_ms + pause_ms,
    )
    return _with(state, failed), effects


def _pass(state: State, key: bytes, participant: int, now_ms: int) -> tuple[State, list[Effect]]:
    pending = state.pending.get(key)
    if pending is None or pending.phase is not Phase.WAITING:
        return state, []
    if choose_order(state, pending)[:1] != (participant,):
        return state, []
    return _take_turn(state, replace(pending, turn=pending.turn + 1), now_ms)


def _reach(state: State, now_ms: int) -> tuple[State, list[Effect]]:
    effects: list[Effect] = []
    for pending in list(state.pending.values()):
        leads_here = state.mine.issuperset(choose_order(state, pending)[:1])
        if pending.phase is Phase.WAITING and leads_here:
            state, started = _take_turn(state, pending, now_ms)
            effects += started
    return state, effects


def _tick(state: State, now_ms: int, height: int) -> tuple[State, list[Effect]]:
    lapsed = [p for p in state.pending.values() if p.request.block_height + LIFE_BLOCKS < height]
    state = _without(state, [pending.request.key for pending in lapsed])
    effects: list[Effect] = [GiveUp(pending.request, "nobody waits any more") for pending in lapsed]
    for pending in list(state.pending.values()):
        started: list[Effect] = []
        if pending.phase is Phase.STARTING and pending.not_before_ms <= now_ms:
            state, started = _take_turn(state, pending, now_ms)
        elif pending.phase is Phase.WAITING and pending.turn_until_ms <= now_ms:
            state, started = _take_turn(state, replace(pending, turn=pending.turn + 1), now_ms)
        effects += started
    return state, effects


def _with(state: State, pending: Pending) -> State:
    return replace(state, pending=MappingProxyType({**state.pending, pending.request.key: pending}))


def _without(state: State, keys: Sequence[bytes]) -> State:
    if not keys:
        return state
    kept = {key: pending for key, pending in state.pending.items() if key not in keys}
    return replace(state, pending=MappingProxyType(kept))
