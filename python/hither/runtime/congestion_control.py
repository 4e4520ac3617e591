"""Congestion control: how full a shard is, and what that lets others send to it.

A shard that is full slows its senders down: each link has a gas limit that
falls with the receiver's congestion, and new transactions to it are refused.
The mix of limits is a 64-bit float with Rust's rounding, as in NEAR (NEP-539;
``CongestionControl``). Pure functions; ``receipt_sink`` acts on them.
"""

import msgspec

from hither.params import CongestionControl
from hither.primitives.sharding import CongestionInfo, ExtendedCongestionInfo
from hither.primitives.types import Gas, ShardId


def _compute_fraction(value: int, maximum: int) -> float:
    assert maximum > 0
    return 1.0 if maximum <= value else float(value) / float(maximum)


def _mix_gas(left: int, right: int, ratio: float) -> Gas:
    """Linear mix in floats, rounded half away from zero."""
    total = float(left) * (1.0 - ratio) + float(right) * ratio
    whole = int(total)
    return Gas(whole + 1 if total - float(whole) >= 0.5 else whole)


def compute_incoming_congestion(config: CongestionControl, info: CongestionInfo) -> float:
    """How full the queue of delayed receipts is, by gas: 0 to 1."""
    return _compute_fraction(info.delayed_receipts_gas, config.max_congestion_incoming_gas)


def _list_levels(config: CongestionControl, extended: ExtendedCongestionInfo) -> tuple[float, ...]:
    """Missed chunks, incoming, outgoing, memory: each 0 to 1. One missed chunk does not count."""
    info, missed = extended.info, extended.missed_chunks_count
    return (
        _compute_fraction(missed, config.max_congestion_missed_chunks) if missed > 1 else 0.0,
        compute_incoming_congestion(config, info),
        _compute_fraction(info.buffered_receipts_gas, config.max_congestion_outgoing_gas),
        _compute_fraction(info.receipt_bytes, config.max_congestion_memory_consumption),
    )


def compute_congestion_level(config: CongestionControl, extended: ExtendedCongestionInfo) -> float:
    """The worst of the four measures; exactly 1.0 means full."""
    return max(_list_levels(config, extended))


def compute_outgoing_gas_limit(
    config: CongestionControl, receiver: ExtendedCongestionInfo, sender: ShardId
) -> Gas:
    """How much gas ``sender`` may send to the receiver in the next block."""
    level = compute_congestion_level(config, receiver)
    if level == 1.0:
        is_allowed = sender == receiver.info.allowed_shard
        return Gas(config.allowed_shard_outgoing_gas if is_allowed else 0)
    return _mix_gas(config.max_outgoing_gas, config.min_outgoing_gas, level)


def compute_transaction_gas_limit(config: CongestionControl, own: CongestionInfo) -> Gas:
    """How much gas of new transactions a chunk of this shard may take."""
    return _mix_gas(config.max_tx_gas, config.min_tx_gas, compute_incoming_congestion(config, own))


class TransactionRefusal(msgspec.Struct, frozen=True):
    """Why a shard takes no new transactions.

    ``reason`` is one of missed_chunks, incoming, outgoing, memory; ``level`` the
    congestion level, ``missed_chunks_count`` what it rests on in the first case.
    """

    reason: str
    level: float
    missed_chunks_count: int


def get_transaction_refusal_optional(
    config: CongestionControl, receiver: ExtendedCongestionInfo
) -> TransactionRefusal | None:
    """None when the receiver's shard accepts transactions; else the first measure that is at the level."""
    levels = _list_levels(config, receiver)
    level = max(levels)
    if level < config.reject_tx_congestion_threshold:
        return None
    reason = ("missed_chunks", "incoming", "outgoing", "memory")[levels.index(level)]
    return TransactionRefusal(reason, level, receiver.missed_chunks_count)
