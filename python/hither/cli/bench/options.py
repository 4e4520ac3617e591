"""What a benchmark may be told, and what it says of its conditions."""

import os
import platform
from dataclasses import dataclass
from typing import Any

from hither import __version__

Figures = dict[str, Any]


class BenchmarkFailed(Exception):
    """Something that is needed is missing, or what was measured was not right; the message says what."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """``seconds`` is how long each load lasts at least; ``has_peer``: measure the peer as well.

    ``scheme``: of signatures; ``has_processes``: each signing node in a process of its own.
    """

    accounts: int = 100_000
    senders: int = 2_000
    shards: int = 1
    seconds: float = 20.0
    protocol_version: int = 88
    connections: int = 16
    has_peer: bool = True
    scheme: str = "cait-sith"
    has_processes: bool = False


def describe_conditions() -> Figures:
    """Machine and versions; the load average says whether anything else was running."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "hither": __version__,
        "load_before": round(os.getloadavg()[0], 2),
    }
