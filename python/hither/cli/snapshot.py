"""``hither snapshot``: remember the present state of the network, all chains as one."""

import asyncio
from pathlib import Path

import click

from hither.cli.problems import home_option, must_call, must_connect, must_read_endpoints, node_option, stop
from hither.sdk.endpoints import resolve_home

LEFT_OUT_NOTE = (
    "our chain alone is in it: key shares of signing nodes never leave their home, and without them other chains are "
    "of no use. Run it with `hither up --alone`"
)


@click.group("snapshot", invoke_without_command=True)
@home_option
@node_option
@click.pass_context
def command(context: click.Context, home: str | None, node: str | None) -> None:
    """Remember the present state; prints the id that `hither revert` takes.

    It covers our chain and every other chain of the home; with --node, that node alone. The signing network's keys
    stay as they are. `save` and `load` keep our chain in a file instead.
    """
    if context.invoked_subcommand is not None:
        if home is not None or node is not None:
            raise click.UsageError("write --home after save or load")
        return
    if node is not None:
        click.echo(must_call(must_connect(home, node), "hither_snapshot", {})["snapshot_id"])
        return
    endpoints = must_read_endpoints(home)
    from hither.client import ClientError
    from hither.foreign.errors import ForeignError
    from hither.sdk.snapshots import take_snapshot

    try:
        click.echo(asyncio.run(take_snapshot(endpoints, resolve_home(home))))
    except (ClientError, ForeignError) as problem:
        stop(str(problem), problem.hint)


@command.command("save")
@click.argument("name", type=click.Path(path_type=Path))
@home_option
def save_command(name: Path, home: str | None) -> None:
    """Pack our chain, with its keys, into NAME.hither, a file that a team can share. Stop the network first.

    Key shares of signing nodes never leave their home; without them accounts' addresses on other chains sign nothing,
    so those chains are not in it either. What is loaded runs with `hither up --alone` or `hither node run`.
    """
    from hither.node.archive import save_home
    from hither.node.home import HomeProblem, is_initialized, lock_home

    folder, file = resolve_home(home), add_suffix(name)
    if not is_initialized(folder):
        stop(f"{folder} holds no chain")
    try:
        with lock_home(folder):
            left_out = save_home(folder, file)
    except HomeProblem as problem:
        stop(str(problem))
    except OSError as error:
        stop(
            f"{error.filename or file}: {error.strerror}",
            "nothing is changed; name another place, or free some space",
        )
    click.echo(f"saved {file}")
    if left_out:
        click.echo(LEFT_OUT_NOTE)


@command.command("load")
@click.argument("name", type=click.Path(path_type=Path))
@home_option
def load_command(name: Path, home: str | None) -> None:
    """Lay out the chain of NAME.hither in a home that holds none. A damaged or foreign file changes nothing."""
    from hither.node.archive import load_home
    from hither.node.home import HomeProblem, lock_home

    folder, file = resolve_home(home), add_suffix(name)
    try:
        with lock_home(folder):
            left_out = load_home(file, folder)
    except FileNotFoundError:
        stop(
            f"{file} is not there", "name the file that `hither snapshot save` wrote, with or without .hither"
        )
    except HomeProblem as problem:
        stop(str(problem))
    except OSError as error:
        stop(
            f"{error.filename or file}: {error.strerror}",
            "nothing is changed; name another place, or free some space",
        )
    click.echo(f"loaded {file} into {folder}")
    if left_out:
        click.echo(LEFT_OUT_NOTE)


def add_suffix(name: Path) -> Path:
    """The file of a snapshot's name."""
    from hither.node.archive import SUFFIX

    return name if name.name.endswith(SUFFIX) else name.with_name(name.name + SUFFIX)
