"""Builds of contracts that are interrupted, that run at once, or that make what no chain runs."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hither.cli.contracts.builders import UNFINISHED, build
from hither.cli.contracts.project import Project, make_project
from hither.testing import Chain
from hither.testing.network import LocalNetwork

pytestmark = pytest.mark.slow
WAIT_S_MAX = 240
# A source reads another file, which at first is a pipe that nobody writes into: there the compiler stays.
INCLUDED = {"cpp": ("slow.hpp", '#include "slow.hpp"\n'), "rust": ("slow.rs", 'include!("slow.rs");\n')}


def start_build(project: Project) -> subprocess.Popen[bytes]:
    """`hither contracts build`, in a group of its own as a shell would have it."""
    command = [Path(sys.executable).parent / "hither", "contracts", "build", str(project.folder)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=dict(os.environ),
    )


def must_become(is_true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait until something holds; a build that ends before is a failure."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not is_true():
        assert process.poll() is None, process.stdout.read() if process.stdout else None
        assert time.monotonic() < deadline
        time.sleep(0.005)


def has_reader(pipe: Path) -> bool:
    """Whether the compiler has opened it."""
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Ctrl-C reaches the compiler too; SIGKILL the command alone, and what it started a moment later."""
    if number is signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.kill()
    assert process.wait(WAIT_S_MAX) != 0
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def must_work(project: Project) -> None:
    """What was built counts."""
    with LocalNetwork() as running:
        chain = Chain(running.url)
        counter = chain.deploy(project.wasm)
        assert chain.account("alice").call(counter, "increment", {"by": 2}).value == b"2"


@pytest.mark.parametrize(
    ("language", "number"),
    [("cpp", signal.SIGINT), ("cpp", signal.SIGKILL), ("rust", signal.SIGKILL)],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else value,
)
def test_build_that_was_interrupted_is_repeated(
    language: str, number: signal.Signals, tmp_path: Path
) -> None:
    """The last good wasm is as it was; the next build is what it would have been without the interruption."""
    project = make_project(tmp_path, f"cut-{language}-{number.name.lower()}", language)
    good = build(project).wasm.read_bytes()
    name, line = INCLUDED[language]
    text = project.source.read_text()
    # A comment of Rust's crate must stay first.
    project.source.write_text(f"{line}{text}" if language == "cpp" else f"{text}{line}")
    slow = project.source.parent / name
    os.mkfifo(slow)
    process = start_build(project)
    must_become(lambda: has_reader(slow), process)
    end(process, number)
    assert project.wasm.read_bytes() == good
    slow.unlink()
    slow.write_text("")
    assert build(project).wasm.read_bytes() == good
    assert not (project.build_folder / UNFINISHED).exists()
    must_work(project)


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_build_that_was_killed_at_any_moment_is_repeated(language: str, tmp_path: Path) -> None:
    """Half a copy of a toolchain's objects, or half a bundle, is not taken for a whole one."""
    project = make_project(tmp_path, f"killed-{language}", language)
    process = start_build(project)
    must_become(lambda: (project.build_folder / UNFINISHED).exists(), process)
    end(process, signal.SIGKILL)
    assert not project.wasm.exists()
    half = project.build_folder / "python/build"
    half.mkdir(parents=True, exist_ok=True)
    build(project)
    must_work(project)


def test_two_commands_at_once_both_end_well(tmp_path: Path) -> None:
    """In processes of their own; the second waits for the first."""
    project = make_project(tmp_path, "twice", "cpp")
    processes = [start_build(project) for _ in range(2)]
    said = [process.communicate(timeout=WAIT_S_MAX)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert len({text.rpartition(": ")[2].partition(" bytes")[0] for text in said}) == 1
    must_work(project)
