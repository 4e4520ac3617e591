"""The native overlay against its twin, step by step."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hither.state import ChunkState, InvalidInput, Trie
from tests.differential.twins.overlay import Overlay

KEYS = st.builds(
    lambda column, rest: bytes([column]) + rest,
    st.sampled_from([0, 2, 9]),
    st.lists(st.sampled_from([0x61, 0x62, 0x2C]), max_size=3).map(bytes),
)
VALUES = st.binary(max_size=3) | st.just(b"z" * 400)


class OverlayMachine(RuleBasedStateMachine):
    """Every method in any order, over any base."""

    @initialize(content=st.dictionaries(KEYS, VALUES, max_size=10))
    def begin(self, content: dict[bytes, bytes]) -> None:
        self.twin = Overlay(content)
        self.trie = Trie().update(list(content.items()))
        self.native = ChunkState(self.trie)

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        assert self.native.get(key) == self.twin.get(key)

    @rule(key=KEYS)
    def has(self, key: bytes) -> None:
        assert self.native.has(key) == self.twin.has(key)

    @rule(key=KEYS)
    def get_reference(self, key: bytes) -> None:
        assert self.native.get_reference(key) == self.twin.get_reference(key)

    @rule(key=KEYS)
    def look_without_trace(self, key: bytes) -> None:
        assert self.native.get_unrecorded(key) == self.twin.content().get(key)
        assert self.native.get_before_chunk(key) == self.twin.base.get(key)

    @rule(key=KEYS, value=VALUES)
    def set(self, key: bytes, value: bytes) -> None:
        self.native.set(key, value)
        self.twin.set(key, value)

    @rule(key=KEYS)
    def remove(self, key: bytes) -> None:
        self.native.remove(key)
        self.twin.remove(key)

    @rule(prefix=KEYS | st.just(b""))
    def scan_keys(self, prefix: bytes) -> None:
        assert self.native.scan_keys(prefix) == self.twin.scan_keys(prefix)

    @rule(cause=st.binary(max_size=2))
    def commit(self, cause: bytes) -> None:
        self.native.commit(cause)
        self.twin.commit(cause)

    @rule()
    def rollback(self) -> None:
        self.native.rollback()
        self.twin.rollback()

    @rule(size=st.integers(0, 100))
    def record_code_size(self, size: int) -> None:
        self.native.record_code_size(size)
        self.twin.extra_size += size

    @invariant()
    def sizes_agree(self) -> None:
        assert self.native.recorded_size == self.twin.recorded_size

    def teardown(self) -> None:
        if not hasattr(self, "twin"):
            return
        if self.twin.current:
            with pytest.raises(InvalidInput, match="uncommitted"):
                self.native.seal()
            self.native.rollback()
            self.twin.rollback()
        sealed = self.native.seal()
        base, committed = self.twin.base, self.twin.committed
        assert sealed.caused_changes == sorted(committed.items())
        assert sealed.changes == [(k, base.get(k), writes[-1][1]) for k, writes in sorted(committed.items())]
        assert sealed.trie.root == Trie().update(list(self.twin.content().items())).root
        assert self.trie.scan(b"") == sorted(base.items()), "the state before the chunk is untouched"


TestOverlay = OverlayMachine.TestCase
TestOverlay.settings = settings(max_examples=150, stateful_step_count=30)
