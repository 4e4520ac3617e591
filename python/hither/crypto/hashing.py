"""The three hashes of the protocol."""

from hither_native import keccak256, sha3_256, sha256

__all__ = ["combine_hashes", "keccak256", "sha3_256", "sha256"]


def combine_hashes(left: bytes, right: bytes) -> bytes:
    """sha256 of the two hashes one after the other: an inner node of every Merkle tree here."""
    return sha256(left + right)
