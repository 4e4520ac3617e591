"""``hither bench rpc``: how long a transfer takes to be final, and views a second, alone and beside transfers."""

import base64
import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hither.cli.bench.load import Sent, send_again, send_once
from hither.cli.bench.options import BenchmarkFailed, BenchOptions, Figures
from hither.cli.bench.programs import measure_cpu_s, run_node
from hither.cli.bench.submission import make_broadcast
from hither.cli.bench.transfers import get_genesis_hash, measure_durable
from hither.cli.bench.world import Payment, iterate_payments, make_home, name_account
from hither.cli.rpc import RpcCaller

SENDS = 400
WARM_UP_SENDS = 20
LOADED_PART = 0.8
"""What part of ``durable_tps`` runs beside the views of ``view_p99_loaded_ms``."""

LOAD_CONNECTIONS = 256
"""So many that the load's own waiting for answers does not slow it down."""


def measure(options: BenchOptions) -> Figures:
    """All figures; the node has so many accounts and nothing else to do, but for the last figure."""
    durable = measure_durable(options)["durable_tps"]
    rate = LOADED_PART * durable
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        home = make_home(path / "home", options)
        count = SENDS + WARM_UP_SENDS + int(rate * options.seconds)
        payments = list(itertools.islice(iterate_payments(options, get_genesis_hash(home)), count))
        with run_node(home.path, path) as (process, caller):
            warm, payments = payments[:WARM_UP_SENDS], payments[WARM_UP_SENDS:]
            measure_sends(caller, warm)
            latencies_ms = sorted(measure_sends(caller, payments[:SENDS]))
            bodies = make_views(options.accounts)
            cpu_s = measure_cpu_s(process.pid)
            alone = send_again(caller.url, bodies, path, options.connections, options.seconds)
            cpu_s = measure_cpu_s(process.pid) - cpu_s
            with ThreadPoolExecutor(1) as threads:
                load = threads.submit(_send_beside, caller.url, payments[SENDS:], path, rate, options.seconds)
                loaded = send_again(caller.url, bodies, path, options.connections, options.seconds)
                sent = load.result()
    if alone.failed or loaded.failed:
        raise BenchmarkFailed(f"{alone.failed + loaded.failed} views failed")
    return {
        "send_final_p50_ms": round(get_quantile(latencies_ms, 0.5), 2),
        "send_final_p99_ms": round(get_quantile(latencies_ms, 0.99), 2),
        "sends": len(latencies_ms),
        "view_per_s": round(alone.per_second),
        "view_p99_ms": round(alone.p99_ms, 2),
        "view_cpu_us": round(cpu_s / options.seconds / alone.per_second * 1e6, 1),
        "view_loaded_per_s": round(loaded.per_second),
        "view_p99_loaded_ms": round(loaded.p99_ms, 2),
        "loaded_wanted_tps": round(rate),
        "loaded_tps": round(sent.sent / (sent.ended - sent.started)),
        "durable_tps": durable,
        "accounts": options.accounts,
        "connections": options.connections,
        "load_tool": "wrk",
    }


def get_quantile(ordered: Sequence[float], part: float) -> float:
    """The value that so large a part of them does not exceed."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def measure_sends(caller: RpcCaller, payments: Sequence[Payment]) -> list[float]:
    """One transfer after the other, each waited for until it is FINAL; milliseconds of each."""
    latencies_ms = []
    for payment in payments:
        raw = base64.b64encode(payment.raw).decode()
        started = time.perf_counter()
        answer = caller.call("send_tx", {"signed_tx_base64": raw, "wait_until": "FINAL"})
        latencies_ms.append((time.perf_counter() - started) * 1e3)
        if answer["final_execution_status"] != "FINAL" or "SuccessValue" not in answer["status"]:
            raise BenchmarkFailed(f"a transfer failed: {answer['status']}")
    return latencies_ms


def make_views(accounts: int, count: int = 500) -> list[bytes]:
    """Requests of ``view_account`` for accounts all over the state."""
    step = max(1, accounts // count)
    query = {"request_type": "view_account", "finality": "optimistic"}
    return [
        json.dumps(
            {
                "jsonrpc": "2.0",
                "id": "b",
                "method": "query",
                "params": {**query, "account_id": name_account(index)},
            }
        ).encode()
        for index in range(0, accounts, step)
    ]


def _send_beside(url: str, payments: Sequence[Payment], folder: Path, rate: float, seconds: float) -> Sent:
    """Transfers at a steady rate."""
    return send_once(url, map(make_broadcast, payments), folder, LOAD_CONNECTIONS, seconds, rate=rate)
