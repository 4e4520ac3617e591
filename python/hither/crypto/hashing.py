"""The hashes of the protocol, and the root of the Reed-Solomon parts of a chunk."""

import hither_native
from hither_native import keccak256, sha3_256, sha256

__all__ = ["combine_hashes", "compute_parts_root", "keccak256", "sha3_256", "sha256"]


def combine_hashes(left: bytes, right: bytes) -> bytes:
    """sha256 of the two hashes one after the other: an inner node of every Merkle tree here."""
    return sha256(left + right)


def compute_parts_root(data: bytes, data_parts: int, total_parts: int) -> bytes:
    """The Merkle root over the parts into which a chunk's bytes are cut, parity parts included."""
    return hither_native.compute_parts_root(data, data_parts, total_parts)
