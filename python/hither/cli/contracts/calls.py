"""``hither contracts deploy|call|view``: a contract on the running network, from the command line."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from hither.cli.accounts import keep_created
from hither.cli.contracts.project import ProjectProblem, read_project
from hither.cli.problems import home_option, must_read_endpoints, stop
from hither.sdk.endpoints import read_keys, resolve_home

if TYPE_CHECKING:
    from hither.client import Client, TransactionResult
    from hither.primitives.action import Action

BALANCE: Final = "10 N"
CALL_GAS: Final = "100 Tgas"
ROOT_ACCOUNT: Final = "test.near"

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@dataclasses.dataclass(frozen=True)
class Code:
    """What is deployed, and the account that it gets unless another is named."""

    wasm: bytes
    account_id: str


@click.command("deploy")
@click.argument("source", default=".", type=click.Path(exists=True, path_type=Path))
@click.option("--to", "account_id", help="The account that gets it [default: NAME.test.near].")
@click.option("--init", "method", metavar="METHOD", help="A method to call in the same transaction.")
@click.option("--args", "arguments", default="{}", metavar="JSON", help="Its arguments.")
@home_option
def deploy_command(
    source: Path, account_id: str | None, method: str | None, arguments: str, home: str | None
) -> None:
    """Deploy the contract in SOURCE, which is its folder [default: this one] or a file of WebAssembly.

    An account that is not there is made with 10 N, and its key is kept in the home; one that is there gets the
    new code and keeps what the old has stored.
    """
    from hither.client import actions

    code, parsed = must_read_code(source), must_parse(arguments)
    receiver = account_id or code.account_id
    batch: list[Action] = [actions.deploy(code.wasm)]
    if method is not None:
        batch.append(actions.function_call(method, parsed, gas=CALL_GAS))
    with must_open(home) as client:
        result = must_deploy(client, receiver, batch, home)
    click.echo(f"{receiver} runs {len(code.wasm):,} bytes")
    tell_cost(result)


@click.command("call")
@click.argument("contract")
@click.argument("method")
@click.argument("arguments", default="{}", metavar="[JSON]")
@click.option("--as", "signer_id", help="Whose key signs [default: alice.near].", default="alice.near")
@click.option("--deposit", default="0 N", show_default=True, help="Attached, with its unit.")
@click.option("--gas", default=CALL_GAS, show_default=True, help="Attached; what is not used is not paid.")
@json_option
@home_option
def call_command(
    contract: str,
    method: str,
    arguments: str,
    signer_id: str,
    deposit: str,
    gas: str,
    as_json: bool,
    home: str | None,
) -> None:
    """Call METHOD of CONTRACT in a transaction, and print what it returned, logged and cost."""
    from hither.client import Signer

    parsed, key = must_parse(arguments), must_find_key(signer_id, home)
    with must_open(home) as client, problems():
        signer = Signer(signer_id, key)
        result = client.call(contract, method, parsed, gas=gas, deposit=deposit, signer=signer)
    value = read_value(result.value)
    if as_json:
        fields = {"value": value, "logs": result.logs, "transaction_hash": result.hash}
        click.echo(
            json.dumps(fields | {"gas_burnt": result.gas_burnt, "tokens_burnt": str(result.tokens_burnt)})
        )
        return
    for line in result.logs:
        click.echo(line)
    click.echo(json.dumps(value))
    tell_cost(result)


@click.command("view")
@click.argument("contract")
@click.argument("method")
@click.argument("arguments", default="{}", metavar="[JSON]")
@home_option
def view_command(contract: str, method: str, arguments: str, home: str | None) -> None:
    """Ask CONTRACT by a METHOD that writes nothing: no key, no transaction, no cost. Prints JSON."""
    parsed = must_parse(arguments)
    with must_open(home) as client, problems():
        answer = client.view(contract, method, parsed)
    for line in answer.logs:
        click.echo(line, err=True)
    click.echo(json.dumps(read_value(answer.value)))


COMMANDS: Final = (deploy_command, call_command, view_command)


def must_read_code(source: Path) -> Code:
    """A built project's code, or that of a file."""
    if source.is_file():
        wasm, name = source, source.stem
    else:
        try:
            project = read_project(source.resolve())
        except ProjectProblem as problem:
            stop(str(problem), "a file of WebAssembly does too")
        wasm, name = project.wasm, project.name
        if not wasm.exists():
            stop(f"{wasm} is not there yet", f"hither contracts build {source}")
    code = wasm.read_bytes()
    if code[:4] != b"\0asm":
        stop(f"{wasm} is no WebAssembly", "give the folder of a contract, or the file that its build made")
    return Code(code, f"{name.lower()}.{ROOT_ACCOUNT}")


def must_parse(arguments: str) -> Any:
    """Arguments of a method, which are one JSON object."""
    try:
        parsed = json.loads(arguments)
    except ValueError as error:
        raise click.BadParameter(f"the arguments are not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise click.BadParameter('the arguments are one JSON object, as in {"by": 3}')
    return parsed


def must_find_key(account_id: str, home: str | None) -> str:
    """The secret key of an account that this home keeps."""
    must_read_endpoints(home)
    keys = read_keys(resolve_home(home))
    if account_id not in keys:
        stop(f"no key of {account_id} is kept here", "hither accounts list shows whose keys are")
    return keys[account_id]


def must_open(home: str | None) -> "Client":
    """A client of the running network."""
    from hither.client import Client

    return Client(must_read_endpoints(home)["near"]["rpc_url"])


@contextmanager
def problems() -> Iterator[None]:
    """What goes wrong, in the command line's form."""
    from hither.client import ClientError, ExecutionFailed

    try:
        yield
    except ExecutionFailed as error:
        said = f"{error.panic_message}" if error.panic_message else f"{error}\n{error.hint}"
        stop(said, f"hither tx {error.result.hash}")
    except ClientError as error:
        stop(str(error), error.hint)


def must_deploy(
    client: "Client", account_id: str, deployment: Sequence["Action"], home: str | None
) -> "TransactionResult":
    """Onto an account whose key is here, else onto a new one, in one transaction either way."""
    from hither.client import Signer, UnknownAccount, actions
    from hither.client.actions import parse_account_id

    with problems():
        parse_account_id(account_id)
        try:
            client.get_account(account_id)
        except UnknownAccount:
            pass
        else:
            key = must_find_key(account_id, home)
            return client.send(account_id, *deployment, signer=Signer(account_id, key))
        parent = account_id.partition(".")[2]
        parent_key = must_find_key(parent, home)
        created = Signer.generate(account_id)
        result = client.send(
            account_id,
            actions.create_account(),
            actions.transfer(BALANCE),
            actions.add_full_access_key(created.public_key),
            *deployment,
            signer=Signer(parent, parent_key),
        )
    keep_created(created, must_read_endpoints(home), resolve_home(home))
    click.echo(f"created {account_id} with {BALANCE}")
    return result


def read_value(value: bytes) -> Any:
    """JSON where it is that, else the bytes in hex; None for nothing."""
    if not value:
        return None
    try:
        return json.loads(value)
    except ValueError:
        return value.hex()


def tell_cost(result: "TransactionResult") -> None:
    """Where to look further, and what it cost, on the standard error: the output is the contract's."""
    from hither.client.receipt_tree import format_amount, format_gas

    cost = f"{format_gas(result.gas_burnt)}, {format_amount(result.tokens_burnt)}"
    click.echo(f"{cost}; hither tx {result.hash}", err=True)
