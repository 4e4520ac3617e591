"""Gas that tests write down: a test fails when something has become dearer than it was.

The file is JSON, sorted, one line a name, and belongs beside the tests in version control.
"""

import fcntl
import json
from pathlib import Path
from typing import Final

from hither.client import TransactionResult

UPDATE_HINT: Final = "if that is meant, run pytest with --hither-gas-update"


class GasBook:
    """What each name cost when it was written down. ``tolerance`` is the growth that passes, in parts of the whole."""

    def __init__(self, path: Path, *, is_update: bool, tolerance: float) -> None:
        self.path = path
        self._is_update = is_update
        self._tolerance = tolerance
        self._known: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        self._seen: dict[str, int] = {}

    def check(self, name: str, gas: int | TransactionResult) -> None:
        """Compare with what is written; a name that is new is written. Raises AssertionError for growth."""
        burnt = gas if isinstance(gas, int) else gas.gas_burnt
        before = self._known.get(name)
        if before is None or self._is_update:
            self._seen[name] = burnt
            return
        allowed = int(before * (1 + self._tolerance))
        if burnt > allowed:
            growth = 100 * (burnt - before) / before
            raise AssertionError(
                f"{name} burns {burnt / 1e12:.3f} Tgas, {growth:.1f} % more than the {before / 1e12:.3f} Tgas in "
                f"{self.path}; {UPDATE_HINT}"
            )

    def save(self) -> None:
        """Add what is new to the file, beside what other processes have added."""
        if not self._seen:
            return
        with self.path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            text = file.read()
            merged = (json.loads(text) if text else {}) | self._seen
            file.seek(0)
            file.truncate()
            file.write(json.dumps(merged, indent=2, sort_keys=True) + "\n")
