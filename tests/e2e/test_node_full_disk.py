"""A node that cannot write any more stops making blocks, says so, and has lost nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_node_kills import ROOT, SENDERS, find_broken, make_home

LIMIT_BYTES = 4_000_000
RUN_S_MAX = 600
NOT_ALLOWED = 77
# A disk of 12 MB in a mount namespace of its own; what is on it is brought out at the end.
ON_SMALL_DISK = f"""
mount -t tmpfs -o size=12m none "$1" || exit {NOT_ALLOWED}
cp -a "$2/." "$1"
"$4" -m tests.e2e.node_load "$1" {SENDERS}
code=$?
df "$1" >&2
cp -a "$1/." "$3"
exit $code
"""
WITH_SMALL_FILES = (
    "import asyncio, resource, sys; from pathlib import Path; from tests.e2e import node_load;"
    f"resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT_BYTES}, {LIMIT_BYTES}));"
    f"asyncio.run(node_load.run(Path(sys.argv[1]), [f'user{{at}}.near' for at in range({SENDERS})]))"
)


def run_load(*command: str) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'python'}:{ROOT}"}
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, timeout=RUN_S_MAX, check=False
    )


def must_have_stopped_whole(process: subprocess.CompletedProcess[bytes], home: Path) -> None:
    """It said why and what to do, and everything that it promised is in the home."""
    promised = dict(line.split() for line in process.stdout.decode().splitlines() if " " in line)
    assert process.returncode == 1, process.stderr
    assert len(promised) > 100
    assert b"the chain stopped: " in process.stderr and b"no space left" in process.stderr
    assert b"the last commit was not made, all earlier ones are kept; free some space" in process.stderr
    assert find_broken(home, promised) == []


@pytest.mark.slow
def test_a_full_disk_stops_the_chain_and_loses_nothing(tmp_path: Path) -> None:
    """A small tmpfs; where nobody but the administrator may mount one, files that may not grow beyond 4 MB."""
    home, disk, kept = tmp_path / "home", tmp_path / "disk", tmp_path / "kept"
    make_home(home)
    disk.mkdir()
    kept.mkdir()
    places = (str(disk), str(home), str(kept), sys.executable)
    process = run_load("unshare", "--map-root-user", "--mount", "sh", "-c", ON_SMALL_DISK, "sh", *places)
    if not any(kept.iterdir()):
        process, kept = run_load(sys.executable, "-c", WITH_SMALL_FILES, str(home)), home
    must_have_stopped_whole(process, kept)


@pytest.mark.slow
def test_files_that_may_not_grow_stop_the_chain_too(tmp_path: Path) -> None:
    """A quota, say: the commit that needs more fails, and everything promised before is there."""
    home = tmp_path / "home"
    make_home(home)
    must_have_stopped_whole(run_load(sys.executable, "-c", WITH_SMALL_FILES, str(home)), home)
