"""Jobs that several nodes run together: whose messages belong to which, and moving a run along with them.

Memory is bounded: an open channel takes so many bytes a sender, and what comes for a channel that is not open yet (the
sender was quicker to learn of it) waits shortly, within a bound a sender. Everything beyond is dropped and counted;
a run that misses a message ends by its time-out.
"""

import asyncio
import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from hither.mpc.messages import Data, End, Message, encode_message
from hither.mpc.protocols import ProtocolFailure, ProtocolRun, Secret
from hither.mpc.schemes import Steps
from hither.mpc.transport import FRAME_BYTES_MAX, PeerUnavailable

T = TypeVar("T")
logger = logging.getLogger(__name__)

OPEN_BYTES_MAX: Final = 16 << 20
"""Of one sender in one channel, not yet used."""
EARLY_BYTES_MAX: Final = 8 << 20
EARLY_FRAMES_MAX: Final = 4_096
EARLY_S_MAX: Final = 10.0
CLOSED_MAX: Final = 4_096
UNREACHED_S_MAX: Final = 0.5
"""So long a job waits for a member with whom messages do not go both ways."""
STEPS_MAX: Final = 64
DONE_STEP: Final = STEPS_MAX
"""In which members tell each other that they have what the job made."""
DATA_BYTES_MAX: Final = FRAME_BYTES_MAX - 1_024


@dataclass(frozen=True, slots=True)
class _Ended(Generic[T]):
    """A job's result."""

    result: T


class JobFailed(Exception):
    """No result came of a job. ``culprit`` is named where the protocol's transcript proves it.

    ``is_silence``: somebody is not to be reached, or did not answer.
    """

    def __init__(self, reason: str, culprit: int | None = None, *, is_silence: bool = False) -> None:
        super().__init__(reason if culprit is None else f"{reason} (participant {culprit})")
        self.culprit = culprit
        self.is_silence = is_silence


class Channel:
    """One job's messages at one node."""

    def __init__(self, id_: bytes, epoch_id: int, me: int, members: Collection[int]) -> None:
        self.id = id_
        self.epoch_id = epoch_id
        self.others = frozenset(members) - {me}
        self._inboxes: dict[int, deque[tuple[int, bytes]]] = defaultdict(deque)
        self._bytes: dict[int, int] = defaultdict(int)
        self._arrived = asyncio.Event()
        self._ended: JobFailed | None = None

    def put(self, sender: int, message: Data) -> bool:
        """Keep a message of a member; False if it is dropped."""
        size = len(message.data) + 64
        if sender not in self.others or not 0 <= message.step <= STEPS_MAX:
            return False
        if self._bytes[sender] + size > OPEN_BYTES_MAX:
            return False
        self._bytes[sender] += size
        self._inboxes[message.step].append((sender, message.data))
        self._arrived.set()
        return True

    def end(self, failure: JobFailed) -> None:
        """Whoever waits for a message learns that none will come."""
        self._ended = self._ended or failure
        self._arrived.set()

    async def receive(self, step: int) -> list[tuple[int, bytes]]:
        """Everything that is there for a step, at least one message. Raises JobFailed."""
        while not self._inboxes[step]:
            if self._ended is not None:
                raise self._ended
            self._arrived.clear()
            await self._arrived.wait()
        messages = list(self._inboxes.pop(step))
        for sender, data in messages:
            self._bytes[sender] -= len(data) + 64
        return messages


@dataclass(slots=True)
class _Early:
    """What one sender sent for channels that are not open."""

    messages: deque[tuple[float, Data | End]] = field(default_factory=deque)
    bytes: int = 0


