"""Progress for a person: on a terminal one line that changes, what is done above it; elsewhere a line a message."""

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

CLEAR_LINE = "\r\x1b[K"


class Progress:
    """``say`` tells what is being done, ``note`` what was done. Close it before anything else is printed."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        is_live: bool | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._is_live = self._stream.isatty() if is_live is None else is_live
        self._now = now
        self._started = now()
        self._has_line = False

    def say(self, text: str) -> None:
        """What is being done now; on a terminal it takes the place of what was before."""
        if not self._is_live:
            self._write(text + "\n")
            return
        shown = f"{self._now() - self._started:6.1f} s  {text}"
        width = shutil.get_terminal_size().columns - 1
        self._write(CLEAR_LINE + (shown if len(shown) <= width else shown[: width - 1] + "…"))
        self._has_line = True

    def note(self, text: str) -> None:
        """What was done; it stays."""
        self._write((CLEAR_LINE if self._has_line else "") + text + "\n")
        self._has_line = False

    def close(self) -> None:
        """Leave nothing half said."""
        if self._has_line:
            self._write(CLEAR_LINE)
            self._has_line = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
