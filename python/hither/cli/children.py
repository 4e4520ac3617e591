"""Programs that ``hither up`` runs beside the chain: started, waited for until they are ready, ended with it.

A child writes one line of JSON to its standard output once it is ready; lines of text before it are progress. It dies
with its parent however that ends: the kernel sends it SIGTERM when the parent is gone.
"""

import asyncio
import contextlib
import ctypes
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

END_S_MAX = 5
_PR_SET_PDEATHSIG = 1


class ChildFailed(Exception):
    """A child ended before it was ready; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running child and what it said when it was ready."""

    name: str
    process: asyncio.subprocess.Process
    ready: dict[str, Any]


def die_with_parent() -> None:
    """Called by a child first: end when the parent does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.asynccontextmanager
async def run_child(
    name: str, arguments: Sequence[str], progress: Callable[[str], None]
) -> AsyncIterator[Child]:
    """Start ``hither ARGUMENTS`` as a child, wait until it is ready, end it with the context. Raises ChildFailed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hither.cli.main",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Child(name, process, await _wait_until_ready(name, process, progress))
    finally:
        await _end(process)


async def _wait_until_ready(
    name: str, process: asyncio.subprocess.Process, progress: Callable[[str], None]
) -> dict[str, Any]:
    assert process.stdout is not None
    last = "it said nothing"
    while line := (await process.stdout.readline()).decode(errors="replace").strip():
        if line.startswith("{"):
            ready: dict[str, Any] = json.loads(line)
            return ready
        last = line
        progress(f"{name}: {line}")
    raise ChildFailed(f"{name} did not start: {last}")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), END_S_MAX)
    except TimeoutError:
        process.kill()
        await process.wait()
