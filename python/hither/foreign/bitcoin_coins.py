"""Which coins pay for a transfer, and what it costs. Pure, and the same answer for the same coins in any order.

Fees are whole satoshis for so many virtual bytes, rounded up as Bitcoin Core rounds; rates are satoshis for 1,000
virtual bytes. Change that would not be relayed (dust), or is not worth its own cost, goes to the fee.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from btclib.fee import FeeRate, dust_threshold, fee_from_vsize

from hither.foreign.bitcoin_transactions import SATOSHIS_MAX, SEQUENCE_REPLACEABLE, Coin, Draft, Output
from hither.foreign.errors import InsufficientFunds, InvalidAmount

RATE_MIN: Final = 1_000
"""What every node relays."""
RATE_MAX: Final = 10_000_000
"""Bitcoin Core refuses to send what costs more (0.1 BTC for 1,000 virtual bytes)."""
INPUTS_MAX: Final = 1_400
"""More would exceed the 100,000 virtual bytes that are relayed."""

_INPUT_WEIGHT: Final = 4 * 41 + 108
"""Outpoint, empty script, sequence; two witness items: 72 bytes of signature at most, 33 of key, three lengths."""
_FRAME_WEIGHT: Final = 4 * 8 + 2
"""Version, lock time, and the two bytes that announce witnesses."""


def compute_size(inputs: int, outputs: Sequence[Output]) -> int:
    """Virtual bytes of a transaction with so many P2WPKH inputs, signatures at their largest."""
    weight = _FRAME_WEIGHT + 4 * (_size_of_count(inputs) + _size_of_count(len(outputs)))
    weight += inputs * _INPUT_WEIGHT
    weight += 4 * sum(8 + _size_of_count(len(output.script)) + len(output.script) for output in outputs)
    return -(-weight // 4)


def compute_fee(size: int, rate: int) -> int:
    """What so many virtual bytes cost."""
    return fee_from_vsize(size, FeeRate(sats_per_kvbyte=rate))


def validate_outputs(outputs: Sequence[Output]) -> None:
    """Raises ``InvalidAmount`` for dust and for more than there is."""
    for output in outputs:
        least = dust_threshold(output.script)
        if not 0 <= output.amount <= SATOSHIS_MAX:
            raise InvalidAmount(f"{output.amount} satoshis cannot be sent")
        if output.amount < least:
            raise InvalidAmount(
                f"{output.amount} satoshis are dust, which no node passes on",
                hint=f"send at least {least} satoshis to this kind of address",
            )


def select_coins(coins: Sequence[Coin], outputs: Sequence[Output], change_script: bytes, rate: int) -> Draft:
    """Pay the outputs with as few coins as can be: the largest first. Raises ``InsufficientFunds``, ``InvalidAmount``.

    Change comes last.
    """
    if not RATE_MIN <= rate <= RATE_MAX:
        raise InvalidAmount(f"a fee of {rate} satoshis for 1,000 virtual bytes is out of reason")
    validate_outputs(outputs)
    wanted = sum(output.amount for output in outputs)
    chosen: list[Coin] = []
    total = 0
    for coin in sorted(coins, key=_rank)[:INPUTS_MAX]:
        if chosen and coin.amount <= compute_fee(_INPUT_WEIGHT // 4, rate):
            break  # It and all that follow cost more than they bring.
        chosen.append(coin)
        total += coin.amount
        if total >= wanted + compute_fee(compute_size(len(chosen), outputs), rate):
            return _add_change(Draft(tuple(chosen), tuple(outputs)), change_script, rate)
    needed = wanted + compute_fee(compute_size(max(len(chosen), 1), outputs), rate)
    raise InsufficientFunds(
        f"{total} satoshis can be spent; {needed} are needed, fee included", balance=total, needed=needed
    )


def replace_draft(draft: Draft, change_script: bytes, rate: int) -> Draft:
    """The same payments from the same coins for a higher fee, which comes out of the change.

    Raises ``InvalidAmount`` when nodes would not take it in place of the first, ``InsufficientFunds`` when the change
    does not cover it.
    """
    if draft.sequence > SEQUENCE_REPLACEABLE:
        raise InvalidAmount("the transaction does not say that it may be replaced")
    has_change = len(draft.outputs) > 1 and draft.outputs[-1].script == change_script
    payments = draft.outputs[:-1] if has_change else draft.outputs
    size = compute_size(len(draft.coins), draft.outputs)
    # BIP-125: more than before, by at least the price of relaying the replacement itself.
    least = draft.fee + compute_fee(size, RATE_MIN)
    if compute_fee(size, rate) < least:
        raise InvalidAmount(
            f"{rate} satoshis for 1,000 virtual bytes do not replace a fee of {draft.fee}",
            hint=f"pay at least {-(-least * 1_000 // size)}",
        )
    bare = replace(draft, outputs=payments)
    needed = sum(output.amount for output in payments) + compute_fee(
        compute_size(len(draft.coins), payments), rate
    )
    total = sum(coin.amount for coin in draft.coins)
    if total < needed:
        raise InsufficientFunds("the change does not cover the higher fee", balance=total, needed=needed)
    return _add_change(bare, change_script, rate)


def _add_change(draft: Draft, change_script: bytes, rate: int) -> Draft:
    with_change = (*draft.outputs, Output(0, change_script))
    rest = draft.fee - compute_fee(compute_size(len(draft.coins), with_change), rate)
    if rest < dust_threshold(change_script):
        return draft
    return replace(draft, outputs=(*draft.outputs, Output(rest, change_script)))


def _rank(coin: Coin) -> tuple[int, str, int]:
    return (-coin.amount, coin.transaction_id, coin.index)


def _size_of_count(count: int) -> int:
    return 1 if count < 0xFD else 3 if count <= 0xFFFF else 5
