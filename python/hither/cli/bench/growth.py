"""``hither bench growth``: what more accounts cost a transfer, a start, and the memory."""

import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from hither.cli.bench.load import send_once
from hither.cli.bench.options import BenchmarkFailed, BenchOptions, Figures
from hither.cli.bench.programs import measure_memory_mb, measure_peak_mb, run_node
from hither.cli.bench.submission import CONNECTIONS, make_broadcast
from hither.cli.bench.transfers import (
    TPS_MAX,
    get_genesis_hash,
    submit,
)
from hither.cli.bench.world import Payment, iterate_payments, make_home
from hither.codec import base58
from hither.node.home import Home, lock_home

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
            home = make_home(path / "home", sized)
            if step == 1:
                figures |= _measure_first_start(home, path)
            us, unsent = _measure_transfers(home, sized, figures)
            figures[f"us_at_{accounts:.0e}".replace("e+0", "e")] = us
            if step == 1:
                figures |= _measure_restart(home, path, unsent, options.seconds)
    return figures | {"accounts": options.accounts, "seconds": options.seconds}


def _measure_first_start(home: Home, folder: Path) -> Figures:
    """From a genesis file alone: how long until the node answers, and the most memory that it had until then."""
    started = time.monotonic()
    with run_node(home.path, folder) as (process, _):
        ready_s = time.monotonic() - started
        return {"first_start_s": round(ready_s, 2), "first_peak_mb": measure_peak_mb(process.pid)}


def _measure_restart(home: Home, folder: Path, payments: Sequence[Payment], seconds: float) -> Figures:
    """A start with a chain: how long, the memory then, and the memory when it has done transfers for so long."""
    started = time.monotonic()
    with run_node(home.path, folder) as (process, caller):
        restart_s = time.monotonic() - started
        restart_rss_mb, _ = measure_memory_mb(process.pid)
        sent = send_once(caller.url, map(make_broadcast, payments), folder, CONNECTIONS, seconds)
        if sent.refused * 100 > sent.sent:
            raise BenchmarkFailed(f"of {sent.sent} transfers {sent.refused} were refused")
        last = payments[sent.sent - 1]
        query = {
            "tx_hash": base58.encode(last.hash),
            "sender_account_id": last.signer_id,
            "wait_until": "FINAL",
        }
        caller.call("tx", query)
        rss_mb, mapped_mb = measure_memory_mb(process.pid)
    return {
        "restart_s": round(restart_s, 2),
        "restart_rss_mb": restart_rss_mb,
        "rss_mb": rss_mb,
        "mapped_mb": mapped_mb,
        "rss_transfers": sent.sent,
    }


def _measure_transfers(
    home: Home, options: BenchOptions, figures: Figures
) -> tuple[float, Sequence[Payment]]:
    """Processor time of a transfer in microseconds, and transfers that are not sent yet.

    What was written for each byte that stayed goes to the figures.
    """
    block_hash = get_genesis_hash(home)
    count = int(TPS_MAX * options.seconds) + options.senders
    payments = list(itertools.islice(iterate_payments(options, block_hash), count))
    data = home.data_path / "data.mdb"
    with lock_home(home.path):
        size, written, cpu_s = data.stat().st_blocks * 512, _read_written_bytes(), time.process_time()
        sent, _ = submit(home, payments[: -options.senders], options.seconds)
        cpu_s = time.process_time() - cpu_s
        grown = data.stat().st_blocks * 512 - size
        figures["write_amplification"] = round((_read_written_bytes() - written) / max(grown, 1), 2)
    return round(cpu_s * 1e6 / sent, 1), payments[sent:]


def _read_written_bytes() -> int:
    """What this process has had written to disks."""
    for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines():
        name, _, number = line.partition(":")
        if name == "write_bytes":
            return int(number)
    raise AssertionError("the kernel tells write_bytes")
