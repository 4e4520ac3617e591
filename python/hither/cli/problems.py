"""How a command fails: one sentence of what is wrong, and where possible one of what to do."""

from typing import Any, NoReturn

import click

from hither.cli.rpc import NodeUnreachable, RpcCaller, RpcFailed
from hither.sdk.endpoints import NoNetwork, read_endpoints, resolve_home


def stop(message: str, hint: str | None = None) -> NoReturn:
    """End the command with exit code 1."""
    raise click.ClickException(message if hint is None else f"{message}\nhint: {hint}")


def must_read_endpoints(home: str | None) -> dict[str, Any]:
    """The running network of a home, or the end of the command."""
    try:
        return read_endpoints(resolve_home(home))
    except NoNetwork as error:
        stop(str(error))


def must_connect(home: str | None, node: str | None) -> RpcCaller:
    """A caller of ``--node URL``, else of the network in the home."""
    try:
        return RpcCaller(node or must_read_endpoints(home)["near"]["rpc_url"])
    except NodeUnreachable as error:
        stop(str(error), error.hint)


def must_call(caller: RpcCaller, method: str, params: Any) -> Any:
    """A method's result, or the end of the command with the node's reason."""
    try:
        return caller.call(method, params)
    except RpcFailed as error:
        stop(str(error), error.hint)
    except NodeUnreachable as error:
        stop(str(error), error.hint)


home_option = click.option(
    "--home", metavar="DIR", help="Home directory [default: $HITHER_HOME or ~/.hither]."
)
node_option = click.option("--node", metavar="URL", help="A node's address, instead of the one in the home.")
