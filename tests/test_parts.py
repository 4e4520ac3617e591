"""scripts/run_tests leaves no test out and runs none twice."""

import importlib.machinery
import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def load_script() -> ModuleType:
    """scripts/run_tests, which has no suffix."""
    loader = importlib.machinery.SourceFileLoader("run_tests", str(ROOT / "scripts/run_tests"))
    spec = importlib.util.spec_from_loader("run_tests", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["run_tests"] = module
    loader.exec_module(module)
    return module


SCRIPT = load_script()


def holds(part: object, file: str) -> bool:
    """Whether pytest, called as the part says, would take up the file."""
    words: list[str] = part.command  # type: ignore[attr-defined]
    ignored = [word.removeprefix("--ignore=") for word in words if word.startswith("--ignore=")]
    named = [word for word in words if word.startswith("tests")]

    def is_below(folders: list[str]) -> bool:
        return any(file == folder or file.startswith(f"{folder}/") for folder in folders)

    return is_below(named) and not is_below(ignored)


def test_every_test_file_is_in_one_part() -> None:
    """Neither forgotten nor run twice."""
    parts = [part for part in SCRIPT.build_parts(False) if part.is_pytest]
    for path in (ROOT / "tests").rglob("test_*.py"):
        file = path.relative_to(ROOT).as_posix()
        assert sum(holds(part, file) for part in parts) == 1, file


def test_minutes_of_the_parts_fit_into_the_run() -> None:
    """What every part may take is together less than the whole may."""
    assert sum(part.minutes for part in SCRIPT.build_parts(False)) < SCRIPT.MINUTES_MAX


def test_part_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    """It and what it has started; the run goes on to say so."""
    part = SCRIPT.Part("slow", 1, ["sh", "-c", "sleep 60 & sleep 60"])
    started = time.monotonic()
    assert SCRIPT.run_part(part, time.monotonic() + 0.2, tmp_path / "none.xml") == "out of time"
    assert time.monotonic() - started < 10


def test_minutes_over_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A part over its minutes is a warning, not a failure."""
    totals = SCRIPT.Totals(
        rows=[(SCRIPT.Part("chain", 1, []), 2.0, "ok"), (SCRIPT.Part("rust", 4, []), 1.0, "ok")]
    )
    SCRIPT.print_minutes(totals)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "OVER" in line] == ["chain"]
