"""Blocks: one chunk header a shard, and what producers agree on.

Block version 4 (wire tag 3) around a body of version 2 (tag 1) and a header of
version 5 (protocol 84) or 6 (85 to 88: adds the shard split, drops the two
fields of challenges). A header has a light part, which light clients follow,
and the rest; its hash covers both and the previous hash.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from hither.codec.borsh import (
    BOOL,
    BYTES,
    HASH,
    U32,
    U64,
    U128,
    Codec,
    chosen,
    fixed,
    option,
    prefixed,
    record,
    sequence,
    tuple_of,
)
from hither.crypto.hashing import combine_hashes, sha256
from hither.crypto.keys import SIGNATURE
from hither.primitives.chunk import CHUNK_HEADER, NO_SIGNATURE, ChunkHeader, compute_chunk_hash
from hither.primitives.ids import ACCOUNT_ID
from hither.primitives.merkle import MerklePath, compute_merkle_root, hash_items, merklize
from hither.primitives.sharding import VALIDATOR_STAKE, ValidatorStake
from hither.primitives.types import ZERO_HASH, AccountId, Balance, CryptoHash, ShardId, Signature


class BlockHeader(msgspec.Struct, frozen=True, gc=False):
    """What a block commits to. ``hash`` and ``signature`` are set by ``seal_block_header``.

    ``next_gas_price`` is the price that this block's chunks are charged *after* it:
    NEAR's RPC shows it as ``gas_price``. ``chunk_endorsements`` has a bit field a shard.
    """

    prev_hash: CryptoHash
    height: int
    epoch_id: CryptoHash
    next_epoch_id: CryptoHash
    prev_state_root: CryptoHash
    prev_outcome_root: CryptoHash
    timestamp_ns: int
    next_bp_hash: CryptoHash
    block_merkle_root: CryptoHash
    block_body_hash: CryptoHash
    prev_outgoing_receipts_root: CryptoHash
    chunk_headers_root: CryptoHash
    chunk_tx_root: CryptoHash
    random_value: CryptoHash
    prev_validator_proposals: tuple[ValidatorStake, ...]
    chunk_mask: tuple[bool, ...]
    next_gas_price: Balance
    total_supply: Balance
    last_final_block: CryptoHash
    last_ds_final_block: CryptoHash
    block_ordinal: int
    prev_height: int
    epoch_sync_data_hash: CryptoHash | None
    approvals: tuple[Signature | None, ...]
    latest_protocol_version: int
    chunk_endorsements: tuple[bytes, ...]
    shard_split: tuple[ShardId, AccountId] | None = None
    signature: Signature = NO_SIGNATURE
    hash: CryptoHash = ZERO_HASH
    version: int = 6

    @property
    def is_genesis(self) -> bool:
        return self.prev_hash == ZERO_HASH


class Block(msgspec.Struct, frozen=True, gc=False):
    """A whole block. Endorsements: by shard, a place for each validator assigned to its chunk."""

    header: BlockHeader
    chunks: tuple[ChunkHeader, ...]
    vrf_value: bytes
    vrf_proof: bytes
    chunk_endorsements: tuple[tuple[Signature | None, ...], ...]

    @property
    def hash(self) -> CryptoHash:
        return self.header.hash


_LITE_FIELDS: Final[Mapping[str, Codec[Any]]] = {
    "height": U64,
    "epoch_id": HASH,
    "next_epoch_id": HASH,
    "prev_state_root": HASH,
    "prev_outcome_root": HASH,
    "timestamp_ns": U64,
    "next_bp_hash": HASH,
    "block_merkle_root": HASH,
}
_REST_FIELDS_V6: Final[Mapping[str, Codec[Any]]] = {
    "block_body_hash": HASH,
    "prev_outgoing_receipts_root": HASH,
    "chunk_headers_root": HASH,
    "chunk_tx_root": HASH,
    "random_value": HASH,
    "prev_validator_proposals": sequence(VALIDATOR_STAKE),
    "chunk_mask": sequence(BOOL),
    "next_gas_price": U128,
    "total_supply": U128,
    "last_final_block": HASH,
    "last_ds_final_block": HASH,
    "block_ordinal": U64,
    "prev_height": U64,
    "epoch_sync_data_hash": option(HASH),
    "approvals": sequence(option(SIGNATURE)),
    "latest_protocol_version": U32,
    "chunk_endorsements": sequence(BYTES),
    "shard_split": option(tuple_of(U64, ACCOUNT_ID)),
}
_REST_FIELDS_V5: Final[Mapping[str, Codec[Any]]] = {
    **{name: codec for name, codec in _REST_FIELDS_V6.items() if name != "shard_split"},
    # Version 5 still had a root of challenges before this field, and their results before the other.
    "random_value": prefixed(ZERO_HASH, HASH),
    "last_final_block": prefixed(bytes(4), HASH),
}
_encode_lite = record(BlockHeader, _LITE_FIELDS).encode
_encode_rest_v5 = record(BlockHeader, _REST_FIELDS_V5).encode
_encode_rest_v6 = record(BlockHeader, _REST_FIELDS_V6).encode


def compute_lite_hash(header: BlockHeader) -> bytes:
    """sha256 of the light part."""
    return sha256(_encode_lite(header))


def compute_rest_hash(header: BlockHeader) -> bytes:
    """sha256 of the rest: ``inner_rest_hash`` of light-client blocks."""
    return sha256(_encode_rest_v5(header) if header.version == 5 else _encode_rest_v6(header))


def compute_inner_hash(header: BlockHeader) -> bytes:
    """Both parts: what the block hash covers besides the previous hash."""
    return combine_hashes(compute_lite_hash(header), compute_rest_hash(header))


def compute_block_hash(header: BlockHeader) -> CryptoHash:
    """What names the block and what its producer signs."""
    return CryptoHash(combine_hashes(compute_inner_hash(header), header.prev_hash))


def seal_block_header(header: BlockHeader, sign: Callable[[bytes], Signature]) -> BlockHeader:
    """The header with its hash and the producer's signature over it."""
    hash_ = compute_block_hash(header)
    return msgspec.structs.replace(header, hash=hash_, signature=sign(hash_))


