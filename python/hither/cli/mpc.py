"""``hither mpc``: signing nodes."""

import asyncio
import json
import signal
from pathlib import Path

import click

from hither.cli.problems import stop


@click.group("mpc")
def command() -> None:
    """Signing nodes: accounts' keys on other chains, held by no one."""


@command.command("local", hidden=True)
@click.option("--home", required=True, type=click.Path(path_type=Path))
@click.option("--rpc-url", required=True)
def local(home: Path, rpc_url: str) -> None:
    """The three nodes of a development network in one process; ``hither up`` starts it."""
    from hither.mpc.ceremony import CeremonyFailed
    from hither.mpc.store import StoreDamaged

    try:
        asyncio.run(_run_local(home, rpc_url))
    except (CeremonyFailed, StoreDamaged) as problem:
        stop(str(problem))


async def _run_local(home: Path, rpc_url: str) -> None:
    from hither.chain.genesis import derive_development_key
    from hither.mpc import development

    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    network = development.open_network(home)
    try:
        plan = development.make_local_plan(network, derive_development_key(development.PARENT_ID))
        async with development.serve(rpc_url, plan, network, lambda text: click.echo(text)) as description:
            click.echo(json.dumps(description))
            await ending.wait()
    finally:
        network.close()
