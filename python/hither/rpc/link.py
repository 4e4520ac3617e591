"""Messages between the process that makes the chain (the node) and the one that serves JSON-RPC (the server).

They travel in order over one connected socket, each way: four bytes of length, little endian, then msgpack. State
reads have sockets of their own (``hither.state.StateDesk``).

Order is a promise: the server has seen a block before it sees the answer to what the block was made for.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec

from hither.chain.followed_chain import PublishedTip
from hither.primitives.types import AccountId, CryptoHash, PublicKey
from hither.rpc.context import RpcSettings

LENGTH_BYTES: Final = 4
HASH_BYTES: Final = 32

# What became of a submitted transaction; a refused one is answered by NEAR's error.
KNOWN: Final = 0
WAITING: Final = 1
DROPPED: Final = 2


class Hello(msgspec.Struct, frozen=True, tag=0, array_like=True):
    """Node: everything that the server starts with. ``genesis`` is a GenesisConfig as JSON."""

    data_path: str
    genesis: bytes
    validator: tuple[AccountId, PublicKey] | None
    is_development: bool
    settings: RpcSettings
    tip: PublishedTip


class Ready(msgspec.Struct, frozen=True, tag=1, array_like=True):
    """Server: it answers requests."""


class Published(msgspec.Struct, frozen=True, tag=2, array_like=True):
    """Node: a new head is on disk.

    Hashes stand one after the other: ``executed`` are those of the outcomes since the last message, ``included``
    those of transactions that got into a chunk, ``dropped`` those that left the pool otherwise.
    """

    tip: PublishedTip
    executed: bytes
    included: bytes
    dropped: bytes


class WentBack(msgspec.Struct, frozen=True, tag=3, array_like=True):
    """Node: an older block is the head. It goes on once the server has answered ``Followed``."""

    tip: PublishedTip


class Followed(msgspec.Struct, frozen=True, tag=4, array_like=True):
    """Server: nothing above the head it was told of is read any more."""


class Submit(msgspec.Struct, frozen=True, tag=5, array_like=True):
    """Server: transactions in borsh, for the pool."""

    id: int
    transactions: list[bytes]


class Submitted(msgspec.Struct, frozen=True, tag=6, array_like=True):
    """Node: what became of each: KNOWN, WAITING, DROPPED, or NEAR's ``InvalidTxError`` in an object of its own."""

    id: int
    answers: list[int | dict[str, Any]]


class FinalityAwaited(msgspec.Struct, frozen=True, tag=7, array_like=True):
    """Server: whether anybody waits until a transaction is final."""

    is_awaited: bool


class Ask(msgspec.Struct, frozen=True, tag=8, array_like=True):
    """Server: call a method of the chain's control. ``arguments`` is a JSON list."""

    id: int
    method: str
    arguments: bytes


class Answered(msgspec.Struct, frozen=True, tag=9, array_like=True):
    """Node: the result of ``Ask``, or why it was refused."""

    id: int
    result: Any = None
    refused: str | None = None
    invalid: dict[str, Any] | None = None


class Close(msgspec.Struct, frozen=True, tag=10, array_like=True):
    """Node: end the server; requests that are under way may end first."""


Message = (
    Hello
    | Ready
    | Published
    | WentBack
    | Followed
    | Submit
    | Submitted
    | FinalityAwaited
    | Ask
    | Answered
    | Close
)

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Message).decode


def wrap_error(error: Any) -> dict[str, Any]:
    """NEAR's error, which may be a string or an object, in an object."""
    return {"error": error}


def unwrap_error(wrapped: dict[str, Any]) -> Any:
    """The error in it."""
    return wrapped["error"]


def split_hashes(joined: bytes) -> list[CryptoHash]:
    """The hashes that stand one after the other."""
    return [CryptoHash(joined[at : at + HASH_BYTES]) for at in range(0, len(joined), HASH_BYTES)]


class Link(asyncio.Protocol):
    """One end. What is sent within one turn of the event loop leaves in one system call.

    ``handle`` is given one message a turn, so that whoever an answer wakes runs before the next message is
    handled. ``handle_end`` is called once when the other side is gone.
    """

    def __init__(self, handle: Callable[[Message], None], handle_end: Callable[[], None]) -> None:
        self._handle = handle
        self._handle_end = handle_end
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        self._received = bytearray()
        self._messages: deque[bytes] = deque()
        self._is_scheduled = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._handle_end()

    @property
    def is_open(self) -> bool:
        """Whether the other side is there."""
        return self._transport is not None

    def send(self, message: Message) -> None:
        """Send it; nothing happens when the other side is gone."""
        body = _encode(message)
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing += (len(body).to_bytes(LENGTH_BYTES, "little"), body)

    def _flush(self) -> None:
        parts, self._outgoing = self._outgoing, []
        if self._transport is not None:
            self._transport.write(b"".join(parts))

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        start = 0
        while len(received) >= start + LENGTH_BYTES:
            end = start + LENGTH_BYTES + int.from_bytes(received[start : start + LENGTH_BYTES], "little")
            if len(received) < end:
                break
            self._messages.append(bytes(received[start + LENGTH_BYTES : end]))
            start = end
        del received[:start]
        if self._messages and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._handle_next)

    def _handle_next(self) -> None:
        message = _decode(self._messages.popleft())
        if self._messages:
            # Before the message is handled: should that fail, the others must not be lost.
            self._loop.call_soon(self._schedule_next)
        else:
            self._is_scheduled = False
        self._handle(message)

    def _schedule_next(self) -> None:
        # Whoever the last message woke stands before this in the loop's queue.
        self._loop.call_soon(self._handle_next)

    def close(self) -> None:
        """Let go of the other side once everything is sent."""
        self._flush()
        if self._transport is not None:
            self._transport.close()
