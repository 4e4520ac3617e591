"""How long each step of the tutorials takes, measured and written at the end of its page.

``python -m tests.e2e.docs.step_times --write`` on a machine that does nothing else; the test beside it only looks that
every step has its row and every language its column. A step is a heading with what is to be typed below it.
"""

import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.cli.running import hither
from tests.e2e.docs.pages import (
    IN_EVERY_LANGUAGE,
    LANGUAGES,
    list_tutorials,
    make_environment,
    must_run,
    read_blocks_in,
)
from tests.test_docs import ROOT, read_blocks

HEADING = "## How long it takes"
START = "to begin with"
TOTAL = "all of it"
Seconds = dict[str, float]


def find_step(page: str, line: int) -> str:
    """The heading above a line."""
    above = (ROOT / page).read_text(encoding="utf-8").splitlines()[:line]
    return next((one.removeprefix("## ") for one in reversed(above) if one.startswith("## ")), START)


def list_steps(page: str) -> list[str]:
    """Steps with something to type, in order."""
    return list(dict.fromkeys(find_step(page, block.line) for block in read_blocks(page)))


def list_columns(page: str) -> list[str]:
    """Whose times stand side by side."""
    return list(LANGUAGES) if page in IN_EVERY_LANGUAGE else ["time"]


def read_rows(page: str) -> list[tuple[str, ...]]:
    """The table at the end, without its figures."""
    _, _, table = (ROOT / page).read_text(encoding="utf-8").partition(HEADING)
    rows = [re.split(r" ?\| ?", line)[1:-1] for line in table.splitlines() if line.startswith("| ")]
    return [tuple(re.sub(r"^[\d.]+ s$", "", cell) for cell in row) for row in rows]


def make_rows(page: str) -> list[tuple[str, ...]]:
    """What the table has to be, without its figures."""
    columns = list_columns(page)
    return [("step", *columns), *((step, *("" for _ in columns)) for step in [*list_steps(page), TOTAL])]


def measure(language: str) -> dict[str, Seconds]:
    """Follow the tutorials as a reader of this language does, and time their steps."""
    pages = {page: dict.fromkeys(list_steps(page), 0.0) for page in list_tutorials(language)}
    with tempfile.TemporaryDirectory() as folder:
        environment = make_environment(Path(folder))
        try:
            for page, seconds in pages.items():
                for block in read_blocks_in(page, language):
                    started = time.monotonic()
                    must_run(block, environment)
                    seconds[find_step(page, block.line)] += time.monotonic() - started
        finally:
            hither("down", home=Path(environment["HITHER_HOME"]))
    return pages


def make_table(page: str, by_language: Mapping[str, dict[str, Seconds]], load: float) -> str:
    """The end of a page."""
    columns = list_columns(page)
    measured = [by_language[name][page] for name in LANGUAGES if page in by_language[name]]
    lines = [("step", *columns), ("---",) * (1 + len(columns))]
    lines += [(step, *(f"{max(one[step], 0.1):.1f} s" for one in measured)) for step in list_steps(page)]
    lines.append((TOTAL, *(f"{sum(one.values()):.1f} s" for one in measured)))
    rows = "".join(f"| {' | '.join(line)} |\n" for line in lines).replace(" --- ", "---")
    return (
        f"{HEADING}\n\nMeasured by running this page on {os.cpu_count()} cores, everything set up before and each "
        f"language's compiler installed, with a load of {load:.1f} at the beginning; reading comes on top.\n\n{rows}"
    )


def main() -> None:
    """Measure all tutorials; ``--write`` puts the tables into them."""
    load = os.getloadavg()[0]
    by_language = {language: measure(language) for language in LANGUAGES}
    for page in by_language["Rust"]:
        table = make_table(page, by_language, load)
        print(f"{page}\n{table}")
        if "--write" in sys.argv:
            path = ROOT / page
            text, _, _ = path.read_text(encoding="utf-8").partition(HEADING)
            path.write_text(text + table, encoding="utf-8")


if __name__ == "__main__":
    main()
