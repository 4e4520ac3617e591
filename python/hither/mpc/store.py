"""What a signing node must not lose or show: key shares and stock, encrypted on disk.

One SQLite file a node, every value under AES-256-GCM with its place as associated data, so that values cannot be
moved about. A presignature is deleted, on disk, before it is handed out: after a crash it is lost, never used twice.
Every write happens between two points that ``CRASH_POINTS`` lists; a test kills the node at each.

Stock belongs to the file in which it was made. A copy put in its place (another inode, another time of birth) starts
without stock, as a restored backup does: some of it may have been used meanwhile.
"""

import contextlib
import ctypes
import fcntl
import os
import sqlite3
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hither.mpc.protocols import Secret

KEY_BYTES: Final = 32
FORMAT_VERSION: Final = 2
_NONCE_BYTES: Final = 12
_PLACE: Final = "place of the stock"
_SCHEMA: Final = """
CREATE TABLE shares (
    domain INTEGER, epoch INTEGER, attempt INTEGER, value BLOB, PRIMARY KEY (domain, epoch, attempt)
);
CREATE TABLE presignatures (
    id BLOB PRIMARY KEY, domain INTEGER, epoch INTEGER, owner INTEGER, signers TEXT, value BLOB
);
CREATE INDEX by_signers ON presignatures (domain, signers, owner);
CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB);
"""


class StoreDamaged(Exception):
    """A value cannot be decrypted, or the file is not one of ours: another key, or a changed file."""


class StoreInUse(Exception):
    """Another process runs this node."""


class Write(Enum):
    """What a node writes. Each kind has a point before and a point after it."""

    SCHEMA = "the tables of a new store"
    SETTING = "a small secret of the node"
    SHARE = "a key share, before the vote for its key"
    STOCK = "presignatures that were made"
    TAKING = "the deletion of a presignature, before its use"
    COLLECTING = "the deletion of stock that others do not hold"
    ERASING = "the deletion of stock and shares of other epochs"


CRASH_POINTS: Final = tuple((write, side) for write in Write for side in ("before", "after"))
"""Where a crash may find a store: at each of these, everything that is on disk is sound."""

PointReached = Callable[[Write, str], None]


def _pass_by(_write: Write, _side: str) -> None:
    """For nobody watches."""


