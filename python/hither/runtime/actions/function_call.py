"""FunctionCall: run a method of the receiver's contract and take over what it made."""

import msgspec

from hither.crypto.keys import encode_public_key
from hither.primitives.account import (
    Account,
    Contract,
    GlobalContractByAccount,
    LocalContract,
    encode_contract,
)
from hither.primitives.action import FunctionCall, decode_actions
from hither.primitives.ids import compute_action_hash, compute_random_seed
from hither.primitives.receipt import ActionReceipt, DataReceipt, DataReceiver, Receipt
from hither.primitives.types import ZERO_HASH, AccountId, Balance, CryptoHash
from hither.runtime.action_result import ActionResult
from hither.runtime.fees import checked_balance
from hither.runtime.receipt_frame import ReceiptFrame
from hither.runtime.yields import enqueue_yield_timeouts
from hither.state import keys
from hither.vm import Call, CallOutcome, NewReceipt


def apply_function_call(
    frame: ReceiptFrame, action: FunctionCall, result: ActionResult, action_index: int
) -> None:
    """Run the method. On failure its writes are rolled back with the receipt's."""
    run, account = frame.run, frame.own_account
    checked_balance(account.amount + action.deposit)
    outcome = run.vm.call(run.state, _make_call(frame, account, action, action_index))
    result.gas_burnt += outcome.gas_burnt
    result.gas_burnt_for_function_call += outcome.gas_burnt
    result.gas_used += outcome.gas_used
    result.compute_usage += outcome.compute_usage
    result.logs += outcome.logs
    result.add_profile(outcome.profile)
    error_json = outcome.error_json
    if error_json is not None:
        result.error = {"FunctionCallError": msgspec.json.decode(error_json)}
        return
    result.subsidized_amount += outcome.subsidized_amount
    result.new_receipts += _make_receipts(frame, outcome)
    result.value = outcome.return_value
    frame.account = Account(
        Balance(outcome.balance),
        account.locked,
        outcome.storage_usage,
        account.contract,
        account.version,
    )


def _find_code(frame: ReceiptFrame, contract: Contract) -> tuple[CryptoHash, bytes | None]:
    """Hash of the code and the trie key where it lies."""
    if contract is None:
        return ZERO_HASH, None
    if isinstance(contract, LocalContract):
        return contract.code_hash, keys.contract_code(frame.account_id)
    key = keys.global_contract_code(contract)
    if isinstance(contract, GlobalContractByAccount):
        reference = frame.run.state.get_reference(key)
        assert reference is not None, "an account uses only global contracts that exist"
        return CryptoHash(reference[1]), key
    return contract.code_hash, key


def _make_call(frame: ReceiptFrame, account: Account, action: FunctionCall, action_index: int) -> Call:
    """Everything that the contract may ask about its surroundings.

    Only the last action's result goes to the output receivers, so only that one
    is told of them: the call pays for sending to them.
    """
    run, receipt, body = frame.run, frame.receipt, frame.body
    context = run.context
    action_hash = compute_action_hash(receipt.receipt_id, context.block_height, action_index)
    code_hash, code_key = _find_code(frame, account.contract)
    is_last = action_index + 1 == len(body.actions)
    receivers = [str(to.receiver_id) for to in body.output_data_receivers] if is_last else []
    return Call(
        protocol_version=run.version,
        chain_id=context.chain_id,
        current_account_id=frame.account_id,
        signer_account_id=body.signer_id,
        signer_public_key=encode_public_key(body.signer_public_key),
        predecessor_account_id=receipt.predecessor_id,
        refund_to_account_id=receipt.predecessor_id if body.refund_to is None else body.refund_to,
        method_name=action.method_name,
        args=action.args,
        promise_results=frame.promise_results,
        block_height=context.block_height,
        block_timestamp=context.block_timestamp_ns,
        epoch_height=context.epoch_height,
        account_balance=account.amount,
        account_locked_balance=account.locked,
        storage_usage=account.storage_usage,
        account_contract=encode_contract(account.contract),
        code_hash=code_hash,
        code_key=code_key,
        attached_deposit=action.deposit,
        prepaid_gas=action.gas,
        random_seed=compute_random_seed(action_hash, context.random_value),
        output_data_receivers=receivers,
        action_hash=action_hash,
        validators=list(context.validators),
        recorded_size_before_receipt=(
            frame.recorded_size_before if run.is_proof_limited_per_receipt else run.state.recorded_size
        ),
    )


def _make_receipts(frame: ReceiptFrame, outcome: CallOutcome) -> list[Receipt]:
    """The call's promises as receipts, then the data of the yields that it resumed."""
    new_receipts = outcome.receipts
    enqueue_yield_timeouts(
        frame.run,
        frame.account_id,
        [CryptoHash(new.input_data_ids[0]) for new in new_receipts if new.is_promise_yield],
    )
    receipts = [_make_action_receipt(frame, new) for new in new_receipts]
    for data_id, data in outcome.data_receipts:
        resume = DataReceipt(CryptoHash(data_id), data, is_promise_resume=True)
        receipts.append(Receipt(frame.account_id, frame.account_id, ZERO_HASH, resume))
    return receipts


def _make_action_receipt(frame: ReceiptFrame, new: NewReceipt) -> Receipt:
    """Gas of the new receipt was bought by the same signer at the same price."""
    body = ActionReceipt(
        frame.body.signer_id,
        frame.body.signer_public_key,
        frame.body.gas_price,
        tuple(
            DataReceiver(CryptoHash(data_id), AccountId(receiver_id))
            for data_id, receiver_id in new.output_data_receivers
        ),
        tuple(CryptoHash(data_id) for data_id in new.input_data_ids),
        decode_actions(new.actions),
        refund_to=None if new.refund_to is None else AccountId(new.refund_to),
        version=2,
        is_promise_yield=new.is_promise_yield,
    )
    return Receipt(frame.account_id, AccountId(new.receiver_id), ZERO_HASH, body)
