"""What the node answers, as typed data. Amounts are integers in yoctonear."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import msgspec

from hither.primitives.account import (
    AccessKeyPermission,
    FullAccess,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    GasKeyInfo,
)
from hither.primitives.types import Balance


class AccountState(msgspec.Struct, frozen=True):
    """An account at a block."""

    amount: int
    """What it can spend, and pays for storage with."""
    locked: int
    """What it has staked."""
    code_hash: str
    """Of its own code; 32 times ``1`` for none."""
    storage_usage: int
    """In bytes, its code, keys and state."""
    block_height: int
    block_hash: str
    global_contract_hash: str | None = None
    """Of the global contract that it runs by hash."""
    global_contract_account_id: str | None = None
    """Whose global contract it runs."""
    bootstrap_nonce: int | None = None

    @property
    def has_contract(self) -> bool:
        """Whether it runs code, its own or a global one."""
        own = self.code_hash != "1" * 32
        return own or self.global_contract_hash is not None or self.global_contract_account_id is not None


class AccessKeyState(msgspec.Struct, frozen=True):
    """A key of an account: what it may do, and the last nonce it used."""

    nonce: int
    permission: AccessKeyPermission


class Code(msgspec.Struct, frozen=True):
    """A contract's code and its hash."""

    code: bytes
    hash: str


class CallResult(msgspec.Struct, frozen=True):
    """What a view call returned and said."""

    value: bytes
    logs: tuple[str, ...]
    block_height: int
    """Of the block whose state it saw."""
    block_hash: str

    def json(self) -> Any:
        """The value as JSON, which is what most contracts return; None for an empty value."""
        return msgspec.json.decode(self.value) if self.value else None


class BlockSummary(msgspec.Struct, frozen=True):
    """The part of a block that clients need."""

    height: int
    hash: str
    timestamp_ns: int
    """Nanoseconds since 1970."""
    gas_price: int
    """Yoctonear for a unit of gas."""


def read_permission(json: Any) -> AccessKeyPermission:
    """A permission from NEAR's JSON."""
    if json == "FullAccess":
        return FullAccess()
    ((kind, fields),) = json.items()
    match kind:
        case "FunctionCall":
            return _read_call_permission(fields)
        case "GasKeyFunctionCall":
            return GasKeyFunctionCall(_read_gas_key(fields), _read_call_permission(fields))
        case "GasKeyFullAccess":
            return GasKeyFullAccess(_read_gas_key(fields))
    raise ValueError(f"an unknown permission: {kind}")


def _read_call_permission(fields: dict[str, Any]) -> FunctionCallPermission:
    allowance = fields["allowance"]
    limit = None if allowance is None else Balance(int(allowance))
    return FunctionCallPermission(limit, fields["receiver_id"], tuple(fields["method_names"]))


def _read_gas_key(fields: dict[str, Any]) -> GasKeyInfo:
    return GasKeyInfo(Balance(int(fields["balance"])), fields["num_nonces"])


class TransactionResult:
    """A transaction and everything below it, as far as it has come.

    ``json`` is the node's whole answer. ``status`` is how far it has come (``FINAL`` and so on).
    """

    def __init__(self, json: dict[str, Any], transaction_hash: str) -> None:
        self.json = json
        self.hash = transaction_hash
        self.status: str = json.get("final_execution_status", "NONE")

    def __repr__(self) -> str:
        return f"TransactionResult({self.hash}, {self.status})"

    @property
    def failure(self) -> Any:
        """NEAR's ``TxExecutionError`` if it failed, else None."""
        status = self.json.get("status")
        return status.get("Failure") if isinstance(status, dict) else None

    @property
    def is_executed(self) -> bool:
        """Whether there is a result yet, good or bad."""
        return isinstance(self.json.get("status"), dict)

    @property
    def value(self) -> bytes:
        """What it returned; empty if nothing."""
        status = self.json.get("status")
        encoded = status.get("SuccessValue") if isinstance(status, dict) else None
        return b64decode(encoded) if encoded else b""

    def value_json(self) -> Any:
        """The value as JSON; None for an empty value."""
        return msgspec.json.decode(self.value) if self.value else None

    def _outcomes(self) -> Iterator[dict[str, Any]]:
        if "transaction_outcome" in self.json:
            yield self.json["transaction_outcome"]
            yield from self.json["receipts_outcome"]

    @property
    def logs(self) -> tuple[str, ...]:
        """What contracts said, in the order of execution as listed."""
        return tuple(line for outcome in self._outcomes() for line in outcome["outcome"]["logs"])

    @property
    def gas_burnt(self) -> int:
        """Gas of the transaction and all its receipts so far."""
        return sum(outcome["outcome"]["gas_burnt"] for outcome in self._outcomes())

    @property
    def tokens_burnt(self) -> int:
        """What that cost, in yoctonear."""
        return sum(int(outcome["outcome"]["tokens_burnt"]) for outcome in self._outcomes())

    @property
    def block_hash(self) -> str | None:
        """The block that took the transaction."""
        outcome = self.json.get("transaction_outcome")
        return None if outcome is None else str(outcome["block_hash"])
