"""With whom a leader signs, and how long it waits for those who cannot be done without. Pure."""

import itertools
from collections.abc import Callable, Collection, Iterable
from typing import Final

from hither.mpc.engine import EXACT_TURN_MS
from hither.mpc.schemes import Domain
from hither.mpc.signers import StockLacking, explain_missing

EXACT_S_MAX: Final = 1.5
"""From seeing a request until its leader says that one of those who are all needed does not answer."""
EXACT_FOLLOWED_S_MAX: Final = 2 * EXACT_S_MAX
"""Who follows does not give up first: it is for the leader to tell the caller."""


def count_exact_seconds(waited_s: float) -> float:
    """How long a leader waits where all are needed: what is left of the time, or what the second in turn has."""
    return max(EXACT_S_MAX - EXACT_TURN_MS / 1e3, EXACT_S_MAX - waited_s)


def list_signer_choices(
    domain: Domain,
    me: int,
    there: Iterable[int],
    silent: Collection[int] = (),
    count_doubts: Callable[[int], int] = lambda _: 0,
) -> list[tuple[int, ...]]:
    """Signer sets with this node, the best first. Raises NotSigned when there are too few for one.

    Where nobody can be done without, nothing is spent on who is silent just now; elsewhere that one comes last, as
    does who was part of jobs that failed.
    """
    out = {me} | (set(silent) if domain.scheme.needs_all else set())
    others = sorted(
        (participant for participant in there if participant not in out),
        key=lambda participant: (participant in silent, count_doubts(participant)),
    )
    sets = [tuple(sorted((me, *rest))) for rest in itertools.combinations(others, domain.signer_count - 1)]
    if not sets:
        raise explain_missing(domain, len(others) + 1)
    return sets


def explain_no_stock(
    domain: Domain, sets: Iterable[tuple[int, ...]], count_doubts: Callable[[int], int]
) -> StockLacking:
    """There is none for these sets.

    It is made again soon; but where each set has somebody who let jobs fail, and nobody can be done without, it was
    spent on that one, and the caller is told.
    """
    is_missing = domain.scheme.needs_all and all(any(map(count_doubts, signers)) for signers in sets)
    return StockLacking("RobustSetIncomplete" if is_missing else None)
