"""Ports of this machine that nobody listens on, and how to choose among them."""

import random
import socket
from typing import Final

from hither.foreign.errors import EngineError

LOOPBACK: Final = "127.0.0.1"
NETWORK_PORTS: Final = (3030, 8545, 8546, 8547, 8899, 8900, 18443)
"""The default ports of a network; an offset moves all of them."""

# Linux gives outgoing connections the ports from 32,768 on (ip_local_port_range), so a port there that is free when it
# is chosen may be taken when a program comes to listen on it.
_OFFSETS: Final = range(1_000, 14_000, 10)
_SINGLE_PORTS: Final = range(26_000, 32_768)
_SEARCH_LENGTH: Final = 100


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now; port 0 is any free one."""
    return _find_obstacle(port, host) is None


def must_be_free(port: int) -> None:
    """Raises ``EngineError`` when something listens there; port 0 is any free one."""
    obstacle = _find_obstacle(port, LOOPBACK)
    if obstacle is not None:
        raise EngineError(
            f"port {port} is taken: {obstacle}", hint="stop what listens there, or choose another port"
        )


def find_free_port() -> int:
    """A port that nobody listens on, and that outgoing connections do not get. Raises ``EngineError``."""
    for port in random.SystemRandom().sample(_SINGLE_PORTS, len(_SINGLE_PORTS)):
        if is_free(port):
            return port
    raise EngineError(f"no free port from {_SINGLE_PORTS.start} to {_SINGLE_PORTS.stop - 1}")


def find_next_free_port(start: int) -> int:
    """The first free port from ``start`` on. Raises ``EngineError`` when the next hundred are taken."""
    for port in range(start, min(start + _SEARCH_LENGTH, 65_536)):
        if is_free(port):
            return port
    raise EngineError(f"no free port from {start} to {start + _SEARCH_LENGTH - 1}")


def find_network_offset() -> int:
    """An offset at which no port of a network is taken. Raises ``EngineError``."""
    for offset in random.SystemRandom().sample(_OFFSETS, len(_OFFSETS)):
        if all(is_free(port + offset) for port in NETWORK_PORTS):
            return offset
    raise EngineError(
        "no free ports for a network", hint="stop programs that hold many ports of this machine"
    )


def _find_obstacle(port: int, host: str) -> str | None:
    """The system's reason why nobody could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.strerror or str(error)
    return None
