"""``hither up --fork``: at which block a home's chain was taken over from another network, or is to be."""

import asyncio
from pathlib import Path

import click
import msgspec

from hither.client.clients import NETWORKS
from hither.node.fork.errors import ForkProblem
from hither.node.fork.pin import ForkPin, read_pin, write_pin
from hither.node.fork.remote import find_block, make_rpc
from hither.node.home import HomeProblem, is_initialized


def prepare_fork(home: Path, network: str | None, height: int | None) -> ForkPin | None:
    """What the home is a fork of; a new home is pinned to a block now. Raises HomeProblem.

    The remote is asked for a new home alone: afterwards its answers are needed only for what is not copied yet.
    """
    begun = read_pin(home) if is_initialized(home) else None
    if network is None:
        return begun
    url = NETWORKS.get(network, network)
    if not url.startswith(("http://", "https://")):
        raise click.BadParameter(f"{network!r} is neither a URL nor one of {', '.join(NETWORKS)}")
    if is_initialized(home):
        if begun is None or begun.url != url or height not in (None, begun.height):
            other = "no fork" if begun is None else f"a fork of {begun.chain_id} at block {begun.height}"
            raise HomeProblem(
                f"{home} holds a chain that is {other}; begin anew with --fresh, or name another with --home"
            )
        return begun
    try:
        pin = asyncio.run(_find(url, height))
    except ForkProblem as problem:
        raise HomeProblem(f"no fork of {network}: {problem}") from None
    from hither.mpc.development import list_own_accounts

    # The remote may be a network of ours, whose signing network has keys that nobody has here.
    pin = msgspec.structs.replace(pin, own=tuple(list_own_accounts()))
    write_pin(home, pin)
    return pin


async def _find(url: str, height: int | None) -> ForkPin:
    rpc = make_rpc(url)
    try:
        return await find_block(rpc, url, height)
    finally:
        await rpc.close()


def describe_fork(pin: ForkPin) -> str:
    """A line for who watches."""
    return f"fork of {pin.chain_id} at block {pin.height}; accounts are copied when they are first touched"
