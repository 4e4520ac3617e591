"""A node with its server, in a thread of this process, for tests that ask over a socket."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from hither.chain.genesis import DevelopmentOptions, derive_development_key
from hither.client import AsyncClient, Client, Signer
from hither.node.home import init_home, read_home
from hither.node.node import Node, NodeOptions
from hither.node.server_process import ServerProcess
from hither.rpc.context import RpcSettings
from hither.rpc.server import RpcServer, bind, serve

T = TypeVar("T")
START_S_MAX = 30

both_ways: dict[str, Any] = {"params": [False, True], "ids": ["one process", "two processes"]}
"""For a fixture: its ``request.param`` says whether the server is apart."""


class RunningNode:
    """A node, its server, and the loop in which both live; or the server ``apart``, in a process of its own."""

    def __init__(self, home: Path, options: NodeOptions, settings: RpcSettings, *, is_apart: bool) -> None:
        self.node: Node
        self.server: RpcServer
        self.apart: ServerProcess | None = None
        self._is_apart = is_apart
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._is_ready = threading.Event()
        self._is_serving = False
        self._thread = threading.Thread(target=self._run, args=(home, options, settings), daemon=True)
        self._thread.start()
        assert self._is_ready.wait(START_S_MAX) and self._is_serving, "the node does not start"
        self.address = self.server.address if self.apart is None else self.apart.address
        self.url = f"http://{self.address}"
        self.http = httpx.Client(base_url=self.url, timeout=30)

    def _run(self, home: Path, options: NodeOptions, settings: RpcSettings) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve(home, options, settings))
            finally:
                self._is_ready.set()

    async def _serve(self, home: Path, options: NodeOptions, settings: RpcSettings) -> None:
        self.node = node = Node.open(read_home(home), options)
        await node.start()
        listener = bind("127.0.0.1", 0)
        if self._is_apart:
            self.apart = ServerProcess.spawn(listener, home)
            await self.apart.attach(node, settings)
            await self._live()
            await self.apart.close()
        else:
            async with serve(node.reader, node.control, node.vm, listener, settings) as self.server:
                await self._live()
        await node.stop()

    async def _live(self) -> None:
        self._is_serving = True
        self._is_ready.set()
        await self._ending.wait()

    def run(self, task: Coroutine[Any, Any, T]) -> T:
        """Do something in the loop of the node."""
        return asyncio.run_coroutine_threadsafe(task, self._loop).result(START_S_MAX)

    def ask(self, method: str, params: Any = None) -> Any:
        """The whole answer to a request."""
        body = {"jsonrpc": "2.0", "id": "1", "method": method, "params": params}
        return self.http.post("/", json=body).json()

    def must(self, method: str, params: Any = None) -> Any:
        """The result of a request."""
        answer = self.ask(method, params)
        assert "result" in answer, answer
        return answer["result"]

    def get_signer(self, account_id: str = "alice.near") -> Signer:
        """A funded account's."""
        return Signer(account_id, derive_development_key(account_id))

    def connect(self, account_id: str = "alice.near") -> Client:
        """A client that signs for a funded account."""
        return Client(self.url, signer=self.get_signer(account_id))

    def connect_async(self, account_id: str = "alice.near") -> AsyncClient:
        """The same, asynchronous."""
        return AsyncClient(self.url, signer=self.get_signer(account_id))

    def begin_end(self) -> None:
        """Ask the server to close and the node to stop."""
        self._loop.call_soon_threadsafe(self._ending.set)

    def end(self) -> None:
        """Close the server, stop the node."""
        self.http.close()
        if self._thread.is_alive():
            self.begin_end()
        self.join()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join(START_S_MAX)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def run_node(
    home: Path,
    *,
    options: NodeOptions | None = None,
    settings: RpcSettings | None = None,
    is_apart: bool = False,
    **genesis: Any,
) -> Iterator[RunningNode]:
    """A development chain for the length of a block; ``genesis`` as for ``DevelopmentOptions``."""
    init_home(home, DevelopmentOptions(**genesis), time.time_ns())
    running = RunningNode(home, options or NodeOptions(), settings or RpcSettings(), is_apart=is_apart)
    try:
        yield running
    finally:
        running.end()
