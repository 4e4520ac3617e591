"""``hither accounts``: the funded accounts of a running network, and new ones.

The key of a new account is kept in ``HOME/accounts/NAME.json``, readable by its owner, so that the account can
make accounts below itself later.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hither.cli.problems import home_option, must_read_endpoints, stop
from hither.sdk.endpoints import ACCOUNTS_FOLDER, read_created, resolve_home

if TYPE_CHECKING:
    from hither.client import Signer
    from hither.sdk.network import Network


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

    endpoints, folder = must_read_endpoints(home), resolve_home(home)
    known = {row["account_id"]: row for row in [*endpoints["near"]["accounts"], *read_created(folder)]}
    parent = name.partition(".")[2]
    if parent not in known:
        hint = f"names end with the account that makes them, for example {name.partition('.')[0]}.near"
        stop(f"no key here for {parent or 'the top level'}, which alone can create {name}", hint)
    try:
        with Client(
            endpoints["near"]["rpc_url"], signer=Signer(parent, known[parent]["secret_key"])
        ) as client:
            created = Signer.generate(name)
            result = client.create_account(name, created.public_key, amount)
    except InvalidAmount as error:
        stop(str(error))
    except ClientError as error:
        stop(str(error), error.hint)
    if (folder / ACCOUNTS_FOLDER / f"{name}.json").exists():
        click.echo(f"warning: {name} was made from this home before; its old key file is replaced", err=True)
    account = keep_created(created, endpoints, folder)
    if as_json:
        click.echo(json.dumps(account | {"transaction_hash": result.hash}))
        return
    click.echo(f"created {name} with {amount}, key in {folder / ACCOUNTS_FOLDER / name}.json")
    click.echo(f"{name}  {account['secret_key']}")


def keep_created(created: "Signer", endpoints: dict[str, Any], home: Path) -> dict[str, str]:
    """Keep the key of an account that was just made; what is kept. Warns when its addresses have been used before."""
    account = {
        "account_id": created.account_id,
        "public_key": str(created.public_key),
        "secret_key": created.secret_key,
    }
    write_created(home, account)
    warn_of_traces(endpoints, created.account_id)
    return account


def warn_of_traces(endpoints: dict[str, Any], name: str) -> None:
    """Tell when the addresses of a name on other chains have been used before it was made."""
    if "mpc" not in endpoints:
        return
    import asyncio

    from hither.sdk.network import Network
    from hither.sdk.traces import find_traces

    traces = asyncio.run(find_traces(Network.from_endpoints(endpoints), name))
    if not traces:
        return
    click.echo(f"warning: addresses of {name} on other chains are in use already:", err=True)
    for trace in traces:
        click.echo(f"  {trace}", err=True)
    click.echo(
        "  Addresses follow the name. Somebody had this account before and deleted it, or it was paid in advance:\n"
        "  what is there is yours now, and others may still pay to it meaning somebody else.",
        err=True,
    )


@command.command("derive")
@click.option(
    "--mnemonic", metavar="WORDS", help="12 to 24 words of BIP-39; `-` reads them from the standard input."
)
@click.option(
    "--seed", metavar="HEX", help="Instead: 64 bytes in hex; `-` reads them from the standard input."
)
@click.option("--passphrase", default="", help="Goes with the words [default: none].")
@click.option("--count", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many keys.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def derive_command(
    mnemonic: str | None, seed: str | None, passphrase: str, count: int, as_json: bool
) -> None:
    """Derive keys as NEAR's wallets do: SLIP-10 at m/44'/397'/0', then 1' and so on. No network is needed.

    The account beside a key is the implicit one, which the key owns anywhere. Whoever has the words has the keys:
    on a machine that others use, give them on the standard input.
    """
    if (mnemonic is None) == (seed is None):
        raise click.UsageError("give --mnemonic or --seed")
    if seed is not None and passphrase:
        raise click.UsageError("--passphrase goes with --mnemonic")
    from hither.crypto.wallets import InvalidWallet, compute_seed

    text = mnemonic if mnemonic is not None else seed or ""
    text = sys.stdin.read() if text == "-" else text
    try:
        root = read_seed(text) if mnemonic is None else compute_seed(text, passphrase)
        rows = [derive_account(root, index) for index in range(count)]
    except InvalidWallet as problem:
        stop(str(problem))
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['path']:<16}{row['account_id']}  {row['public_key']}  {row['secret_key']}")


def read_seed(text: str) -> bytes:
    """A seed in hex. Raises ``InvalidWallet``."""
    from hither.crypto.wallets import InvalidWallet

    try:
        return bytes.fromhex(text.strip())
    except ValueError:
        raise InvalidWallet("the seed is not hex") from None


def derive_account(seed: bytes, index: int) -> dict[str, str]:
    """The key with a number, and the implicit account that it owns."""
    from hither.crypto.keys import public_key_to_str, secret_key_to_str
    from hither.crypto.signing import compute_public_key
    from hither.crypto.wallets import derive_secret_key

    path = f"m/44'/397'/{index}'"
    secret = derive_secret_key(seed, path)
    public = compute_public_key(secret)
    return {
        "account_id": public.data.hex(),
        "public_key": public_key_to_str(public),
        "secret_key": secret_key_to_str(secret),
        "path": path,
    }


@command.command("addresses")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--path", "paths", multiple=True, help="One more derivation path; may be given several times.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@home_option
def addresses_command(
    names: tuple[str, ...], paths: tuple[str, ...], as_json: bool, home: str | None
) -> None:
    """Export the addresses of accounts on every chain: of those NAMEd, else of all whose keys this home holds.

    They follow the account's name: anybody can compute them, and who deletes an account leaves them to whoever
    makes the name again.
    """
    import asyncio

    from hither.client import ClientError
    from hither.mpc.client import SigningFailed
    from hither.sdk.endpoints import NoNetwork
    from hither.sdk.network import Network

    try:
        network = Network.load(resolve_home(home))
    except NoNetwork as problem:
        stop(str(problem))
    known = [*must_read_endpoints(home)["near"]["accounts"], *read_created(resolve_home(home))]
    chosen = names or tuple(row["account_id"] for row in known)
    try:
        rows = asyncio.run(list_addresses(network, chosen, paths))
    except (ClientError, SigningFailed) as problem:
        stop(str(problem), getattr(problem, "hint", None))
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['account_id']:<24}{row['chain']:<42}{row['path']:<14}{row['address']}")


async def list_addresses(
    network: "Network", names: Sequence[str], paths: Sequence[str]
) -> list[dict[str, Any]]:
    """Every address of these accounts, as rows of JSON."""
    from hither.sdk.account import list_addresses_of

    return [dataclasses.asdict(row) for row in await list_addresses_of(network, names, paths)]


def write_created(home: Path, account: dict[str, Any]) -> None:
    """Keep the key of a new account."""
    (home / ACCOUNTS_FOLDER).mkdir(mode=0o700, exist_ok=True)
    path = home / ACCOUNTS_FOLDER / f"{account['account_id']}.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(account, file, indent=2)
        file.write("\n")
