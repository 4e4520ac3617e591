"""Records that several requests need, fetched together."""

import asyncio
from typing import Any, cast

import pytest

from hither.rpc import ahead
from hither.rpc.context import Foreseen


def gather(wanted: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[BaseException]]:
    """What happens when these are wanted within one turn, and what failed. Whoever wants ``bad`` fails."""
    happened: list[str] = []
    failures: list[BaseException] = []

    def fetch(names: list[Foreseen]) -> None:
        happened.append(f"fetched {names}")

    def answer(name: str) -> None:
        if name == "bad":
            raise ZeroDivisionError
        happened.append(f"answered {name}")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
        gatherer = ahead.Gatherer(loop)
        for name in wanted:
            gatherer.add(cast(Any, name), lambda name=name: answer(name))
        assert happened == [], "not before the turn is over"
        for _ in range(3):
            await asyncio.sleep(0)

    monkeypatch.setattr(ahead, "read_ahead", fetch)
    asyncio.run(main())
    return happened, failures


def test_those_of_one_turn_are_fetched_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, and before anybody is answered; the order stays."""
    happened, failures = gather(["a", "b", "c"], monkeypatch)
    assert happened == ["fetched ['a', 'b', 'c']", "answered a", "answered b", "answered c"]
    assert not failures


def test_one_alone_asks_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to share."""
    assert gather(["a"], monkeypatch) == (["answered a"], [])


def test_one_that_fails_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is answered in a turn of its own."""
    happened, failures = gather(["a", "bad", "c"], monkeypatch)
    assert happened[1:] == ["answered a", "answered c"]
    assert [type(failure) for failure in failures] == [ZeroDivisionError]
