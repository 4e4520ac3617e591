"""The JSON-RPC server in a process of its own, as the node sees it: started, told of every block, answered.

``ServerProcess.spawn`` starts it before anything else, so that it gets ready while the node opens its data;
``attach`` says hello and returns when it answers requests; ``close`` lets requests end first.
"""

import asyncio
import json
import socket
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from hither.chain.application import AppliedBlock
from hither.chain.followed_chain import PublishedTip
from hither.chain.head import ChainHead
from hither.chain.reader import BlockMode, ControlRefused, InvalidTransaction
from hither.foreign.engines.process import Child, start_child
from hither.node.control import NodeControl, SubmissionAnswer, list_executed, list_included
from hither.node.node import Node
from hither.primitives.transaction import SignedTransaction, decode_signed_transaction
from hither.rpc.context import RpcSettings
from hither.rpc.link import (
    DROPPED,
    KNOWN,
    WAITING,
    Answered,
    Ask,
    Close,
    FinalityAwaited,
    Followed,
    Hello,
    Link,
    Message,
    Published,
    Ready,
    Submit,
    Submitted,
    WentBack,
    wrap_error,
)
from hither.rpc.process import STATE_SOCKETS
from hither.rpc.server import SHUTDOWN_TIMEOUT_SECONDS, format_address

LOG_FILE: Final = "rpc.log"
CLOSE_S_MAX: Final = SHUTDOWN_TIMEOUT_SECONDS + 5


class ServerStopped(RuntimeError):
    """The server's process has ended, or did not start."""


