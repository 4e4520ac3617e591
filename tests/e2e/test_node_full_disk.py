"""A node that cannot write any more stops making blocks, says so, and has lost nothing."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.test_node_kills import ROOT, SENDERS, find_broken, make_home

LIMIT_BYTES = 4_000_000


@pytest.mark.slow
def test_a_full_disk_stops_the_chain_and_loses_nothing(tmp_path: Path) -> None:
    """Files may grow to 4 MB: the commit that needs more fails, and everything promised before is there."""
    home = tmp_path / "home"
    make_home(home)
    code = (
        "import asyncio, resource, sys; from pathlib import Path; from tests.e2e import node_load;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT_BYTES}, {LIMIT_BYTES}));"
        "asyncio.run(node_load.run(Path(sys.argv[1]), [f'user{at}.near' for at in range(int(sys.argv[2]))]))"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'python'}:{ROOT}"}
    process = subprocess.run(
        [sys.executable, "-c", code, str(home), str(SENDERS)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=False,
    )
    lines = [line.split() for line in process.stdout.decode().splitlines() if " " in line]
    promised = dict(lines)
    assert process.returncode != 0
    assert len(promised) > 100
    assert b"the chain stopped" in process.stderr
    started = time.monotonic()
    assert find_broken(home, promised) == []
    assert time.monotonic() - started < 30
