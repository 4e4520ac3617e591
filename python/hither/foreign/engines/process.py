"""Running another program as a child that cannot outlive us.

The kernel kills the child when the thread that started it ends (PR_SET_PDEATHSIG), so that even a SIGKILL of the
parent leaves nothing behind. Start children from a thread that lives as long as they should.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final

from hither.foreign.errors import EngineError

_PR_SET_PDEATHSIG: Final = 1
_POLL_SECONDS: Final = 0.005
_OUTPUT_SHOWN_BYTES: Final = 2_000
# Loaded before any fork: a child of a threaded program must not load libraries.
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Child:
    """A running program with its output in a file. Made by ``start_child``."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        self._name = name
        self._process = process
        self._output = output

    @property
    def process_id(self) -> int:
        """Of the program itself."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def read_output(self) -> str:
        """What it wrote so far."""
        end = self._output.seek(0, os.SEEK_END)
        return os.pread(self._output.fileno(), end, 0).decode(errors="replace")

    async def wait_until(self, is_ready: Callable[[str], bool], timeout_seconds: float) -> str:
        """Its output, once that shows that it is ready. Raises ``EngineError``, and ends it."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            output = self.read_output()
            if is_ready(output):
                return output
            if not self.is_running:
                reason = f"{self._name} ended with status {self._process.returncode}"
            elif time.monotonic() > deadline:
                reason = f"{self._name} was not ready after {timeout_seconds:g} s"
            else:
                await asyncio.sleep(_POLL_SECONDS)
                continue
            await self.stop()
            raise EngineError(f"{reason}: {output[-_OUTPUT_SHOWN_BYTES:].strip()}")

    async def stop(self, patience_seconds: float = 3.0) -> None:
        """Ask it to end, then make it. A second call does nothing."""
        if self.is_running:
            self._process.terminate()
            deadline = time.monotonic() + patience_seconds
            while self.is_running and time.monotonic() < deadline:
                await asyncio.sleep(_POLL_SECONDS)
            if self.is_running:
                self._process.kill()
                self._process.wait()
        self._output.close()


def start_child(
    name: str, arguments: Sequence[str], *, log_path: Path | None = None, descriptors: Sequence[int] = ()
) -> Child:
    """Start a program; its output goes to the log file, else to one without a name. Raises ``EngineError``.

    It inherits the open ``descriptors`` under their numbers.
    """
    parent = os.getpid()

    def die_with_parent() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # It was gone before the kernel knew of our wish.
            os._exit(1)

    # The child's to write and ours to close, so no block can hold it.
    output: IO[bytes] = log_path.open("w+b") if log_path is not None else tempfile.TemporaryFile()  # noqa: SIM115
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
            pass_fds=tuple(descriptors),
            # Ctrl-C in a terminal goes to the whole group; the parent ends its children in its own order.
            process_group=0,
        )
    except OSError as error:
        output.close()
        raise EngineError(f"{name} does not start: {error}") from error
    return Child(name, process, output)
