"""DeterministicStateInit and UniversalStateInit: accounts whose id is the hash of their first state.

Whoever sends the state init may be anyone; the receipt's actor does not become
the account, so no other action of the receipt can touch it (NEP-616).
"""

import msgspec

from hither.params import ProtocolFeature
from hither.primitives.account import AccessKey, Account, FullAccess, UninitialisedAccount
from hither.primitives.action import DeterministicStateInit, UniversalStateInit
from hither.primitives.types import Balance, Nonce
from hither.primitives.universal_state_init import UniversalState, decode_state_init_optional
from hither.runtime.action_result import ActionResult
from hither.runtime.actions.contracts import use_global_contract
from hither.runtime.actions.storage_usage import compute_key_usage
from hither.runtime.nonces import initial_nonce
from hither.runtime.receipt_frame import ReceiptFrame
from hither.runtime.refunds import make_balance_refund
from hither.runtime.storage_stake import compute_storage_lack
from hither.state import keys, records


def apply_deterministic_state_init(
    frame: ReceiptFrame, action: DeterministicStateInit, result: ActionResult
) -> None:
    """Set up a ``0s`` account with its code and data; if it is set up already, only settle the deposit."""
    run = frame.run
    if frame.account is None:
        frame.account = Account(Balance(0), Balance(0), run.config.fees.storage.num_bytes_account)
    account = frame.own_account
    if account.contract is None:
        use_global_contract(frame, action.code, result)
        if result.error is not None:
            return
        account = frame.own_account
        usage = account.storage_usage + _write_entries(frame, action.data)
        frame.account = msgspec.structs.replace(account, storage_usage=usage)
    _settle_deposit(frame, action.deposit, result)


def _write_entries(frame: ReceiptFrame, data: tuple[tuple[bytes, bytes], ...]) -> int:
    """Write contract data of an account that has none; the bytes that it counts."""
    extra = frame.run.config.fees.storage.num_extra_bytes_record
    usage = 0
    for key, value in data:
        frame.run.state.set(keys.contract_data(frame.account_id, key), value)
        usage += len(key) + len(value) + extra
    return usage


def _settle_deposit(frame: ReceiptFrame, deposit: Balance, result: ActionResult) -> None:
    """Keep of the deposit what storage needs, refund the rest."""
    account = frame.own_account
    lack = compute_storage_lack(frame.run.config, account, account.amount)
    if lack > deposit:
        result.set_error({"LackBalanceForState": {"account_id": frame.account_id, "amount": str(lack)}})
        return
    if lack:
        frame.account = msgspec.structs.replace(account, amount=Balance(account.amount + lack))
    _refund(frame, Balance(deposit - lack), result)


def _refund(frame: ReceiptFrame, amount: Balance, result: ActionResult) -> None:
    if amount:
        refund_to = frame.body.refund_to
        receiver_id = frame.receipt.predecessor_id if refund_to is None else refund_to
        result.new_receipts.append(make_balance_refund(receiver_id, amount))


def apply_universal_state_init(frame: ReceiptFrame, action: UniversalStateInit, result: ActionResult) -> None:
    """Set up a ``0u`` account with its code, data and keys; repeated, only the deposit matters."""
    run = frame.run
    account = frame.account
    if isinstance(account, Account):
        if ProtocolFeature.REFUND_REPEATED_UNIVERSAL_STATE_INIT_DEPOSIT.is_enabled(run.version):
            _refund(frame, action.deposit, result)
        else:
            _settle_deposit(frame, action.deposit, result)
        return
    state_init = decode_state_init_optional(
        action.state_init, is_strict=run.config.wasm.canonical_universal_state_init
    )
    if state_init is None:
        result.set_error("MalformedUniversalStateInit")
        return
    nonce = initial_nonce(run.context.block_height)
    if account is None:
        usage = run.config.fees.storage.num_bytes_account
        account = UninitialisedAccount(Balance(0), usage, nonce)
    # Above the nonce that the account's first transaction used up, or its bytes would be valid again.
    nonce = max(nonce, account.bootstrap_nonce)
    frame.account = Account(account.amount, Balance(0), account.storage_usage)
    _install(frame, state_init, nonce, result)
    if result.error is None:
        _settle_deposit(frame, action.deposit, result)


def _install(frame: ReceiptFrame, state_init: UniversalState, nonce: Nonce, result: ActionResult) -> None:
    run = frame.run
    if state_init.code is not None:
        use_global_contract(frame, state_init.code, result)
        if result.error is not None:
            return
    account = frame.own_account
    usage = account.storage_usage + _write_entries(frame, state_init.data)
    access_key = AccessKey(nonce, FullAccess())
    for handle in state_init.access_keys:
        records.set_access_key(run.state, frame.account_id, handle, access_key)
        usage += compute_key_usage(run.config, handle, access_key)
    frame.account = msgspec.structs.replace(account, storage_usage=usage)
