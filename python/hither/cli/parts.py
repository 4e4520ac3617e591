"""The programs that a network runs beside our chain, and which of them have ended by themselves.

None of them is started again unasked: what waited in its memory is gone with it, and whoever was in the middle of
something must know. It is said at once, with what to do; everything else goes on.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hither.foreign.errors import RESTART
from hither.sdk.endpoints import is_running, shorten

_LOOK_INTERVAL_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Part:
    """One program of a network. ``log_path`` is where its last words are."""

    name: str
    process_id: int
    log_path: Path

    def describe_end(self) -> str:
        """What a person is told when it has ended."""
        return f"{self.name} has ended (process {self.process_id}); its last words are in {shorten(self.log_path)}"


def list_signing_parts(endpoints: Mapping[str, Any], home: Path) -> Iterator[Part]:
    """The process that all signing nodes are in, or that has started each of them."""
    if (signing := endpoints.get("mpc")) is not None:
        yield Part("the signing network", signing["pid"], home / "mpc.log")
        for row in signing.get("processes", ()):
            name = f"the signing node {row['account_id']}"
            yield Part(name, row["pid"], Path(row["home"]) / "node.log")


def list_parts(endpoints: Mapping[str, Any], home: Path) -> Iterator[Part]:
    """Every program that ``endpoints.json`` names, but for the one that wrote it."""
    yield from list_signing_parts(endpoints, home)
    folder = home / "foreign"
    for row in endpoints.get("foreign", ()):
        namespace, _, reference = row["caip2"].partition(":")
        log_paths = {"eip155": folder / f"anvil-{reference}.log", "bip122": folder / "bitcoin.log"}
        # Solana's engine is in the process that runs the others.
        yield Part(row["caip2"], row["pid"], log_paths.get(namespace, home / "foreign.log"))


def list_ended(endpoints: Mapping[str, Any], home: Path) -> list[Part]:
    """Those whose process is gone."""
    return [part for part in list_parts(endpoints, home) if not is_running(part.process_id)]


async def watch_parts(endpoints: Mapping[str, Any], home: Path, say: Callable[[str], None]) -> None:
    """Say of each part that ends that it did, once, until this is cancelled."""
    living = list(list_parts(endpoints, home))
    while True:
        ended = [part for part in living if not is_running(part.process_id)]
        living = [part for part in living if part not in ended]
        for part in ended:
            say(part.describe_end())
        if ended:
            say(f"hint: {RESTART}")
        await asyncio.sleep(_LOOK_INTERVAL_S)
