"""How each protocol of the contract signs: a table with a row for each, and what a job does at one signer.

A job is a generator: it hands out protocol runs one after another, is sent each run's result, and returns what came of
it. Who moves the messages of a run is the caller's: natively for nodes of one process, over TLS between processes. A new protocol is
a row here; nothing else of the node knows their names.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeVar

from hither.mpc import protocols
from hither.mpc.protocols import Curve, ProtocolRun, Secret
from hither.mpc.requests import EcdsaPayload, EcdsaSignature, EddsaPayload, EddsaSignature, Payload, Signature

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
    """One signer of a job: its share, and with whom it signs."""

    me: int
    share: Secret
    signers: tuple[int, ...]
    threshold: int


@dataclass(frozen=True, slots=True)
class Task:
    """What is signed: the same at every signer, each taking it from its own view of the chain."""

    tweak: bytes
    payload: Payload
    entropy: bytes


@dataclass(frozen=True, slots=True)
class Scheme:
    """A row: how a protocol makes stock and signs.

    ``stock`` is how much a network keeps of all sets together, ``batch`` how much one job makes. ``is_agreed``: signers
    confirm the whole job to each other before any share leaves.
    """

    curve: Curve
    count_signers: Callable[[int], int]
    presign: Callable[[Member], Steps[list[Secret]]]
    sign: Callable[[Member, Task, Secret | None], Steps[Signature]]
    batch: int
    stock: int
    needs_stock: bool
    is_agreed: bool = False


def _presign_cait_sith(member: Member) -> Steps[list[Secret]]:
    """Two triples of exactly the signers, then a presignature: nobody else need be there."""
    signers = list(member.signers)
    first = yield protocols.start_triple(signers, member.me, member.threshold)
    second = yield protocols.start_triple(signers, member.me, member.threshold)
    presignature = yield protocols.start_ecdsa_presign(member.share, signers, first, second)
    return [presignature]


def _sign_cait_sith(member: Member, task: Task, presignature: Secret | None) -> Steps[Signature]:
    assert isinstance(task.payload, EcdsaPayload) and presignature is not None
    result = yield protocols.start_ecdsa_sign(
        member.share, list(member.signers), task.tweak, task.payload.digest, task.entropy, presignature
    )
    return read_ecdsa(result)


def read_ecdsa(result: Secret) -> EcdsaSignature:
    """What every ECDSA run ends with: nonce point, s, recovery id."""
    data = result.expose()
    return EcdsaSignature(data[:33], data[33:65], data[65])


FROST_BATCH: Final = 16


def _presign_frost(member: Member) -> Steps[list[Secret]]:
    made: list[Secret] = []
    while len(made) < FROST_BATCH:
        presignature = yield protocols.start_eddsa_presign(member.share, list(member.signers))
        made.append(presignature)
    return made


def _sign_frost(member: Member, task: Task, presignature: Secret | None) -> Steps[Signature]:
    """One round with nonces from stock, two without."""
    assert isinstance(task.payload, EddsaPayload)
    result = yield protocols.start_eddsa_sign(
        member.share, list(member.signers), member.me, task.tweak, task.payload.message, presignature
    )
    return EddsaSignature(result.expose())


SCHEMES: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        "CaitSith": Scheme(
            "secp256k1",
            lambda threshold: threshold,
            _presign_cait_sith,
            _sign_cait_sith,
            batch=1,
            stock=8,
            needs_stock=True,
        ),
        "Frost": Scheme(
            "ed25519",
            lambda threshold: threshold,
            _presign_frost,
            _sign_frost,
            batch=FROST_BATCH,
            stock=64,
            needs_stock=False,
        ),
    }
)
"""By the contract's name of the protocol."""


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
