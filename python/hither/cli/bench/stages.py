"""Where the time of a block goes: functions of the chain, timed from outside, a few calls a block."""

import time
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
    """While it is entered, adds up the processor time of each stage in its thread.

    Signatures are checked by other threads and a sync waits for the disk: of those two, time on the clock.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = dict.fromkeys(TIMED, 0.0)
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
        clock = time.perf_counter if stage in ("check_signatures", "sync") else time.thread_time

        def timed(*arguments: Any, **options: Any) -> Any:
            started = clock()
            try:
                return function(*arguments, **options)
            finally:
                self._seconds[stage] += clock() - started

        return timed

    def list_us(self, count: int) -> dict[str, float]:
        """Microseconds of each stage for each of so many transfers."""
        return {stage: round(self._seconds[stage] * 1e6 / max(1, count), 1) for stage in TIMED}
