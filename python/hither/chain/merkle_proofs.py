"""Merkle paths out of what is stored: to a chunk's outcome root, and to the root over all blocks."""

from collections.abc import Callable, Sequence

from hither.crypto.hashing import combine_hashes
from hither.primitives.merkle import Direction, MerklePath, MerklePathItem
from hither.primitives.types import CryptoHash

GetNode = Callable[[int, int], CryptoHash | None]
"""(level, index) to a whole inner node of the tree; leaves are level 0."""


def compute_levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All levels of a tree, leaves first; an odd node goes up unchanged."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        above = [combine_hashes(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
        levels.append([*above, below[-1]] if len(below) % 2 else above)
    return levels


def get_path(levels: Sequence[Sequence[bytes]], index: int) -> MerklePath:
    """The path of one leaf to the root."""
    items = []
    for level in levels[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            items.append(_make_item(level[sibling], sibling))
        index //= 2
    return tuple(items)


def compute_growing_path(get_node: GetNode, size: int, index: int) -> MerklePath:
    """The path of a leaf to the root that a growing tree had when it held ``size`` leaves.

    Raises LookupError when a node that is needed was forgotten.
    """
    assert 0 <= index < size
    items, level = [], 0
    while (1 << level) < size:
        sibling = index ^ 1
        if sibling << level < size:
            items.append(_make_item(_compute_node(get_node, size, level, sibling), sibling))
        level, index = level + 1, index // 2
    return tuple(items)


def _compute_node(get_node: GetNode, size: int, level: int, index: int) -> bytes:
    """A node of the tree with ``size`` leaves; the rightmost ones may not be whole yet."""
    if (index + 1) << level <= size:
        node = get_node(level, index)
        if node is None:
            raise LookupError(f"node {index} at level {level} of the block tree is gone")
        return node
    left = _compute_node(get_node, size, level - 1, 2 * index)
    if (2 * index + 1) << (level - 1) >= size:
        return left
    return combine_hashes(left, _compute_node(get_node, size, level - 1, 2 * index + 1))


def _make_item(node: bytes, index: int) -> MerklePathItem:
    return MerklePathItem(CryptoHash(node), Direction.RIGHT if index % 2 else Direction.LEFT)
