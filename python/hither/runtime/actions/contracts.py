"""DeployContract, DeployGlobalContract and UseGlobalContract: which code an account runs."""

import msgspec

from hither.crypto.hashing import sha256
from hither.primitives.account import GlobalContractIdentifier, LocalContract
from hither.primitives.action import DeployContract, DeployGlobalContract, UseGlobalContract
from hither.primitives.types import CryptoHash
from hither.runtime import global_contracts
from hither.runtime.action_result import ActionResult
from hither.runtime.receipt_frame import ReceiptFrame
from hither.state import keys
from hither.state.failpoints import reach


def apply_deploy_contract(frame: ReceiptFrame, action: DeployContract, result: ActionResult) -> None:
    """Set the receiver's own code, and compile it now rather than at the first call."""
    run, account_id = frame.run, frame.account_id
    account = global_contracts.clear_contract_storage_usage(run.state, account_id, frame.own_account)
    frame.account = msgspec.structs.replace(
        account,
        storage_usage=account.storage_usage + len(action.code),
        contract=LocalContract(CryptoHash(sha256(action.code))),
    )
    run.state.set(keys.contract_code(account_id), action.code)
    reach("compiling")
    run.vm.precompile(action.code, run.version)
    reach("compiled")


def apply_deploy_global_contract(
    frame: ReceiptFrame, action: DeployGlobalContract, result: ActionResult
) -> None:
    """Burn the price of the bytes and start the code's way through the shards."""
    run = frame.run
    frame.account = global_contracts.apply_deploy_global_contract(
        run.context, run.state, frame.account_id, frame.own_account, action, result
    )


def apply_use_global_contract(frame: ReceiptFrame, action: UseGlobalContract, result: ActionResult) -> None:
    """Make the receiver run a global contract instead of what it ran."""
    use_global_contract(frame, action.contract_identifier, result)


def use_global_contract(
    frame: ReceiptFrame, identifier: GlobalContractIdentifier, result: ActionResult
) -> None:
    """The same as part of another action; sets the result's error if the code is not in this shard."""
    run = frame.run
    frame.account = global_contracts.use_global_contract(
        run.state, frame.account_id, frame.own_account, identifier, result, run.version
    )
