"""NEAR's trie as a function of its content: built from scratch each time, one node after the other."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Path = tuple[int, ...]

NODE, KEY_BYTE, VALUE_BYTE, VALUE = 50, 2, 1, 50
EMPTY_ROOT = bytes(32)


@dataclass
class Node:
    """A leaf has a value and no children; an extension one child below its path; a branch the rest.

    ``children`` maps half bytes to nodes; an extension's child stands at -1.
    """

    path: Path = ()
    value: bytes | None = None
    children: dict[int, "Node"] = field(default_factory=dict)

    @property
    def is_leaf(self) -> bool:
        return not self.children

    @property
    def is_extension(self) -> bool:
        return -1 in self.children


def to_path(key: bytes) -> Path:
    return tuple(half for byte in key for half in (byte >> 4, byte & 15))


def from_path(path: Path) -> bytes:
    return bytes(high << 4 | low for high, low in zip(path[::2], path[1::2], strict=True))


def pack(path: Path, is_leaf: bool) -> bytes:
    """Half bytes to bytes: a flag byte, which also holds the first of an odd number."""
    flag = 0x20 if is_leaf else 0
    if len(path) % 2:
        return bytes([flag | 0x10 | path[0]]) + from_path(path[1:])
    return bytes([flag]) + from_path(path)


def unpack(packed: bytes) -> Path:
    odd = (packed[0] & 15,) if packed[0] & 0x10 else ()
    return odd + to_path(packed[1:])


def build(content: Mapping[bytes, bytes]) -> Node | None:
    """The trie of a content, or None when it is empty."""
    return _build({to_path(key): value for key, value in content.items()})


def _build(content: dict[Path, bytes]) -> Node | None:
    if not content:
        return None
    if len(content) == 1:
        ((path, value),) = content.items()
        return Node(path, value)
    first, last = min(content), max(content)
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    if shared:
        below = _build({path[shared:]: value for path, value in content.items()})
        assert below is not None
        return Node(first[:shared], None, {-1: below})
    branch = Node((), content.get(()))
    for half in range(16):
        below = _build({path[1:]: value for path, value in content.items() if path[:1] == (half,)})
        if below is not None:
            branch.children[half] = below
    return branch


def memory_usage(node: Node) -> int:
    """NEAR's price of the subtree."""
    total = NODE + sum(map(memory_usage, node.children.values()))
    if node.is_leaf or node.is_extension:
        total += KEY_BYTE * len(pack(node.path, node.is_leaf))
    if node.value is not None:
        total += VALUE + VALUE_BYTE * len(node.value)
    return total


def _reference(value: bytes) -> bytes:
    return len(value).to_bytes(4, "little") + hashlib.sha256(value).digest()


def encode(node: Node) -> bytes:
    """The bytes that are hashed."""
    if node.is_leaf:
        packed = pack(node.path, True)
        assert node.value is not None
        body = b"\0" + len(packed).to_bytes(4, "little") + packed + _reference(node.value)
    elif node.is_extension:
        packed = pack(node.path, False)
        body = b"\3" + len(packed).to_bytes(4, "little") + packed + compute_hash(node.children[-1])
    else:
        body = b"\1" if node.value is None else b"\2" + _reference(node.value)
        body += sum(1 << half for half in node.children).to_bytes(2, "little")
        body += b"".join(compute_hash(node.children[half]) for half in sorted(node.children))
    return body + memory_usage(node).to_bytes(8, "little")


def compute_hash(node: Node) -> bytes:
    return hashlib.sha256(encode(node)).digest()


def compute_root(node: Node | None) -> bytes:
    return EMPTY_ROOT if node is None else compute_hash(node)


def walk_to(node: Node | None, key: bytes) -> Iterator[Node]:
    """The nodes that looking for a key visits, also when it is not there."""
    rest = to_path(key)
    while node is not None:
        yield node
        if node.is_leaf:
            return
        if node.is_extension:
            if rest[: len(node.path)] != node.path:
                return
            node, rest = node.children[-1], rest[len(node.path) :]
        elif not rest:
            return
        else:
            node, rest = node.children.get(rest[0]), rest[1:]


def walk_below(node: Node | None, prefix: bytes) -> Iterator[Node]:
    """The nodes that listing a prefix visits: the way to it, then everything below, depth first."""
    return _walk_below(node, to_path(prefix)) if node is not None else iter(())


def _walk_below(node: Node, rest: Path) -> Iterator[Node]:
    yield node
    if node.is_leaf:
        return
    if node.is_extension:
        shared = min(len(rest), len(node.path))
        if rest[:shared] == node.path[:shared]:
            yield from _walk_below(node.children[-1], rest[shared:])
        return
    for half in sorted(node.children):
        if not rest or half == rest[0]:
            yield from _walk_below(node.children[half], rest[1:])
