"""A running chain: what a home directory holds, the thread that moves it, and the doors to it.

``Node.open`` reads the home, ``start`` begins to make blocks, ``stop`` ends with everything on
disk. ``reader`` answers questions from any thread; ``control`` belongs to the event loop.
"""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from hither.chain.application import AppliedBlock
from hither.chain.engine import ChainEngine
from hither.chain.genesis import Genesis
from hither.chain.genesis_block import make_genesis_chunks, make_genesis_head, make_genesis_tries
from hither.chain.head import ChainHead
from hither.chain.parameters import ChainParameters, Signers, make_parameters
from hither.chain.reader import BlockMode, GarbageCollectedBlock, UnknownBlock
from hither.chain.rows import TABLES, StorageError
from hither.chain.sequencer.embedded import BLOCK_TIME_MS
from hither.chain.storage import ChainStorage
from hither.chain.stored_chain import PoolView, StoredChain
from hither.crypto.signing import compute_public_key
from hither.node.chain_thread import ChainThread, start_sequencer
from hither.node.control import NodeControl
from hither.node.fork.fork import AccountCache, Fork
from hither.node.fork.pin import CACHE_FOLDER, read_pin
from hither.node.fork.remote import Remote, make_rpc
from hither.node.home import GENESIS_FILE, Home, HomeProblem, write_begun
from hither.primitives.state_record import InvalidStateRecord
from hither.primitives.transaction import SignedTransaction
from hither.primitives.types import AccountId, CryptoHash
from hither.state import StateDamaged, StateDesk, Store, StoreError, Trie
from hither.vm import Vm

CONTRACT_CACHE_FOLDER: Final = "contracts"
SWITCH_INTERVAL_S: Final = 0.0005
"""A thread that waits for the interpreter waits so long at most, not Python's 5 ms."""

COLLECTION_THRESHOLDS: Final = (50_000, 20, 50)
"""Python's own look for cycles a tenth of the time while transfers are processed."""

FOLLOWING_S_MAX: Final = 10
"""A process that reads along and does not answer for so long is not waited for any more."""

_GENESIS_DIGEST: Final = b"genesis.json"


class NodeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a node runs. ``clock_ns`` is the time of day.

    ``finality_block_time_ms``: the pace, in instant mode, of blocks that bring finality to nobody who waits.
    ``is_throwaway``: nobody opens the home again, so nothing waits for the disk (decision 0028).
    """

    mode: BlockMode = BlockMode.INSTANT
    interval_ms: int = BLOCK_TIME_MS
    finality_block_time_ms: int = 0
    is_archive: bool = False
    is_development: bool = True
    is_throwaway: bool = False
    clock_ns: Callable[[], int] = time.time_ns


class Node:
    """One chain of one home directory in this process."""

    def __init__(
        self,
        home: Home,
        options: NodeOptions,
        store: Store,
        engine: ChainEngine,
        genesis: Genesis,
        vm: Vm,
        threads: ThreadPoolExecutor | None,
    ) -> None:
        self.home = home
        self.vm = vm
        self._store = store
        self._threads = threads
        self._engine = engine
        key = home.validator_key
        self.reader = StoredChain(
            genesis,
            engine.parameters,
            engine.storage,
            engine.head,
            PoolView(self._get_waiting, self._count_waiting),
            (key.account_id, compute_public_key(key.secret_key)),
        )
        sequencer = start_sequencer(engine, options.mode.value, options.interval_ms, options.clock_ns())
        sequencer = msgspec.structs.replace(sequencer, finality_block_time_ms=options.finality_block_time_ms)
        self._thread = ChainThread(engine, sequencer, self._publish, options.clock_ns)
        self.control = NodeControl(self.reader, engine, self._thread, is_development=options.is_development)
        self.fork = self._open_fork(genesis)
        self.desk: StateDesk | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def _open_fork(self, genesis: Genesis) -> Fork | None:
        """None unless the home's chain is a fork. Raises HomeProblem."""
        pin = read_pin(self.home.path)
        if pin is None:
            return None
        begun = (record["Account"]["account_id"] for record in genesis.records if "Account" in record)
        own = frozenset(map(AccountId, (*begun, *pin.own)))
        cache = AccountCache(self.home.path / CACHE_FOLDER / pin.block_hash)
        fork = Fork(
            Remote(make_rpc(pin.url), pin),
            cache,
            own,
            self._engine.parameters.shard_layout,
            lambda: self.reader.head,
            self._thread.patch,
        )
        self._thread.plan = fork.plan
        self.control.fork = fork
        return fork

    @classmethod
    def open(cls, home: Home, options: NodeOptions | None = None) -> "Node":
        """Read the home, or begin its chain from genesis. Raises HomeProblem.

        The caller holds the home's lock.
        """
        options = options or NodeOptions()
        parameters = make_parameters(home.genesis)
        home.data_path.mkdir(parents=True, exist_ok=True)
        try:
            store = Store(str(home.data_path), tables=TABLES, throwaway=options.is_throwaway)
        except StoreError as error:
            raise HomeProblem(f"{home.data_path}: {error}") from error
        try:
            storage = ChainStorage(store, parameters)
            head = load_or_start(home, parameters, storage)
        except (OSError, StorageError, StateDamaged, InvalidStateRecord) as error:
            store.close()
            raise HomeProblem(f"{home.data_path}: {error}") from error
        cache = home.data_path / CONTRACT_CACHE_FOLDER
        cache.mkdir(exist_ok=True)
        vm = Vm(str(cache))
        signers = Signers({home.validator_key.account_id: home.validator_key.secret_key})
        shards = len(parameters.shard_layout.shard_ids)
        threads = ThreadPoolExecutor(shards, thread_name_prefix="shard") if shards > 1 else None
        engine = ChainEngine(parameters, storage, head, signers, vm, threads)
        engine.is_archive = options.is_archive or bool(home.config.get("archive"))
        return cls(home, options, store, engine, home.genesis, vm, threads)

    async def start(self) -> None:
        """Begin to make blocks."""
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        # What is there now stays. What comes and goes holds no cycles, so looking for them seldom is enough.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECTION_THRESHOLDS)
        self._loop = asyncio.get_running_loop()
        self.control.start(self._loop)
        if self.fork is not None:
            self.fork.start(self._loop)
        self._thread.start()

    async def stop(self) -> None:
        """End with everything on disk."""
        await asyncio.to_thread(self._thread.stop)
        if self.fork is not None:
            await self.fork.close()
        self.control.stop()
        if self._threads is not None:
            self._threads.shutdown()
        self._store.close()

    @property
    def failure(self) -> BaseException | None:
        """Why the chain stopped by itself, if it did."""
        return self._thread.failure

    def _get_waiting(self, transaction_hash: CryptoHash) -> SignedTransaction | None:
        return self.control.get_waiting(transaction_hash)

    def _count_waiting(self) -> int:
        return self.control.count_waiting()

    def _publish(self, head: ChainHead, blocks: Sequence[AppliedBlock], is_revert: bool) -> None:
        """In the chain's thread: show the new head, then tell the event loop.

        Before the chain goes back, readers in other processes must have gone back.
        """
        self.reader.publish(head, is_revert=is_revert)
        if self.desk is not None:
            if is_revert:
                self.desk.forget()
            self.desk.publish(head.hash, [shard.trie for shard in head.shards])
        assert self._loop is not None
        if self._loop.is_closed():
            return
        going_back = threading.Event() if is_revert else None
        self._loop.call_soon_threadsafe(self.control.handle_publication, head, blocks, going_back)
        if going_back is not None and self.control.is_observed:
            going_back.wait(FOLLOWING_S_MAX)

    def open_desk(self) -> StateDesk:
        """Where another process may ask about states. The newest are at hand."""

        def find(block_hash: bytes, shard_index: int) -> Trie | None:
            shard_id = self._engine.parameters.shard_layout.shard_ids[shard_index]
            try:
                return self.reader.get_trie(CryptoHash(block_hash), shard_id)
            except (UnknownBlock, GarbageCollectedBlock):
                return None

        self.desk = StateDesk(self.vm, find)
        return self.desk


def load_or_start(home: Home, parameters: ChainParameters, storage: ChainStorage) -> ChainHead:
    """The head of the stored chain, or genesis where there is none yet."""
    digest = bytes.fromhex(home.genesis_sha256[GENESIS_FILE])
    if storage.get_genesis_hash() is None:
        head = make_genesis_head(parameters, make_genesis_tries(home.genesis, parameters))
        storage.start(head, make_genesis_chunks(head), {_GENESIS_DIGEST: digest})
    elif storage.get_meta(_GENESIS_DIGEST) == digest:
        head = storage.load()
    else:
        raise StorageError(
            "the chain in it was begun with another genesis.json; remove the folder to begin anew"
        )
    write_begun(home)
    return head
