"""Signing nodes of one process: each with its own store and account, their protocol messages moved natively.

Nobody here holds a key: each node has its share, and what the nodes tell each other stays inside the protocol runs.
"""

import asyncio
import itertools
import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hither.mpc import protocols
from hither.mpc.choice import list_signer_choices
from hither.mpc.contract import Key, KeyEvent, NetworkView
from hither.mpc.engine import Request
from hither.mpc.foreign_requests import ForeignTxRequest
from hither.mpc.inspector import Inspector, NotConfirmed
from hither.mpc.protocols import ProtocolFailure, Secret
from hither.mpc.requests import (
    Answer,
    EcdsaPayload,
    EcdsaSignature,
    ForeignTxAnswer,
    SignatureRequest,
)
from hither.mpc.schemes import Domain, Member, Steps, Task, run_together
from hither.mpc.signers import KeyFailed, NotSigned, StockLacking
from hither.mpc.store import NodeStore, make_presignature_id, read_or_make_key

logger = logging.getLogger(__name__)

REFILL_NICENESS: Final = 10
REFILL_PAUSE_S: Final = 0.2
ROOT_TWEAK: Final = bytes(32)
"""Facts are signed under a domain's root key itself."""


Work = Callable[[Mapping[int, Steps[list[Secret]]]], dict[int, list[Secret]]]
"""Runs a job with all its signers."""


def _be_nice() -> None:
    """Of this thread alone; the system takes what is too much for the most."""
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + REFILL_NICENESS)


@dataclass(slots=True)
class LocalNode:
    """One participant of the network."""

    participant: int
    store: NodeStore


def make_context(contract_id: str, event: KeyEvent, attempt_id: int) -> bytes:
    """Names an attempt at a key, the same at every participant; bound into its whole transcript."""
    return f"{contract_id} epoch {event.epoch_id}, domain {event.domain.id}, attempt {attempt_id}".encode()


def start_key(
    contract_id: str, view: NetworkView, event: KeyEvent, attempt_id: int, me: int, store: NodeStore
) -> protocols.ProtocolRun:
    """A participant's side of making a key, or of sharing one anew. Raises ValueError."""
    context = make_context(contract_id, event, attempt_id)
    members = [participant.id for participant in event.participants]
    domain = event.domain
    if event.old is None:
        return protocols.start_keygen(domain.curve, context, members, me, domain.threshold)
    held = (
        store.get_share_optional(domain.id, view.epoch_id, event.old.attempt_id) if me in view.ids else None
    )
    return protocols.start_reshare(
        domain.curve,
        context,
        members,
        me,
        domain.threshold,
        old_participants=list(view.ids),
        old_threshold=event.old.domain.threshold,
        old_public_key=event.old.public_key,
        old_share=held,
    )


def list_signer_sets(participants: Collection[int], domain: Domain) -> list[tuple[int, ...]]:
    """Every set of participants that can sign for a domain."""
    return list(itertools.combinations(sorted(participants), domain.signer_count))


