"""Chains for development: real engines, started and stopped with the program that uses them.

An engine listens on loopback alone, ends with its parent however that ends, and says nothing before it is ready.
"""

from typing import Protocol

from hither.foreign.caip import ChainId


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

    async def stop(self) -> None:
        """End it and wait until it has ended. A second call does nothing."""
        ...
