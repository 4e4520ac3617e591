"""Transactions through HTTP, from the first request to the block that makes the last of them final."""

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hither.cli.bench.load import send_once
from hither.cli.bench.options import BenchmarkFailed
from hither.cli.bench.programs import measure_cpu_s, run_node
from hither.cli.bench.world import Payment
from hither.cli.rpc import RpcCaller
from hither.codec import base58
from hither.node.home import Home

CONNECTIONS = 64
LAST_CHECKED = 500


@dataclass(frozen=True, slots=True)
class Submission:
    """``refused`` were answered with an error."""

    sent: int
    refused: int
    seconds: float
    node_cpu_s: float


def measure_submission(home: Home, payments: Sequence[Payment], folder: Path, seconds: float) -> Submission:
    """``broadcast_tx_async`` of each transfer; the clock stops when the last that were sent are FINAL."""
    bodies = map(make_broadcast, payments)
    with run_node(home.path, folder) as (process, caller):
        cpu_before_s = measure_cpu_s(process.pid)
        sent = send_once(caller.url, bodies, folder, CONNECTIONS, seconds)
        if sent.refused * 100 > sent.sent:
            raise BenchmarkFailed(f"of {sent.sent} transfers {sent.refused} were refused")
        for payment in payments[max(0, sent.sent - LAST_CHECKED) : sent.sent]:
            _wait_until_final(caller, payment)
        ended = time.time()
        cpu_s = measure_cpu_s(process.pid) - cpu_before_s
    return Submission(sent.sent, sent.refused, ended - sent.started, cpu_s)


def measure_sequential_submission(home: Home, payments: Sequence[Payment], folder: Path) -> float:
    """``broadcast_tx_async`` of one after the other, each when the last is answered; seconds until all are FINAL."""
    with run_node(home.path, folder) as (_, caller):
        started = time.monotonic()
        for payment in payments:
            caller.call("broadcast_tx_async", [base64.b64encode(payment.raw).decode()])
        _wait_until_final(caller, payments[-1])
        return time.monotonic() - started


def _wait_until_final(caller: RpcCaller, payment: Payment) -> None:
    hash_ = base58.encode(payment.hash)
    caller.call("tx", {"tx_hash": hash_, "sender_account_id": payment.signer_id, "wait_until": "FINAL"})


def make_broadcast(payment: Payment) -> bytes:
    """The request that sends it without waiting."""
    raw = base64.b64encode(payment.raw)
    return b'{"jsonrpc":"2.0","id":"b","method":"broadcast_tx_async","params":["%s"]}' % raw
