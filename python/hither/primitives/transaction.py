"""Transactions, versions 0 and 1."""

import enum

import msgspec

from hither.primitives.action import Action
from hither.primitives.types import AccountId, CryptoHash, Nonce, PublicKey, Signature


class NonceMode(enum.IntEnum):
    """Whether a nonce may skip ahead or must be exactly the key's plus one."""

    MONOTONIC = 0
    STRICT = 1


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """What a signer asks for.

    ``version`` 0 has no nonce index and is always monotonic.
    """

    signer_id: AccountId
    public_key: PublicKey
    nonce: Nonce
    receiver_id: AccountId
    block_hash: CryptoHash
    actions: tuple[Action, ...]
    version: int = 0
    nonce_index: int | None = None
    nonce_mode: NonceMode = NonceMode.MONOTONIC


class SignedTransaction(msgspec.Struct, frozen=True, gc=False):
    """A transaction with its signature over ``hash``.

    ``hash`` is sha256 of the unsigned borsh form; ``size`` is the length in
    bytes of the whole borsh form, signature included.
    """

    transaction: Transaction
    signature: Signature
    hash: CryptoHash
    size: int
