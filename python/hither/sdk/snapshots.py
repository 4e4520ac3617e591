"""Snapshots of a whole network: our chain and every engine as one, never the signing nodes' stores.

Keys and used presignatures do not go back: a presignature that was used twice would give the key away, and an address
stays its account's whatever the chains are made to forget.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hither.client import AsyncClient
from hither.foreign.engines.control import ask_control
from hither.foreign.errors import EngineError


async def take_snapshot(endpoints: Mapping[str, Any], home: Path) -> str:
    """Remember the present; the id is good over a stop of any kind. Raises ``ClientError``, ``ForeignError``.

    What is on its way between chains while it is taken may be on one side of it here and on the other there.
    """
    async with AsyncClient(endpoints["near"]["rpc_url"]) as client:
        snapshot_id: str = (await client.request("hither_snapshot", {}))["snapshot_id"]
    if endpoints.get("foreign"):
        await ask_control(home / "foreign", "snapshot", name=snapshot_id)
    return snapshot_id


async def revert(endpoints: Mapping[str, Any], home: Path, snapshot_id: str) -> int:
    """Go back; it and all later ones are used up. Returns our chain's height.

    Raises ``ClientError``, ``ForeignError``.
    """
    has_engines = bool(endpoints.get("foreign"))
    if has_engines:
        await ask_control(home / "foreign", "check", name=snapshot_id)
    async with AsyncClient(endpoints["near"]["rpc_url"]) as client:
        tip = await client.request("hither_revert", {"snapshot_id": snapshot_id})
    if has_engines:
        try:
            await ask_control(home / "foreign", "revert", name=snapshot_id)
        except EngineError as error:
            raise EngineError(
                f"our chain went back, but not every other one: {error}",
                hint="revert to an earlier snapshot, or begin anew with `hither up --fresh`",
            ) from error
    return int(tip["height"])
