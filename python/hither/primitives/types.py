"""Names for the plain values that the protocol is made of.

Integers carry their unit in their name: a balance is in yoctonear (1e-24 N),
gas is a count, times are nanoseconds.
"""

from typing import Final, NewType

from hither.crypto.keys import ED25519, ML_DSA_65, SECP256K1, KeyHandle, PublicKey, Signature

AccountId = NewType("AccountId", str)
Balance = NewType("Balance", int)
BlockHeight = NewType("BlockHeight", int)
CryptoHash = NewType("CryptoHash", bytes)
EpochHeight = NewType("EpochHeight", int)
Gas = NewType("Gas", int)
Nonce = NewType("Nonce", int)
ProtocolVersion = NewType("ProtocolVersion", int)
ShardId = NewType("ShardId", int)

ZERO_HASH: Final = CryptoHash(bytes(32))
SYSTEM_ACCOUNT: Final = AccountId("system")

__all__ = [
    "ED25519",
    "ML_DSA_65",
    "SECP256K1",
    "SYSTEM_ACCOUNT",
    "ZERO_HASH",
    "AccountId",
    "Balance",
    "BlockHeight",
    "CryptoHash",
    "EpochHeight",
    "Gas",
    "KeyHandle",
    "Nonce",
    "ProtocolVersion",
    "PublicKey",
    "ShardId",
    "Signature",
]
