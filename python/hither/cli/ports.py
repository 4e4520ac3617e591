"""Which process holds a port."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def describe_owner(port: int) -> str:
    """The process that listens on the port, as far as this user may see it: ``node (process 1234)``."""
    sockets = {f"socket:[{inode}]" for inode in _find_listening_sockets(port)}
    for process in Path("/proc").glob("[0-9]*"):
        if sockets & set(_iterate_descriptors(process)):
            name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
            return f"{name} (process {process.name})"
    return "a process of another user, or outside this container"


def _iterate_descriptors(process: Path) -> Iterator[str]:
    """What a process has open; nothing for those of other users, and those that end meanwhile."""
    try:
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                yield os.readlink(descriptor)
    except OSError:
        return


def _find_listening_sockets(port: int) -> set[str]:
    """Inodes of the sockets that listen on that port."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes
