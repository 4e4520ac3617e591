"""Code that any account can use (NEP-591): deploying it, carrying it from shard to shard, using it.

A deployment makes a receipt that visits the shards one after the other, each
time storing the code under its identifier. A number that grows with each
deployment of an identifier keeps a late receipt from undoing a newer one.

Source: nearcore ``runtime/runtime/src/global_contracts.rs``.
"""

import struct
from typing import Any, Final

import msgspec

from hither.codec import base58
from hither.crypto.hashing import sha256
from hither.primitives.account import (
    Account,
    DeployMode,
    GlobalContractByAccount,
    GlobalContractByHash,
    GlobalContractIdentifier,
    LocalContract,
)
from hither.primitives.action import DeployGlobalContract
from hither.primitives.ids import compute_receipt_id
from hither.primitives.receipt import GlobalContractDistribution, Receipt
from hither.primitives.types import SYSTEM_ACCOUNT, ZERO_HASH, AccountId, Balance, CryptoHash, Nonce
from hither.runtime.action_result import ActionResult
from hither.runtime.fees import BALANCE_MAX, identifier_length
from hither.runtime.types import ApplyContext
from hither.state import ChunkState, keys

_NONCE: Final = struct.Struct("<Q")


def identifier_to_json(identifier: GlobalContractIdentifier, version: int) -> dict[str, Any]:
    """As errors show it: the names of NEAR's Rust type at 84, shorter ones since."""
    names = ("CodeHash", "AccountId") if version <= 84 else ("hash", "account_id")
    if isinstance(identifier, GlobalContractByHash):
        return {names[0]: base58.encode(identifier.code_hash)}
    return {names[1]: identifier.account_id}


# Deploying


def apply_deploy_global_contract(
    context: ApplyContext,
    state: ChunkState,
    account_id: AccountId,
    account: Account,
    action: DeployGlobalContract,
    result: ActionResult,
) -> Account:
    """Burn the price of the code's bytes and send the code on its way; the account as it is afterwards."""
    cost = Balance(
        min(context.config.fees.storage.global_contract_amount_per_byte * len(action.code), BALANCE_MAX)
    )
    if account.amount < cost:
        result.set_error({"LackBalanceForState": {"account_id": account_id, "amount": str(cost)}})
        return account
    result.burn_tokens(cost)
    result.new_receipts.append(_initiate_distribution(context, state, account_id, action))
    return msgspec.structs.replace(account, amount=Balance(account.amount - cost))


def _initiate_distribution(
    context: ApplyContext, state: ChunkState, account_id: AccountId, action: DeployGlobalContract
) -> Receipt:
    """The first receipt, to the own shard. The new number is stored at once, so that no two share it."""
    identifier: GlobalContractIdentifier
    if action.deploy_mode is DeployMode.CODE_HASH:
        identifier = GlobalContractByHash(CryptoHash(sha256(action.code)))
    else:
        identifier = GlobalContractByAccount(account_id)
    nonce = Nonce(_get_nonce(state, identifier) + 1)
    state.set(keys.global_contract_nonce(identifier), _NONCE.pack(nonce))
    body = GlobalContractDistribution(identifier, context.shard_id, (), action.code, nonce)
    return Receipt(account_id, SYSTEM_ACCOUNT, ZERO_HASH, body)


def _get_nonce(state: ChunkState, identifier: GlobalContractIdentifier) -> Nonce:
    raw = state.get(keys.global_contract_nonce(identifier))
    return Nonce(_NONCE.unpack(raw)[0] if raw is not None else 0)


# Distributing


def store_distributed_contract(state: ChunkState, distribution: GlobalContractDistribution) -> bool:
    """Store the code in this shard, uncommitted; False if a newer deployment was here first.

    The same number is allowed: the shard of the deployer has stored it already.
    """
    nonce = distribution.nonce or Nonce(0)
    if nonce < _get_nonce(state, distribution.id):
        return False
    state.set(keys.global_contract_nonce(distribution.id), _NONCE.pack(nonce))
    state.set(keys.global_contract_code(distribution.id), distribution.code)
    return True


def compute_distribution_compute(context: ApplyContext, distribution: GlobalContractDistribution) -> int:
    """What storing the code takes from the chunk's compute; it burns no gas."""
    fees = context.config.fees
    size = len(distribution.code)
    return fees.deploy_global_contract_execution_base + size * fees.deploy_global_contract_execution_per_byte


def make_next_distribution_optional(context: ApplyContext, receipt: Receipt) -> Receipt | None:
    """The receipt for the first shard that does not have the code yet; None when all have it."""
    distribution = receipt.body
    assert isinstance(distribution, GlobalContractDistribution)
    delivered = sorted({*distribution.already_delivered_shards, context.shard_id})
    waiting = [shard_id for shard_id in context.shard_layout.shard_ids if shard_id not in delivered]
    if not waiting:
        return None
    body = msgspec.structs.replace(
        distribution, target_shard=waiting[0], already_delivered_shards=tuple(delivered)
    )
    receipt_id = compute_receipt_id(receipt.receipt_id, context.block_height, 0)
    return Receipt(receipt.predecessor_id, SYSTEM_ACCOUNT, receipt_id, body)


# Using


def clear_contract_storage_usage(state: ChunkState, account_id: AccountId, account: Account) -> Account:
    """Take the bytes of the account's present contract off its storage usage."""
    contract = account.contract
    if contract is None:
        return account
    if isinstance(contract, LocalContract):
        reference = state.get_reference(keys.contract_code(account_id))
        size = reference[0] if reference is not None else 0
    else:
        size = identifier_length(contract)
    return msgspec.structs.replace(account, storage_usage=max(0, account.storage_usage - size))


def use_global_contract(
    state: ChunkState,
    account_id: AccountId,
    account: Account,
    identifier: GlobalContractIdentifier,
    result: ActionResult,
    version: int,
) -> Account:
    """Make the account run the global contract; its own code goes. It fails where the code is not known."""
    if not state.has(keys.global_contract_code(identifier)):
        result.set_error(
            {"GlobalContractDoesNotExist": {"identifier": identifier_to_json(identifier, version)}}
        )
        return account
    cleared = clear_contract_storage_usage(state, account_id, account)
    if isinstance(account.contract, LocalContract):
        state.remove(keys.contract_code(account_id))
    return msgspec.structs.replace(
        cleared,
        storage_usage=cleared.storage_usage + identifier_length(identifier),
        contract=identifier,
        version=2,
    )
