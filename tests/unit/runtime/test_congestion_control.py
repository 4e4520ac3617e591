"""Congestion levels and the limits made of them."""

import msgspec
import pytest

from hither.params import CongestionControl, get_runtime_config
from hither.primitives.sharding import CongestionInfo, ExtendedCongestionInfo
from hither.primitives.types import ShardId
from hither.runtime.congestion_control import (
    compute_congestion_level,
    compute_outgoing_gas_limit,
    compute_transaction_gas_limit,
    get_transaction_refusal_optional,
)

CONFIG = get_runtime_config(88).congestion_control
PGAS = 10**15
TGAS = 10**12


def make_info(missed: int = 0, **fields: int) -> ExtendedCongestionInfo:
    return ExtendedCongestionInfo(CongestionInfo(**fields), missed)


@pytest.mark.parametrize(
    ("info", "level"),
    [
        (make_info(), 0.0),
        (make_info(delayed_receipts_gas=200 * PGAS), 0.5),
        (make_info(buffered_receipts_gas=10 * PGAS), 1.0),
        (make_info(receipt_bytes=2 * 10**9), 1.0),
        (make_info(missed=1), 0.0),
        (make_info(missed=2), 2 / 125),
        (make_info(missed=125), 1.0),
        (make_info(delayed_receipts_gas=100 * PGAS, buffered_receipts_gas=3 * PGAS), 0.3),
    ],
)
def test_level_is_the_worst_measure(info: ExtendedCongestionInfo, level: float) -> None:
    assert compute_congestion_level(CONFIG, info) == level


def test_outgoing_gas_falls_linearly() -> None:
    limits = [
        compute_outgoing_gas_limit(CONFIG, make_info(delayed_receipts_gas=gas * PGAS), ShardId(3))
        for gas in (0, 200, 400)
    ]
    assert limits == [300 * PGAS, 150 * PGAS + PGAS // 2, 0]


def test_a_full_shard_takes_a_little_from_the_allowed_one() -> None:
    full = make_info(delayed_receipts_gas=400 * PGAS, allowed_shard=3)
    assert compute_outgoing_gas_limit(CONFIG, full, ShardId(3)) == PGAS
    assert compute_outgoing_gas_limit(CONFIG, full, ShardId(2)) == 0


@pytest.mark.parametrize(("total", "rounded"), [(1, 1), (3, 2), (5, 3), (7, 4)])
def test_halves_are_rounded_away_from_zero(total: int, rounded: int) -> None:
    """Python's own rounding would take halves to the even neighbour: 2 instead of 3 for 2.5."""
    config = msgspec.structs.replace(CONFIG, max_tx_gas=total, min_tx_gas=0, max_congestion_incoming_gas=2)
    assert isinstance(config, CongestionControl)
    assert compute_transaction_gas_limit(config, CongestionInfo(delayed_receipts_gas=1)) == rounded


def test_transaction_gas_falls_with_own_delayed_receipts() -> None:
    half = CongestionInfo(delayed_receipts_gas=200 * PGAS, buffered_receipts_gas=9 * PGAS)
    assert compute_transaction_gas_limit(CONFIG, CongestionInfo()) == 500 * TGAS
    assert compute_transaction_gas_limit(CONFIG, half) == 260 * TGAS


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (make_info(delayed_receipts_gas=320 * PGAS), "incoming"),
        (make_info(buffered_receipts_gas=8 * PGAS), "outgoing"),
        (make_info(receipt_bytes=8 * 10**8), "memory"),
        (make_info(missed=100, receipt_bytes=8 * 10**8), "missed_chunks"),
    ],
)
def test_transactions_are_refused_from_the_threshold_on(info: ExtendedCongestionInfo, reason: str) -> None:
    refusal = get_transaction_refusal_optional(CONFIG, info)
    assert refusal is not None
    assert (refusal.reason, refusal.level) == (reason, 0.8)


def test_transactions_are_taken_below_the_threshold() -> None:
    assert get_transaction_refusal_optional(CONFIG, make_info(delayed_receipts_gas=320 * PGAS - TGAS)) is None
