"""The JSON-RPC server as a process of its own: ``python -m hither.rpc.process LINK LISTENER STATES…``.

The arguments are descriptors of open sockets, inherited from the node that started it: the link, the socket that
listens, and those for state reads. It reads blocks and outcomes from the node's database, opened for reading only,
asks the node for state and view calls, and gives it everything that changes the chain. It ends when the node
asks it to, or has gone.
"""

import asyncio
import gc
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec
import uvloop

from hither.chain.followed_chain import FollowedChain
from hither.chain.genesis import Genesis, GenesisConfig
from hither.chain.parameters import make_parameters
from hither.chain.rows import TABLES
from hither.chain.storage import ChainStorage
from hither.chain.stored_chain import PoolView
from hither.rpc.distant_control import DistantControl, WaitingTransactions
from hither.rpc.link import Answered, Close, Hello, Link, Message, Published, Ready, Submitted, WentBack
from hither.rpc.server import serve
from hither.state import StateClient, Store

VIEW_THREADS: Final = 6
STATE_SOCKETS: Final = VIEW_THREADS + 1
"""One for each thread that runs a long query, and one for the event loop, so that it never waits for those."""

COLLECTION_THRESHOLDS: Final = (50_000, 20, 50)
"""Python's own look for cycles a tenth of the time while requests are answered."""


class ServerProcess:
    """What happens between the link's first message and its last."""

    def __init__(self, listener: socket.socket, states: StateClient) -> None:
        self._listener = listener
        self._states = states
        self._ending = asyncio.Event()
        self._control: DistantControl | None = None
        self._serving: asyncio.Task[None] | None = None
        self.link = Link(self.handle, self.handle_end)

    def handle(self, message: Message) -> None:
        """A message of the node."""
        match message:
            case Hello():
                self._serving = asyncio.create_task(self._serve(message))
                self._serving.add_done_callback(lambda _: self._ending.set())
            case Close():
                self._ending.set()
            case Submitted() | Answered() | Published() | WentBack():
                assert self._control is not None, "the node says hello first"
                self._control.handle(message)

    def handle_end(self) -> None:
        """The node has gone."""
        if self._control is not None:
            self._control.handle_end()
        self._ending.set()

    async def run(self) -> None:
        """Until the end. Raises what the server raised."""
        await self._ending.wait()
        if self._serving is not None:
            await self._serving

    async def _serve(self, hello: Hello) -> None:
        genesis = Genesis(msgspec.json.decode(hello.genesis, type=GenesisConfig), [])
        parameters = make_parameters(genesis)
        store = Store(hello.data_path, tables=TABLES, read_only=True)
        waiting = WaitingTransactions()
        reader = FollowedChain(
            genesis,
            parameters,
            ChainStorage(store, parameters),
            hello.tip,
            self._states,
            PoolView(waiting.get, waiting.count),
            hello.validator,
        )
        control = DistantControl(reader, waiting, self.link, is_development=hello.is_development)
        self._control = control
        try:
            async with serve(reader, control, None, self._listener, hello.settings):
                self.link.send(Ready())
                await self._ending.wait()
        finally:
            store.close()


async def run(descriptors: list[int]) -> None:
    """Serve over these sockets."""
    link_descriptor, listener_descriptor, *state_descriptors = descriptors
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(VIEW_THREADS, thread_name_prefix="view"))
    listener = socket.socket(fileno=listener_descriptor)
    process = ServerProcess(listener, StateClient(state_descriptors))
    # What is there now stays. What comes and goes holds no cycles, so looking for them seldom is enough.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTION_THRESHOLDS)
    await loop.create_unix_connection(lambda: process.link, sock=socket.socket(fileno=link_descriptor))
    await process.run()
    process.link.close()


def main() -> None:
    """Run the program."""
    uvloop.run(run([int(argument) for argument in sys.argv[1:]]))


if __name__ == "__main__":
    main()
