"""CreateAccount and DeleteAccount."""

from typing import Final

from hither.params import ProtocolFeature
from hither.primitives.account import (
    AccessKey,
    Account,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    decode_access_key,
)
from hither.primitives.action import CreateAccount, DeleteAccount
from hither.primitives.ids import is_sub_account_of, is_top_level
from hither.primitives.types import Balance
from hither.runtime.action_result import ActionResult
from hither.runtime.actions.storage_usage import get_code_length
from hither.runtime.fees import NONCE_SIZE, checked_balance, storage_removes_compute
from hither.runtime.global_contracts import clear_contract_storage_usage
from hither.runtime.receipt_frame import ReceiptFrame
from hither.runtime.refunds import make_balance_refund
from hither.state import keys

DELETION_STORAGE_USAGE_MAX: Final = 10_000
GAS_KEY_BALANCE_BURNT_MAX: Final = Balance(10**24)
"""How much money on gas keys may disappear with an account or a key."""


def apply_create_account(frame: ReceiptFrame, action: CreateAccount, result: ActionResult) -> None:
    """Make the receiver an account, and the receipt's actor.

    Short top-level names are the registrar's to give; any other name needs its
    direct parent as predecessor.
    """
    run = frame.run
    account_id, predecessor_id = frame.account_id, frame.receipt.predecessor_id
    if is_top_level(account_id):
        creation = run.config.account_creation
        is_short = len(account_id) < creation.min_allowed_top_level_account_length
        if is_short and predecessor_id != creation.registrar_account_id:
            fields = {
                "account_id": account_id,
                "registrar_account_id": creation.registrar_account_id,
                "predecessor_id": predecessor_id,
            }
            result.error = {"CreateAccountOnlyByRegistrar": fields}
            return
    elif not is_sub_account_of(account_id, predecessor_id):
        fields = {"account_id": account_id, "predecessor_id": predecessor_id}
        result.error = {"CreateAccountNotAllowed": fields}
        return
    frame.actor_id = account_id
    frame.account = Account(Balance(0), Balance(0), run.config.fees.storage.num_bytes_account)


def apply_delete_account(frame: ReceiptFrame, action: DeleteAccount, result: ActionResult) -> None:
    """Remove the receiver with its code, keys and data; its balance goes to the beneficiary.

    Refused while it has much data, which would be too much to remove at once.
    """
    run, account, account_id = frame.run, frame.own_account, frame.account_id
    state = run.state
    if ProtocolFeature.FIX_DELETE_ACCOUNT_GLOBAL_CONTRACT_STORAGE_USAGE.is_enabled(run.version):
        usage = clear_contract_storage_usage(state, account_id, account).storage_usage
    else:
        usage = account.storage_usage - get_code_length(state, account_id)
    if usage > DELETION_STORAGE_USAGE_MAX:
        result.error = {"DeleteAccountWithLargeState": {"account_id": account_id}}
        return
    key_names = state.scan_keys(keys.access_key_prefix(account_id))
    burnt = _sum_gas_key_balances(frame, key_names)
    if burnt > GAS_KEY_BALANCE_BURNT_MAX:
        fields = {"account_id": account_id, "public_key": None, "balance": str(burnt)}
        result.error = {"GasKeyBalanceTooHigh": fields}
        return
    if account.amount > 0:
        result.new_receipts.append(make_balance_refund(action.beneficiary_id, account.amount))
    state.remove(keys.account(account_id))
    state.remove(keys.contract_code(account_id))
    for name in key_names:
        state.remove(name)
    for name in state.scan_keys(keys.contract_data_prefix(account_id)):
        state.remove(name)
    result.burn_tokens(burnt)
    nonces = [name for name in key_names if keys.parse_access_key(name).nonce_index is not None]
    if nonces:
        key_bytes, value_bytes = sum(map(len, nonces)), NONCE_SIZE * len(nonces)
        result.compute_usage += storage_removes_compute(run.fees, len(nonces), key_bytes, value_bytes)
    frame.actor_id = frame.receipt.predecessor_id
    frame.account = None


def _sum_gas_key_balances(frame: ReceiptFrame, key_names: list[bytes]) -> Balance:
    total = 0
    for name in key_names:
        if keys.parse_access_key(name).nonce_index is None:
            raw = frame.run.state.get(name)
            assert raw is not None, "the key was listed just now"
            total += get_gas_key_balance(decode_access_key(raw))
    return checked_balance(total)


def get_gas_key_balance(access_key: AccessKey) -> Balance:
    """The money on a gas key; none on other keys."""
    permission = access_key.permission
    if isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess)):
        return permission.gas_key.balance
    return Balance(0)
