"""Whether a transaction is valid, and what it takes from its signer.

Two halves: ``validate_transaction`` needs no state, ``verify_and_charge`` holds
the transaction against the signer's account and key. Neither writes. Errors
are NEAR's ``InvalidTxError`` as JSON, in NEAR's order of checks.

Source: nearcore ``runtime/runtime/src/verifier.rs``, ``ValidatedTransaction``.
"""

from typing import Any, Final

import msgspec

from hither.crypto.keys import compute_key_handle, public_key_to_str
from hither.params import ProtocolFeature, RuntimeConfig
from hither.primitives.account import (
    AccessKey,
    Account,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    UninitialisedAccount,
)
from hither.primitives.action import FunctionCall, UniversalStateInit
from hither.primitives.ids import compute_universal_account_id
from hither.primitives.transaction import NonceMode, SignedTransaction, Transaction
from hither.primitives.types import ML_DSA_65, Balance, Nonce
from hither.primitives.universal_state_init import decode_state_init_optional
from hither.runtime.action_validation import needs_post_quantum, validate_actions
from hither.runtime.fees import TransactionCost
from hither.runtime.storage_stake import compute_storage_lack

TransactionError = dict[str, Any] | str
"""NEAR's ``InvalidTxError`` as JSON: its name alone, or its name and fields."""

NONCE_RANGE_PER_BLOCK: Final = 1_000_000
_NONCE_MAX: Final = 2**64 - 1


class Charge(msgspec.Struct, frozen=True, gc=False):
    """What a transaction does to its signer.

    ``access_key`` is None when no key changes (a universal account's first
    transaction). ``gas_key_nonce`` is (index, nonce) when a gas key pays.
    ``deposit_error`` is set when the gas key could pay but the account could not:
    then only the conversion is burnt and no receipt is made.
    """

    account: Account | UninitialisedAccount
    access_key: AccessKey | None
    gas_key_nonce: tuple[int, Nonce] | None = None
    deposit_error: TransactionError | None = None


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """The transaction does nothing, because of ``error``."""

    error: TransactionError


def validate_transaction(
    config: RuntimeConfig, version: int, signed: SignedTransaction
) -> TransactionError | None:
    """Every check that needs neither state nor the signature."""
    transaction = signed.transaction
    error = validate_actions(config, transaction.actions, transaction.receiver_id, version)
    if error is not None:
        return {"ActionsValidation": error}
    if transaction.version == 1 and not ProtocolFeature.GAS_KEYS.is_enabled(version):
        return "InvalidTransactionVersion"
    if transaction.nonce_mode is NonceMode.STRICT and not ProtocolFeature.STRICT_NONCE.is_enabled(version):
        return "InvalidTransactionVersion"
    size = signed.size
    if not ProtocolFeature.POST_QUANTUM_SIGNATURES.is_enabled(version):
        if _has_post_quantum(signed):
            return "InvalidTransactionVersion"
        size -= 1 + len(signed.signature.data)
    size_max = config.wasm.limits.max_transaction_size
    if size > size_max:
        return {"TransactionSizeExceeded": {"size": size, "limit": size_max}}
    return None


def _has_post_quantum(signed: SignedTransaction) -> bool:
    return (
        signed.transaction.public_key.kind == ML_DSA_65
        or signed.signature.kind == ML_DSA_65
        or any(needs_post_quantum(action) for action in signed.transaction.actions)
    )


def verify_and_charge(
    config: RuntimeConfig,
    transaction: Transaction,
    cost: TransactionCost,
    account: Account | UninitialisedAccount,
    access_key: AccessKey,
    gas_key_nonce: Nonce | None,
    block_height: int | None,
) -> Charge | Refusal:
    """Charge a transaction that one of the account's keys signed.

    ``gas_key_nonce`` is the stored nonce at the transaction's nonce index, if it
    has one. Without ``block_height`` the upper bound of nonces is not checked.
    """
    if transaction.nonce_index is not None:
        return _charge_gas_key(config, transaction, cost, account, access_key, gas_key_nonce, block_height)
    permission = access_key.permission
    if isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess)):
        return _refuse_nonce_index(None, permission.gas_key.num_nonces)
    error = _verify_nonce(transaction, access_key.nonce, block_height)
    if error is not None:
        return Refusal(error)
    amount = account.amount - cost.total_cost
    if amount < 0:
        return _refuse_balance(transaction, account, cost)
    if isinstance(permission, FunctionCallPermission) and permission.allowance is not None:
        allowance = permission.allowance - cost.total_cost
        if allowance < 0:
            return _refuse_allowance(transaction, permission.allowance, cost.total_cost)
        permission = FunctionCallPermission(
            Balance(allowance), permission.receiver_id, permission.method_names
        )
    lack = compute_storage_lack(config, account, Balance(amount))
    if lack:
        fields = {"signer_id": transaction.signer_id, "amount": str(lack)}
        return Refusal({"LackBalanceForState": fields})
    if isinstance(permission, FunctionCallPermission):
        error = _verify_call_permission(permission, transaction)
        if error is not None:
            return Refusal(error)
    return Charge(_with_amount(account, amount), AccessKey(transaction.nonce, permission))


