"""Signing nodes of one process: each with its own store and account, their protocol messages moved natively.

Nobody here holds a key: each node has its share, and what the nodes tell each other stays inside the protocol runs.
"""

import itertools
import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hither.mpc import protocols
from hither.mpc.engine import Request
from hither.mpc.protocols import Curve, ProtocolFailure, ProtocolRun, Secret
from hither.mpc.requests import EcdsaPayload, EcdsaSignature, EddsaPayload, EddsaSignature, Signature
from hither.mpc.store import NodeStore, read_or_make_key

logger = logging.getLogger(__name__)

REFILL_NICENESS: Final = 10
REFILL_PAUSE_S: Final = 0.2
NO_STOCK = "no presignature is in stock"


class NotSigned(Exception):
    """No signature came of it; the message says why. Worth another try with other signers."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain that the contract runs: its id and how it signs."""

    id: int
    curve: Curve
    purpose: str


@dataclass(slots=True)
class LocalNode:
    """One participant of the network."""

    participant: int
    store: NodeStore

    def must_share(self, domain_id: int, epoch_id: int) -> Secret:
        """Its share of a domain's key."""
        share = self.store.get_share_optional(domain_id, epoch_id)
        assert share is not None, f"participant {self.participant} has lost its share of domain {domain_id}"
        return share


