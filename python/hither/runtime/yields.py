"""Promise yields: receipts that wait for the contract to resume them, or for their time to run out.

Source: nearcore ``resolve_promise_yield_timeouts``, ``process_receipt``.
"""

from hither.params import ProtocolFeature
from hither.primitives.ids import compute_receipt_id
from hither.primitives.receipt import DataReceipt, Receipt
from hither.primitives.types import AccountId, BlockHeight, CryptoHash
from hither.runtime.chunk_run import ChunkRun
from hither.state import keys, records
from hither.state.records import PromiseYieldStatus, PromiseYieldTimeout, QueueIndices


def enqueue_yield_timeouts(run: ChunkRun, account_id: AccountId, data_ids: list[CryptoHash]) -> None:
    """Note when new yields are to be given up; the queue is in order of expiry."""
    if not data_ids:
        # NEAR's node reads the indices after every call; the read counts in the storage proof.
        run.state.get(keys.PROMISE_YIELD_INDICES)
        return
    indices = records.get_promise_yield_indices(run.state)
    wait = run.config.wasm.limits.yield_timeout_length_in_blocks
    expires_at = BlockHeight(run.context.block_height + wait)
    for offset, data_id in enumerate(data_ids):
        timeout = PromiseYieldTimeout(account_id, data_id, expires_at)
        index = indices.next_available_index + offset
        records.set_promise_yield_timeout(run.state, index, timeout)
    next_index = indices.next_available_index + len(data_ids)
    records.set_promise_yield_indices(run.state, QueueIndices(indices.first_index, next_index))


def take_resumed_receipt(run: ChunkRun, receipt: Receipt, resume: DataReceipt) -> Receipt | None:
    """The yielded receipt that this resume sets free, its input stored.

    None if it was resumed before, or if this is a time-out and the contract's own
    resume is on its way.
    """
    state, account_id, data_id = run.state, receipt.receiver_id, resume.data_id
    if resume.data is None:
        status = records.get_promise_yield_status_optional(state, account_id, data_id)
        if status is PromiseYieldStatus.RESUME_INITIATED:
            return None
    yielded = records.get_promise_yield_receipt_optional(state, account_id, data_id)
    if yielded is None:
        return None
    state.remove(keys.promise_yield_receipt(account_id, data_id))
    state.remove(keys.promise_yield_status(account_id, data_id))
    if ProtocolFeature.YIELD_WITH_ID.is_enabled(run.version):
        id_key = keys.data_id_to_yield_id(account_id, data_id)
        yield_id = state.get(id_key)
        if yield_id is not None:
            state.remove(id_key)
            state.remove(keys.yield_id_to_data_id(account_id, CryptoHash(yield_id)))
    records.set_received_data(state, account_id, data_id, resume.data)
    return yielded


def resolve_yield_timeouts(run: ChunkRun) -> None:
    """Give up the yields whose time is over: each gets a resume without data, in a later chunk."""
    state, height = run.state, run.context.block_height
    indices = records.get_promise_yield_indices(state)
    first, resume_count = indices.first_index, 0
    while first < indices.next_available_index and not run.is_full():
        timeout = records.get_promise_yield_timeout_optional(state, first)
        assert timeout is not None, "a queued time-out should be in the state"
        if timeout.expires_at > height:
            break
        if state.has(keys.promise_yield_receipt(timeout.account_id, timeout.data_id)):
            receipt_id = compute_receipt_id(timeout.data_id, height, resume_count)
            resume_count += 1
            resume = DataReceipt(timeout.data_id, None, is_promise_resume=True)
            receipt = Receipt(timeout.account_id, timeout.account_id, receipt_id, resume)
            run.sink.forward_or_buffer(receipt)
        state.remove(keys.promise_yield_timeout(first))
        first += 1
    if first != indices.first_index:
        records.set_promise_yield_indices(state, QueueIndices(first, indices.next_available_index))


def find_oldest_yield(state: records.Readable, start: int = 0) -> tuple[int, BlockHeight | None]:
    """Where in the queue of time-outs the oldest yield stands that still waits, and when it is given up.

    The queue keeps the time-outs of yields that were resumed until their time comes; ``start`` is a place before
    which none waits any more. Without one that waits: the queue's end and None.
    """
    indices = records.get_promise_yield_indices(state)
    for index in range(max(start, indices.first_index), indices.next_available_index):
        timeout = records.get_promise_yield_timeout_optional(state, index)
        assert timeout is not None, "a queued time-out should be in the state"
        if state.get(keys.promise_yield_receipt(timeout.account_id, timeout.data_id)) is not None:
            return index, timeout.expires_at
    return indices.next_available_index, None
