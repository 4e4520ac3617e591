"""Which process holds a port, and which port is free."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

PORTS_TRIED_MAX = 100


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def find_free_port(host: str, start: int) -> int:
    """The first free port from ``start`` on."""
    for port in range(start, min(start + PORTS_TRIED_MAX, 65536)):
        if is_free(host, port):
            return port
    raise OSError(f"no free port from {start} to {start + PORTS_TRIED_MAX - 1}")


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
