"""``hither down``: stop the network of a home directory."""

import os
import signal
import time

import click

from hither.cli.problems import home_option, must_read_endpoints, stop
from hither.sdk.endpoints import is_running

WAIT_S_MAX = 20


@click.command("down")
@home_option
def command(home: str | None) -> None:
    """Stop the network and wait until it has ended; its state stays."""
    process_id = must_read_endpoints(home)["pid"]
    try:
        os.kill(process_id, signal.SIGTERM)
    except PermissionError:
        stop(f"process {process_id} belongs to another user")
    deadline = time.monotonic() + WAIT_S_MAX
    while is_running(process_id):
        if time.monotonic() > deadline:
            stop(
                f"process {process_id} still runs after {WAIT_S_MAX} s",
                f"kill -9 {process_id} ends it at once",
            )
        time.sleep(0.02)
    click.echo(f"stopped process {process_id}")
