"""Turning a chunk's transactions into receipts (nearcore ``process_transactions``).

An invalid transaction fails with an outcome and does nothing else. A repeat of
one earlier in the chunk is passed over without an outcome (from 85 on).
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from hither.crypto.keys import KeyHandle, compute_key_handle
from hither.crypto.signing import are_valid_signatures
from hither.params import ProtocolFeature
from hither.primitives.account import AccessKey, Account, UninitialisedAccount
from hither.primitives.ids import compute_receipt_id
from hither.primitives.outcome import Failure, Outcome, SuccessReceiptId
from hither.primitives.receipt import ActionReceipt, Receipt
from hither.primitives.transaction import SignedTransaction, Transaction
from hither.primitives.types import Balance, CryptoHash, Gas, Nonce
from hither.runtime import causes
from hither.runtime.chunk_run import ChunkRun
from hither.runtime.fees import IntegerOverflow, TransactionCost, compute_transaction_cost
from hither.runtime.verifier import (
    Charge,
    Refusal,
    TransactionError,
    access_key_not_found,
    is_bootstrap,
    validate_transaction,
    verify_and_charge,
    verify_and_charge_bootstrap,
)
from hither.state import records


def process_transactions(
    run: ChunkRun, transactions: Sequence[SignedTransaction], verified: Collection[CryptoHash]
) -> list[Receipt]:
    """Charge each transaction and make its receipt; the local ones, of signers to themselves, in order."""
    if ProtocolFeature.UNIQUE_CHUNK_TRANSACTIONS.is_enabled(run.version):
        first: dict[CryptoHash, SignedTransaction] = {}
        for signed in transactions:
            first.setdefault(signed.hash, signed)
        transactions = list(first.values())
    errors = _find_errors(run, transactions, verified)
    local_receipts: list[Receipt] = []
    for signed, error in zip(transactions, errors, strict=True):
        if error is not None:
            _read_signer(run, signed.transaction, compute_key_handle(signed.transaction.public_key))
            _add_failure(run, signed, error)
            continue
        receipt = _process_transaction(run, signed)
        if receipt is None:
            continue
        if receipt.receiver_id == receipt.predecessor_id:
            local_receipts.append(receipt)
        else:
            run.sink.forward_or_buffer(receipt)
        run.state.commit(causes.TRANSACTION_PROCESSING + signed.hash)
    return local_receipts


def _find_errors(
    run: ChunkRun, transactions: Sequence[SignedTransaction], verified: Collection[CryptoHash]
) -> list[TransactionError | None]:
    """What is wrong with each transaction regardless of the state; the signature comes last."""
    errors = [validate_transaction(run.config, run.version, signed) for signed in transactions]
    unverified = [
        index
        for index, signed in enumerate(transactions)
        if errors[index] is None and signed.hash not in verified
    ]
    are_valid = are_valid_signatures(
        (signed.transaction.public_key, signed.hash, signed.signature)
        for signed in (transactions[index] for index in unverified)
    )
    for index, is_valid in zip(unverified, are_valid, strict=True):
        if not is_valid:
            errors[index] = "InvalidSignature"
    return errors


class _Signer(NamedTuple):
    """What the state has of a transaction's signer."""

    account: Account | UninitialisedAccount | None
    access_key: AccessKey | None
    gas_key_nonce: Nonce | None


def _read_signer(run: ChunkRun, transaction: Transaction, handle: KeyHandle) -> _Signer:
    """Read account, key and nonce, whether or not they are needed: the reads count in the proof.

    NEAR's node reads them for invalid transactions too.
    """
    state, signer_id = run.state, transaction.signer_id
    nonce = None
    if transaction.nonce_index is not None:
        nonce = records.get_gas_key_nonce_optional(state, signer_id, handle, transaction.nonce_index)
    return _Signer(
        records.get_account_record_optional(state, signer_id),
        records.get_access_key_optional(state, signer_id, handle),
        nonce,
    )


def _process_transaction(run: ChunkRun, signed: SignedTransaction) -> Receipt | None:
    """Charge a well-formed transaction; its receipt, or None with the failure recorded."""
    transaction = signed.transaction
    signer_id, handle = transaction.signer_id, compute_key_handle(transaction.public_key)
    signer = _read_signer(run, transaction, handle)
    try:
        cost = compute_transaction_cost(run.fees, transaction, run.context.gas_price)
    except IntegerOverflow:
        _add_failure(run, signed, "CostOverflow")
        return None
    charge = _charge(run, transaction, cost, signer)
    if isinstance(charge, Refusal):
        _add_failure(run, signed, charge.error)
        return None
    records.set_account(run.state, signer_id, charge.account)
    if charge.gas_key_nonce is not None:
        index, nonce = charge.gas_key_nonce
        records.set_gas_key_nonce(run.state, signer_id, handle, index, nonce)
    if charge.access_key is not None:
        records.set_access_key(run.state, signer_id, handle, charge.access_key)
    run.tokens_burnt += cost.burnt_amount
    if charge.deposit_error is not None:
        _add_failure(run, signed, charge.deposit_error, cost)
        run.state.commit(causes.TRANSACTION_PROCESSING + signed.hash)
        return None
    receipt = _make_receipt(run, signed, cost)
    status = SuccessReceiptId(receipt.receipt_id)
    run.add_outcome(
        Outcome(
            signed.hash,
            (),
            (receipt.receipt_id,),
            cost.gas_burnt,
            cost.burnt_amount,
            signer_id,
            status,
            cost.gas_burnt,
        )
    )
    return receipt


def _charge(
    run: ChunkRun, transaction: Transaction, cost: TransactionCost, signer: _Signer
) -> Charge | Refusal:
    height = run.context.block_height
    account, access_key, nonce = signer
    if account is None:
        return Refusal({"InvalidSignerId": {"signer_id": transaction.signer_id}})
    if access_key is None:
        if (
            isinstance(account, UninitialisedAccount)
            and run.config.wasm.universal_accounts
            and is_bootstrap(transaction)
        ):
            return verify_and_charge_bootstrap(run.config, transaction, cost, account, height)
        return Refusal(access_key_not_found(transaction))
    return verify_and_charge(run.config, transaction, cost, account, access_key, nonce, height)


def _make_receipt(run: ChunkRun, signed: SignedTransaction, cost: TransactionCost) -> Receipt:
    transaction = signed.transaction
    body = ActionReceipt(
        transaction.signer_id,
        transaction.public_key,
        cost.receipt_gas_price,
        (),
        (),
        transaction.actions,
    )
    receipt_id = compute_receipt_id(signed.hash, run.context.block_height, 0)
    return Receipt(transaction.signer_id, transaction.receiver_id, receipt_id, body)


def _add_failure(
    run: ChunkRun,
    signed: SignedTransaction,
    error: TransactionError,
    cost: TransactionCost | None = None,
) -> None:
    """The outcome of a transaction that made no receipt; ``cost`` if the conversion was burnt."""
    gas = Gas(0) if cost is None else cost.gas_burnt
    burnt = Balance(0) if cost is None else cost.burnt_amount
    no_receipts: tuple[CryptoHash, ...] = ()
    status = Failure({"InvalidTxError": error})
    signer_id = signed.transaction.signer_id
    run.add_outcome(Outcome(signed.hash, (), no_receipts, gas, burnt, signer_id, status, gas))
