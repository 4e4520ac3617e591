"""Applying a chunk: the state transition of one shard at one height.

Entry point: ``apply_chunk``. It reads nothing but its arguments, so that every
node comes to the same result. The order of its steps is the protocol's.

Source: nearcore ``Runtime::apply``.
"""

from collections.abc import Collection, Iterable, Sequence

from hither.primitives.receipt import Receipt
from hither.primitives.sharding import ValidatorStake
from hither.primitives.transaction import SignedTransaction
from hither.primitives.types import AccountId, Balance, CryptoHash, Gas
from hither.runtime import causes
from hither.runtime.balance_checker import assert_balanced
from hither.runtime.bandwidth_scheduler import run_bandwidth_scheduler
from hither.runtime.chunk_run import ChunkRun
from hither.runtime.fees import GAS_MAX, get_fees
from hither.runtime.receipt_validation import validate_receipt
from hither.runtime.receipts import process_receipt
from hither.runtime.transactions import process_transactions
from hither.runtime.types import ApplyContext, ApplyResult
from hither.runtime.validator_accounts import update_validator_accounts
from hither.runtime.yields import resolve_yield_timeouts
from hither.state import ChunkState, Trie
from hither.vm import Vm


class InvalidReceipt(AssertionError):
    """An incoming or stored receipt breaks the rules: the chunk is invalid, or the state damaged."""


def apply_chunk(
    trie: Trie,
    context: ApplyContext,
    transactions: Sequence[SignedTransaction],
    incoming_receipts: Sequence[Receipt],
    vm: Vm,
    *,
    verified: Collection[CryptoHash] = frozenset(),
) -> ApplyResult:
    """The new state and everything that the next chunk header commits to.

    ``incoming_receipts`` are those that other shards, and this one, sent to this
    shard at the heights before, in order. ``verified`` are hashes of transactions whose
    signatures were found good before, so that they are not checked twice. A chunk missing
    from its block is applied without transactions and receipts: only what happens at every
    height happens.
    """
    state = ChunkState(trie)
    minted = Balance(0)
    if context.validator_update is not None:
        minted = update_validator_accounts(state, context.validator_update)
    grants = run_bandwidth_scheduler(context, state)
    state.commit(causes.BANDWIDTH_SCHEDULER_STATE_UPDATE)
    if not context.is_new_chunk:
        _patch_state(state, context)
        return _make_result_of_missing_chunk(state, context)
    run = ChunkRun(context, get_fees(context.config), state, grants, vm)
    run.minted = minted
    run.sink.forward_from_buffers()
    local_receipts = process_transactions(run, transactions, verified)
    _process_or_delay(run, local_receipts)
    _process_delayed(run)
    _process_or_delay(run, _validate_incoming(run, incoming_receipts))
    resolve_yield_timeouts(run)
    return _make_result(run, incoming_receipts)


def _process_with_instant(run: ChunkRun, receipt: Receipt) -> None:
    """Process a receipt, then the instant ones that it made, and that those made."""
    process_receipt(run, receipt)
    run.processed_receipts.append(receipt)
    instant = run.instant_receipts
    while instant:
        following = instant.popleft()
        process_receipt(run, following)
        run.processed_receipts.append(following)


def _process_or_delay(run: ChunkRun, receipts: Iterable[Receipt]) -> None:
    """Process receipts while the chunk has room; put the rest off to a later chunk."""
    for receipt in receipts:
        if run.is_full():
            run.delayed.push(receipt)
        else:
            _process_with_instant(run, receipt)


def _process_delayed(run: ChunkRun) -> None:
    """Process what earlier chunks put off, oldest first, while there is room."""
    while not run.is_full():
        receipt = run.delayed.pop_optional()
        if receipt is None:
            return
        _must_be_valid(run, receipt)
        _process_with_instant(run, receipt)


def _validate_incoming(run: ChunkRun, receipts: Sequence[Receipt]) -> Iterable[Receipt]:
    for receipt in receipts:
        _must_be_valid(run, receipt)
        yield receipt


def _must_be_valid(run: ChunkRun, receipt: Receipt) -> None:
    error = validate_receipt(run.config, receipt, run.version, is_new=False)
    if error is not None:
        raise InvalidReceipt(f"receipt {receipt.receipt_id.hex()}: {error}")


def _make_result(run: ChunkRun, incoming_receipts: Sequence[Receipt]) -> ApplyResult:
    congestion_info = run.sink.compute_congestion_info(run.delayed)
    bandwidth_requests = run.sink.make_bandwidth_requests()
    run.state.commit(causes.UPDATED_DELAYED_RECEIPTS)
    assert run.gas_burnt <= GAS_MAX
    _patch_state(run.state, run.context)
    sealed = run.state.seal()
    burnt = Balance(run.tokens_burnt - run.subsidized_amount)
    outgoing = run.sink.outgoing_receipts
    if not run.context.state_patch:  # A patch makes and destroys money as it likes.
        assert_balanced(run.fees, sealed.changes, incoming_receipts, outgoing, run.minted, burnt)
    return ApplyResult(
        sealed=sealed,
        outcomes=tuple(run.outcomes),
        outgoing_receipts=tuple(outgoing),
        outgoing_rows=tuple(run.sink.outgoing_rows),
        processed_receipts=tuple(run.processed_receipts),
        validator_proposals=_keep_last_proposals(run.validator_proposals),
        gas_burnt=Gas(run.gas_burnt),
        balance_burnt=burnt,
        congestion_info=congestion_info,
        bandwidth_requests=bandwidth_requests,
    )


def _patch_state(state: ChunkState, context: ApplyContext) -> None:
    """Write records by hand, as a development chain may be asked to."""
    for key, value in context.state_patch:
        if value is None:
            state.remove(key)
        else:
            state.set(key, value)
    state.commit(causes.MIGRATION)


def _keep_last_proposals(proposals: Sequence[ValidatorStake]) -> tuple[ValidatorStake, ...]:
    """The last proposal of each account, latest first."""
    last: dict[AccountId, ValidatorStake] = {}
    for proposal in reversed(proposals):
        last.setdefault(proposal.account_id, proposal)
    return tuple(last.values())


def _make_result_of_missing_chunk(state: ChunkState, context: ApplyContext) -> ApplyResult:
    """Nothing was sent, so congestion and wishes are what they were."""
    return ApplyResult(
        sealed=state.seal(),
        outcomes=(),
        outgoing_receipts=(),
        outgoing_rows=(),
        processed_receipts=(),
        validator_proposals=(),
        gas_burnt=Gas(0),
        balance_burnt=Balance(0),
        congestion_info=context.congestion[context.shard_id].info,
        bandwidth_requests=context.bandwidth_requests.get(context.shard_id, ()),
    )