class Channels:
    """All jobs of this node."""

    def __init__(self, me: int, send: Callable[[int, bytes], None], count: Callable[[str], None]) -> None:
        self._me = me
        self._send = send
        self._count = count
        self._open: dict[bytes, Channel] = {}
        self._early: dict[int, _Early] = defaultdict(_Early)
        self._closed: deque[bytes] = deque(maxlen=CLOSED_MAX)
        self._unreached_s: dict[int, float] = {}

    def open(self, id_: bytes, epoch_id: int, members: Collection[int]) -> Channel:
        """Begin a job. What came early is in it. Raises JobFailed if it was begun before."""
        if id_ in self._open or id_ in self._closed:
            raise JobFailed("this job was begun before")
        channel = self._open[id_] = Channel(id_, epoch_id, self._me, members)
        for sender, early in self._early.items():
            kept: deque[tuple[float, Data | End]] = deque()
            for since_s, message in early.messages:
                if message.channel == id_:
                    early.bytes -= _size(message)
                    self._deliver(channel, sender, message)
                else:
                    kept.append((since_s, message))
            early.messages = kept
        return channel

    def close(self, channel: Channel, failure: JobFailed | None = None) -> None:
        """The job is over here; with a failure, the others are told."""
        self._open.pop(channel.id, None)
        self._closed.append(channel.id)
        if failure is not None:
            reason = str(failure)[:200]
            self._send_all(channel, End(channel.epoch_id, channel.id, reason, failure.is_silence))

    def take(self, sender: int, message: Data | End) -> None:
        """A message of an authenticated sender."""
        channel = self._open.get(message.channel)
        if channel is not None:
            self._deliver(channel, sender, message)
        elif message.channel in self._closed:
            return  # It is over here, and was not yet there.
        else:
            self._keep_early(sender, message)

    def lose_unreached(self, connected: frozenset[int]) -> None:
        """End jobs with those who are not connected for a while: a connection may have gone without being noticed."""
        members: frozenset[int] = frozenset()
        missing = members.union(*(channel.others for channel in self._open.values())) - connected
        now_s = time.monotonic()
        self._unreached_s = {one: self._unreached_s.get(one, now_s) for one in missing}
        for participant in missing:
            if now_s - self._unreached_s[participant] > UNREACHED_S_MAX:
                self.lose(participant)

    def lose(self, participant: int) -> None:
        """A participant is not to be reached any more: jobs with it will not end."""
        for channel in list(self._open.values()):
            if participant in channel.others:
                channel.end(JobFailed(f"participant {participant} is not to be reached", is_silence=True))

    def end_all(self) -> None:
        """This node stops."""
        for channel in list(self._open.values()):
            channel.end(JobFailed("this node stops"))

    def _deliver(self, channel: Channel, sender: int, message: Data | End) -> None:
        if message.epoch_id != channel.epoch_id:
            self._count("frame of another epoch")
        elif isinstance(message, End):
            if sender in channel.others:
                reason = f"participant {sender} gave up: {message.reason[:200]}"
                channel.end(JobFailed(reason, is_silence=message.is_silence))
        elif not channel.put(sender, message):
            self._count("frame not taken")

    def _keep_early(self, sender: int, message: Data | End) -> None:
        early = self._early[sender]
        now_s = time.monotonic()
        while early.messages and early.messages[0][0] + EARLY_S_MAX < now_s:
            early.bytes -= _size(early.messages.popleft()[1])
            self._count("unsolicited frame")
        if len(early.messages) >= EARLY_FRAMES_MAX or early.bytes + _size(message) > EARLY_BYTES_MAX:
            self._count("unsolicited frame")
            return
        early.bytes += _size(message)
        early.messages.append((now_s, message))

    def _send_all(self, channel: Channel, message: Message) -> None:
        frame = encode_message(message)
        for other in channel.others:
            try:
                self._send(other, frame)
            except PeerUnavailable:
                continue  # Its side ends by itself.

    def send(self, channel: Channel, step: int, receiver: int | None, data: bytes) -> None:
        """Send a protocol message to one or all. Raises JobFailed."""
        if len(data) > DATA_BYTES_MAX:
            raise JobFailed("a protocol message is larger than a frame")
        frame = encode_message(Data(channel.epoch_id, channel.id, step, data))
        for other in channel.others if receiver is None else (receiver,):
            try:
                self._send(other, frame)
            except PeerUnavailable as error:
                raise JobFailed(str(error), is_silence=True) from error

    def confirm(self, channel: Channel) -> None:
        """Tell the others that this node has what the job made."""
        self.send(channel, DONE_STEP, None, b"")

    async def wait_for_all(self, channel: Channel) -> None:
        """Go on once every other member has told that. Raises JobFailed."""
        waiting = set(channel.others)
        while waiting:
            waiting -= {sender for sender, _ in await channel.receive(DONE_STEP)}

    async def run(self, channel: Channel, steps: Steps[T], executor: Executor) -> T:
        """Move a job's runs to its result, its work in the executor. Raises JobFailed."""
        loop = asyncio.get_running_loop()
        try:
            state = await loop.run_in_executor(executor, _begin, steps)
            step = 0
            while not isinstance(state, _Ended):
                result = await self._move(channel, step, state, executor)
                state = await loop.run_in_executor(executor, _go_on, steps, result)
                step += 1
            return state.result
        except ProtocolFailure as failure:
            reason, culprit = failure.args
            raise JobFailed(reason, culprit) from failure

    async def _move(self, channel: Channel, step: int, run: ProtocolRun, executor: Executor) -> Secret:
        loop = asyncio.get_running_loop()
        messages: list[tuple[int, bytes]] = []
        while True:
            outgoing, result, refused = await loop.run_in_executor(executor, _advance, run, messages)
            for _ in range(refused):
                self._count("protocol message refused")
            for receiver, data in outgoing:
                self.send(channel, step, receiver, data)
            if result is not None:
                return result
            messages = await channel.receive(step)


def _begin(steps: Steps[T]) -> "ProtocolRun | _Ended[T]":
    try:
        return next(steps)
    except StopIteration as stop:
        return _Ended(stop.value)


def _go_on(steps: Steps[T], result: Secret) -> "ProtocolRun | _Ended[T]":
    try:
        return steps.send(result)
    except StopIteration as stop:
        return _Ended(stop.value)


def _advance(
    run: ProtocolRun, messages: list[tuple[int, bytes]]
) -> tuple[list[tuple[int | None, bytes]], Secret | None, int]:
    """Deliver messages, go on as far as possible: what to send, the result, and how many messages were refused."""
    refused = 0
    for sender, data in messages:
        try:
            run.message(sender, data)
        except ValueError:
            refused += 1  # Twice, too large, or of no round: the run goes on without it.
    outgoing: list[tuple[int | None, bytes]] = []
    while (action := run.poke()) is not None:
        receiver, is_over, data_or_result = action
        if is_over:
            assert isinstance(data_or_result, Secret)
            return outgoing, data_or_result, refused
        assert isinstance(data_or_result, bytes)
        outgoing.append((receiver, data_or_result))
    return outgoing, None, refused


def _size(message: Data | End) -> int:
    return 64 + (len(message.data) if isinstance(message, Data) else len(message.reason))