_HEADER: Codec[BlockHeader] = chosen(
    lambda header: header.version - 1,
    {
        4: record(
            BlockHeader,
            {"prev_hash": HASH, **_LITE_FIELDS, **_REST_FIELDS_V5, "signature": SIGNATURE},
            {"version": 5},
        ),
        5: record(
            BlockHeader,
            {"prev_hash": HASH, **_LITE_FIELDS, **_REST_FIELDS_V6, "signature": SIGNATURE},
            {"version": 6},
        ),
    },
)
_BODY_FIELDS: Final[Mapping[str, Codec[Any]]] = {
    "chunks": sequence(CHUNK_HEADER),
    "vrf_value": prefixed(bytes(4), fixed(32)),  # No challenges.
    "vrf_proof": fixed(64),
    "chunk_endorsements": sequence(sequence(option(SIGNATURE))),
}
_encode_body = record(Block, _BODY_FIELDS).encode
_BLOCK: Codec[Block] = prefixed(
    b"\3",
    record(Block, {"header": _HEADER, **_BODY_FIELDS, "chunks": prefixed(b"\1", sequence(CHUNK_HEADER))}),
)

encode_block_header = _HEADER.encode
encode_block = _BLOCK.encode


def decode_block_header(data: bytes) -> BlockHeader:
    """A header with its hash, or ``InvalidBorsh``."""
    header = _HEADER.decode(data)
    return msgspec.structs.replace(header, hash=compute_block_hash(header))


def decode_block(data: bytes) -> Block:
    """A block with its hashes, or ``InvalidBorsh``."""
    block = _BLOCK.decode(data)
    header = msgspec.structs.replace(block.header, hash=compute_block_hash(block.header))
    chunks = tuple(msgspec.structs.replace(chunk, hash=compute_chunk_hash(chunk)) for chunk in block.chunks)
    return msgspec.structs.replace(block, header=header, chunks=chunks)


def compute_body_hash(
    chunks: tuple[ChunkHeader, ...],
    vrf_value: bytes,
    vrf_proof: bytes,
    chunk_endorsements: tuple[tuple[Signature | None, ...], ...],
) -> CryptoHash:
    """``block_body_hash``. It does not depend on the header, which contains it."""
    body = Block(_NO_HEADER, chunks, vrf_value, vrf_proof, chunk_endorsements)
    return CryptoHash(sha256(b"\1" + _encode_body(body)))


