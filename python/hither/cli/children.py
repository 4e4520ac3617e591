"""Programs that ``hither up`` runs beside the chain: started, waited for until they are ready, ended with it.

A child writes one line of JSON to its output once it is ready; lines of text before it are progress. It cannot outlive
its parent (``hither.foreign.engines.process``).
"""

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hither.foreign.engines.process import Child, start_child

READY_S_MAX = 120.0


@dataclass(frozen=True, slots=True)
class ReadyChild:
    """A running child and what it said when it was ready."""

    process: Child
    ready: dict[str, Any]


@contextlib.asynccontextmanager
async def run_child(
    name: str, arguments: Sequence[str], log_path: Path, progress: Callable[[str], None]
) -> AsyncIterator[ReadyChild]:
    """Start ``hither ARGUMENTS`` as a child, wait until it is ready, end it with the context. Raises EngineError."""
    child = start_child(name, [sys.executable, "-m", "hither.cli.main", *arguments], log_path=log_path)
    try:
        shown = 0

        def is_ready(output: str) -> bool:
            nonlocal shown
            for line in output.splitlines()[shown:]:
                if line.startswith("{"):
                    return line.endswith("}")
                progress(f"{name}: {line}")
                shown += 1
            return False

        output = await child.wait_until(is_ready, READY_S_MAX)
        yield ReadyChild(child, json.loads(output.splitlines()[shown]))
    finally:
        await child.stop()
