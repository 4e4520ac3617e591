"""What everything costs: gas of actions, receipts and transactions.

Pure functions over actions and a ``Fees`` table that is computed once per
configuration. Sums are of non-negative numbers, so one check of the final sum
finds every overflow that NEAR's step-by-step checks find.

Source: nearcore ``runtime/runtime/src/config.rs`` and the fee helpers of
``near-parameters``.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from hither.params import Fee as ConfigFee
from hither.params import RuntimeConfig
from hither.primitives.account import (
    AccessKeyPermission,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    GlobalContractByHash,
    GlobalContractIdentifier,
)
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
from hither.primitives.ids import AccountKind, compute_account_kind
from hither.primitives.receipt import ActionReceipt
from hither.primitives.transaction import Transaction
from hither.primitives.types import ML_DSA_65, SECP256K1, Balance, Gas, PublicKey
from hither.primitives.universal_state_init import count_state_init

GAS_MAX: Final = 2**64 - 1
BALANCE_MAX: Final = 2**128 - 1

# Borsh length of a gas key's balance and nonce count.
GAS_KEY_INFO_SIZE: Final = 18
# Borsh length of the smallest gas key: nonce, tag, info.
GAS_KEY_SIZE_MIN: Final = 27
NONCE_SIZE: Final = 8
NONCE_INDEX_SIZE: Final = 2


class IntegerOverflow(ArithmeticError):
    """A sum left the width that the protocol gives it."""


class Fee(msgspec.Struct, frozen=True, gc=False):
    """Gas to send to oneself, to send to another, and to execute."""

    send_self: int
    send_other: int
    execute: int

    def send(self, is_self: bool) -> int:
        """Gas to send."""
        return self.send_self if is_self else self.send_other


class Fees(msgspec.Struct, frozen=True, gc=False):
    """The fee table, flattened, with the sums that the hot path needs.

    Compute equals gas for every fee but the execution of a deployment, which
    carries a surcharge of its own.
    """

    receipt: Fee
    create_account: Fee
    delete_account: Fee
    deploy_base: Fee
    deploy_byte: Fee
    call_base: Fee
    call_byte: Fee
    transfer: Fee
    stake: Fee
    full_access_key: Fee
    call_key_base: Fee
    call_key_byte: Fee
    delete_key: Fee
    delegate: Fee
    deploy_global_base: Fee
    deploy_global_byte: Fee
    use_global_base: Fee
    use_global_byte: Fee
    deterministic_base: Fee
    deterministic_byte: Fee
    deterministic_entry: Fee
    gas_key_transfer: Fee
    gas_key_byte: Fee
    gas_key_nonce_write: Fee
    universal_base: Fee
    universal_byte: Fee
    universal_entry: Fee
    signature_gas: tuple[int, int, int]
    deploy_compute_surcharge_base: int
    deploy_compute_surcharge_byte: int
    storage_remove_compute_base: int
    storage_remove_compute_key_byte: int
    storage_remove_compute_value_byte: int
    transfer_by_kind: dict[AccountKind, Fee]
    plain_transfer_burnt_self: int
    plain_transfer_burnt_other: int
    plain_transfer_remaining: int
    min_gas_purchase_price: int
    is_wire_key_length_charged: bool


class TransactionCost(msgspec.Struct, frozen=True, gc=False):
    """What converting a transaction into a receipt burns, and what it buys for later."""

    gas_burnt: Gas
    gas_remaining: Gas
    receipt_gas_price: Balance
    burnt_amount: Balance
    gas_cost: Balance
    deposit_cost: Balance
    total_cost: Balance


_fees_by_config: dict[int, tuple[RuntimeConfig, Fees]] = {}


def get_fees(config: RuntimeConfig) -> Fees:
    """The fee table of a configuration, made once for each configuration object."""
    known = _fees_by_config.get(id(config))
    if known is not None and known[0] is config:
        return known[1]
    fees = make_fees(config)
    _fees_by_config[id(config)] = (config, fees)
    return fees


def make_fees(config: RuntimeConfig) -> Fees:
    """Flatten the configuration's fee table."""
    actions = config.fees.actions

    def fee(name: str) -> Fee:
        cost: ConfigFee = getattr(actions, name)
        costs = [cost.send_sir, cost.send_not_sir]
        if name not in ("deploy_contract_base", "deploy_contract_byte"):
            costs.append(cost.execution)
        assert all(part.gas == part.compute for part in costs), f"{name} has a compute cost of its own"
        return Fee(cost.send_sir.gas, cost.send_not_sir.gas, cost.execution.gas)

    receipt, transfer = fee("new_action_receipt"), fee("transfer")
    create, full_key = fee("create_account"), fee("add_full_access_key")
    deploy_base, deploy_byte = actions.deploy_contract_base, actions.deploy_contract_byte
    signatures = config.fees.signature_verification
    assert all(cost.gas == cost.compute for cost in signatures)
    host_costs = config.wasm.host_costs
    return Fees(
        receipt=receipt,
        create_account=create,
        delete_account=fee("delete_account"),
        deploy_base=fee("deploy_contract_base"),
        deploy_byte=fee("deploy_contract_byte"),
        call_base=fee("function_call_base"),
        call_byte=fee("function_call_byte"),
        transfer=transfer,
        stake=fee("stake"),
        full_access_key=full_key,
        call_key_base=fee("add_function_call_key_base"),
        call_key_byte=fee("add_function_call_key_byte"),
        delete_key=fee("delete_key"),
        delegate=fee("delegate"),
        deploy_global_base=fee("deploy_global_contract_base"),
        deploy_global_byte=fee("deploy_global_contract_byte"),
        use_global_base=fee("use_global_contract_base"),
        use_global_byte=fee("use_global_contract_byte"),
        deterministic_base=fee("deterministic_state_init_base"),
        deterministic_byte=fee("deterministic_state_init_byte"),
        deterministic_entry=fee("deterministic_state_init_entry"),
        gas_key_transfer=fee("gas_key_transfer_base"),
        gas_key_byte=fee("gas_key_byte"),
        gas_key_nonce_write=fee("gas_key_nonce_write_base"),
        universal_base=fee("universal_state_init_base"),
        universal_byte=fee("universal_state_init_byte"),
        universal_entry=fee("universal_state_init_entry"),
        signature_gas=(signatures[0].gas, signatures[1].gas, signatures[2].gas),
        deploy_compute_surcharge_base=deploy_base.execution.compute - deploy_base.execution.gas,
        deploy_compute_surcharge_byte=deploy_byte.execution.compute - deploy_byte.execution.gas,
        storage_remove_compute_base=host_costs["storage_remove_base"].compute,
        storage_remove_compute_key_byte=host_costs["storage_remove_key_byte"].compute,
        storage_remove_compute_value_byte=host_costs["storage_remove_ret_value_byte"].compute,
        transfer_by_kind=_transfer_fees(config, transfer, create, full_key),
        plain_transfer_burnt_self=receipt.send_self + transfer.send_self,
        plain_transfer_burnt_other=receipt.send_other + transfer.send_other,
        plain_transfer_remaining=receipt.execute + transfer.execute,
        min_gas_purchase_price=config.min_gas_purchase_price,
        is_wire_key_length_charged=config.wasm.fix_ml_dsa_cost_charging,
    )


