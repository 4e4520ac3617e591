"""genesis.json: a chain may begin with millions of records, so they stay in the file until they are looked at."""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from hither.chain.genesis import Genesis, GenesisConfig, InvalidGenesis, validate_genesis

Decoded = TypeVar("Decoded")


class _RecordsMember(msgspec.Struct):
    """The part of the file that can be large, each record still as it stands there."""

    records: list[msgspec.Raw] = []
    records_file: str | None = None


class RecordsInFile:
    """The records of a genesis file, read anew each time that somebody goes through them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Raises InvalidGenesis."""
        member = _decode_file(self._path, _RecordsMember)
        raws = member.records
        if member.records_file is not None and not raws:
            raws = _decode_file(self._path.parent / member.records_file, list[msgspec.Raw])
        decode = msgspec.json.Decoder(dict[str, Any]).decode
        try:
            for raw in raws:
                yield decode(raw)
        except msgspec.ValidationError as error:
            raise InvalidGenesis(f"{self._path.name}: records: {error}") from error


def read_genesis(path: Path) -> Genesis:
    """The genesis of a home directory; ``records_file`` beside it is followed. Raises InvalidGenesis."""
    genesis = Genesis(_decode_file(path, GenesisConfig), RecordsInFile(path))
    validate_genesis(genesis)
    return genesis


def list_genesis_files(path: Path) -> list[str]:
    """The file's name and, where it names one, that of the file of its records. Raises InvalidGenesis."""
    member = _decode_file(path, _RecordsMember)
    return [path.name] if member.records_file is None else [path.name, member.records_file]


def write_genesis(path: Path, genesis: Genesis) -> None:
    """Write genesis.json as NEAR's node does: configuration and records in one object."""
    data = msgspec.to_builtins(genesis.config) | {"records": list(genesis.records)}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n")


def _decode_file(path: Path, kind: type[Decoded]) -> Decoded:
    """A JSON file, without a copy of it in memory."""
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidGenesis(f"{path.name}: {error}") from error
    except (OSError, ValueError) as error:  # An empty file cannot be mapped.
        raise InvalidGenesis(f"{path.name}: not JSON: {error}") from error
