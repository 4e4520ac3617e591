"""``hither bench start``: how soon a node and a network are ready, and what they take of memory."""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hither.chain.genesis import DevelopmentOptions
from hither.cli.bench.options import BenchmarkFailed, BenchOptions, Figures
from hither.cli.bench.programs import (
    HITHER,
    READY_S_MAX,
    measure_cpu_s,
    measure_memory_mb,
    run_program,
    wait_until_ready,
)
from hither.cli.rpc import RpcCaller
from hither.foreign.engines.ports import find_free_port, find_network_offset
from hither.node.home import init_home
from hither.sdk.endpoints import FILE_NAME

STARTS = 5
INTERVAL_S = 0.005
SETTLE_S = 5
"""Where the ports of a network may be moved to: away from the usual ones, and below 65,536 for all."""


def measure(options: BenchOptions) -> Figures:
    """The median of some starts of a node on a home that is there; one first and one second ``hither up``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        init_home(
            path / "node", DevelopmentOptions(protocol_version=options.protocol_version), time.time_ns()
        )
        nodes = [_start_node(path) for _ in range(STARTS)]
        figures: Figures = {
            "node_ready_s": round(statistics.median(ready_s for ready_s, _, _ in nodes), 3),
            "node_ready_cpu_s": round(statistics.median(cpu_s for _, cpu_s, _ in nodes), 3),
            "node_rss_mb": max(memory[0] for _, _, memory in nodes),
            "node_mapped_mb": max(memory[1] for _, _, memory in nodes),
            "starts": STARTS,
        }
        if options.has_peer:  # Whoever leaves out the rest wants the node alone.
            first_s, _ = _start_network(path)
            ready_s, memory = _start_network(path)
            figures |= {
                "up_first_s": round(first_s, 2),
                "up_ready_s": round(ready_s, 2),
                "rss_mb": memory[0],
                "mapped_mb": memory[1],
            }
        return figures


def _start_node(folder: Path) -> tuple[float, float, tuple[float, float]]:
    """Seconds until ``status`` answers, how many of them a processor worked, and memory then."""
    port = find_free_port()
    arguments = (*HITHER, "node", "run", "--home", str(folder / "node"), "--rpc-addr", f"127.0.0.1:{port}")
    started = time.monotonic()
    log = folder / "node.log"
    with run_program(arguments, log) as process:
        caller = RpcCaller(f"http://127.0.0.1:{port}")
        wait_until_ready(process, caller, "status", log, interval_s=INTERVAL_S)
        ready_s = time.monotonic() - started
        caller.close()
        return ready_s, measure_cpu_s(process.pid), measure_memory_mb(process.pid)


@dataclass(frozen=True, slots=True)
class RunningNetwork:
    """A ``hither up`` of this benchmark."""

    home: Path
    process_id: int
    ready_s: float


def _start_network(folder: Path) -> tuple[float, tuple[float, float]]:
    """Seconds until ``hither up`` says that everything answers, and the memory of all its processes with stock full."""
    with run_network(folder) as running:
        # Once ready it fills up the stock of presignatures in the background: the most of what is seen counts.
        seen = []
        for _ in range(SETTLE_S):
            seen.append(measure_memory_mb(running.process_id))
            time.sleep(1)
        return running.ready_s, max(seen)


@contextlib.contextmanager
def run_network(folder: Path, *options: str) -> Iterator[RunningNetwork]:
    """``hither up`` with these options on a home in the folder, ready, while the block runs. Raises BenchmarkFailed."""
    offset, home = find_network_offset(), folder / "up"
    arguments = (*HITHER, "up", "--home", str(home), "--port-offset", str(offset), "--quiet", *options)
    log = folder / "up.log"
    started = time.monotonic()
    with run_program(arguments, log) as process:
        while not (home / FILE_NAME).exists():
            if process.poll() is not None or time.monotonic() - started > READY_S_MAX:
                words = log.read_text(encoding="utf-8", errors="replace").strip()[-500:]
                raise BenchmarkFailed(f"hither up did not come up: {words or 'it said nothing'}")
            time.sleep(INTERVAL_S)
        yield RunningNetwork(home, process.pid, time.monotonic() - started)
