"""Rewards and stake returns, at the first block of an epoch (nearcore ``update_validator_accounts``)."""

import msgspec

from hither.primitives.account import Account
from hither.primitives.types import AccountId, Balance
from hither.runtime import causes
from hither.runtime.fees import checked_balance
from hither.runtime.types import ValidatorAccountsUpdate
from hither.state import ChunkState, records


def update_validator_accounts(state: ChunkState, update: ValidatorAccountsUpdate) -> Balance:
    """Add rewards to the stakes of this shard's validators and return what no longer has to be locked.

    The result is what was paid in rewards: money that enters the supply.
    """
    minted = 0
    for account_id, stake in update.stake.items():
        account = records.get_account_optional(state, account_id)
        if account is None:
            assert stake == 0, f"the staking account {account_id} is missing"
            continue
        reward = update.rewards.get(account_id, 0)
        minted += reward
        locked = checked_balance(account.locked + reward)
        assert locked >= stake, f"{account_id} has less locked than it staked"
        still_locked = max(stake, update.last_proposals.get(account_id, 0))
        returned = locked - still_locked
        assert returned >= 0, f"{account_id} has less locked than it proposed"
        account = msgspec.structs.replace(
            account,
            amount=checked_balance(account.amount + returned),
            locked=Balance(still_locked),
        )
        records.set_account(state, account_id, account)
    if update.treasury_account is not None and update.treasury_account not in update.stake:
        _pay_treasury(state, update.treasury_account, update)
        minted += update.rewards[update.treasury_account]
    state.commit(causes.VALIDATOR_ACCOUNTS_UPDATE)
    return Balance(minted)


def _pay_treasury(state: ChunkState, account_id: AccountId, update: ValidatorAccountsUpdate) -> None:
    """The treasury does not stake, so its share is money it can spend."""
    account = records.get_account_optional(state, account_id)
    assert isinstance(account, Account), "the treasury account is missing"
    amount = checked_balance(account.amount + update.rewards[account_id])
    records.set_account(state, account_id, msgspec.structs.replace(account, amount=amount))