def _with_amount(account: Account | UninitialisedAccount, amount: int) -> Account | UninitialisedAccount:
    if isinstance(account, Account):
        return Account(
            Balance(amount), account.locked, account.storage_usage, account.contract, account.version
        )
    return UninitialisedAccount(Balance(amount), account.storage_usage, account.bootstrap_nonce)


def _verify_nonce(
    transaction: Transaction, current: Nonce, block_height: int | None
) -> TransactionError | None:
    """A nonce must grow, in strict mode by one, and stay below what the height allows."""
    nonce = transaction.nonce
    is_next = nonce == current + 1 if transaction.nonce_mode is NonceMode.STRICT else nonce > current
    if not is_next:
        return {"InvalidNonce": {"tx_nonce": nonce, "ak_nonce": current}}
    if block_height is not None:
        upper_bound = min(block_height * NONCE_RANGE_PER_BLOCK, _NONCE_MAX)
        if nonce >= upper_bound:
            return {"NonceTooLarge": {"tx_nonce": nonce, "upper_bound": upper_bound}}
    return None


def _verify_call_permission(
    permission: FunctionCallPermission, transaction: Transaction
) -> TransactionError | None:
    """A function-call key allows one call without deposit, of its receiver and methods."""
    error = find_permission_error(permission, transaction.actions, transaction.receiver_id)
    return None if error is None else {"InvalidAccessKeyError": error}


def find_permission_error(
    permission: FunctionCallPermission, actions: tuple[Any, ...], receiver_id: str
) -> TransactionError | None:
    """NEAR's ``InvalidAccessKeyError`` if a function-call key does not allow these actions."""
    if len(actions) != 1 or not isinstance(actions[0], FunctionCall):
        return "RequiresFullAccess"
    call = actions[0]
    if call.deposit > 0:
        return "DepositWithFunctionCall"
    if receiver_id != permission.receiver_id:
        fields = {"tx_receiver": receiver_id, "ak_receiver": permission.receiver_id}
        return {"ReceiverMismatch": fields}
    if permission.method_names and call.method_name not in permission.method_names:
        return {"MethodNameMismatch": {"method_name": call.method_name}}
    return None


def _charge_gas_key(
    config: RuntimeConfig,
    transaction: Transaction,
    cost: TransactionCost,
    account: Account | UninitialisedAccount,
    access_key: AccessKey,
    stored_nonce: Nonce | None,
    block_height: int | None,
) -> Charge | Refusal:
    """The gas key pays the gas, the account the deposits."""
    index = transaction.nonce_index
    assert index is not None
    permission = access_key.permission
    if not isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess)):
        if stored_nonce is None:
            return _refuse_nonce_index(index, 0)
        return Refusal(access_key_not_found(transaction))
    if stored_nonce is None or index >= permission.gas_key.num_nonces:
        return _refuse_nonce_index(index, permission.gas_key.num_nonces)
    error = _verify_nonce(transaction, stored_nonce, block_height)
    if error is not None:
        return Refusal(error)
    balance = permission.gas_key.balance
    if balance < cost.gas_cost:
        fields = {
            "signer_id": transaction.signer_id,
            "balance": str(balance),
            "cost": str(cost.gas_cost),
        }
        return Refusal({"NotEnoughGasKeyBalance": fields})
    if isinstance(permission, GasKeyFunctionCall):
        error = _verify_call_permission(permission.function_call, transaction)
        if error is not None:
            return Refusal(error)
    nonce = (index, transaction.nonce)
    deposit_error = _find_deposit_error(config, transaction, account, cost.deposit_cost)
    if deposit_error is not None:
        key = _with_gas_key_balance(access_key, balance - cost.burnt_amount)
        return Charge(account, key, nonce, deposit_error)
    key = _with_gas_key_balance(access_key, balance - cost.gas_cost)
    return Charge(_with_amount(account, account.amount - cost.deposit_cost), key, nonce)


