"""A node that may open few files says so, or lives with it."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hither.cli.rpc import NodeUnreachable, RpcCaller
from hither.foreign.engines.ports import find_free_port
from tests.e2e.cli.running import PROGRAMS, must_hither

pytestmark = pytest.mark.slow
WAIT_S_MAX = 120


def allow(soft: int, hard: int) -> Callable[[], None]:
    """For a child, between fork and exec."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("command", [["node", "run"], ["up", "--alone"]], ids=["node", "up"])
def test_too_few_file_handles_are_told_before_anything_starts(command: list[str], tmp_path: Path) -> None:
    """In one sentence, with what to do."""
    must_hither("node", "init", "--home", str(tmp_path), home=tmp_path)
    refused = subprocess.run(
        [str(PROGRAMS / "hither"), *command, "--home", str(tmp_path)],
        env=os.environ | {"HITHER_PORT_OFFSET": str(find_free_port() - 3030)},
        capture_output=True,
        text=True,
        timeout=WAIT_S_MAX,
        check=False,
        preexec_fn=allow(64, 64),
    )
    assert refused.returncode == 1, refused.stderr
    assert (
        "Error: too few file handles: 64 are allowed, 256 are needed\nhint: raise the hard limit"
        in refused.stderr
    )
    assert not (tmp_path / "data").exists()


def test_more_connections_than_file_handles_do_not_end_a_node(tmp_path: Path) -> None:
    """The soft limit is raised to the hard one; who comes after that waits until others have gone."""
    must_hither("node", "init", "--home", str(tmp_path), home=tmp_path)
    port = find_free_port()
    command = [
        str(PROGRAMS / "hither"),
        "node",
        "run",
        "--home",
        str(tmp_path),
        "--rpc-addr",
        f"127.0.0.1:{port}",
    ]
    with subprocess.Popen(command, preexec_fn=allow(64, 300), stdout=sys.stderr) as node:
        try:
            height = must_answer(port, node)
            with contextlib.ExitStack() as idle:
                for _ in range(400):
                    idle.enter_context(socket.create_connection(("127.0.0.1", port), timeout=WAIT_S_MAX))
            assert must_answer(port, node) >= height
            node.send_signal(signal.SIGTERM)
            assert node.wait(WAIT_S_MAX) == 0
        finally:
            node.kill()


def must_answer(port: int, node: subprocess.Popen[bytes]) -> int:
    """The height, as soon as there is an answer."""
    for _ in range(600):
        caller = RpcCaller(f"http://127.0.0.1:{port}", timeout_s=WAIT_S_MAX)
        try:
            return int(caller.call("status", [])["sync_info"]["latest_block_height"])
        except NodeUnreachable:
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"the node has ended: {node.wait(0.1)}") from None
        finally:
            caller.close()
    raise AssertionError("the node does not answer")
