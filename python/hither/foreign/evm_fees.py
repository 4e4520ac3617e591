"""Prices of gas on EVM chains, and how a transaction's price is raised."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from hither.foreign.errors import EndpointError
from hither.foreign.evm_rpc import read_list, read_object, read_quantity
from hither.foreign.transport import Rpc

BASE_PRICE_FACTOR: Final = 2
"""How much the block's own price may rise while a transaction waits: it doubles in six full blocks."""

BUMP_PERCENT_MIN: Final = 10
"""What nodes ask of a replacement, for both prices (geth's rule, which others follow)."""

HISTORY_BLOCKS: Final = 10


class Speed(Enum):
    """How much is paid beyond the block's own price; the value is a percentile of what others paid."""

    SLOW = 10
    NORMAL = 50
    FAST = 90


@dataclass(frozen=True, slots=True)
class Prices:
    """Wei per unit of gas. ``priority_fee_max`` is none on chains without a base price."""

    gas_price_max: int
    priority_fee_max: int | None

    def raise_by(self, percent: int) -> "Prices":
        """Both, rounded up."""
        tip = self.priority_fee_max
        return Prices(_raise(self.gas_price_max, percent), None if tip is None else _raise(tip, percent))

    def max_with(self, other: "Prices") -> "Prices":
        """The higher of each."""
        price = max(self.gas_price_max, other.gas_price_max)
        if self.priority_fee_max is None:
            return Prices(price, None)
        return Prices(price, min(price, max(self.priority_fee_max, other.priority_fee_max or 0)))


def _raise(price: int, percent: int) -> int:
    return max(-(-price * (100 + percent) // 100), price + 1)


async def fetch_prices(rpc: Rpc, speed: Speed = Speed.NORMAL) -> Prices:
    """Good for several full blocks."""
    block = read_object(await rpc.call("eth_getBlockByNumber", ["latest", False]))
    if block.get("baseFeePerGas") is None:
        return Prices(read_quantity(await rpc.call("eth_gasPrice")), None)
    tip = read_quantity(await rpc.call("eth_maxPriorityFeePerGas"))
    if speed is not Speed.NORMAL:
        paid = await _fetch_paid_tip(rpc, speed)
        if paid is not None:
            tip = max(tip, paid) if speed is Speed.FAST else min(tip, max(paid, 1))
    return Prices(BASE_PRICE_FACTOR * read_quantity(block["baseFeePerGas"]) + tip, tip)


async def _fetch_paid_tip(rpc: Rpc, speed: Speed) -> int | None:
    """The median, over the newest blocks with transactions, of what that percentile of them paid."""
    try:
        params = [hex(HISTORY_BLOCKS), "latest", [float(speed.value)]]
        history = read_object(await rpc.call("eth_feeHistory", params))
    except EndpointError:
        return None  # Not every endpoint keeps it.
    used = read_list(history.get("gasUsedRatio") or [])
    rewards = map(read_list, read_list(history.get("reward") or []))
    paid = sorted(read_quantity(row[0]) for row, ratio in zip(rewards, used, strict=False) if ratio and row)
    return paid[len(paid) // 2] if paid else None
