"""Where the time of a block goes: functions of the chain, timed from outside, a few calls a block."""

import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any

import hither.chain.application
import hither.chain.engine
import hither.chain.storage
import hither.node.control
import hither.node.node

# Stage -> where the function is. Stages do not contain one another.
TIMED: dict[str, tuple[Any, str]] = {
    "check_signatures": (hither.node.control, "are_valid_signatures"),
    "admit": (hither.node.control.NodeControl, "_admit_batch"),
    "insert": (hither.chain.engine.ChainEngine, "insert"),
    "choose": (hither.chain.engine, "choose_transactions"),
    "make_chunk": (hither.chain.engine, "make_chunk"),
    "make_block": (hither.chain.engine, "make_block"),
    "apply": (hither.chain.engine.ChainEngine, "_apply_shards"),
    "finish": (hither.chain.application, "finish_block"),
    "append": (hither.chain.storage.ChainStorage, "append"),
    "sync": (hither.chain.storage.ChainStorage, "sync"),
    "tell": (hither.node.control.NodeControl, "handle_publication"),
}


class Stages:
    """While it is entered, adds up how long each stage takes: on the clock, so waiting for the lock included."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()
        self._originals: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> "Stages":
        for stage, (owner, name) in TIMED.items():
            original = getattr(owner, name)
            self._originals.append((owner, name, original))
            setattr(owner, name, self._wrap(stage, original))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for owner, name, original in self._originals:
            setattr(owner, name, original)

    def _wrap(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self._seconds[stage] += time.perf_counter() - started

        return timed

    def list_us(self, count: int) -> dict[str, float]:
        """Microseconds of each stage for each of so many transfers."""
        return {stage: round(self._seconds[stage] * 1e6 / max(1, count), 1) for stage in TIMED}
