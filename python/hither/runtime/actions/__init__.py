"""The actions, one file a family.

Entry point: ``apply_action``. Each ``apply_…`` gets the frame of the receipt, the
action, and a result in which the action's own fee is counted; it changes the
frame's account and the state's uncommitted records, or sets the result's error.
A failure is a value, never an exception.
"""

from collections.abc import Callable
from typing import Any, Final

from hither.primitives.action import (
    Action,
    AddKey,
    CreateAccount,
    Delegate,
    DelegateV2,
    DeleteAccount,
    DeleteKey,
    DeployContract,
    DeployGlobalContract,
    DeterministicStateInit,
    FunctionCall,
    Stake,
    Transfer,
    TransferToGasKey,
    UniversalStateInit,
    UseGlobalContract,
    WithdrawFromGasKey,
)
from hither.runtime.action_result import ActionResult
from hither.runtime.actions.access_keys import (
    apply_add_key,
    apply_delete_key,
    apply_transfer_to_gas_key,
    apply_withdraw_from_gas_key,
)
from hither.runtime.actions.accounts import apply_create_account, apply_delete_account
from hither.runtime.actions.checks import find_obstacle
from hither.runtime.actions.contracts import (
    apply_deploy_contract,
    apply_deploy_global_contract,
    apply_use_global_contract,
)
from hither.runtime.actions.delegate import apply_delegate
from hither.runtime.actions.function_call import apply_function_call
from hither.runtime.actions.stake import apply_stake
from hither.runtime.actions.state_inits import (
    apply_deterministic_state_init,
    apply_universal_state_init,
)
from hither.runtime.actions.transfer import apply_transfer
from hither.runtime.fees import exec_compute_surcharge, exec_fee
from hither.runtime.receipt_frame import ReceiptFrame

Applier = Callable[[ReceiptFrame, Any, ActionResult], None]

_APPLIERS: Final[dict[type, Applier]] = {
    CreateAccount: apply_create_account,
    DeployContract: apply_deploy_contract,
    Transfer: apply_transfer,
    Stake: apply_stake,
    AddKey: apply_add_key,
    DeleteKey: apply_delete_key,
    DeleteAccount: apply_delete_account,
    Delegate: apply_delegate,
    DeployGlobalContract: apply_deploy_global_contract,
    UseGlobalContract: apply_use_global_contract,
    DeterministicStateInit: apply_deterministic_state_init,
    TransferToGasKey: apply_transfer_to_gas_key,
    WithdrawFromGasKey: apply_withdraw_from_gas_key,
    DelegateV2: apply_delegate,
    UniversalStateInit: apply_universal_state_init,
}


def apply_action(frame: ReceiptFrame, action: Action, action_index: int) -> ActionResult:
    """Perform one action of a receipt; its fee is burnt even if it fails."""
    fees = frame.run.fees
    gas = exec_fee(fees, action, frame.account_id)
    result = ActionResult(gas, gas + exec_compute_surcharge(fees, action))
    obstacle = find_obstacle(frame, action)
    if obstacle is not None:
        result.error = obstacle
    elif isinstance(action, FunctionCall):
        apply_function_call(frame, action, result, action_index)
    else:
        _APPLIERS[type(action)](frame, action, result)
    return result
