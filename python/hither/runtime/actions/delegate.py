"""Delegate and DelegateV2: actions that a user signed and a relayer pays for (NEP-366).

The relayer sends the signed actions to the user's account, which checks them
and sends them on as a receipt of its own.
"""

from typing import Any

from hither.crypto.keys import compute_key_handle, public_key_to_str
from hither.crypto.signing import is_valid_signature
from hither.params import ProtocolFeature
from hither.primitives.account import (
    AccessKey,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyFunctionCall,
)
from hither.primitives.action import Delegate, DelegateAction, DelegateV2, compute_delegate_hash
from hither.primitives.receipt import ActionReceipt, Receipt
from hither.primitives.types import ZERO_HASH, Nonce
from hither.runtime.action_result import ActionResult, ErrorKind
from hither.runtime.fees import required_gas, total_prepaid_send_fees
from hither.runtime.receipt_frame import ReceiptFrame
from hither.runtime.verifier import NONCE_RANGE_PER_BLOCK, find_permission_error
from hither.state import records


def apply_delegate(frame: ReceiptFrame, action: Delegate | DelegateV2, result: ActionResult) -> None:
    """Check what the user signed, use up its nonce, and send the inner actions on.

    The relayer prepaid everything that they need, so that gas counts as used here.
    """
    inner = action.delegate_action
    error = _find_delegate_error(frame, action)
    if error is None:
        error = _use_nonce(frame, inner)
    if error is not None:
        result.set_error(error)
        return
    fees, outer = frame.run.fees, frame.body
    body = ActionReceipt(outer.signer_id, outer.signer_public_key, outer.gas_price, (), (), inner.actions)
    send_gas = total_prepaid_send_fees(fees, outer.actions)
    result.gas_used += required_gas(fees, inner.actions, inner.receiver_id) + send_gas
    result.gas_burnt += send_gas
    result.compute_usage += send_gas
    result.new_receipts.append(Receipt(frame.account_id, inner.receiver_id, ZERO_HASH, body))


def _find_delegate_error(frame: ReceiptFrame, action: Delegate | DelegateV2) -> ErrorKind | None:
    inner = action.delegate_action
    if not is_valid_signature(inner.public_key, compute_delegate_hash(action), action.signature):
        return "DelegateActionInvalidSignature"
    if frame.run.context.block_height > inner.max_block_height:
        return "DelegateActionExpired"
    if inner.sender_id != frame.account_id:
        fields = {"sender_id": inner.sender_id, "receiver_id": frame.account_id}
        return {"DelegateActionSenderDoesNotMatchTxReceiver": fields}
    return None


def _use_nonce(frame: ReceiptFrame, inner: DelegateAction) -> ErrorKind | None:
    """Check the user's key and write its nonce."""
    state, handle = frame.run.state, compute_key_handle(inner.public_key)
    access_key = records.get_access_key_optional(state, inner.sender_id, handle)
    if access_key is None:
        fields = {
            "account_id": inner.sender_id,
            "public_key": public_key_to_str(inner.public_key),
        }
        return {"DelegateActionAccessKeyError": {"AccessKeyNotFound": fields}}
    current = access_key.nonce
    if ProtocolFeature.GAS_KEYS.is_enabled(frame.run.version):
        found = _get_current_nonce(frame, inner, access_key)
        if not isinstance(found, int):
            return found
        current = Nonce(found)
    error = _find_nonce_error(frame, inner.nonce, current) or _find_key_error(frame, inner, access_key)
    if error is not None:
        return error
    if inner.nonce_index is not None:
        records.set_gas_key_nonce(state, inner.sender_id, handle, inner.nonce_index, inner.nonce)
    else:
        access_key = AccessKey(inner.nonce, access_key.permission)
        records.set_access_key(state, inner.sender_id, handle, access_key)
    return None


def _get_current_nonce(frame: ReceiptFrame, inner: DelegateAction, access_key: AccessKey) -> int | ErrorKind:
    """The stored nonce that this one has to exceed; a gas key has one for each index."""
    permission = access_key.permission
    is_gas_key = isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess))
    if inner.nonce_index is None:
        if is_gas_key:
            return {"DelegateActionAccessKeyError": "DelegateActionRequiresNonGasKey"}
        return access_key.nonce
    if not isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess)):
        return {"DelegateActionAccessKeyError": "DelegateActionRequiresGasKey"}
    count = permission.gas_key.num_nonces
    if inner.nonce_index >= count:
        fields = {"nonce_index": inner.nonce_index, "num_nonces": count}
        return {"DelegateActionInvalidNonceIndex": fields}
    handle = compute_key_handle(inner.public_key)
    nonce = records.get_gas_key_nonce_optional(frame.run.state, inner.sender_id, handle, inner.nonce_index)
    assert nonce is not None, "a gas key has all its nonces"
    return nonce


def _find_nonce_error(frame: ReceiptFrame, nonce: Nonce, current: Nonce) -> ErrorKind | None:
    if nonce <= current:
        return {"DelegateActionInvalidNonce": {"delegate_nonce": nonce, "ak_nonce": current}}
    upper_bound = frame.run.context.block_height * NONCE_RANGE_PER_BLOCK
    if nonce >= upper_bound:
        return {"DelegateActionNonceTooLarge": {"delegate_nonce": nonce, "upper_bound": upper_bound}}
    return None


def _find_key_error(frame: ReceiptFrame, inner: DelegateAction, access_key: AccessKey) -> ErrorKind | None:
    permission = access_key.permission
    if isinstance(permission, GasKeyFunctionCall):
        permission = permission.function_call
    if not isinstance(permission, FunctionCallPermission):
        return None
    error = find_permission_error(permission, inner.actions, inner.receiver_id)
    if error == "DepositWithFunctionCall" and not (
        ProtocolFeature.FIX_DELEGATE_ACTION_DEPOSIT_WITH_FUNCTION_CALL_ERROR.is_enabled(frame.run.version)
    ):
        error = _find_error_after_deposit(permission, inner)
    return None if error is None else {"DelegateActionAccessKeyError": error}


def _find_error_after_deposit(permission: FunctionCallPermission, inner: DelegateAction) -> Any:
    """At 84 the checks went on after the deposit's, and their error took its place."""
    call: Any = inner.actions[0]
    if inner.receiver_id != permission.receiver_id:
        fields = {"tx_receiver": inner.receiver_id, "ak_receiver": permission.receiver_id}
        return {"ReceiverMismatch": fields}
    if permission.method_names and call.method_name not in permission.method_names:
        return {"MethodNameMismatch": {"method_name": call.method_name}}
    return "DepositWithFunctionCall"
