"""Names for the plain values that the protocol is made of.

Integers carry their unit in their name: a balance is in yoctonear (1e-24 N),
gas is a count, times are nanoseconds.
"""

from typing import Final, NewType

import msgspec

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

ED25519: Final = 0
SECP256K1: Final = 1
ML_DSA_65: Final = 2


class PublicKey(msgspec.Struct, frozen=True, gc=False, order=True):
    """A verification key: ed25519 (32 bytes), secp256k1 (64), ML-DSA-65 (1952).

    ``kind`` is the tag of the wire form.
    """

    kind: int
    data: bytes


class KeyHandle(msgspec.Struct, frozen=True, gc=False, order=True):
    """What stands for a key in the trie and in key lists.

    Kinds 0 and 1 hold the key itself; kind 3 holds the 32-byte SHA3-256 digest
    of an ML-DSA-65 key. Kind 2 is never a handle.
    """

    kind: int
    data: bytes


class Signature(msgspec.Struct, frozen=True, gc=False):
    """A signature of the same kinds: 64, 65 and 3309 bytes."""

    kind: int
    data: bytes
