"""Transactions, versions 0 and 1."""

import enum
import re
from typing import Any

import msgspec

from hither.codec.borsh import (
    HASH,
    MISSING,
    U8,
    U64,
    Codec,
    InvalidBorsh,
    Source,
    UnknownTag,
    mapped,
    prefixed,
    record,
    sequence,
)
from hither.crypto.hashing import sha256
from hither.crypto.keys import PUBLIC_KEY, SIGNATURE
from hither.primitives.action import ACTIONS, VERSIONED_NONCE, Action, has_one_encoding
from hither.primitives.ids import ACCOUNT_ID
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


def _decode_nonce_mode(number: int) -> NonceMode:
    if number > 1:
        raise UnknownTag(number)
    return NonceMode(number)


_TRANSACTION_V0: Codec[Transaction] = record(
    Transaction,
    {
        "signer_id": ACCOUNT_ID,
        "public_key": PUBLIC_KEY,
        "nonce": U64,
        "receiver_id": ACCOUNT_ID,
        "block_hash": HASH,
        "actions": ACTIONS,
    },
)
_V1_FIELDS: dict[str, Codec[Any]] = {
    "signer_id": ACCOUNT_ID,
    "public_key": PUBLIC_KEY,
    "nonce nonce_index": VERSIONED_NONCE,
    "receiver_id": ACCOUNT_ID,
    "block_hash": HASH,
    "actions": ACTIONS,
}
_TRANSACTION_V1_OF_84: Codec[Transaction] = prefixed(b"\1", record(Transaction, _V1_FIELDS, {"version": 1}))
_TRANSACTION_V1: Codec[Transaction] = prefixed(
    b"\1",
    record(
        Transaction,
        {**_V1_FIELDS, "nonce_mode": mapped(U8, int, _decode_nonce_mode)},
        {"version": 1},
    ),
)


class _SignedForm(msgspec.Struct, frozen=True, gc=False):
    """A signed transaction before its hash is known."""

    transaction: Transaction
    signature: Signature


_SIGNED_V0 = record(_SignedForm, {"transaction": _TRANSACTION_V0, "signature": SIGNATURE})
_SIGNED_V1 = record(_SignedForm, {"transaction": _TRANSACTION_V1, "signature": SIGNATURE})
_encode_v0 = _TRANSACTION_V0.encode
_encode_v1 = _TRANSACTION_V1.encode
_encode_signature = SIGNATURE.encode
_decode_v0 = _SIGNED_V0.decode
_decode_v1 = _SIGNED_V1.decode
_decode_v1_of_84 = record(_SignedForm, {"transaction": _TRANSACTION_V1_OF_84, "signature": SIGNATURE}).decode


def encode_transaction(transaction: Transaction) -> bytes:
    """The unsigned form, of which the hash is taken. Version 0 has no tag."""
    return _encode_v0(transaction) if transaction.version == 0 else _encode_v1(transaction)


def _compute_version(data: bytes) -> int:
    """The second byte tells: in version 0 it belongs to the length of an account id and is zero."""
    if data[1:2] == b"\0":
        return 0
    if len(data) < 2:
        raise InvalidBorsh(MISSING)
    if data[0] != 1:
        raise InvalidBorsh(f"invalid transaction version tag: {data[0]}")
    return 1


def decode_transaction(data: bytes) -> Transaction:
    """The unsigned form, or ``InvalidBorsh``."""
    return _TRANSACTION_V0.decode(data) if _compute_version(data) == 0 else _TRANSACTION_V1.decode(data)


def sign_transaction_form(transaction: Transaction, signature: Signature) -> SignedTransaction:
    """Put a transaction and its signature together."""
    unsigned = encode_transaction(transaction)
    size = len(unsigned) + 1 + len(signature.data)
    return SignedTransaction(transaction, signature, CryptoHash(sha256(unsigned)), size)


def encode_signed_transaction(signed: SignedTransaction) -> bytes:
    """Its borsh form, as it goes over the wire."""
    return encode_transaction(signed.transaction) + _encode_signature(signed.signature)


def _finish(form: _SignedForm, data: bytes) -> SignedTransaction:
    """With hash and size, from the bytes of the form unless ours may be in another order."""
    transaction, signature = form.transaction, form.signature
    if not has_one_encoding(transaction.actions):
        return sign_transaction_form(transaction, signature)
    size = len(data)
    unsigned = data[: size - 1 - len(signature.data)]
    return SignedTransaction(transaction, signature, CryptoHash(sha256(unsigned)), size)


def decode_signed_transaction(data: bytes) -> SignedTransaction:
    """The signed form, or ``InvalidBorsh``."""
    form = _decode_v0(data) if data[1:2] == b"\0" or _compute_version(data) == 0 else _decode_v1(data)
    return _finish(form, data)


class _SignedTransactionCodec(Codec[SignedTransaction]):
    """For lists: the size of each is found while reading it."""

    def write(self, source: Source, value: str) -> str:
        return f"{source.bind(encode_signed_transaction, 'encode')}({value})"

    def read(self, source: Source, target: str) -> None:
        v0 = _SIGNED_V0.read_at_exactly if source.is_exact else _SIGNED_V0.read_at
        v1 = _SIGNED_V1.read_at_exactly if source.is_exact else _SIGNED_V1.read_at
        start, form = source.make_name("start"), source.make_name("form")
        source.emit(f"{start} = at")
        source.emit(f"version = {source.bind(_compute_version, 'version')}(data[at:at + 2])")
        source.emit(f"{form}, at = ({source.bind(v1)} if version else {source.bind(v0)})(data, at)")
        source.emit(f"{target} = {source.bind(_finish)}({form}, data[{start}:at])")


SIGNED_TRANSACTIONS: Codec[tuple[SignedTransaction, ...]] = sequence(_SignedTransactionCodec())

encode_signed_transactions = SIGNED_TRANSACTIONS.encode
decode_signed_transactions = SIGNED_TRANSACTIONS.decode


def decode_signed_transaction_of_84(data: bytes) -> SignedTransaction:
    """The signed form as nodes of protocol 84 read it: version 1 had no nonce mode yet, keys two kinds.

    Such a node decodes version 1 only to refuse it.
    """
    try:
        form = _decode_v0(data) if _compute_version(data) == 0 else _decode_v1_of_84(data)
    except InvalidBorsh as error:
        raise InvalidBorsh(re.sub(r"unknown KeyTag: (\d+)", r"unknown key type '\1'", str(error))) from None
    return sign_transaction_form(form.transaction, form.signature)
