"""What keeps an anvil's chain over a stop of any kind: its state now and then, and the transactions since.

anvil writes its state only when asked. So after each block its raw transactions are appended to a journal, before
any client is told of it (``anvil_relay``), and once the chain has been quiet for a moment, or busy for long, the
whole state is written and the journal begins anew. A start loads the state and replays the journal: block by block,
at the blocks' own times.

What was changed by anvil's own methods (balances set, accounts impersonated) is in the state, not in the journal: a
SIGKILL before the next state is written loses it. Replayed blocks have the transactions, numbers and times of the
first ones, but other hashes, as anvil draws a random number for each.
"""

import asyncio
import contextlib
import gzip
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from hither.foreign.engines.journal import Journal
from hither.foreign.engines.ports import LOOPBACK
from hither.foreign.errors import EndpointError, EngineError, TransportError
from hither.foreign.evm_rpc import read_bytes, read_quantity
from hither.foreign.transport import JsonRpc

QUIET_SECONDS: Final = 1.0
BUSY_SECONDS_MAX: Final = 10.0
ENTRY_BYTES_MAX: Final = 64 * 1024 * 1024
_CONTENT_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_MARK: Final = b"anv1"
_BEST_BLOCK: Final = "best_block_number"


class Block(msgspec.Struct, frozen=True, gc=False):
    """One block of the journal."""

    height: int
    timestamp: int
    raws: tuple[bytes, ...]


class _Head(msgspec.Struct, frozen=True, gc=False):
    number: str
    hash: str


class _HeadAnswer(msgspec.Struct, frozen=True, gc=False):
    result: _Head


