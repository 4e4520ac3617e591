"""Which request is signed when, by whom, and what happens when that fails. Pure.

``step`` folds one event into the state and says what to do. The clock is part of the events. Every node orders the
participants the same way for a request, so they agree about its leader without asking: the leader brings the
signers together and answers the contract; after a failure the next in the order leads.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

from hither.mpc.requests import Signature, SignatureRequest

ATTEMPTS_MAX = 10
LIFE_BLOCKS = 200
"""A yield lives so long; afterwards nobody waits for the answer."""
RETRY_MS_MIN = 50
RETRY_MS_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Request:
    """A request that waits on chain.

    ``id`` is its first yield; ``entropy`` the random value of the block it came in.
    """

    id: bytes
    request: SignatureRequest
    entropy: bytes
    block_height: int


class Phase(Enum):
    """What a request waits for."""

    STARTING = "starting"
    SIGNING = "signing"
    RESPONDING = "responding"


@dataclass(frozen=True, slots=True)
class Pending:
    """A request under way. ``attempt`` counts failures; ``not_before_ms`` delays the next try."""

    request: Request
    phase: Phase = Phase.STARTING
    attempt: int = 0
    not_before_ms: int = 0
    signature: Signature | None = None


@dataclass(frozen=True, slots=True)
class State:
    """All that the engine remembers."""

    participants: tuple[int, ...]
    pending: Mapping[bytes, Pending] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Seen:
    """A request came in with a block."""

    request: Request
    now_ms: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The contract no longer waits for this: it was answered, or timed out, or its block was reverted."""

    request: SignatureRequest


@dataclass(frozen=True, slots=True)
class Signed:
    """The signers have the signature."""

    id: bytes
    signature: Signature


@dataclass(frozen=True, slots=True)
class Failed:
    """Signing or responding did not work."""

    id: bytes
    reason: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time and the chain have moved on."""

    now_ms: int
    height: int


Event = Seen | Gone | Signed | Failed | Tick


@dataclass(frozen=True, slots=True)
class StartSigning:
    """Bring signers together, the leader first in ``order``."""

    request: Request
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SendResponse:
    """The leader answers the contract."""

    request: Request
    signature: Signature
    leader: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nobody will try again; the caller learns it by the time-out of its yield."""

    request: Request
    reason: str


Effect = StartSigning | SendResponse | GiveUp


def order_participants(participants: Sequence[int], request_id: bytes) -> tuple[int, ...]:
    """Participants by SHA-256 of (number, request id), read as a number from its first 8 bytes."""

    def rank(participant: int) -> tuple[int, int]:
        digest = hashlib.sha256(participant.to_bytes(4, "little") + request_id).digest()
        return int.from_bytes(digest[:8], "little"), participant

    return tuple(sorted(participants, key=rank))


def choose_order(state: State, pending: Pending) -> tuple[int, ...]:
    """The order of an attempt: each failure makes the next participant the leader."""
    order = order_participants(state.participants, pending.request.id)
    turn = pending.attempt % len(order)
    return order[turn:] + order[:turn]


def step(state: State, event: Event) -> tuple[State, list[Effect]]:
    """Fold one event into the state; the caller performs the effects."""
    match event:
        case Seen(request, now_ms):
            if request.id in state.pending:
                return state, []
            pending = Pending(request, not_before_ms=now_ms)
            return _start(state, pending)
        case Gone(request):
            answered = [id_ for id_, pending in state.pending.items() if pending.request.request == request]
            return _without(state, answered), []
        case Signed(id_, signature):
            return _respond(state, id_, signature)
        case Failed(id_, reason, now_ms):
            return _fail(state, id_, reason, now_ms)
        case Tick(now_ms, height):
            return _tick(state, now_ms, height)


def _start(state: State, pending: Pending) -> tuple[State, list[Effect]]:
    if pending.signature is not None:
        leader = choose_order(state, pending)[0]
        effect: Effect = SendResponse(pending.request, pending.signature, leader)
        return _with(state, replace(pending, phase=Phase.RESPONDING)), [effect]
    started = replace(pending, phase=Phase.SIGNING)
    return _with(state, started), [StartSigning(pending.request, choose_order(state, pending))]


def _respond(state: State, id_: bytes, signature: Signature) -> tuple[State, list[Effect]]:
    pending = state.pending.get(id_)
    if pending is None or pending.phase is not Phase.SIGNING:
        return state, []  # Answered meanwhile.
    return _start(state, replace(pending, signature=signature))


def _fail(state: State, id_: bytes, reason: str, now_ms: int) -> tuple[State, list[Effect]]:
    pending = state.pending.get(id_)
    if pending is None:
        return state, []
    if pending.attempt + 1 >= ATTEMPTS_MAX:
        return _without(state, [id_]), [GiveUp(pending.request, reason)]
    pause_ms = min(RETRY_MS_MIN << pending.attempt, RETRY_MS_MAX)
    waiting = replace(
        pending, phase=Phase.STARTING, attempt=pending.attempt + 1, not_before_ms=now_ms + pause_ms
    )
    return _with(state, waiting), []


def _tick(state: State, now_ms: int, height: int) -> tuple[State, list[Effect]]:
    lapsed = [p for p in state.pending.values() if p.request.block_height + LIFE_BLOCKS < height]
    state = _without(state, [pending.request.id for pending in lapsed])
    effects: list[Effect] = [GiveUp(pending.request, "nobody waits any more") for pending in lapsed]
    for pending in list(state.pending.values()):
        if pending.phase is Phase.STARTING and pending.not_before_ms <= now_ms:
            state, started = _start(state, pending)
            effects += started
    return state, effects


def _with(state: State, pending: Pending) -> State:
    return replace(state, pending=MappingProxyType({**state.pending, pending.request.id: pending}))


def _without(state: State, ids: Sequence[bytes]) -> State:
    if not ids:
        return state
    kept = {id_: pending for id_, pending in state.pending.items() if id_ not in ids}
    return replace(state, pending=MappingProxyType(kept))
