"""``hither bench transfers``: transfers a second on disk, through HTTP, and through anvil."""

import asyncio
import itertools
import tempfile
import time
from pathlib import Path

import uvloop

from hither.chain.reader import ExecutionStatus
from hither.cli.bench.audit import audit_payments
from hither.cli.bench.evm import SEQUENTIAL_MAX, measure_anvil_transfers
from hither.cli.bench.options import BenchmarkFailed, BenchOptions, Figures
from hither.cli.bench.stages import Stages
from hither.cli.bench.submission import measure_sequential_submission, measure_submission
from hither.cli.bench.world import Payment, iterate_payments, make_home, make_keyrings
from hither.node.home import Home, lock_home
from hither.node.node import Node
from hither.primitives.transaction import decode_signed_transaction
from hither.primitives.types import CryptoHash

BATCH = 500
BACKLOG_MAX = 6_000
"""Waiting transactions: enough for two full chunks, so that a chunk never waits for more to come."""

TPS_MAX = 12_000
"""Transfers are signed beforehand, enough for this rate."""

FINAL_MS_MAX = 120_000
LAST_CHECKED = 500
"""The clock stops when so many of the last are final; the audit then looks at all."""


def measure(options: BenchOptions) -> Figures:
    """All figures. Raises BenchmarkFailed when balances, nonces or supply are not what they should be."""
    figures = {
        "accounts": options.accounts,
        "shards": options.shards,
        "senders": options.senders,
        "protocol_version": options.protocol_version,
        **measure_durable(options),
        **_measure_rpc(options),
    }
    if options.has_peer:
        figures |= _measure_sequential(options) | measure_anvil_transfers(options)
        for name in ("", "_single", "_sequential"):
            figures[f"ratio{name}"] = round(figures["rpc_tps"] / figures[f"peer{name}_tps"], 2)
    return figures


def sign_payments(options: BenchOptions, home: Home, *, tps_max: int = TPS_MAX) -> list[Payment]:
    """So many that they last for the whole window."""
    count = int(tps_max * options.seconds) + options.senders
    return list(itertools.islice(iterate_payments(options, get_genesis_hash(home)), count))


def get_genesis_hash(home: Home) -> CryptoHash:
    """Begin the chain of a home, and say the hash of its first block."""
    with lock_home(home.path):
        node = Node.open(home)
        block_hash = node.reader.get_block("genesis").hash
        asyncio.run(node.stop())
    return block_hash


def measure_durable(options: BenchOptions) -> Figures:
    """From bytes in the pool to the synced commit, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home", options)
        payments = sign_payments(options, home)
        cpu_before_s = time.process_time()
        with lock_home(home.path), Stages() as stages:
            sent, seconds = submit(home, payments, options.seconds)
        cpu_s = time.process_time() - cpu_before_s
        audit = audit_payments(home, make_keyrings(options.senders), payments[:sent])
        if audit.missing or audit.final != sent:
            raise BenchmarkFailed(f"of {sent} transfers {audit.missing} are missing, {audit.final} final")
        return {
            "durable_tps": round(audit.final / seconds),
            "durable_transfers": audit.final,
            "durable_seconds": round(seconds, 2),
            "durable_heights": audit.heights,
            "durable_cpu_us": round(cpu_s * 1e6 / audit.final),
            "us_per_stage": stages.list_us(audit.final),
        }


def submit(home: Home, payments: list[Payment], seconds: float) -> tuple[int, float]:
    """Run the node of a home on so many transfers as it takes: how many, and seconds until all are final."""
    return uvloop.run(_submit(home, payments, seconds))


async def _submit(home: Home, payments: list[Payment], seconds: float) -> tuple[int, float]:
    """Give the node raw transactions as fast as it takes them; how many, and how long until all are final."""
    node = Node.open(home)
    before = node.reader.get_head()
    await node.start()
    await node.control.wait_for_head(before)
    try:
        started = time.monotonic()
        sent = 0
        tip = node.reader.get_head()
        while sent < len(payments) and time.monotonic() - started < seconds:
            if node.control.count_waiting() > BACKLOG_MAX:
                tip = await node.control.wait_for_head(tip)
                continue
            batch = [decode_signed_transaction(payment.raw) for payment in payments[sent : sent + BATCH]]
            for answer in await node.control.submit_many(batch):
                if isinstance(answer, BaseException):
                    raise BenchmarkFailed(f"a transfer was refused: {answer}")
            sent += len(batch)
        for payment in payments[max(0, sent - LAST_CHECKED) : sent]:
            status = await node.control.wait_for_transaction(
                payment.hash, ExecutionStatus.FINAL, FINAL_MS_MAX
            )
            if status is None:
                raise BenchmarkFailed(f"a transfer did not become final: {node.failure}")
        return sent, time.monotonic() - started
    finally:
        await node.stop()


def _measure_rpc(options: BenchOptions) -> Figures:
    """From HTTP requests of a process outside to FINAL."""
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home", options)
        payments = sign_payments(options, home)
        result = measure_submission(home, payments, Path(folder), options.seconds)
        audit = audit_payments(home, make_keyrings(options.senders), payments[: result.sent])
        if audit.missing * 100 > result.sent or audit.final != result.sent - audit.missing:
            raise BenchmarkFailed(
                f"of {result.sent} transfers sent {result.refused} were refused, "
                f"but {audit.missing} are missing and {audit.final} final"
            )
        return {
            "rpc_tps": round(audit.final / result.seconds),
            "rpc_transfers": audit.final,
            "rpc_missing": audit.missing,
            "rpc_seconds": round(result.seconds, 2),
            "rpc_cpu_us": round(result.node_cpu_s * 1e6 / audit.final),
            "load_tool": "wrk",
        }


def _measure_sequential(options: BenchOptions) -> Figures:
    """What a simple script gets: it sends as many as the peer gets that way, each when the last is answered."""
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home", options)
        payments = list(itertools.islice(iterate_payments(options, get_genesis_hash(home)), SEQUENTIAL_MAX))
        seconds = measure_sequential_submission(home, payments, Path(folder))
        audit = audit_payments(home, make_keyrings(options.senders), payments)
        if audit.final != len(payments):
            raise BenchmarkFailed(f"of {len(payments)} transfers {audit.final} are final")
    return {"rpc_sequential_tps": round(len(payments) / seconds), "rpc_sequential_transfers": len(payments)}
