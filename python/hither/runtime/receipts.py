"""Processing receipts: inputs are joined, waiting receipts set free, actions executed, results sent on.

``process_receipt`` is for one receipt of any kind; whoever calls it sees to the
instant receipts that come of it. Source: nearcore ``process_receipt``,
``apply_action_receipt``.
"""

import msgspec

from hither.primitives.account import Account, Contract
from hither.primitives.action import DeleteAccount
from hither.primitives.ids import compute_receipt_id
from hither.primitives.outcome import Failure, Outcome, Status, SuccessReceiptId, SuccessValue
from hither.primitives.receipt import (
    ActionReceipt,
    DataReceipt,
    GlobalContractDistribution,
    Receipt,
)
from hither.primitives.types import ZERO_HASH, AccountId, Balance, CryptoHash, Gas
from hither.runtime import causes, global_contracts, refunds
from hither.runtime.action_result import ActionResult
from hither.runtime.actions import apply_action
from hither.runtime.chunk_run import ChunkRun
from hither.runtime.fees import checked_balance, total_deposit
from hither.runtime.receipt_frame import ReceiptFrame
from hither.runtime.receipt_validation import validate_receipt
from hither.runtime.storage_stake import compute_storage_lack
from hither.runtime.yields import take_resumed_receipt
from hither.state import keys, records

_EMPTY_VALUE = SuccessValue(b"")


def process_receipt(run: ChunkRun, receipt: Receipt) -> None:
    """Do what the receipt is for: execute it, keep it, or set another free."""
    body = receipt.body
    if isinstance(body, ActionReceipt):
        if body.is_promise_yield:
            records.set_promise_yield_receipt(run.state, receipt)
        elif not body.input_data_ids or not _postpone(run, receipt, body):
            run.add_outcome(_execute(run, receipt, body))
            return
    elif isinstance(body, DataReceipt):
        if body.is_promise_resume:
            ready = take_resumed_receipt(run, receipt, body)
            if ready is None:
                return
        else:
            ready = _join_data(run, receipt, body)
        if ready is not None:
            assert isinstance(ready.body, ActionReceipt)
            run.add_outcome(_execute(run, ready, ready.body))
            return
    else:
        _distribute(run, receipt, body)
        return
    run.state.commit(causes.POSTPONED_RECEIPT + receipt.receipt_id)


def _postpone(run: ChunkRun, receipt: Receipt, body: ActionReceipt) -> bool:
    """Keep the receipt until its inputs are there; False if they all are."""
    state, account_id = run.state, receipt.receiver_id
    pending_count = 0
    for data_id in body.input_data_ids:
        if not state.has(keys.received_data(account_id, data_id)):
            pending_count += 1
            records.set_postponed_receipt_id(state, account_id, data_id, receipt.receipt_id)
    if pending_count == 0:
        return False
    records.set_pending_data_count(state, account_id, receipt.receipt_id, pending_count)
    records.set_postponed_receipt(state, receipt)
    return True


def _join_data(run: ChunkRun, receipt: Receipt, body: DataReceipt) -> Receipt | None:
    """Keep an input; the receipt that waited for it, if this was the last it lacked."""
    state, account_id = run.state, receipt.receiver_id
    records.set_received_data(state, account_id, body.data_id, body.data)
    receipt_id = records.get_postponed_receipt_id_optional(state, account_id, body.data_id)
    if receipt_id is None:
        return None
    state.remove(keys.postponed_receipt_id(account_id, body.data_id))
    pending_count = records.get_pending_data_count_optional(state, account_id, receipt_id)
    assert pending_count, "a postponed receipt lacks at least one input"
    if pending_count > 1:
        records.set_pending_data_count(state, account_id, receipt_id, pending_count - 1)
        return None
    state.remove(keys.pending_data_count(account_id, receipt_id))
    ready = records.get_postponed_receipt_optional(state, account_id, receipt_id)
    assert ready is not None, "a postponed receipt should be in the state"
    state.remove(keys.postponed_receipt(account_id, receipt_id))
    return ready


def _distribute(run: ChunkRun, receipt: Receipt, body: GlobalContractDistribution) -> None:
    """Store global code in this shard and send it to the next."""
    if global_contracts.store_distributed_contract(run.state, body):
        run.state.commit(causes.RECEIPT_PROCESSING + receipt.receipt_id)
        run.vm.precompile(body.code, run.version)
        run.compute_usage += global_contracts.compute_distribution_compute(run.context, body)
    following = global_contracts.make_next_distribution_optional(run.context, receipt)
    if following is not None:
        run.sink.forward_or_buffer(following)