def count_wanted(participants: Collection[int], domain: Domain, total: int | None = None) -> int:
    """How much stock each signer set keeps, so that all together keep what the domain's protocol wants."""
    sets = len(list_signer_sets(participants, domain))
    wanted = domain.scheme.stock if total is None else total
    return -(-wanted // (1 if domain.scheme.is_stock_per_set else max(1, sets)))


class LocalNetwork:
    """Nodes of one process. Methods that run protocols block; the asynchronous ones run them in worker threads."""

    def __init__(
        self,
        folder: Path,
        size: int = 3,
        contract_id: str = "",
        stock: Mapping[str, int] | None = None,
        inspector: Inspector | None = None,
    ) -> None:
        self.contract_id = contract_id
        self.inspector = inspector or Inspector({})
        self.nodes: dict[int, LocalNode] = {}
        self._folder = folder
        self._stock = stock or {}
        for participant in range(size):
            self.add_node(participant)
        self._view: NetworkView | None = None
        self._is_ending = threading.Event()
        self._refill: threading.Thread | None = None
        self._refilling = ThreadPoolExecutor(1, "mpc-presign", initializer=_be_nice)

    def add_node(self, participant: int) -> LocalNode:
        """A node with a store of its own, made if there is none."""
        home = self._folder / f"node{participant}"
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = NodeStore(home / "store.sqlite", read_or_make_key(home / "store.key"))
        node = self.nodes[participant] = LocalNode(participant, store)
        return node

    def close(self) -> None:
        """End the refilling of stock and close the stores."""
        self._is_ending.set()
        if self._refill is not None:
            self._refill.join()
        self._refilling.shutdown()
        for node in self.nodes.values():
            node.store.close()

    def get_mine(self, view: NetworkView) -> frozenset[int]:
        """All that have a node here."""
        return frozenset(participant.id for participant in view.everyone) & self.nodes.keys()

    def get_alive(self, height: int) -> frozenset[int]:
        """Nodes of one process live and read the chain together."""
        return frozenset(self.nodes)

    def set_view(self, view: NetworkView) -> None:
        """The contract says this now."""
        self._view = view
        if view.event is None:
            for node in self.nodes.values():
                node.store.erase_others(view.epoch_id, view.attempts)

    def has_shares(self, view: NetworkView) -> bool:
        """Whether every node still has its shares."""
        return all(
            self.nodes[me].store.get_share_optional(key.domain.id, view.epoch_id, key.attempt_id) is not None
            for me in self.get_mine(view) & frozenset(view.ids)
            for key in view.keys.values()
        )

    def find_key(self, event: KeyEvent, attempt_id: int, participant: int) -> bytes | None:
        """Of a share that an attempt left on disk."""
        share = self.nodes[participant].store.get_share_optional(event.domain.id, event.epoch_id, attempt_id)
        return None if share is None else protocols.public_key_of_share(event.domain.curve, share)

    async def make_key(self, view: NetworkView, event: KeyEvent, attempt_id: int) -> bytes:
        """In a worker thread."""
        return await asyncio.to_thread(self.make_key_now, view, event, attempt_id)

    async def sign(self, request: Request, view: NetworkView, order: Sequence[int]) -> Answer:
        """In a worker thread; what is said of other chains only after every signer has looked for itself."""
        question = request.request
        if not isinstance(question, ForeignTxRequest):
            return await asyncio.to_thread(self.sign_now, request, view, order)
        payload_hash = await self._inspect(question, view, order)
        inner = SignatureRequest(ROOT_TWEAK, EcdsaPayload(payload_hash), question.domain_id)
        answer = await asyncio.to_thread(self.sign_now, replace(request, request=inner), view, order)
        assert isinstance(answer, EcdsaSignature), "such domains sign ECDSA alone"
        return ForeignTxAnswer(payload_hash, answer)

    async def _inspect(self, question: ForeignTxRequest, view: NetworkView, order: Sequence[int]) -> bytes:
        key = view.keys.get(question.domain_id)
        if key is None:
            raise NotSigned(f"domain {question.domain_id} has no key here")
        try:
            found = await asyncio.gather(
                *(self.inspector.inspect(question.question) for _ in order[: key.domain.signer_count])
            )
        except NotConfirmed as error:
            raise NotSigned(str(error), error.code) from error
        if len(set(found)) != 1:
            raise NotSigned("signers saw different things on the other chain")
        if question.expected_payload_hash not in (None, found[0]):
            raise NotSigned("the other chain says something else", "ForeignTransactionNotConfirmed")
        return found[0]

    def note_request(self, request: Request) -> None:
        """Nobody else leads."""

    def forget_requests(self) -> None:
        """Nothing was noted."""

    def tell_passed(self, request: Request) -> None:
        """Nobody else waits."""

    def make_key_now(self, view: NetworkView, event: KeyEvent, attempt_id: int) -> bytes:
        """Run a key event; every share is on disk on return. Returns the public key. Raises KeyFailed."""
        domain = event.domain
        members = [participant.id for participant in event.participants]
        missing = set(members) - self.nodes.keys()
        if missing:
            raise KeyFailed(f"participants {sorted(missing)} have no node here")
        try:
            runs = [
                (me, start_key(self.contract_id, view, event, attempt_id, me, self.nodes[me].store))
                for me in members
            ]
            shares = dict(protocols.run_protocols(runs))
        except ValueError as error:
            raise KeyFailed(str(error)) from error
        except ProtocolFailure as failure:
            raise KeyFailed(str(failure.args[0])) from failure
        keys = {protocols.public_key_of_share(domain.curve, share) for share in shares.values()}
        assert len(keys) == 1, "key generation ends with one key or fails"
        for me, share in shares.items():
            self.nodes[me].store.put_share(domain.id, event.epoch_id, attempt_id, share)
        return keys.pop()

    def _make_member(self, key: Key, epoch_id: int, me: int, signers: tuple[int, ...], leader: int) -> Member:
        share = self.nodes[me].store.get_share_optional(key.domain.id, epoch_id, key.attempt_id)
        assert share is not None, f"participant {me} has lost its share of domain {key.domain.id}"
        return Member(me, share, signers, key.domain.threshold, leader)

    def count_stock(self, domain: Domain, participants: Collection[int]) -> int:
        """Presignatures of all signer sets."""
        return sum(
            len(self._list_stock(domain, signers)) for signers in list_signer_sets(participants, domain)
        )

    def _list_stock(self, domain: Domain, signers: Sequence[int]) -> list[bytes]:
        return self.nodes[signers[0]].store.list_presignatures(domain.id, signers)

    def add_stock(
        self, key: Key, epoch_id: int, signers: tuple[int, ...], owner: int, work: Work = run_together
    ) -> None:
        """Have one job make presignatures of these signers."""
        members = {me: self._make_member(key, epoch_id, me, signers, owner) for me in signers}
        presign = key.domain.scheme.presign
        assert presign is not None, f"{key.domain.protocol} has no stock"
        made = work({me: presign(member) for me, member in members.items()})
        id_ = make_presignature_id(owner)
        for me, presignatures in made.items():
            self.nodes[me].store.put_presignatures(id_, key.domain.id, epoch_id, signers, presignatures)

    def fill_stock(
        self, view: NetworkView, purposes: Collection[str] = ("Sign",), work: Work = run_together
    ) -> None:
        """Make what is missing, the scarcest first, until nothing is or the network closes."""
        while not self._is_ending.is_set() and self._view is view:
            lacking = [
                (count, key.domain.id, signers)
                for key in view.keys.values()
                if key.domain.purpose in purposes and key.domain.scheme.presign is not None
                for signers in list_signer_sets(view.ids, key.domain)
                if (count := len(self._list_stock(key.domain, signers)))
                < self._count_wanted(view, key.domain)
            ]
            if not lacking:
                return
            count, domain_id, signers = min(lacking)
            owner = signers[count % len(signers)]
            self.add_stock(view.keys[domain_id], view.epoch_id, signers, owner, work)

    def _count_wanted(self, view: NetworkView, domain: Domain) -> int:
        return count_wanted(view.ids, domain, self._stock.get(domain.protocol))

    def keep_stock(self) -> None:
        """Refill in threads of its own: the work has a lower priority than everything that somebody waits for.

        What it does with the stores has not, for a thread of low priority that is put off while it holds a lock puts
        off everybody who waits for that.
        """

        def work(jobs: Mapping[int, Steps[list[Secret]]]) -> dict[int, list[Secret]]:
            return self._refilling.submit(run_together, jobs).result()

        def run() -> None:
            while not self._is_ending.wait(REFILL_PAUSE_S):
                view = self._view
                if view is None:
                    continue
                try:
                    self.fill_stock(view, work=work)
                    self.fill_stock(view, ("Sign", "ForeignTx"), work)
                except (ProtocolFailure, AssertionError) as error:
                    # A share may go while its stock is being made: the next round has the new one.
                    logger.warning("no stock was made: %s", error)

        assert self._refill is None
        self._refill = threading.Thread(target=run, name="mpc-stock", daemon=True)
        self._refill.start()

    def sign_now(self, request: Request, view: NetworkView, order: Sequence[int]) -> Answer:
        """Sign with the first signers in ``order`` that can. Raises NotSigned."""
        key = view.keys.get(request.request.domain_id)
        if key is None:
            raise NotSigned(f"domain {request.request.domain_id} has no key here")
        signers, presignatures = self._take_stock(key, view.epoch_id, order)
        task = Task(request.request, request.entropy)
        members = {me: self._make_member(key, view.epoch_id, me, signers, order[0]) for me in signers}
        try:
            scheme = key.domain.scheme
            jobs = {me: scheme.sign(member, task, presignatures.get(me)) for me, member in members.items()}
            answer = run_together(jobs)[order[0]]
        except (ProtocolFailure, ValueError) as failure:
            raise NotSigned(str(failure.args[0])) from failure
        assert answer is not None, "the leader gets the answer"
        return answer

    def _take_stock(
        self, key: Key, epoch_id: int, order: Sequence[int]
    ) -> tuple[tuple[int, ...], dict[int, Secret]]:
        """A presignature of the first set in order that has one, deleted at each of its signers."""
        domain = key.domain
        leader, *others = order
        sets = list_signer_choices(domain, leader, others)
        for signers in sets:
            for id_ in self._list_stock(domain, signers):
                found: dict[int, Secret] = {}
                for me in signers:
                    secret = self.nodes[me].store.take_presignature(id_, domain.id, epoch_id, signers)
                    if secret is None:
                        break  # Another thread was quicker: what the others hold of it is that one's.
                    found[me] = secret
                else:
                    return signers, found
        if domain.scheme.needs_stock:
            raise StockLacking()
        return sets[0], {}
