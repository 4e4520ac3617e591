"""Stake: offer money for validating; the money is locked at once, returned at epoch starts."""

import msgspec

from hither.primitives.action import Stake
from hither.primitives.sharding import ValidatorStake
from hither.primitives.types import Balance
from hither.runtime.action_result import ActionResult
from hither.runtime.receipt_frame import ReceiptFrame


def apply_stake(frame: ReceiptFrame, action: Stake, result: ActionResult) -> None:
    """Propose a stake. A larger one is locked now; a smaller one only becomes a proposal."""
    account, account_id = frame.own_account, frame.account_id
    stake = action.stake
    amount = account.amount - max(0, stake - account.locked)
    if amount < 0:
        fields = {
            "account_id": account_id,
            "stake": str(stake),
            "locked": str(account.locked),
            "balance": str(account.amount),
        }
        result.error = {"TriesToStake": fields}
        return
    if account.locked == 0 and stake == 0:
        result.error = {"TriesToUnstake": {"account_id": account_id}}
        return
    minimum = frame.run.context.minimum_stake
    if 0 < stake < minimum:
        fields = {"account_id": account_id, "stake": str(stake), "minimum_stake": str(minimum)}
        result.error = {"InsufficientStake": fields}
        return
    result.validator_proposals.append(ValidatorStake(account_id, action.public_key, stake))
    if stake > account.locked:
        frame.account = msgspec.structs.replace(account, amount=Balance(amount), locked=stake)
