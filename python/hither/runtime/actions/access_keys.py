"""AddKey, DeleteKey, and money on gas keys: TransferToGasKey, WithdrawFromGasKey.

Source: nearcore ``runtime/runtime/src/access_keys.rs``.
"""

import msgspec

from hither.crypto.keys import KeyHandle, compute_key_handle, public_key_to_str
from hither.primitives.account import (
    AccessKey,
    Account,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    GasKeyInfo,
)
from hither.primitives.action import AddKey, DeleteKey, TransferToGasKey, WithdrawFromGasKey
from hither.primitives.types import Nonce, PublicKey
from hither.runtime.action_result import ActionResult
from hither.runtime.actions.accounts import GAS_KEY_BALANCE_BURNT_MAX
from hither.runtime.actions.storage_usage import compute_key_usage
from hither.runtime.actions.transfer import add_amount
from hither.runtime.fees import (
    NONCE_SIZE,
    checked_balance,
    gas_key_nonce_key_length,
    storage_removes_compute,
)
from hither.runtime.nonces import initial_nonce
from hither.runtime.receipt_frame import ReceiptFrame
from hither.state import records


def apply_add_key(frame: ReceiptFrame, action: AddKey, result: ActionResult) -> None:
    """Give the receiver a key. Its nonces start anew; a gas key's own nonce stays 0."""
    run, account_id = frame.run, frame.account_id
    handle = compute_key_handle(action.public_key)
    if records.get_access_key_optional(run.state, account_id, handle) is not None:
        fields = {"account_id": account_id, "public_key": public_key_to_str(action.public_key)}
        result.error = {"AddKeyAlreadyExists": fields}
        return
    nonce = initial_nonce(run.context.block_height)
    permission = action.access_key.permission
    if isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess)):
        access_key = AccessKey(Nonce(0), permission)
        for index in range(permission.gas_key.num_nonces):
            records.set_gas_key_nonce(run.state, account_id, handle, index, nonce)
    else:
        access_key = AccessKey(nonce, permission)
    records.set_access_key(run.state, account_id, handle, access_key)
    _change_usage(frame, compute_key_usage(run.config, handle, access_key))


def apply_delete_key(frame: ReceiptFrame, action: DeleteKey, result: ActionResult) -> None:
    """Take a key away. A little money on a gas key burns with it; much of it forbids the deletion."""
    run, account_id = frame.run, frame.account_id
    handle = compute_key_handle(action.public_key)
    access_key = records.get_access_key_optional(run.state, account_id, handle)
    if access_key is None:
        fields = {"account_id": account_id, "public_key": public_key_to_str(action.public_key)}
        result.error = {"DeleteKeyDoesNotExist": fields}
        return
    permission = access_key.permission
    if isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess)):
        balance = permission.gas_key.balance
        if balance > GAS_KEY_BALANCE_BURNT_MAX:
            fields = {
                "account_id": account_id,
                "public_key": public_key_to_str(action.public_key),
                "balance": str(balance),
            }
            result.error = {"GasKeyBalanceTooHigh": fields}
            return
        result.burn_tokens(balance)
        _remove_nonces(frame, action.public_key, handle, permission.gas_key.num_nonces, result)
    records.remove_access_key(run.state, account_id, handle)
    _change_usage(frame, -compute_key_usage(run.config, handle, access_key))


def _remove_nonces(
    frame: ReceiptFrame, public_key: PublicKey, handle: KeyHandle, count: int, result: ActionResult
) -> None:
    for index in range(count):
        records.remove_gas_key_nonce(frame.run.state, frame.account_id, handle, index)
    key_length = gas_key_nonce_key_length(frame.account_id, public_key)
    result.compute_usage += storage_removes_compute(
        frame.run.fees, count, key_length * count, NONCE_SIZE * count
    )


def _change_usage(frame: ReceiptFrame, change: int) -> None:
    account = frame.own_account
    usage = max(0, account.storage_usage + change)
    frame.account = msgspec.structs.replace(account, storage_usage=usage)


def apply_transfer_to_gas_key(frame: ReceiptFrame, action: TransferToGasKey, result: ActionResult) -> None:
    """Put the deposit on a gas key."""
    gas_key = _get_gas_key(frame, action.public_key, result)
    if gas_key is not None:
        _set_gas_key_balance(frame, action.public_key, gas_key, gas_key.balance + action.deposit)


def apply_withdraw_from_gas_key(
    frame: ReceiptFrame, action: WithdrawFromGasKey, result: ActionResult
) -> None:
    """Move money from a gas key to its account."""
    gas_key = _get_gas_key(frame, action.public_key, result)
    if gas_key is None:
        return
    if gas_key.balance < action.amount:
        fields = {
            "account_id": frame.account_id,
            "public_key": public_key_to_str(action.public_key),
            "balance": str(gas_key.balance),
            "required": str(action.amount),
        }
        result.error = {"InsufficientGasKeyBalance": fields}
        return
    _set_gas_key_balance(frame, action.public_key, gas_key, gas_key.balance - action.amount)
    account = add_amount(frame.own_account, action.amount)
    assert isinstance(account, Account)
    frame.account = account


def _get_gas_key(frame: ReceiptFrame, public_key: PublicKey, result: ActionResult) -> GasKeyInfo | None:
    """The gas key, or None with the error set."""
    handle = compute_key_handle(public_key)
    access_key = records.get_access_key_optional(frame.run.state, frame.account_id, handle)
    if access_key is not None and isinstance(access_key.permission, (GasKeyFunctionCall, GasKeyFullAccess)):
        return access_key.permission.gas_key
    fields = {"account_id": frame.account_id, "public_key": public_key_to_str(public_key)}
    result.error = {"GasKeyDoesNotExist": fields}
    return None


def _set_gas_key_balance(
    frame: ReceiptFrame, public_key: PublicKey, gas_key: GasKeyInfo, balance: int
) -> None:
    state, handle = frame.run.state, compute_key_handle(public_key)
    access_key = records.get_access_key_optional(state, frame.account_id, handle)
    assert access_key is not None
    permission = access_key.permission
    assert isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess))
    gas_key = GasKeyInfo(checked_balance(balance), gas_key.num_nonces)
    permission = msgspec.structs.replace(permission, gas_key=gas_key)
    records.set_access_key(state, frame.account_id, handle, AccessKey(access_key.nonce, permission))