class HeadReader:
    """Asks anvil for its newest block over one connection: a tenth of what a whole HTTP client takes.

    It is asked before each answer to a client goes out.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        call = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", False]}
        body = msgspec.json.encode(call)
        head = f"POST / HTTP/1.1\r\nhost: {LOOPBACK}\r\ncontent-type: application/json\r\n"
        self._request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body

    async def fetch(self) -> tuple[int, str]:
        """Height and hash. One call at a time. Raises ``TransportError``."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(LOOPBACK, self._port)
            reader, writer = self._streams
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            size = _CONTENT_LENGTH.search(head)
            if size is None:
                raise TransportError("anvil does not say how long its answer is")
            body = await reader.readexactly(int(size[1]))
            found = msgspec.json.decode(body, type=_HeadAnswer).result
            return read_quantity(found.number), found.hash
        except (OSError, asyncio.IncompleteReadError, msgspec.DecodeError) as error:
            self.close()
            raise TransportError(f"anvil at port {self._port} is gone: {type(error).__name__}") from error
        except asyncio.CancelledError:
            self.close()  # An answer that nobody read would be taken for the next one's.
            raise

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class AnvilKeeper:
    """Keeps one chain in a folder. ``state_path`` is what a start loads."""

    def __init__(self, folder: Path, rpc: JsonRpc, port: int) -> None:
        self.state_path = folder / "state.json"
        self._rpc = rpc
        self._head = HeadReader(port)
        self._journal = Journal(folder / "blocks", _MARK, entry_bytes_max=ENTRY_BYTES_MAX)
        self._kept_height = 0
        self._kept_hash: str | None = None
        self._changed_at: float | None = None
        self._dirty_since: float | None = None
        self._turn = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._last_look: asyncio.Task[None] | None = None
        self._next_look: asyncio.Task[None] | None = None

    async def restore(self) -> int:
        """Replay what the journal has beyond the loaded state; how many blocks that were."""
        self._kept_height = read_quantity(await self._rpc.call("eth_blockNumber"))
        self._kept_hash = await self._fetch_kept_hash()
        entries = (msgspec.msgpack.decode(entry, type=Block) for entry in self._journal.read())
        blocks = [block for block in entries if block.height > self._kept_height]
        if not blocks:
            return 0
        await self._rpc.call("evm_setAutomine", [False])
        for block in blocks:
            await self._replay(block)
        await self._rpc.call("evm_setAutomine", [True])
        await self._rpc.call("evm_setTime", [hex(max(int(time.time()), blocks[-1].timestamp))])
        await self.write_state()
        return len(blocks)

    async def _replay(self, block: Block) -> None:
        if block.height != self._kept_height + 1:
            raise EngineError(f"the journal of {self._rpc.host} lacks block {self._kept_height + 1}")
        for raw in block.raws:
            # One that an impersonated account sent has no signature, and cannot be sent again.
            with contextlib.suppress(EndpointError):
                await self._rpc.call("eth_sendRawTransaction", ["0x" + raw.hex()])
        # Its clock says now; a block before that would be refused.
        await self._rpc.call("evm_setTime", [hex(block.timestamp)])
        await self._rpc.call("evm_setNextBlockTimestamp", [hex(block.timestamp)])
        await self._rpc.call("evm_mine", is_repeatable=False)
        self._kept_height = block.height

    async def watch(self, url: str) -> None:
        """From now on keep what happens. Returns once nothing can be missed."""
        is_watching = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._follow(url, is_watching)),
            asyncio.create_task(self._write_states()),
        ]
        await is_watching.wait()

    async def _follow(self, url: str, is_watching: asyncio.Event) -> None:
        """Append each block as soon as anvil tells of it; ends with anvil, not with a connection."""
        request = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
        try:
            while True:
                with contextlib.suppress(ConnectionClosed):
                    async with connect(url, max_size=ENTRY_BYTES_MAX, open_timeout=10) as socket:
                        await socket.send(msgspec.json.encode(request), text=True)
                        await socket.recv()
                        await self.append_new()  # What came while nobody listened.
                        is_watching.set()
                        async for _ in socket:
                            await self.append_new()
        except (OSError, TransportError, WebSocketException):
            pass  # anvil has ended.
        finally:
            is_watching.set()

    async def keep_present(self) -> None:
        """Returns once every block that anvil had when this was called is kept. Many callers share one look."""
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look(after=self._last_look))
        await asyncio.shield(self._next_look)

    async def _look(self, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait([after])
        # Who comes from here on may know of a block that this look does not see.
        self._last_look, self._next_look = self._next_look, None
        await self.append_new()

    async def append_new(self) -> None:
        """Append the blocks that the journal lacks."""
        async with self._turn:
            newest, newest_hash = await self._head.fetch()
            if (newest, newest_hash) == (self._kept_height, self._kept_hash):
                return
            if newest < self._kept_height or await self._fetch_kept_hash() != self._kept_hash:
                await self._write_state()  # A client took the chain back.
                return
            for height in range(self._kept_height + 1, newest + 1):
                block = await self._fetch(height)
                self._journal.append(msgspec.msgpack.encode(block))
                self._kept_height = height
                self._kept_hash = await self._fetch_kept_hash()
                now = asyncio.get_running_loop().time()
                self._changed_at = now
                self._dirty_since = self._dirty_since or now

    async def _fetch_kept_hash(self) -> str | None:
        block = await self._rpc.call("eth_getBlockByNumber", [hex(self._kept_height), False])
        return None if block is None else str(block["hash"])

    async def _fetch(self, height: int) -> Block:
        block = await self._rpc.call("eth_getBlockByNumber", [hex(height), False])
        ids: Sequence[str] = block["transactions"]
        raws = [read_bytes(await self._rpc.call("eth_getRawTransactionByHash", [id_])) for id_ in ids]
        return Block(height, read_quantity(block["timestamp"]), tuple(raws))

    async def _write_states(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TransportError):
            while True:
                await asyncio.sleep(QUIET_SECONDS / 2)
                if self._changed_at is None or self._dirty_since is None:
                    continue
                is_quiet = loop.time() - self._changed_at >= QUIET_SECONDS
                if is_quiet or loop.time() - self._dirty_since >= BUSY_SECONDS_MAX:
                    await self.write_state()

    async def write_state(self) -> None:
        """Write the whole state; the journal begins anew."""
        async with self._turn:
            await self._write_state()

    async def _write_state(self) -> None:
        self._changed_at = self._dirty_since = None
        state, self._kept_height = await dump_state(self._rpc)
        self._kept_hash = await self._fetch_kept_hash()
        replace_file(self.state_path, state)
        # A crash in between leaves blocks that the state has already; a start passes over them.
        self._journal.replace(())

    async def forget(self, state: bytes) -> None:
        """Hold this state and nothing that came after it."""
        async with self._turn:
            # First the journal: without it the state that is there is older, not wrong.
            self._journal.replace(())
            replace_file(self.state_path, state)

    async def stop(self) -> None:
        """End the watch; what is kept stays."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._head.close()
        self._journal.close()


async def dump_state(rpc: JsonRpc) -> tuple[bytes, int]:
    """anvil's state as a file that it loads, and the height of its newest block."""
    packed = read_bytes(await rpc.call("anvil_dumpState"))
    try:
        state = gzip.decompress(packed)
        fields: dict[str, Any] = msgspec.json.decode(state, type=dict[str, msgspec.Raw])
        best = msgspec.json.decode(fields[_BEST_BLOCK])
    except (gzip.BadGzipFile, EOFError, msgspec.DecodeError, KeyError) as error:
        raise EngineError(f"anvil's state cannot be read: {error}") from error
    return state, read_quantity(best) if isinstance(best, str) else int(best)


def replace_file(path: Path, content: bytes) -> None:
    """In one step."""
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