def _transfer_fees(
    config: RuntimeConfig, transfer: Fee, create: Fee, full_key: Fee
) -> dict[AccountKind, Fee]:
    """A transfer also pays for the account, and the key, that it may create."""

    def add(*fees: Fee) -> Fee:
        return Fee(
            sum(fee.send_self for fee in fees),
            sum(fee.send_other for fee in fees),
            sum(fee.execute for fee in fees),
        )

    creating = add(transfer, create)
    return {
        AccountKind.NAMED: transfer,
        AccountKind.NEAR_IMPLICIT: add(transfer, create, full_key),
        AccountKind.ETH_IMPLICIT: creating if config.wasm.eth_implicit_accounts else transfer,
        AccountKind.DETERMINISTIC: creating,
        AccountKind.UNIVERSAL: creating if config.wasm.universal_accounts else transfer,
    }


def key_length_stored(key: PublicKey) -> int:
    """Bytes of the key's handle in the trie: ML-DSA keys are stored as a hash."""
    return 65 if key.kind == SECP256K1 else 33


def _key_length_sent(fees: Fees, key: PublicKey) -> int:
    if fees.is_wire_key_length_charged and key.kind == ML_DSA_65:
        return 1 + len(key.data)
    return key_length_stored(key)


def identifier_length(identifier: GlobalContractIdentifier) -> int:
    """Bytes that a reference to a global contract adds to an account."""
    return 32 if isinstance(identifier, GlobalContractByHash) else len(identifier.account_id)


def _method_names_length(permission: FunctionCallPermission) -> int:
    """Every name counts one terminator."""
    return sum(len(name.encode()) + 1 for name in permission.method_names)


