"""``hither status``: what runs in a home directory."""

import json

import click

from hither.cli.parts import list_ended
from hither.cli.problems import home_option, must_call, must_connect, must_read_endpoints
from hither.foreign.errors import RESTART
from hither.sdk.endpoints import resolve_home


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@home_option
def command(as_json: bool, home: str | None) -> None:
    """Say what runs, at which height and where, and what of it has ended by itself."""
    endpoints = must_read_endpoints(home)
    status = must_call(must_connect(home, None), "status", [])
    sync = status["sync_info"]
    ended = list_ended(endpoints, resolve_home(home))
    if as_json:
        answer = {
            "endpoints": endpoints,
            "height": sync["latest_block_height"],
            "chain_id": status["chain_id"],
        }
        answer["protocol_version"] = status["protocol_version"]
        answer["ended"] = [part.name for part in ended]
        click.echo(json.dumps(answer))
        return
    click.echo(
        f"chain {status['chain_id']} at protocol {status['protocol_version']}, process {endpoints['pid']}"
    )
    click.echo(f"height {sync['latest_block_height']}, block {sync['latest_block_hash']}")
    click.echo(f"JSON-RPC {endpoints['near']['rpc_url']}")
    for row in endpoints.get("foreign", ()):
        click.echo(f"{row['caip2']} {row['rpc_url']}")
    for part in ended:
        click.echo(part.describe_end())
    if ended:
        click.echo(f"hint: {RESTART}")
