"""Chunks: a shard's transactions of one height, and what applying the one before came to.

Header version 3 (wire tag 2) around an inner part of version 4 (protocol 84) or
5 (85 and later, adds the proposed split). What a chunk carries is hashed twice:
transactions and receipts have their own roots, and ``encoded_merkle_root``
commits to the same bytes cut into Reed-Solomon parts for distribution.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from hither.codec.borsh import (
    HASH,
    MISSING,
    U64,
    U128,
    Codec,
    InvalidBorsh,
    chosen,
    option,
    prefixed,
    record,
    sequence,
)
from hither.crypto.hashing import combine_hashes, compute_parts_root, sha256
from hither.crypto.keys import SIGNATURE
from hither.primitives.ids import ACCOUNT_ID
from hither.primitives.merkle import MerklePath, compute_merkle_root, hash_items, merklize
from hither.primitives.receipt import RECEIPTS, Receipt, encode_receipts
from hither.primitives.sharding import (
    BANDWIDTH_REQUESTS,
    CONGESTION_INFO,
    VALIDATOR_STAKE,
    BandwidthRequest,
    CongestionInfo,
    ValidatorStake,
)
from hither.primitives.transaction import (
    SIGNED_TRANSACTIONS,
    SignedTransaction,
    encode_signed_transaction,
    encode_signed_transactions,
)
from hither.primitives.types import ED25519, ZERO_HASH, AccountId, CryptoHash, ShardId, Signature

NO_SIGNATURE: Final = Signature(ED25519, bytes(64))
"""What genesis has in place of signatures."""

FIRST_VERSION_WITH_SPLIT: Final = 85


class TrieSplit(msgspec.Struct, frozen=True, gc=False):
    """Where a shard would be cut in two, and the memory usage on both sides."""

    boundary_account: AccountId
    left_memory: int
    right_memory: int


class ChunkHeader(msgspec.Struct, frozen=True, gc=False):
    """What a chunk commits to. ``prev_`` fields are about applying the shard's chunk before it.

    ``hash`` and ``signature`` are set by ``seal_chunk_header``; ``height_included``
    is the height of the block that took it and not part of the hash.
    """

    prev_block_hash: CryptoHash
    prev_state_root: CryptoHash
    prev_outcome_root: CryptoHash
    encoded_merkle_root: CryptoHash
    encoded_length: int
    height_created: int
    shard_id: ShardId
    prev_gas_used: int
    gas_limit: int
    prev_balance_burnt: int
    prev_outgoing_receipts_root: CryptoHash
    tx_root: CryptoHash
    prev_validator_proposals: tuple[ValidatorStake, ...]
    congestion_info: CongestionInfo
    bandwidth_requests: tuple[BandwidthRequest, ...]
    proposed_split: TrieSplit | None = None
    height_included: int = 0
    signature: Signature = NO_SIGNATURE
    hash: CryptoHash = ZERO_HASH
    version: int = 5

    @property
    def is_genesis(self) -> bool:
        return self.prev_block_hash == ZERO_HASH


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """A whole chunk. The receipts are those that left the shard when its chunk before was applied."""

    header: ChunkHeader
    transactions: tuple[SignedTransaction, ...]
    prev_outgoing_receipts: tuple[Receipt, ...]


_INNER_FIELDS: Final[Mapping[str, Codec[Any]]] = {
    "prev_block_hash": HASH,
    "prev_state_root": HASH,
    "prev_outcome_root": HASH,
    "encoded_merkle_root": HASH,
    "encoded_length": U64,
    "height_created": U64,
    "shard_id": U64,
    "prev_gas_used": U64,
    "gas_limit": U64,
    "prev_balance_burnt": U128,
    "prev_outgoing_receipts_root": HASH,
    "tx_root": HASH,
    "prev_validator_proposals": sequence(VALIDATOR_STAKE),
    "congestion_info": CONGESTION_INFO,
    "bandwidth_requests": BANDWIDTH_REQUESTS,
}
_SPLIT = record(TrieSplit, {"boundary_account": ACCOUNT_ID, "left_memory": U64, "right_memory": U64})
_INNER_FIELDS_V5: Final = {**_INNER_FIELDS, "proposed_split": option(_SPLIT)}
_OUTER_FIELDS: Final[Mapping[str, Codec[Any]]] = {"height_included": U64, "signature": SIGNATURE}

_INNER: Codec[ChunkHeader] = chosen(
    lambda header: header.version - 1,
    {3: record(ChunkHeader, _INNER_FIELDS), 4: record(ChunkHeader, _INNER_FIELDS_V5)},
)
_encode_inner = _INNER.encode


def _restore_hash(header: ChunkHeader) -> ChunkHeader:
    return msgspec.structs.replace(header, hash=compute_chunk_hash(header))


CHUNK_HEADER: Codec[ChunkHeader] = prefixed(
    b"\2",
    chosen(
        lambda header: header.version - 1,
        {
            3: record(ChunkHeader, {**_INNER_FIELDS, **_OUTER_FIELDS}, {"version": 4}),
            4: record(ChunkHeader, {**_INNER_FIELDS_V5, **_OUTER_FIELDS}, {"version": 5}),
        },
    ),
)
"""Decoding leaves ``hash`` at zeros; ``decode_chunk_header`` fills it in."""

encode_chunk_header = CHUNK_HEADER.encode


def decode_chunk_header(data: bytes) -> ChunkHeader:
    """A header with its hash, or ``InvalidBorsh``."""
    return _restore_hash(CHUNK_HEADER.decode(data))


_CHUNK_BODY: Codec[Chunk] = record(
    Chunk,
    {"header": CHUNK_HEADER, "transactions": SIGNED_TRANSACTIONS, "prev_outgoing_receipts": RECEIPTS},
)


def encode_chunk(chunk: Chunk) -> bytes:
    """The whole chunk as NEAR's node stores it (``ShardChunk`` version 2)."""
    return b"\1" + chunk.header.hash + _CHUNK_BODY.encode(chunk)