def _find_deposit_error(
    config: RuntimeConfig,
    transaction: Transaction,
    account: Account | UninitialisedAccount,
    deposit: Balance,
) -> TransactionError | None:
    fields: dict[str, str] = {"signer_id": transaction.signer_id}
    amount = account.amount - deposit
    if amount < 0:
        fields |= {
            "balance": str(account.amount),
            "cost": str(deposit),
            "reason": "NotEnoughBalance",
        }
        return {"NotEnoughBalanceForDeposit": fields}
    lack = compute_storage_lack(config, account, Balance(amount))
    if lack:
        fields |= {"balance": str(amount), "cost": str(lack), "reason": "LackBalanceForState"}
        return {"NotEnoughBalanceForDeposit": fields}
    return None


def _with_gas_key_balance(access_key: AccessKey, balance: int) -> AccessKey:
    permission = access_key.permission
    assert isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess))
    gas_key = msgspec.structs.replace(permission.gas_key, balance=Balance(balance))
    return AccessKey(access_key.nonce, msgspec.structs.replace(permission, gas_key=gas_key))


def is_bootstrap(transaction: Transaction) -> bool:
    """Whether the account id alone authorises this transaction.

    A ``0u`` id is the hash of a state init that names the account's keys: signed
    by one of them and carrying that state init, it needs no stored key.
    """
    if transaction.nonce_index is not None or transaction.signer_id != transaction.receiver_id:
        return False
    handle = compute_key_handle(transaction.public_key)
    for action in transaction.actions:
        if not isinstance(action, UniversalStateInit):
            continue
        if compute_universal_account_id(action.state_init) != transaction.signer_id:
            continue
        state_init = decode_state_init_optional(action.state_init, is_strict=False)
        if state_init is not None and handle in state_init.access_keys:
            return True
    return False


def verify_and_charge_bootstrap(
    config: RuntimeConfig,
    transaction: Transaction,
    cost: TransactionCost,
    account: UninitialisedAccount,
    block_height: int | None,
) -> Charge | Refusal:
    """Charge the first transaction of a universal account.

    Its nonce is always strict, and used up even if the state init then fails, so
    that the same bytes are never valid twice.
    """
    strict = msgspec.structs.replace(transaction, nonce_mode=NonceMode.STRICT)
    error = _verify_nonce(strict, account.bootstrap_nonce, block_height)
    if error is not None:
        return Refusal(error)
    amount = account.amount - cost.total_cost
    if amount < 0:
        return _refuse_balance(transaction, account, cost)
    lack = compute_storage_lack(config, account, Balance(amount))
    if lack:
        fields = {"signer_id": transaction.signer_id, "amount": str(lack)}
        return Refusal({"LackBalanceForState": fields})
    charged = UninitialisedAccount(Balance(amount), account.storage_usage, transaction.nonce)
    return Charge(charged, None)


def access_key_not_found(transaction: Transaction) -> TransactionError:
    """The signer has no such key."""
    fields = {
        "account_id": transaction.signer_id,
        "public_key": public_key_to_str(transaction.public_key),
    }
    return {"InvalidAccessKeyError": {"AccessKeyNotFound": fields}}


def _refuse_nonce_index(index: int | None, nonce_count: int) -> Refusal:
    return Refusal({"InvalidNonceIndex": {"tx_nonce_index": index, "num_nonces": nonce_count}})


def _refuse_balance(
    transaction: Transaction, account: Account | UninitialisedAccount, cost: TransactionCost
) -> Refusal:
    fields = {
        "signer_id": transaction.signer_id,
        "balance": str(account.amount),
        "cost": str(cost.total_cost),
    }
    return Refusal({"NotEnoughBalance": fields})


def _refuse_allowance(transaction: Transaction, allowance: Balance, cost: Balance) -> Refusal:
    fields = {
        "account_id": transaction.signer_id,
        "public_key": public_key_to_str(transaction.public_key),
        "allowance": str(allowance),
        "cost": str(cost),
    }
    return Refusal({"InvalidAccessKeyError": {"NotEnoughAllowance": fields}})
