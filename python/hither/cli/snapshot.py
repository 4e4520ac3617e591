"""``hither snapshot``: remember the present state of the network."""

import click

from hither.cli.problems import home_option, must_call, must_connect, node_option


@click.command("snapshot")
@home_option
@node_option
def command(home: str | None, node: str | None) -> None:
    """Remember the present state; prints the id that `hither revert` takes."""
    click.echo(must_call(must_connect(home, node), "hither_snapshot", {})["snapshot_id"])
