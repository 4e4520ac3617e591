"""Messages between nodes: one connection each way, mutual TLS, frames with a length before them.

Everything is bounded. A frame over the limit ends its connection; a peer that sends more than its rate is read slower;
one that does not read what we send loses the connection. There is no queue for a peer that cannot be reached: sending
to it fails at once. Connections that end are made anew, after pauses that grow, or at once when the peer has found us.
"""

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hither.mpc.certificates import get_peer_key, make_context, trust_peers

logger = logging.getLogger(__name__)

FRAME_BYTES_MAX: Final = 4 << 20
_LENGTH_BYTES: Final = 4
_SILENCE_PARTS: Final = 5


class PeerUnavailable(Exception):
    """There is no connection to that participant."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may use of us. Rates are long-term; a second's worth may come at once."""

    frame_bytes_max: int = FRAME_BYTES_MAX
    bytes_per_s_max: int = 64 << 20
    frames_per_s_max: int = 20_000
    unsent_bytes_max: int = 32 << 20
    silence_s_max: float = 5.0
    handshake_s_max: float = 5.0
    reconnect_s_min: float = 0.05
    reconnect_s_max: float = 5.0


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a participant listens and which key it holds."""

    address: tuple[str, int]
    tls_key: bytes


Receive = Callable[[int, bytes], None]


class Allowance:
    """How much a peer may still send now: refilled by the time that passes."""

    def __init__(self, per_s_max: float) -> None:
        self._per_s_max = per_s_max
        self._left = per_s_max
        self._at_s = time.monotonic()

    def take(self, amount: float) -> float:
        """Use some of it; so many seconds must pass before the next."""
        now_s = time.monotonic()
        self._left = min(self._per_s_max, self._left + (now_s - self._at_s) * self._per_s_max)
        self._at_s = now_s
        self._left -= amount
        return max(0.0, -self._left / self._per_s_max)


@dataclass(slots=True)
class _Link:
    """What there is between us and a peer."""

    peer: Peer
    dialling: asyncio.Task[None] | None = None
    outgoing: asyncio.StreamWriter | None = None
    incoming: asyncio.StreamWriter | None = None
    heard_s: float = 0.0
    is_wanted: asyncio.Event = field(default_factory=asyncio.Event)


class Mesh:
    """This node's connections to all others. ``receive`` gets whole frames of senders that are known for certain."""

    def __init__(
        self,
        key: Ed25519PrivateKey,
        receive: Receive,
        count: Callable[[str], None],
        limits: Limits | None = None,
    ) -> None:
        self._key = key
        self._receive = receive
        self._count = count
        self.limits = limits or Limits()
        self._links: dict[int, _Link] = {}
        self._server: asyncio.Server | None = None
        self._server_context = make_context(key, (), is_server=True)
        self._accepted: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Accept connections; returns where. Raises OSError."""
        self._server = await asyncio.start_server(
            self._accept,
            host,
            port,
            ssl=self._server_context,
            ssl_handshake_timeout=self.limits.handshake_s_max,
            limit=self.limits.frame_bytes_max,
        )
        bound: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return bound

    async def close(self) -> None:
        """End every connection."""
        if self._server is not None:
            self._server.close()
        self.set_peers({})
        for task in list(self._accepted):
            task.cancel()
        await asyncio.gather(*self._accepted, return_exceptions=True)

    def set_peers(self, peers: Mapping[int, Peer]) -> None:
        """Talk to exactly these from now on."""
        for participant in list(self._links):
            if peers.get(participant) != self._links[participant].peer:
                self._drop(self._links.pop(participant))
        new = {participant: peer for participant, peer in peers.items() if participant not in self._links}
        trust_peers(self._server_context, (peer.tls_key for peer in new.values()))
        for participant, peer in new.items():
            link = self._links[participant] = _Link(peer)
            link.dialling = asyncio.create_task(self._dial(participant, link))

    @property
    def connected(self) -> frozenset[int]:
        """Peers to whom we can send and from whom something came lately."""
        since_s = time.monotonic() - self.limits.silence_s_max
        return frozenset(
            participant
            for participant, link in self._links.items()
            if link.outgoing is not None and link.incoming is not None and link.heard_s > since_s
        )

    def send(self, participant: int, data: bytes) -> None:
        """Send a frame. Raises PeerUnavailable."""
        link = self._links.get(participant)
        if link is None or link.outgoing is None:
            raise PeerUnavailable(f"participant {participant} is not to be reached")
        assert len(data) <= self.limits.frame_bytes_max
        if link.outgoing.transport.get_write_buffer_size() > self.limits.unsent_bytes_max:
            self._count("slow peer dropped")
            link.outgoing.transport.abort()
            raise PeerUnavailable(f"participant {participant} does not read what is sent to it")
        link.outgoing.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)

    @staticmethod
    def _drop(link: _Link) -> None:
        if link.dialling is not None:
            link.dialling.cancel()
        for writer in (link.outgoing, link.incoming):
            if writer is not None:
                writer.transport.abort()
        link.outgoing = link.incoming = None

    async def _dial(self, participant: int, link: _Link) -> None:
        """Keep a connection to the peer, to send on."""
        context = make_context(self._key, [link.peer.tls_key], is_server=False)
        pause_s = self.limits.reconnect_s_min
        while True:
            link.is_wanted.clear()
            try:
                host, port = link.peer.address
                async with asyncio.timeout(self.limits.handshake_s_max):
                    reader, writer = await asyncio.open_connection(host, port, ssl=context)
            except (OSError, TimeoutError) as error:
                logger.debug("participant %d is not to be reached: %s", participant, error)
            else:
                link.outgoing = writer
                started_s = time.monotonic()
                with contextlib.suppress(OSError):
                    await reader.read(1)  # Nothing comes this way but its end.
                link.outgoing = None
                writer.transport.abort()
                if time.monotonic() - started_s > pause_s:
                    pause_s = self.limits.reconnect_s_min
            self._count("reconnect")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(link.is_wanted.wait(), pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, self.limits.reconnect_s_max)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._accepted.add(task)
        try:
            await self._read_all(reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            logger.debug("a connection ended: %r", error)
        except asyncio.CancelledError:
            logger.debug("a connection is ended")
        finally:
            self._accepted.discard(task)
            writer.transport.abort()

    async def _read_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls = writer.get_extra_info("ssl_object")
        key = get_peer_key(tls) if isinstance(tls, ssl.SSLObject) or tls is not None else None
        found = [(id_, link) for id_, link in self._links.items() if link.peer.tls_key == key]
        if not found:
            self._count("stranger refused")
            return
        participant, link = found[0]
        if link.incoming is not None:
            link.incoming.transport.abort()  # It has come back before its old connection was seen to end.
        link.incoming = writer
        link.is_wanted.set()
        try:
            await self._read_frames(participant, link, reader)
        finally:
            if link.incoming is writer:
                link.incoming = None

    async def _read(self, reader: asyncio.StreamReader, size: int) -> bytes:
        """So many bytes. Raises TimeoutError after a silence.

        In parts: after a pause of this process itself a part of the time is over and not all of it, so that it reads
        what came meanwhile, and does not end a connection on which others rely.
        """
        for _ in range(_SILENCE_PARTS):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.limits.silence_s_max / _SILENCE_PARTS):
                    return await reader.readexactly(size)  # What was read in part is still there.
        raise TimeoutError

    async def _read_frames(self, participant: int, link: _Link, reader: asyncio.StreamReader) -> None:
        data_allowance = Allowance(self.limits.bytes_per_s_max)
        frame_allowance = Allowance(self.limits.frames_per_s_max)
        while True:
            size = int.from_bytes(await self._read(reader, _LENGTH_BYTES), "big")
            if size > self.limits.frame_bytes_max:
                self._count("oversized frame")
                logger.warning("participant %d announced a frame of %d bytes", participant, size)
                return
            frame = await self._read(reader, size)
            link.heard_s = time.monotonic()
            if link is not self._links.get(participant):
                return  # It was voted out, or has moved.
            self._receive(participant, frame)
            pause_s = max(data_allowance.take(size), frame_allowance.take(1))
            if pause_s > 0:
                self._count("peer slowed down")
                await asyncio.sleep(pause_s)
