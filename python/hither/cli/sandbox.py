"""``hither-sandbox``: ``hither node`` under the argument forms of NEAR's sandbox program.

Launchers (npm ``near-sandbox``, the crate ``near-sandbox``, near-kit) start whatever ``NEAR_SANDBOX_BIN_PATH``
names, with NEAR's options. Those that change nothing here (peers, telemetry) are taken and ignored. Nothing is
logged while the node runs: launchers leave the pipes unread, and a full one would block it.
"""

import sys
from pathlib import Path
from typing import Any, Final

from hither import __version__

FINALITY_BLOCK_TIME_MS: Final = 100
"""Execution comes at once, finality as at NEAR's sandbox: tests written for it look at what is between."""


def main(arguments: list[str] | None = None) -> Any:
    """Run the program. ``--version`` is answered before anything is imported: launchers probe with it."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] in (["--version"], ["-V"]):
        print(f"hither-sandbox {__version__}")
        return 0
    return _make_group().main(args=arguments, prog_name="hither-sandbox")


def _make_group() -> Any:
    import click

    from hither.chain.genesis import DevelopmentOptions
    from hither.cli import node
    from hither.params.protocol_versions import SANDBOX_PROTOCOL_VERSION

    @click.group(context_settings={"help_option_names": ["-h", "--help"]})
    @click.option("--home", type=click.Path(path_type=Path), default=Path("~/.near"), show_default=True)
    @click.option("--verbose", default=None, help="Taken and ignored.")
    @click.option("--unsafe-fast-startup", is_flag=True, help="Taken and ignored.")
    @click.version_option(__version__, prog_name="hither-sandbox", message="%(prog)s %(version)s")
    @click.pass_context
    def group(context: click.Context, /, home: Path, **_: Any) -> None:
        """A NEAR node for tests, in place of NEAR's sandbox program."""
        context.obj = home.expanduser().absolute()

    @group.command("init")
    @click.option("--chain-id", default="localnet", show_default=True)
    @click.option("--fast", is_flag=True, help="Taken and ignored: blocks come at once anyway.")
    @click.option("--account-id", hidden=True)
    @click.option("--test-seed", hidden=True)
    @click.option("--num-shards", type=int, hidden=True)
    @node.protocol_version_option
    @click.pass_obj
    def init(home: Path, /, chain_id: str, protocol_version: int | None, **_: Any) -> None:
        """Write genesis, configuration and keys into the home directory."""
        options = DevelopmentOptions(
            chain_id=chain_id or "localnet",
            protocol_version=protocol_version or SANDBOX_PROTOCOL_VERSION,
            accounts=(),
        )
        node.init(home, options)

    @group.command("run")
    @node.rpc_address_option
    @click.option("--network-addr", default=None, help="Taken and ignored: this node has no peers.")
    @click.option("--boot-nodes", hidden=True)
    @click.option("--min-peers", hidden=True)
    @click.option("--telemetry-url", hidden=True)
    @click.option("--archive", is_flag=True, hidden=True)
    @click.option("--produce-empty-blocks", hidden=True)
    @node.block_time_option
    @click.pass_obj
    def run(home: Path, /, rpc_addr: str | None, block_time: str, **_: Any) -> None:
        """Run the node until SIGTERM."""
        # One process: a launcher starts many of these, each for a short time and a light load.
        node.run(home, rpc_addr, block_time, is_single=True, finality_block_time_ms=FINALITY_BLOCK_TIME_MS)

    @group.group("view-state")
    @click.option("--readwrite", is_flag=True, hidden=True)
    def view_state(**_: Any) -> None:
        """Look at the state, also while the node runs."""

    @view_state.command("dump-state")
    @click.option("--stream", is_flag=True, help="Write a folder with genesis.json and records.json.")
    @click.option("--file", type=click.Path(path_type=Path), help="Where to [default: HOME/output.json].")
    @click.pass_obj
    def dump_state(home: Path, stream: bool, file: Path | None) -> None:
        """Write the state of the newest block as a genesis."""
        click.echo(f"wrote {node.dump_state(home, file, is_streamed=stream)}")

    return group


if __name__ == "__main__":
    sys.exit(main())
