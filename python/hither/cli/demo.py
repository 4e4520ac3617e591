"""``hither demo``: one account transacts on every chain of the running network."""

import asyncio
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hither.cli.problems import home_option, stop
from hither.cli.progress import Progress
from hither.sdk.demo import run_demo
from hither.sdk.demo_rows import DemoFailed, Row
from hither.sdk.endpoints import NoNetwork, read_endpoints, resolve_home
from hither.sdk.verification import NotVerified

PROBLEMS = (DemoFailed, NotVerified)
"""What ends a demonstration with a message instead of a traceback."""


@click.command("demo")
@click.option("--json", "is_json", is_flag=True, help="One line of JSON instead of the table.")
@home_option
def command(is_json: bool, home: str | None) -> None:
    """One new account transacts on every chain of the running network, and shows each proof."""
    try:
        endpoints = read_endpoints(resolve_home(home))
    except NoNetwork as problem:
        stop(str(problem))
    if "mpc" not in endpoints:
        stop("no signing network runs there", "start it with `hither up`, without `--alone`")
    try:
        rows = asyncio.run(show_demo(endpoints, resolve_home(home), Progress()))
    except PROBLEMS as problem:
        stop(f"the demonstration failed: {problem}", getattr(problem, "hint", None))
    click.echo(json.dumps([dataclasses.asdict(row) for row in rows]) if is_json else format_table(rows))


async def show_demo(endpoints: Mapping[str, Any], home: Path, progress: Progress) -> tuple[Row, ...]:
    """Run it, with progress; raises what PROBLEMS names."""
    try:
        report = await run_demo(
            endpoints,
            home,
            progress.say,
            note=progress.note,
            on_row=lambda row: progress.note(format_row_done(row)),
        )
    finally:
        progress.close()
    return report.rows


def format_row_done(row: Row) -> str:
    """One line for a row that is final and not read again yet."""
    return f"✓ {row.chain}: {row.deed}, {row.amount} for {row.fee}, final after {row.total_ms:.0f} ms"


def format_table(rows: Sequence[Row]) -> str:
    """A block a chain: wide enough for every address and id to be copied whole."""
    lines: list[str] = []
    for row in rows:
        depth = "1 confirmation" if row.confirmations == 1 else f"{row.confirmations} confirmations"
        values: Mapping[str, Any] = {
            "address": row.address,
            "before": f"balance {row.account_balance_before}, nonce {row.account_nonce_before}",
            "sent": f"{row.amount}, for {row.fee}",
            "transaction": row.transaction_id,
            "signed by": ", ".join(row.sign_tx) or "the account's own key",
            "final after": f"{row.total_ms:.0f} ms, {depth}",
            "read again by": row.verified_by,
        }
        lines += [f"{row.chain}  {row.deed}", *(f"  {name:<13} {value}" for name, value in values.items())]
    return "\n".join(lines)
