"""Amounts of a chain's coin, as people write them."""

import pytest

from hither.foreign.adapter import Coin
from hither.foreign.errors import InvalidAmount
from hither.sdk.amounts import Units, parse_amount

ETHER, BITCOIN, SOL = Coin("ETH", 18), Coin("BTC", 8), Coin("SOL", 9)


@pytest.mark.parametrize(
    ("text", "family", "coin", "units"),
    [
        ("0.5 ETH", "eip155", ETHER, 5 * 10**17),
        ("30 gwei", "eip155", ETHER, 30 * 10**9),
        ("1_000 wei", "eip155", ETHER, 1000),
        ("1.50 btc", "bip122", BITCOIN, 150_000_000),
        ("546 sat", "bip122", BITCOIN, 546),
        ("0.000000001 SOL", "solana", SOL, 1),
        (Units(7), "solana", SOL, 7),
    ],
)
def test_amount_with_a_unit_is_exact(text: str | Units, family: str, coin: Coin, units: int) -> None:
    """In the smallest unit, without floats."""
    assert parse_amount(text, family, coin) == units


@pytest.mark.parametrize("bad", [5, 0.5, "5", "0.5", None, True])
def test_bare_number_is_refused_with_advice(bad: object) -> None:
    """The advice names both ways to say it."""
    with pytest.raises(InvalidAmount, match="has no unit") as caught:
        parse_amount(bad, "eip155", ETHER)  # type: ignore[arg-type]
    assert caught.value.hint == "write '0.5 ETH' or '5 wei'; in a program, Units(5) are 5 wei too"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("5 SOL", "is not a unit of this chain, which has ETH, wei, gwei"),
        ("0.5 wei", "more than 0 decimals"),
        ("-1 ETH", "is not an amount"),
        ("1e18 wei", "is not an amount"),
        ("", "is not an amount"),
        (Units(-1), "is not an amount"),
    ],
)
def test_wrong_amount_is_refused(bad: str | Units, reason: str) -> None:
    """Nothing is rounded or guessed."""
    with pytest.raises(InvalidAmount, match=reason):
        parse_amount(bad, "eip155", ETHER)
