"""One participant in a process of its own: jobs with the others over TLS.

A node leads the jobs that it begins and follows those that others begin, if it finds them right by itself: it signs
what it has seen on chain, with a presignature of the one who leads, with exactly the signers of its set. Nothing that a
leader says is signed.

Stock belongs to the node that led its making; that one alone leads with it. Each tells the others from time to time
what it has; what an owner does not know, or a signer does not hold, is dropped on both sides.
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

from hither.mpc import protocols
from hither.mpc.channels import Channel, Channels, JobFailed
from hither.mpc.choice import EXACT_FOLLOWED_S_MAX, count_exact_seconds, explain_no_stock, list_signer_choices
from hither.mpc.config import find_peers
from hither.mpc.contract import Key, KeyEvent, NetworkView
from hither.mpc.doubts import Doubts
from hither.mpc.engine import Request
from hither.mpc.follower import BEHIND_BLOCKS_MAX
from hither.mpc.inspector import TIMEOUT_SECONDS, Inspector, NotConfirmed, look_for
from hither.mpc.local import start_key
from hither.mpc.messages import (
    IDS_MAX,
    Announce,
    Begin,
    Data,
    End,
    InvalidMessage,
    Message,
    PassedOn,
    PresignJob,
    SignJob,
    Status,
    Unknown,
    compute_channel,
    compute_event_channel,
    decode_message,
    encode_message,
)
from hither.mpc.protocols import Secret
from hither.mpc.requests import (
    Answer,
    EcdsaPayload,
    EcdsaSignature,
    ForeignTxAnswer,
    ForeignTxRequest,
    SignatureRequest,
)
from hither.mpc.schemes import Domain, Member, Steps, Task, run_once
from hither.mpc.signers import KeyFailed, NotSigned
from hither.mpc.stock import list_lacking
from hither.mpc.stocking import StockMaker
from hither.mpc.store import NodeStore, get_owner, make_presignature_id, number_presignature
from hither.mpc.transport import Mesh, PeerUnavailable
from hither.mpc.watch import LOOK_PAUSE_S, Watch

logger = logging.getLogger(__name__)

SIGN_S_MAX: Final = 1.2
BUSY_SIGNATURES: Final = 8
"""Every so many signatures under way at once lengthen the time for one by itself."""
PRESIGN_S_MAX: Final = 30.0
KEY_S_MAX: Final = 15.0
REQUEST_WAIT_S_MAX: Final = 1.0
"""So long a signer waits until it has itself seen what it is asked to sign."""
FOLLOWED_PER_REQUEST_MAX: Final = 10
FOLLOWED_SIGNING_MAX: Final = 64
"""Signatures that one leader may have under way here."""
FOLLOWED_PRESIGNING_MAX: Final = 2
REQUESTS_MAX: Final = 10_000
STATUS_PAUSE_S: Final = 0.5
STOCK_PAUSE_S: Final = 0.1
ANNOUNCE_PAUSE_S: Final = 20.0
STOCK_NICENESS: Final = 10
SIGN_THREADS: Final = 4


def _hear_nothing(_participant: int, _key: bytes) -> None:
    """Until somebody listens."""


def _be_nice() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), STOCK_NICENESS)


class Node:
    """A participant. Everything asynchronous runs in one loop; protocol work and the disk in threads."""

    def __init__(
        self,
        contract_id: str,
        me: int,
        store: NodeStore,
        stock: Mapping[str, int] | None = None,
        addresses: Mapping[str, str] | None = None,
        inspector: Inspector | None = None,
    ) -> None:
        self.contract_id = contract_id
        self.me = me
        self.store = store
        self.counts: dict[str, int] = defaultdict(int)
        self.mesh: Mesh | None = None
        self.height = 0
        self.hear_passed: Callable[[int, bytes], None] = _hear_nothing
        self._stock = stock or {}
        self._addresses = addresses or {}
        self.inspector = inspector or Inspector({})
        self._channels = Channels(me, self._send, self.count)
        self._view: NetworkView | None = None
        self._signing = ThreadPoolExecutor(SIGN_THREADS, "mpc-sign")
        self._stocking = ThreadPoolExecutor(1, "mpc-stock", initializer=_be_nice)
        self._watch = Watch()
        self._requests: OrderedDict[bytes, tuple[Request, float]] = OrderedDict()
        self._arrived = asyncio.Event()
        self._followed: dict[bytes, int] = defaultdict(int)
        self._following: dict[tuple[int, type], int] = defaultdict(int)
        self._statuses: dict[int, Status] = {}
        self._in_use: dict[bytes, tuple[int, ...]] = {}
        self._making: set[bytes] = set()
        self._doubts = Doubts()
        self._was_stocked = False
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def count(self, what: str) -> None:
        """One more of these."""
        self.counts[what] += 1

    # The transport's side.

    def receive(self, sender: int, frame: bytes) -> None:
        """A frame of an authenticated participant."""
        self.count("frames received")
        self._watch.hear(sender)
        try:
            message = decode_message(frame)
        except InvalidMessage:
            self.count("malformed frame")
            return
        if not isinstance(message, Status | PassedOn) and not self._is_of_epoch(message.epoch_id):
            self.count("frame of another epoch")
            return
        match message:
            case Data() | End():
                self._channels.take(sender, message)
            case Status():
                self._statuses[sender] = message
            case PassedOn(request_key):
                self.hear_passed(sender, request_key)
            case Begin():
                self._spawn(self._follow(sender, message))
            case Announce(_, ids):
                self._spawn(self._compare_stock(sender, ids))
            case Unknown(_, ids):
                self._spawn(self._drop_unknown(sender, ids))

    def _is_of_epoch(self, epoch_id: int) -> bool:
        return self._view is not None and epoch_id in self._view.epoch_ids

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _send(self, participant: int, frame: bytes) -> None:
        if self.mesh is None:
            raise PeerUnavailable("this node is not connected")
        self.count("frames sent")
        self.mesh.send(participant, frame)

    def _tell(self, participants: Iterable[int], message: Message) -> None:
        frame = encode_message(message)
        for participant in participants:
            with contextlib.suppress(PeerUnavailable):
                self._send(participant, frame)

    @property
    def connected(self) -> frozenset[int]:
        """Peers with whom messages go both ways."""
        return self.mesh.connected if self.mesh is not None else frozenset()

    @property
    def heard(self) -> frozenset[int]:
        """Those of them of whom something was heard lately. Who is not may well be back at once: it only comes last."""
        return frozenset(one for one in self.connected if not self._watch.is_silent(one))

    async def run(self) -> None:
        """Tell the others of this node, notice who goes, and keep stock; until cancelled."""
        try:
            await asyncio.gather(self._keep_in_touch(), self._keep_stock(), self._keep_announcing())
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """End what runs, and the threads."""
        self._channels.end_all()
        self._signing.shutdown(wait=True, cancel_futures=True)
        self._stocking.shutdown(wait=True, cancel_futures=True)

    async def _keep_in_touch(self) -> None:
        reached: frozenset[int] = frozenset()
        told: tuple[float, int] = (0.0, -1)
        while True:
            now_s = time.monotonic()
            self._watch.look()
            connected = self.connected
            for lost in reached - connected:
                logger.info("participant %d is not to be reached", lost)
                self._channels.lose(lost)
            self._channels.lose_unreached(connected)
            is_due = connected != reached or self.height != told[1] or now_s - told[0] > STATUS_PAUSE_S
            if is_due and self._view is not None:
                others = {participant.id for participant in self._view.everyone} - {self.me}
                self._tell(others, Status(self.height, self._view.epoch_id))
                told = now_s, self.height
            for found in connected - reached:
                logger.info("participant %d is there", found)
                self._announce(found)
            reached = connected
            await asyncio.sleep(LOOK_PAUSE_S)

    # What the service asks for.

    def get_mine(self, view: NetworkView) -> frozenset[int]:
        """This participant, if it is one."""
        return frozenset(participant.id for participant in view.everyone) & {self.me}

    def get_alive(self, height: int) -> frozenset[int]:
        """Those with whom messages go both ways, who are not silent just now, and not behind."""
        self.height = height
        self._watch.read(height)
        behind = self._watch.get_height_before() - BEHIND_BLOCKS_MAX
        return frozenset(
            participant
            for participant in self.heard
            if participant in self._statuses and self._statuses[participant].height >= behind
        ) | {self.me}

    def set_view(self, view: NetworkView) -> None:
        """The contract says this now: talk to those that it lists, and erase what is no longer in force."""
        self._view = view
        if self.mesh is not None:
            self.mesh.set_peers(find_peers(view.everyone, self.me, self._addresses))
        if view.event is None:
            erased = self.store.erase_others(view.epoch_id, view.attempts)
            if erased:
                logger.info("erased %d shares and presignatures that are no longer in force", erased)

    def has_shares(self, view: NetworkView) -> bool:
        """Whether this node can take part in every domain."""
        return self.me not in view.ids or all(self._find_share(key) is not None for key in view.keys.values())

    def _find_share(self, key: Key) -> Secret | None:
        assert self._view is not None
        return self.store.get_share_optional(key.domain.id, self._view.epoch_id, key.attempt_id)

    def find_key(self, event: KeyEvent, attempt_id: int, participant: int) -> bytes | None:
        """Of a share that an attempt left on disk."""
        share = self.store.get_share_optional(event.domain.id, event.epoch_id, attempt_id)
        return None if share is None else protocols.public_key_of_share(event.domain.curve, share)

    def note_request(self, request: Request) -> None:
        """Seen on chain: others may lead it."""
        _, seen_s = self._requests.get(request.key, (request, self._watch.s))
        self._requests[request.key] = request, seen_s
        while len(self._requests) > REQUESTS_MAX:
            key, _ = self._requests.popitem(last=False)
            self._followed.pop(key, None)
        self._arrived.set()

    def forget_requests(self) -> None:
        """The chain went back."""
        self._requests.clear()

    def tell_passed(self, request: Request) -> None:
        """To everybody who is there."""
        self._tell(self.connected, PassedOn(request.key))

    async def make_key(self, view: NetworkView, event: KeyEvent, attempt_id: int) -> bytes:
        """This node's part in a key event. Its share is on disk on return. Raises KeyFailed."""
        domain = event.domain
        members = [participant.id for participant in event.participants]
        id_ = compute_event_channel(self.contract_id, event.epoch_id, domain.id, attempt_id)
        try:
            run = start_key(self.contract_id, view, event, attempt_id, self.me, self.store)
            share = await self._take_part(id_, event.epoch_id, members, run_once(run), KEY_S_MAX)
            await asyncio.to_thread(self.store.put_share, domain.id, event.epoch_id, attempt_id, share)
        except (JobFailed, ValueError) as error:
            raise KeyFailed(str(error)) from error
        return protocols.public_key_of_share(domain.curve, share)

    async def _take_part(
        self,
        id_: bytes,
        epoch_id: int,
        members: Sequence[int],
        steps: Steps[Any],
        seconds_max: float,
        *,
        begin: Begin | None = None,
        keep: Callable[[Channel, Any], Awaitable[None]] | None = None,
    ) -> Any:
        """Run a job with its other members, telling them of it first if this node leads. Raises JobFailed.

        ``keep``: it makes stock, and that is what to do with it before the job counts as done.
        """
        channel = self._channels.open(id_, epoch_id, members)
        failure: JobFailed | None = None
        try:
            async with self._watch.timeout(seconds_max):
                if begin is not None:
                    self._begin(channel, begin)
                result = await self._channels.run(channel, steps, self._choose_executor(keep is not None))
                if keep is not None:
                    await keep(channel, result)
                self._doubts.clear(channel.others)
                return result
        except TimeoutError:
            failure = JobFailed("the others did not answer in time", is_silence=True)
            raise failure from None
        except JobFailed as error:
            failure = error
            raise
        finally:
            if failure is not None:
                self._doubts.add(channel.others, failure.culprit)
            self._channels.close(channel, failure)

    def _choose_executor(self, is_stock: bool) -> ThreadPoolExecutor:
        """Stock is made in a thread of low priority, but the first: without it nothing can be signed."""
        return self._stocking if is_stock and self._was_stocked else self._signing

    def _begin(self, channel: Channel, begin: Begin) -> None:
        frame = encode_message(begin)
        for other in channel.others:
            try:
                self._send(other, frame)
            except PeerUnavailable as error:
                raise JobFailed(str(error)) from error

    # Signing.

    async def sign(self, request: Request, view: NetworkView, order: Sequence[int]) -> Answer:
        """Lead a signature. Raises NotSigned."""
        key = view.keys.get(request.request.domain_id)
        if key is None or self.me not in view.ids:
            raise NotSigned(f"domain {request.request.domain_id} has no key here")
        try:
            seen = await look_for(request.request, self.inspector)
            signers, id_ = await self._choose_stock(key.domain, order)
            job = SignJob(key.domain.id, signers, request.key, id_)
            begin = Begin(view.epoch_id, os.urandom(16), job)
            answer = await self._sign(job, key, replace(request, request=seen), begin, self.me)
            assert answer is not None, "the leader gets the answer"
            if not isinstance(request.request, ForeignTxRequest):
                return answer
            assert isinstance(seen, SignatureRequest) and isinstance(seen.payload, EcdsaPayload)
            assert isinstance(answer, EcdsaSignature), "such domains sign ECDSA alone"
            return ForeignTxAnswer(seen.payload.digest, answer)
        except NotConfirmed as error:
            raise NotSigned(str(error), error.code) from error
        except (JobFailed, ValueError) as error:
            # Where nobody can be done without, a signer that does not answer is one that is missing.
            is_missing = isinstance(error, JobFailed) and error.is_silence
            code = "RobustSetIncomplete" if is_missing and key.domain.scheme.needs_all else None
            raise NotSigned(str(error), code) from error

    async def _choose_stock(
        self, domain: Domain, order: Sequence[int]
    ) -> tuple[tuple[int, ...], bytes | None]:
        """The first signers in order for which this node has stock, and one of it; who failed lately comes last."""
        # Who is behind with reading the chain does not lead, but signs once it has seen the request.
        there = [*order, *sorted(self.connected.difference(order))]
        silent = {participant for participant in there if self._watch.is_silent(participant)}
        sets = list_signer_choices(domain, self.me, there, silent, self._doubts.count)
        for signers in sets:
            for id_ in await asyncio.to_thread(self.store.list_presignatures, domain.id, signers, self.me):
                if id_ not in self._in_use:
                    return signers, id_
        if domain.scheme.needs_stock:
            raise explain_no_stock(domain, sets, self._doubts.count)
        return sets[0], None

    async def _sign(
        self, job: SignJob, key: Key, request: Request, begin: Begin, leader: int
    ) -> Answer | None:
        """Both sides of a signature. The presignature is gone from the disk before any message of it leaves."""
        share = self._find_share(key)
        if share is None:
            raise JobFailed(f"this node has no share of domain {job.domain_id}")
        presignature: Secret | None = None
        if job.presignature is not None:
            self._in_use[job.presignature] = job.signers
            presignature = await asyncio.get_running_loop().run_in_executor(
                self._signing,
                self.store.take_presignature,
                job.presignature,
                job.domain_id,
                begin.epoch_id,
                job.signers,
            )
            # Who has listed the stock before this must not choose it again.
            asyncio.get_running_loop().call_later(SIGN_S_MAX, self._in_use.pop, job.presignature, None)
            if presignature is None:
                raise JobFailed("the presignature is not there, or was used")
        member = Member(self.me, share, job.signers, key.domain.threshold, leader)
        self._under_way += 1
        try:
            answer: Answer | None = await self._take_part(
                compute_channel(self.contract_id, leader, begin),
                begin.epoch_id,
                job.signers,
                key.domain.scheme.sign(member, Task(request.request, request.entropy), presignature),
                self._count_seconds(key.domain, request, is_leader=leader == self.me),
                begin=begin if leader == self.me else None,
            )
        finally:
            self._under_way -= 1
        return answer

    def _count_seconds(self, domain: Domain, request: Request, *, is_leader: bool) -> float:
        """How long a signature may take: longer with much to do, and where others look at other chains first."""
        looking_s = TIMEOUT_SECONDS if domain.purpose == "ForeignTx" else 0
        seconds = SIGN_S_MAX
        if domain.scheme.needs_all:
            _, seen_s = self._requests.get(request.key, (request, self._watch.s))
            seconds = count_exact_seconds(self._watch.s - seen_s) if is_leader else EXACT_FOLLOWED_S_MAX
        return looking_s + seconds * (1 + self._under_way // BUSY_SIGNATURES)

    # Following others.

    async def _follow(self, leader: int, begin: Begin) -> None:
        """Take part in a job that another node leads, if it is one that this node finds right."""
        kind = type(begin.job)
        limit = FOLLOWED_PRESIGNING_MAX if kind is PresignJob else FOLLOWED_SIGNING_MAX
        if self._following[leader, kind] >= limit:
            self.count("job refused")
            return self._refuse(leader, begin, "too many jobs at once")
        self._following[leader, kind] += 1
        try:
            key = self._check_job(leader, begin)
            match begin.job:
                case PresignJob():
                    await self._presign(begin.job, key, begin, leader)
                case SignJob():
                    request = await self._wait_for_request(begin.job, key.domain)
                    seen = await look_for(request.request, self.inspector)
                    await self._sign(begin.job, key, replace(request, request=seen), begin, leader)
                    self.count("signatures followed")
        except (JobFailed, NotConfirmed, ValueError) as error:
            self.count("followed jobs failed")
            logger.info("a job of participant %d failed: %s", leader, error)
            self._refuse(leader, begin, str(error))
        finally:
            self._following[leader, kind] -= 1

    def _refuse(self, leader: int, begin: Begin, reason: str) -> None:
        channel = compute_channel(self.contract_id, leader, begin)
        others = set(begin.job.signers) - {self.me}
        self._tell(others, End(begin.epoch_id, channel, reason[:200]))

    def _check_job(self, leader: int, begin: Begin) -> Key:
        """Whether a job is one that its leader may begin with this node. Raises JobFailed."""
        view, job = self._view, begin.job
        key = view.keys.get(job.domain_id) if view is not None else None
        if view is None or key is None or begin.epoch_id != view.epoch_id:
            raise JobFailed(f"domain {job.domain_id} has no key in epoch {begin.epoch_id}")
        signers = set(job.signers)
        is_set = len(signers) == len(job.signers) == key.domain.signer_count and signers <= set(view.ids)
        if not is_set or tuple(sorted(signers)) != job.signers or not {leader, self.me} <= signers:
            raise JobFailed("these are not signers of this job")
        id_ = job.id if isinstance(job, PresignJob) else job.presignature
        if id_ is not None and (len(id_) != 16 or get_owner(id_) != leader):
            raise JobFailed("the presignature is another participant's")
        if isinstance(job, SignJob) and id_ is None and key.domain.scheme.needs_stock:
            raise JobFailed("this domain signs with presignatures")
        return key

    async def _wait_for_request(self, job: SignJob, domain: Domain) -> Request:
        """The request as this node has seen it. Raises JobFailed."""
        busy = sum(self._following.values()) // BUSY_SIGNATURES
        # A leader who needs this node tells the caller; one that does not asks another.
        wait_s = EXACT_FOLLOWED_S_MAX if domain.scheme.needs_all else REQUEST_WAIT_S_MAX
        try:
            async with self._watch.timeout(wait_s * (1 + busy)):
                while (found := self._requests.get(job.request_key)) is None:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise JobFailed("this node has not seen the request") from None
        request, _ = found
        if request.request.domain_id != job.domain_id:
            raise JobFailed("the request is for another domain")
        self._followed[job.request_key] += 1
        if self._followed[job.request_key] > FOLLOWED_PER_REQUEST_MAX:
            raise JobFailed("the request was tried too often")
        return request

    # Stock.

    async def _presign(self, job: PresignJob, key: Key, begin: Begin, leader: int) -> None:
        share = self._find_share(key)
        if share is None:
            raise JobFailed(f"this node has no share of domain {job.domain_id}")
        prefix = number_presignature(job.id, 0)
        if prefix in self._making:
            raise JobFailed("this stock is being made")
        self._making.add(prefix)
        presign = key.domain.scheme.presign
        if presign is None:
            raise JobFailed("this domain has no stock")

        async def keep(channel: Channel, made: list[Secret]) -> None:
            """The owner keeps it when all others have it: it uses nothing that is not everywhere."""
            if leader == self.me:
                await self._channels.wait_for_all(channel)
            await asyncio.to_thread(self._keep_made, job, begin.epoch_id, made)
            if leader != self.me:
                self._channels.confirm(channel)

        try:
            await self._take_part(
                compute_channel(self.contract_id, leader, begin),
                begin.epoch_id,
                job.signers,
                presign(Member(self.me, share, job.signers, key.domain.threshold, leader)),
                PRESIGN_S_MAX,
                begin=begin if leader == self.me else None,
                keep=keep,
            )
        finally:
            # Others may announce what they have before this node has it, and the other way round.
            asyncio.get_running_loop().call_later(PRESIGN_S_MAX, self._making.discard, prefix)

    async def lead_presigning(self, view: NetworkView, key: Key, signers: tuple[int, ...]) -> None:
        """Make stock of this node's own with these signers. Raises JobFailed."""
        job = PresignJob(key.domain.id, signers, make_presignature_id(self.me))
        await self._presign(job, key, Begin(view.epoch_id, os.urandom(16), job), self.me)

    def _keep_made(self, job: PresignJob, epoch_id: int, made: list[Secret]) -> None:
        if not self._is_of_epoch(epoch_id):
            raise JobFailed("the epoch is over")
        self.store.put_presignatures(job.id, job.domain_id, epoch_id, job.signers, made)
        self.counts["presignatures made"] += len(made)

    async def _keep_stock(self) -> None:
        """Make what is lacking, again and again."""
        maker = StockMaker(self.me, self._doubts, self.lead_presigning, self.count)
        try:
            while True:
                await asyncio.sleep(STOCK_PAUSE_S)
                view = self._view
                if view is None or self.me not in view.ids or view.event is not None:
                    continue
                lacking = await asyncio.to_thread(self._list_lacking, view)
                if not await maker.make(view, self.heard, lacking):
                    self._was_stocked = self._was_stocked or self.is_stocked
        finally:
            await maker.end()

    def _list_lacking(self, view: NetworkView) -> list[tuple[int, int, tuple[int, ...]]]:
        purposes = {"Sign", "ForeignTx"} if self.inspector.urls else {"Sign"}
        keys = [
            key
            for key in view.keys.values()
            if key.domain.purpose in purposes and self._find_share(key) is not None
        ]
        return list_lacking(self.store, self.me, view.ids, keys, self._stock)

    @property
    def is_stocked(self) -> bool:
        """Whether keys are made and this node has all the stock that it keeps."""
        view = self._view
        return view is not None and bool(view.keys) and view.event is None and not self._list_lacking(view)

    async def _keep_announcing(self) -> None:
        while True:
            await asyncio.sleep(ANNOUNCE_PAUSE_S)
            for participant in self.connected:
                self._announce(participant)

    def _announce(self, participant: int) -> None:
        """Tell a participant what this node has made with it."""
        if self._view is None:
            return
        # With what is being used just now: a signer must not drop it before it is asked for it.
        owned = self.store.list_owned(self.me) | self._in_use
        ids = [id_ for id_, signers in owned.items() if participant in signers]
        self._tell([participant], Announce(self._view.epoch_id, ids[:IDS_MAX]))

    def _is_in_use(self, id_: bytes) -> bool:
        """Whether it is being used, or made: then not everybody has it."""
        return id_ in self._in_use or number_presignature(id_, 0) in self._making

    async def _compare_stock(self, owner: int, announced: list[bytes]) -> None:
        """An owner's list: drop what it does not know, tell it what is not here."""
        held = await asyncio.to_thread(self.store.list_owned, owner)
        known = set(announced)
        orphaned = [id_ for id_ in held if id_ not in known and not self._is_in_use(id_)]
        if orphaned and len(announced) < IDS_MAX:
            self.counts["orphaned stock dropped"] += await asyncio.to_thread(
                self.store.drop_presignatures, orphaned
            )
        missing = [id_ for id_ in announced if id_ not in held and not self._is_in_use(id_)]
        if missing and self._view is not None:
            self._tell([owner], Unknown(self._view.epoch_id, missing))

    async def _drop_unknown(self, participant: int, ids: list[bytes]) -> None:
        """A signer does not hold this stock of ours: nobody can use it."""
        owned = await asyncio.to_thread(self.store.list_owned, self.me)
        useless = [id_ for id_ in ids if participant in owned.get(id_, ()) and not self._is_in_use(id_)]
        if useless:
            self.counts["orphaned stock dropped"] += await asyncio.to_thread(
                self.store.drop_presignatures, useless
            )
