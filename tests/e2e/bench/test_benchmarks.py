"""Every benchmark runs and tells its figures; how good they are is not a test's business."""

import json
import subprocess
import sys
from typing import Any

import pytest

from hither.cli.bench.command import BENCHMARKS

SMALL = ("--accounts", "200", "--senders", "100", "--seconds", "0.5")

# Name -> further options, and the fields that must be there.
CASES = {
    "start": (
        ("--no-peer",),
        {"node_ready_s", "node_rss_mb"},
    ),
    "transfers": (
        (),
        {
            "durable_tps",
            "rpc_tps",
            "rpc_sequential_tps",
            "peer_tps",
            "peer_single_tps",
            "peer_sequential_tps",
            "ratio",
            "ratio_single",
            "ratio_sequential",
            "accounts",
            "shards",
            "us_per_stage",
        },
    ),
    "tokens": (
        (),
        {
            "durable_tps",
            "peer_tps",
            "peer_single_tps",
            "peer_sequential_tps",
            "ratio",
            "ratio_single",
            "ratio_sequential",
            "holders",
            "us_per_stage",
        },
    ),
    "rpc": (
        (),
        {
            "send_final_p50_ms",
            "send_final_p99_ms",
            "view_per_s",
            "view_p99_loaded_ms",
            "loaded_tps",
            "loaded_wanted_tps",
            "connections",
            "load_tool",
        },
    ),
    "growth": (
        (),
        {
            "us_at_2e2",
            "rss_mb",
            "restart_s",
            "restart_rss_mb",
            "first_start_s",
            "first_peak_mb",
            "write_amplification",
        },
    ),
    "plugin": (
        (),
        {"ready_s", "snapshot_revert_ms", "hundred_tests_s", "rebuild_s"},
    ),
    "everywhere": (
        (),
        {"total_s", "verify_s", "evm_send_p50_ms", "evm_send_p99_ms", "chains"},
    ),
    "sign": (
        ("--scheme", "robust"),
        {
            "scheme",
            "nodes",
            "threshold",
            "stock_before",
            "e2e_p50_ms",
            "e2e_p99_ms",
            "block_times",
            "burst_100_s",
            "sustained_per_s",
            "p99_refill_ratio",
            "ready_warm_s",
            "ready_first_s",
        },
    ),
    "payloads": (
        (),
        {"evm_per_s", "p2wpkh_inputs_per_s"},
    ),
}


def must_measure(name: str, *options: str) -> dict[str, Any]:
    """The one JSON object of the last line."""
    command = (sys.executable, "-m", "hither.cli.main", "bench", name, "--json", *SMALL, *options)
    result = subprocess.run(command, capture_output=True, check=False, timeout=600)
    assert result.returncode == 0, result.stderr.decode()
    figures: dict[str, Any] = json.loads(result.stdout.decode().strip().rpartition("\n")[2])
    return figures


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_tells_its_figures_and_conditions(name: str) -> None:
    """The last line is one JSON object with every field that is promised."""
    options, fields = CASES[name]
    figures = must_measure(name, *options)
    assert fields | {"bench", "cores", "python", "hither"} <= set(figures)
    measured = [value for key, value in figures.items() if key.endswith(("_tps", "_s", "_ms", "_mb"))]
    values = [one for value in measured for one in (value.values() if isinstance(value, dict) else [value])]
    assert all(value > 0 for value in values)


@pytest.mark.parametrize(
    "scheme",
    [
        "frost",
        pytest.param("robust", marks=pytest.mark.long),
        pytest.param("cait-sith", marks=pytest.mark.long),
    ],
)
def test_signatures_of_nodes_that_are_processes_are_measured_as_well(scheme: str) -> None:
    """The same figures, and which nodes they are of."""
    together = CASES["sign"][1]
    figures = must_measure("sign", "--mpc", "processes", "--scheme", scheme)
    assert together | {"mpc"} <= set(figures)
    assert (figures["mpc"], figures["scheme"], figures["nodes"]) == ("processes", scheme, 3)
    assert figures["stock_spent"] >= figures["requests"] + figures["burst_requests"]
