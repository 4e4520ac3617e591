"""What of the recordings is compared: counted leaf by leaf while it happens, so that no table can claim more.

A leaf is a JSON value that holds no others; its path is written with ``[]`` for
any index, below the kind of its line: ``height.block.chunks[].gas_used``. Every
comparison goes through ``LineCheck``, which counts the leaves that it looks at.
Leaves that nothing looks at must be named, with a reason, in ``NOT_COMPARED``.
"""

from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tests.vectors.comparison import MISSING, Difference, compare
from tests.vectors.recording import Line

Step = str | int

INPUT = "an input by nature: taken from the recording, nothing determines it"
LABEL = "says what the line is about"
TIMED_OUT = "the recording's own time-out"
NO_BLOCK = "how the recording says that there is no block"

NOT_COMPARED: dict[str, str] = {
    "*.t": LABEL,
    "group.*": LABEL,
    "case.*": LABEL,
    "rpc.case": LABEL,
    "rpc.request*": LABEL,
    "send.case": LABEL,
    "send.tx_hash": LABEL,
    "send.wait_until": LABEL,
    "send.signed_tx_base64": INPUT,
    "send.http_status": TIMED_OUT,
    "send.body": TIMED_OUT,
    "height.height": INPUT,
    "height.missing": NO_BLOCK,
    "height.http_status": NO_BLOCK,
    "height.body": NO_BLOCK,
    "height.block.header.timestamp*": INPUT,
    "height.block.header.height": INPUT,
    "tx_status.case": LABEL,
    "tx_status.tx_hash": LABEL,
    "tx_status.sender_account_id": LABEL,
    "tx_status.wait_until": LABEL,
    "query.method": LABEL,
    "query.params*": LABEL,
}
"""Pattern of paths and why; the first that fits counts. Inputs stay inputs though our block repeats them.

Within answers, what depends on the recorded node alone stands in ``answers.ANSWERS_NOT_COMPARED``.
"""


def get_excuse_optional(path: str) -> str | None:
    """The first entry of the table that fits leaves of this path."""
    return next((pattern for pattern in NOT_COMPARED if fnmatchcase(path, pattern)), None)


def get_reason_optional(path: str) -> str | None:
    """Why leaves of this path need not be compared."""
    pattern = get_excuse_optional(path)
    return None if pattern is None else NOT_COMPARED[pattern]


def count_leaves(value: Any, path: str, counts: Counter[str]) -> None:
    """Add every leaf below the value; an empty list or object has none."""
    if isinstance(value, dict):
        for name, inner in value.items():
            count_leaves(inner, f"{path}.{name}", counts)
    elif isinstance(value, list):
        for inner in value:
            count_leaves(inner, f"{path}[]", counts)
    else:
        counts[path] += 1


@dataclass
class Coverage:
    """Lines by kind, leaves there are and leaves compared by path, of one group of one chain."""

    lines: Counter[str] = field(default_factory=Counter)
    there: Counter[str] = field(default_factory=Counter)
    compared: Counter[str] = field(default_factory=Counter)

    def list_gaps(self) -> list[str]:
        """Paths with leaves that were neither compared nor excused."""
        return [
            f"{path}: {count - self.compared[path]} of {count} not compared"
            for path, count in sorted(self.there.items())
            if self.compared[path] < count and get_reason_optional(path) is None
        ]

    def summarise(self) -> dict[str, int]:
        """Leaves by what becomes of them: compared, or the reason why not."""
        summary: Counter[str] = Counter()
        for path, count in self.there.items():
            reason = get_reason_optional(path)
            compared = 0 if reason == INPUT else self.compared[path]
            summary["compared"] += compared
            if count > compared:
                summary[reason or "neither compared nor excused"] += count - compared
        return dict(summary)


class LineCheck:
    """One recorded line against what we have."""

    def __init__(self, coverage: Coverage, line: Line, where: str, *, is_counted: bool = False) -> None:
        """``is_counted``: the line's leaves were counted by another check of it."""
        self._coverage = coverage
        self._line = line
        self.where = where
        self._claimed: set[tuple[Step, ...]] = set()
        self.differences: list[Difference] = []
        if not is_counted:
            coverage.lines[line["t"]] += 1
            count_leaves(line, line["t"], coverage.there)

    def expect(self, ours: Any, *path: Step) -> None:
        """Compare our value with the one at the path, whole."""
        recorded = self._take(path)
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
        self.differences += compare(self.where + place, ours, recorded)

    def take(self, *path: Step) -> Any:
        """The recorded value, counted as compared: the caller compares it in its own way."""
        return self._take(path)

    def add(self, differences: list[Difference]) -> None:
        """What such a caller found."""
        self.differences += differences

    def _take(self, path: tuple[Step, ...]) -> Any:
        value: Any = self._line
        name = self._line["t"]
        for step in path:
            if isinstance(step, int):
                value, name = value[step], f"{name}[]"
            elif isinstance(value, dict) and step in value:
                value, name = value[step], f"{name}.{step}"
            else:
                return MISSING
        if not any(path[:length] in self._claimed for length in range(len(path) + 1)):
            self._claimed.add(path)
            count_leaves(value, name, self._coverage.compared)
        return value
