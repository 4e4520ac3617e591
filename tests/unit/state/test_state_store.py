"""State on disk: what was appended comes back, at the head and at every height that is kept."""

import random
from pathlib import Path

import pytest

from hither.primitives.types import BlockHeight, ShardId
from hither.state import (
    STATE_TABLES,
    ChunkState,
    StateDamaged,
    StateNotRetained,
    StateStore,
    StateStoreOptions,
    Store,
    StoreError,
    Trie,
)

SMALL = StateStoreOptions(slice_bytes=200, image_trigger_bytes=1500, roots_kept=3, changes_kept=30)
"""Sizes at which images, pruning and reconstruction all happen within a few blocks."""


def must_open(path: Path) -> Store:
    return Store(str(path), tables=list(STATE_TABLES))


class Chain:
    """A chain of random changes that remembers the content at every height."""

    def __init__(self, path: Path, *, shards: int, seed: int) -> None:
        self.path, self.random = path, random.Random(seed)
        self.store = must_open(path)
        self.states = StateStore(self.store, SMALL)
        self.contents: dict[tuple[int, int], dict[bytes, bytes]] = {}
        self.height = 0
        self.shards = [ShardId(shard) for shard in range(shards)]
        pairs = {shard: {b"%d-%d" % (shard, key): b"first" for key in range(20)} for shard in self.shards}
        for shard in self.shards:
            self.contents[shard, 0] = pairs[shard]
        tries = {shard: Trie().update(list(pairs[shard].items())) for shard in self.shards}
        for batch in self.states.genesis(BlockHeight(0), tries):
            self.store.commit(batch)

    def append(self) -> None:
        """One height; a shard without a chunk now and then, and gaps between heights."""
        before = self.height
        self.height += self.random.choice([1, 1, 1, 3])
        writes = []
        for shard in self.shards:
            content = dict(self.contents[shard, before])
            for height in range(before + 1, self.height + 1):
                self.contents[shard, height] = content
            if self.random.random() < 0.2:
                continue
            content = dict(content)
            chunk = ChunkState(self.states.head(shard)[1])
            for _ in range(self.random.randrange(6)):
                key = b"%d-%d" % (shard, self.random.randrange(40))
                if self.random.random() < 0.3:
                    chunk.remove(key)
                    content.pop(key, None)
                else:
                    content[key] = self.random.randbytes(self.random.choice([3, 300]))
                    chunk.set(key, content[key])
            chunk.commit(b"cause")
            writes += self.states.append(BlockHeight(self.height), shard, chunk.seal())
            self.contents[shard, self.height] = content
        self.store.commit(writes)

    def reopen(self) -> None:
        self.store.close()
        self.store = must_open(self.path)
        self.states = StateStore(self.store, SMALL)
        heads = self.states.load()
        assert sorted(heads) == self.shards
        for shard, (height, trie) in heads.items():
            assert height <= self.height
            assert dict(trie.scan(b"")) == self.contents[shard, self.height]

    def check(self, heights: range | list[int]) -> None:
        for height in heights:
            for shard in self.shards:
                trie = self.states.trie_at(shard, BlockHeight(height))
                assert dict(trie.scan(b"")) == self.contents[shard, height], (shard, height)


@pytest.mark.parametrize("seed", range(2))
def test_every_height_reads_back_also_after_restarts(tmp_path: Path, seed: int) -> None:
    """Recent states from memory, older ones by their old values, the head by image and changes."""
    chain = Chain(tmp_path, shards=2, seed=seed)
    for _ in range(5):
        for _ in range(10):
            chain.append()
        chain.reopen()
        chain.check(range(chain.height + 1))
    generations = {key[8:16] for key, _ in chain.store.scan("state_images")}
    assert min(generations) > bytes(8), "the first image was replaced and swept away"


