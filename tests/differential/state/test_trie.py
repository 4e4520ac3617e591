"""The native trie against its twin, and against NEAR's own roots and proofs."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from hither.state import Trie
from tests.differential.twins import trie as twin

KEYS = st.binary(max_size=4) | st.lists(st.sampled_from([0x00, 0x0F, 0x10, 0x11, 0xFF]), max_size=6).map(
    bytes
)
VALUES = st.binary(max_size=4) | st.sampled_from([b"x" * 255, b"x" * 256, b"x" * 257, b"y" * 5000])
CONTENTS = st.dictionaries(KEYS, VALUES, max_size=12)
CHANGES = st.lists(st.tuples(KEYS, st.none() | VALUES), max_size=12)


def check_equal(native: Trie, content: dict[bytes, bytes], probe: bytes) -> None:
    plain = twin.build(content)
    assert native.root == twin.compute_root(plain)
    assert native.memory_usage == (0 if plain is None else twin.memory_usage(plain))
    assert native.scan(b"") == sorted(content.items())
    assert native.scan(probe) == sorted((k, v) for k, v in content.items() if k.startswith(probe))
    assert native.scan(b"", probe, 2) == sorted((k, v) for k, v in content.items() if k > probe)[:2]
    assert native.get(probe) == content.get(probe)
    assert native.prove(b"") == [twin.encode(node) for node in twin.walk_below(plain, b"")]
    assert native.prove(probe) == [twin.encode(node) for node in twin.walk_below(plain, probe)]


@settings(max_examples=300)
@given(CONTENTS, st.lists(CHANGES, max_size=4), KEYS)
def test_updates_give_the_twins_nodes(
    content: dict[bytes, bytes], batches: list[list[tuple[bytes, bytes | None]]], probe: bytes
) -> None:
    """Batch by batch, each version compared; the first one is still readable at the end."""
    first = native = Trie().update(list(content.items()))
    check_equal(native, content, probe)
    now = dict(content)
    for batch in batches:
        native = native.update(batch)
        for key, value in batch:
            if value is None:
                now.pop(key, None)
            else:
                now[key] = value
        check_equal(native, now, probe)
    check_equal(first, content, probe)


@settings(max_examples=100)
@given(CONTENTS)
def test_proofs_hash_to_the_root(content: dict[bytes, bytes]) -> None:
    native = Trie().update(list(content.items()))
    nodes = native.prove(b"")
    assert (hashlib.sha256(nodes[0]).digest() if nodes else bytes(32)) == native.root


def test_order_of_a_batch_does_not_matter_but_the_last_of_equal_keys_wins() -> None:
    batch = [(b"b", b"1"), (b"a", b"2"), (b"b", b"3"), (b"a", None)]
    assert Trie().update(batch).scan(b"") == [(b"b", b"3")]
