"""``hither accounts``: the funded accounts of a running network, and new ones.

The key of a new account is kept in ``HOME/accounts/NAME.json``, readable by its owner, so that the account can
make accounts below itself later.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Any

import click

from hither.cli.problems import home_option, must_read_endpoints, stop
from hither.sdk.endpoints import ACCOUNTS_FOLDER, read_created, resolve_home


@click.group("accounts")
def command() -> None:
    """The funded accounts of the running network, and new ones."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@home_option
def list_command(as_json: bool, home: str | None) -> None:
    """List the accounts whose keys this home holds."""
    accounts = [*must_read_endpoints(home)["near"]["accounts"], *read_created(resolve_home(home))]
    if as_json:
        click.echo(json.dumps(accounts))
        return
    for account in accounts:
        click.echo(f"{account['account_id']:<24}{account['secret_key']}")


@command.command("create")
@click.argument("name")
@click.option("--amount", default="10 N", show_default=True, help="What it is given, with its unit.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@home_option
def create_command(name: str, amount: str, as_json: bool, home: str | None) -> None:
    """Create NAME below an account of this home: `carl.near`, or `shop.alice.near`."""
    from hither.client import Client, ClientError, Signer
    from hither.codec.units import InvalidAmount
    from hither.crypto.keys import ED25519, public_key_to_str, secret_key_to_str
    from hither.crypto.signing import compute_public_key, secret_key_from_seed

    endpoints, folder = must_read_endpoints(home), resolve_home(home)
    known = {row["account_id"]: row for row in [*endpoints["near"]["accounts"], *read_created(folder)]}
    parent = name.partition(".")[2]
    if parent not in known:
        hint = f"names end with the account that makes them, for example {name.partition('.')[0]}.near"
        stop(f"no key here for {parent or 'the top level'}, which alone can create {name}", hint)
    secret = secret_key_from_seed(ED25519, secrets.token_bytes(32))
    public = compute_public_key(secret)
    try:
        with Client(
            endpoints["near"]["rpc_url"], signer=Signer(parent, known[parent]["secret_key"])
        ) as client:
            result = client.create_account(name, public, amount)
    except (ClientError, InvalidAmount) as error:
        stop(str(error))
    account = {
        "account_id": name,
        "public_key": public_key_to_str(public),
        "secret_key": secret_key_to_str(secret),
    }
    write_created(folder, account)
    if as_json:
        click.echo(json.dumps(account | {"transaction_hash": result.hash}))
        return
    click.echo(f"created {name} with {amount}, key in {folder / ACCOUNTS_FOLDER / name}.json")
    click.echo(f"{name}  {account['secret_key']}")


def write_created(home: Path, account: dict[str, Any]) -> None:
    """Keep the key of a new account."""
    (home / ACCOUNTS_FOLDER).mkdir(mode=0o700, exist_ok=True)
    path = home / ACCOUNTS_FOLDER / f"{account['account_id']}.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(account, file, indent=2)
        file.write("\n")
