"""Which coins pay for a transfer, and what it costs. Pure, and the same answer for the same coins in any order.

A set of coins that pays exactly, so that no change is made, is looked for first (branch and bound, as in Bitcoin Core);
else few large coins pay, and the rest comes back. ``Strategy`` asks for something else.

Fees are whole satoshis for so many virtual bytes, rounded up as Bitcoin Core rounds; rates are satoshis for 1,000
virtual bytes. Change that would not be relayed (dust), or is not worth its own cost, goes to the fee.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from functools import cache
from typing import Final

from btclib.fee import FeeRate, dust_threshold, fee_from_vsize

from hither.foreign.bitcoin_addresses import BITCOIN_TERMS, Terms
from hither.foreign.bitcoin_transactions import SATOSHIS_MAX, SEQUENCE_REPLACEABLE, Coin, Draft, Output
from hither.foreign.errors import InsufficientFunds, InvalidAmount

RATE_MIN: Final = BITCOIN_TERMS.rate_min
"""What every node relays."""
RATE_MAX: Final = BITCOIN_TERMS.rate_max
"""Bitcoin Core refuses to send what costs more (0.1 BTC for 1,000 virtual bytes)."""
INPUTS_MAX: Final = 1_400
"""More would exceed the 100,000 virtual bytes that are relayed."""

_EXACT_TRIES_MAX: Final = 10_000
_INPUT_WEIGHT: Final = 4 * 41 + 108
"""Outpoint, empty script, sequence; two witness items: 72 bytes of signature at most, 33 of key, three lengths."""
_LEGACY_INPUT_WEIGHT: Final = 4 * (41 + 107)
"""The same in the script: the two items with a byte of length each."""
_FRAME_WEIGHT: Final = 4 * 8 + 2
"""Version, lock time, and the two bytes that announce witnesses."""


def compute_size(inputs: int, outputs: Sequence[Output], terms: Terms = BITCOIN_TERMS) -> int:
    """Virtual bytes of a transaction with so many inputs of one key, signatures at their largest."""
    weight = (4 * 8 if terms.is_legacy else _FRAME_WEIGHT) + 4 * (
        _size_of_count(inputs) + _size_of_count(len(outputs))
    )
    weight += inputs * get_input_weight(terms)
    weight += 4 * sum(8 + _size_of_count(len(output.script)) + len(output.script) for output in outputs)
    return -(-weight // 4)


def get_input_weight(terms: Terms) -> int:
    """Of one input."""
    return _LEGACY_INPUT_WEIGHT if terms.is_legacy else _INPUT_WEIGHT


def compute_dust(script: bytes, terms: Terms) -> int:
    """The least that may be paid to a script; nothing for one that only carries data."""
    if script[:1] == b"\x6a":
        return 0
    by_cost = dust_threshold(script, FeeRate(sats_per_kvbyte=terms.dust_rate)) if terms.dust_rate else 0
    return max(by_cost, terms.dust_least)


def compute_fee(size: int, rate: int) -> int:
    """What so many virtual bytes cost."""
    return fee_from_vsize(size, FeeRate(sats_per_kvbyte=rate))


def validate_outputs(outputs: Sequence[Output], terms: Terms = BITCOIN_TERMS) -> None:
    """Raises ``InvalidAmount`` for dust and for more than there is."""
    for output in outputs:
        least = compute_dust(output.script, terms)
        if not 0 <= output.amount <= SATOSHIS_MAX:
            raise InvalidAmount(f"{output.amount} satoshis cannot be sent")
        if output.amount < least:
            raise InvalidAmount(
                f"{output.amount} satoshis are dust, which no node passes on",
                hint=f"send at least {least} satoshis to this kind of address",
            )


class Strategy(Enum):
    """Which coins are preferred."""

    EXACT = "exact"
    """A set without change if there is one, else the fewest."""
    FEWEST = "fewest"
    """The largest first: the smallest fee now."""
    TIDY = "tidy"
    """The smallest first, as many as it takes: clears up small coins while fees are low."""


def select_coins(
    coins: Sequence[Coin],
    outputs: Sequence[Output],
    change_script: bytes,
    rate: int,
    strategy: Strategy = Strategy.EXACT,
    terms: Terms = BITCOIN_TERMS,
) -> Draft:
    """Pay the outputs. Raises ``InsufficientFunds``, ``InvalidAmount``. Change comes last."""
    validate_rate(rate, terms)
    validate_outputs(outputs, terms)
    least = compute_fee(get_input_weight(terms) // 4, rate)
    # What costs more than it brings stays where it is.
    worth = [coin for coin in sorted(coins, key=_rank) if coin.amount > least]
    if strategy is Strategy.EXACT:
        exact = _find_exact(worth, outputs, change_script, rate, terms)
        if exact is not None:
            return exact
    if strategy is Strategy.TIDY:
        tidy = _take_in_order(worth[::-1], outputs, rate, terms)
        if tidy is not None:
            return _add_change(tidy, change_script, rate, terms)
    draft = _take_in_order(worth, outputs, rate, terms)
    if draft is not None:
        return _add_change(draft, change_script, rate, terms)
    usable = worth[:INPUTS_MAX]
    total = sum(coin.amount for coin in usable)
    wanted = sum(output.amount for output in outputs)
    needed = wanted + compute_fee(compute_size(max(len(usable), 1), outputs, terms), rate)
    raise InsufficientFunds(
        "confirmed coins that no other transaction takes are counted",
        balance=total,
        needed=needed,
    )


def validate_rate(rate: int, terms: Terms = BITCOIN_TERMS) -> None:
    """Raises ``InvalidAmount`` for what nodes do not relay and for what must be a mistake."""
    if not terms.rate_min <= rate <= terms.rate_max:
        raise InvalidAmount(f"a fee of {rate} satoshis for 1,000 virtual bytes is out of reason")


def _take_in_order(coins: Sequence[Coin], outputs: Sequence[Output], rate: int, terms: Terms) -> Draft | None:
    """The first coins that are enough; none when all of them are not."""
    wanted = sum(output.amount for output in outputs)
    total = 0
    for count, coin in enumerate(coins[:INPUTS_MAX], 1):
        total += coin.amount
        if total >= wanted + compute_fee(compute_size(count, outputs, terms), rate):
            return Draft(tuple(coins[:count]), tuple(outputs))
    return None


def _find_exact(
    coins: Sequence[Coin], outputs: Sequence[Output], change_script: bytes, rate: int, terms: Terms
) -> Draft | None:
    """A set that leaves less than change would cost, now and when it is spent; the one that leaves least.

    Depth first, the larger coins taken first; a branch ends when it is over the range or can no longer reach it.
    """
    change = Output(0, change_script)
    waste_max = compute_fee(
        compute_size(1, [*outputs, change], terms) - compute_size(1, outputs, terms), rate
    )
    waste_max += compute_fee(-(-get_input_weight(terms) // 4), rate)
    wanted = sum(output.amount for output in outputs)

    @cache
    def compute_cost(count: int) -> int:
        return wanted + compute_fee(compute_size(count, outputs, terms), rate)

    rest = [0] * (len(coins) + 1)  # What all coins from an index on bring.
    for index in range(len(coins) - 1, -1, -1):
        rest[index] = rest[index + 1] + coins[index].amount
    best: tuple[int, tuple[int, ...]] | None = None
    stack: list[tuple[int, tuple[int, ...], int]] = [(0, (), 0)]
    for _ in range(_EXACT_TRIES_MAX):
        if not stack:
            break
        index, chosen, total = stack.pop()
        waste = total - compute_cost(len(chosen)) if chosen else -1
        if 0 <= waste <= waste_max and (best is None or waste < best[0]):
            best = waste, chosen
        # More coins only leave more, and none that follow are enough.
        if waste >= 0 or index == len(coins) or total + rest[index] < wanted or len(chosen) == INPUTS_MAX:
            continue
        following = index + 1
        # Of equal coins, leaving one out and taking the next is the same set once more.
        while following < len(coins) and coins[following].amount == coins[index].amount:
            following += 1
        stack.append((following, chosen, total))
        stack.append((index + 1, (*chosen, index), total + coins[index].amount))
    if best is None:
        return None
    return Draft(tuple(coins[index] for index in best[1]), tuple(outputs))


def replace_draft(
    draft: Draft,
    change_script: bytes,
    rate: int,
    more_coins: Sequence[Coin] = (),
    terms: Terms = BITCOIN_TERMS,
) -> Draft:
    """The same payments from the same coins for a higher fee, which comes out of the change, then of more coins.

    Raises ``InvalidAmount`` when nodes would not take it in place of the first, ``InsufficientFunds`` when change and
    coins do not cover it.
    """
    if draft.sequence > SEQUENCE_REPLACEABLE:
        raise InvalidAmount("the transaction does not say that it may be replaced")
    validate_rate(rate, terms)
    has_change = len(draft.outputs) > 1 and draft.outputs[-1].script == change_script
    payments = draft.outputs[:-1] if has_change else draft.outputs
    wanted = sum(output.amount for output in payments)
    coins = list(draft.coins)
    waiting = [coin for coin in sorted(more_coins, key=_rank) if coin not in draft.coins]
    while True:
        total = sum(coin.amount for coin in coins)
        needed = wanted + compute_fee(compute_size(len(coins), payments, terms), rate)
        if total >= needed:
            break
        if not waiting:
            raise InsufficientFunds("the change does not cover the higher fee", balance=total, needed=needed)
        coins.append(waiting.pop(0))
    second = _add_change(replace(draft, coins=tuple(coins), outputs=payments), change_script, rate, terms)
    # BIP-125: more than before, by at least the price of relaying the replacement itself.
    size = compute_size(len(coins), second.outputs, terms)
    least = draft.fee + compute_fee(size, terms.rate_min)
    if second.fee < least:
        raise InvalidAmount(
            f"{rate} satoshis for 1,000 virtual bytes do not replace a fee of {draft.fee}",
            hint=f"pay at least {-(-least * 1_000 // size)}",
        )
    return second


def make_child(
    coin: Coin,
    family_fee: int,
    family_size: int,
    script: bytes,
    rate: int,
    terms: Terms = BITCOIN_TERMS,
) -> Draft:
    """Spend an unconfirmed coin for a fee that brings it and what it waits for to a rate (child pays for parent).

    Raises ``InvalidAmount`` when those pay that rate already, ``InsufficientFunds`` when the coin is too small.
    """
    validate_rate(rate, terms)
    size = compute_size(1, [Output(0, script)], terms)
    fee = compute_fee(family_size + size, rate) - family_fee
    if family_fee >= compute_fee(family_size, rate):
        raise InvalidAmount(
            f"what the coin waits for pays {family_fee * 1_000 // family_size} satoshis for 1,000 virtual bytes already"
        )
    least = compute_dust(script, terms)
    if coin.amount < fee + least:
        raise InsufficientFunds(
            "the coin does not cover the fee of its parents", balance=coin.amount, needed=fee + least
        )
    return Draft((coin,), (Output(coin.amount - fee, script),))


def _add_change(draft: Draft, change_script: bytes, rate: int, terms: Terms) -> Draft:
    with_change = (*draft.outputs, Output(0, change_script))
    rest = draft.fee - compute_fee(compute_size(len(draft.coins), with_change, terms), rate)
    if rest < compute_dust(change_script, terms):
        return draft
    return replace(draft, outputs=(*draft.outputs, Output(rest, change_script)))


def _rank(coin: Coin) -> tuple[int, str, int]:
    return (-coin.amount, coin.transaction_id, coin.index)


def _size_of_count(count: int) -> int:
    return 1 if count < 0xFD else 3 if count <= 0xFFFF else 5
