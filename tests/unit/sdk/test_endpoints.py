"""How a running network is found."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hither.cli.ports import describe_owner
from hither.foreign.engines.ports import find_next_free_port, is_free
from hither.sdk.endpoints import (
    FILE_NAME,
    NoNetwork,
    is_running,
    read_endpoints,
    remove_endpoints,
    resolve_home,
    write_endpoints,
)


def test_file_is_private_and_read_back(tmp_path: Path) -> None:
    """It holds keys, so only its owner may read it."""
    content = {"pid": os.getpid(), "near": {"rpc_url": "http://127.0.0.1:1"}}
    write_endpoints(tmp_path, content)
    assert read_endpoints(tmp_path) == content
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_file_of_an_ended_process_is_no_network(tmp_path: Path) -> None:
    """After a crash the file stays; nothing answers there."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    write_endpoints(tmp_path, {"pid": ended.pid})
    ended.wait()
    with pytest.raises(NoNetwork, match="has ended"):
        read_endpoints(tmp_path)


def test_zombie_does_not_run() -> None:
    """A process that has ended but was not waited for yet holds nothing."""
    zombie = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert zombie.stdout is not None
    zombie.stdout.read()
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    assert not is_running(zombie.pid)
    zombie.wait()


def test_missing_and_damaged_files_say_what_to_do(tmp_path: Path) -> None:
    """No traceback for a person who mistyped a folder."""
    with pytest.raises(NoNetwork, match="hither up"):
        read_endpoints(tmp_path)
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(NoNetwork, match="damaged"):
        read_endpoints(tmp_path)


def test_only_the_writer_removes_the_file(tmp_path: Path) -> None:
    """A second program that failed to start must not take the first one's file away."""
    write_endpoints(tmp_path, {"pid": 1})
    remove_endpoints(tmp_path, os.getpid())
    assert (tmp_path / FILE_NAME).exists()
    remove_endpoints(tmp_path, 1)
    assert not (tmp_path / FILE_NAME).exists()
    remove_endpoints(tmp_path, 1)


def test_home_is_the_option_then_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """And at last a folder in the person's own."""
    monkeypatch.setenv("HITHER_HOME", "/tmp/somewhere")
    assert resolve_home("/tmp/option") == Path("/tmp/option")
    assert resolve_home(None) == Path("/tmp/somewhere")
    monkeypatch.delenv("HITHER_HOME")
    assert resolve_home(None) == Path("~/.hither").expanduser()


def test_owner_of_a_port_is_named() -> None:
    """The message says whom to stop."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert f"(process {os.getpid()})" in describe_owner(port)
        assert find_next_free_port(port) > port
    assert is_free(port)
