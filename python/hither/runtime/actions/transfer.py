"""Transfer: money arrives, a refund may go to a key, and an implicit account may come to be."""

from typing import Final

import msgspec

from hither.crypto.keys import compute_key_handle
from hither.primitives.account import (
    AccessKey,
    Account,
    FullAccess,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    GlobalContractByHash,
    UninitialisedAccount,
)
from hither.primitives.action import Transfer
from hither.primitives.ids import AccountKind, compute_implicit_public_key
from hither.primitives.types import Balance
from hither.runtime.action_result import ActionResult
from hither.runtime.actions.checks import (
    BATCHED_DETERMINISTIC_CREATION_LAST_VERSION,
    effective_account_kind,
)
from hither.runtime.actions.storage_usage import compute_key_usage
from hither.runtime.eth_wallet import get_eth_wallet_code_hash
from hither.runtime.fees import BALANCE_MAX, checked_balance
from hither.runtime.nonces import initial_nonce
from hither.runtime.receipt_frame import ReceiptFrame
from hither.state import records

_HASH_SIZE: Final = 32


def apply_transfer(frame: ReceiptFrame, action: Transfer, result: ActionResult) -> None:
    """Credit the receiver.

    The deposit left the sender when the receipt was made, so nothing is debited
    here. A gas refund goes to the gas key that paid, if it is still there; else to
    the account, and a function-call key's allowance grows with it.
    """
    account = frame.account
    if account is None:
        frame.account = _make_implicit_account(frame, action.deposit)
        return
    if frame.is_refund and frame.body.signer_id == frame.account_id and _refund_key(frame, action.deposit):
        return
    frame.account = add_amount(account, action.deposit)


def add_amount(account: Account | UninitialisedAccount, deposit: Balance) -> Account | UninitialisedAccount:
    """The account with more money."""
    amount = checked_balance(account.amount + deposit)
    if isinstance(account, Account):
        return Account(amount, account.locked, account.storage_usage, account.contract, account.version)
    return UninitialisedAccount(amount, account.storage_usage, account.bootstrap_nonce)


def _refund_key(frame: ReceiptFrame, deposit: Balance) -> bool:
    """Give a gas refund back to the key that paid. True if the key took the money itself."""
    state, account_id = frame.run.state, frame.account_id
    handle = compute_key_handle(frame.body.signer_public_key)
    access_key = records.get_access_key_optional(state, account_id, handle)
    if access_key is None:
        return False
    permission = access_key.permission
    if isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess)):
        balance = checked_balance(permission.gas_key.balance + deposit)
        gas_key = msgspec.structs.replace(permission.gas_key, balance=balance)
        permission = msgspec.structs.replace(permission, gas_key=gas_key)
        records.set_access_key(state, account_id, handle, AccessKey(access_key.nonce, permission))
        return True
    if isinstance(permission, FunctionCallPermission) and permission.allowance is not None:
        allowance = min(permission.allowance + deposit, BALANCE_MAX)
        if allowance > permission.allowance:
            permission = msgspec.structs.replace(permission, allowance=Balance(allowance))
            records.set_access_key(state, account_id, handle, AccessKey(access_key.nonce, permission))
    return False


def _make_implicit_account(frame: ReceiptFrame, deposit: Balance) -> Account | UninitialisedAccount:
    """The account that its id describes: with its key, with a wallet contract, or empty."""
    run = frame.run
    usage = run.config.fees.storage.num_bytes_account
    kind = effective_account_kind(frame)
    if run.version <= BATCHED_DETERMINISTIC_CREATION_LAST_VERSION:
        frame.actor_id = frame.account_id
    if kind is AccountKind.NEAR_IMPLICIT:
        handle = compute_key_handle(compute_implicit_public_key(frame.account_id))
        access_key = AccessKey(initial_nonce(run.context.block_height), FullAccess())
        records.set_access_key(run.state, frame.account_id, handle, access_key)
        usage += compute_key_usage(run.config, handle, access_key)
        return Account(deposit, Balance(0), usage)
    if kind is AccountKind.ETH_IMPLICIT:
        contract = GlobalContractByHash(get_eth_wallet_code_hash(run.context.chain_id))
        return Account(deposit, Balance(0), usage + _HASH_SIZE, contract, version=2)
    if kind is AccountKind.DETERMINISTIC:
        return Account(deposit, Balance(0), usage)
    assert kind is AccountKind.UNIVERSAL
    return UninitialisedAccount(deposit, usage, initial_nonce(run.context.block_height))
