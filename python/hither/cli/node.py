"""``hither node``: the chain alone. ``hither-sandbox`` calls the same functions."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from hither.chain.genesis import DevelopmentOptions, Genesis, InvalidGenesis
from hither.chain.reader import BlockMode
from hither.cli.problems import home_option, stop
from hither.node.home import (
    CONFIG_FILE,
    GENESIS_FILE,
    NODE_KEY_FILE,
    VALIDATOR_KEY_FILE,
    HomeProblem,
    init_home,
    lock_home,
    read_home,
)
from hither.params import DEFAULT_PROTOCOL_VERSION, NEWEST_PROTOCOL_VERSION, OLDEST_PROTOCOL_VERSION
from hither.rpc import addresses
from hither.sdk.endpoints import resolve_home

# What --block-time says -> the mode, and the interval that goes with it.
BLOCK_TIME: dict[str, tuple[BlockMode, int | None]] = {
    "instant": (BlockMode.INSTANT, None),
    "600ms": (BlockMode.INTERVAL, 600),
    "1s": (BlockMode.INTERVAL, 1000),
    "manual": (BlockMode.MANUAL, None),
}

block_time_option = click.option(
    "--block-time",
    type=click.Choice(list(BLOCK_TIME)),
    default="instant",
    show_default=True,
    help="When blocks are made.",
)
protocol_version_option = click.option(
    "--protocol-version",
    type=click.IntRange(OLDEST_PROTOCOL_VERSION, NEWEST_PROTOCOL_VERSION),
    help="Of a new chain.",
)
accounts_option = click.option(
    "--accounts",
    metavar="N|FILE",
    help="Of a new chain: so many more funded accounts, user1.near and on, or those of a JSON list of names or of "
    "{account_id, public_key, balance}.",
)
rpc_address_option = click.option(
    "--rpc-addr", help="Where JSON-RPC listens [default: rpc.addr of config.json, 127.0.0.1:3030]."
)
single_option = click.option(
    "--single", "is_single", is_flag=True, help="JSON-RPC in the process of the chain: less memory, slower."
)


def make_boundaries(count: int) -> tuple[str, ...]:
    """Boundary accounts that cut names by their first letter into so many shards."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return tuple(f"{letters[len(letters) * index // count]}0" for index in range(1, count))


def parse_address(text: str) -> tuple[str, int]:
    """``host:port`` of the command line; wrong usage otherwise."""
    try:
        return addresses.parse_address(text)
    except addresses.InvalidAddress as error:
        raise click.BadParameter(str(error)) from None


def init(home: Path, options: DevelopmentOptions, more_records: Sequence[dict[str, Any]] = ()) -> Genesis:
    """Write a new home, or find the same chain there already."""
    try:
        return init_home(home, options, time.time_ns(), more_records)
    except (HomeProblem, InvalidGenesis) as problem:
        stop(str(problem))


def run(
    folder: Path,
    rpc_address: str | None,
    block_time: str,
    *,
    is_single: bool,
    finality_block_time_ms: int = 0,
) -> None:
    """Run the node of a home until SIGINT or SIGTERM."""
    started = time.monotonic()
    if rpc_address is not None:
        parse_address(rpc_address)
    try:
        with lock_home(folder):
            from hither.cli.running import RunOptions, run_in_foreground
            from hither.node.configuration import get_rpc_address

            home = read_home(folder)
            host, port = parse_address(rpc_address or get_rpc_address(home.config))
            options = RunOptions(
                host,
                port,
                BLOCK_TIME[block_time],
                is_shown=False,
                started_s=started,
                finality_block_time_ms=finality_block_time_ms,
                is_single=is_single,
            )
            run_in_foreground(home, options)
    except HomeProblem as problem:
        stop(str(problem))


def dump_state(home: Path, file: Path | None, *, is_streamed: bool) -> Path:
    """Write genesis and records of the newest block, also while the node runs."""
    from hither.node.dump import dump

    try:
        genesis = dump(read_home(home))
    except HomeProblem as problem:
        stop(str(problem))
    config = msgspec.to_builtins(genesis.config)
    if not is_streamed:
        target = file or home / "output.json"
        target.write_bytes(msgspec.json.encode(config | {"records": genesis.records}))
        return target
    # What a node of its own could start from, the records apart because there may be very many.
    target = file or home / "output"
    target.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG_FILE, NODE_KEY_FILE, VALIDATOR_KEY_FILE):
        shutil.copy(home / name, target / name)
    (target / "records.json").write_bytes(msgspec.json.encode(genesis.records))
    (target / GENESIS_FILE).write_bytes(msgspec.json.encode(config | {"records": []}))
    return target


@click.group("node")
def command() -> None:
    """The chain alone, without the rest of a network."""


@command.command("init")
@click.option("--chain-id", default="localnet", show_default=True, help="Name of the chain.")
@click.option("--shards", type=click.IntRange(1, 8), default=1, show_default=True, help="How many shards.")
@protocol_version_option
@accounts_option
@home_option
def init_command(
    chain_id: str, shards: int, protocol_version: int | None, accounts: str | None, home: str | None
) -> None:
    """Write genesis, configuration and keys of a development chain into the home directory.

    `hither up` and `hither node run` begin from it. Further accounts are there beside the usual ones; a balance has a
    unit, as in "10 N".
    """
    folder = resolve_home(home)
    records = [] if accounts is None else must_read_accounts(accounts)
    genesis = init(
        folder,
        DevelopmentOptions(
            chain_id=chain_id,
            protocol_version=protocol_version or DEFAULT_PROTOCOL_VERSION,
            boundary_accounts=make_boundaries(shards),
        ),
        records,
    )
    click.echo(f"{folder}: chain {genesis.config.chain_id} at protocol {genesis.config.protocol_version}")


def must_read_accounts(text: str) -> list[dict[str, Any]]:
    """The records for a number of accounts or a file of them, or the end of the command."""
    from hither.node.accounts_file import InvalidAccounts, make_numbered_accounts, read_accounts

    try:
        if text.isascii() and text.isdigit():
            return make_numbered_accounts(int(text))
        return read_accounts(Path(text).read_bytes())
    except OSError as error:
        stop(f"{text}: {error.strerror}")
    except InvalidAccounts as error:
        stop(f"--accounts {text}: {error}")


@command.command("run")
@rpc_address_option
@block_time_option
@single_option
@home_option
def run_command(rpc_addr: str | None, block_time: str, is_single: bool, home: str | None) -> None:
    """Run the node until Ctrl-C."""
    run(resolve_home(home), rpc_addr, block_time, is_single=is_single)


@command.group("view-state")
def view_state_command() -> None:
    """Look at the state of a home directory, also while its node runs."""


@view_state_command.command("dump-state")
@click.option("--stream", is_flag=True, help="Write a folder with genesis.json and records.json.")
@click.option(
    "--file", type=click.Path(path_type=Path), help="Where to [default: HOME/output.json or HOME/output]."
)
@home_option
def dump_state_command(stream: bool, file: Path | None, home: str | None) -> None:
    """Write the state of the newest block as a genesis."""
    click.echo(f"wrote {dump_state(resolve_home(home), file, is_streamed=stream)}")
