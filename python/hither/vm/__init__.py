"""Running contracts: NEAR's VM over the overlay of a chunk.

Entry point: ``Vm``. ``Vm.call`` runs a method on a ``ChunkState``: its writes stay
uncommitted there, also when the method fails, so the caller commits or rolls back.
``Vm.view`` runs a method on a ``Trie`` and cannot write.

Invariants:

* A contract's own failure is ``CallOutcome.error_json``; an exception means a
  caller's mistake (``InvalidInput``) or a machine that cannot go on (``VmError``).
* Gas, logs, profile and errors are NEAR's. Unused gas is spread over weighted calls
  already, and ``gas_used`` includes it.
* Both release the interpreter lock; one ``Vm`` serves all threads.

Gotchas:

* ``Call.account_balance`` is the balance without the attached deposit; ``CallOutcome.balance``
  is with it, and means nothing when the call failed.
* Trie nodes of yields (status, id mappings) are written by the call itself; the queue of
  timeouts is the caller's.
* A view that is interrupted fails with an ``ExecutionError`` of our own; the clock is read
  when the contract asks the host for storage and between attempts of growing gas, so an
  endless loop ends a few hundred milliseconds late at worst.
"""

from hither_native import Call, CallOutcome, DistantTrie, NewReceipt, Trie, Vm


def run_view(
    vm: Vm | None, trie: Trie | DistantTrie, call: Call, interrupt_after_ms: int | None = None
) -> CallOutcome:
    """Run a method that cannot write, in the process that has the state. Only there a ``vm`` is needed."""
    if isinstance(trie, DistantTrie):
        return trie.view(call, interrupt_after_ms)
    assert vm is not None, "who has the state has a VM"
    return vm.view(trie, call, interrupt_after_ms)


__all__ = ["Call", "CallOutcome", "NewReceipt", "Vm", "run_view"]