@pytest.mark.parametrize("seed", range(2))
def test_revert_makes_an_old_state_the_head(tmp_path: Path, seed: int) -> None:
    """Also behind the image in force, and again and again; then the chain goes on."""
    chain = Chain(tmp_path, shards=2, seed=seed)
    for round_ in range(8):
        for _ in range(15):
            chain.append()
        if round_ % 3 == 0:
            chain.reopen()
        back = chain.random.randrange(max(0, chain.height - 25), chain.height + 1)
        chain.store.commit(chain.states.revert_to(BlockHeight(back)))
        chain.height = back
        for shard in chain.shards:
            assert dict(chain.states.head(shard)[1].scan(b"")) == chain.contents[shard, back]
        chain.check(range(back + 1))
        if round_ % 2 == 0:
            chain.reopen()
            chain.check(range(back + 1))


def test_pruning_bounds_the_file_and_keeps_what_is_promised(tmp_path: Path) -> None:
    chain = Chain(tmp_path, shards=1, seed=5)
    records = []
    for _ in range(150):
        chain.append()
        oldest = BlockHeight(max(0, chain.height - 20))
        chain.store.commit(chain.states.prune(oldest, records_max=4))
        records.append(len(chain.store.scan("state_changes")))
        chain.check([int(chain.states.oldest_height)])
    assert max(records) < 60, "history stays short although 150 blocks were made"
    assert chain.states.oldest_height >= chain.height - 60
    chain.check(range(int(chain.states.oldest_height), chain.height + 1))
    chain.reopen()
    gone = BlockHeight(chain.states.oldest_height - 1)
    with pytest.raises(StateNotRetained, match="is gone"):
        chain.states.trie_at(ShardId(0), gone)
    with pytest.raises(StateNotRetained, match="is gone"):
        chain.states.revert_to(gone)


def test_changes_come_back_with_causes(tmp_path: Path) -> None:
    store = must_open(tmp_path)
    states = StateStore(store)
    trie = Trie().update([(b"a", b"1")])
    for batch in states.genesis(BlockHeight(7), {ShardId(3): trie}):
        store.commit(batch)
    chunk = ChunkState(trie)
    chunk.set(b"a", b"2")
    chunk.set(b"b", b"")
    chunk.commit(b"first")
    chunk.remove(b"a")
    chunk.commit(b"second")
    sealed = chunk.seal()
    store.commit(states.append(BlockHeight(9), ShardId(3), sealed))
    changes = [(b"a", b"1", [(b"first", b"2"), (b"second", None)]), (b"b", None, [(b"first", b"")])]
    assert states.get_changes(ShardId(3), BlockHeight(9)) == (sealed.trie.root, changes)
    assert states.get_changes(ShardId(3), BlockHeight(8)) is None
    assert states.trie_at(ShardId(3), BlockHeight(8)).root == trie.root


def test_unfinished_genesis_counts_for_nothing(tmp_path: Path) -> None:
    """A crash between the batches of a large genesis: the next start makes it anew."""
    store = must_open(tmp_path)
    trie = Trie().update([(b"k%d" % key, bytes(100)) for key in range(100)])
    batches = StateStore(store, SMALL).genesis(BlockHeight(0), {ShardId(0): trie})
    store.commit(next(iter(batches)))
    assert StateStore(store).load() == {}
    smaller = Trie().update([(b"k%d" % key, bytes(99)) for key in range(3)])
    states = StateStore(store, SMALL)
    for batch in states.genesis(BlockHeight(0), {ShardId(0): smaller}):
        store.commit(batch)
    assert StateStore(store).load()[ShardId(0)][1].root == smaller.root


@pytest.mark.parametrize("table", ["state_changes", "state_images"])
def test_damage_is_found_at_the_start(tmp_path: Path, table: str) -> None:
    """A value that changed on disk gives another root."""
    chain = Chain(tmp_path, shards=1, seed=1)
    while not chain.store.scan("state_changes"):
        chain.append()
    for _ in range(3):
        chain.append()
    ((key, value), *_) = [pair for pair in chain.store.scan(table) if len(pair[1]) > 45]
    chain.store.commit([(table, key, value[:-1] + bytes([value[-1] ^ 1]))])
    with pytest.raises((StateDamaged, StoreError), match=r"root|damaged"):
        StateStore(chain.store, SMALL).load()
