"""State roots and proofs that NEAR's own node gave, against both of ours."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

import pytest

from hither.codec import base58
from hither.primitives.types import AccountId
from hither.state import keys
from tests.differential.twins import trie as twin
from tests.vectors.recording import CHAINS, RecordedChain

Raw = dict[bytes, bytes]


def decode_node(raw: bytes) -> tuple[twin.Path, tuple[int, bytes] | None, dict[int, bytes]]:
    """(path, value reference, children); the bytes must be used up, but for the memory usage."""
    kind, rest = raw[0], raw[1:-8]
    path: twin.Path = ()
    reference, children = None, {}
    if kind in (0, 3):
        size = int.from_bytes(rest[:4], "little")
        path, rest = twin.unpack(rest[4 : 4 + size]), rest[4 + size :]
    if kind in (0, 2):
        reference, rest = (int.from_bytes(rest[:4], "little"), rest[4:36]), rest[36:]
    if kind in (1, 2):
        bitmap, rest = int.from_bytes(rest[:2], "little"), rest[2:]
        for half in range(16):
            if bitmap >> half & 1:
                children[half], rest = rest[:32], rest[32:]
    if kind == 3:
        children[-1], rest = rest[:32], rest[32:]
    assert rest == b""
    return path, reference, children


def follow(nodes: Raw, at: bytes, rest: twin.Path, above: twin.Path, seen: list[bytes]) -> list[Any]:
    """Walk a proof as our ``prove`` would: nodes in order, and (key, value reference) below the prefix."""
    raw = nodes[at]
    seen.append(raw)
    path, reference, children = decode_node(raw)
    shared = min(len(path), len(rest))
    if path[:shared] != rest[:shared]:
        return []
    above, rest = above + path, rest[shared:]
    found = [(twin.from_path(above), reference)] if reference is not None and not rest else []
    for half, child in sorted(children.items()):
        if half == -1:
            found += follow(nodes, child, rest, above, seen)
        elif not rest or half == rest[0]:
            found += follow(nodes, child, rest[1:], (*above, half), seen)
    return found


@dataclass(frozen=True, slots=True)
class Proof:
    """One recorded answer of ``view_state`` with proof."""

    key: bytes
    prefix_len: int
    nodes: list[bytes]
    values: list[tuple[bytes, bytes]]


def read_proofs(chain: RecordedChain) -> tuple[list[Proof], set[bytes]]:
    """All proofs of a recording, and the state roots in its chunk headers."""
    proofs, roots = [], set()
    for group in map(chain.read_group, chain.group_names):
        chunks = (chunk for line in group.get("height") for chunk in line.get("chunks") or [] if chunk)
        roots |= {base58.decode(chunk["header"]["prev_state_root"]) for chunk in chunks}
        for line in group.get("query"):
            params, result = line["params"], line.get("result")
            if not isinstance(params, dict) or not params.get("include_proof") or result is None:
                continue
            prefix = base64.b64decode(params["prefix_base64"])
            key = keys.contract_data_prefix(AccountId(params["account_id"]), prefix)
            nodes = [base64.b64decode(node) for node in result["proof"]]
            values = [(base64.b64decode(v["key"]), base64.b64decode(v["value"])) for v in result["values"]]
            proofs.append(Proof(key, len(prefix), nodes, values))
    return proofs, roots


@pytest.mark.parametrize("name", CHAINS)
def test_recorded_proofs_list_what_ours_would(name: str) -> None:
    """Order, completeness, hashes, values; and their first node is a state root of the chain."""
    proofs, roots = read_proofs(RecordedChain(CHAINS[name]))
    known = 0
    for proof in proofs:
        nodes = {hashlib.sha256(node).digest(): node for node in proof.nodes}
        root = hashlib.sha256(proof.nodes[0]).digest()
        seen: list[bytes] = []
        found = follow(nodes, root, twin.to_path(proof.key), (), seen)
        assert seen == proof.nodes
        head = len(proof.key) - proof.prefix_len
        expected = [(key, (len(value), hashlib.sha256(value).digest())) for key, value in proof.values]
        assert [(raw[head:], reference) for raw, reference in found] == expected
        known += root in roots
    assert any(proof.values for proof in proofs) or "congestion" in name
    # The state that the very last block led to is in no header any more.
    assert known >= 0.9 * len(proofs)


def test_a_left_out_node_is_noticed() -> None:
    """The check above can fail: without one node the walk breaks off."""
    root = twin.build({b"ab": b"1", b"ac": b"2"})
    proof = [twin.encode(node) for node in twin.walk_below(root, b"a")]
    nodes = {hashlib.sha256(node).digest(): node for node in proof[:-1]}
    with pytest.raises(KeyError):
        follow(nodes, hashlib.sha256(proof[0]).digest(), twin.to_path(b"a"), (), [])
