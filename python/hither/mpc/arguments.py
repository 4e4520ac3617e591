"""Arguments of the contract's methods, as an operator writes them: JSON, also for the two that take borsh."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hither.mpc.foreign_requests import CHAIN_TAGS, encode_providers

UPDATE_METHOD: Final = "propose_update"
PROVIDERS_METHOD: Final = "vote_update_foreign_chain_providers"
_YOCTONEAR_PER_BYTE: Final = 10**19
_OVERHEAD_BYTES: Final = 32_768


class InvalidArguments(ValueError):
    """The contract would not take this; the message says what it wants."""


@dataclass(frozen=True, slots=True)
class Update:
    """A proposal, and what its storage costs."""

    data: bytes
    deposit_yoctonear: int


def encode_urls(urls: Any) -> bytes:
    """Endpoints by the contract's names of chains. Raises InvalidArguments."""
    is_table = isinstance(urls, dict) and urls != {}
    if not is_table or not all(isinstance(row, list) and row for row in urls.values()):
        raise InvalidArguments('endpoints are written {"Bitcoin": ["https://one", "https://two"]}')
    unknown = urls.keys() - CHAIN_TAGS.keys()
    if unknown:
        raise InvalidArguments(f"unknown chain {min(unknown)}; the contract knows {', '.join(CHAIN_TAGS)}")
    return encode_providers({chain: tuple(map(str, row)) for chain, row in urls.items()})


def make_update(proposed: Any, settings: Mapping[str, int]) -> Update:
    """Code from a file, or some settings changed among those in force. Raises InvalidArguments."""
    match proposed:
        case {"code": str(path), **rest} if not rest:
            try:
                code = Path(path).expanduser().read_bytes()
            except OSError as error:
                raise InvalidArguments(f"{path}: {error.strerror}") from error
            data = b"\1" + len(code).to_bytes(4, "little") + code + b"\0"
            return Update(data, _compute_deposit(len(code)))
        case {"config": dict(changes), **rest} if not rest:
            unknown = changes.keys() - settings.keys()
            if unknown:
                raise InvalidArguments(f"unknown setting {min(unknown)}; there are {', '.join(settings)}")
            if not all(isinstance(value, int) and 0 <= value < 2**64 for value in changes.values()):
                raise InvalidArguments("settings are whole numbers below 2^64")
            # The contract shows its settings in the order in which it reads them.
            config = {**settings, **changes}
            data = b"\0\1" + b"".join(value.to_bytes(8, "little") for value in config.values())
            return Update(data, _compute_deposit(len(json.dumps(config, separators=(",", ":")))))
    raise InvalidArguments(
        'an update is written {"code": "signer.wasm"} or {"config": {"key_event_timeout_blocks": 60}}'
    )


def _compute_deposit(size_bytes: int) -> int:
    return _YOCTONEAR_PER_BYTE * (_OVERHEAD_BYTES + size_bytes)
