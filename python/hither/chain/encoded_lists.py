"""Roots over a chunk's transactions and receipts from their encoded forms, so that each is encoded once."""

from collections.abc import Sequence

from hither.crypto.hashing import compute_parts_root, sha256
from hither.primitives.chunk import compute_data_parts
from hither.primitives.merkle import compute_merkle_root, hash_items
from hither.primitives.receipt import Receipt
from hither.primitives.sharding import ShardLayout
from hither.primitives.types import CryptoHash
from hither.runtime.routing import get_receiver_shard


def _join(rows: Sequence[bytes]) -> bytes:
    """The borsh list of encoded items."""
    return len(rows).to_bytes(4, "little") + b"".join(rows)


def compute_transactions_root(transaction_rows: Sequence[bytes]) -> CryptoHash:
    """``tx_root``."""
    return compute_merkle_root(hash_items(transaction_rows))


def compute_outgoing_receipts_root(
    receipts: Sequence[Receipt], receipt_rows: Sequence[bytes], layout: ShardLayout
) -> CryptoHash:
    """``prev_outgoing_receipts_root``: one leaf a shard of the layout, empty lists included."""
    by_shard: dict[int, list[bytes]] = {shard_id: [] for shard_id in layout.shard_ids}
    for receipt, row in zip(receipts, receipt_rows, strict=True):
        by_shard[get_receiver_shard(layout, receipt)].append(row)
    hashes = (sha256(shard_id.to_bytes(8, "little") + _join(rows)) for shard_id, rows in by_shard.items())
    return compute_merkle_root(hash_items(hashes))


def compute_encoded_root(
    transaction_rows: Sequence[bytes], receipt_rows: Sequence[bytes], total_parts: int
) -> tuple[CryptoHash, int]:
    """``encoded_merkle_root`` and ``encoded_length``."""
    encoded = _join(transaction_rows) + _join(receipt_rows)
    root = compute_parts_root(encoded, compute_data_parts(total_parts), total_parts)
    return CryptoHash(root), len(encoded)
