"""What executing a transaction or a receipt left behind."""

from typing import Any

import msgspec

from hither.codec.borsh import BYTES, HASH, U64, U128, Codec, constant, record, sequence, tagged
from hither.crypto.hashing import sha256
from hither.primitives.account import Contract
from hither.primitives.ids import ACCOUNT_ID
from hither.primitives.merkle import MerklePath, compute_merkle_root, merklize
from hither.primitives.types import AccountId, Balance, CryptoHash, Gas


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """Status 0: not executed yet."""


class Failure(msgspec.Struct, frozen=True, gc=False):
    """Status 1. ``error`` is the JSON form of NEAR's ``TxExecutionError``.

    The payload is not part of the outcome's hash.
    """

    error: Any


class SuccessValue(msgspec.Struct, frozen=True, gc=False):
    """Status 2: the returned bytes."""

    value: bytes


class SuccessReceiptId(msgspec.Struct, frozen=True, gc=False):
    """Status 3: the result is that of another receipt."""

    receipt_id: CryptoHash


Status = Unknown | Failure | SuccessValue | SuccessReceiptId


class ProfileEntry(msgspec.Struct, frozen=True, gc=False):
    """Gas of one kind: category ACTION_COST or WASM_HOST_COST, NEAR's cost name, gas."""

    category: str
    cost: str
    gas_used: Gas


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The effect of one transaction or receipt.

    ``compute_usage`` stays inside the node. ``gas_profile`` is None where NEAR
    reports none (transactions); ``contracts`` is what version 4 of the metadata
    adds from protocol 85 on.
    """

    id: CryptoHash
    logs: tuple[str, ...]
    receipt_ids: tuple[CryptoHash, ...]
    gas_burnt: Gas
    tokens_burnt: Balance
    executor_id: AccountId
    status: Status
    compute_usage: int = 0
    gas_profile: tuple[ProfileEntry, ...] | None = None
    contracts: tuple[Contract, ...] | None = None
    metadata_version: int = 1


_PROOF_FORM: Codec[Outcome] = record(
    Outcome,
    {
        "receipt_ids": sequence(HASH),
        "gas_burnt": U64,
        "tokens_burnt": U128,
        "executor_id": ACCOUNT_ID,
        "status": tagged(
            {
                0: (Unknown, constant(Unknown())),
                1: (Failure, constant(Failure(None))),
                2: (SuccessValue, record(SuccessValue, {"value": BYTES})),
                3: (SuccessReceiptId, record(SuccessReceiptId, {"receipt_id": HASH})),
            }
        ),
    },
)
_encode_proof_form = _PROOF_FORM.encode


def compute_outcome_hashes(outcome: Outcome) -> list[bytes]:
    """The id, the hash of the outcome without logs and failure payload, the hash of each log."""
    logs = [sha256(log.encode()) for log in outcome.logs]
    return [outcome.id, sha256(_encode_proof_form(outcome)), *logs]


def compute_outcome_leaf(outcome: Outcome) -> bytes:
    """The outcome's leaf in the tree of its chunk: the hash of the list of those hashes."""
    hashes = compute_outcome_hashes(outcome)
    return sha256(len(hashes).to_bytes(4, "little") + b"".join(hashes))


def compute_outcome_root(outcomes: tuple[Outcome, ...] | list[Outcome]) -> CryptoHash:
    """The ``outcome_root`` that the next chunk header of the shard carries."""
    return compute_merkle_root([compute_outcome_leaf(outcome) for outcome in outcomes])


def compute_outcome_proofs(
    outcomes: tuple[Outcome, ...] | list[Outcome],
) -> tuple[CryptoHash, list[MerklePath]]:
    """The root and, in the order of the outcomes, the path of each to it."""
    return merklize([compute_outcome_leaf(outcome) for outcome in outcomes])
