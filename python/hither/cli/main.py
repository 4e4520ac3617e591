"""The command ``hither``: subcommands by name, each imported when it is called."""

import importlib
import sys
from typing import Any

import click

from hither import __version__

# Name -> module and the one line that `hither --help` shows. The module has a click command `command`.
COMMANDS = {
    "up": ("hither.cli.up", "Start a development network; Ctrl-C stops it and keeps its state."),
    "status": ("hither.cli.status", "What runs in a home directory."),
    "down": ("hither.cli.down", "Stop the network of a home directory."),
    "tx": ("hither.cli.tx", "Show a transaction: receipts, gas, logs, panics."),
    "accounts": ("hither.cli.accounts", "Create accounts, list the funded ones."),
    "fund": ("hither.cli.fund", "Coins for nothing on a development chain."),
    "send": ("hither.cli.send", "Pay on any chain with an account of ours."),
    "transfers": ("hither.cli.transfers", "What was sent, what hangs; resume it, or raise its fee."),
    "snapshot": ("hither.cli.snapshot", "Remember the present state of the network."),
    "state": ("hither.cli.state", "Export and import accounts and contracts' state as JSON."),
    "revert": ("hither.cli.revert", "Go back to a snapshot."),
    "demo": ("hither.cli.demo", "One account transacts on every chain of the running network."),
    "foreign": ("hither.cli.foreign", "Development chains of other families."),
    "mpc": ("hither.cli.mpc", "Signing nodes."),
    "node": ("hither.cli.node", "The chain alone: init, run, view-state."),
    "contracts": ("hither.cli.contracts", "New contracts in four languages; build, test, deploy, call them."),
    "bench": ("hither.cli.bench", "Measure this machine: start, transfers, tokens, rpc, growth."),
    "doctor": ("hither.cli.doctor", "Check this machine and say what is missing."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hither", message="%(prog)s %(version)s")
def group() -> None:
    """A NEAR-compatible sharded chain on this machine.

    `hither up` starts it. Point your client library at the address that it prints.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command; the exit code is 0, 1 for a failure, 2 for wrong usage."""
    return group.main(args=arguments, prog_name="hither")


if __name__ == "__main__":
    sys.exit(main())
