"""State: tries, the overlay of a chunk, trie keys, records, and the store they are kept in.

* ``Trie``: an immutable version of a shard's state. ``update`` gives the next one; both stay readable.
* ``ChunkState``: what one chunk reads and writes on top of a trie. ``commit`` takes the
  current changes into the chunk under a cause, ``rollback`` forgets them, ``seal`` ends it.
* ``keys``: every trie key, one function a column. ``records``: accounts, keys and receipts as values.
* ``Store``: tables of sorted bytes on disk, one synced atomic commit at a time; the chain keeps its
  own tables in the same one.
* ``StateStore``: the heads of all shards and their history in such a store:
  ``genesis``, ``load``, ``append``, ``trie_at``, ``get_changes``, ``revert_to``, ``prune``.
* ``StateDesk``, ``StateClient``: one process's states for another one. A ``DistantTrie`` is asked as a ``Trie`` is,
  and raises ``StateGone`` where the other process does not keep it; ``read_ahead`` fetches what several will ask.

Invariants: the shape and root of a trie depend on its content alone. What an overlay
recorded (proof size, touched nodes) is never taken back, since gas depends on it.
``StateStore`` hands out writes; nothing is on disk before the caller's commit.

Gotchas: ``get`` records the value as part of the storage proof, ``has`` and
``get_reference`` record only the way to it; which one is called changes what fits into a chunk.
"""

from hither_native import (
    ChunkState,
    DistantTrie,
    InvalidInput,
    Sealed,
    StateClient,
    StateDesk,
    StateGone,
    Store,
    StoreError,
    Trie,
    read_ahead,
)

from hither.state.state_store import (
    STATE_TABLES,
    StateDamaged,
    StateNotRetained,
    StateStore,
    StateStoreOptions,
)

AnyTrie = Trie | DistantTrie
"""What can be asked about a state, wherever it is."""

__all__ = [
    "STATE_TABLES",
    "AnyTrie",
    "ChunkState",
    "DistantTrie",
    "InvalidInput",
    "Sealed",
    "StateClient",
    "StateDamaged",
    "StateDesk",
    "StateGone",
    "StateNotRetained",
    "StateStore",
    "StateStoreOptions",
    "Store",
    "StoreError",
    "Trie",
    "read_ahead",
]