def _execute(run: ChunkRun, receipt: Receipt, body: ActionReceipt) -> Outcome:
    """Execute an action receipt whose inputs are all there."""
    state, account_id = run.state, receipt.receiver_id
    promise_results = _take_inputs(run, account_id, body.input_data_ids)
    state.commit(causes.RECEIPT_PROCESSING_STARTED + receipt.receipt_id)
    account = records.get_account_record_optional(state, account_id)
    frame = ReceiptFrame(run, receipt, body, account, promise_results)
    result, contracts = _perform_actions(frame)
    if result.error is None:
        _store_account(frame, result)
    settlement = refunds.NOTHING_TO_SETTLE
    if not frame.is_refund:
        is_created = account is None and frame.account is not None and result.error is None
        settlement = refunds.settle_gas(frame, result, is_created)
    elif result.error is not None:
        # A refund that finds no receiver is lost.
        run.tokens_burnt += total_deposit(body.actions)
    run.validator_proposals += result.validator_proposals
    if result.error is None:
        state.commit(causes.RECEIPT_PROCESSING + receipt.receipt_id)
    else:
        state.rollback()
    tokens_burnt = _count_burnt_tokens(frame, result, settlement)
    _add_results_of_receivers(frame, result)
    receipt_ids = _send_new_receipts(run, receipt, result.new_receipts)
    return Outcome(
        receipt.receipt_id,
        tuple(result.logs),
        receipt_ids,
        Gas(result.gas_burnt),
        tokens_burnt,
        account_id,
        _make_status(run, receipt, result),
        result.compute_usage,
        result.make_profile(),
        contracts,
        3 if contracts is None else 4,
    )


def _take_inputs(
    run: ChunkRun, account_id: AccountId, data_ids: tuple[CryptoHash, ...]
) -> list[bytes | bool | None]:
    """Read the inputs and remove them from the state."""
    results: list[bytes | bool | None] = []
    for data_id in data_ids:
        received = records.get_received_data_optional(run.state, account_id, data_id)
        assert received is not None, "received data should be in the state"
        run.state.remove(keys.received_data(account_id, data_id))
        results.append(received.data)
    return results


def _perform_actions(frame: ReceiptFrame) -> tuple[ActionResult, tuple[Contract, ...] | None]:
    """The merged result, and the receiver's contract before each action (from 85 on).

    Actions after a failed one are not performed; their contract stands as None.
    """
    run, actions = frame.run, frame.body.actions
    fee = run.fees.receipt.execute
    result: ActionResult | None = None
    contracts: list[Contract] = []
    if run.is_proof_limited_per_receipt:
        frame.recorded_size_before = run.state.recorded_size
    for index, action in enumerate(actions):
        contracts.append(frame.account.contract if isinstance(frame.account, Account) else None)
        following = apply_action(frame, action, index)
        if following.error is not None:
            following.set_error(following.error)
        elif following.new_receipts:
            _validate_new_receipts(run, following)
        if result is None:
            result = following
            result.add_fee(fee)
        else:
            result.merge(following)
        if run.is_proof_limited_per_action and result.error is None:
            _check_proof_size(frame, result)
        if result.error is not None:
            result.error_index = index
            break
    if result is None:
        result = ActionResult(fee, fee)
    if not run.is_contract_listed:
        return result, None
    padding = (None,) * (len(actions) - len(contracts))
    return result, (*contracts, *padding)


def _validate_new_receipts(run: ChunkRun, result: ActionResult) -> None:
    for receipt in result.new_receipts:
        error = validate_receipt(run.config, receipt, run.version, is_new=True)
        if error is not None:
            result.set_error({"NewReceiptValidationError": error})
            return


def _check_proof_size(frame: ReceiptFrame, result: ActionResult) -> None:
    """One receipt may not make a chunk's proof too large, whatever its actions."""
    limit = frame.run.config.wasm.limits.per_receipt_storage_proof_size_limit
    if frame.run.state.recorded_size - frame.recorded_size_before > limit:
        result.set_error({"ReceiptStorageProofSizeExceeded": {"limit": limit}})


def _store_account(frame: ReceiptFrame, result: ActionResult) -> None:
    """Write the receiver back if its balance covers its storage; a deleted one is gone already."""
    account = frame.account
    if account is None:
        return
    lack = compute_storage_lack(frame.run.config, account, account.amount)
    if lack:
        fields = {"account_id": frame.account_id, "amount": str(lack)}
        result.set_error({"LackBalanceForState": fields})
    else:
        records.set_account(frame.run.state, frame.account_id, account)


