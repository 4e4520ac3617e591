"""Amounts of a chain's coin as people write them.

``"0.5 ETH"``, ``"30 gwei"``, ``"1000 sat"``: text with a unit. A bare number is refused with advice, because nobody can
tell which unit it is in. ``Units`` marks an integer as the chain's smallest unit.
"""

import re
from typing import Final

from hither.foreign.adapter import Coin
from hither.foreign.errors import InvalidAmount


class Units(int):
    """An amount in the chain's smallest unit: wei, satoshis, lamports, yoctonear. Tokens have their own.

    ``send``, ``fund`` and the rest take it in the place of text with a unit; a bare number raises ``InvalidAmount``.
    """


Amount = str | Units

_SMALL: Final = {
    "eip155": {"wei": 0, "gwei": 9},
    "bip122": {"sat": 0, "sats": 0, "satoshi": 0, "satoshis": 0},
    "solana": {"lamport": 0, "lamports": 0},
    "near": {"yoctonear": 0, "near": 24},
}
"""Units beside the coin itself, by family: how many of the smallest one are in it, as a power of ten."""

_QUANTITY: Final = re.compile(r"\s*([0-9][0-9_]*)(?:\.([0-9]+))?\s*([A-Za-z]*)\s*")


def parse_amount(amount: Amount, family: str, coin: Coin) -> int:
    """In the smallest unit. Raises ``InvalidAmount``, with advice."""
    small = _SMALL.get(family, {})
    smallest = next((name for name, exponent in small.items() if exponent == 0), "the smallest unit")
    if isinstance(amount, Units):
        if amount < 0:
            raise InvalidAmount(f"{int(amount)} is not an amount")
        return int(amount)
    advice = f"write '0.5 {coin.symbol}' or '5 {smallest}'; in a program, Units(5) are 5 {smallest} too"
    if not isinstance(amount, str):
        raise InvalidAmount(f"{amount!r} has no unit", hint=advice)
    match = _QUANTITY.fullmatch(amount)
    if match is None:
        raise InvalidAmount(f"{amount!r} is not an amount", hint=advice)
    whole, fraction, unit = match[1].replace("_", ""), match[2] or "", match[3]
    if not unit:
        raise InvalidAmount(f"{amount!r} has no unit", hint=advice)
    exponents = {coin.symbol.lower(): coin.decimals, **small}
    exponent = exponents.get(unit.lower())
    if exponent is None:
        known = ", ".join([coin.symbol, *small])
        raise InvalidAmount(f"{unit!r} is not a unit of this chain, which has {known}", hint=advice)
    if len(fraction.rstrip("0")) > exponent:
        raise InvalidAmount(f"{amount!r} has more than {exponent} decimals", hint=advice)
    return int(whole + fraction[:exponent].ljust(exponent, "0"))


def round_up(amount: int) -> int:
    """At least as much, in two digits: a price may move a little before the coins are there."""
    step: int = 10 ** max(len(str(amount)) - 2, 0)
    return -(-amount // step) * step
