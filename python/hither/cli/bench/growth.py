"""``hither bench growth``: what more accounts cost a transfer, a restart, and the memory."""

import itertools
import tempfile
import time
from pathlib import Path

from hither.cli.bench.options import BenchOptions, Figures
from hither.cli.bench.programs import measure_memory_mb, run_node
from hither.cli.bench.transfers import (
    TPS_MAX,
    get_genesis_hash,
    submit,
)
from hither.cli.bench.world import iterate_payments, make_home
from hither.node.home import lock_home

STEPS = (100, 10, 1)
"""The sizes are the number of accounts divided by these."""


def measure(options: BenchOptions) -> Figures:
    """With the default of a million accounts the fields are ``us_at_1e4``, ``us_at_1e5``, ``us_at_1e6``."""
    figures: Figures = {}
    for step in STEPS:
        accounts = max(options.accounts // step, 4)
        sized = BenchOptions(
            accounts=accounts, senders=min(options.senders, accounts), seconds=options.seconds
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder)
            figures[f"us_at_{accounts:.0e}".replace("e+0", "e")] = _measure_transfers(path, sized, figures)
            if step == 1:
                started = time.monotonic()
                with run_node(path / "home", path) as (process, _):
                    figures["restart_s"] = round(time.monotonic() - started, 2)
                    figures["rss_mb"], figures["mapped_mb"] = measure_memory_mb(process.pid)
    return figures | {"accounts": options.accounts, "seconds": options.seconds}


def _measure_transfers(folder: Path, options: BenchOptions, figures: Figures) -> float:
    """Processor time of a transfer in microseconds; what was written for each byte that stayed, as a figure."""
    home = make_home(folder / "home", options)
    block_hash = get_genesis_hash(home)
    count = int(TPS_MAX * options.seconds)
    payments = list(itertools.islice(iterate_payments(options, block_hash), count))
    data = home.data_path / "data.mdb"
    with lock_home(home.path):
        size, written, cpu_s = data.stat().st_blocks * 512, _read_written_bytes(), time.process_time()
        sent, _ = submit(home, payments, options.seconds)
        cpu_s = time.process_time() - cpu_s
        grown = data.stat().st_blocks * 512 - size
        figures["write_amplification"] = round((_read_written_bytes() - written) / max(grown, 1), 2)
    return round(cpu_s * 1e6 / sent, 1)


def _read_written_bytes() -> int:
    """What this process has had written to disks."""
    for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines():
        name, _, number = line.partition(":")
        if name == "write_bytes":
            return int(number)
    raise AssertionError("the kernel tells write_bytes")