def _count_burnt_tokens(
    frame: ReceiptFrame,
    result: ActionResult,
    settlement: refunds.GasSettlement,
) -> Balance:
    """What the receipt burns, as its outcome says; the receiver's reward is not part of the supply's loss.

    Refunds cost nothing, though their gas counts.
    """
    run = frame.run
    burn_price = run.context.gas_price
    if run.is_burn_price_clamped:
        burn_price = min(burn_price, frame.body.gas_price)
    gas_burnt = 0 if frame.is_refund else result.gas_burnt
    burnt = (
        gas_burnt * burn_price
        - settlement.price_deficit
        + settlement.price_surplus
        + settlement.penalty
        + settlement.account_creation_charge
        + result.tokens_burnt
    )
    reward = _pay_reward(frame, result) if result.gas_burnt_for_function_call else 0
    run.tokens_burnt = checked_balance(run.tokens_burnt + burnt - reward)
    run.subsidized_amount += result.subsidized_amount
    return Balance(burnt)


def _pay_reward(frame: ReceiptFrame, result: ActionResult) -> Balance:
    """A share of the gas that its contract burnt goes to the receiver, if it exists (until 86)."""
    run = frame.run
    numerator, denominator = run.config.fees.burnt_gas_reward
    reward = result.gas_burnt_for_function_call * numerator // denominator
    price = frame.body.gas_price
    if run.is_burn_price_clamped:
        price = min(price, run.context.gas_price)
    amount = Balance(reward * price)
    if amount == 0:
        return amount
    account = records.get_account_optional(run.state, frame.account_id)
    if account is None:
        return Balance(0)
    account = msgspec.structs.replace(account, amount=checked_balance(account.amount + amount))
    records.set_account(run.state, frame.account_id, account)
    run.state.commit(causes.GAS_REWARD + frame.receipt.receipt_id)
    return amount


def _add_results_of_receivers(frame: ReceiptFrame, result: ActionResult) -> None:
    """Whoever waits for this receipt's result gets it, or will get that of the receipt it returned."""
    receivers = frame.body.output_data_receivers
    if not receivers:
        return
    if result.error is None and isinstance(result.value, int):
        returned = result.new_receipts[result.value]
        body = returned.body
        assert isinstance(body, ActionReceipt), "a call returns action receipts only"
        body = msgspec.structs.replace(body, output_data_receivers=body.output_data_receivers + receivers)
        result.new_receipts[result.value] = msgspec.structs.replace(returned, body=body)
        return
    data: bytes | None = None
    if result.error is None:
        data = result.value if isinstance(result.value, bytes) else b""
    for receiver in receivers:
        body_out = DataReceipt(receiver.data_id, data)
        result.new_receipts.append(Receipt(frame.account_id, receiver.receiver_id, ZERO_HASH, body_out))


def _send_new_receipts(run: ChunkRun, parent: Receipt, new_receipts: list[Receipt]) -> tuple[CryptoHash, ...]:
    """Name the new receipts and send them; the ids of those that outcomes list."""
    listed: list[CryptoHash] = []
    height = run.context.block_height
    for index, new in enumerate(new_receipts):
        receipt_id = compute_receipt_id(parent.receipt_id, height, index)
        receipt = Receipt(new.predecessor_id, new.receiver_id, receipt_id, new.body)
        if isinstance(new.body, ActionReceipt):
            listed.append(receipt_id)
        if is_instant(receipt):
            run.instant_receipts.append(receipt)
        else:
            run.sink.forward_or_buffer(receipt)
    return tuple(listed)


def is_instant(receipt: Receipt) -> bool:
    """Whether the receipt is processed right after the one that made it, whatever the chunk's limits.

    Both kinds are quick: storing a yield, and deleting an account.
    """
    body = receipt.body
    if not isinstance(body, ActionReceipt):
        return False
    if body.is_promise_yield:
        return True
    actions = body.actions
    return len(actions) == 1 and isinstance(actions[0], DeleteAccount) and not body.input_data_ids


def _make_status(run: ChunkRun, receipt: Receipt, result: ActionResult) -> Status:
    if result.error is not None:
        return Failure({"ActionError": {"index": result.error_index, "kind": result.error}})
    if isinstance(result.value, int):
        height = run.context.block_height
        return SuccessReceiptId(compute_receipt_id(receipt.receipt_id, height, result.value))
    return SuccessValue(result.value) if result.value else _EMPTY_VALUE