def _key_fee(fees: Fees, permission: AccessKeyPermission) -> tuple[Fee, Fee, int]:
    """Base fee, fee a byte, and bytes of adding a key, gas-key extras apart."""
    if isinstance(permission, GasKeyFunctionCall):
        permission = permission.function_call
    if isinstance(permission, FunctionCallPermission):
        return fees.call_key_base, fees.call_key_byte, _method_names_length(permission)
    return fees.full_access_key, fees.call_key_byte, 0


_IMPLICIT_ID_LENGTHS: Final = (42, 54, 64)


def _transfer_fee(fees: Fees, receiver_id: str) -> Fee:
    """Most names are told from implicit ids by their length alone."""
    if len(receiver_id) not in _IMPLICIT_ID_LENGTHS:
        return fees.transfer
    return fees.transfer_by_kind[compute_account_kind(receiver_id)]


def send_fee(fees: Fees, action: Action, is_self: bool, receiver_id: str) -> int:
    """Gas burnt by sending one action; a delegate pays for its inner actions too."""
    match action:
        case Transfer():
            return _transfer_fee(fees, receiver_id).send(is_self)
        case FunctionCall(method_name=method_name, args=args):
            size = len(method_name.encode()) + len(args)
            return fees.call_base.send(is_self) + size * fees.call_byte.send(is_self)
        case CreateAccount():
            return fees.create_account.send(is_self)
        case DeployContract(code=code):
            return fees.deploy_base.send(is_self) + len(code) * fees.deploy_byte.send(is_self)
        case Stake():
            return fees.stake.send(is_self)
        case AddKey(access_key=access_key):
            return _add_key_send_fee(fees, access_key.permission, is_self)
        case DeleteKey():
            return fees.delete_key.send(is_self)
        case DeleteAccount():
            return fees.delete_account.send(is_self)
        case Delegate(delegate_action=inner) | DelegateV2(delegate_action=inner):
            inner_fees = total_send_fees(fees, inner.actions, is_self, inner.receiver_id)
            return fees.delegate.send(is_self) + inner_fees
        case DeployGlobalContract(code=code):
            byte_fee = fees.deploy_global_byte.send(is_self)
            return fees.deploy_global_base.send(is_self) + len(code) * byte_fee
        case UseGlobalContract(contract_identifier=identifier):
            byte_fee = fees.use_global_byte.send(is_self)
            return fees.use_global_base.send(is_self) + identifier_length(identifier) * byte_fee
        case DeterministicStateInit(data=data):
            return (
                fees.deterministic_base.send(is_self)
                + len(data) * fees.deterministic_entry.send(is_self)
                + _data_size(data) * fees.deterministic_byte.send(is_self)
            )
        case TransferToGasKey(public_key=key) | WithdrawFromGasKey(public_key=key):
            byte_fee = fees.gas_key_byte.send(is_self)
            return fees.gas_key_transfer.send(is_self) + _key_length_sent(fees, key) * byte_fee
        case UniversalStateInit(state_init=raw):
            entry_count, key_count = count_state_init(raw)
            return (
                fees.universal_base.send(is_self)
                + len(raw) * fees.universal_byte.send(is_self)
                + entry_count * fees.universal_entry.send(is_self)
                + key_count * fees.full_access_key.send(is_self)
            )


def _add_key_send_fee(fees: Fees, permission: AccessKeyPermission, is_self: bool) -> int:
    base, byte_fee, size = _key_fee(fees, permission)
    gas = base.send(is_self) + size * byte_fee.send(is_self)
    if isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess)):
        gas += GAS_KEY_INFO_SIZE * fees.gas_key_byte.send(is_self)
    return gas


def _data_size(data: tuple[tuple[bytes, bytes], ...]) -> int:
    return sum(len(key) + len(value) for key, value in data)


def exec_fee(fees: Fees, action: Action, receiver_id: str) -> int:
    """Gas burnt by executing one action, before any contract runs."""
    match action:
        case Transfer():
            return _transfer_fee(fees, receiver_id).execute
        case FunctionCall():
            return _call_fee(fees, action)
        case CreateAccount():
            return fees.create_account.execute
        case DeployContract(code=code):
            return fees.deploy_base.execute + len(code) * fees.deploy_byte.execute
        case Stake():
            return fees.stake.execute
        case AddKey(access_key=access_key, public_key=key):
            return _add_key_exec_fee(fees, access_key.permission, receiver_id, key)
        case DeleteKey():
            return fees.delete_key.execute
        case DeleteAccount():
            return fees.delete_account.execute
        case Delegate() | DelegateV2():
            return fees.delegate.execute
        case DeployGlobalContract(code=code):
            return fees.deploy_global_base.execute + len(code) * fees.deploy_global_byte.execute
        case UseGlobalContract(contract_identifier=identifier):
            size = identifier_length(identifier)
            return fees.use_global_base.execute + size * fees.use_global_byte.execute
        case DeterministicStateInit(data=data):
            return (
                fees.deterministic_base.execute
                + len(data) * fees.deterministic_entry.execute
                + _data_size(data) * fees.deterministic_byte.execute
            )
        case TransferToGasKey(public_key=key) | WithdrawFromGasKey(public_key=key):
            size = _access_key_key_length(receiver_id, key) + GAS_KEY_SIZE_MIN
            return fees.gas_key_transfer.execute + size * fees.gas_key_byte.execute
        case UniversalStateInit(state_init=raw):
            entry_count, key_count = count_state_init(raw)
            return (
                fees.universal_base.execute
                + len(raw) * fees.universal_byte.execute
                + entry_count * fees.universal_entry.execute
                + key_count * fees.full_access_key.execute
            )


