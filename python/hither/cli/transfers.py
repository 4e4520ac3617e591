"""``hither transfers``: what accounts of this home have sent and what hangs; ``resume`` and ``bump``."""

import json
from typing import TYPE_CHECKING, Any

import click

from hither.cli.problems import home_option
from hither.cli.progress import Progress
from hither.cli.send import describe_sent, show, with_account
from hither.sdk.endpoints import TRANSFERS_FOLDER, resolve_home

if TYPE_CHECKING:
    from hither.sdk.account import Account
    from hither.sdk.journal import Record


@click.group("transfers", invoke_without_command=True)
@click.option("--ended", is_flag=True, help="Those that have ended, instead of those that have not.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@home_option
@click.pass_context
def command(context: click.Context, ended: bool, as_json: bool, home: str | None) -> None:
    """List the transfers of this home's accounts that have not ended; no network needs to run."""
    if context.invoked_subcommand is not None:
        if ended or as_json or home is not None:
            raise click.UsageError("write options after resume or bump")
        return
    from hither.sdk.journal import Journal

    folder = resolve_home(home) / TRANSFERS_FOLDER
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    records = [record for name in names for record in Journal(folder, name).list(is_open=not ended)]
    if as_json:
        click.echo(json.dumps([describe(record) for record in records]))
        return
    for record in records:
        row = describe(record)
        words = [row["id"], row["step"], row["account_id"], row["chain"], f"to {row['receiver']}"]
        click.echo("  ".join([*words, row["transaction_id"] or ""]).rstrip())
        if "message" in record.outcome:
            click.echo(f"  {record.outcome['message']}")


def describe(record: "Record") -> dict[str, Any]:
    """A row of the list."""
    from hither.sdk.work import describe_deed

    receiver, amount = describe_deed(record.deed)
    return {
        "id": record.id,
        "account_id": record.account_id,
        "chain": str(record.chain),
        "step": record.step,
        "receiver": receiver,
        "amount": str(amount),
        "reference": record.reference,
        "transaction_id": record.transaction_id,
    }


of_option = click.option("--of", "account_id", metavar="ACCOUNT", required=True, help="Whose transfers.")


@command.command("resume")
@of_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@home_option
def resume_command(account_id: str, as_json: bool, home: str | None) -> None:
    """Finish what was interrupted, oldest first. What was sent is not sent again."""

    async def resume(account: "Account", progress: Progress) -> list[dict[str, Any]]:
        finished = await account.resume(lambda event: progress.say(str(event)))
        return [describe_sent(account, sent) for sent in finished]

    for row in with_account(account_id, home, resume):
        show(row, as_json=as_json)


@command.command("bump")
@click.argument("transfer_id", metavar="ID")
@of_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@home_option
def bump_command(transfer_id: str, account_id: str, as_json: bool, home: str | None) -> None:
    """Pay a higher fee for a transfer that waits, on an EVM chain or Bitcoin. Only one of both can happen."""

    async def bump(account: "Account", progress: Progress) -> dict[str, Any]:
        return describe_sent(account, await account.bump(transfer_id, lambda event: progress.say(str(event))))

    show(with_account(account_id, home, bump), as_json=as_json)
