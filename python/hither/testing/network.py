"""A node in this process, for the length of a test.

::

    with LocalNetwork(shards=3) as network, network.connect("alice.near") as client:
        client.transfer("bob.near", "1 N")

Chain and server run on a thread of their own. The home directory is temporary unless one is given; what is written
into a temporary one waits for no disk.
"""

import asyncio
import contextlib
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType

from hither.chain.genesis import DEVELOPMENT_BOUNDARIES, DevelopmentOptions, derive_development_key
from hither.chain.reader import BlockMode
from hither.client import Client, Signer
from hither.node.home import init_home, lock_home, read_home
from hither.node.node import Node, NodeOptions
from hither.params import DEFAULT_PROTOCOL_VERSION
from hither.rpc.server import bind, serve

READY_S_MAX = 60
# Three shards are those of `hither up`; more or fewer are rarely what a test is about.
BOUNDARIES: dict[int, tuple[str, ...]] = {1: (), 2: ("m0",), 3: DEVELOPMENT_BOUNDARIES}


class LocalNetwork:
    """A development chain with its JSON-RPC server. ``url`` is its address."""

    def __init__(
        self,
        *,
        shards: int = 1,
        protocol_version: int = DEFAULT_PROTOCOL_VERSION,
        mode: BlockMode = BlockMode.INSTANT,
        home: Path | None = None,
    ) -> None:
        self.options = DevelopmentOptions(
            protocol_version=protocol_version, boundary_accounts=BOUNDARIES[shards]
        )
        self.mode = mode
        self.url = ""
        self._home = home
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)

    def __enter__(self) -> "LocalNetwork":
        self._thread.start()
        if not self._ready.wait(READY_S_MAX):
            raise TimeoutError(f"the network was not ready after {READY_S_MAX} s")
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._loop is not None and self._ending is not None:
            with contextlib.suppress(RuntimeError):  # The loop has ended by itself.
                self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(READY_S_MAX)
        if kind is None and self._failure is not None:
            raise self._failure

    def make_signer(self, account_id: str) -> Signer:
        """A signer for one of the funded accounts."""
        return Signer(account_id, derive_development_key(account_id))

    def connect(self, account_id: str) -> Client:
        """A client that signs for one of the funded accounts."""
        return Client(self.url, signer=self.make_signer(account_id))

    def _run(self) -> None:
        try:
            with contextlib.ExitStack() as stack:
                home = self._home or Path(stack.enter_context(tempfile.TemporaryDirectory()))
                stack.enter_context(lock_home(home))
                init_home(home, self.options, time.time_ns())
                asyncio.run(self._serve(home))
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._ready.set()

    async def _serve(self, home: Path) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        options = NodeOptions(mode=self.mode, is_throwaway=self._home is None)
        node = Node.open(read_home(home), options)
        await node.start()
        try:
            async with serve(node.reader, node.control, node.vm, bind("127.0.0.1", 0)) as server:
                self.url = f"http://{server.address}"
                self._ready.set()
                while not self._ending.is_set() and node.failure is None:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._ending.wait(), 0.5)
        finally:
            await node.stop()
        if node.failure is not None:
            raise node.failure
