"""Which receipts are well formed (nearcore ``validate_receipt``).

A new receipt is held to every rule, its size among them. One that exists
already is spared what came after it: a queue may hold older receipts, and a few
that grew past the size limit once their output receivers were added.
"""

from hither.params import RuntimeConfig
from hither.primitives.ids import is_valid_account_id
from hither.primitives.receipt import ActionReceipt, DataReceipt, Receipt, encode_receipt
from hither.runtime.action_validation import ValidationError, validate_actions


def validate_receipt(
    config: RuntimeConfig, receipt: Receipt, version: int, *, is_new: bool
) -> ValidationError | None:
    """NEAR's ``ReceiptValidationError`` as JSON, or None."""
    limits = config.wasm.limits
    if is_new:
        size = len(encode_receipt(receipt))
        if size > limits.max_receipt_size:
            return {"ReceiptSizeExceeded": {"size": size, "limit": limits.max_receipt_size}}
        # A receipt that was decoded has valid ids, or it would not have been.
        if not is_valid_account_id(receipt.predecessor_id):
            return {"InvalidPredecessorId": {"account_id": receipt.predecessor_id}}
        if not is_valid_account_id(receipt.receiver_id):
            return {"InvalidReceiverId": {"account_id": receipt.receiver_id}}
    body = receipt.body
    if isinstance(body, ActionReceipt):
        return _validate_action_receipt(config, body, receipt.receiver_id, version, is_new)
    if isinstance(body, DataReceipt):
        length = 0 if body.data is None else len(body.data)
        if length > limits.max_length_returned_data:
            fields = {"length": length, "limit": limits.max_length_returned_data}
            return {"ReturnedValueLengthExceeded": fields}
    return None


def _validate_action_receipt(
    config: RuntimeConfig, body: ActionReceipt, receiver_id: str, version: int, is_new: bool
) -> ValidationError | None:
    limit = config.wasm.limits.max_number_input_data_dependencies
    if len(body.input_data_ids) > limit:
        fields = {"number_of_input_data_dependencies": len(body.input_data_ids), "limit": limit}
        return {"NumberInputDataDependenciesExceeded": fields}
    if body.refund_to is not None and not is_valid_account_id(body.refund_to):
        return {"InvalidRefundTo": {"account_id": body.refund_to}}
    error = validate_actions(config, body.actions, receiver_id, version, is_new=is_new)
    return None if error is None else {"ActionsValidation": error}
