"""How each protocol of the contract signs: a table with a row for each, and what a job does at one signer.

A job is a generator: it hands out protocol runs one after another, is sent each run's result, and returns what came of
it. Who moves the messages of a run is the caller's: natively for nodes of one process, over TLS between processes.
A new protocol is a row here; nothing else of the node knows their names.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, TypeVar

from hither.mpc import protocols
from hither.mpc.protocols import Curve, ProtocolRun, Secret
from hither.mpc.requests import (
    G1_BYTES,
    Answer,
    AnyRequest,
    AppKey,
    AppKeyRequest,
    EcdsaPayload,
    EcdsaSignature,
    EddsaPayload,
    EddsaSignature,
    SignatureRequest,
    VerifiableAppPublicKey,
)

T = TypeVar("T")
Steps = Generator[ProtocolRun, Secret, T]
"""One signer's side of a job: yields runs, is sent their results, returns its own."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain that the contract runs: its id, how it signs, what for, and how many shares make its key."""

    id: int
    protocol: str
    purpose: str
    threshold: int

    @property
    def scheme(self) -> "Scheme":
        """How it signs."""
        return SCHEMES[self.protocol]

    @property
    def curve(self) -> Curve:
        """Where its keys live."""
        return self.scheme.curve

    @property
    def signer_count(self) -> int:
        """So many take part in each signature, and in the presignature before it."""
        return self.scheme.count_signers(self.threshold)


@dataclass(frozen=True, slots=True)
class Member:
    """One signer of a job: its share, with whom it signs, and who leads."""

    me: int
    share: Secret
    signers: tuple[int, ...]
    threshold: int
    leader: int


@dataclass(frozen=True, slots=True)
class Task:
    """What is answered: the same at every signer, each taking it from its own view of the chain."""

    request: AnyRequest
    entropy: bytes


@dataclass(frozen=True, slots=True)
class Scheme:
    """A row: how a protocol makes stock and signs. Who does not lead may get nothing of the answer.

    ``presign`` is None where nothing is made beforehand; ``batch`` is how much one job makes. ``stock`` is how much a
    network keeps, of all signer sets together or of each.
    """

    curve: Curve
    count_signers: Callable[[int], int]
    sign: Callable[[Member, Task, Secret | None], Steps[Answer | None]]
    presign: Callable[[Member], Steps[list[Secret]]] | None = None
    batch: int = 0
    stock: int = 0
    is_stock_per_set: bool = False
    needs_stock: bool = False
    needs_all: bool = False
    """Every signer set is exact: one that is missing cannot be done without."""


def _presign_cait_sith(member: Member) -> Steps[list[Secret]]:
    """Two triples of exactly the signers, then a presignature: nobody else need be there."""
    signers = list(member.signers)
    first = yield protocols.start_triple(signers, member.me, member.threshold)
    second = yield protocols.start_triple(signers, member.me, member.threshold)
    presignature = yield protocols.start_ecdsa_presign(member.share, signers, first, second)
    return [presignature]


def _sign_cait_sith(member: Member, task: Task, presignature: Secret | None) -> Steps[Answer | None]:
    request = task.request
    assert isinstance(request, SignatureRequest) and isinstance(request.payload, EcdsaPayload)
    assert presignature is not None
    result = yield protocols.start_ecdsa_sign(
        member.share,
        list(member.signers),
        request.tweak,
        request.payload.digest,
        task.entropy,
        presignature,
    )
    return _read_ecdsa(result)


def _read_ecdsa(result: Secret) -> EcdsaSignature | None:
    """What every ECDSA run ends with: nonce point, s, recovery id; or nothing, where another gets it."""
    data = result.expose()
    return EcdsaSignature(data[:33], data[33:65], data[65]) if data else None


BATCH: Final = 16


def _presign_batch(start: Callable[[Secret, list[int]], ProtocolRun], member: Member) -> Steps[list[Secret]]:
    """So many presignatures at once, one run of the protocol after another."""
    made: list[Secret] = []
    while len(made) < BATCH:
        presignature = yield start(member.share, list(member.signers))
        made.append(presignature)
    return made


def _sign_robust(member: Member, task: Task, presignature: Secret | None) -> Steps[Answer | None]:
    """The run itself lets no share out before all have confirmed the same request."""
    request = task.request
    assert isinstance(request, SignatureRequest) and isinstance(request.payload, EcdsaPayload)
    assert presignature is not None
    result = yield protocols.start_robust_sign(
        member.share,
        list(member.signers),
        member.leader,
        request.tweak,
        request.payload.digest,
        task.entropy,
        presignature,
    )
    return _read_ecdsa(result)


def _sign_frost(member: Member, task: Task, presignature: Secret | None) -> Steps[Answer | None]:
    """One round with nonces from stock, two without."""
    request = task.request
    assert isinstance(request, SignatureRequest) and isinstance(request.payload, EddsaPayload)
    result = yield protocols.start_eddsa_sign(
        member.share, list(member.signers), member.me, request.tweak, request.payload.message, presignature
    )
    return EddsaSignature(result.expose())


def _derive_app_key(member: Member, task: Task, _presignature: Secret | None) -> Steps[Answer | None]:
    request = task.request
    assert isinstance(request, AppKeyRequest)
    key = request.app_public_key
    halves = (key.first, key.second if isinstance(key, VerifiableAppPublicKey) else None)
    result = yield protocols.start_app_key(
        member.share, list(member.signers), member.leader, request.app_id, halves
    )
    data = result.expose()
    return AppKey(data[:G1_BYTES], data[G1_BYTES:]) if data else None


def _count_threshold(threshold: int) -> int:
    return threshold


SCHEMES: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        "CaitSith": Scheme(
            curve="secp256k1",
            count_signers=_count_threshold,
            presign=_presign_cait_sith,
            sign=_sign_cait_sith,
            batch=1,
            stock=8,
            needs_stock=True,
        ),
        "DamgardEtAl": Scheme(
            curve="secp256k1",
            count_signers=lambda threshold: 2 * threshold - 1,
            presign=partial(_presign_batch, protocols.start_robust_presign),
            sign=_sign_robust,
            batch=BATCH,
            stock=64,
            is_stock_per_set=True,
            needs_stock=True,
            needs_all=True,
        ),
        "Frost": Scheme(
            curve="ed25519",
            count_signers=_count_threshold,
            presign=partial(_presign_batch, protocols.start_eddsa_presign),
            sign=_sign_frost,
            batch=BATCH,
            stock=64,
        ),
        "ConfidentialKeyDerivation": Scheme(
            curve="bls12381", count_signers=_count_threshold, sign=_derive_app_key
        ),
    }
)
"""By the contract's name of the protocol."""


def run_once(run: ProtocolRun) -> Steps[Secret]:
    """A job of a single run."""
    result = yield run
    return result


def run_together(jobs: Mapping[int, Steps[T]]) -> dict[int, T]:
    """Run a job with all its signers in this process; messages move natively. Raises ProtocolFailure."""
    runs = {me: next(steps) for me, steps in jobs.items()}
    while True:
        results = dict(protocols.run_protocols(list(runs.items())))
        runs, ended = {}, {}
        for me, steps in jobs.items():
            try:
                runs[me] = steps.send(results[me])
            except StopIteration as stop:
                ended[me] = stop.value
        if ended:
            assert not runs, "a job has the same steps at every signer"
            return ended
