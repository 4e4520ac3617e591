"""A node's home directory: the files that NEAR's node has there, and who uses it.

``genesis.json``, ``config.json``, ``validator_key.json`` and ``node_key.json`` are in NEAR's formats, because
launchers read and edit them. ``data/`` is the node's own, ``hither.json`` says in which format.

Once a chain is begun, genesis.json is bound to it by its hash and never parsed again: ``data/begun.json`` holds
the hash and what a start needs to know of it.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from hither.chain.genesis import (
    DEVELOPMENT_VALIDATOR,
    DevelopmentOptions,
    Genesis,
    GenesisConfig,
    InvalidGenesis,
    derive_development_key,
    make_development_genesis,
    with_supply_of_records,
)
from hither.chain.genesis_file import RecordsInFile, list_genesis_files, read_genesis, write_genesis
from hither.crypto.keys import (
    ED25519,
    InvalidKey,
    PublicKey,
    SecretKey,
    public_key_to_str,
    secret_key_from_str,
    secret_key_to_str,
)
from hither.crypto.signing import compute_public_key, secret_key_from_seed
from hither.primitives.types import AccountId

FORMAT_VERSION: Final = 1
FORMAT_FILE: Final = "hither.json"
GENESIS_FILE: Final = "genesis.json"
CONFIG_FILE: Final = "config.json"
VALIDATOR_KEY_FILE: Final = "validator_key.json"
NODE_KEY_FILE: Final = "node_key.json"
LOCK_FILE: Final = "lock"
DATA_FOLDER: Final = "data"
BEGUN_FILE: Final = "begun.json"


class HomeProblem(Exception):
    """The home directory cannot be used; the message says why and what to do."""


class ValidatorKey(msgspec.Struct, frozen=True):
    """Who this node validates as, and the key that it signs with."""

    account_id: AccountId
    secret_key: SecretKey


class Begun(msgspec.Struct, frozen=True):
    """What ``data/begun.json`` says: the sha256 of each file of the genesis, and its configuration."""

    sha256: Mapping[str, str]
    config: GenesisConfig


class Home(msgspec.Struct, frozen=True):
    """What a home directory holds for a start. ``genesis_sha256`` is that of each file of the genesis, by name."""

    path: Path
    genesis: Genesis
    genesis_sha256: Mapping[str, str]
    config: dict[str, Any]
    validator_key: ValidatorKey
    node_key: PublicKey

    @property
    def data_path(self) -> Path:
        """Where the node keeps its database."""
        return self.path / DATA_FOLDER


def is_initialized(home: Path) -> bool:
    """Whether ``init_home`` was here."""
    return (home / GENESIS_FILE).exists()


def init_home(
    home: Path, options: DevelopmentOptions, time_ns: int, more_records: Sequence[dict[str, Any]] = ()
) -> Genesis:
    """Write the files of a development chain. One that is there for the same chain is left as it is.

    ``more_records`` join the genesis of a new one; for one that is there, or an account that is, they are refused.
    """
    home.mkdir(parents=True, exist_ok=True)
    if is_initialized(home):
        genesis, _ = _read_genesis(home)
        if genesis.config.chain_id != options.chain_id:
            raise HomeProblem(
                f"{home} is the home of chain {genesis.config.chain_id!r}, not {options.chain_id!r}; "
                "name another with --home"
            )
        if more_records:
            raise HomeProblem(f"{home} has a genesis already; name another home for one with these accounts")
        return genesis
    secret = derive_development_key(DEVELOPMENT_VALIDATOR)
    options = msgspec.structs.replace(options, validator_public_key=compute_public_key(secret))
    genesis = _add_records(make_development_genesis(time_ns, options), more_records)
    _write_key(home / VALIDATOR_KEY_FILE, DEVELOPMENT_VALIDATOR, secret)
    _write_key(home / NODE_KEY_FILE, "node", secret_key_from_seed(ED25519, secrets.token_bytes(32)))
    _write_json(home / CONFIG_FILE, make_config())
    _write_json(home / FORMAT_FILE, {"format_version": FORMAT_VERSION})
    # Last, because its presence says that the rest is complete.
    temporary = home / f".{GENESIS_FILE}"
    write_genesis(temporary, genesis)
    temporary.replace(home / GENESIS_FILE)
    return genesis


def _add_records(genesis: Genesis, more: Sequence[dict[str, Any]]) -> Genesis:
    if not more:
        return genesis
    own = {record["Account"]["account_id"] for record in genesis.records if "Account" in record}
    for record in more:
        if "Account" in record and record["Account"]["account_id"] in own:
            raise HomeProblem(f"{record['Account']['account_id']} is an account of every development chain")
    return with_supply_of_records(Genesis(genesis.config, [*genesis.records, *more]))


def read_home(home: Path) -> Home:
    """Read what a start needs. Records that were added after ``init_home`` count: supply is summed again."""
    if not is_initialized(home):
        raise HomeProblem(f"{home} is not a node's home; make one with `hither node init --home {home}`")
    _check_format(home)
    genesis, genesis_sha256 = _read_genesis(home)
    config = read_config(home)
    account_id, secret = _read_key(home / config.get("validator_key_file", VALIDATOR_KEY_FILE))
    _, node_secret = _read_key(home / config.get("node_key_file", NODE_KEY_FILE))
    validator_key = ValidatorKey(account_id, secret)
    return Home(home, genesis, genesis_sha256, config, validator_key, compute_public_key(node_secret))


def read_config(home: Path) -> dict[str, Any]:
    """``config.json`` of a home that is there."""
    return _read_json(home / CONFIG_FILE)


def _read_key(path: Path) -> tuple[AccountId, SecretKey]:
    content = _read_json(path)
    try:
        secret = secret_key_from_str(content.get("secret_key") or content["private_key"])
        return AccountId(content["account_id"]), secret
    except (InvalidKey, KeyError) as error:
        raise HomeProblem(f"{path}: no usable secret_key: {error}") from error


def write_begun(home: Home) -> None:
    """Remember what the chain was begun with, once it is on disk. A second time does nothing."""
    path = home.data_path / BEGUN_FILE
    if _read_begun(path) is not None:
        return
    temporary = path.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(Begun(home.genesis_sha256, home.genesis.config)))
    temporary.replace(path)


def _read_genesis(home: Path) -> tuple[Genesis, Mapping[str, str]]:
    """The genesis and the hashes of its files. Of a chain that is begun, nothing but the hashes is computed."""
    path = home / GENESIS_FILE
    begun = _read_begun(home / DATA_FOLDER / BEGUN_FILE)
    try:
        if begun is None:
            genesis = with_supply_of_records(read_genesis(path))
            return genesis, {name: _compute_sha256(home / name) for name in list_genesis_files(path)}
        for name, expected in begun.sha256.items():
            if _compute_sha256(home / name) != expected:
                raise HomeProblem(
                    f"{home / DATA_FOLDER}: the chain in it was begun with another {name}; "
                    "put that back, or remove the folder to begin anew"
                )
        return Genesis(begun.config, RecordsInFile(path)), begun.sha256
    except InvalidGenesis as error:
        raise HomeProblem(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise HomeProblem(f"{error.filename} is missing, and the genesis is not whole without it") from error


def _read_begun(path: Path) -> Begun | None:
    """None where no chain is begun, or an older program began it; then the genesis itself is read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Begun)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _compute_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_format(home: Path) -> None:
    """Refuse a home that a newer program has written. One without the file was written by NEAR's own node."""
    if not (home / FORMAT_FILE).exists():
        return
    version = _read_json(home / FORMAT_FILE).get("format_version")
    if version != FORMAT_VERSION:
        raise HomeProblem(
            f"{home} has format {version}, this program knows {FORMAT_VERSION}: "
            "use the newer hither, or start afresh with --fresh"
        )


