"""Run the scheduler for a chunk: read its record, grant, write its record."""

import struct
from typing import Final

import msgspec

from hither.crypto.hashing import sha256
from hither.primitives.types import ZERO_HASH, CryptoHash, ShardId
from hither.runtime.bandwidth_scheduler.params import (
    BandwidthParams,
    compute_bandwidth_params,
    get_requested_values,
)
from hither.runtime.bandwidth_scheduler.scheduler import LinkRequest, ShardStatus, schedule_bandwidth
from hither.runtime.congestion_control import compute_congestion_level
from hither.runtime.types import ApplyContext
from hither.state import ChunkState, keys

_ALLOWANCE: Final = struct.Struct("<QQQ")


class SchedulerState(msgspec.Struct, frozen=True):
    """Allowances as (sender id, receiver id, bytes), and a hash chain over the lists of shards."""

    allowances: tuple[tuple[int, int, int], ...] = ()
    sanity_check_hash: CryptoHash = ZERO_HASH

    def encode(self) -> bytes:
        """Version 0, the list, the hash."""
        records = b"".join(_ALLOWANCE.pack(*allowance) for allowance in self.allowances)
        return struct.pack("<BI", 0, len(self.allowances)) + records + self.sanity_check_hash

    @staticmethod
    def decode(raw: bytes) -> "SchedulerState":
        """Inverse of ``encode``."""
        version, count = struct.unpack_from("<BI", raw)
        end = 5 + count * _ALLOWANCE.size
        assert (version, len(raw)) == (0, end + 32), "unknown form of the bandwidth scheduler's state"
        return SchedulerState(tuple(_ALLOWANCE.iter_unpack(raw[5:end])), CryptoHash(raw[end:]))


class BandwidthGrants(msgspec.Struct, frozen=True):
    """Bytes granted by (sender id, receiver id), and the limits they were made with."""

    granted: dict[tuple[ShardId, ShardId], int]
    params: BandwidthParams

    def get_granted_bytes(self, sender: ShardId, receiver: ShardId) -> int:
        """What the link may carry at this height."""
        return self.granted.get((sender, receiver), 0)


def _list_statuses(context: ApplyContext, indexes: dict[ShardId, int]) -> list[ShardStatus | None]:
    """In the order of the layout; None for a shard without congestion info."""
    statuses: list[ShardStatus | None] = [None] * len(indexes)
    for shard_id, extended in context.congestion.items():
        if shard_id in indexes:
            statuses[indexes[shard_id]] = ShardStatus(
                is_last_chunk_missing=extended.missed_chunks_count > 0,
                is_fully_congested=compute_congestion_level(context.config.congestion_control, extended)
                == 1.0,
                allowed_sender=indexes.get(ShardId(extended.info.allowed_shard)),
            )
    return statuses


def _list_requests(
    context: ApplyContext, indexes: dict[ShardId, int], params: BandwidthParams
) -> list[LinkRequest]:
    """Requests between shards of the layout, by sender id, as increases over the base."""
    requests = []
    for sender in sorted(context.bandwidth_requests):
        for request in context.bandwidth_requests[sender]:
            receiver = ShardId(request.to_shard)
            if sender not in indexes or receiver not in indexes:
                continue
            total_bytes, increases = params.base_bandwidth, []
            for value in get_requested_values(request, params):
                if value > total_bytes:
                    increases.append(value - total_bytes)
                    total_bytes = value
            if increases:
                requests.append(LinkRequest((indexes[sender], indexes[receiver]), tuple(increases)))
    return requests


def run_bandwidth_scheduler(context: ApplyContext, state: ChunkState) -> BandwidthGrants:
    """Grant bandwidth for this height and leave the new record in ``state``, uncommitted.

    It runs for every chunk, also for a missing one: all shards keep the same record.
    """
    raw = state.get(keys.BANDWIDTH_SCHEDULER_STATE)
    before = SchedulerState() if raw is None else SchedulerState.decode(raw)
    shard_ids = context.shard_layout.shard_ids
    indexes = {shard_id: index for index, shard_id in enumerate(shard_ids)}
    params = compute_bandwidth_params(context.config, len(shard_ids))
    schedule = schedule_bandwidth(
        params,
        _list_statuses(context, indexes),
        {
            (indexes[ShardId(sender)], indexes[ShardId(receiver)]): allowance
            for sender, receiver, allowance in before.allowances
            if sender in indexes and receiver in indexes
        },
        _list_requests(context, indexes, params),
        context.prev_block_hash,
    )
    shards_hash = sha256(struct.pack(f"<I{len(shard_ids)}Q", len(shard_ids), *shard_ids))
    after = SchedulerState(
        tuple(
            (shard_ids[sender], shard_ids[receiver], allowance)
            for (sender, receiver), allowance in schedule.allowances.items()
        ),
        CryptoHash(sha256(before.sanity_check_hash + shards_hash)),
    )
    state.set(keys.BANDWIDTH_SCHEDULER_STATE, after.encode())
    granted = {
        (shard_ids[sender], shard_ids[receiver]): size
        for (sender, receiver), size in schedule.granted.items()
    }
    return BandwidthGrants(granted, params)
