"""Snapshots of a whole network: our chain and every engine as one, never the signing nodes' stores.

Keys and used presignatures do not go back: a presignature that was used twice would give the key away, and an address
stays its account's whatever the chains are made to forget.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from hither.client import AsyncClient
from hither.foreign.engines.control import Control, hold_engines
from hither.foreign.errors import EngineError


async def take_snapshot(endpoints: Mapping[str, Any], home: Path) -> str:
    """Remember the present; the id is good over a stop of any kind. Raises ``ClientError``, ``ForeignError``.

    It is one moment of all chains, whatever is under way: from before the first is remembered until after the last, the
    other chains answer nobody, so that what any chain of the snapshot holds because of another's is in that one too.
    """
    async with _hold(endpoints, home) as engines, AsyncClient(endpoints["near"]["rpc_url"]) as client:
        snapshot_id: str = (await client.request("hither_snapshot", {}))["snapshot_id"]
        if engines is not None:
            await engines.ask("snapshot", name=snapshot_id)
    return snapshot_id


async def revert(endpoints: Mapping[str, Any], home: Path, snapshot_id: str) -> int:
    """Go back; it and all later ones are used up. Returns our chain's height.

    Raises ``ClientError``, ``ForeignError``.
    """
    async with _hold(endpoints, home) as engines:
        if engines is not None:
            await engines.ask("check", name=snapshot_id)
        async with AsyncClient(endpoints["near"]["rpc_url"]) as client:
            tip = await client.request("hither_revert", {"snapshot_id": snapshot_id})
        if engines is not None:
            try:
                await engines.ask("revert", name=snapshot_id)
            except EngineError as error:
                raise EngineError(
                    f"our chain went back, but not every other one: {error}",
                    hint="revert to an earlier snapshot, or begin anew with `hither up --fresh`",
                ) from error
    return int(tip["height"])


@contextlib.asynccontextmanager
async def _hold(endpoints: Mapping[str, Any], home: Path) -> AsyncIterator[Control | None]:
    """Nothing moves on the other chains, if there are any."""
    if not endpoints.get("foreign"):
        yield None
        return
    async with hold_engines(home / "foreign") as engines:
        yield engines
