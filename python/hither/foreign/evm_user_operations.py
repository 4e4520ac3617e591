"""User operations (ERC-4337): what accounts that are contracts have done, carried by anybody through an EntryPoint.

Versions 0.7 and 0.8 of the EntryPoint share the packed form; they differ in what is hashed, and the accounts of their
packages in what is signed of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from hither.crypto.hashing import keccak256
from hither.foreign import evm_abi as abi
from hither.foreign.adapter import EcdsaSignature, Payload, Scheme
from hither.foreign.errors import InvalidArguments
from hither.foreign.evm_addresses import parse_address
from hither.foreign.evm_calls import EvmCall, call_contract
from hither.foreign.evm_chains import EvmChain, read_chain_number
from hither.foreign.evm_messages import hash_message, hash_typed_data
from hither.foreign.evm_signatures import join_signature

_HANDLE: Final = "handleOps((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes)[],address)"
_FIELDS: Final = (
    ("sender", "address"),
    ("nonce", "uint256"),
    ("initCode", "bytes"),
    ("callData", "bytes"),
    ("accountGasLimits", "bytes32"),
    ("preVerificationGas", "uint256"),
    ("gasFees", "bytes32"),
    ("paymasterAndData", "bytes"),
)
# The code of an account that EIP-7702 gives its own: then it is no creation.
_DELEGATED: Final = b"\x77\x02"


class EntryPointVersion(Enum):
    """Of the contract that carries operations."""

    V7 = "0.7"
    V8 = "0.8"


@dataclass(frozen=True, slots=True)
class UserOperation:
    """``nonce`` is what the EntryPoint says. Gas in units, prices in wei per unit.

    ``creation`` is a factory's address and its call, where the account is not there yet. ``paymaster`` is an
    address and its data, where somebody else pays.
    """

    sender: str
    nonce: int
    call_data: bytes
    call_gas: int
    verification_gas: int
    before_verification_gas: int
    gas_price_max: int
    priority_fee_max: int
    creation: bytes = b""
    paymaster: bytes = b""
    signature: bytes = b""

    @property
    def fee_max(self) -> int:
        """In wei, without what a paymaster's own gas costs."""
        gas = self.call_gas + self.verification_gas + self.before_verification_gas
        return gas * self.gas_price_max

    @property
    def gas_limits(self) -> bytes:
        """Both limits in a word."""
        return _pack(self.verification_gas, self.call_gas)

    @property
    def gas_prices(self) -> bytes:
        """Both prices in a word."""
        return _pack(self.priority_fee_max, self.gas_price_max)


def _pack(high: int, low: int) -> bytes:
    if not (0 <= high < 2**128 and 0 <= low < 2**128):
        raise InvalidArguments("gas and its prices have no more than 128 bits")
    return high.to_bytes(16, "big") + low.to_bytes(16, "big")


def hash_user_operation(
    operation: UserOperation, entry_point: str, info: EvmChain, version: EntryPointVersion
) -> bytes:
    """The operation's id, as ``EntryPoint.getUserOpHash`` gives it. Raises ``InvalidArguments``."""
    if operation.creation.startswith(_DELEGATED):
        raise InvalidArguments("an account with EIP-7702 code is set up by a transaction of type 4 first")
    chain_id = read_chain_number(info.chain)
    values = (
        *(operation.sender, operation.nonce, operation.creation, operation.call_data),
        *(operation.gas_limits, operation.before_verification_gas, operation.gas_prices),
        operation.paymaster,
    )
    if version is EntryPointVersion.V8:
        fields = [{"name": name, "type": type_} for name, type_ in _FIELDS]
        names = [name for name, _ in _FIELDS]
        return hash_typed_data(
            {
                "types": {"PackedUserOperation": fields},
                "primaryType": "PackedUserOperation",
                "domain": {
                    "name": "ERC4337",
                    "version": "1",
                    "chainId": chain_id,
                    "verifyingContract": entry_point,
                },
                "message": dict(zip(names, values, strict=True)),
            }
        )
    hashed = [
        keccak256(value) if type_ == "bytes" and isinstance(value, bytes) else value
        for (_, type_), value in zip(_FIELDS, values, strict=True)
    ]
    types = [type_ if type_ != "bytes" else "bytes32" for _, type_ in _FIELDS]
    inner = keccak256(abi.encode(abi.parse_type(f"({','.join(types)})"), hashed))
    outer = (inner, entry_point, chain_id)
    return keccak256(abi.encode(abi.parse_type("(bytes32,address,uint256)"), outer))


def make_operation_payload(
    operation: UserOperation, entry_point: str, info: EvmChain, version: EntryPointVersion
) -> Payload:
    """What the owner of the package's account signs: since 0.8 the id itself, before as a personal message."""
    digest = hash_user_operation(operation, entry_point, info, version)
    if version is EntryPointVersion.V7:
        digest = hash_message(digest)
    return Payload(Scheme.ECDSA, Scheme.ECDSA.value, digest)


def attach_to_operation(
    operation: UserOperation, public_key: bytes, payload: Payload, signature: EcdsaSignature
) -> UserOperation:
    """With its signature. Raises ``WrongSignature`` unless this key signed this payload."""
    return replace(operation, signature=join_signature(public_key, payload.data, signature))


def handle_operations(entry_point: str, operations: Sequence[UserOperation], beneficiary: str) -> EvmCall:
    """The call that carries them. ``beneficiary`` gets what they pay."""
    rows = [
        (
            *(one.sender, one.nonce, one.creation, one.call_data),
            *(one.gas_limits, one.before_verification_gas, one.gas_prices, one.paymaster, one.signature),
        )
        for one in operations
    ]
    return call_contract(entry_point, _HANDLE, (rows, beneficiary))


def make_creation(factory: str, owner: str, salt: int = 0) -> bytes:
    """By the package's factory of simple accounts."""
    return parse_address(factory) + abi.encode_call("createAccount(address,uint256)", (owner, salt))


def make_execution(call: EvmCall) -> bytes:
    """What a simple account is called with to do it. Raises ``InvalidArguments`` for a creation."""
    if call.receiver is None:
        raise InvalidArguments("an account of the package calls contracts, it creates none")
    return abi.encode_call("execute(address,uint256,bytes)", (call.receiver, call.amount, call.data))
