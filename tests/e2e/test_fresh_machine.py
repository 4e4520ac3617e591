"""The whole product, from an empty home and from an empty cache, without any network but loopback."""

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from hither.foreign.engines.ports import find_network_offset
from tests.e2e.cli.running import PROGRAMS
from tests.e2e.demo.test_demo import ROLLUPS, list_processes

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
# A machine that builds everything, and has other work beside it.
SETUP_S_MAX = 90 * 60
DEMO_S_MAX = 15 * 60
# Loopback is up, nothing else can be reached (a datagram socket that is connected sends nothing), then the command.
WITH_LOOPBACK_ALONE = """
import fcntl, os, socket, struct, sys
SET_FLAGS, UP_AND_RUNNING = 0x8914, 0x41
with socket.socket() as one:
    fcntl.ioctl(one, SET_FLAGS, struct.pack("16sh14x", b"lo", UP_AND_RUNNING))
with socket.socket(type=socket.SOCK_DGRAM) as one:
    try:
        one.connect(("192.0.2.1", 9))
    except OSError:
        os.execvp(sys.argv[1], sys.argv[1:])
sys.exit("there is a network beyond loopback")
"""


def without_network(command: list[str]) -> list[str]:
    """The command in a network namespace of its own; as it is, where the system lets nobody make one."""
    bare = ["unshare", "--map-root-user", "--net", sys.executable, "-c", WITH_LOOPBACK_ALONE]
    try:
        tried = subprocess.run([*bare, "true"], capture_output=True, text=True, timeout=120, check=False)
        reason = tried.stderr.strip() if tried.returncode else ""
    except FileNotFoundError:
        reason = "there is no program unshare"
    if reason:
        warnings.warn(f"the demonstration ran with the machine's network: {reason}", stacklevel=2)
        return command
    return [*bare, *command]


def must_show_every_chain(program: Path, home: Path, environment: dict[str, str]) -> None:
    """On an empty home every chain is shown, the exit code is 0, and every process has ended."""
    command = [str(program), "up", "--home", str(home), "--demo", "--exit", "--quiet"]
    command += ["--port-offset", str(find_network_offset())]
    result = subprocess.run(
        without_network(command),
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEMO_S_MAX,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert all(chain in result.stdout for chain in ["near:localnet", "bip122:", *ROLLUPS, "solana:"])
    assert not (home / "endpoints.json").exists()
    deadline = time.monotonic() + 120
    while left := list_processes(str(home)):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_demo_and_exit_needs_no_network_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """``hither up --demo --exit`` on an empty home; a client of every chain that is not ours has read each row."""
    must_show_every_chain(PROGRAMS / "hither", tmp_path, dict(os.environ))


@pytest.mark.long
def test_clone_with_an_empty_cache_shows_every_chain(tmp_path: Path) -> None:
    """``make setup`` in a clone builds and fetches everything; a second one does nothing; then the demonstration.

    The caches of the package managers stay (cargo's registry, pip's, npm's and apt's): they spare downloads, and what
    set-up makes of packages lies in its own cache, which is empty here.
    """
    checkout, cache = tmp_path / "checkout", tmp_path / "cache"
    cache.mkdir()
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CARGO_TARGET_DIR", "VIRTUAL_ENV") and not name.startswith(("PYTEST_", "HITHER_"))
    }
    environment["HITHER_CACHE"] = str(cache)
    programs = environment["PATH"].split(os.pathsep)
    environment["PATH"] = os.pathsep.join(one for one in programs if Path(one) != PROGRAMS)

    def run(*command: str) -> str:
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SETUP_S_MAX, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    run("git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(checkout))
    assert "building the native module and its 300 dependencies" in run("make", "-C", str(checkout), "setup")
    again = run("make", "-C", str(checkout), "setup").splitlines()
    assert [line for line in again if line.startswith("setup: ") and "done in" not in line] == []
    must_show_every_chain(checkout / ".venv/bin/hither", tmp_path / "home", environment)
