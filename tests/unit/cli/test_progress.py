"""Progress on a terminal and elsewhere."""

import io
from collections.abc import Iterator

import pytest

from hither.cli.progress import CLEAR_LINE, Progress


def tick() -> Iterator[float]:
    yield from (10.0, 10.5, 11.25)


def test_terminal_shows_one_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the seconds so far, cut to the width; what was done stays above it; nothing is left at the end."""
    monkeypatch.setenv("COLUMNS", "30")
    times, stream = tick(), io.StringIO()
    progress = Progress(stream, is_live=True, now=lambda: next(times))
    progress.say("asking for a signature")
    progress.note("done")
    progress.say("next")
    progress.close()
    progress.close()
    assert stream.getvalue() == (
        f"{CLEAR_LINE}   0.5 s  asking for a signa…{CLEAR_LINE}done\n{CLEAR_LINE}   1.2 s  next{CLEAR_LINE}"
    )


def test_elsewhere_each_message_is_a_line() -> None:
    """Without times and control characters: a log is read later."""
    stream = io.StringIO()
    progress = Progress(stream)
    progress.say("asking for a signature")
    progress.note("done")
    progress.close()
    assert stream.getvalue() == "asking for a signature\ndone\n"
