"""Amounts of NEAR and gas with their units.

Inside the program an amount is an integer of yoctonear (1e-24 N) and gas is an
integer. Text from people carries a unit: ``1.5 N``, ``30 Tgas``. A bare number
is refused with advice, because nobody can tell which unit was meant.
"""

import re
from typing import Final

YOCTONEAR_PER_NEAR: Final = 10**24
GAS_PER_TERAGAS: Final = 10**12

_AMOUNT_EXPONENTS: Final = {
    "N": 24,
    "NEAR": 24,
    "MILLINEAR": 21,
    "MN": 21,
    "YOCTO": 0,
    "YOCTONEAR": 0,
    "YN": 0,
}
_GAS_EXPONENTS: Final = {"GAS": 0, "GGAS": 9, "TGAS": 12, "PGAS": 15}
_QUANTITY: Final = re.compile(r"\s*([0-9][0-9_,]*)(?:\.([0-9]+))?\s*([A-Za-z]*)\s*")


class InvalidAmount(ValueError):
    """The text is not an amount with a unit."""


def _parse_quantity(text: str, exponents: dict[str, int], advice: str) -> int:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise InvalidAmount(f"{text!r} is not an amount; write {advice}")
    whole, fraction, unit = match[1].replace("_", "").replace(",", ""), match[2] or "", match[3]
    if not unit:
        raise InvalidAmount(f"{text!r} has no unit; write {advice}")
    exponent = exponents.get(unit.upper())
    if exponent is None:
        raise InvalidAmount(f"{unit!r} is not a unit; write {advice}")
    if len(fraction.rstrip("0")) > exponent:
        raise InvalidAmount(f"{text!r} has more than {exponent} decimals")
    return int(whole + fraction[:exponent].ljust(exponent, "0"))


def parse_near(text: str) -> int:
    """``1.5 N`` to yoctonear."""
    amount = _parse_quantity(text, _AMOUNT_EXPONENTS, "for example '1.5 N' or '1 yoctonear'")
    if amount >> 128:
        raise InvalidAmount(f"{text!r} is more than an account can hold")
    return amount


def parse_gas(text: str) -> int:
    """``30 Tgas`` to gas."""
    gas = _parse_quantity(text, _GAS_EXPONENTS, "for example '30 Tgas'")
    if gas >> 64:
        raise InvalidAmount(f"{text!r} is more than gas can count")
    return gas


def _format_decimal(value: int, exponent: int) -> str:
    whole, fraction = divmod(value, 10**exponent)
    digits = str(fraction).rjust(exponent, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def format_near(yoctonear: int) -> str:
    """Exact, in N: ``1.5 N``."""
    return f"{_format_decimal(yoctonear, 24)} N"


def format_gas(gas: int) -> str:
    """Exact, in Tgas: ``0.223182562500 Tgas`` without trailing zeros."""
    return f"{_format_decimal(gas, 12)} Tgas"
