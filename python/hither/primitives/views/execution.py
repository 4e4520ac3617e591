"""Transactions, receipts and outcomes as NEAR's RPC shows them."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from hither.crypto.hashing import sha256
from hither.crypto.keys import public_key_to_str, signature_to_str
from hither.primitives.merkle import MerklePathItem
from hither.primitives.outcome import Failure, Outcome, Status, SuccessReceiptId, SuccessValue, Unknown
from hither.primitives.receipt import (
    ActionReceipt,
    DataReceipt,
    GlobalContractDistribution,
    Receipt,
    ReceiptBody,
)
from hither.primitives.transaction import NonceMode, SignedTransaction
from hither.primitives.types import CryptoHash
from hither.primitives.views.accounts import (
    CURRENT,
    View,
    view_account_contract,
    view_bytes,
    view_global_contract_identifier,
    view_hash,
)
from hither.primitives.views.actions import view_action


def view_transaction(signed: SignedTransaction, protocol_version: int = CURRENT) -> View:
    """``SignedTransactionView``."""
    transaction = signed.transaction
    view: View = {
        "actions": [view_action(action, protocol_version) for action in transaction.actions],
        "hash": view_hash(signed.hash),
        "nonce": transaction.nonce,
    }
    if transaction.nonce_index is not None:
        view["nonce_index"] = transaction.nonce_index
    if transaction.nonce_mode is NonceMode.STRICT:
        view["nonce_mode"] = "strict"
    view["priority_fee"] = 0
    view["public_key"] = public_key_to_str(transaction.public_key)
    view["receiver_id"] = transaction.receiver_id
    view["signature"] = signature_to_str(signed.signature)
    view["signer_id"] = transaction.signer_id
    return view


def _view_action_receipt(body: ActionReceipt, protocol_version: int) -> View:
    view: View = {
        "actions": [view_action(action, protocol_version) for action in body.actions],
        "gas_price": str(body.gas_price),
        "input_data_ids": [view_hash(data_id) for data_id in body.input_data_ids],
        "is_promise_yield": body.is_promise_yield,
        "output_data_receivers": [
            {"data_id": view_hash(receiver.data_id), "receiver_id": receiver.receiver_id}
            for receiver in body.output_data_receivers
        ],
    }
    if body.refund_to is not None:
        view["refund_to"] = body.refund_to
    view["signer_id"] = body.signer_id
    view["signer_public_key"] = public_key_to_str(body.signer_public_key)
    return view


def _view_distribution(body: GlobalContractDistribution, protocol_version: int) -> View:
    view: View = {
        "already_delivered_shards": body.already_delivered_shards,
        "code": view_bytes(sha256(body.code)),
        "id": view_global_contract_identifier(body.id, protocol_version),
    }
    if body.nonce is not None:
        view["nonce"] = body.nonce
    view["target_shard"] = body.target_shard
    return view


def _view_receipt_body(body: ReceiptBody, protocol_version: int) -> View:
    if isinstance(body, ActionReceipt):
        return {"Action": _view_action_receipt(body, protocol_version)}
    if isinstance(body, DataReceipt):
        fields = {
            "data": None if body.data is None else view_bytes(body.data),
            "data_id": view_hash(body.data_id),
            "is_promise_resume": body.is_promise_resume,
        }
        return {"Data": fields}
    return {"GlobalContractDistribution": _view_distribution(body, protocol_version)}


def view_receipt(receipt: Receipt, protocol_version: int = CURRENT) -> View:
    """``ReceiptView``."""
    return {
        "predecessor_id": receipt.predecessor_id,
        "priority": 0,
        "receipt": _view_receipt_body(receipt.body, protocol_version),
        "receipt_id": view_hash(receipt.receipt_id),
        "receiver_id": receipt.receiver_id,
    }


class ProvenOutcome(Protocol):
    """An outcome with the block it was executed in and its path to the outcome root."""

    @property
    def id(self) -> CryptoHash: ...
    @property
    def block_hash(self) -> CryptoHash: ...
    @property
    def outcome(self) -> Outcome: ...
    @property
    def proof(self) -> Sequence[MerklePathItem]: ...


def view_merkle_path(path: Iterable[MerklePathItem]) -> list[View]:
    """``MerklePath``."""
    return [{"direction": item.direction.value, "hash": view_hash(item.hash)} for item in path]


def view_status(status: Status) -> View | str:
    """``ExecutionStatusView``."""
    if isinstance(status, SuccessValue):
        return {"SuccessValue": view_bytes(status.value)}
    if isinstance(status, SuccessReceiptId):
        return {"SuccessReceiptId": view_hash(status.receipt_id)}
    if isinstance(status, Failure):
        return {"Failure": status.error}
    return "Unknown"


def _view_metadata(outcome: Outcome) -> View:
    view: View = {}
    if outcome.contracts is not None:
        view["contracts"] = [view_account_contract(contract) for contract in outcome.contracts]
    profile = outcome.gas_profile
    view["gas_profile"] = (
        None
        if profile is None
        else [
            {"cost": entry.cost, "cost_category": entry.category, "gas_used": str(entry.gas_used)}
            for entry in profile
        ]
    )
    view["version"] = outcome.metadata_version
    return view


def view_outcome(outcome: Outcome) -> View:
    """``ExecutionOutcomeView``."""
    return {
        "executor_id": outcome.executor_id,
        "gas_burnt": outcome.gas_burnt,
        "logs": outcome.logs,
        "metadata": _view_metadata(outcome),
        "receipt_ids": [view_hash(receipt_id) for receipt_id in outcome.receipt_ids],
        "status": view_status(outcome.status),
        "tokens_burnt": str(outcome.tokens_burnt),
    }


def view_outcome_with_proof(proven: ProvenOutcome) -> View:
    """``ExecutionOutcomeWithIdView``."""
    return {
        "block_hash": view_hash(proven.block_hash),
        "id": view_hash(proven.id),
        "outcome": view_outcome(proven.outcome),
        "proof": view_merkle_path(proven.proof),
    }


def view_final_status(outcomes: Sequence[ProvenOutcome]) -> View | str:
    """``FinalExecutionStatus``: that of the transaction, or of the receipt that its result is, so far.

    ``outcomes`` starts with the transaction's own and goes on as the answer lists them.
    """
    if not outcomes:
        return "NotStarted"
    looking_for = outcomes[0].id
    for proven in outcomes:
        if proven.id != looking_for:
            continue
        status = proven.outcome.status
        if isinstance(status, SuccessReceiptId):
            looking_for = status.receipt_id
        elif isinstance(status, Unknown):
            return "NotStarted" if len(outcomes) == 1 else "Started"
        else:
            return view_status(status)
    return "Started"


class ExecutedTransaction(Protocol):
    """A transaction, how far it has come, and every outcome below it so far."""

    @property
    def transaction(self) -> SignedTransaction: ...
    @property
    def execution(self) -> "NamedStatus": ...
    @property
    def outcome(self) -> ProvenOutcome | None: ...
    @property
    def receipt_outcomes(self) -> Sequence[ProvenOutcome]: ...
    @property
    def receipts(self) -> Sequence[Receipt]: ...


class NamedStatus(Protocol):
    """A member of an enumeration whose names are those of ``TxExecutionStatus``."""

    @property
    def name(self) -> str: ...


def view_transaction_status(
    status: ExecutedTransaction, *, with_receipts: bool = False, protocol_version: int = CURRENT
) -> View:
    """``RpcTransactionResponse`` around ``FinalExecutionOutcomeView``, with receipts or without."""
    assert status.outcome is not None, "the caller answers for what has no outcome yet"
    view: View = {"final_execution_status": status.execution.name}
    if with_receipts:
        view["receipts"] = [view_receipt(receipt, protocol_version) for receipt in status.receipts]
    view["receipts_outcome"] = [view_outcome_with_proof(outcome) for outcome in status.receipt_outcomes]
    view["status"] = view_final_status([status.outcome, *status.receipt_outcomes])
    view["transaction"] = view_transaction(status.transaction, protocol_version)
    view["transaction_outcome"] = view_outcome_with_proof(status.outcome)
    return view
