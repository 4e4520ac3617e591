"""How much a producer takes into a chunk: as much as the chunks after it can execute.

No rule of the protocol. A chunk may take transactions whose receipts do not fit into the
ones after it; those are put off, each through the trie and back. It costs less to let transactions
wait in the pool. So a producer watches what became of those it took, and takes so many that the
next chunk is nearly full.
"""

from typing import Final

import msgspec

_FILLED: Final = (19, 20)
"""How full a chunk is meant to be: some room for what is not foreseen."""

_ROOM_MIN: Final = (1, 4)
"""What is taken even when receipts seem to fill the next chunk: the estimate may be wrong."""

_MEMORY: Final = (7, 8)
"""How much of what was seen still counts after one more chunk."""


class Intake(msgspec.Struct, frozen=True):
    """What one shard's chunks took and what it led to, recent ones counting most.

    ``taken`` is gas burnt by converting transactions, ``caused`` the compute of all that was done for them,
    ``waiting`` the compute that put-off receipts will need, ``last_taken`` what the newest chunk took.
    """

    taken: int = 0
    caused: int = 0
    waiting: int = 0
    last_taken: int = 0


def observe_chunk(intake: Intake, taken: int, done: int, receipts: int, delayed: int) -> Intake:
    """After a chunk that took so much, did so much work on so many receipts, and left so many put off."""
    waiting = delayed * done // max(1, receipts)
    if not taken and not done:
        return msgspec.structs.replace(intake, waiting=waiting, last_taken=0)
    caused = max(0, done + waiting - intake.waiting)
    kept, of = _MEMORY
    return Intake(intake.taken * kept // of + taken, intake.caused * kept // of + caused, waiting, taken)


def compute_gas_max(intake: Intake, compute_limit: int) -> int | None:
    """How much gas the next chunk's transactions may burn; None where nothing is known yet.

    What it takes is executed by the chunk after it, behind what is put off now and what the newest chunk took.
    """
    if not intake.taken or not intake.caused:
        return None
    (filled, of), (least, of_least) = _FILLED, _ROOM_MIN
    coming = intake.waiting + intake.last_taken * intake.caused // intake.taken
    room = compute_limit * filled // of - max(0, coming - compute_limit)
    return max(room, compute_limit * least // of_least) * intake.taken // intake.caused + 1