class LocalNetwork:
    """n nodes, t of which sign. Methods that run protocols block: call them from a worker thread."""

    def __init__(self, folder: Path, size: int = 3, threshold: int = 2) -> None:
        assert 2 <= threshold <= size
        self.threshold = threshold
        self.nodes: dict[int, LocalNode] = {}
        for participant in range(size):
            home = folder / f"node{participant}"
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            store = NodeStore(home / "store.sqlite", read_or_make_key(home / "store.key"))
            self.nodes[participant] = LocalNode(participant, store)
        self._is_ending = threading.Event()
        self._refill: threading.Thread | None = None

    @property
    def participants(self) -> list[int]:
        """All participants' numbers."""
        return sorted(self.nodes)

    @property
    def signer_sets(self) -> list[tuple[int, ...]]:
        """Every set of exactly the threshold."""
        return list(itertools.combinations(self.participants, self.threshold))

    def close(self) -> None:
        """End the refilling of stock and close the stores."""
        self._is_ending.set()
        if self._refill is not None:
            self._refill.join()
        for node in self.nodes.values():
            node.store.close()

    def generate_key(self, domain: Domain, epoch_id: int, attempt_id: int) -> bytes:
        """Run the key generation; every share is on disk on return. Returns the compressed public key.

        Raises ProtocolFailure.
        """
        context = f"epoch {epoch_id}, domain {domain.id}, attempt {attempt_id}".encode()
        runs = [
            (me, protocols.start_keygen(domain.curve, context, self.participants, me, self.threshold))
            for me in self.participants
        ]
        shares = dict(protocols.run_protocols(runs))
        keys = {protocols.public_key_of_share(domain.curve, share) for share in shares.values()}
        assert len(keys) == 1, "key generation ends with one key or fails"
        for me, share in shares.items():
            self.nodes[me].store.put_share(domain.id, epoch_id, share)
        return keys.pop()

    def has_shares(self, domain_id: int, epoch_id: int) -> bool:
        """Whether every node still has its share."""
        return all(
            node.store.get_share_optional(domain_id, epoch_id) is not None for node in self.nodes.values()
        )

    def count_stock(self, domain: Domain) -> int:
        """Presignatures of all signer sets."""
        return sum(
            len(self.nodes[signers[0]].store.list_presignatures(domain.id, signers))
            for signers in self.signer_sets
        )

    def add_stock(self, domain: Domain, epoch_id: int, signers: Sequence[int]) -> None:
        """Make one ECDSA presignature of these signers: two triples of all participants, then one round among them."""
        first, second = self._make_triple(), self._make_triple()
        runs = [
            (
                me,
                protocols.start_ecdsa_presign(
                    self.nodes[me].must_share(domain.id, epoch_id), list(signers), first[me], second[me]
                ),
            )
            for me in signers
        ]
        id_ = os.urandom(16)
        for me, presignature in protocols.run_protocols(runs):
            self.nodes[me].store.put_presignature(id_, domain.id, signers, presignature)

    def _make_triple(self) -> dict[int, Secret]:
        runs = [
            (me, protocols.start_triple(self.participants, me, self.threshold)) for me in self.participants
        ]
        return dict(protocols.run_protocols(runs))

    def fill_stock(self, domains: Sequence[Domain], epoch_id: int, per_set: int) -> None:
        """Make what is missing, evenly over the signer sets, until each has ``per_set`` or the network closes."""
        wanted = [
            (len(self.nodes[signers[0]].store.list_presignatures(domain.id, signers)), domain, signers)
            for domain in domains
            if domain.curve == "secp256k1"
            for signers in self.signer_sets
        ]
        for level in range(per_set):
            for count, domain, signers in wanted:
                if self._is_ending.is_set():
                    return
                if count <= level:
                    self.add_stock(domain, epoch_id, signers)

    def keep_stock(self, domains: Sequence[Domain], epoch_id: int, per_set: int) -> None:
        """Refill in a thread of its own, of lower priority than everything that somebody waits for."""

        def run() -> None:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), REFILL_NICENESS)
            while not self._is_ending.wait(REFILL_PAUSE_S):
                self.fill_stock(domains, epoch_id, per_set)

        assert self._refill is None
        self._refill = threading.Thread(target=run, name="mpc-stock", daemon=True)
        self._refill.start()

    def sign(self, request: Request, epoch_id: int, order: Sequence[int]) -> Signature:
        """Sign with the first signers in ``order`` that can. Raises NotSigned."""
        payload = request.request.payload
        try:
            if isinstance(payload, EddsaPayload):
                return self._sign_eddsa(request, payload, epoch_id, sorted(order[: self.threshold]))
            return self._sign_ecdsa(request, payload, epoch_id, order)
        except ProtocolFailure as failure:
            raise NotSigned(str(failure.args[0])) from failure

    def _sign_eddsa(
        self, request: Request, payload: EddsaPayload, epoch_id: int, signers: list[int]
    ) -> EddsaSignature:
        tweak, domain_id = request.request.tweak, request.request.domain_id
        runs: list[tuple[int, ProtocolRun]] = []
        for me in signers:
            share = self.nodes[me].must_share(domain_id, epoch_id)
            runs.append((me, protocols.start_eddsa_sign(share, signers, me, tweak, payload.message)))
        return EddsaSignature(protocols.run_protocols(runs)[0][1].expose())

    def _sign_ecdsa(
        self, request: Request, payload: EcdsaPayload, epoch_id: int, order: Sequence[int]
    ) -> EcdsaSignature:
        domain_id = request.request.domain_id
        signers, presignatures = self._take_stock(domain_id, order)
        runs: list[tuple[int, ProtocolRun]] = []
        for me in signers:
            run = protocols.start_ecdsa_sign(
                self.nodes[me].must_share(domain_id, epoch_id),
                signers,
                request.request.tweak,
                payload.digest,
                request.entropy,
                presignatures[me],
            )
            runs.append((me, run))
        result = protocols.run_protocols(runs)[0][1].expose()
        return EcdsaSignature(result[:33], result[33:65], result[65])

    def _take_stock(self, domain_id: int, order: Sequence[int]) -> tuple[list[int], dict[int, Secret]]:
        """A presignature of the first set in order that has one, deleted at each of its signers."""
        leader, *others = order
        for rest in itertools.combinations(others, self.threshold - 1):
            signers = sorted((leader, *rest))
            for id_ in self.nodes[leader].store.list_presignatures(domain_id, signers):
                taken = {me: self.nodes[me].store.take_presignature(id_) for me in signers}
                found = {me: secret for me, secret in taken.items() if secret is not None}
                if len(found) == len(signers):
                    return signers, found
        raise NotSigned(NO_STOCK)
