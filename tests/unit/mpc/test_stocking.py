"""Who leads the making of stock."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from hither.mpc.channels import JobFailed
from hither.mpc.doubts import Doubts
from hither.mpc.stocking import StockMaker

VIEW: Any = SimpleNamespace(keys={0: SimpleNamespace(domain=SimpleNamespace(id=0))})


class Broken(Exception):
    """What must not happen."""


@pytest.mark.parametrize("patience_s", [0.0, 60.0])
def test_a_defect_is_not_lost_with_a_late_job(monkeypatch: pytest.MonkeyPatch, patience_s: float) -> None:
    """A job that fails is counted; one that breaks ends the maker, also when the next began beside it."""
    monkeypatch.setattr("hither.mpc.stocking.PATIENCE_S", patience_s)
    failures: list[Exception] = [JobFailed("somebody is silent"), Broken()]
    counted: list[str] = []

    async def lead(*_: Any) -> None:
        await asyncio.sleep(0.01)
        raise failures.pop(0)

    async def work() -> None:
        maker = StockMaker(0, Doubts(), lead, counted.append)
        assert await maker.make(VIEW, {1, 2}, [(0, 0, (0, 1))])
        await asyncio.sleep(0.1)
        assert await maker.make(VIEW, {1, 2}, [(0, 0, (0, 2))])
        await asyncio.sleep(0.1)
        with pytest.raises(Broken):
            await maker.make(VIEW, {1, 2}, [])

    asyncio.run(work())
    assert counted == ["stock jobs failed"]
