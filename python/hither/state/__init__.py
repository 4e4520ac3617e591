"""State: tries, the overlay of a chunk, trie keys, records, and the store they are kept in.

* ``Trie``: an immutable version of a shard's state. ``update`` gives the next one; both stay readable.
* ``ChunkState``: what one chunk reads and writes on top of a trie. ``commit`` takes the
  current changes into the chunk under a cause, ``rollback`` forgets them, ``seal`` ends it.
* ``keys``: every trie key, one function a column. ``records``: accounts, keys and receipts as values.

Invariants: the shape and root of a trie depend on its content alone. What an overlay
recorded (proof size, touched nodes) is never taken back, since gas depends on it.

Gotchas: ``get`` records the value as part of the storage proof, ``has`` and
``get_reference`` record only the way to it; which one is called changes what fits into a chunk.
"""

from hither_native import ChunkState, InvalidInput, Sealed, StoreError, Trie

__all__ = ["ChunkState", "InvalidInput", "Sealed", "StoreError", "Trie"]
