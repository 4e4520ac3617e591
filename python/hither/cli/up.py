"""``hither up``: a development network in the foreground, until Ctrl-C."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click

from hither.chain.genesis import DEVELOPMENT_BOUNDARIES, DevelopmentOptions
from hither.cli.beside import ALONE, Companions
from hither.cli.node import (
    BLOCK_TIME,
    accounts_option,
    block_time_option,
    make_boundaries,
    must_read_accounts,
    parse_address,
    protocol_version_option,
    single_option,
)
from hither.cli.ports import describe_owner
from hither.cli.problems import home_option, stop
from hither.foreign.engines.ports import find_next_free_port, is_free
from hither.node.archive import LOADED_FILE
from hither.node.fork.pin import FORK_FILE, ForkPin
from hither.node.home import (
    DATA_FOLDER,
    FORMAT_FILE,
    LOCK_FILE,
    HomeProblem,
    init_home,
    is_initialized,
    lock_home,
    read_config,
    read_home,
)
from hither.params import DEFAULT_PROTOCOL_VERSION
from hither.sdk.endpoints import (
    ACCOUNTS_FOLDER,
    TRANSFERS_FOLDER,
    NoNetwork,
    read_endpoints,
    resolve_home,
)

DEFAULT_PORT = 3030
HOST = "127.0.0.1"
LOG_FILE = "up.log"
STORES_FOLDER = "mpc"
FOREIGN_FOLDER = "foreign"
EVM_CHAIN_IDS = (1, 8453, 42161)
"""Ethereum, Base, Arbitrum One."""
SIGNING_DOMAINS = ("robust", "app-keys")
"""``ceremony.EXTRA_DOMAINS``, whose import takes longer than the command's help may."""
DETACH_WAIT_S_MAX = 60


@click.command("up")
@click.option("--fresh", is_flag=True, help="Forget the state of the last run and begin anew.")
@click.option("--detach", is_flag=True, help="Return when the network is ready; `hither down` stops it.")
@click.option("--shards", type=click.IntRange(1, 8), default=3, show_default=True, help="Of a new chain.")
@click.option(
    "--port-offset",
    type=click.IntRange(0, 60_000),
    default=0,
    envvar="HITHER_PORT_OFFSET",
    help="Added to each default port [default: $HITHER_PORT_OFFSET or 0].",
)
@click.option("--quiet", is_flag=True, help="Do not show transactions as they happen.")
@click.option("--demo", "has_demo", is_flag=True, help="Then let one account transact on every chain.")
@click.option("--exit", "is_exiting", is_flag=True, help="With --demo: stop everything after it.")
@click.option("--alone", is_flag=True, help="Our chain alone: no signing network, no other chains.")
@click.option(
    "--evm",
    metavar="CHAINS",
    default=",".join(str(chain_id) for chain_id in EVM_CHAIN_IDS),
    show_default=True,
    callback=lambda _context, _parameter, text: read_chain_ids(text),
    help="EVM chains by name or chain id, separated by commas, as in base,arbitrum,10.",
)
@click.option(
    "--mpc",
    type=click.Choice(["in-process", "processes"]),
    default="in-process",
    show_default=True,
    help="The signing nodes: in one process, or each in its own, talking over TLS.",
)
@click.option(
    "--domains",
    metavar="NAMES",
    default="",
    callback=lambda _context, _parameter, text: read_domains(text),
    help="More that the network signs, separated by commas: robust (ECDSA), app-keys (confidential keys).",
)
@click.option(
    "--fork",
    metavar="NETWORK",
    help="Begin with what testnet, mainnet or the node at a URL has: accounts are copied when they are first touched.",
)
@click.option("--block", type=click.IntRange(0), metavar="HEIGHT", help="With --fork: as of this block.")
@click.option(
    "--while-stdin",
    is_flag=True,
    help="Stop when the standard input ends: for programs that start a network and may be killed.",
)
@accounts_option
@protocol_version_option
@block_time_option
@single_option
@home_option
def command(
    fresh: bool,
    detach: bool,
    shards: int,
    accounts: str | None,
    port_offset: int,
    quiet: bool,
    has_demo: bool,
    is_exiting: bool,
    alone: bool,
    evm: tuple[int, ...],
    mpc: str,
    domains: tuple[str, ...],
    fork: str | None,
    block: int | None,
    while_stdin: bool,
    protocol_version: int | None,
    block_time: str,
    is_single: bool,
    home: str | None,
) -> None:
    """Start a development network; Ctrl-C stops it and keeps its state.

    Prints where it answers and ten funded accounts with their keys. Programs read the same from
    endpoints.json in the home directory, which is there while the network is.
    """
    if is_exiting and not has_demo:
        raise click.UsageError("--exit goes with --demo")
    if has_demo and (alone or detach):
        raise click.UsageError(
            "--demo needs the signing network in the foreground: leave out --alone and --detach"
        )
    if block is not None and fork is None:
        raise click.UsageError("--block goes with --fork")
    folder = resolve_home(home)
    host, port = (HOST, DEFAULT_PORT) if fresh else find_rpc_address(folder)
    port += port_offset
    started = time.monotonic()
    if while_stdin:
        threading.Thread(target=stop_at_end_of_input, name="input", daemon=True).start()
    must_be_free(port, port_offset)
    if detach:
        start_detached(folder)
        return
    try:
        with lock_home(folder):
            if fresh:
                wipe(folder)
            if not alone and (folder / LOADED_FILE).exists():
                raise HomeProblem(
                    f"the chain in {folder} was loaded from a snapshot, and its signing nodes' keys stayed where it "
                    "was saved; run it with --alone, or begin anew with --fresh"
                )
            pin = find_fork(folder, fork, block)
            options = DevelopmentOptions(
                genesis_height=0 if pin is None else pin.height,
                protocol_version=protocol_version or DEFAULT_PROTOCOL_VERSION,
                boundary_accounts=make_boundaries(shards) if shards != 3 else DEVELOPMENT_BOUNDARIES,
            )
            records = [] if accounts is None else find_new_accounts(folder, accounts)
            init_home(folder, options, time.time_ns(), records)
            from hither.cli.running import Demo, RunOptions, run_in_foreground

            run_in_foreground(
                read_home(folder),
                RunOptions(
                    host,
                    port,
                    BLOCK_TIME[block_time],
                    is_shown=not quiet,
                    started_s=started,
                    is_single=is_single,
                    demo=(Demo.THEN_EXIT if is_exiting else Demo.THEN_STAY) if has_demo else Demo.NONE,
                    companions=ALONE
                    if alone
                    else Companions(
                        has_signing_network=True,
                        has_signing_processes=mpc == "processes",
                        signing_domains=domains,
                        has_foreign_chains=True,
                        evm=evm,
                        port_offset=port_offset,
                    ),
                ),
            )
    except HomeProblem as problem:
        stop(str(problem))


