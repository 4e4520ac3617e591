"""What a signing node must not lose or show: key shares and stock, encrypted on disk.

One SQLite file a node, every value under AES-256-GCM with its place as associated data, so that values cannot be
moved about. A presignature is deleted, on disk, before it is handed out: after a crash it is lost, never used twice.
"""

import os
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hither.mpc.protocols import Secret

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS shares (domain INTEGER, epoch INTEGER, value BLOB, PRIMARY KEY (domain, epoch));
CREATE TABLE IF NOT EXISTS presignatures (
    id BLOB PRIMARY KEY, domain INTEGER, signers TEXT, value BLOB
);
CREATE INDEX IF NOT EXISTS by_signers ON presignatures (domain, signers);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value BLOB);
"""


class StoreDamaged(Exception):
    """A value cannot be decrypted: another key, or a changed file."""


def read_or_make_key(path: Path) -> bytes:
    """The key that encrypts a node's store: 32 bytes in a file that its owner alone reads."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = path.read_bytes()
        if len(key) != KEY_BYTES:
            raise StoreDamaged(f"{path} must hold {KEY_BYTES} bytes, not {len(key)}") from None
        return key
    with os.fdopen(descriptor, "wb") as file:
        key = os.urandom(KEY_BYTES)
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key


class NodeStore:
    """One node's shares and stock. Methods may be called from any thread."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._lock = threading.Lock()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.close(descriptor)
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # Deletion must have reached the disk before a presignature is used.
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA secure_delete = ON")
        self._database.executescript(_SCHEMA)

    def __enter__(self) -> "NodeStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def _encrypt(self, place: str, value: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, place.encode())

    def _decrypt(self, place: str, value: bytes) -> bytes:
        try:
            return self._cipher.decrypt(value[:_NONCE_BYTES], value[_NONCE_BYTES:], place.encode())
        except InvalidTag as error:
            raise StoreDamaged(f"{place} cannot be decrypted with this node's key") from error

    def put_setting(self, name: str, value: bytes) -> None:
        """Keep a small secret of the node, such as the seed of its account's key."""
        encrypted = self._encrypt(f"setting {name}", value)
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, encrypted))

    def get_setting_optional(self, name: str) -> bytes | None:
        """What ``put_setting`` kept. Raises StoreDamaged."""
        with self._lock:
            row = self._database.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else self._decrypt(f"setting {name}", row[0])

    def put_share(self, domain_id: int, epoch_id: int, share: Secret) -> None:
        """Keep a key share. It is on disk on return: only then may the node vote for its key.

        Stock of another share is worthless and goes.
        """
        encrypted = self._encrypt(f"share {domain_id} {epoch_id}", share.expose())
        with self._lock, self._database:
            self._database.execute("BEGIN")
            self._database.execute("DELETE FROM presignatures WHERE domain = ?", (domain_id,))
            self._database.execute(
                "INSERT OR REPLACE INTO shares VALUES (?, ?, ?)", (domain_id, epoch_id, encrypted)
            )

    def get_share_optional(self, domain_id: int, epoch_id: int) -> Secret | None:
        """The share of a domain's key in an epoch. Raises StoreDamaged."""
        with self._lock:
            row = self._database.execute(
                "SELECT value FROM shares WHERE domain = ? AND epoch = ?", (domain_id, epoch_id)
            ).fetchone()
        return None if row is None else Secret(self._decrypt(f"share {domain_id} {epoch_id}", row[0]))

    def put_presignature(self, id_: bytes, domain_id: int, signers: Sequence[int], value: Secret) -> None:
        """Add to the stock."""
        encrypted = self._encrypt(f"presignature {id_.hex()}", value.expose())
        with self._lock:
            self._database.execute(
                "INSERT INTO presignatures VALUES (?, ?, ?, ?)",
                (id_, domain_id, _encode_signers(signers), encrypted),
            )

    def list_presignatures(self, domain_id: int, signers: Sequence[int]) -> list[bytes]:
        """Ids of the stock that exactly these signers share, in a fixed order."""
        with self._lock:
            rows = self._database.execute(
                "SELECT id FROM presignatures WHERE domain = ? AND signers = ? ORDER BY id",
                (domain_id, _encode_signers(signers)),
            ).fetchall()
        return [row[0] for row in rows]

    def take_presignature(self, id_: bytes) -> Secret | None:
        """Delete it on disk, then hand it out; None if it is not there (any more)."""
        with self._lock:
            row = self._database.execute(
                "DELETE FROM presignatures WHERE id = ? RETURNING value", (id_,)
            ).fetchone()
        return None if row is None else Secret(self._decrypt(f"presignature {id_.hex()}", row[0]))

    def drop_stock(self) -> int:
        """Delete every presignature: after a restore from a backup some may have been used."""
        with self._lock:
            return self._database.execute("DELETE FROM presignatures").rowcount


def _encode_signers(signers: Sequence[int]) -> str:
    return ",".join(str(signer) for signer in sorted(signers))
