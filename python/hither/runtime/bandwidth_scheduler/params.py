"""Figures of the bandwidth scheduler, and the requests that a shard makes of it.

Sizes are bytes of receipts on one link at one height (NEAR's ``BandwidthSchedulerParams``,
``BandwidthRequest``).
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from hither.params import RuntimeConfig
from hither.primitives.sharding import BandwidthRequest
from hither.primitives.types import ShardId

REQUEST_VALUES_COUNT: Final = 40


class BandwidthParams(msgspec.Struct, frozen=True):
    """Limits for one number of shards.

    ``base_bandwidth`` is granted on every allowed link without a request;
    ``max_single_grant`` is the largest value that can be requested.
    """

    base_bandwidth: int
    max_shard_bandwidth: int
    max_single_grant: int
    max_receipt_size: int
    max_allowance: int


def compute_bandwidth_params(config: RuntimeConfig, shard_count: int) -> BandwidthParams:
    """The limits at this configuration.

    One largest grant and the base on all other links must fit into what a
    shard may send: that fixes the base.
    """
    scheduler = config.bandwidth_scheduler
    max_receipt_size = config.wasm.limits.max_receipt_size
    assert max_receipt_size <= scheduler.max_single_grant <= scheduler.max_shard_bandwidth
    spare = scheduler.max_shard_bandwidth - scheduler.max_single_grant
    return BandwidthParams(
        base_bandwidth=min(spare // max(1, shard_count - 1), scheduler.max_base_bandwidth),
        max_shard_bandwidth=scheduler.max_shard_bandwidth,
        max_single_grant=scheduler.max_single_grant,
        max_receipt_size=max_receipt_size,
        max_allowance=scheduler.max_allowance,
    )


@lru_cache(maxsize=64)
def compute_request_values(params: BandwidthParams) -> tuple[int, ...]:
    """What each bit of a request stands for: even steps from the base to the largest grant."""
    base, span = params.base_bandwidth, params.max_single_grant - params.base_bandwidth
    return tuple(base + span * step // REQUEST_VALUES_COUNT for step in range(1, REQUEST_VALUES_COUNT + 1))


def make_bandwidth_request(
    to_shard: ShardId, sizes_bytes: Iterable[int], params: BandwidthParams
) -> BandwidthRequest | None:
    """Ask for what would let the first, the first two, … of the waiting receipt groups through.

    None when the base is enough, or when there is nothing to send.
    """
    values = compute_request_values(params)
    bitmap, value_index, total_bytes = 0, 0, 0
    for size_bytes in sizes_bytes:
        total_bytes += size_bytes
        if total_bytes <= params.base_bandwidth:
            continue
        while value_index < len(values) and values[value_index] < total_bytes:
            value_index += 1
        if value_index == len(values):
            break
        bitmap |= 1 << value_index
    if bitmap == 0:
        return None
    return BandwidthRequest(to_shard=to_shard, bitmap=bitmap.to_bytes(REQUEST_VALUES_COUNT // 8, "little"))


def get_requested_values(request: BandwidthRequest, params: BandwidthParams) -> list[int]:
    """The values whose bits are set, in rising order."""
    bitmap = int.from_bytes(request.bitmap, "little")
    return [value for index, value in enumerate(compute_request_values(params)) if bitmap >> index & 1]
