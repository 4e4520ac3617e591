"""What outlives a development chain's process: a file of entries that only grows, and names for places in it.

An entry is a mark of four bytes, its size, its bytes: the form of Bitcoin Core's own block files. What is appended
survives the end of the process at once, a power cut after ``sync``. An entry that was written in part when the machine
stopped is cut off by the next start.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from hither.foreign.engines import UnknownSnapshot
from hither.foreign.errors import EngineError

_MARK_BYTES: Final = 4
_HEAD_BYTES: Final = 8


class Journal:
    """Entries in order. One process at a time: raises ``EngineError`` when the file is in use."""

    def __init__(self, path: Path, mark: bytes, *, entry_bytes_max: int) -> None:
        assert len(mark) == _MARK_BYTES
        self._mark = mark
        self._entry_bytes_max = entry_bytes_max
        self._file = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise EngineError(
                f"{path} is in use", hint="another node runs in that folder; stop it first"
            ) from None

    def read(self) -> Iterator[bytes]:
        """All entries. What follows the last whole one is cut off."""
        self._file.seek(0)
        while True:
            end = self._file.tell()
            head = self._file.read(_HEAD_BYTES)
            size = int.from_bytes(head[_MARK_BYTES:], "little")
            is_head = head[:_MARK_BYTES] == self._mark and 0 < size <= self._entry_bytes_max
            entry = self._file.read(size) if is_head else b""
            if len(head) < _HEAD_BYTES or not entry or len(entry) != size:
                self._file.truncate(end)
                return
            yield entry

    @property
    def end(self) -> int:
        """Where the next entry will be written."""
        return self._file.seek(0, os.SEEK_END)

    def append(self, entry: bytes) -> None:
        """Safe from the end of this process when this returns."""
        self._file.write(self._mark + len(entry).to_bytes(4, "little") + entry)
        self._file.flush()

    def cut(self, end: int) -> None:
        """Forget what was appended after the journal ended there."""
        self._file.flush()
        self._file.truncate(end)

    def replace(self, entries: Sequence[bytes]) -> None:
        """Hold these and no others."""
        self.cut(0)
        for entry in entries:
            self.append(entry)

    def sync(self) -> None:
        """Wait until the disk has it."""
        os.fdatasync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class Snapshots:
    """States by name, oldest first, in a file that is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._states: dict[str, dict[str, Any]] = {}
        if path.exists():
            self._states = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, Any]])

    def put(self, name: str, state: dict[str, Any]) -> None:
        """Remember a state; one of that name is replaced, and is now the newest."""
        self._states.pop(name, None)
        self._states[name] = state
        self._write()

    def get(self, name: str) -> dict[str, Any]:
        """The state of that name. Raises ``UnknownSnapshot``."""
        if name not in self._states:
            raise UnknownSnapshot(f"there is no snapshot {name!r}; it may have been used")
        return self._states[name]

    def use_up(self, name: str) -> None:
        """Forget it and all later ones."""
        names = list(self._states)
        for later in names[names.index(name) :]:
            del self._states[later]
        self._write()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is remembered."""
        return not self._states

    def _write(self) -> None:
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(self._states))
            file.flush()
            os.fdatasync(file.fileno())
        fresh.replace(self._path)
