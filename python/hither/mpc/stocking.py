"""Leading the making of stock: a job at a time, wherever some is lacking and the signers are there.

A job that does not end soon is left to its time: somebody in it is slow or silent, and the next begins beside it, with
none of its members.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final

from hither.mpc.channels import JobFailed
from hither.mpc.contract import Key, NetworkView
from hither.mpc.doubts import Doubts

logger = logging.getLogger(__name__)

RETRY_S: Final = 2.0
PATIENCE_S: Final = 3.0
"""After so long with one making of stock, the next begins beside it."""

Lacking = tuple[int, int, tuple[int, ...]]
"""How much there is, of which domain, with which signers."""
Lead = Callable[[NetworkView, Key, tuple[int, ...]], Awaitable[None]]


class StockMaker:
    """One node's jobs that make stock. ``lead`` runs one of them, and raises JobFailed."""

    def __init__(self, me: int, doubts: Doubts, lead: Lead, count: Callable[[str], None]) -> None:
        self._me = me
        self._doubts = doubts
        self._lead = lead
        self._count = count
        self._retry_s: dict[tuple[int, tuple[int, ...]], float] = {}
        self._late: dict[asyncio.Task[None], frozenset[int]] = {}

    async def make(self, view: NetworkView, connected: Collection[int], lacking: Collection[Lacking]) -> bool:
        """Lead the job that is needed most. False if there is none now."""
        for task in [task for task in self._late if task.done()]:
            del self._late[task]
            task.result()
        there = {self._me, *connected}.difference(*self._late.values())
        chosen = self._choose(there, lacking)
        if chosen is None:
            return False
        domain_id, signers = chosen
        making = asyncio.create_task(self._try(view, view.keys[domain_id], signers))
        self._late[making] = frozenset(signers) - {self._me}
        await asyncio.wait({making}, timeout=PATIENCE_S)
        return True

    def _choose(self, there: set[int], lacking: Iterable[Lacking]) -> tuple[int, tuple[int, ...]] | None:
        """The scarcest that can be made now, with those first who do not fail."""
        now_s = time.monotonic()
        found = [
            (max(map(self._doubts.count, signers)), count, domain_id, signers)
            for count, domain_id, signers in lacking
            if there.issuperset(signers) and self._retry_s.get((domain_id, signers), 0) <= now_s
        ]
        if not found:
            return None
        *_, domain_id, signers = min(found)
        return domain_id, signers

    async def _try(self, view: NetworkView, key: Key, signers: tuple[int, ...]) -> None:
        try:
            await self._lead(view, key, signers)
        except JobFailed as error:
            self._count("stock jobs failed")
            logger.info("no stock of %s was made: %s", signers, error)
            self._retry_s[key.domain.id, signers] = time.monotonic() + RETRY_S

    async def end(self) -> None:
        """Leave what is under way."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
