"""The command ``hither bench``."""

import importlib
import json

import click

from hither.cli.bench.options import BenchmarkFailed, BenchOptions, Figures, describe_conditions
from hither.cli.problems import stop

# Name -> what it measures, in one line. The module of that name has `measure`.
BENCHMARKS = {
    "start": "how soon a node is ready, and what it takes of memory",
    "transfers": "transfers a second, on disk and through HTTP, beside anvil",
    "tokens": "token transfers (NEP-141) a second, on disk, beside ERC-20 on anvil",
    "rpc": "how long a transfer takes to be final, and views a second",
    "growth": "what a million accounts cost",
    "plugin": "how soon tests of contracts begin, what a snapshot costs, how quick a rebuild is",
    "everywhere": "one account on six chains, read again by independent clients; one transfer on an EVM chain",
    "sign": "how soon and how many signatures three nodes make, of one --scheme",
    "payloads": "transactions of other chains built, hashed, signed and checked a second, on one core",
}
SCHEMES = ("cait-sith", "robust", "frost")
DEFAULT_ACCOUNTS = {"tokens": 10_000, "growth": 1_000_000}


def _list_benchmarks() -> str:
    return "\n".join(f"  {name:<10} {summary}" for name, summary in BENCHMARKS.items())


@click.command(
    "bench",
    help=f"Measure NAME and print the figures with their conditions.\n\n\b\n{_list_benchmarks()}",
)
@click.argument("name", type=click.Choice(list(BENCHMARKS)))
@click.option("--json", "is_json", is_flag=True, help="One JSON object on the last line.")
@click.option("--accounts", type=click.IntRange(4), help="How many accounts there are.")
@click.option("--senders", type=click.IntRange(2), default=2_000, show_default=True)
@click.option("--shards", type=click.IntRange(1, 8), default=1, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.1), default=20.0, show_default=True, help="Of each load.")
@click.option("--connections", type=click.IntRange(1), default=16, show_default=True, help="For views.")
@click.option(
    "--scheme",
    type=click.Choice(SCHEMES),
    default=SCHEMES[0],
    show_default=True,
    help="How `sign` signs.",
)
@click.option(
    "--mpc",
    type=click.Choice(["together", "processes"]),
    default="together",
    show_default=True,
    help="Signing nodes of `sign` in one process, or each in its own, over TLS.",
)
@click.option("--no-peer", is_flag=True, help="Leave out what is compared with.")
def command(
    name: str,
    is_json: bool,
    accounts: int | None,
    senders: int,
    shards: int,
    seconds: float,
    connections: int,
    scheme: str,
    mpc: str,
    no_peer: bool,
) -> None:
    """Run one benchmark."""
    accounts = accounts or DEFAULT_ACCOUNTS.get(name, 100_000)
    options = BenchOptions(
        accounts=accounts,
        senders=min(senders, accounts),
        shards=shards,
        seconds=seconds,
        connections=connections,
        has_peer=not no_peer,
        scheme=scheme,
        has_processes=mpc == "processes",
    )
    module = importlib.import_module(f"hither.cli.bench.{name}")
    conditions = describe_conditions()
    try:
        figures: Figures = {"bench": name, **module.measure(options), **conditions}
    except BenchmarkFailed as failure:
        stop(str(failure))
    if is_json:
        click.echo(json.dumps(figures))
        return
    width = max(map(len, figures))
    for key, value in figures.items():
        click.echo(f"{key:<{width}}  {value}")
