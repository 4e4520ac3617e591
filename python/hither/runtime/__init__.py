"""The effect of transactions and receipts on a shard's state.

Entry point: ``apply.apply_chunk`` with an ``ApplyContext``; it gives an
``ApplyResult``. The way in: ``apply`` (order of a chunk) → ``transactions`` and
``verifier`` (charge and convert) → ``receipts`` (join, execute, send on) →
``actions/`` (one file a family) → ``refunds``. ``fees`` prices everything;
``receipt_sink``, ``queues``, ``congestion_control`` and ``bandwidth_scheduler``
decide when receipts leave.

Invariants: nothing here knows a socket, a clock or a block's ancestors. A failed
action is a value in the outcome, an invalid transaction an outcome too; an
exception means a damaged state or an invalid chunk and stops the node. What was
read counts towards the chunk's proof, so a read more or less changes consensus.
"""
