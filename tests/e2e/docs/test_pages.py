"""The shell lines and snippets of the pages run, in their order, on one network a page."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hither.foreign.engines.ports import find_network_offset
from tests.e2e.cli.running import hither
from tests.test_docs import ROOT, Block, read_blocks

pytestmark = pytest.mark.slow
PAGES = [
    "README.md",
    *sorted(
        path.relative_to(ROOT).as_posix()
        for folder in ("concepts", "guides")
        for path in ROOT.glob(f"docs/{folder}/*.md")
    ),
    # Of the reference those with programs; the others list options and figures.
    *sorted(
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob("docs/reference/*.md")
        if any(block.language == "python" for block in read_blocks(path.relative_to(ROOT).as_posix()))
    ),
]
# `make` sets up and tests; what it starts is started here by the test itself.
NOT_RUN = ("make ",)
NAME_WHAT_FAILED = """trap 'echo "failed: $BASH_COMMAND" >&2' ERR"""
BLOCK_S_MAX = 300
REASON_LINES = 30  # Of what a failing program complained, shown last.


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A person's environment: a home of their own, our programs first in the path, a free port."""
    home = tmp_path / ".hither"
    yield os.environ | {
        "HOME": str(tmp_path),
        "HITHER_CACHE": os.environ.get("HITHER_CACHE") or str(Path.home() / ".cache/hither"),
        "HITHER_HOME": str(home),
        "HITHER_PORT_OFFSET": str(find_network_offset()),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    hither("down", home=home)


def must_run(block: Block, environment: dict[str, str]) -> None:
    """Run one block; what it prints is shown if it fails."""
    if block.language == "python":
        command = [sys.executable, "-c", block.text]
    elif block.language == "sh":
        lines = [line for line in block.text.splitlines() if not line.startswith(NOT_RUN)]
        command = ["bash", "-Eeuo", "pipefail", "-c", "\n".join([NAME_WHAT_FAILED, *lines])]
    else:
        return
    try:
        result = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=BLOCK_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        said = [(part or b"").decode(errors="replace") for part in (expired.stdout, expired.stderr)]
        raise AssertionError(describe_failure(block, f"was not done in {BLOCK_S_MAX} s", *said)) from None
    if result.returncode:  # No `assert`: pytest would add the whole output once more, after the reason.
        ended = f"ended with {result.returncode}"
        raise AssertionError(describe_failure(block, ended, result.stdout, result.stderr))


def describe_failure(block: Block, ended: str, output: str, errors: str) -> str:
    """Where it was and what it printed; why it failed stands last, where a log that is cut still has it."""
    reason = "\n".join(errors.splitlines()[-REASON_LINES:])
    return f"{block.page}:{block.line} {ended}\n{output}\n{reason}"


@pytest.mark.parametrize("page", PAGES)
def test_page_runs_from_top_to_bottom(page: str, environment: dict[str, str]) -> None:
    """What it tells a person to type works, typed in that order."""
    blocks = read_blocks(page)
    if not any("hither up" in block.text for block in blocks if block.language == "sh"):
        must_run(Block(page, 0, "sh", "hither up --detach"), environment)
    for block in blocks:
        must_run(block, environment)


def test_block_that_fails_is_seen(environment: dict[str, str]) -> None:
    """A page with a mistake fails, and the message says where."""
    with pytest.raises(AssertionError, match=r"(?s)a\.md:7.*failed: hither nothing"):
        must_run(Block("a.md", 7, "sh", "hither nothing\ntrue"), environment)
    with pytest.raises(AssertionError, match="No module named"):
        must_run(Block("a.md", 7, "python", "import hither.nothing"), environment)


def test_reason_is_the_last_thing_said(environment: dict[str, str]) -> None:
    """A log that is cut in its middle still says why."""
    with pytest.raises(AssertionError) as failure:
        must_run(Block("a.md", 7, "sh", "echo why >&2; seq 9999; exit 3"), environment)
    assert str(failure.value).endswith("why")
    assert "a.md:7 ended with 3" in str(failure.value)
