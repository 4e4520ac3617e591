"""A fork at work: whoever needs an account that is not known waits here until its copy is in the state.

``bring`` belongs to the event loop and is for what can be refused: queries, transactions. ``plan`` is called by
the chain's thread after each block, for receipts, which cannot: a shard with receipts to accounts that are not
known has no chunk until they are, and other shards go on. When the remote does not answer after all attempts,
those receipts are processed as if the account did not exist, which is logged and not remembered.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import msgspec

from hither.chain.engine import StatePatch
from hither.chain.fork import list_awaited, list_missing
from hither.chain.head import ChainHead
from hither.chain.reader import ControlRefused
from hither.node.fork.accounts import AccountCopy, make_writes, validate_copy
from hither.node.fork.errors import ForkProblem
from hither.node.fork.remote import REQUESTS_AT_ONCE, Remote
from hither.primitives.ids import is_valid_account_id
from hither.primitives.sharding import ShardLayout
from hither.primitives.types import AccountId, ShardId
from hither.state import Trie
from hither.state.keys import GLOBAL_CONTRACT_CODE

logger = logging.getLogger(__name__)

Patch = Callable[[Mapping[ShardId, StatePatch]], "Future[None]"]
"""Write into the state with the next block; done when that is published."""


class AccountCache:
    """Copies on disk, one file an account. What cannot be read is as if it were not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, account_id: AccountId) -> AccountCopy | None:
        """The copy, if it is whole."""
        try:
            copy = msgspec.json.decode(self._get_path(account_id).read_bytes(), type=AccountCopy)
            validate_copy(copy)
        except (FileNotFoundError, ValueError):
            return None
        return copy if copy.account_id == account_id else None

    def put(self, copy: AccountCopy) -> None:
        """All of it or nothing."""
        path = self._get_path(copy.account_id)
        temporary = path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(copy))
        temporary.replace(path)

    def _get_path(self, account_id: AccountId) -> Path:
        # Account ids hold no separators of paths; the suffix keeps those with a dot apart from files beside them.
        assert is_valid_account_id(account_id)
        return self._folder / f"{account_id}.json"


class Fork:
    """``own`` are the accounts that the chain began with: they are ours, whatever the remote has under their names."""

    def __init__(
        self,
        remote: Remote,
        cache: AccountCache,
        own: frozenset[AccountId],
        layout: ShardLayout,
        get_head: Callable[[], ChainHead],
        patch: Patch,
    ) -> None:
        self._remote = remote
        self._cache = cache
        self._own = own
        self._layout = layout
        self._get_head = get_head
        self._patch = patch
        self._asking = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._copying: dict[AccountId, asyncio.Task[None]] = {}
        self._awaiting: dict[AccountId, asyncio.Task[None]] = {}
        self._given_up: set[AccountId] = set()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Belong to this loop from now on."""
        self._loop = loop

    async def close(self) -> None:
        """Nobody waits any more."""
        tasks = [*self._copying.values(), *self._awaiting.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._remote.close()

    # For those who can be refused

    async def bring(self, account_ids: Iterable[AccountId]) -> None:
        """Copy those that are not known; visible when this returns. Raises ForkProblem, ControlRefused."""
        valid = [account_id for account_id in account_ids if is_valid_account_id(account_id)]
        missing = [name for name in list_missing(valid, self._get_state) if name not in self._own]
        for account_id in missing:
            if account_id not in self._copying:
                task = asyncio.create_task(self._copy(account_id))
                self._copying[account_id] = task
                task.add_done_callback(partial(_forget, self._copying, account_id))
        # Whoever asked may go away; others may wait for the same.
        waiting = [asyncio.shield(self._copying[account_id]) for account_id in missing]
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    def _get_state(self, account_id: AccountId) -> Trie:
        return self._get_head().get_shard(self._layout.get_shard_id(account_id)).trie

    async def _copy(self, account_id: AccountId) -> None:
        copy = self._cache.get(account_id)
        if copy is None:
            async with self._asking:
                copy = await self._remote.fetch_account(account_id)
            self._keep(copy)
        await asyncio.wrap_future(self._patch(self._make_patches(copy)))

    def _keep(self, copy: AccountCopy) -> None:
        """On disk. Where that fails the remote is asked again another time."""
        try:
            self._cache.put(copy)
        except OSError as error:
            logger.warning("the copy of %s is not kept: %s", copy.account_id, error)

    def _make_patches(self, copy: AccountCopy) -> dict[ShardId, StatePatch]:
        """A global contract that is published here already stays as it is."""
        head = self._get_head()
        return {
            shard_id: tuple(
                (key, value)
                for key, value in writes
                if key[0] != GLOBAL_CONTRACT_CODE or head.get_shard(shard_id).trie.get(key) is None
            )
            for shard_id, writes in make_writes(copy, self._layout).items()
        }

    # For receipts

    def plan(self, head: ChainHead) -> frozenset[ShardId]:
        """In the chain's thread: the shards that have to wait. What they wait for is asked for."""
        awaited = list_awaited(head, self._layout)
        with self._lock:
            self._given_up &= {account_id for account_ids in awaited.values() for account_id in account_ids}
            passed = self._given_up | self._own
        held = set()
        for shard_id, account_ids in awaited.items():
            missing = [account_id for account_id in account_ids if account_id not in passed]
            if missing:
                held.add(shard_id)
                if self._loop is not None and not self._loop.is_closed():
                    self._loop.call_soon_threadsafe(self._await_all, missing)
        return frozenset(held)

    def _await_all(self, account_ids: list[AccountId]) -> None:
        for account_id in account_ids:
            if account_id not in self._awaiting:
                task = asyncio.create_task(self._bring_or_give_up(account_id))
                self._awaiting[account_id] = task
                task.add_done_callback(partial(_forget, self._awaiting, account_id))

    async def _bring_or_give_up(self, account_id: AccountId) -> None:
        try:
            await self.bring([account_id])
        except ControlRefused:
            return  # The chain went back or has stopped; if the receipt is still there, it is asked for again.
        except ForkProblem as problem:
            logger.warning("a receipt to %s is processed as if it did not exist: %s", account_id, problem)
            with self._lock:
                self._given_up.add(account_id)


def _forget(tasks: dict[AccountId, asyncio.Task[None]], account_id: AccountId, _: asyncio.Task[None]) -> None:
    del tasks[account_id]
