"""``hither revert ID``: go back to a snapshot."""

import click

from hither.cli.problems import home_option, must_call, must_connect, node_option


@click.command("revert")
@click.argument("snapshot_id", metavar="ID")
@home_option
@node_option
def command(snapshot_id: str, home: str | None, node: str | None) -> None:
    """Go back to a snapshot; it and all later ones are used up."""
    tip = must_call(must_connect(home, node), "hither_revert", {"snapshot_id": snapshot_id})
    click.echo(f"back at height {tip['height']}")
