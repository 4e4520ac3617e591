"""Which coins pay: sets without change against trying all of them, what else can be preferred, children for parents."""

import hashlib
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hither.foreign import bitcoin_coins as selection
from hither.foreign.bitcoin_coins import Strategy, compute_fee, compute_size, make_child, select_coins
from hither.foreign.bitcoin_transactions import Coin, Output
from hither.foreign.errors import InsufficientFunds, InvalidAmount
from tests.unit.foreign.test_bitcoin import ALICE_SCRIPT, BOB_SCRIPT, make_coin

PRICE = 68
"""Of one input more at the least rate, in satoshis."""


def find_least_waste(coins: list[Coin], outputs: list[Output], rate: int) -> int | None:
    """By trying every set."""
    limit = compute_fee(31, rate) + compute_fee(68, rate)
    wanted = sum(output.amount for output in outputs)
    wastes = []
    for count in range(1, len(coins) + 1):
        cost = wanted + compute_fee(compute_size(count, outputs), rate)
        for chosen in itertools.combinations(coins, count):
            waste = sum(coin.amount for coin in chosen) - cost
            if 0 <= waste <= limit:
                wastes.append(waste)
    return min(wastes, default=None)


@given(
    amounts=st.lists(st.integers(200, 3_000), min_size=1, max_size=9),
    picked=st.integers(1, 2**9 - 1),
    extra=st.integers(-50, 150),
    rate=st.sampled_from([1_000, 1_700, 5_000]),
)
def test_a_set_without_change_is_found_when_there_is_one(
    amounts: list[int], picked: int, extra: int, rate: int
) -> None:
    """The one that leaves least to the fee, as trying all of them finds it."""
    coins = [make_coin(number, amount) for number, amount in enumerate(amounts)]
    chosen = [amount for number, amount in enumerate(amounts) if picked >> number & 1]
    outputs = [Output(0, BOB_SCRIPT)]
    amount = sum(chosen) - compute_fee(compute_size(len(chosen), outputs), rate) - extra
    outputs = [Output(max(amount, 294), BOB_SCRIPT)]
    worth = [coin for coin in coins if coin.amount > compute_fee(PRICE, rate)]
    least = find_least_waste(worth, outputs, rate)
    try:
        draft = select_coins(coins, outputs, ALICE_SCRIPT, rate)
    except InsufficientFunds:
        assert least is None
        return
    if least is not None:
        assert draft.outputs == tuple(outputs)
        assert draft.fee - compute_fee(compute_size(len(draft.coins), outputs), rate) == least
    else:
        total = sum(coin.amount for coin in draft.coins)
        assert total == draft.fee + sum(output.amount for output in draft.outputs)
        assert draft.fee >= compute_fee(compute_size(len(draft.coins), draft.outputs), rate)


def test_the_search_ends() -> None:
    """Two hundred odd coins of which no set fits: it gives up, and change is made."""
    draw = random.Random(3)
    coins = [make_coin(number, 2 * draw.randrange(10_000, 10**7)) for number in range(200)]
    draft = select_coins(coins, [Output(5 * 10**8 + 1, BOB_SCRIPT)], ALICE_SCRIPT, 1_000)
    assert len(draft.outputs) == 2


def test_each_strategy_prefers_its_own() -> None:
    """From the same coins: none back, few large, many small."""
    fee = compute_fee(compute_size(2, [Output(0, BOB_SCRIPT)]), 1_000)
    amounts = (90_000, 30_000, 20_000 + fee, 5_000, 4_000)
    coins = [make_coin(number, amount) for number, amount in enumerate(amounts)]

    def choose(strategy: Strategy) -> tuple[list[int], int]:
        draft = select_coins(coins, [Output(50_000, BOB_SCRIPT)], ALICE_SCRIPT, 1_000, strategy)
        return sorted(coin.amount for coin in draft.coins), len(draft.outputs)

    assert choose(Strategy.EXACT) == ([20_000 + fee, 30_000], 1)
    assert choose(Strategy.FEWEST) == ([90_000], 2)
    assert choose(Strategy.TIDY) == ([4_000, 5_000, 20_000 + fee, 30_000], 2)


def test_a_replacement_takes_more_coins_when_the_change_is_too_small() -> None:
    """The first one's coins stay, as a replacement must conflict with it."""
    first = select_coins([make_coin(1, 101_000)], [Output(100_000, BOB_SCRIPT)], ALICE_SCRIPT, 1_000)
    assert len(first.outputs) == 2
    with pytest.raises(InsufficientFunds):
        selection.replace_draft(first, ALICE_SCRIPT, 20_000)
    second = selection.replace_draft(
        first, ALICE_SCRIPT, 20_000, [make_coin(1, 101_000), make_coin(2, 50_000)]
    )
    assert [coin.amount for coin in second.coins] == [101_000, 50_000]
    assert second.outputs[0] == first.outputs[0]
    assert second.fee == compute_fee(compute_size(2, second.outputs), 20_000)


def test_a_child_pays_for_its_parents() -> None:
    """Both together are at the rate; a parent that pays it already needs no child."""
    coin = Coin(hashlib.sha256(b"parent").hexdigest(), 0, 50_000, ALICE_SCRIPT)
    child = make_child(coin, 141, 141, ALICE_SCRIPT, 10_000)
    size = compute_size(1, child.outputs)
    assert child.fee + 141 == compute_fee(141 + size, 10_000)
    with pytest.raises(InvalidAmount, match="already"):
        make_child(coin, 1_410, 141, ALICE_SCRIPT, 10_000)
    with pytest.raises(InsufficientFunds) as caught:
        make_child(coin, 141, 141, ALICE_SCRIPT, 1_000_000)
    assert caught.value.needed == compute_fee(141 + size, 1_000_000) - 141 + 294