def _call_fee(fees: Fees, action: FunctionCall) -> int:
    size = len(action.method_name.encode()) + len(action.args)
    return fees.call_base.execute + size * fees.call_byte.execute


def _access_key_key_length(account_id: str, key: PublicKey) -> int:
    """Length of the trie key of an access key: column, account, separator, handle."""
    return 2 + len(account_id) + key_length_stored(key)


def gas_key_nonce_key_length(account_id: str, key: PublicKey) -> int:
    """Length of the trie key of one nonce of a gas key."""
    return _access_key_key_length(account_id, key) + NONCE_INDEX_SIZE


def _add_key_exec_fee(fees: Fees, permission: AccessKeyPermission, account_id: str, key: PublicKey) -> int:
    base, byte_fee, size = _key_fee(fees, permission)
    gas = base.execute + size * byte_fee.execute
    if isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess)):
        record_size = gas_key_nonce_key_length(account_id, key) + NONCE_SIZE
        nonce_fee = fees.gas_key_nonce_write.execute + record_size * fees.gas_key_byte.execute
        gas += permission.gas_key.num_nonces * nonce_fee
    return gas


def exec_compute_surcharge(fees: Fees, action: Action) -> int:
    """What executing the action takes from the chunk's compute beyond its gas."""
    if isinstance(action, DeployContract):
        return fees.deploy_compute_surcharge_base + len(action.code) * fees.deploy_compute_surcharge_byte
    return 0


def storage_removes_compute(fees: Fees, count: int, key_bytes: int, value_bytes: int) -> int:
    """Compute of removing many records at once."""
    return (
        count * fees.storage_remove_compute_base
        + key_bytes * fees.storage_remove_compute_key_byte
        + value_bytes * fees.storage_remove_compute_value_byte
    )


def total_send_fees(fees: Fees, actions: Sequence[Action], is_self: bool, receiver_id: str) -> Gas:
    """Gas burnt by sending these actions."""
    total = sum(send_fee(fees, action, is_self, receiver_id) for action in actions)
    return _checked_gas(total)


def total_prepaid_send_fees(fees: Fees, actions: Sequence[Action]) -> Gas:
    """Gas that delegates prepay for sending their inner actions later."""
    total = 0
    for action in actions:
        if isinstance(action, (Delegate, DelegateV2)):
            inner = action.delegate_action
            is_self = inner.sender_id == inner.receiver_id
            total += total_send_fees(fees, inner.actions, is_self, inner.receiver_id)
    return _checked_gas(total)


def total_prepaid_exec_fees(fees: Fees, actions: Sequence[Action], receiver_id: str) -> Gas:
    """Gas prepaid for executing these actions, and what delegates will send on."""
    total = 0
    for action in actions:
        if isinstance(action, (Delegate, DelegateV2)):
            inner = action.delegate_action
            total += total_prepaid_exec_fees(fees, inner.actions, inner.receiver_id)
            total += fees.delegate.execute + fees.receipt.execute
        else:
            total += exec_fee(fees, action, receiver_id)
    return _checked_gas(total)


def total_prepaid_gas(actions: Sequence[Action]) -> Gas:
    """Gas attached to function calls, inside delegates too."""
    total = 0
    for action in actions:
        if isinstance(action, FunctionCall):
            total += action.gas
        elif isinstance(action, (Delegate, DelegateV2)):
            total += total_prepaid_gas(action.delegate_action.actions)
    return _checked_gas(total)


