"""Ports are chosen where nothing can take them by chance."""

import socket
from pathlib import Path

import pytest

from hither.foreign.engines.ports import (
    NETWORK_PORTS,
    find_free_port,
    find_network_offset,
    find_next_free_port,
    is_free,
    must_be_free,
)
from hither.foreign.errors import EngineError

FIRST_OF_SYSTEM = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])


def test_no_chosen_port_is_one_that_an_outgoing_connection_may_get() -> None:
    """A connection of another program took a port between the choice and its use, now and then."""
    for _ in range(50):
        assert find_free_port() < FIRST_OF_SYSTEM
        assert max(NETWORK_PORTS) + find_network_offset() < FIRST_OF_SYSTEM


def test_taken_ports_are_seen() -> None:
    """By each way to ask."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert find_next_free_port(port) > port
        with pytest.raises(EngineError, match=f"port {port} is taken: Address already in use"):
            must_be_free(port)
    must_be_free(port)


def test_a_search_among_taken_ports_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an error, not with a port that is taken."""
    monkeypatch.setattr("hither.foreign.engines.ports.is_free", lambda _port: False)
    for search in (find_free_port, find_network_offset, lambda: find_next_free_port(4_000)):
        with pytest.raises(EngineError, match="no free port"):
            search()
