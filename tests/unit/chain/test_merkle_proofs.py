"""Paths out of stored nodes are those of the whole tree."""

import pytest

from hither.chain.merkle_proofs import compute_growing_path, compute_levels, get_path
from hither.crypto.hashing import sha256
from hither.primitives.merkle import PartialMerkleTree, compute_root_from_path, merklize
from hither.primitives.types import CryptoHash

LEAVES = [CryptoHash(sha256(bytes([at]))) for at in range(40)]


def get_node(level: int, index: int) -> CryptoHash | None:
    """Whole nodes of the tree of all leaves, more than an older tree had."""
    levels = compute_levels(LEAVES)
    whole = (index + 1) << level <= len(LEAVES)
    return CryptoHash(levels[level][index]) if whole else None


@pytest.mark.parametrize("size", range(1, 41))
def test_paths_at_every_size(size: int) -> None:
    """At each size, for each leaf: the same path, and the growing tree's root."""
    root, paths = merklize(LEAVES[:size])
    tree = PartialMerkleTree()
    for leaf in LEAVES[:size]:
        tree = tree.insert(leaf)
    assert tree.compute_root() == root
    levels = compute_levels(LEAVES[:size])
    for index, leaf in enumerate(LEAVES[:size]):
        assert compute_growing_path(get_node, size, index) == paths[index]
        assert get_path(levels, index) == paths[index]
        assert compute_root_from_path(leaf, paths[index]) == root


def test_a_forgotten_node_is_told() -> None:
    with pytest.raises(LookupError):
        compute_growing_path(lambda level, index: None, 8, 3)


def test_no_leaves_have_no_levels_but_the_empty_one() -> None:
    assert compute_levels([]) == [[]]
