"""``hither snapshot``: remember the present state of the network, all chains as one."""

import asyncio

import click

from hither.cli.problems import home_option, must_call, must_connect, must_read_endpoints, node_option, stop
from hither.sdk.endpoints import resolve_home


@click.command("snapshot")
@home_option
@node_option
def command(home: str | None, node: str | None) -> None:
    """Remember the present state; prints the id that `hither revert` takes.

    It covers our chain and every other chain of the home; with --node, that node alone. The signing network's keys
    stay as they are.
    """
    if node is not None:
        click.echo(must_call(must_connect(home, node), "hither_snapshot", {})["snapshot_id"])
        return
    endpoints = must_read_endpoints(home)
    from hither.client import ClientError
    from hither.foreign.errors import ForeignError
    from hither.sdk.snapshots import take_snapshot

    try:
        click.echo(asyncio.run(take_snapshot(endpoints, resolve_home(home))))
    except (ClientError, ForeignError) as problem:
        stop(str(problem), problem.hint)