@contextlib.contextmanager
def lock_home(home: Path) -> Iterator[None]:
    """Hold a home directory for this process. Raises HomeProblem when another has it; ends with the process."""
    home.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            raise HomeProblem(
                f"{home} is in use by process {owner or 'unknown'}; stop it, or name another with --home"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def make_config() -> dict[str, Any]:
    """``config.json`` as launchers expect to find it; of its fields the node reads the addresses and limits."""
    return {
        "genesis_file": GENESIS_FILE,
        "genesis_records_file": None,
        "validator_key_file": VALIDATOR_KEY_FILE,
        "node_key_file": NODE_KEY_FILE,
        "rpc": {
            "addr": "127.0.0.1:3030",
            "prometheus_addr": None,
            "cors_allowed_origins": ["*"],
            "polling_config": {
                "polling_interval": {"secs": 0, "nanos": 200_000_000},
                "polling_timeout": {"secs": 10, "nanos": 0},
            },
            "limits_config": {"json_payload_max_size": 10_485_760},
            "enable_debug_rpc": False,
        },
        "telemetry": {"endpoints": []},
        "network": {"addr": "127.0.0.1:24567", "boot_nodes": "", "skip_sync_wait": True},
        "consensus": {
            "min_num_peers": 0,
            "min_block_production_delay": {"secs": 0, "nanos": 600_000_000},
            "produce_empty_blocks": True,
        },
        "tracked_shards_config": "AllShards",
        "archive": False,
        "save_trie_changes": None,
        "log_summary_style": "colored",
        "gc_blocks_limit": 2,
        "gc_num_epochs_to_keep": 5,
        "view_client_threads": 1,
        "trie_viewer_state_size_limit": 50_000,
        "max_gas_burnt_view": None,
        "store": {"path": None, "max_open_files": 10_000},
    }


def _write_key(path: Path, account_id: str, secret: SecretKey) -> None:
    public = public_key_to_str(compute_public_key(secret))
    content = {"account_id": account_id, "public_key": public, "secret_key": secret_key_to_str(secret)}
    _write_json(path, content, mode=0o600)


def _write_json(path: Path, content: Any, mode: int = 0o644) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError as error:
        raise HomeProblem(f"{path} is missing; make the home anew with `hither node init`") from error
    except msgspec.DecodeError as error:
        raise HomeProblem(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise HomeProblem(f"{path}: expected a JSON object")
    return content
