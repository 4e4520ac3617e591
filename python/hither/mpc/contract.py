"""What the signer contract says about the network, read from its ``state`` view. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hither.codec import base58
from hither.foreign.secp256k1 import compress_point, decompress_key
from hither.mpc.protocols import Curve
from hither.mpc.requests import G2_BYTES
from hither.mpc.schemes import SCHEMES, Domain

EDDSA_KEY_BYTES: Final = 32


class UnknownState(Exception):
    """The contract's state is of a kind that this program does not know."""


@dataclass(frozen=True, slots=True)
class Participant:
    """A node as the contract lists it."""

    id: int
    account_id: str
    url: str
    tls_key: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """A domain with its root key, and the attempt that made this epoch's shares."""

    domain: Domain
    public_key: bytes
    attempt_id: int


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """A key that is being made or shared anew. ``attempt_id`` is None while nobody has started one.

    ``old`` is the key in force, None for a new one.
    """

    epoch_id: int
    domain: Domain
    participants: tuple[Participant, ...]
    attempt_id: int | None
    expires_on: int
    completed: tuple[int, ...]
    next_attempt_id: int
    old: Key | None = None

    @property
    def leader(self) -> int:
        """The lowest number starts attempts."""
        return min(participant.id for participant in self.participants)

    @property
    def is_reshare(self) -> bool:
        """Whether the key exists already."""
        return self.old is not None

    def identify(self, attempt_id: int) -> dict[str, int]:
        """As the contract's methods take it."""
        return {"epoch_id": self.epoch_id, "domain_id": self.domain.id, "attempt_id": attempt_id}


@dataclass(frozen=True, slots=True)
class NetworkView:
    """Who signs with which keys now, and the key event under way."""

    epoch_id: int
    threshold: int
    participants: tuple[Participant, ...]
    keys: Mapping[int, Key]
    has_domains: bool
    event: KeyEvent | None = None

    @property
    def ids(self) -> tuple[int, ...]:
        """Of those who sign now."""
        return tuple(sorted(participant.id for participant in self.participants))

    @property
    def leader_ids(self) -> tuple[int, ...]:
        """Those who sign now and may still answer: during a resharing only who stays may."""
        if self.event is None or not self.event.is_reshare:
            return self.ids
        staying = {participant.id for participant in self.event.participants}
        return tuple(id_ for id_ in self.ids if id_ in staying)

    @property
    def everyone(self) -> tuple[Participant, ...]:
        """Those who sign now and those who are to."""
        joining = self.event.participants if self.event is not None else ()
        known = {participant.id: participant for participant in (*joining, *self.participants)}
        return tuple(known[id_] for id_ in sorted(known))

    @property
    def epoch_ids(self) -> frozenset[int]:
        """Whose messages are taken."""
        return frozenset({self.epoch_id, self.event.epoch_id} if self.event is not None else {self.epoch_id})

    @property
    def attempts(self) -> dict[int, int]:
        """Of each domain's shares in force."""
        return {domain_id: key.attempt_id for domain_id, key in self.keys.items()}


def read_state(state: Any) -> NetworkView:
    """What ``state`` answered. Raises UnknownState."""
    try:
        ((kind, body),) = state.items()
        if kind == "Running":
            return _read_running(body)
        if kind == "Initializing":
            return _read_initializing(body)
        if kind == "Resharing":
            return _read_resharing(body)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UnknownState(f"the contract's state is not understood: {error!r}") from error
    raise UnknownState(f"the contract's state is not understood: {kind}")


def _read_running(body: dict[str, Any]) -> NetworkView:
    domains = _read_domains(body["domains"])
    participants, threshold = _read_parameters(body["parameters"])
    keys = _read_keys(body["keyset"]["domains"], domains)
    return NetworkView(
        body["keyset"]["epoch_id"], threshold, participants, keys, bool(body["domains"]["domains"])
    )


def _read_initializing(body: dict[str, Any]) -> NetworkView:
    event = body["generating_key"]
    participants, threshold = _read_parameters(event["parameters"])
    keys = _read_keys(body["generated_keys"], _read_domains(body["domains"]))
    return NetworkView(body["epoch_id"], threshold, participants, keys, True, _read_event(event, None, None))


