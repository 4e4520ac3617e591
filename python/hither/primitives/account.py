"""Accounts and access keys as the trie stores them."""

import enum

import msgspec

from hither.primitives.types import ZERO_HASH, AccountId, Balance, CryptoHash, Nonce


class GlobalContractByHash(msgspec.Struct, frozen=True, gc=False, order=True):
    """A global contract named by the hash of its code: immutable."""

    code_hash: CryptoHash


class GlobalContractByAccount(msgspec.Struct, frozen=True, gc=False, order=True):
    """A global contract named by the account that deployed it: updatable."""

    account_id: AccountId


GlobalContractIdentifier = GlobalContractByHash | GlobalContractByAccount


class LocalContract(msgspec.Struct, frozen=True, gc=False):
    """Code in the account's own trie record."""

    code_hash: CryptoHash


Contract = LocalContract | GlobalContractByHash | GlobalContractByAccount | None


class Account(msgspec.Struct, frozen=True, gc=False):
    """Balance, stake, storage and contract of one account.

    ``version`` is 1 or 2. An account becomes version 2 when it is first given a
    global contract and stays so; version 1 can hold only a local contract.
    """

    amount: Balance
    locked: Balance
    storage_usage: int
    contract: Contract = None
    version: int = 1

    @property
    def local_code_hash(self) -> CryptoHash:
        """The hash of the local code, or zeros."""
        contract = self.contract
        return contract.code_hash if isinstance(contract, LocalContract) else ZERO_HASH


class UninitialisedAccount(msgspec.Struct, frozen=True, gc=False):
    """A universal (``0u``) account that has money but no state yet (88)."""

    amount: Balance
    storage_usage: int
    bootstrap_nonce: Nonce


class FunctionCallPermission(msgspec.Struct, frozen=True, gc=False):
    """May call ``receiver_id`` (any method when ``method_names`` is empty).

    ``allowance`` is what it may still spend on gas; None means unlimited.
    """

    allowance: Balance | None
    receiver_id: str
    method_names: tuple[str, ...]


class FullAccess(msgspec.Struct, frozen=True, gc=False):
    """May do everything."""


class GasKeyInfo(msgspec.Struct, frozen=True, gc=False):
    """A gas key's own balance and how many nonces it has."""

    balance: Balance
    num_nonces: int


class GasKeyFunctionCall(msgspec.Struct, frozen=True, gc=False):
    """A gas key limited to calls; its permission never has an allowance."""

    gas_key: GasKeyInfo
    function_call: FunctionCallPermission


class GasKeyFullAccess(msgspec.Struct, frozen=True, gc=False):
    """A gas key that may do everything."""

    gas_key: GasKeyInfo


AccessKeyPermission = FunctionCallPermission | FullAccess | GasKeyFunctionCall | GasKeyFullAccess


class AccessKey(msgspec.Struct, frozen=True, gc=False):
    """A nonce and a permission."""

    nonce: Nonce
    permission: AccessKeyPermission


class DeployMode(enum.IntEnum):
    """How a global contract is named: by code hash or by its deployer."""

    CODE_HASH = 0
    ACCOUNT_ID = 1
