"""``hither mpc``: signing nodes."""

import asyncio
import contextlib
import json
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hither.cli.problems import stop

DEFAULT_FOLDER = "~/.hither-mpc"
CALL_GAS = "300 Tgas"
home_option = click.option(
    "--home",
    "folder",
    metavar="DIR",
    envvar="HITHER_MPC_HOME",
    default=DEFAULT_FOLDER,
    show_default=True,
    callback=lambda _context, _parameter, text: Path(text).expanduser().absolute(),
    help="The node's folder [or $HITHER_MPC_HOME].",
)


@click.group("mpc")
def command() -> None:
    """Signing nodes: accounts' keys on other chains, held by no one."""


@contextlib.contextmanager
def _problems() -> Iterator[None]:
    """What can go wrong, in one sentence each."""
    from hither.client import ClientError
    from hither.foreign.errors import EngineError
    from hither.mpc.arguments import InvalidArguments
    from hither.mpc.attestations import NoAttestation
    from hither.mpc.ceremony import CeremonyFailed
    from hither.mpc.config import InvalidConfig
    from hither.mpc.runner import NodeFailed
    from hither.mpc.store import StoreDamaged, StoreInUse

    try:
        yield
    except (
        CeremonyFailed,
        InvalidArguments,
        InvalidConfig,
        NoAttestation,
        NodeFailed,
        StoreDamaged,
        StoreInUse,
    ) as problem:
        stop(str(problem))
    except EngineError as problem:
        stop(str(problem), problem.hint)
    except ClientError as problem:
        stop(f"the chain does not do it: {problem}", problem.hint)
    except FileExistsError as problem:
        stop(str(problem) if problem.filename is None else f"{problem.filename} exists; move it away first")


