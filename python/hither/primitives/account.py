"""Accounts and access keys as the trie stores them."""

import enum
import struct

import msgspec

from hither.codec.borsh import (
    HASH,
    STRING,
    U16,
    U64,
    U128,
    Codec,
    constant,
    mapped,
    option,
    prefixed,
    record,
    sequence,
    tagged,
)
from hither.primitives.ids import ACCOUNT_ID
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


GLOBAL_CONTRACT_IDENTIFIER: Codec[GlobalContractIdentifier] = tagged(
    {
        0: (GlobalContractByHash, record(GlobalContractByHash, {"code_hash": HASH})),
        1: (GlobalContractByAccount, record(GlobalContractByAccount, {"account_id": ACCOUNT_ID})),
    }
)
CONTRACT: Codec[Contract] = tagged(
    {
        0: (type(None), constant(None)),
        1: (LocalContract, record(LocalContract, {"code_hash": HASH})),
        2: (GlobalContractByHash, record(GlobalContractByHash, {"code_hash": HASH})),
        3: (GlobalContractByAccount, record(GlobalContractByAccount, {"account_id": ACCOUNT_ID})),
    }
)

_SENTINEL = (2**128 - 1).to_bytes(16, "little")
"""What accounts of version 2 and uninitialised ones start with: more than any balance."""


def _contract_to_hash(contract: Contract) -> CryptoHash:
    if contract is None:
        return ZERO_HASH
    assert isinstance(contract, LocalContract), "an account of version 1 has no global contract"
    return contract.code_hash


def _contract_from_hash(code_hash: CryptoHash) -> Contract:
    return None if code_hash == ZERO_HASH else LocalContract(code_hash)


_ACCOUNT_V1: Codec[Account] = record(
    Account,
    {
        "amount": U128,
        "locked": U128,
        "contract": mapped(HASH, _contract_to_hash, _contract_from_hash),
        "storage_usage": U64,
    },
)
_ACCOUNT_V2: Codec[Account] = prefixed(
    _SENTINEL + b"\0",
    record(
        Account,
        {"amount": U128, "locked": U128, "storage_usage": U64, "contract": CONTRACT},
        {"version": 2},
    ),
)
_UNINITIALISED_ACCOUNT: Codec[UninitialisedAccount] = prefixed(
    _SENTINEL + b"\1",
    record(UninitialisedAccount, {"amount": U128, "storage_usage": U64, "bootstrap_nonce": U64}),
)

_unpack_v1 = struct.Struct("<QQQQ32sQ").unpack
_encode_v1 = _ACCOUNT_V1.encode
_encode_v2 = _ACCOUNT_V2.encode
_decode_v2 = _ACCOUNT_V2.decode
_decode_uninitialised = _UNINITIALISED_ACCOUNT.decode
encode_uninitialised_account = _UNINITIALISED_ACCOUNT.encode


def encode_account(account: Account) -> bytes:
    """The record of an account that has its state."""
    return _encode_v1(account) if account.version == 1 else _encode_v2(account)


def decode_account(data: bytes) -> Account:
    """The record of an account that has its state, or ``InvalidBorsh``.

    The commonest read of all, so version 1 is written out by hand.
    """
    if data.startswith(_SENTINEL):
        return _decode_v2(data)
    if len(data) != 72:
        _ACCOUNT_V1.refuse(data)
    amount, amount_high, locked, locked_high, code_hash, storage_usage = _unpack_v1(data)
    contract = None if code_hash == ZERO_HASH else LocalContract(code_hash)
    return Account(amount | amount_high << 64, locked | locked_high << 64, storage_usage, contract)


def decode_account_record(data: bytes) -> Account | UninitialisedAccount:
    """Any record of the account column, or ``InvalidBorsh``."""
    if data[16:17] == b"\1" and data.startswith(_SENTINEL):
        return _decode_uninitialised(data)
    return decode_account(data)


_FUNCTION_CALL_PERMISSION = record(
    FunctionCallPermission,
    {"allowance": option(U128), "receiver_id": STRING, "method_names": sequence(STRING)},
)
_GAS_KEY_INFO = record(GasKeyInfo, {"balance": U128, "num_nonces": U16})

ACCESS_KEY: Codec[AccessKey] = record(
    AccessKey,
    {
        "nonce": U64,
        "permission": tagged(
            {
                0: (FunctionCallPermission, _FUNCTION_CALL_PERMISSION),
                1: (FullAccess, record(FullAccess, {})),
                2: (
                    GasKeyFunctionCall,
                    record(
                        GasKeyFunctionCall,
                        {"gas_key": _GAS_KEY_INFO, "function_call": _FUNCTION_CALL_PERMISSION},
                    ),
                ),
                3: (GasKeyFullAccess, record(GasKeyFullAccess, {"gas_key": _GAS_KEY_INFO})),
            }
        ),
    },
)

encode_access_key = ACCESS_KEY.encode
decode_access_key = ACCESS_KEY.decode
encode_contract = CONTRACT.encode
decode_contract = CONTRACT.decode
encode_global_contract_identifier = GLOBAL_CONTRACT_IDENTIFIER.encode
decode_global_contract_identifier = GLOBAL_CONTRACT_IDENTIFIER.decode
