"""The borsh form of epoch data: only its hash is part of a block (``epoch_sync_data_hash``)."""

from collections.abc import Callable, Iterable
from typing import Any

from hither.chain.epochs.types import BlockInfo, EpochInfo, KickoutReason, StakeWeightedIndex
from hither.crypto.hashing import sha256
from hither.primitives.sharding import ShardLayout, ValidatorStake
from hither.primitives.types import CryptoHash

_FIRST_VERSION_WITH_LAYOUT = 85

_KICKOUT_FIELDS: dict[str, tuple[int, tuple[tuple[str, int], ...]]] = {
    "NotEnoughBlocks": (1, (("produced", 8), ("expected", 8))),
    "NotEnoughChunks": (2, (("produced", 8), ("expected", 8))),
    "Unstaked": (3, ()),
    "NotEnoughStake": (4, (("stake_u128", 16), ("threshold_u128", 16))),
    "DidNotGetASeat": (5, ()),
    "NotEnoughChunkEndorsements": (6, (("produced", 8), ("expected", 8))),
    "ProtocolVersionTooOld": (7, (("version", 4), ("network_version", 4))),
}


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


def _u128(value: int) -> bytes:
    return value.to_bytes(16, "little")


def _bytes(value: bytes) -> bytes:
    return _u32(len(value)) + value


def _string(value: str) -> bytes:
    return _bytes(value.encode())


def _list(items: Iterable[Any], encode: Callable[[Any], bytes]) -> bytes:
    parts = [encode(item) for item in items]
    return _u32(len(parts)) + b"".join(parts)


def _map(
    items: dict[Any, Any], encode_key: Callable[[Any], bytes], encode_value: Callable[[Any], bytes]
) -> bytes:
    return _list(sorted(items.items()), lambda item: encode_key(item[0]) + encode_value(item[1]))


def _encode_stake(stake: ValidatorStake) -> bytes:
    key = bytes((stake.public_key.kind,)) + stake.public_key.data
    return b"\x00" + _string(stake.account_id) + key + _u128(stake.stake)


def _encode_kickout(reason: KickoutReason) -> bytes:
    name, values = (reason, {}) if isinstance(reason, str) else next(iter(reason.items()))
    tag, fields = _KICKOUT_FIELDS[name]
    return bytes((tag,)) + b"".join(int(values[field]).to_bytes(size, "little") for field, size in fields)


def _encode_sampler(sampler: StakeWeightedIndex) -> bytes:
    return _u128(sampler.stake_sum) + _list(sampler.aliases, _u64) + _list(sampler.no_alias_odds, _u128)


def _encode_layout(layout: ShardLayout) -> bytes:
    """Layout version 2, without a history of splits."""
    return b"".join(
        (
            b"\x02",
            _list(layout.boundary_accounts, _string),
            _list(layout.shard_ids, _u64),
            _map({shard: index for index, shard in enumerate(layout.shard_ids)}, _u64, _u64),
            _map(dict(enumerate(layout.shard_ids)), _u64, _u64),
            b"\x00\x00",
            _u32(layout.version),
        )
    )


def encode_block_info(block: BlockInfo, version: int) -> bytes:
    """Version 3 up to protocol 84, version 4 from 85 on."""
    start = b"".join(
        (
            block.hash,
            _u64(block.height),
            _u64(block.last_finalized_height),
            block.last_final_block_hash,
            block.prev_hash,
            block.epoch_first_block,
            block.epoch_id,
            _list(block.proposals, _encode_stake),
            _list(block.chunk_mask, lambda is_new: b"\x01" if is_new else b"\x00"),
            _u32(block.latest_protocol_version),
        )
    )
    end = b"".join(
        (
            _u128(block.total_supply),
            _u64(block.timestamp_ns),
            _list(block.chunk_endorsements, _bytes),
        )
    )
    if version == 3:
        return b"\x02" + start + _u32(0) + end
    return b"\x03" + start + end + b"\x00"


def encode_epoch_info(epoch: EpochInfo) -> bytes:
    """Version 4 up to protocol 84, version 5 (with the layout) from 85 on."""
    has_layout = epoch.protocol_version >= _FIRST_VERSION_WITH_LAYOUT
    unused = b"" if has_layout else _u32(0)
    positions = {validator.account_id: index for index, validator in enumerate(epoch.validators)}
    layout = b""
    if has_layout:
        resharding = epoch.last_resharding
        layout = _encode_layout(epoch.shard_layout)
        layout += b"\x00" if resharding is None else b"\x01" + _u64(resharding)
    mandates = epoch.validator_mandates
    return b"".join(
        (
            b"\x04" if has_layout else b"\x03",
            _u64(epoch.epoch_height),
            _list(epoch.validators, _encode_stake),
            _map(positions, _string, _u64),
            _list(epoch.block_producers_settlement, _u64),
            _list(epoch.chunk_producers_settlement, lambda shard: _list(shard, _u64)),
            unused * 3,
            _map(epoch.stake_change, _string, _u128),
            _map(epoch.validator_reward, _string, _u128),
            _map(epoch.validator_kickout, _string, _encode_kickout),
            _u128(epoch.minted_amount),
            _u128(epoch.seat_price),
            _u32(epoch.protocol_version),
            layout,
            epoch.rng_seed,
            _encode_sampler(epoch.block_producers_sampler),
            _list(epoch.chunk_producers_sampler, _encode_sampler),
            _u64(mandates.target_mandates_per_shard),
            _u64(mandates.num_shards),
            _u128(mandates.stake_per_mandate),
            _list(mandates.mandates, _u64),
            _list(mandates.partials, lambda partial: _u64(partial[0]) + _u128(partial[1])),
        )
    )


def compute_epoch_sync_data_hash(
    blocks: tuple[bytes, bytes, bytes], epochs: tuple[EpochInfo, EpochInfo, EpochInfo]
) -> CryptoHash:
    """Of the ended epoch's first, last but one and last block (encoded); of the epochs ended, begun, next."""
    return CryptoHash(sha256(b"".join(blocks) + b"".join(encode_epoch_info(epoch) for epoch in epochs)))