def decode_chunk(data: bytes) -> Chunk:
    """A whole chunk with its hashes, or ``InvalidBorsh``; also when the stored hash is not its own."""
    if data[:1] != b"\1":
        raise InvalidBorsh(f"Unexpected variant tag: {data[0]}" if data else MISSING)
    chunk = _CHUNK_BODY.decode(data[33:])
    header = _restore_hash(chunk.header)
    if header.hash != data[1:33]:
        raise InvalidBorsh("the hash is not that of the chunk")
    return msgspec.structs.replace(chunk, header=header)


def compute_chunk_hash(header: ChunkHeader) -> CryptoHash:
    """What names the chunk and what its producer signs."""
    return CryptoHash(combine_hashes(sha256(_encode_inner(header)), header.encoded_merkle_root))


def seal_chunk_header(header: ChunkHeader, sign: Callable[[bytes], Signature]) -> ChunkHeader:
    """The header with its hash and the producer's signature over it."""
    hash_ = compute_chunk_hash(header)
    return msgspec.structs.replace(header, hash=hash_, signature=sign(hash_))


def compute_transactions_root(transactions: Sequence[SignedTransaction]) -> CryptoHash:
    """``tx_root``."""
    return compute_merkle_root(hash_items(map(encode_signed_transaction, transactions)))


def _hash_receipt_lists(lists: Sequence[Sequence[Receipt]], shard_ids: Sequence[ShardId]) -> list[bytes]:
    return [
        sha256(shard_id.to_bytes(8, "little") + encode_receipts(tuple(receipts)))
        for shard_id, receipts in zip(shard_ids, lists, strict=True)
    ]


def compute_outgoing_receipts_root(
    lists: Sequence[Sequence[Receipt]], shard_ids: Sequence[ShardId]
) -> CryptoHash:
    """``prev_outgoing_receipts_root``: the receipts by the shard they go to, empty lists included.

    Shards stand in the order of the layout.
    """
    return compute_merkle_root(hash_items(_hash_receipt_lists(lists, shard_ids)))


def compute_outgoing_receipts_proofs(
    lists: Sequence[Sequence[Receipt]], shard_ids: Sequence[ShardId]
) -> tuple[CryptoHash, list[MerklePath]]:
    """The same with the path of each shard's list to the root."""
    return merklize(hash_items(_hash_receipt_lists(lists, shard_ids)))


def compute_encoded_root(
    transactions: Sequence[SignedTransaction], receipts: Sequence[Receipt], total_parts: int
) -> tuple[CryptoHash, int]:
    """``encoded_merkle_root`` and ``encoded_length`` of a chunk cut into so many parts."""
    encoded = encode_signed_transactions(tuple(transactions)) + encode_receipts(tuple(receipts))
    root = compute_parts_root(encoded, compute_data_parts(total_parts), total_parts)
    return CryptoHash(root), len(encoded)


def compute_total_parts(block_producer_seats: int) -> int:
    """Into how many parts chunks are cut: one a seat, two at least, 256 at most (NEAR's ``num_total_parts``)."""
    return min(block_producer_seats, 256) if block_producer_seats > 1 else 2


def compute_data_parts(total_parts: int) -> int:
    """How many of the parts are enough to restore the chunk."""
    return 1 if total_parts <= 3 else (total_parts - 1) // 3


GENESIS_PARTS: Final = 3
"""Genesis chunks are cut into three parts whatever the number of seats."""
