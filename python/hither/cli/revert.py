"""``hither revert ID``: go back to a snapshot, all chains as one."""

import asyncio

import click

from hither.cli.problems import home_option, must_call, must_connect, must_read_endpoints, node_option, stop
from hither.sdk.endpoints import resolve_home


@click.command("revert")
@click.argument("snapshot_id", metavar="ID")
@home_option
@node_option
def command(snapshot_id: str, home: str | None, node: str | None) -> None:
    """Go back to a snapshot; it and all later ones are used up.

    Our chain and every other chain of the home go back together; with --node, that node alone.
    """
    if node is not None:
        tip = must_call(must_connect(home, node), "hither_revert", {"snapshot_id": snapshot_id})
        click.echo(f"back at height {tip['height']}")
        return
    endpoints = must_read_endpoints(home)
    from hither.client import ClientError
    from hither.foreign.errors import ForeignError
    from hither.sdk.snapshots import revert

    try:
        height = asyncio.run(revert(endpoints, resolve_home(home), snapshot_id))
    except (ClientError, ForeignError) as problem:
        stop(str(problem), problem.hint)
    click.echo(f"back at height {height}")
