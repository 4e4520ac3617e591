"""The overlay of a chunk, its recorded size included, with dictionaries and one trie."""

import hashlib
from collections.abc import Mapping

from tests.differential.twins import trie


class Overlay:
    """What one chunk sees, as ``ChunkState``, and nothing fast about it."""

    def __init__(self, content: Mapping[bytes, bytes]) -> None:
        self.base = dict(content)
        self.root = trie.build(content)
        self.committed: dict[bytes, list[tuple[bytes, bytes | None]]] = {}
        self.current: dict[bytes, bytes | None] = {}
        self.recorded: dict[bytes, int] = {}
        self.extra_size = 0

    @property
    def recorded_size(self) -> int:
        return sum(self.recorded.values()) + self.extra_size

    def _record(self, data: bytes) -> None:
        self.recorded[hashlib.sha256(data).digest()] = len(data)

    def _find(self, key: bytes) -> bytes | None:
        """Recording the way, not the value."""
        for node in trie.walk_to(self.root, key):
            self._record(trie.encode(node))
        return self.base.get(key)

    def _layer(self, key: bytes) -> tuple[bytes | None] | None:
        if key in self.current:
            return (self.current[key],)
        return (self.committed[key][-1][1],) if key in self.committed else None

    def get(self, key: bytes) -> bytes | None:
        if (found := self._layer(key)) is not None:
            return found[0]
        value = self._find(key)
        if value is not None:
            self._record(value)
        return value

    def has(self, key: bytes) -> bool:
        found = self._layer(key)
        return (found[0] if found is not None else self._find(key)) is not None

    def get_reference(self, key: bytes) -> tuple[int, bytes] | None:
        found = self._layer(key)
        value = found[0] if found is not None else self._find(key)
        return None if value is None else (len(value), hashlib.sha256(value).digest())

    def set(self, key: bytes, value: bytes) -> None:
        self.current[key] = value

    def remove(self, key: bytes) -> None:
        if key[:1] == b"\x09":
            self.extra_size += 2000
        self.current[key] = None

    def scan_keys(self, prefix: bytes) -> list[bytes]:
        for node in trie.walk_below(self.root, prefix):
            self._record(trie.encode(node))
        for key, value in self.base.items():
            if key.startswith(prefix):
                self._record(value)
        content = self.content()
        return sorted(key for key in content if key.startswith(prefix))

    def content(self) -> dict[bytes, bytes]:
        """What is there now."""
        merged: dict[bytes, bytes | None] = dict(self.base)
        merged.update({key: writes[-1][1] for key, writes in self.committed.items()})
        merged.update(self.current)
        return {key: value for key, value in merged.items() if value is not None}

    def commit(self, cause: bytes) -> None:
        for key, value in self.current.items():
            self.committed.setdefault(key, []).append((cause, value))
        self.current = {}

    def rollback(self) -> None:
        self.current = {}
