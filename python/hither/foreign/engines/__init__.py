"""Chains for development: real engines, started and stopped with the program that uses them.

An engine listens on loopback alone, ends with its parent however that ends, and says nothing before it is ready.
Each has a start function (``start_anvil``, ``start_bitcoin``, ``start_solana``) that takes the folder which keeps its
chain, begins where that folder's last run ended, and returns an ``Engine``.

What a folder promises: a transaction whose inclusion a client was told of is there after a stop of any kind, the end of
the process by SIGKILL included, with its block, balances, nonces and history; so are snapshots. ``persist`` waits for
what the engine writes in the background. To forget everything, remove the folder before the start.
"""

from typing import Protocol

from hither.foreign.caip import ChainId
from hither.foreign.errors import EngineError


class UnknownSnapshot(EngineError):
    """There is no snapshot of that name; it may have been used."""

    code = "UNKNOWN_SNAPSHOT"
    hint = "take a new snapshot: one is used up by going back to it"


class Engine(Protocol):
    """A running development chain."""

    @property
    def chain(self) -> ChainId:
        """Which chain it plays."""
        ...

    @property
    def url(self) -> str:
        """Where it answers."""
        ...

    @property
    def process_id(self) -> int:
        """The process that it runs in."""
        ...

    async def is_healthy(self) -> bool:
        """Whether it answers, and as this chain."""
        ...

    async def fund(self, address: str, amount: int) -> str:
        """Send development coins (smallest unit); returns the transaction's id once it is included."""
        ...

    async def mine(self, blocks: int = 1) -> None:
        """Make blocks at once."""
        ...

    async def hold(self) -> None:
        """Take up no request and answer nobody until ``release``: nothing here can lead to anything elsewhere."""
        ...

    async def release(self) -> None:
        """Go on; no error when nothing is held."""
        ...

    async def snapshot(self, name: str) -> None:
        """Remember the present under a name (letters and digits, the caller's), over a stop of any kind too.

        One name covers several engines and our chain, which together are one snapshot. A name that is there
        already is replaced.
        """
        ...

    async def revert(self, name: str) -> None:
        """Go back: tip, balances, nonces, history and pool are those of the snapshot.

        It and all later ones are used up. What came after it does not return with the next start. Raises
        ``UnknownSnapshot``, and has changed nothing then.
        """
        ...

    async def persist(self) -> None:
        """Wait until the folder holds the present, whatever ends the process afterwards."""
        ...

    async def stop(self) -> None:
        """End it and wait until it has ended; the folder keeps the chain. A second call does nothing."""
        ...