def find_new_accounts(folder: Path, accounts: str) -> list[dict[str, Any]]:
    """The records that a new chain begins with; none if the chain of this home began with them. Raises HomeProblem."""
    records = must_read_accounts(accounts)
    if not is_initialized(folder):
        return records
    from hither.node.accounts_file import list_account_ids

    there = set(list_account_ids(list(read_home(folder).genesis.records)))
    for account_id in list_account_ids(records):
        if account_id not in there:
            raise HomeProblem(
                f"the chain in {folder} began without {account_id}; begin a new one with --fresh, or name another home"
            )
    return []


def find_fork(folder: Path, network: str | None, height: int | None) -> ForkPin | None:
    """What the chain of this home is a fork of. Raises HomeProblem."""
    if network is None and not (folder / FORK_FILE).exists():
        return None
    from hither.cli.fork import describe_fork, prepare_fork

    pin = prepare_fork(folder, network, height)
    if pin is not None:
        click.echo(describe_fork(pin))
    return pin


def stop_at_end_of_input() -> None:
    """Ask this process to end as Ctrl-C does once whoever holds the other end of its input has let go."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def read_chain_ids(text: str) -> tuple[int, ...]:
    """Chain ids from a comma-separated list of ids and names; wrong usage otherwise."""
    from hither.foreign.errors import InvalidChainId
    from hither.foreign.evm_chains import find_evm_chain, read_chain_number

    try:
        numbers = [
            read_chain_number(find_evm_chain(part.strip())) for part in text.split(",") if part.strip()
        ]
    except InvalidChainId as problem:
        raise click.BadParameter(f"{problem}; {problem.hint}" if problem.hint else str(problem)) from None
    return tuple(dict.fromkeys(numbers))


def read_domains(text: str) -> tuple[str, ...]:
    """Names of domains; wrong usage otherwise."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in names:
        if name not in SIGNING_DOMAINS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(SIGNING_DOMAINS)}")
    return names


def find_rpc_address(home: Path) -> tuple[str, int]:
    """Where JSON-RPC listens before the offset: ``rpc.addr`` of a home that is there."""
    if not is_initialized(home):
        return HOST, DEFAULT_PORT
    from hither.node.configuration import get_rpc_address

    try:
        return parse_address(get_rpc_address(read_config(home)))
    except HomeProblem as problem:
        stop(str(problem))


def must_be_free(port: int, port_offset: int) -> None:
    """Stop with the owner's name and another port if that one is taken."""
    if is_free(port):
        return
    other = find_next_free_port(port + 1)
    stop(
        f"port {port} is in use by {describe_owner(port)}",
        f"stop it, or use port {other}: hither up --port-offset {other - port + port_offset}",
    )


def wipe(home: Path) -> None:
    """Remove what all chains have written, and what only means something on them. No home: nothing is touched."""
    if all(path.name in (LOCK_FILE, LOG_FILE) for path in home.iterdir()):
        return
    if not (home / FORMAT_FILE).exists():
        stop(f"{home} is not a home of hither, so --fresh does not touch it", "name another with --home")
    for folder in (DATA_FOLDER, STORES_FOLDER, FOREIGN_FOLDER, ACCOUNTS_FOLDER, TRANSFERS_FOLDER):
        shutil.rmtree(home / folder, ignore_errors=True)
    for path in home.glob("*.json"):
        path.unlink()


def start_detached(home: Path) -> None:
    """Start the same command in the background and wait until it is ready."""
    from hither.cli.announce import describe_signing_network

    home.mkdir(parents=True, exist_ok=True)
    arguments = [argument for argument in sys.argv[1:] if argument != "--detach"]
    with (home / LOG_FILE).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "hither.cli.main", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + DETACH_WAIT_S_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            reason = (home / LOG_FILE).read_text(errors="replace").rpartition("Error: ")[2].strip()
            stop(f"the network did not start: {reason}", f"the whole log is {home / LOG_FILE}")
        try:
            endpoints = read_endpoints(home)
        except NoNetwork:
            time.sleep(0.02)
            continue
        if endpoints["pid"] == process.pid:
            click.echo(f"JSON-RPC  {endpoints['near']['rpc_url']}")
            for line in describe_signing_network(endpoints.get("mpc")):
                click.echo(line)
            click.echo(f"process {process.pid}, log {home / LOG_FILE}; `hither down` stops it")
            return
    process.terminate()
    stop(f"the network was not ready after {DETACH_WAIT_S_MAX} s", f"the log is {home / LOG_FILE}")
