"""Merkle trees: by hand for small ones, by their own proofs for all."""

import hashlib

import pytest

from hither.primitives.merkle import (
    Direction,
    MerklePathItem,
    PartialMerkleTree,
    compute_merkle_root,
    compute_root_from_path,
    merklize,
)
from hither.primitives.types import ZERO_HASH, CryptoHash


def join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(left + right).digest()


LEAVES = [hashlib.sha256(bytes([number])).digest() for number in range(40)]


def test_small_trees_by_hand() -> None:
    """An odd node goes up unchanged; it is not doubled."""
    a, b, c, d, e = LEAVES[:5]
    assert compute_merkle_root([]) == ZERO_HASH
    assert compute_merkle_root([a]) == a
    assert compute_merkle_root([a, b]) == join(a, b)
    assert compute_merkle_root([a, b, c]) == join(join(a, b), c)
    assert compute_merkle_root([a, b, c, d, e]) == join(join(join(a, b), join(c, d)), e)
    assert merklize([a, b, c])[1][2] == (MerklePathItem(CryptoHash(join(a, b)), Direction.LEFT),)


@pytest.mark.parametrize("size", range(41))
def test_every_path_leads_to_the_root(size: int) -> None:
    """And no path leads another leaf there."""
    root, paths = merklize(LEAVES[:size])
    assert root == compute_merkle_root(LEAVES[:size])
    assert len(paths) == size
    for leaf, path in zip(LEAVES, paths, strict=False):
        assert compute_root_from_path(leaf, path) == root
        assert compute_root_from_path(b"x" * 32, path) != root


@pytest.mark.parametrize("size", range(41))
def test_the_growing_tree_has_the_same_root(size: int) -> None:
    """Its path has one hash for each one bit of the size."""
    tree = PartialMerkleTree()
    for leaf in LEAVES[:size]:
        tree = tree.insert(leaf)
    assert tree.compute_root() == compute_merkle_root(LEAVES[:size])
    assert (tree.size, len(tree.path)) == (size, size.bit_count())
