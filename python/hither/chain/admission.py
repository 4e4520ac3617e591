"""Which transactions may wait, and which of them go into the next chunk.

The first question is asked at submission and answered with NEAR's ``InvalidTxError``; the
second when a chunk is made, and what fails then is dropped without a trace, as NEAR drops it.
Sources: nearcore chain/client/src/rpc_handler.rs, chain/chain/src/runtime/mod.rs
(``validate_tx``, ``can_verify_and_charge_tx``, ``prepare_transactions``).
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from hither.chain.pool import GroupKey, PooledEntry, TransactionPool, Verdict
from hither.chain.reader import InvalidTransaction
from hither.crypto.keys import compute_key_handle
from hither.params import RuntimeConfig
from hither.primitives.account import (
    AccessKey,
    Account,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    UninitialisedAccount,
    decode_access_key,
    decode_account_record,
)
from hither.primitives.sharding import CongestionInfo, ExtendedCongestionInfo, ShardLayout
from hither.primitives.transaction import SignedTransaction, Transaction
from hither.primitives.types import Balance, BlockHeight, CryptoHash, Gas, Nonce, ShardId
from hither.runtime.congestion_control import (
    compute_transaction_gas_limit,
    get_transaction_refusal_optional,
)
from hither.runtime.fees import IntegerOverflow, TransactionCost, compute_transaction_cost, get_fees
from hither.runtime.verifier import (
    NONCE_RANGE_PER_BLOCK,
    Refusal,
    access_key_not_found,
    is_bootstrap,
    validate_transaction,
    verify_and_charge,
    verify_and_charge_bootstrap,
)
from hither.state import Trie, keys

_NOT_CONGESTED = CongestionInfo()


class AdmissionContext(msgspec.Struct, frozen=True):
    """The newest block, as far as a transaction depends on it.

    ``get_height`` maps a block hash to its height, None if unknown or pruned;
    ``tries`` are the states after the block, ``gas_price`` is the next block's,
    ``congestion`` that of the block's chunks, ``congestion_errors`` what a transaction to a
    congested shard is refused with.
    """

    height: BlockHeight
    protocol_version: int
    config: RuntimeConfig
    shard_layout: ShardLayout
    gas_price: Balance
    validity_period: int
    tries: Mapping[ShardId, Trie]
    congestion: Mapping[ShardId, ExtendedCongestionInfo]
    congestion_errors: Mapping[ShardId, Any]
    get_height: Callable[[CryptoHash], BlockHeight | None]


class _Signer(msgspec.Struct, frozen=True, gc=False):
    """The records that a transaction is held against."""

    account_data: bytes
    key_data: bytes | None
    nonce_data: bytes | None
    account: Account | UninitialisedAccount
    access_key: AccessKey | None
    nonce: Nonce | None


def check_unsigned_parts(signed: SignedTransaction, context: AdmissionContext) -> BlockHeight:
    """Everything that needs neither the signature nor the signer's records; returns the base height.

    Raises InvalidTransaction.
    """
    transaction = signed.transaction
    base_height = context.get_height(transaction.block_hash)
    if base_height is None or context.height > base_height + context.validity_period:
        raise InvalidTransaction("Expired")
    error = _find_congestion_error(transaction, context)
    if error is None:
        error = validate_transaction(context.config, context.protocol_version, signed)
    if error is not None:
        raise InvalidTransaction(error)
    return base_height


def admit(signed: SignedTransaction, base_height: BlockHeight, context: AdmissionContext) -> PooledEntry:
    """Hold a transaction with a good signature against its signer's records.

    Raises InvalidTransaction.
    """
    transaction = signed.transaction
    trie = context.tries[context.shard_layout.get_shard_id(transaction.signer_id)]
    try:
        cost = _compute_cost(transaction, context)
    except IntegerOverflow:
        raise InvalidTransaction("CostOverflow") from None
    verdict = _verify(transaction, cost, context, _load_signer(transaction, trie), None)
    if isinstance(verdict, Refusal):
        raise InvalidTransaction(verdict.error)
    return PooledEntry(signed, base_height, verdict)


def compute_congestion_errors(
    config: RuntimeConfig, congestion: Mapping[ShardId, ExtendedCongestionInfo]
) -> dict[ShardId, Any]:
    """What transactions to each congested shard are refused with; other shards are left out."""
    errors: dict[ShardId, Any] = {}
    for shard_id, extended in congestion.items():
        refusal = get_transaction_refusal_optional(config.congestion_control, extended)
        if refusal is None:
            continue
        if refusal.reason == "missed_chunks":
            stuck = {"shard_id": shard_id, "missed_chunks": refusal.missed_chunks_count}
            errors[shard_id] = {"ShardStuck": stuck}
        else:
            fields = {"shard_id": shard_id, "congestion_level": refusal.level}
            errors[shard_id] = {"ShardCongested": fields}
    return errors


def _find_congestion_error(transaction: Transaction, context: AdmissionContext) -> Any:
    if not context.congestion_errors:
        return None
    return context.congestion_errors.get(context.shard_layout.get_shard_id(transaction.receiver_id))


def _compute_cost(transaction: Transaction, context: AdmissionContext) -> TransactionCost:
    return compute_transaction_cost(get_fees(context.config), transaction, context.gas_price)


def _load_signer(transaction: Transaction, trie: Trie) -> _Signer | Refusal:
    account_data = trie.get(keys.account(transaction.signer_id))
    if account_data is None:
        return Refusal({"SignerDoesNotExist": {"signer_id": transaction.signer_id}})
    account = decode_account_record(account_data)
    if isinstance(account, UninitialisedAccount):
        if not is_bootstrap(transaction):
            return Refusal(access_key_not_found(transaction))
        return _Signer(account_data, None, None, account, None, None)
    handle = compute_key_handle(transaction.public_key)
    key_data = trie.get(keys.access_key(transaction.signer_id, handle))
    if key_data is None:
        return Refusal(access_key_not_found(transaction))
    nonce_data, nonce = None, None
    if transaction.nonce_index is not None:
        nonce_data = trie.get(keys.gas_key_nonce(transaction.signer_id, handle, transaction.nonce_index))
        nonce = None if nonce_data is None else Nonce(int.from_bytes(nonce_data, "little"))
    return _Signer(account_data, key_data, nonce_data, account, decode_access_key(key_data), nonce)


def _verify(
    transaction: Transaction,
    cost: TransactionCost,
    context: AdmissionContext,
    signer: _Signer | Refusal,
    block_height: BlockHeight | None,
) -> Verdict | Refusal:
    if isinstance(signer, Refusal):
        return signer
    if isinstance(signer.account, UninitialisedAccount):
        charge = verify_and_charge_bootstrap(context.config, transaction, cost, signer.account, block_height)
    else:
        assert signer.access_key is not None
        charge = verify_and_charge(
            context.config, transaction, cost, signer.account, signer.access_key, signer.nonce, block_height
        )
    if isinstance(charge, Refusal):
        return charge
    if charge.deposit_error is not None:
        return Refusal(charge.deposit_error)
    return Verdict(
        context.gas_price,
        signer.account_data,
        signer.key_data,
        signer.nonce_data,
        cost,
        charge.account,
        charge.access_key,
    )


class _Ledger:
    """What the transactions chosen so far leave of their signers, on top of a state.

    The accounts of one group are cached: only the first look at a signer reads the state.
    """

    def __init__(self, trie: Trie, context: AdmissionContext) -> None:
        self._trie = trie
        self._context = context
        self._accounts: dict[str, Account | UninitialisedAccount] = {}
        self._keys: dict[GroupKey, tuple[AccessKey | None, Nonce | None]] = {}

    def charge(self, key: GroupKey, entry: PooledEntry) -> bool:
        """Take the transaction's cost from its signer; False when it is not good (any more)."""
        transaction, verdict = entry.signed.transaction, entry.verdict
        if transaction.nonce >= (self._context.height + 1) * NONCE_RANGE_PER_BLOCK:
            return False
        signer_id = transaction.signer_id
        known = self._accounts.get(signer_id)
        if known is None and self._is_unchanged(entry):
            self._accounts[signer_id] = verdict.account_after
            self._keys[key] = verdict.key_after, Nonce(transaction.nonce)
            return True
        signer = _load_signer(transaction, self._trie)
        if isinstance(signer, Refusal):
            return False
        if known is not None:
            signer = msgspec.structs.replace(signer, account=known)
        if key in self._keys:
            access_key, nonce = self._keys[key]
            signer = msgspec.structs.replace(signer, access_key=access_key or signer.access_key, nonce=nonce)
        signer = self._with_shared_balance(key, signer)
        is_price_same = verdict.gas_price == self._context.gas_price
        cost = verdict.cost if is_price_same else _compute_cost(transaction, self._context)
        height = BlockHeight(self._context.height + 1)
        fresh = _verify(transaction, cost, self._context, signer, height)
        if isinstance(fresh, Refusal):
            return False
        self._accounts[signer_id] = fresh.account_after
        self._keys[key] = fresh.key_after, Nonce(transaction.nonce)
        return True

    def _is_unchanged(self, entry: PooledEntry) -> bool:
        """Whether the grounds of the verdict still hold."""
        transaction, verdict = entry.signed.transaction, entry.verdict
        if verdict.gas_price != self._context.gas_price or transaction.nonce_index is not None:
            return False
        if self._trie.get(keys.account(transaction.signer_id)) != verdict.account_data:
            return False
        if verdict.key_data is None:
            return True
        handle = compute_key_handle(transaction.public_key)
        return self._trie.get(keys.access_key(transaction.signer_id, handle)) == verdict.key_data

    def _with_shared_balance(self, key: GroupKey, signer: _Signer) -> _Signer:
        """A gas key's balance is one for all its nonces: take it from the group that changed it last."""
        if key[3] is None or signer.access_key is None:
            return signer
        for other, (access_key, _) in reversed(self._keys.items()):
            if other[:3] == key[:3] and access_key is not None:
                permission = access_key.permission
                if isinstance(permission, (GasKeyFunctionCall, GasKeyFullAccess)):
                    return msgspec.structs.replace(signer, access_key=access_key)
        return signer