class ServerProcess:
    """Lives in the event loop of the node."""

    def __init__(
        self, child: Child, link_socket: socket.socket, state_sockets: list[socket.socket], address: str
    ) -> None:
        self.address = address
        self.failure: BaseException | None = None
        self._child = child
        self._link_socket = link_socket
        self._state_sockets = state_sockets
        self._link: Link | None = None
        self._node: Node | None = None
        self._ready: asyncio.Future[None] | None = None
        self._going_back: deque[threading.Event] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False

    @classmethod
    def spawn(cls, listener: socket.socket, log_folder: Path) -> "ServerProcess":
        """Start it on a listening socket, which belongs to it from now on."""
        pairs = [socket.socketpair() for _ in range(1 + STATE_SOCKETS)]
        theirs = [pairs[0][1], listener, *(theirs for _, theirs in pairs[1:])]
        descriptors = [sock.fileno() for sock in theirs]
        address = format_address(listener)
        log_folder.mkdir(parents=True, exist_ok=True)
        child = start_child(
            "the JSON-RPC server",
            [sys.executable, "-m", "hither.rpc.process", *map(str, descriptors)],
            log_path=log_folder / LOG_FILE,
            descriptors=descriptors,
        )
        for sock in theirs:
            sock.close()
        return cls(child, pairs[0][0], [ours for ours, _ in pairs[1:]], address)

    @property
    def process_id(self) -> int:
        """Of the server."""
        return self._child.process_id

    async def attach(self, node: Node, settings: RpcSettings) -> None:
        """Serve this node, which has started; returns when requests are answered. Raises ServerStopped."""
        self._node = node
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        self._link = link = Link(self._handle, self._handle_end)
        await loop.create_unix_connection(lambda: link, sock=self._link_socket)
        desk = node.open_desk()
        for sock in self._state_sockets:
            desk.serve(sock.detach())
        settings = msgspec.structs.replace(settings, rpc_address=self.address)
        validator_id, key = node.reader.validator_id, node.reader.validator_public_key
        head = node.reader.head
        desk.publish(head.hash, [shard.trie for shard in head.shards])
        link.send(
            Hello(
                str(node.home.data_path),
                msgspec.json.encode(node.reader.genesis.config),
                None if validator_id is None or key is None else (validator_id, key),
                node.control.is_development,
                settings,
                _make_tip(head),
            )
        )
        node.control.observe(self._tell)
        await self._ready

    async def close(self) -> None:
        """Let requests end, those that wait at once, and end it."""
        self._is_closing = True
        if self._link is not None and self._link.is_open:
            self._link.send(Close())
            deadline = asyncio.get_running_loop().time() + CLOSE_S_MAX
            while self._child.is_running and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.005)
            self._link.close()
        for sock in (self._link_socket, *self._state_sockets):
            if self._link is None:
                sock.close()
        await self._child.stop()
        for task in self._tasks:
            task.cancel()

    # What the server says

    def _handle(self, message: Message) -> None:
        node = self._node
        assert node is not None and self._ready is not None
        match message:
            case Submit():
                self._submit(node.control, message)
            case FinalityAwaited():
                node.control.set_finality_awaited(message.is_awaited)
            case Ask():
                task = asyncio.create_task(self._answer(node.control, message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case Followed():
                self._going_back.popleft().set()
            case Ready():
                self._ready.set_result(None)

    def _handle_end(self) -> None:
        while self._going_back:
            self._going_back.popleft().set()
        if self._is_closing:
            return
        reason = self._child.read_output()[-2000:].strip()
        self.failure = ServerStopped(f"the JSON-RPC server has ended: {reason or 'it said nothing'}")
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(self.failure)

    def _send(self, message: Message) -> None:
        assert self._link is not None
        self._link.send(message)

    def _submit(self, control: NodeControl, message: Submit) -> None:
        transactions = list(map(decode_signed_transaction, message.transactions))

        def deliver(answers: list[SubmissionAnswer] | ControlRefused) -> None:
            if isinstance(answers, ControlRefused):
                self._send(Submitted(message.id, [DROPPED] * len(transactions)))
                return
            words = [
                _word(control, signed, answer) for signed, answer in zip(transactions, answers, strict=True)
            ]
            self._send(Submitted(message.id, words))

        control.hand_in(transactions, deliver)

    async def _answer(self, control: NodeControl, message: Ask) -> None:
        """Do what was asked for. What it does is published before the answer leaves."""
        call = _CONTROLS[message.method]
        try:
            result = await call(control, *json.loads(message.arguments))
        except ControlRefused as error:
            self._send(Answered(message.id, refused=str(error)))
        except InvalidTransaction as error:
            self._send(Answered(message.id, invalid=wrap_error(error.error)))
        else:
            self._send(Answered(message.id, result))

    # What it is told

    def _tell(
        self, head: ChainHead, blocks: Sequence[AppliedBlock], going_back: threading.Event | None
    ) -> None:
        assert self._link is not None
        if going_back is not None:
            if not self._link.is_open:
                going_back.set()
                return
            self._going_back.append(going_back)
            self._link.send(WentBack(_make_tip(head)))
            return
        included = b"".join(hash_ for block in blocks for hash_ in list_included(block))
        dropped = b"".join(hash_ for block in blocks for hash_ in block.dropped)
        executed = b"".join(list_executed(blocks))
        self._link.send(Published(_make_tip(head), executed, included, dropped))


def _make_tip(head: ChainHead) -> PublishedTip:
    return PublishedTip(head.height, head.hash, head.final_height)


def _word(control: NodeControl, signed: SignedTransaction, answer: SubmissionAnswer) -> int | dict[str, Any]:
    """What the server is told of a submission."""
    if isinstance(answer, InvalidTransaction):
        return wrap_error(answer.error)
    if not answer.is_new:
        return KNOWN
    return WAITING if control.get_waiting(signed.hash) is not None else DROPPED


async def _check(control: NodeControl, row: str) -> None:
    await control.check(decode_signed_transaction(bytes.fromhex(row)))


async def _set_block_mode(control: NodeControl, mode: str, interval_ms: int | None) -> None:
    await control.set_block_mode(BlockMode(mode), interval_ms)


_CONTROLS: Final[dict[str, Callable[..., Awaitable[Any]]]] = {
    "check": _check,
    "bring": NodeControl.bring,
    "fast_forward": NodeControl.fast_forward,
    "patch_state": NodeControl.patch_state,
    "mine": NodeControl.mine,
    "set_time": NodeControl.set_time,
    "set_block_mode": _set_block_mode,
    "snapshot": NodeControl.snapshot,
    "revert": NodeControl.revert,
}
