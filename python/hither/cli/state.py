"""``hither state``: accounts and their contracts' state as a file, out of one chain and into another."""

import json
from pathlib import Path

import click

from hither.cli.problems import home_option, must_call, must_connect, node_option, stop


@click.group("state")
def command() -> None:
    """Accounts, keys, code and contracts' state as JSON."""


@command.command("export")
@click.argument("account_ids", nargs=-1, required=True, metavar="ACCOUNT...")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A file [default: printed].")
@home_option
@node_option
def export_command(
    account_ids: tuple[str, ...], out: Path | None, home: str | None, node: str | None
) -> None:
    """Write accounts as records of NEAR's genesis: balance, keys, code, state, all of one block.

    It reads the running network, or any NEAR node with --node. Secret keys are not in it.
    """
    from hither.client.state_records import export_account

    caller = must_connect(home, node)
    wanted = dict.fromkeys(account_ids)
    for account_id in wanted:
        # A fork copies an account when it is first asked about, so only a later block can have it.
        question = {"request_type": "view_account", "finality": "optimistic", "account_id": account_id}
        must_call(caller, "query", question)
    block_hash = must_call(caller, "block", {"finality": "optimistic"})["header"]["hash"]
    records = [
        record
        for account_id in wanted
        for record in export_account(
            account_id, block_hash, lambda method, params: must_call(caller, method, params)
        )
    ]
    text = json.dumps(records, indent=1)
    if out is None:
        click.echo(text)
        return
    try:
        out.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        stop(f"{out}: {error.strerror}")
    click.echo(f"wrote {len(records)} records to {out}")


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@home_option
@node_option
def import_command(file: Path, home: str | None, node: str | None) -> None:
    """Lay the records of FILE over the state of a development chain.

    What the file does not name stays. It is read whole first: a wrong record means that nothing is written.
    """
    from hither.client.state_records import InvalidStateFile, import_records, read_records

    try:
        records = read_records(file.read_bytes())
    except OSError as error:
        stop(f"{file}: {error.strerror}")
    except InvalidStateFile as error:
        stop(f"{file}: {error}", "nothing was written; `hither state export` writes such a file")
    caller = must_connect(home, node)
    import_records(records, lambda method, params: must_call(caller, method, params))
    accounts = sum("Account" in record for record in records)
    click.echo(f"imported {len(records)} records of {accounts} accounts")
