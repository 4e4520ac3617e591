"""State that outlives the process: images, change records, and the way back in time.

On disk, per shard: an *image* (all pairs at one height, in slices) and, for every chunk
since then and for as long as history is kept, a *change record*. Nothing that was
written is rewritten; a new image grows slice by slice beside the old one, in the
commits of later blocks, and takes its place in one of them.

Every method that changes something answers with writes. The caller puts them into one
commit of the store together with its own; until that commit is made, nothing has
happened on disk. What is kept in memory moves at once: a failed commit ends the process.

Head = image, then the patch that a revert may have left, then the change records. A
height in between is the state after the last chunk at or before it.
"""

import bisect
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from hither_native import (
    Sealed,
    Store,
    Trie,
    apply_changes,
    apply_image,
    apply_pairs,
    decode_changes,
    encode_changes,
    image_slice,
    old_values,
)

from hither.primitives.types import BlockHeight, CryptoHash, ShardId
from hither.state.failpoints import reach

Write = tuple[str, bytes, bytes | None]
Change = tuple[bytes, bytes | None, list[tuple[bytes, bytes | None]]]

CHANGES: Final = "state_changes"
IMAGES: Final = "state_images"
META: Final = "state_meta"
STATE_TABLES: Final = (CHANGES, IMAGES, META)
"""Tables that the store must be opened with."""

_HEIGHT_END: Final = 2**64 - 1
_RECENT_MIN: Final = 8
"""Recent states that stay in memory whatever they cost: more than finality needs."""
_SWEPT_MAX: Final = 16
"""Slices deleted at a time."""


class StateNotRetained(LookupError):
    """The height lies before what is kept."""


class StateDamaged(RuntimeError):
    """What was read back has another root than what was written. The node must stop."""


class StateStoreOptions(msgspec.Struct, frozen=True):
    """Sizes that trade memory and disk for time; the defaults suit a node.

    A new image is begun when change records since the last one outweigh it and ``image_trigger_bytes``.
    ``roots_kept`` and ``changes_kept`` bound the recent states that stay in memory.
    """

    slice_bytes: int = 64 * 1024
    image_trigger_bytes: int = 4 * 1024 * 1024
    roots_kept: int = 1024
    changes_kept: int = 100_000
    reconstructed_kept: int = 4


class _ImageInfo(msgspec.Struct, frozen=True):
    """The row of a shard: which image is in force. ``size_bytes`` is that of its slices."""

    generation: int
    height: int
    root: bytes
    size_bytes: int


class _Recent(msgspec.Struct):
    """A state in memory and what it cost: how many keys its chunk changed."""

    height: int
    trie: Trie
    changes: int


class _Building(msgspec.Struct):
    """An image that is being written: its state, and where the next slice begins."""

    info: _ImageInfo
    trie: Trie
    changes_bytes: int = 0
    """Of the change records that this image makes unnecessary."""
    slices: int = 0
    after: bytes | None = None
    size_bytes: int = 0


class _Shard(msgspec.Struct):
    """What is kept in memory of a shard. ``recent`` is never empty; its last item is the head."""

    image: _ImageInfo
    recent: list[_Recent]
    next_generation: int = 1
    recent_changes: int = 0
    changes_bytes: int = 0
    """Of the change records since the image."""
    building: _Building | None = None
    garbage: list[tuple[bytes, bytes]] = []
    """Ranges of slices that belong to no image in force."""


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _change_key(height: int, shard_id: int) -> bytes:
    return _number(height) + _number(shard_id)


def _image_key(shard_id: int, generation: int, index: int) -> bytes:
    return _number(shard_id) + _number(generation) + _number(index)


def _patch_key(shard_id: int, generation: int) -> bytes:
    return b"patch" + _number(shard_id) + _number(generation)


_FLOOR: Final = b"floor"


