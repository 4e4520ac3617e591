"""``hither tx HASH``: a transaction of the running network, or of any node with ``--node``."""

import json
import sys
from pathlib import Path
from typing import Final

import click

from hither.cli.problems import home_option, must_call, must_connect, node_option, stop
from hither.cli.rpc import NodeUnreachable, RpcFailed
from hither.client.receipt_tree import COLOURS, PLAIN
from hither.client.trace import Trace, export_trace, render_trace, trace_transaction
from hither.codec import base58

HASH_BYTES: Final = 32


@click.command("tx")
@click.argument("transaction_hash", metavar="HASH")
@click.option(
    "--sender", default="system", help="Its signer; nodes with several shards need it [default: any]."
)
@click.option("--json", "as_json", is_flag=True, help="The node's answer, with what each receipt wrote.")
@click.option(
    "--svg", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Draw it into a file."
)
@home_option
@node_option
def command(
    transaction_hash: str, sender: str, as_json: bool, svg: Path | None, home: str | None, node: str | None
) -> None:
    """Show a transaction: receipts as a tree over the shards, with gas, tokens, logs, panics and what each wrote.

    Storage is shown as text or JSON where it is that, else as hex. Where the contract carries its ABI (near-abi), borsh
    in arguments, results and storage is read by it.
    """
    must_be_hash(transaction_hash)
    caller = must_connect(home, node)
    params = {"tx_hash": transaction_hash, "sender_account_id": sender, "wait_until": "NONE"}
    status = must_call(caller, "EXPERIMENTAL_tx_status", params)
    trace = trace_transaction(status, caller.call, (RpcFailed, NodeUnreachable))
    if svg is not None:
        draw(trace, svg)
    if as_json:
        click.echo(json.dumps(export_trace(trace)))
        return
    if "transaction_outcome" not in status:
        click.echo(f"{transaction_hash} waits: {status.get('final_execution_status')}")
        return
    for line in render_trace(trace, COLOURS if sys.stdout.isatty() else PLAIN):
        click.echo(line)


def must_be_hash(text: str) -> None:
    """Before a node is asked, which would only say that it cannot read it."""
    try:
        base58.decode(text, HASH_BYTES)
    except ValueError:
        stop(
            f"{text!r} is no transaction hash of our chain",
            f"give the {HASH_BYTES} bytes in base58 that a transaction is shown with; other chains have explorers",
        )


def draw(trace: Trace, file: Path) -> None:
    """Write the picture."""
    from hither.client.trace_picture import draw_trace

    try:
        file.write_text(draw_trace(trace), encoding="utf-8")
    except ValueError as error:
        stop(str(error))
    except OSError as error:
        stop(f"{file}: {error.strerror}")
