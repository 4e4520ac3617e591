"""How much money an account must hold for the bytes it uses (NEP-448, nearcore ``check_storage_stake``)."""

from typing import Final

from hither.params import RuntimeConfig
from hither.primitives.account import Account, UninitialisedAccount
from hither.primitives.types import Balance

ZERO_BALANCE_STORAGE_LIMIT: Final = 770
"""Accounts up to so many bytes need no balance."""


def compute_storage_lack(
    config: RuntimeConfig, account: Account | UninitialisedAccount, amount: Balance
) -> Balance:
    """What is missing if the account held ``amount``; 0 when it is enough."""
    usage = account.storage_usage
    if usage <= ZERO_BALANCE_STORAGE_LIMIT:
        return Balance(0)
    locked = account.locked if isinstance(account, Account) else 0
    lack = config.fees.storage.amount_per_byte * usage - amount - locked
    return Balance(max(0, lack))