class StateStore:
    """The states of all shards of one chain: the heads, and history as far as it is kept."""

    def __init__(self, store: Store, options: StateStoreOptions | None = None) -> None:
        """``store`` must have ``STATE_TABLES``. Nothing is read before ``load``."""
        self._store = store
        self._options = options or StateStoreOptions()
        self._shards: dict[ShardId, _Shard] = {}
        self._floor = 0
        self._reconstructed: OrderedDict[tuple[int, int], Trie] = OrderedDict()
        self._lock = threading.RLock()

    # Beginning

    def genesis(self, height: BlockHeight, tries: Mapping[ShardId, Trie]) -> Iterator[list[Write]]:
        """The first image of every shard, in batches to commit one after the other.

        With the last batch, and not before, the store has a state; a store where some
        batch is missing is as good as empty.
        """
        assert not self._shards, "a store has one genesis"
        yield from self._clear()
        rows: list[Write] = [(META, _FLOOR, _number(height))]
        for shard_id, trie in tries.items():
            building = _Building(_ImageInfo(0, height, trie.root, 0), trie)
            batch: list[Write] = []
            while (write := self._next_slice(shard_id, building)) is not None:
                batch.append(write)
                if len(batch) * self._options.slice_bytes >= 64 * 1024 * 1024:
                    yield batch
                    batch = []
            yield batch
            image = msgspec.structs.replace(building.info, size_bytes=building.size_bytes)
            rows.append((META, b"shard" + _number(shard_id), msgspec.msgpack.encode(image)))
            self._shards[shard_id] = _Shard(image, [_Recent(height, trie, 0)])
        self._floor = height
        yield rows

    def _clear(self) -> Iterator[list[Write]]:
        """Delete what a genesis that was broken off has left."""
        for table in STATE_TABLES:
            start = b""
            while page := self._store.scan(table, start, limit=64):
                yield [(table, key, None) for key, _ in page]
                start = page[-1][0] + b"\x00"

    def load(self) -> dict[ShardId, tuple[BlockHeight, Trie]]:
        """Read the heads back, comparing the root of each. Empty: there was no genesis."""
        floor = self._store.get(META, _FLOOR)
        if floor is None:
            return {}
        self._floor = int.from_bytes(floor, "big")
        prefix = b"shard"
        for key, row in self._store.scan(META, prefix, prefix + b"\xff" * 8):
            shard_id = ShardId(int.from_bytes(key[len(prefix) :], "big"))
            self._shards[shard_id] = self._load_shard(shard_id, msgspec.msgpack.decode(row, type=_ImageInfo))
        return {
            shard_id: (BlockHeight(shard.recent[-1].height), shard.recent[-1].trie)
            for shard_id, shard in self._shards.items()
        }

    def _load_shard(self, shard_id: ShardId, image: _ImageInfo) -> _Shard:
        start = _image_key(shard_id, image.generation, 0)
        end = _image_key(shard_id, image.generation + 1, 0)
        trie = apply_image(Trie(), self._store, IMAGES, start, end)
        patch = self._store.get(META, _patch_key(shard_id, image.generation))
        if patch is not None:
            trie = apply_pairs(trie, patch)
        _must_match(trie, image.root, f"image of shard {shard_id}")
        shard = _Shard(image, [_Recent(image.height, trie, 0)])
        self._find_garbage(shard_id, shard)
        height, root = image.height, image.root
        for key, record in self._scan_changes(image.height + 1, _HEIGHT_END, shard_id):
            height, root = int.from_bytes(key[:8], "big"), record[1:33]
            shard.changes_bytes += len(record)
        if height > image.height:
            trie = self._walk(trie, shard_id, image.height + 1, height, backwards=False)
            _must_match(trie, root, f"state of shard {shard_id} at height {height}")
            shard.recent = [_Recent(height, trie, 0)]
        return shard

    def _find_garbage(self, shard_id: ShardId, shard: _Shard) -> None:
        """Slices beside the image in force: of its forerunner, or of one that was never finished."""
        generation = shard.image.generation
        newest = self._store.scan(
            IMAGES, _image_key(shard_id, 0, 0), _image_key(shard_id + 1, 0, 0), limit=1, reverse=True
        )
        last = int.from_bytes(newest[0][0][8:16], "big") if newest else generation
        shard.next_generation = last + 1
        shard.garbage = [
            (_image_key(shard_id, 0, 0), _image_key(shard_id, generation, 0)),
            (_image_key(shard_id, generation + 1, 0), _image_key(shard_id, last + 1, 0)),
        ]

    # Going on

    def head(self, shard_id: ShardId) -> tuple[BlockHeight, Trie]:
        """The newest state of a shard."""
        recent = self._shards[shard_id].recent[-1]
        return BlockHeight(recent.height), recent.trie

    def append(self, height: BlockHeight, shard_id: ShardId, sealed: Sealed) -> list[Write]:
        """Take a chunk's changes as the new head; some slices of a new image may come along."""
        with self._lock:
            shard = self._shards[shard_id]
            assert height > shard.recent[-1].height, "heights of a shard rise"
            record = encode_changes(sealed)
            shard.recent.append(_Recent(height, sealed.trie, sealed.changed_keys))
            shard.recent_changes += sealed.changed_keys
            shard.changes_bytes += len(record)
            self._forget_recent(shard)
            writes: list[Write] = [(CHANGES, _change_key(height, shard_id), record)]
            if shard.changes_bytes >= max(self._options.image_trigger_bytes, shard.image.size_bytes):
                self._begin_image(shard)
            # Twice what the chunk itself takes, so that an image ends well before the next is due.
            writes += self._write_image(shard_id, shard, max(self._options.slice_bytes, 2 * len(record)))
            writes += self._sweep(shard)
            return writes

    def _forget_recent(self, shard: _Shard) -> None:
        first = 0
        while first < len(shard.recent) - _RECENT_MIN and (
            len(shard.recent) - first > self._options.roots_kept
            or shard.recent_changes > self._options.changes_kept
        ):
            shard.recent_changes -= shard.recent[first].changes
            first += 1
        del shard.recent[:first]

    def _begin_image(self, shard: _Shard) -> None:
        if shard.building is None:
            head = shard.recent[-1]
            info = _ImageInfo(shard.next_generation, head.height, head.trie.root, 0)
            shard.next_generation += 1
            shard.building = _Building(info, head.trie, shard.changes_bytes)

    def _next_slice(self, shard_id: ShardId, building: _Building) -> Write | None:
        pairs, last = image_slice(building.trie, building.after, self._options.slice_bytes)
        if last is None:
            return None
        key = _image_key(shard_id, building.info.generation, building.slices)
        building.after = last
        building.slices += 1
        building.size_bytes += len(pairs)
        return IMAGES, key, pairs

    def _write_image(self, shard_id: ShardId, shard: _Shard, budget_bytes: int) -> list[Write]:
        building = shard.building
        if building is None:
            return []
        writes: list[Write] = []
        end = building.size_bytes + budget_bytes
        while building.size_bytes < end:
            write = self._next_slice(shard_id, building)
            if write is not None:
                writes.append(write)
                reach("image")
                continue
            writes += self._replace_image(shard_id, shard, building)
            break
        return writes

    def _replace_image(self, shard_id: ShardId, shard: _Shard, building: _Building) -> list[Write]:
        """The new image is whole: from the next start on it is the one that counts."""
        old = shard.image.generation
        patch_key = _patch_key(shard_id, old)
        shard.image = msgspec.structs.replace(building.info, size_bytes=building.size_bytes)
        shard.building = None
        shard.garbage.append((_image_key(shard_id, old, 0), _image_key(shard_id, old + 1, 0)))
        shard.changes_bytes -= building.changes_bytes
        row = (META, b"shard" + _number(shard_id), msgspec.msgpack.encode(shard.image))
        return [row, (META, patch_key, None)]

    def _sweep(self, shard: _Shard) -> list[Write]:
        """Delete a few slices of images that are no longer in force."""
        if not shard.garbage:
            return []
        start, end = shard.garbage[0]
        found = self._store.scan(IMAGES, start, end, limit=_SWEPT_MAX)
        if len(found) < _SWEPT_MAX:
            del shard.garbage[0]
        return [(IMAGES, key, None) for key, _ in found]

    # History

    def trie_at(self, shard_id: ShardId, height: BlockHeight) -> Trie:
        """The state after the last chunk at or before ``height``. Raises ``StateNotRetained``."""
        with self._lock:
            recent = self._shards[shard_id].recent
            if not self._floor <= height:
                raise StateNotRetained(f"state at height {height} is gone, the oldest is {self._floor}")
            position = bisect.bisect_right(recent, int(height), key=lambda item: item.height)
            if position > 0:
                return recent[position - 1].trie
            return self._reconstruct(shard_id, height, recent[0])

    def _reconstruct(self, shard_id: ShardId, height: int, nearest: _Recent) -> Trie:
        known = self._reconstructed.get((shard_id, height))
        if known is not None:
            self._reconstructed.move_to_end((shard_id, height))
            return known
        start, trie = nearest.height, nearest.trie
        for (other_shard, other_height), other in self._reconstructed.items():
            if other_shard == shard_id and abs(other_height - height) < abs(start - height):
                start, trie = other_height, other
        if start > height:
            trie = self._walk(trie, shard_id, height + 1, start, backwards=True)
        else:
            trie = self._walk(trie, shard_id, start + 1, height, backwards=False)
        self._reconstructed[shard_id, height] = trie
        while len(self._reconstructed) > self._options.reconstructed_kept:
            self._reconstructed.popitem(last=False)
        return trie

    def _walk(self, trie: Trie, shard_id: ShardId, first: int, last: int, *, backwards: bool) -> Trie:
        start, end = _change_key(first, 0), _change_key(last, _HEIGHT_END)
        return apply_changes(
            trie, self._store, CHANGES, start, end, suffix=_number(shard_id), backwards=backwards
        )

    def _scan_changes(self, first: int, last: int, shard_id: ShardId) -> Iterator[tuple[bytes, bytes]]:
        """Change records of a shard, oldest first, a few at a time."""
        start, end = _change_key(first, 0), _change_key(last, _HEIGHT_END)
        suffix = _number(shard_id)
        while page := self._store.scan(CHANGES, start, end, limit=256):
            yield from ((key, record) for key, record in page if key.endswith(suffix))
            start = page[-1][0] + b"\x00"

    def get_changes(self, shard_id: ShardId, height: BlockHeight) -> tuple[CryptoHash, list[Change]] | None:
        """Root after the chunk at exactly this height and what it changed; None without one.

        A change is (key, old value, [(cause, value)]), in key order.
        """
        record = self._store.get(CHANGES, _change_key(height, shard_id))
        if record is None:
            return None
        root, changes = decode_changes(record)
        return CryptoHash(root), changes

    @property
    def oldest_height(self) -> BlockHeight:
        """The lowest height that ``trie_at`` answers for."""
        return BlockHeight(self._floor)

    def revert_to(self, height: BlockHeight) -> list[Write]:
        """Make the state at ``height`` the head again, forgetting all that came after."""
        with self._lock:
            if height < self._floor:
                raise StateNotRetained(f"state at height {height} is gone, the oldest is {self._floor}")
            writes: list[Write] = []
            for shard_id, shard in self._shards.items():
                trie = self.trie_at(shard_id, height)
                imaged = shard.image.height
                if height < imaged:
                    writes += self._patch_image(shard_id, shard, height, trie)
                if shard.building is not None and shard.building.info.height > height:
                    generation = shard.building.info.generation
                    start, end = _image_key(shard_id, generation, 0), _image_key(shard_id, generation + 1, 0)
                    shard.garbage.append((start, end))
                    shard.building = None
                shard.recent = [item for item in shard.recent if item.height <= height]
                if not shard.recent:
                    shard.recent = [_Recent(height, trie, 0)]
                shard.recent_changes = sum(item.changes for item in shard.recent)
                for key, record in self._scan_changes(height + 1, _HEIGHT_END, shard_id):
                    writes.append((CHANGES, key, None))
                    if int.from_bytes(key[:8], "big") > imaged:
                        shard.changes_bytes -= len(record)
            self._reconstructed.clear()
            return writes

    def _patch_image(self, shard_id: ShardId, shard: _Shard, height: int, trie: Trie) -> list[Write]:
        """Turn an image that is newer than the new head back, by a patch on top of it."""
        key = _patch_key(shard_id, shard.image.generation)
        records = [record for _, record in self._scan_changes(height + 1, shard.image.height, shard_id)]
        patch = old_values(records, self._store.get(META, key) or b"")
        shard.image = msgspec.structs.replace(shard.image, height=height, root=trie.root)
        row = (META, b"shard" + _number(shard_id), msgspec.msgpack.encode(shard.image))
        return [(META, key, patch), row]

    def prune(self, oldest_height: BlockHeight, *, records_max: int = 1000) -> list[Write]:
        """Forget history below ``oldest_height``, at most so many change records at a time.

        Records that an image does not cover yet stay; a new image is begun for them.
        """
        with self._lock:
            reach = oldest_height
            for shard in self._shards.values():
                if shard.image.height < oldest_height:
                    self._begin_image(shard)
                    reach = BlockHeight(min(reach, shard.image.height))
            if reach <= self._floor:
                return []
            # State at `reach` is rebuilt from above it, so its own record may go.
            found = self._store.scan(CHANGES, None, _change_key(reach + 1, 0), limit=records_max)
            if len(found) == records_max:
                reach = BlockHeight(int.from_bytes(found[-1][0][:8], "big") - 1)
                found = [item for item in found if item[0] < _change_key(reach + 1, 0)]
            self._floor = max(self._floor, reach)
            for shard_id, height in list(self._reconstructed):
                if height < self._floor:
                    del self._reconstructed[shard_id, height]
            writes: list[Write] = [(CHANGES, key, None) for key, _ in found]
            return [*writes, (META, _FLOOR, _number(self._floor))]


def _must_match(trie: Trie, root: bytes, what: str) -> None:
    if trie.root != root:
        raise StateDamaged(f"{what}: root {trie.root.hex()} instead of {root.hex()}")
