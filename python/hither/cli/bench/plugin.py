"""``hither bench plugin``: how soon tests of contracts begin, what a snapshot costs, how quick a rebuild is."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from hither.cli.bench.options import BenchmarkFailed, BenchOptions, Figures
from hither.cli.contracts.builders import BuildFailed, build
from hither.cli.contracts.project import SOURCES, Project, make_project

TESTS: Final = 100
ANCHORS: Final = 100
RUNS: Final = 3
# What is changed in the source of each language before it is built again, as a person would: one message.
CHANGED: Final = ("by is at most 100", "by is one hundred at most")

_READY: Final = """
import json, time
from pathlib import Path

def test_first(chain):
    Path("began.json").write_text(json.dumps(time.time()))
"""
_ANCHORS: Final = f"""
import json, time
from pathlib import Path

def test_anchors(chain):
    took = []
    alice = chain.account("alice")
    for _ in range({ANCHORS}):
        before = time.perf_counter()
        with chain.anchor():
            taken = time.perf_counter() - before
            alice.transfer("bob.near", "1 N")
            before = time.perf_counter()
        took.append(taken + time.perf_counter() - before)
    Path("took.json").write_text(json.dumps(took))
"""
_HUNDRED: Final = f"""
import pytest

@pytest.fixture(scope="module")
def counter(chain):
    return chain.deploy("counter.wasm")

@pytest.mark.parametrize("by", range({TESTS}))
def test_counts(chain, counter, by):
    chain.account("alice").call(counter, "increment", {{"by": by}})
    assert counter.view("get") == by
"""


def measure(options: BenchOptions) -> Figures:
    """Medians of some runs; tests on one core, builds on all. Needs pytest and the contracts' compilers."""
    del options
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        projects = {language: make_project(folder, f"counter-{language}", language) for language in SOURCES}
        rebuild_s = {language: round(_rebuild(project), 2) for language, project in projects.items()}
        (folder / "counter.wasm").write_bytes(projects["cpp"].wasm.read_bytes())
        ready_s = []
        for _ in range(RUNS):
            started = time.time()
            _run_tests(folder, _READY)
            ready_s.append(json.loads((folder / "began.json").read_text()) - started)
        _run_tests(folder, _ANCHORS)
        anchors_s = json.loads((folder / "took.json").read_text())
        return {
            "ready_s": round(statistics.median(ready_s), 2),
            "snapshot_revert_ms": round(1000 * statistics.median(anchors_s), 2),
            "hundred_tests_s": round(statistics.median(_run_tests(folder, _HUNDRED) for _ in range(RUNS)), 2),
            "rebuild_s": rebuild_s,
        }


def _rebuild(project: Project) -> float:
    """Seconds of a build after one line has changed."""
    try:
        build(project)
        text = project.source.read_text()
        assert CHANGED[0] in text, "the templates say this"
        project.source.write_text(text.replace(*CHANGED))
        return build(project).seconds
    except BuildFailed as failure:
        raise BenchmarkFailed(str(failure)) from failure


def _run_tests(folder: Path, code: str) -> float:
    """Seconds of a run of pytest on one core."""
    (folder / "test_bench.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_bench.py"]
    started = time.monotonic()
    result = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_use_one_core,
    )
    if result.returncode:
        raise BenchmarkFailed(f"the tests did not pass: {result.stdout}{result.stderr}")
    return time.monotonic() - started


def _use_one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