_NO_HEADER: Final = BlockHeader(
    prev_hash=ZERO_HASH,
    height=0,
    epoch_id=ZERO_HASH,
    next_epoch_id=ZERO_HASH,
    prev_state_root=ZERO_HASH,
    prev_outcome_root=ZERO_HASH,
    timestamp_ns=0,
    next_bp_hash=ZERO_HASH,
    block_merkle_root=ZERO_HASH,
    block_body_hash=ZERO_HASH,
    prev_outgoing_receipts_root=ZERO_HASH,
    chunk_headers_root=ZERO_HASH,
    chunk_tx_root=ZERO_HASH,
    random_value=ZERO_HASH,
    prev_validator_proposals=(),
    chunk_mask=(),
    next_gas_price=Balance(0),
    total_supply=Balance(0),
    last_final_block=ZERO_HASH,
    last_ds_final_block=ZERO_HASH,
    block_ordinal=0,
    prev_height=0,
    epoch_sync_data_hash=None,
    approvals=(),
    latest_protocol_version=0,
    chunk_endorsements=(),
)


def compute_state_root(chunks: Sequence[ChunkHeader]) -> CryptoHash:
    """``prev_state_root`` of the header."""
    return compute_merkle_root(hash_items(chunk.prev_state_root for chunk in chunks))


def compute_chunk_outgoing_receipts_root(chunks: Sequence[ChunkHeader]) -> CryptoHash:
    """``prev_outgoing_receipts_root`` of the header (RPC: ``chunk_receipts_root``)."""
    return compute_merkle_root(hash_items(chunk.prev_outgoing_receipts_root for chunk in chunks))


def _hash_and_height(chunk: ChunkHeader) -> bytes:
    return chunk.hash + chunk.height_included.to_bytes(8, "little")


def compute_chunk_headers_root(chunks: Sequence[ChunkHeader]) -> CryptoHash:
    """``chunk_headers_root``: a chunk and the height that included it are one leaf."""
    return compute_merkle_root(hash_items(map(_hash_and_height, chunks)))


def compute_chunk_headers_proofs(chunks: Sequence[ChunkHeader]) -> tuple[CryptoHash, list[MerklePath]]:
    """The same with the path of each chunk to the root."""
    return merklize(hash_items(map(_hash_and_height, chunks)))


def compute_chunk_tx_root(chunks: Sequence[ChunkHeader]) -> CryptoHash:
    """``chunk_tx_root``."""
    return compute_merkle_root(hash_items(chunk.tx_root for chunk in chunks))


def compute_block_outcome_root(chunks: Sequence[ChunkHeader]) -> CryptoHash:
    """``prev_outcome_root`` of the header (RPC: ``outcome_root``)."""
    return compute_merkle_root(hash_items(chunk.prev_outcome_root for chunk in chunks))


def compute_block_outcome_proofs(chunks: Sequence[ChunkHeader]) -> tuple[CryptoHash, list[MerklePath]]:
    """The same with the path of each shard's outcome root to it."""
    return merklize(hash_items(chunk.prev_outcome_root for chunk in chunks))


_encode_stakes = sequence(VALIDATOR_STAKE).encode


def compute_block_producers_hash(producers: tuple[ValidatorStake, ...]) -> CryptoHash:
    """``next_bp_hash`` of an epoch's block producers, in their order."""
    return CryptoHash(sha256(_encode_stakes(producers)))


def compute_endorsement_bits(endorsements: Sequence[Signature | None]) -> bytes:
    """Which validators endorsed a chunk: the lowest bit of the first byte is the first one."""
    bits = sum(1 << at for at, signature in enumerate(endorsements) if signature is not None)
    return bits.to_bytes((len(endorsements) + 7) // 8, "little")


def compute_approval_message(parent_hash: bytes, parent_height: int, target_height: int) -> bytes:
    """What a validator signs to approve building at ``target_height``: an endorsement, or a skip if later."""
    target = target_height.to_bytes(8, "little")
    if target_height == parent_height + 1:
        return b"\0" + parent_hash + target
    return b"\1" + parent_height.to_bytes(8, "little") + target
