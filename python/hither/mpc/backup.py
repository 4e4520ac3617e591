"""Backups of a node: its key shares and its own keys in one file, under the node's store key. Never stock.

Presignatures are left out because one that was used after the backup must not come back: two signatures with the same
nonce give away the key.
"""

import os
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hither.mpc.store import NodeStore, StoreDamaged

_MAGIC: Final = b"hither signing node backup 1\n"
_NONCE_BYTES: Final = 12


class _Content(msgspec.Struct):
    shares: list[tuple[int, int, int, bytes]]
    settings: list[tuple[str, bytes]]


def write_backup(store: NodeStore, key: bytes, path: Path) -> int:
    """Write a new file, on disk on return; how many shares it holds. Raises FileExistsError."""
    rows = store.export_rows()
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, msgspec.msgpack.encode(rows), _MAGIC)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_MAGIC + nonce + sealed)
        file.flush()
        os.fsync(file.fileno())
    return len(rows["shares"])


def restore_backup(path: Path, key: bytes, store_path: Path) -> int:
    """Make a store from a backup; how many shares it holds. Raises StoreDamaged, FileExistsError."""
    data = path.read_bytes()
    if not data.startswith(_MAGIC):
        raise StoreDamaged(f"{path} is not a backup of a signing node")
    nonce, sealed = data[len(_MAGIC) :][:_NONCE_BYTES], data[len(_MAGIC) + _NONCE_BYTES :]
    try:
        content = msgspec.msgpack.decode(AESGCM(key).decrypt(nonce, sealed, _MAGIC), type=_Content)
    except (InvalidTag, ValueError) as error:
        raise StoreDamaged(f"{path} cannot be decrypted with this key, or was changed") from error
    if store_path.exists():
        raise FileExistsError(f"{store_path} exists; move it away first")
    with NodeStore(store_path, key) as store:
        store.import_rows({"shares": list(content.shares), "settings": list(content.settings)})
    return len(content.shares)
