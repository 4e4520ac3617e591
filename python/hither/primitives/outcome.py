"""What executing a transaction or a receipt left behind."""

from typing import Any

import msgspec

from hither.primitives.account import Contract
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
