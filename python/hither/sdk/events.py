"""What happens to a transfer, as it happens."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from hither.foreign.caip import ChainId


class Step(Enum):
    """How far a transfer is. The values are those of the journal; each is on disk before the next can begin."""

    INTENDED = "intended"
    """What is wanted is written down; on our own chain, it is about to be signed."""
    BUILT = "built"
    """The bytes to be signed are there, with their nonce, coins or blockhash; the text says what they do."""
    ASKED = "asked"
    """A signature was asked for on our chain, which the text names by its transaction; once for each signature."""
    SIGNED = "signed"
    """A signature came, and holds under the derived key."""
    READY = "ready"
    """Signed whole and checked; the id is known, and nothing was sent yet."""
    BROADCAST = "broadcast"
    """An endpoint of the chain took it."""
    BUMPED = "bumped"
    """Bytes with a higher fee are there, for the place of those that wait."""
    FINAL = "final"
    """No block takes it back by the chain's own rules, or so many confirmations as its endpoint asks for."""


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a transfer, for whoever passed ``progress``. As text it is a line for a person.

    Told in the task that sends, so what it calls should be quick; after a crash the steps that were taken are not told
    again, but one ``Event`` with the step that it goes on after.
    """

    transfer_id: str
    """As ``bump`` and ``hither transfers`` take it."""
    chain: ChainId
    """Where."""
    step: Step
    """How far it is now."""
    text: str
    """The same for a person, without the chain's name."""

    def __str__(self) -> str:
        return f"{self.chain}: {self.text}"


Progress = Callable[[Event], None]


def say_nothing(_event: Event) -> None:
    """Progress for nobody."""