def read_or_make_key(path: Path) -> bytes:
    """The key that encrypts a node's store: 32 bytes in a file that its owner alone reads."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return check_key(path.read_bytes(), str(path))
    with os.fdopen(descriptor, "wb") as file:
        key = os.urandom(KEY_BYTES)
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key


def check_key(key: bytes, where: str) -> bytes:
    """The key itself. Raises StoreDamaged when it has the wrong length."""
    if len(key) != KEY_BYTES:
        raise StoreDamaged(f"{where} must hold {KEY_BYTES} bytes, not {len(key)}")
    return key


def make_presignature_id(owner: int) -> bytes:
    """A new id, which says whose it is."""
    return owner.to_bytes(4, "big") + os.urandom(12)


def number_presignature(id_: bytes, index: int) -> bytes:
    """The id of one of several that a job made: they differ in their last two bytes."""
    return id_[:14] + index.to_bytes(2, "big")


def get_owner(id_: bytes) -> int:
    """The participant that made it and alone may lead with it."""
    return int.from_bytes(id_[:4], "big")


class NodeStore:
    """One node's shares and stock. Methods may be called from any thread. Raises StoreDamaged, StoreInUse.

    ``is_shared``: only to read settings, beside the process that runs the node.
    """

    def __init__(
        self, path: Path, key: bytes, reached: PointReached = _pass_by, *, is_shared: bool = False
    ) -> None:
        self.path = path
        self._cipher = AESGCM(key)
        self._reached = reached
        self._lock = threading.Lock()
        self._descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not is_shared:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise StoreInUse(f"another process runs the node of {path}") from error
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        # Deletion must have reached the disk before a presignature is used.
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA secure_delete = ON")
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        tables = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version != FORMAT_VERSION and tables:
            raise StoreDamaged(f"{self.path} was written by another version of hither; begin anew")
        if not tables:
            with self._writing(Write.SCHEMA) as database:
                for statement in _SCHEMA.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        place = identify_file(self.path)
        if self.get_setting_optional(_PLACE) != place:
            self.drop_stock()
            self.put_setting(_PLACE, place)

    def __enter__(self) -> "NodeStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and let others have it."""
        with self._lock:
            self._database.close()
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    @contextlib.contextmanager
    def _writing(self, write: Write) -> Iterator[sqlite3.Connection]:
        """One transaction, on disk when the block ends, between its two points."""
        with self._lock:
            self._reached(write, "before")
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")
            self._reached(write, "after")

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
        with self._writing(Write.SETTING) as database:
            database.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, encrypted))

    def get_setting_optional(self, name: str) -> bytes | None:
        """What ``put_setting`` kept."""
        with self._lock:
            row = self._database.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return None if row is None else self._decrypt(f"setting {name}", row[0])

    def put_share(self, domain_id: int, epoch_id: int, attempt_id: int, share: Secret) -> None:
        """Keep a key share. It is on disk on return: only then may the node vote for its key.

        Shares of other attempts and epochs stay until the contract says which is in force (``erase_others``).
        """
        encrypted = self._encrypt(_share_place(domain_id, epoch_id, attempt_id), share.expose())
        with self._writing(Write.SHARE) as database:
            row = (domain_id, epoch_id, attempt_id, encrypted)
            database.execute("INSERT OR REPLACE INTO shares VALUES (?, ?, ?, ?)", row)

    def get_share_optional(self, domain_id: int, epoch_id: int, attempt_id: int) -> Secret | None:
        """The share of a domain's key that this attempt gave."""
        with self._lock:
            row = self._database.execute(
                "SELECT value FROM shares WHERE domain = ? AND epoch = ? AND attempt = ?",
                (domain_id, epoch_id, attempt_id),
            ).fetchone()
        return (
            None
            if row is None
            else Secret(self._decrypt(_share_place(domain_id, epoch_id, attempt_id), row[0]))
        )

    def list_shares(self) -> list[tuple[int, int, int]]:
        """Domain, epoch and attempt of each share."""
        with self._lock:
            return self._database.execute(
                "SELECT domain, epoch, attempt FROM shares ORDER BY 1, 2, 3"
            ).fetchall()

    def erase_others(self, epoch_id: int, attempts: dict[int, int]) -> int:
        """Erase shares and stock of earlier epochs, and of attempts other than those in force; how many.

        ``attempts``: of each domain with a key. What belongs to later epochs is left: its key event may be under way.
        """
        with self._lock:
            shares = self._database.execute("SELECT domain, epoch, attempt FROM shares").fetchall()
            stock = self._database.execute("SELECT count(*) FROM presignatures WHERE epoch < ?", (epoch_id,))
            stale = [
                row
                for row in shares
                if row[1] < epoch_id or (row[1] == epoch_id and attempts.get(row[0], row[2]) != row[2])
            ]
            count = int(stock.fetchone()[0]) + len(stale)
        if count:
            with self._writing(Write.ERASING) as database:
                database.execute("DELETE FROM presignatures WHERE epoch < ?", (epoch_id,))
                database.executemany(
                    "DELETE FROM shares WHERE domain = ? AND epoch = ? AND attempt = ?", stale
                )
            self._truncate_log()
        return count

    def _truncate_log(self) -> None:
        """The log of the database still holds what was deleted: write it back and cut it."""
        with self._lock:
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def put_presignatures(
        self, id_: bytes, domain_id: int, epoch_id: int, signers: Sequence[int], made: Sequence[Secret]
    ) -> None:
        """Add what one job made to the stock: all or none."""
        rows = []
        for index, value in enumerate(made):
            own_id = number_presignature(id_, index)
            encrypted = self._encrypt(f"presignature {own_id.hex()} {epoch_id}", value.expose())
            rows.append((own_id, domain_id, epoch_id, get_owner(id_), _encode_signers(signers), encrypted))
        with self._writing(Write.STOCK) as database:
            database.executemany("INSERT INTO presignatures VALUES (?, ?, ?, ?, ?, ?)", rows)

    def list_presignatures(
        self, domain_id: int, signers: Sequence[int], owner: int | None = None
    ) -> list[bytes]:
        """Ids of the stock that exactly these signers share, in a fixed order; of one owner if named."""
        with self._lock:
            rows = self._database.execute(
                "SELECT id FROM presignatures WHERE domain = ? AND signers = ? AND (? IS NULL OR owner = ?) "
                "ORDER BY id",
                (domain_id, _encode_signers(signers), owner, owner),
            ).fetchall()
        return [row[0] for row in rows]

    def list_owned(self, owner: int) -> dict[bytes, tuple[int, ...]]:
        """All that an owner made: id -> signers."""
        with self._lock:
            rows = self._database.execute("SELECT id, signers FROM presignatures WHERE owner = ?", (owner,))
            return {id_: tuple(int(part) for part in signers.split(",")) for id_, signers in rows.fetchall()}

    def count_presignatures(self) -> dict[int, int]:
        """How many there are by domain."""
        with self._lock:
            rows = self._database.execute("SELECT domain, count(*) FROM presignatures GROUP BY domain")
            return {int(domain): int(count) for domain, count in rows.fetchall()}

    def take_presignature(
        self, id_: bytes, domain_id: int, epoch_id: int, signers: Sequence[int]
    ) -> Secret | None:
        """Delete it on disk, then hand it out; None if it is not there (any more), or is of other signers."""
        row = (id_, domain_id, epoch_id, _encode_signers(signers))
        with self._writing(Write.TAKING) as database:
            found = database.execute(
                "DELETE FROM presignatures WHERE id = ? AND domain = ? AND epoch = ? AND signers = ? RETURNING value",
                row,
            ).fetchone()
        return (
            None if found is None else Secret(self._decrypt(f"presignature {id_.hex()} {epoch_id}", found[0]))
        )

    def drop_presignatures(self, ids: Sequence[bytes]) -> int:
        """Delete stock that not all its signers hold; how many there were."""
        if not ids:
            return 0
        with self._writing(Write.COLLECTING) as database:
            return database.executemany(
                "DELETE FROM presignatures WHERE id = ?", [(id_,) for id_ in ids]
            ).rowcount

    def drop_stock(self) -> int:
        """Delete every presignature: after a restore from a backup some may have been used."""
        with self._writing(Write.ERASING) as database:
            return database.execute("DELETE FROM presignatures").rowcount

    def export_rows(self) -> dict[str, list[tuple[object, ...]]]:
        """Shares and settings as they lie on disk, encrypted: what a backup holds. Never stock."""
        with self._lock:
            return {
                table: self._database.execute(f"SELECT * FROM {table}").fetchall()
                for table in ("shares", "settings")
            }

    def import_rows(self, rows: dict[str, list[tuple[object, ...]]]) -> None:
        """What ``export_rows`` gave, into a store that has none of it."""
        with self._writing(Write.SHARE) as database:
            database.executemany("INSERT INTO shares VALUES (?, ?, ?, ?)", rows["shares"])
            settings = [row for row in rows["settings"] if row[0] != _PLACE]
            database.executemany("INSERT INTO settings VALUES (?, ?)", settings)


def _encode_signers(signers: Sequence[int]) -> str:
    return ",".join(str(signer) for signer in sorted(signers))


def _share_place(domain_id: int, epoch_id: int, attempt_id: int) -> str:
    return f"share {domain_id} {epoch_id} {attempt_id}"


_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD: Final = -100
_STATX_BTIME: Final = 0x800
_STATX_BYTES: Final = 256


def identify_file(path: Path) -> bytes:
    """Device, inode and, where the file system tells it, time of birth: a copy has others (statx(2))."""
    status = path.stat()
    buffer = ctypes.create_string_buffer(_STATX_BYTES)
    birth = (0, 0)
    if _LIBC.statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, buffer) == 0:
        (mask,) = struct.unpack_from("<I", buffer.raw, 0)
        birth = struct.unpack_from("<qI", buffer.raw, 80) if mask & _STATX_BTIME else birth
    return f"{status.st_dev} {status.st_ino} {birth[0]}.{birth[1]}".encode()