def total_deposit(actions: Sequence[Action]) -> Balance:
    """Money attached to actions, inside delegates too."""
    total = 0
    for action in actions:
        if isinstance(
            action, (Transfer, FunctionCall, TransferToGasKey, DeterministicStateInit, UniversalStateInit)
        ):
            total += action.deposit
        elif isinstance(action, (Delegate, DelegateV2)):
            total += total_deposit(action.delegate_action.actions)
    return checked_balance(total)


def _checked_gas(total: int) -> Gas:
    if total > GAS_MAX:
        raise IntegerOverflow("gas")
    return Gas(total)


def checked_balance(total: int) -> Balance:
    """The same number, if it fits a balance."""
    if total > BALANCE_MAX:
        raise IntegerOverflow("balance")
    return Balance(total)


def compute_transaction_cost(fees: Fees, transaction: Transaction, gas_price: Balance) -> TransactionCost:
    """Gas and money that a transaction takes from its signer.

    What is burnt now is priced at the current price, what is bought for later at
    no less than the configured minimum. Raises ``IntegerOverflow``.
    """
    burnt, remaining, deposit = _sum_transaction(fees, transaction)
    burnt += fees.signature_gas[transaction.public_key.kind]
    if burnt > GAS_MAX or remaining > GAS_MAX:
        raise IntegerOverflow("gas")
    purchase_price = max(gas_price, fees.min_gas_purchase_price)
    burnt_amount = gas_price * burnt
    gas_cost = burnt_amount + purchase_price * remaining
    total_cost = gas_cost + deposit
    if total_cost > BALANCE_MAX:
        raise IntegerOverflow("balance")
    return TransactionCost(
        Gas(burnt),
        Gas(remaining),
        Balance(purchase_price),
        Balance(burnt_amount),
        Balance(gas_cost),
        deposit,
        Balance(total_cost),
    )


def _sum_transaction(fees: Fees, transaction: Transaction) -> tuple[int, int, Balance]:
    """Gas burnt by conversion but for the signature, gas that remains for the receipt, and deposits.

    A single transfer or call, which is what most transactions are, takes the short way to the same sums.
    """
    receiver_id, actions = transaction.receiver_id, transaction.actions
    is_self = transaction.signer_id == receiver_id
    if len(actions) == 1:
        action = actions[0]
        if type(action) is Transfer and len(receiver_id) not in _IMPLICIT_ID_LENGTHS:
            burnt = fees.plain_transfer_burnt_self if is_self else fees.plain_transfer_burnt_other
            return burnt, fees.plain_transfer_remaining, action.deposit
        if type(action) is FunctionCall:
            burnt = fees.receipt.send(is_self) + send_fee(fees, action, is_self, receiver_id)
            return burnt, action.gas + fees.receipt.execute + _call_fee(fees, action), action.deposit
    burnt = fees.receipt.send(is_self) + total_send_fees(fees, actions, is_self, receiver_id)
    remaining = (
        total_prepaid_gas(actions)
        + total_prepaid_send_fees(fees, actions)
        + fees.receipt.execute
        + total_prepaid_exec_fees(fees, actions, receiver_id)
    )
    for action in actions:
        if isinstance(action, (Delegate, DelegateV2)):
            burnt += fees.signature_gas[action.delegate_action.public_key.kind]
    return burnt, remaining, total_deposit(actions)


def prepaid_exec_and_send_gas(fees: Fees, actions: Sequence[Action], receiver_id: str) -> int:
    """All gas that an action receipt was given: attached, for sending on, for executing.

    A single transfer or call, which is what most receipts are, takes the short way to the same sum.
    """
    if len(actions) == 1:
        action = actions[0]
        if type(action) is Transfer:
            return fees.receipt.execute + _transfer_fee(fees, receiver_id).execute
        if type(action) is FunctionCall:
            return _checked_gas(action.gas + _call_fee(fees, action) + fees.receipt.execute)
    return _checked_gas(
        total_prepaid_gas(actions)
        + total_prepaid_send_fees(fees, actions)
        + total_prepaid_exec_fees(fees, actions, receiver_id)
        + fees.receipt.execute
    )


def receipt_congestion_gas(fees: Fees, body: ActionReceipt, receiver_id: str) -> Gas:
    """What an action receipt adds to the gas that waits in a queue; yields add none."""
    if body.is_promise_yield:
        return Gas(0)
    return Gas(prepaid_exec_and_send_gas(fees, body.actions, receiver_id))


def required_gas(fees: Fees, actions: Sequence[Action], receiver_id: str) -> Gas:
    """Gas that a new action receipt needs to execute."""
    return _checked_gas(
        total_prepaid_exec_fees(fees, actions, receiver_id)
        + total_prepaid_gas(actions)
        + fees.receipt.execute
    )
