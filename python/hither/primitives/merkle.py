"""Merkle trees as NEAR builds them: an odd node goes up unchanged; an empty tree has a root of zeros.

Functions here take leaf *hashes*. A list of items has as leaves the sha256 of
the borsh form of each; a list of hashes is hashed once more (``hash_items``).
"""

import enum
from collections.abc import Iterable, Sequence

import msgspec

from hither.crypto.hashing import combine_hashes, sha256
from hither.primitives.types import ZERO_HASH, CryptoHash


class Direction(enum.Enum):
    """On which side a path item is put."""

    LEFT = "Left"
    RIGHT = "Right"


class MerklePathItem(msgspec.Struct, frozen=True, gc=False):
    """The sibling hash at one level of a path."""

    hash: CryptoHash
    direction: Direction


MerklePath = tuple[MerklePathItem, ...]


def hash_items(items: Iterable[bytes]) -> list[bytes]:
    """Leaf hashes of items in borsh; a hash is its own borsh form."""
    return [sha256(item) for item in items]


def _compute_parents(level: Sequence[bytes]) -> list[bytes]:
    parents = [combine_hashes(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    return [*parents, level[-1]] if len(level) % 2 else parents


def compute_merkle_root(leaves: Sequence[bytes]) -> CryptoHash:
    """The root over leaf hashes."""
    if not leaves:
        return ZERO_HASH
    level = leaves
    while len(level) > 1:
        level = _compute_parents(level)
    return CryptoHash(level[0])


def merklize(leaves: Sequence[bytes]) -> tuple[CryptoHash, list[MerklePath]]:
    """The root over leaf hashes and the path of every leaf to it."""
    if not leaves:
        return ZERO_HASH, []
    paths: list[list[MerklePathItem]] = [[] for _ in leaves]
    level = leaves
    height = 0
    while len(level) > 1:
        items = [
            MerklePathItem(CryptoHash(node), Direction.RIGHT if at % 2 else Direction.LEFT)
            for at, node in enumerate(level)
        ]
        for index, path in enumerate(paths):
            sibling = index >> height ^ 1
            if sibling < len(level):
                path.append(items[sibling])
        level = _compute_parents(level)
        height += 1
    return CryptoHash(level[0]), [tuple(path) for path in paths]


def compute_root_from_path(leaf: bytes, path: Iterable[MerklePathItem]) -> CryptoHash:
    """The root that a leaf hash has under this path."""
    node = leaf
    for item in path:
        node = (
            combine_hashes(item.hash, node)
            if item.direction is Direction.LEFT
            else combine_hashes(node, item.hash)
        )
    return CryptoHash(node)


class PartialMerkleTree(msgspec.Struct, frozen=True):
    """A growing tree of which only the right edge is kept: all block hashes so far.

    Leaves go in as they are, without hashing.
    """

    path: tuple[CryptoHash, ...] = ()
    size: int = 0

    def insert(self, leaf: bytes) -> "PartialMerkleTree":
        """The tree with one leaf more."""
        path, size, node = list(self.path), self.size, leaf
        while size % 2:
            node = combine_hashes(path.pop(), node)
            size //= 2
        return PartialMerkleTree((*path, CryptoHash(node)), self.size + 1)

    def compute_root(self) -> CryptoHash:
        if not self.path:
            return ZERO_HASH
        node: bytes = self.path[-1]
        for left in reversed(self.path[:-1]):
            node = combine_hashes(left, node)
        return CryptoHash(node)
