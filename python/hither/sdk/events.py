"""What happens to a transfer, as it happens."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from hither.foreign.caip import ChainId


class Step(Enum):
    """How far a transfer is. The values are those of the journal."""

    INTENDED = "intended"
    BUILT = "built"
    ASKED = "asked"
    SIGNED = "signed"
    READY = "ready"
    BROADCAST = "broadcast"
    BUMPED = "bumped"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Event:
    """One step. As text it is a line for a person."""

    transfer_id: str
    chain: ChainId
    step: Step
    text: str

    def __str__(self) -> str:
        return f"{self.chain}: {self.text}"


Progress = Callable[[Event], None]


def say_nothing(_event: Event) -> None:
    """Progress for nobody."""
