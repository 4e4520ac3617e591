"""What runs key ceremonies and signatures, whether its nodes share a process or talk over TLS. An interface."""

from collections.abc import Sequence
from typing import Protocol

from hither.mpc.contract import KeyEvent, NetworkView
from hither.mpc.engine import Request
from hither.mpc.requests import Answer
from hither.mpc.schemes import Domain

NO_STOCK = "no presignature is in stock"


class NotSigned(Exception):
    """No signature came of it; the message says why. Worth another try with other signers.

    ``code`` is the contract's word for it, where the caller should learn it before the request times out.
    """

    def __init__(self, reason: str, code: str | None = None) -> None:
        super().__init__(reason)
        self.code = code


class StockLacking(NotSigned):
    """Nothing was tried, since no presignature is in stock. More are made meanwhile."""

    def __init__(self, code: str | None = None) -> None:
        super().__init__(NO_STOCK, code)


def explain_missing(domain: Domain, there: int) -> NotSigned:
    """Too few signers are to be reached."""
    code = "RobustSetIncomplete" if domain.scheme.needs_all else "SignersUnavailable"
    return NotSigned(f"{domain.signer_count} signers are needed, and {there} are to be reached", code)


class KeyFailed(Exception):
    """An attempt at a key failed; the message says why."""


class Signers(Protocol):
    """The participants that run here, and their way to the others."""

    def get_mine(self, view: NetworkView) -> frozenset[int]:
        """Which of everyone run here."""
        ...

    def get_alive(self, height: int) -> frozenset[int]:
        """Who is to be reached and has read the chain about as far as this height."""
        ...

    def set_view(self, view: NetworkView) -> None:
        """The contract says this now. What belongs to no epoch in force any more is erased."""
        ...

    def has_shares(self, view: NetworkView) -> bool:
        """Whether every participant that runs here has its share of every key."""
        ...

    def find_key(self, event: KeyEvent, attempt_id: int, participant: int) -> bytes | None:
        """The public key of a share that an attempt left on disk before a restart."""
        ...

    async def make_key(self, view: NetworkView, event: KeyEvent, attempt_id: int) -> bytes:
        """Make or reshare a key; every share of ours is on disk on return. Returns the public key. Raises KeyFailed."""
        ...

    async def sign(self, request: Request, view: NetworkView, order: Sequence[int]) -> Answer:
        """Sign with the first in ``order`` leading. Raises NotSigned."""
        ...

    def note_request(self, request: Request) -> None:
        """The chain has this request: others may lead it."""
        ...

    def forget_requests(self) -> None:
        """The chain went back: what was asked before may never have been."""
        ...

    def tell_passed(self, request: Request) -> None:
        """An attempt led here failed; whoever is next need not wait."""
        ...
