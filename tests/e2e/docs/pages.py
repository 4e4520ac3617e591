"""A page of the documents as its reader runs it: block by block, in a home of their own."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from hither.foreign.engines.ports import find_network_offset
from tests.test_docs import ROOT, Block, read_blocks

# `make` sets up and tests; what it starts is started by the test itself.
NOT_RUN = ("make ",)
NAME_WHAT_FAILED = """trap 'echo "failed: $BASH_COMMAND" >&2' ERR"""
TUTORIALS = "docs/tutorials"
# Each of them is followed in every language; the others are the same whatever the counter is written in.
IN_EVERY_LANGUAGE = (f"{TUTORIALS}/first_contract.md", f"{TUTORIALS}/first_signature_abroad.md")
LANGUAGES = {"Rust": "rust", "C++": "cpp", "JavaScript": "javascript", "Python": "python"}
BLOCK_S_MAX = 300
REASON_LINES = 30  # Of what a failing program complained, shown last.


def make_environment(folder: Path) -> dict[str, str]:
    """A person's environment: a home of their own, our programs first in the path, free ports, what set-up made."""
    own = Path.home()
    return os.environ | {
        "HOME": str(folder),
        "CARGO_HOME": os.environ.get("CARGO_HOME") or str(own / ".cargo"),
        "HITHER_CACHE": os.environ.get("HITHER_CACHE") or str(own / ".cache/hither"),
        "HITHER_HOME": str(folder / ".hither"),
        "HITHER_PORT_OFFSET": str(find_network_offset()),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def list_tutorials(language: str) -> list[str]:
    """The tutorials that a reader follows who knows this language, in the order of their index."""
    index = (ROOT / TUTORIALS / "index.md").read_text(encoding="utf-8")
    pages = [f"{TUTORIALS}/{name}" for name in re.findall(r"^\| \[[^]]+\]\((\w+\.md)\)", index, re.MULTILINE)]
    return [page for page in pages if language == "Rust" or page in IN_EVERY_LANGUAGE]


def read_blocks_in(page: str, language: str) -> list[Block]:
    """What this reader types: of blocks under the heading of a language their own, and its name after --language."""
    if page not in IN_EVERY_LANGUAGE:
        return read_blocks(page)
    chosen = f"--language {LANGUAGES[language]}"
    return [
        replace(block, text=block.text.replace("--language rust", chosen))
        for block in read_blocks(page)
        if block.heading not in LANGUAGES or block.heading == language
    ]


def must_run(block: Block, environment: dict[str, str]) -> None:
    """Run one block; what it prints is shown if it fails, or if the page says otherwise."""
    if block.language == "python":
        command = [sys.executable, "-c", block.text]
    elif block.language == "js":  # Modules are found from where a program stands.
        folder = Path(environment["HOME"]) / "project"
        (folder / "node_modules").mkdir(parents=True, exist_ok=True)
        (folder / "node_modules/hither").symlink_to(ROOT / "packages/hither")
        (folder / "program.mjs").write_text(block.text, encoding="utf-8")
        command = ["node", "--preserve-symlinks", str(folder / "program.mjs")]
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
    for text in block.said:
        if text not in result.stdout:
            raise AssertionError(
                describe_failure(block, f"does not say {text!r}", result.stdout, result.stderr)
            )


def describe_failure(block: Block, ended: str, output: str, errors: str) -> str:
    """Where it was and what it printed; why it failed stands last, where a log that is cut still has it."""
    reason = "\n".join(errors.splitlines()[-REASON_LINES:])
    return f"{block.page}:{block.line} {ended}\n{output}\n{reason}"