def choose_transactions(
    pool: TransactionPool, shard_id: ShardId, context: AdmissionContext, gas_max: int | None = None
) -> tuple[list[SignedTransaction], list[CryptoHash]]:
    """The transactions of the next chunk, and those that are to be dropped.

    Limits are NEAR's: gas for converting transactions (less when the shard is congested) and their size.
    ``gas_max`` is a limit of the producer's own.
    """
    own = context.congestion.get(shard_id)
    gas_limit = compute_transaction_gas_limit(
        context.config.congestion_control, (own or ExtendedCongestionInfo(_NOT_CONGESTED)).info
    )
    size_limit = context.config.witness.combined_transactions_size_limit
    if gas_max is not None:
        gas_limit = Gas(min(gas_limit, gas_max))
    ledger = _Ledger(context.tries[shard_id], context)
    chosen: list[SignedTransaction] = []
    dropped: list[CryptoHash] = []
    gas, size = 0, 0
    waiting = [(key, iter(group)) for key, group in pool.iterate_groups()]
    while waiting:
        left = []
        for key, group in waiting:
            if gas >= gas_limit or size >= size_limit:
                return chosen, dropped
            for entry in group:
                if size + entry.signed.size > size_limit:
                    return chosen, dropped
                if not _is_current(entry, context) or not ledger.charge(key, entry):
                    dropped.append(entry.signed.hash)
                    continue
                chosen.append(entry.signed)
                gas += entry.gas_burnt
                size += entry.signed.size
                left.append((key, group))
                break
        waiting = left
    return chosen, dropped


def _is_current(entry: PooledEntry, context: AdmissionContext) -> bool:
    """Not expired, and its receiver's shard takes transactions."""
    if context.height > entry.base_height + context.validity_period:
        return False
    return _find_congestion_error(entry.signed.transaction, context) is None
