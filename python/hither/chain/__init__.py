"""Order: blocks, chunks, epochs, the pool, the sequencer, and what is kept of them.

``chain`` decides in which order things happen; ``runtime`` decides what they do.
Nothing here knows a socket or reads a clock: time comes in as an argument.

* ``reader``: what others may ask (``ChainReader``) and tell (``ChainControl``) a chain.
* ``sequencer``: when a block is made; a pure ``step(state, event)``.
* ``production`` and ``application``: how blocks are made and what they do, as functions of
  ``head.ChainHead``; ``epochs``: who makes them; ``pool`` and ``admission``: of what.
* ``engine``: the one owner of a running chain; ``storage``, ``rows``: where it is kept;
  ``stored_chain``: the answers to readers.
* ``genesis``, ``genesis_block``: how it begins; ``verification``: whether it is what follows from that.

Invariants: a head is immutable, and the next block is a function of the head, the transactions, the
time and the validator keys. Readers see a head only after it is on disk.

Gotchas: the chunk at height h carries the state *before* h; the first block of a chain has no chunks;
a transaction's receipt, even to an account of the same shard, is executed one height later.
"""
