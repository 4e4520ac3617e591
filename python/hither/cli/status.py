"""``hither status``: what runs in a home directory."""

import json

import click

from hither.cli.problems import home_option, must_call, must_connect, must_read_endpoints


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@home_option
def command(as_json: bool, home: str | None) -> None:
    """Say what runs, at which height and where."""
    endpoints = must_read_endpoints(home)
    status = must_call(must_connect(home, None), "status", [])
    sync = status["sync_info"]
    if as_json:
        answer = {
            "endpoints": endpoints,
            "height": sync["latest_block_height"],
            "chain_id": status["chain_id"],
        }
        answer["protocol_version"] = status["protocol_version"]
        click.echo(json.dumps(answer))
        return
    click.echo(
        f"chain {status['chain_id']} at protocol {status['protocol_version']}, process {endpoints['pid']}"
    )
    click.echo(f"height {sync['latest_block_height']}, block {sync['latest_block_hash']}")
    click.echo(f"JSON-RPC {endpoints['near']['rpc_url']}")
