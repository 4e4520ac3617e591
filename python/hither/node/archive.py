"""A chain's home as one file that a team shares: packed while nothing runs, and checked whole before it is laid out.

A compressed tar. Its first member, ``manifest.json``, says in which format the file is, and the sha256 of each other
member. Signing nodes' stores and other chains are never part of it.
"""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any, Final

from hither.chain.genesis_file import list_genesis_files
from hither.node.fork.pin import FORK_FILE
from hither.node.home import (
    CONFIG_FILE,
    DATA_FOLDER,
    FORMAT_FILE,
    GENESIS_FILE,
    NODE_KEY_FILE,
    VALIDATOR_KEY_FILE,
    HomeProblem,
    is_initialized,
    read_home,
)

ARCHIVE_FORMAT: Final = "hither-snapshot-1"
MANIFEST: Final = "manifest.json"
SUFFIX: Final = ".hither"
LOADING_FOLDER: Final = ".loading"
LEFT_OUT: Final = ("mpc", "foreign")
"""Folders that never leave a home: key shares belong to their nodes alone, and databases of other programs' chains are
for the version of the program that wrote them."""

LOADED_FILE: Final = "loaded.json"
"""Beside a chain that was saved from a home with such folders, and says which: its signing network ends here."""

LOCK_FILES: Final = ("lock.mdb", "writer.lock")
MANIFEST_BYTES_MAX: Final = 1 << 20


class InvalidArchive(HomeProblem):
    """The file is no snapshot that this program reads, or it is damaged. Nothing was changed."""


def save_home(home: Path, file: Path) -> list[str]:
    """Pack the chain of a home that nobody uses: the caller holds its lock. Returns what of ``LEFT_OUT`` is not in it.

    Raises ``HomeProblem``, ``OSError``.
    """
    read_home(home)  # What cannot be started is not packed.
    if not (home / DATA_FOLDER).exists():
        raise HomeProblem(f"{home} holds no chain yet; run its network first")
    names = [
        FORMAT_FILE,
        CONFIG_FILE,
        VALIDATOR_KEY_FILE,
        NODE_KEY_FILE,
        *list_genesis_files(home / GENESIS_FILE),
    ]
    if (home / FORK_FILE).exists():
        names.append(FORK_FILE)
    # Code that was compiled here is not packed: nobody should run machine code out of a file from elsewhere.
    files = sorted(path for path in (home / DATA_FOLDER).iterdir() if path.is_file())
    names += [f"{DATA_FOLDER}/{path.name}" for path in files if path.name not in LOCK_FILES]
    hashes = {name: _compute_sha256(home / name) for name in names}
    left_out = [name for name in (*LEFT_OUT, LOADED_FILE) if (home / name).exists()]
    manifest = json.dumps({"format": ARCHIVE_FORMAT, "sha256": hashes, "left_out": left_out}).encode()
    temporary = file.with_name(f".{file.name}.new")
    try:
        with tarfile.open(temporary, "w:gz", compresslevel=6) as archive:
            member = tarfile.TarInfo(MANIFEST)
            member.size = len(manifest)
            archive.addfile(member, io.BytesIO(manifest))
            for name in names:
                archive.add(home / name, name, recursive=False)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    return left_out


def load_home(file: Path, home: Path) -> list[str]:
    """Lay a packed chain out in a home without one, whose lock the caller holds. Returns what its home had beside it.

    Raises ``HomeProblem``, ``OSError``.
    """
    if is_initialized(home):
        raise HomeProblem(f"{home} holds a chain already; name another with --home")
    loading = home / LOADING_FOLDER
    shutil.rmtree(loading, ignore_errors=True)
    try:
        try:
            left_out = _unpack(file, loading)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidArchive(f"{file} is damaged, or no snapshot: {error}") from None
        read_home(loading)
        if left_out:
            (loading / LOADED_FILE).write_text(json.dumps({"left_out": left_out}))
        shutil.rmtree(home / DATA_FOLDER, ignore_errors=True)
        # genesis.json last, because its presence says that the rest is complete.
        for path in sorted(loading.iterdir(), key=lambda path: path.name == GENESIS_FILE):
            path.replace(home / path.name)
    finally:
        shutil.rmtree(loading, ignore_errors=True)
    return left_out


def _unpack(file: Path, folder: Path) -> list[str]:
    with tarfile.open(file, "r:gz") as archive:
        manifest = _read_manifest(archive, file)
        hashes = {str(name): str(value) for name, value in manifest["sha256"].items()}
        (folder / DATA_FOLDER).mkdir(parents=True)
        for member in archive.getmembers()[1:]:
            expected = hashes.pop(member.name, None)
            if expected is None or not member.isfile() or not _is_inside(member.name):
                raise InvalidArchive(f"{file} holds {member.name!r}, which no snapshot does")
            archive.extract(member, folder, filter="data")
            if _compute_sha256(folder / member.name) != expected:
                raise InvalidArchive(f"{file} is damaged: {member.name} is not what was saved")
    if hashes:
        raise InvalidArchive(f"{file} is damaged: {next(iter(hashes))} is missing")
    return [str(name) for name in manifest.get("left_out", ())]


def _read_manifest(archive: tarfile.TarFile, file: Path) -> dict[str, Any]:
    member = archive.next()
    content: Any = None
    if (
        member is not None
        and member.name == MANIFEST
        and member.isfile()
        and member.size <= MANIFEST_BYTES_MAX
    ):
        stream = archive.extractfile(member)
        try:
            content = json.loads(stream.read()) if stream is not None else None
        except ValueError:
            content = None
    if not isinstance(content, dict) or "format" not in content:
        raise InvalidArchive(f"{file} is not a snapshot of hither")
    if content["format"] != ARCHIVE_FORMAT:
        raise InvalidArchive(
            f"{file} has format {content['format']!r}, this program reads {ARCHIVE_FORMAT!r}"
        )
    if not isinstance(content.get("sha256"), dict) or not isinstance(content.get("left_out", []), list):
        raise InvalidArchive(f"{file} is damaged: its manifest names no files")
    return content


def _is_inside(name: str) -> bool:
    """Whether a member may be laid out: a JSON file of the home, or a file of the database."""
    parts = PurePosixPath(name).parts
    if any(part in ("/", "..") for part in parts):
        return False
    return name.endswith(".json") if len(parts) == 1 else len(parts) == 2 and parts[0] == DATA_FOLDER


def _compute_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