def _read_resharing(body: dict[str, Any]) -> NetworkView:
    running = _read_running(body["previous_running_state"])
    event = body["resharing_key"]
    old = running.keys.get(event["domain"]["id"])
    thresholds = body.get("per_domain_thresholds") or {}
    resharing = _read_event(event, old, thresholds.get(str(event["domain"]["id"])))
    if old is None:
        raise UnknownState("a key is reshared that this program cannot use")
    return NetworkView(
        running.epoch_id, running.threshold, running.participants, running.keys, True, resharing
    )


def _read_event(event: dict[str, Any], old: Key | None, threshold: int | None) -> KeyEvent:
    domain = read_domain(
        event["domain"] | ({} if threshold is None else {"reconstruction_threshold": threshold})
    )
    participants, _ = _read_parameters(event["parameters"])
    instance = event["instance"]
    return KeyEvent(
        event["epoch_id"],
        domain,
        participants,
        None if instance is None else instance["attempt_id"],
        0 if instance is None else instance["expires_on"],
        () if instance is None else tuple(instance["completed"]),
        event["next_attempt_id"],
        old,
    )


def read_domain(json: dict[str, Any]) -> Domain:
    """A domain as the contract shows it."""
    return Domain(json["id"], json["protocol"], json["purpose"], json["reconstruction_threshold"])


def _read_domains(json: dict[str, Any]) -> dict[int, Domain]:
    """Those that this program can run; others are somebody else's."""
    domains = (read_domain(domain) for domain in json["domains"])
    return {domain.id: domain for domain in domains if domain.protocol in SCHEMES}


def _read_keys(entries: list[dict[str, Any]], domains: Mapping[int, Domain]) -> dict[int, Key]:
    keys = {}
    for entry in entries:
        domain = domains.get(entry["domain_id"])
        if domain is not None:
            keys[domain.id] = Key(domain, parse_public_key(get_key_text(entry)), entry["attempt"])
    return keys


def _read_parameters(parameters: dict[str, Any]) -> tuple[tuple[Participant, ...], int]:
    rows = parameters["participants"]["participants"]
    participants = (
        Participant(id_, account_id, info["url"], parse_tls_key(info["tls_public_key"]))
        for account_id, id_, info in rows
    )
    return tuple(sorted(participants, key=lambda participant: participant.id)), parameters["threshold"]


def get_key_text(entry: dict[str, Any]) -> str:
    """The root key of an entry of the keyset, as text."""
    (fields,) = entry["key"].values()
    names = ("near_public_key", "near_public_key_compressed", "public_key")
    text: str = next(fields[name] for name in names if name in fields)
    return text


def parse_public_key(text: str) -> bytes:
    """A key as the contract writes it, compressed. Raises ValueError."""
    kind, _, data = text.partition(":")
    raw = base58.decode(data)
    if kind == "ed25519" and len(raw) == EDDSA_KEY_BYTES:
        return raw
    if kind == "secp256k1" and len(raw) == 64:
        return compress_point(raw)
    if kind == "bls12381g2" and len(raw) == G2_BYTES:
        return raw
    raise ValueError(f"not a key of a signing domain: {text}")


def key_to_text(curve: Curve, key: bytes) -> str:
    """A compressed key as the contract writes it: secp256k1 keys as x and y."""
    if curve == "ed25519":
        return f"ed25519:{base58.encode(key)}"
    if curve == "bls12381":
        return f"bls12381g2:{base58.encode(key)}"
    return f"secp256k1:{base58.encode(decompress_key(key).data)}"


def parse_tls_key(text: str) -> bytes:
    """The 32 bytes of a node's TLS key. Raises ValueError."""
    kind, _, data = text.partition(":")
    raw = base58.decode(data)
    if kind != "ed25519" or len(raw) != EDDSA_KEY_BYTES:
        raise ValueError(f"not an ed25519 key: {text}")
    return raw


def tls_key_to_text(key: bytes) -> str:
    """A node's TLS key as the contract writes it."""
    return f"ed25519:{base58.encode(key)}"


def list_root_keys(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Domain, protocol, purpose and root public key of a running network, for a person."""
    running = state["Running"]
    keys = {entry["domain_id"]: get_key_text(entry) for entry in running["keyset"]["domains"]}
    return [
        {key: domain[key] for key in ("id", "protocol", "purpose")} | {"public_key": keys[domain["id"]]}
        for domain in running["domains"]["domains"]
    ]
