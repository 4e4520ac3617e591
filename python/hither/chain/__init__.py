"""Order: blocks, chunks, epochs, the pool, the sequencer, and what is kept of them.

``chain`` decides in which order things happen; ``runtime`` decides what they do.
Nothing here knows a socket or reads a clock: time comes in as an argument.

Entry points: ``reader.ChainReader`` (what others may ask), ``sequencer.step`` (when a
block is made), ``producer`` (how a block is made), ``epochs`` (who makes it),
``storage`` (where it is kept).
"""
