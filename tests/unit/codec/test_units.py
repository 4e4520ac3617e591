"""Amounts with units: exact, and never a bare number."""

import pytest

from hither.codec import units


@pytest.mark.parametrize(
    ("text", "yoctonear"),
    [
        ("1 N", 10**24),
        ("1.5 NEAR", 15 * 10**23),
        ("0.000000000000000000000001N", 1),
        ("1 yoctonear", 1),
        ("250 millinear", 25 * 10**22),
        ("1_000 N", 10**27),
        ("1,000 N", 10**27),
    ],
)
def test_amounts(text: str, yoctonear: int) -> None:
    """To the last yoctonear."""
    assert units.parse_near(text) == yoctonear


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1", "has no unit"),
        ("1.5", "has no unit"),
        ("-1 N", "is not an amount"),
        ("", "is not an amount"),
        ("1 apple", "is not a unit"),
        ("1.5 yoctonear", "more than 0 decimals"),
        ("0.0000000000000000000000001 N", "more than 24 decimals"),
        ("400000000000000 N", "more than an account can hold"),
    ],
)
def test_refused_amounts(text: str, message: str) -> None:
    """With advice."""
    with pytest.raises(units.InvalidAmount, match=message):
        units.parse_near(text)


def test_gas() -> None:
    """Tera is the usual unit."""
    assert units.parse_gas("30 Tgas") == 30 * 10**12
    assert units.parse_gas("0.5 Ggas") == 5 * 10**8
    with pytest.raises(units.InvalidAmount, match="more than gas can count"):
        units.parse_gas("100000 Pgas")


def test_amounts_print_exactly() -> None:
    """Without trailing zeros."""
    assert units.format_near(15 * 10**23) == "1.5 N"
    assert units.format_near(0) == "0 N"
    assert units.format_near(1) == "0.000000000000000000000001 N"
    assert units.format_gas(223_182_562_500) == "0.2231825625 Tgas"