def _run(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run until SIGINT or SIGTERM sets the event."""

    async def main() -> None:
        ending = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ending.set)
        await work(ending)

    with _problems():
        asyncio.run(main())


@command.command("init")
@home_option
@click.option("--contract", "contract_id", required=True, help="The signer contract.")
@click.option(
    "--rpc-url", "rpc_urls", multiple=True, required=True, help="A node of the chain; may be repeated."
)
@click.option("--account", "account_id", required=True, help="The node's account, yours alone.")
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where the other nodes reach this one.")
@click.option(
    "--observe", default="127.0.0.1:9600", show_default=True, help="Where /metrics and /health answer."
)
@click.option(
    "--store-key-environment", metavar="NAME", help="A variable with the store's key in hex, not a file."
)
def init(
    folder: Path,
    contract_id: str,
    rpc_urls: tuple[str, ...],
    account_id: str,
    listen: str,
    observe: str,
    store_key_environment: str | None,
) -> None:
    """Write a node's configuration and make its keys.

    Prints the two public keys: the account is made with the one, the other members vote for the other.
    """
    from hither.mpc.attestations import MOCK
    from hither.mpc.config import (
        ATTESTATION_FILE,
        CONFIG_FILE,
        STORE_KEY_FILE,
        NodeConfig,
        parse_address,
        read_config,
        write_config,
    )
    from hither.mpc.development import make_identity

    config = NodeConfig(
        contract_id=contract_id,
        rpc_urls=rpc_urls,
        account_id=account_id,
        listen=listen,
        observe=observe,
        store_key_file=None if store_key_environment else STORE_KEY_FILE,
        store_key_environment=store_key_environment,
        attestation_file=ATTESTATION_FILE,
    )
    with _problems():
        parse_address(listen)
        write_config(folder / CONFIG_FILE, config)
        (folder / ATTESTATION_FILE).write_text(json.dumps(MOCK), encoding="utf-8")
        home = read_config(folder / CONFIG_FILE)
        with home.open_store() as store:
            make_identity(store, account_id)
        _show_keys(folder, home)


def _show_keys(folder: Path, home: Any) -> None:
    from hither.crypto.keys import public_key_to_str
    from hither.mpc.contract import tls_key_to_text
    from hither.mpc.development import make_identity
    from hither.mpc.store import NodeStore

    with NodeStore(home.store_path, home.read_key(), is_shared=True) as store:
        identity = make_identity(store, home.config.account_id)
    click.echo(f"node       {folder}")
    click.echo(f"account    {home.config.account_id}")
    click.echo(f"its key    {public_key_to_str(identity.account.public_key)}")
    click.echo(f"TLS key    {tls_key_to_text(identity.tls_key)}")


@command.command("keys")
@home_option
def keys(folder: Path) -> None:
    """Show the node's public keys again, also while it runs."""
    from hither.mpc.config import CONFIG_FILE, read_config

    with _problems():
        _show_keys(folder, read_config(folder / CONFIG_FILE))


@command.command("run")
@home_option
@click.option("--verbose", is_flag=True, help="Tell more in the log.")
def run(folder: Path, verbose: bool) -> None:
    """Run a node until Ctrl-C."""
    from hither.mpc.config import CONFIG_FILE, read_config
    from hither.mpc.runner import run_node

    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("hither").setLevel(level)
    with _problems():
        home = read_config(folder / CONFIG_FILE)
    _run(lambda ending: run_node(home, lambda told: click.echo(json.dumps(told)), ending))


@command.command("status")
@home_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(folder: Path, as_json: bool) -> None:
    """Ask a running node how it is. Exit code 1 if it cannot sign."""
    import httpx

    from hither.mpc.config import CONFIG_FILE, read_config

    with _problems():
        home = read_config(folder / CONFIG_FILE)
    try:
        health = httpx.get(f"http://{home.config.observe}/health", timeout=5).json()
    except (httpx.HTTPError, ValueError):
        stop(f"no node answers on {home.config.observe}", f"start it: hither mpc run --home {folder}")
    if as_json:
        click.echo(json.dumps(health))
    else:
        for name, value in health.items():
            click.echo(f"{name:<12}{value}")
    if health["status"] != "ok":
        raise click.exceptions.Exit(1)


@command.command("backup")
@home_option
@click.argument("target", type=click.Path(path_type=Path))
def backup(folder: Path, target: Path) -> None:
    """Write key shares and keys of a stopped node to a new file, encrypted under its store key.

    Keep that key elsewhere. Stock of presignatures is left out, so that none can come back after its use.
    """
    from hither.mpc.config import CONFIG_FILE, read_config

    with _problems():
        shares = read_config(folder / CONFIG_FILE).back_up(target)
    click.echo(f"{target}: {shares} key shares")


@command.command("restore")
@home_option
@click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def restore(folder: Path, source: Path) -> None:
    """Make a node's store from a backup. The folder must have its configuration and its store key, and no store."""
    from hither.mpc.config import CONFIG_FILE, read_config

    with _problems():
        shares = read_config(folder / CONFIG_FILE).restore(source)
    click.echo(f"{folder}: {shares} key shares, no stock")


@command.command("attest")
@home_option
def attest(folder: Path) -> None:
    """Submit the node's attestation, as the configuration's attestation_file has it.

    A running node does it by itself when half of the time is over; a node that is to join does it before the vote.
    """
    from hither.mpc.config import CONFIG_FILE, read_config

    with _problems():
        home = read_config(folder / CONFIG_FILE)
        if home.config.attestation_file is None:
            stop("the configuration names no attestation_file", 'add attestation_file = "attestation.json"')
        click.echo(asyncio.run(_attest(home)))


async def _attest(home: Any) -> str:
    from hither.client import AsyncClient
    from hither.mpc.attestations import submit
    from hither.mpc.development import make_identity
    from hither.mpc.store import NodeStore

    with NodeStore(home.store_path, home.read_key(), is_shared=True) as store:
        node = make_identity(store, home.config.account_id)
    async with AsyncClient(home.config.rpc_urls[0]) as client:
        attestation = home.read_attestation()
        await submit(client, home.config.contract_id, node.account, node.tls_key, attestation)
    return f"{home.config.account_id} is attested"


@command.command("call")
@home_option
@click.option("--deposit", default="0 N", show_default=True, help='Money to attach, such as "0.02 N".')
@click.argument("method")
@click.argument("arguments", default="{}")
def call(folder: Path, deposit: str, method: str, arguments: str) -> None:
    """Call a method of the contract as the node's account: votes and attestations. ARGUMENTS is JSON.

    The two methods that take borsh have JSON here too: `vote_update_foreign_chain_providers` an object of endpoints
    by chain, `propose_update` {"code": FILE} or {"config": {NAME: VALUE}}, whose deposit is attached by itself.
    """
    from hither.mpc.config import CONFIG_FILE, read_config

    try:
        parsed = json.loads(arguments)
    except ValueError as error:
        raise click.BadParameter(f"the arguments are not JSON: {error}") from error
    with _problems():
        home = read_config(folder / CONFIG_FILE)
        click.echo(asyncio.run(_call(home, method, parsed, deposit)))


async def _call(home: Any, method: str, arguments: Any, deposit: str) -> str:
    from hither.client import AsyncClient
    from hither.mpc.arguments import PROVIDERS_METHOD, UPDATE_METHOD, encode_urls, make_update
    from hither.mpc.runner import get_account
    from hither.mpc.store import NodeStore

    with NodeStore(home.store_path, home.read_key(), is_shared=True) as store:
        signer = get_account(store, home.config.account_id)
    async with AsyncClient(home.config.rpc_urls[0]) as client:
        contract_id = home.config.contract_id
        if method == PROVIDERS_METHOD:
            arguments = encode_urls(arguments)
        elif method == UPDATE_METHOD:
            update = make_update(arguments, (await client.view(contract_id, "config")).json())
            arguments, deposit = update.data, f"{update.deposit_yoctonear} yoctonear"
        result = await client.call(
            contract_id, method, arguments, gas=CALL_GAS, deposit=deposit, signer=signer
        )
    answer = result.value.decode() or "done"
    return f"{method}: {answer}, in transaction {result.hash}"


@command.command("local", hidden=True)
@click.option("--home", required=True, type=click.Path(path_type=Path))
@click.option("--rpc-url", required=True)
@click.option("--processes", is_flag=True)
@click.option("--stock", default="", help="PROTOCOL=COUNT,…")
@click.option("--domains", default="", help="More domains than the usual three.")
@click.option("--foreign", multiple=True, help="CHAIN=URL,…, by the contract's names of chains.")
def local(
    home: Path, rpc_url: str, processes: bool, stock: str, domains: str, foreign: tuple[str, ...]
) -> None:
    """The nodes of a development network; ``hither up`` starts it."""
    rows = (part.partition("=") for part in stock.split(",") if part)
    counts = {name: int(count) for name, _, count in rows}
    names = tuple(name for name in domains.split(",") if name)
    chains = {chain: tuple(urls.split(",")) for chain, _, urls in (one.partition("=") for one in foreign)}
    wanted = _Development(home, rpc_url, counts, names, chains)
    _run(lambda ending: (_run_processes if processes else _run_local)(wanted, ending))


@dataclass(frozen=True, slots=True)
class _Development:
    """Which network is wanted, and where."""

    home: Path
    rpc_url: str
    stock: dict[str, int]
    domains: tuple[str, ...]
    foreign: dict[str, tuple[str, ...]]


async def _run_local(wanted: _Development, ending: asyncio.Event) -> None:
    """In one process."""
    from hither.chain.genesis import derive_development_key
    from hither.mpc import development

    network = development.open_network(wanted.home, wanted.stock, wanted.foreign)
    try:
        parent = derive_development_key(development.PARENT_ID)
        plan = development.make_local_plan(network, parent, wanted.domains)
        async with development.serve(
            wanted.rpc_url, plan, network, lambda text: click.echo(text)
        ) as description:
            click.echo(json.dumps(description))
            await ending.wait()
    finally:
        network.close()


async def _run_processes(wanted: _Development, ending: asyncio.Event) -> None:
    """Each in a process of its own."""
    from hither.chain.genesis import derive_development_key
    from hither.cli.mpc_processes import Options, serve
    from hither.mpc import development

    parent = derive_development_key(development.PARENT_ID)
    options = Options(wanted.home, wanted.rpc_url, parent, wanted.stock, wanted.domains, wanted.foreign)
    async with serve(options, lambda text: click.echo(text)) as description:
        click.echo(json.dumps(description))
        await ending.wait()
