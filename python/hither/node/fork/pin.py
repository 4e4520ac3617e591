"""Which network a fork was taken from, and at which block: ``fork.json``, written before the chain begins."""

from pathlib import Path
from typing import Final

import msgspec

from hither.node.home import HomeProblem

FORK_FILE: Final = "fork.json"
CACHE_FOLDER: Final = "fork"


class ForkPin(msgspec.Struct, frozen=True):
    """The block is named by its hash, in base58, as JSON-RPC has it.

    ``own`` are accounts that are made here, beside those of the genesis, and never copied.
    """

    url: str
    chain_id: str
    protocol_version: int
    height: int
    block_hash: str
    own: tuple[str, ...] = ()


def read_pin(home: Path) -> ForkPin | None:
    """None where the home's chain is no fork. Raises HomeProblem."""
    try:
        return msgspec.json.decode((home / FORK_FILE).read_bytes(), type=ForkPin)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise HomeProblem(f"{home / FORK_FILE} says of no network what it is: {error}") from error


def write_pin(home: Path, pin: ForkPin) -> None:
    """All of it or nothing."""
    home.mkdir(parents=True, exist_ok=True)
    temporary = home / f".{FORK_FILE}"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(pin), indent=2) + b"\n")
    temporary.chmod(0o600)  # The address may hold a key.
    temporary.replace(home / FORK_FILE)
