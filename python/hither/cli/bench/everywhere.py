"""``hither bench everywhere``: one new account sends on every chain, and how long one transfer on an EVM chain takes.

``total_s`` is from the account's creation to the last of the six transfers final, one after the other, faucets
included; the start of the network and the re-reading by independent clients (``verify_s``) are not in it. Then the
same kind of transfer is sent again and again on the first EVM chain, with pauses in which the signing nodes fill up
their stock.
"""

import asyncio
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from hither.cli.bench.options import BenchmarkFailed, BenchOptions, Figures
from hither.cli.bench.start import run_network
from hither.cli.demo import PROBLEMS
from hither.sdk.account import Account
from hither.sdk.amounts import Units
from hither.sdk.demo import FUNDS, run_demo
from hither.sdk.demo_rows import naming
from hither.sdk.endpoints import read_endpoints

SENDER_ID = "alice.near"
RECEIVER_ID = "bob.near"
WARM_UPS = 10
SENDS = 50
PAUSE_S = 0.2
SENT = Units(10**12)


def measure(options: BenchOptions) -> Figures:
    """Everything on a network of its own. Raises BenchmarkFailed when a row is not confirmed independently."""
    with tempfile.TemporaryDirectory() as folder, run_network(Path(folder)) as running:
        try:
            return asyncio.run(
                _measure(running.home, warm_ups=WARM_UPS, sends=SENDS if options.seconds >= 1 else 5)
            )
        except PROBLEMS as problem:
            raise BenchmarkFailed(str(problem)) from problem


async def _measure(home: Path, *, warm_ups: int, sends: int) -> Figures:
    endpoints = read_endpoints(home)
    report = await run_demo(endpoints, home, has_acts=False)
    times = await _time_sends(home, endpoints, warm_ups, sends)
    return {
        "total_s": round(report.total_s, 2),
        "verify_s": round(report.verify_s, 2),
        "evm_send_p50_ms": round(statistics.median(times), 1),
        "evm_send_p99_ms": round(times[min(len(times) - 1, len(times) * 99 // 100)], 1),
        "evm_sends": sends,
        "chains": [dataclasses.asdict(row) for row in report.rows],
    }


async def _time_sends(home: Path, endpoints: dict[str, Any], warm_ups: int, sends: int) -> list[float]:
    """Milliseconds of each transfer from the call until it is final, shortest first."""
    from hither.foreign.engines.faucet import fund

    row = next(row for row in endpoints["foreign"] if row["caip2"].startswith("eip155:"))
    with naming(row["caip2"], "transfers that are timed"):
        async with (
            await Account.load(SENDER_ID, home=home) as sender,
            await Account.load(RECEIVER_ID, home=home) as receiver,
        ):
            on, target = sender.on(row["caip2"]), await receiver.on(row["caip2"]).address()
            await fund(on.chain, row["rpc_url"], await on.address(), FUNDS["eip155"])
            times = []
            for number in range(warm_ups + sends):
                started = time.monotonic()
                await on.send(target, SENT)
                if number >= warm_ups:
                    times.append((time.monotonic() - started) * 1000)
                await asyncio.sleep(PAUSE_S)
    return sorted(times)
