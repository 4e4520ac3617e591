"""What executing actions has come to so far: gas, new receipts, logs, and value or error."""

from typing import Any

from hither.primitives.outcome import ProfileEntry
from hither.primitives.receipt import Receipt
from hither.primitives.sharding import ValidatorStake
from hither.primitives.types import Gas
from hither.runtime.fees import BALANCE_MAX, IntegerOverflow

ErrorKind = dict[str, Any] | str
"""NEAR's ``ActionErrorKind`` as JSON: its name alone, or its name and fields."""


class ActionResult:
    """The result of one action, and, merged, of a receipt.

    ``value`` is what the receipt returns: bytes, the index in ``new_receipts`` of
    the receipt whose result it is, or None. It means nothing when there is an
    ``error``. A failure keeps gas and logs and drops everything else.
    """

    __slots__ = (
        "compute_usage",
        "error",
        "error_index",
        "gas_burnt",
        "gas_burnt_for_function_call",
        "gas_used",
        "logs",
        "new_receipts",
        "profile",
        "subsidized_amount",
        "tokens_burnt",
        "validator_proposals",
        "value",
    )

    def __init__(self, gas: int, compute: int) -> None:
        self.gas_burnt = gas
        self.gas_used = gas
        self.compute_usage = compute
        self.gas_burnt_for_function_call = 0
        self.value: bytes | int | None = None
        self.error: ErrorKind | None = None
        self.error_index: int | None = None
        self.logs: list[str] = []
        self.new_receipts: list[Receipt] = []
        self.validator_proposals: list[ValidatorStake] = []
        self.profile: list[tuple[str, str, int]] = []
        self.tokens_burnt = 0
        self.subsidized_amount = 0

    def add_fee(self, gas: int) -> None:
        """Count a fee that takes as much compute as gas."""
        self.gas_burnt += gas
        self.gas_used += gas
        self.compute_usage += gas

    def merge(self, following: "ActionResult") -> None:
        """Add the result of the next action of the same receipt."""
        assert following.gas_burnt_for_function_call <= following.gas_burnt <= following.gas_used
        self.gas_burnt += following.gas_burnt
        self.gas_burnt_for_function_call += following.gas_burnt_for_function_call
        self.gas_used += following.gas_used
        self.compute_usage += following.compute_usage
        self.add_profile(following.profile)
        self.logs += following.logs
        if following.error is not None:
            self.set_error(following.error)
            return
        self.value = following.value
        if isinstance(self.value, int):
            self.value += len(self.new_receipts)
        self.new_receipts += following.new_receipts
        self.validator_proposals += following.validator_proposals
        self.burn_tokens(following.tokens_burnt)
        self.subsidized_amount += following.subsidized_amount

    def set_error(self, error: ErrorKind) -> None:
        """Fail: nothing that was made so far happens."""
        self.error = error
        self.new_receipts.clear()
        self.validator_proposals.clear()
        self.tokens_burnt = 0
        self.subsidized_amount = 0

    def burn_tokens(self, amount: int) -> None:
        """Count money that leaves the supply."""
        self.tokens_burnt += amount
        if self.tokens_burnt > BALANCE_MAX:
            raise IntegerOverflow("tokens burnt")

    def add_profile(self, entries: list[tuple[str, str, int]]) -> None:
        """Add gas by category and cost. Entries come, and stay, in the order of outcomes: by category, then by name."""
        if not self.profile:
            self.profile = entries
        elif entries:
            sums = {(category, cost): gas for category, cost, gas in self.profile}
            for category, cost, gas in entries:
                sums[category, cost] = sums.get((category, cost), 0) + gas
            self.profile = [(category, cost, gas) for (category, cost), gas in sorted(sums.items())]

    def make_profile(self) -> tuple[ProfileEntry, ...]:
        """The profile as outcomes list it."""
        return tuple([ProfileEntry(category, cost, Gas(gas)) for category, cost, gas in self.profile])
