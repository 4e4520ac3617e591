"""How long each step of the tutorials takes, measured and written at the end of its page.

``python -m tests.e2e.docs.step_times --write`` on a machine that does nothing else; the test beside it only looks that
every step has its row. A step is a heading with what is to be typed below it.
"""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.cli.running import hither
from tests.e2e.docs.pages import make_environment, must_run
from tests.test_docs import ROOT, read_blocks

FOLDER = "docs/tutorials"
HEADING = "## How long it takes"
START = "to begin with"


def list_pages() -> list[str]:
    """All tutorials."""
    return sorted(
        path.relative_to(ROOT).as_posix() for path in (ROOT / FOLDER).glob("*.md") if path.stem != "index"
    )


def find_step(page: str, line: int) -> str:
    """The heading above a line."""
    above = (ROOT / page).read_text(encoding="utf-8").splitlines()[:line]
    return next((one.removeprefix("## ") for one in reversed(above) if one.startswith("## ")), START)


def list_steps(page: str) -> list[str]:
    """Steps with something to type, in order."""
    return list(dict.fromkeys(find_step(page, block.line) for block in read_blocks(page)))


def read_rows(page: str) -> list[str]:
    """Steps that the table at the end names."""
    _, _, table = (ROOT / page).read_text(encoding="utf-8").partition(HEADING)
    return [row.strip() for row in re.findall(r"^\| ([^|]+) \| [\d.]+ s \|$", table, re.MULTILINE)]


def measure(page: str) -> dict[str, float]:
    """Run a page as a reader does, and time its steps."""
    seconds = dict.fromkeys(list_steps(page), 0.0)
    with tempfile.TemporaryDirectory() as folder:
        environment = make_environment(Path(folder))
        try:
            for block in read_blocks(page):
                started = time.monotonic()
                must_run(block, environment)
                seconds[find_step(page, block.line)] += time.monotonic() - started
        finally:
            hither("down", home=Path(environment["HITHER_HOME"]))
    return seconds


def make_table(seconds: dict[str, float]) -> str:
    """The end of a page."""
    rows = "".join(f"| {step} | {max(took, 0.1):.1f} s |\n" for step, took in seconds.items())
    load = os.getloadavg()[0]
    return (
        f"{HEADING}\n\nMeasured by running this page on {os.cpu_count()} cores, "
        "everything set up before, with a load of "
        f"{load:.1f} at the end; reading comes on top.\n\n| step | time |\n|---|---|\n{rows}"
    )


def main() -> None:
    """Measure the tutorials named, else all; ``--write`` puts the tables into them."""
    names = [name for name in sys.argv[1:] if not name.startswith("--")]
    for page in names or list_pages():
        table = make_table(measure(page))
        print(f"{page}\n{table}")
        if "--write" in sys.argv:
            path = ROOT / page
            text, _, _ = path.read_text(encoding="utf-8").partition(HEADING)
            path.write_text(text + table, encoding="utf-8")


if __name__ == "__main__":
    main()
