"""A signing node's configuration file, and what lies beside it.

TOML, written once by ``hither mpc init`` and then edited by the operator. Paths are relative to the file.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from hither.mpc.attestations import NoAttestation
from hither.mpc.backup import restore_backup, write_backup
from hither.mpc.contract import Participant
from hither.mpc.store import KEY_BYTES, NodeStore, check_key, read_or_make_key
from hither.mpc.transport import Peer

logger = logging.getLogger(__name__)

CONFIG_FILE: Final = "node.toml"
STORE_FILE: Final = "store.sqlite"
STORE_KEY_FILE: Final = "store.key"
ATTESTATION_FILE: Final = "attestation.json"


class InvalidConfig(ValueError):
    """The file cannot be used; the message says what to change."""


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an operator decides.

    ``store_key_environment`` names a variable that holds the store's key in hex, in place of a file. ``addresses``
    are tried instead of those that the contract has, by account. ``stock`` is how many presignatures the network
    keeps, by protocol. ``foreign_chains`` are endpoints of other chains that this node looks at,
    by the contract's names. ``attestation_file`` holds the JSON that this node submits as its attestation; it is read
    anew each time, and without it nothing is submitted.
    """

    contract_id: str
    rpc_urls: tuple[str, ...]
    account_id: str
    listen: str
    observe: str = "127.0.0.1:0"
    store_key_file: str | None = STORE_KEY_FILE
    store_key_environment: str | None = None
    attestation_file: str | None = None
    poll_ms: int = 100
    addresses: dict[str, str] = {}
    stock: dict[str, int] = {}
    foreign_chains: dict[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class NodeHome:
    """A configuration, and the folder that it is in."""

    folder: Path
    config: NodeConfig

    @property
    def store_path(self) -> Path:
        """The node's store."""
        return self.folder / STORE_FILE

    def read_key(self) -> bytes:
        """The store's key; a file is made if there is neither file nor store. Raises InvalidConfig, StoreDamaged."""
        name = self.config.store_key_environment
        if name is not None:
            return _read_key_of_environment(name)
        assert self.config.store_key_file is not None
        path = self.folder / self.config.store_key_file
        if self.store_path.exists() and not path.exists():
            raise InvalidConfig(f"the key of the store is missing: {path}")
        return read_or_make_key(path)

    def read_attestation(self) -> Any:
        """What the operator wants submitted. Raises NoAttestation."""
        assert self.config.attestation_file is not None
        path = self.folder / self.config.attestation_file
        try:
            return msgspec.json.decode(path.read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise NoAttestation(f"{path} cannot be used: {error}") from None

    def open_store(self) -> NodeStore:
        """The node's store, made if there is none. Raises InvalidConfig, StoreDamaged, StoreInUse."""
        return NodeStore(self.store_path, self.read_key())

    def back_up(self, target: Path) -> int:
        """Shares and keys into a new file; how many shares."""
        with self.open_store() as store:
            return write_backup(store, self.read_key(), target)

    def restore(self, source: Path) -> int:
        """A store out of a backup; how many shares."""
        return restore_backup(source, self.read_key(), self.store_path)


def _read_key_of_environment(name: str) -> bytes:
    text = os.environ.get(name)
    if text is None:
        raise InvalidConfig(f"the environment has no {name}, which is to hold the store's key in hex")
    try:
        return check_key(bytes.fromhex(text), name)
    except ValueError:
        # The text itself is a secret and must not reach a message.
        raise InvalidConfig(f"{name} must hold {KEY_BYTES} bytes in hex") from None


def read_config(path: Path) -> NodeHome:
    """Raises InvalidConfig."""
    try:
        config = msgspec.toml.decode(path.read_bytes(), type=NodeConfig)
    except FileNotFoundError:
        raise InvalidConfig(f"{path} is not there; `hither mpc init` makes one") from None
    except (msgspec.ValidationError, ValueError) as error:
        raise InvalidConfig(f"{path}: {error}") from None
    if not config.rpc_urls:
        raise InvalidConfig(f"{path}: rpc_urls must name at least one node of the chain")
    if (config.store_key_file is None) == (config.store_key_environment is None):
        if config.store_key_environment is None:
            raise InvalidConfig(f"{path}: name store_key_file or store_key_environment")
        config = msgspec.structs.replace(config, store_key_file=None)
    for text in (config.listen, config.observe, *config.addresses.values()):
        parse_address(text)
    if not is_loopback(parse_address(config.observe)[0]):
        raise InvalidConfig(
            f"{path}: observe must be an address of this machine alone, such as 127.0.0.1:9090"
        )
    return NodeHome(path.parent, config)


def write_config(path: Path, config: NodeConfig) -> None:
    """A new file that its owner alone reads. Raises FileExistsError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(format_config(config))


def format_config(config: NodeConfig) -> str:
    """As TOML: strings, numbers, lists and two tables, in which JSON's way of writing is TOML's too."""
    fields: dict[str, Any] = msgspec.to_builtins(config)
    lines = [
        f"{name} = {msgspec.json.encode(value).decode()}"
        for name, value in fields.items()
        if value is not None and not isinstance(value, dict)
    ]
    for name, table in fields.items():
        if isinstance(table, dict) and table:
            lines += ["", f"[{name}]"]
            lines += [f"{_quote(key)} = {_quote(value)}" for key, value in sorted(table.items())]
    return "\n".join(lines) + "\n"


def _quote(value: object) -> str:
    return msgspec.json.encode(value).decode()


def parse_address(text: str) -> tuple[str, int]:
    """``host:port``, also as a URL. Raises InvalidConfig."""
    bare = text.removeprefix("https://").removeprefix("tcp://").rstrip("/")
    host, separator, port = bare.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65535:
        raise InvalidConfig(f"{text!r}: expected HOST:PORT, for example 127.0.0.1:8443")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether nobody else can reach it."""
    return host in ("localhost", "::1") or host.startswith("127.")


def find_peers(participants: Iterable[Participant], me: int, addresses: Mapping[str, str]) -> dict[int, Peer]:
    """Where the others listen, by participant: as the operator says (by account id), else as the contract does."""
    peers = {}
    for participant in participants:
        text = addresses.get(participant.account_id, participant.url)
        if participant.id == me:
            continue
        try:
            peers[participant.id] = Peer(parse_address(text), participant.tls_key)
        except InvalidConfig:
            logger.warning("%s has no address that can be used: %r", participant.account_id, text)
    return peers
