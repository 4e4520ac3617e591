"""Signatures and verifiable randomness: made and checked by the native module."""

from collections.abc import Iterable

import hither_native

from hither.crypto.keys import ED25519, SECP256K1, InvalidKey, PublicKey, SecretKey, Signature


def secret_key_from_seed(kind: int, seed: bytes) -> SecretKey:
    """The key of 32 bytes: an ed25519 or ML-DSA-65 seed, or a secp256k1 scalar."""
    try:
        return SecretKey(kind, hither_native.secret_from_seed(kind, seed))
    except hither_native.InvalidInput as error:
        raise InvalidKey(str(error)) from None


def compute_public_key(secret: SecretKey) -> PublicKey:
    """The public key of a secret one."""
    try:
        return PublicKey(secret.kind, hither_native.public_key_from_secret(secret.kind, secret.data))
    except hither_native.InvalidInput as error:
        raise InvalidKey(str(error)) from None


def sign(secret: SecretKey, message: bytes) -> Signature:
    """A signature over the message; secp256k1 signs 32 bytes only."""
    try:
        return Signature(secret.kind, hither_native.sign(secret.kind, secret.data, message))
    except hither_native.InvalidInput as error:
        raise InvalidKey(str(error)) from None


def is_valid_signature(key: PublicKey, message: bytes, signature: Signature) -> bool:
    """Whether NEAR takes the signature. A signature of another kind than the key is never good."""
    if key.kind != signature.kind:
        return False
    return hither_native.verify_signature(key.kind, key.data, message, signature.data)


def are_valid_signatures(items: Iterable[tuple[PublicKey, bytes, Signature]]) -> list[bool]:
    """The same for many (key, message, signature), on all cores."""
    return hither_native.verify_signatures(
        [
            (key.kind, key.data, message, signature.data if key.kind == signature.kind else b"")
            for key, message, signature in items
        ]
    )


def recover_secp256k1(digest: bytes, signature: Signature) -> PublicKey | None:
    """The key that made the signature over these 32 bytes; None when there is none."""
    assert signature.kind == SECP256K1, "only secp256k1 signatures name their key"
    data = hither_native.recover_secp256k1(digest, signature.data)
    return None if data is None else PublicKey(SECP256K1, data)


def is_staking_key(key: PublicKey) -> bool:
    """Whether the key may be a validator's: ed25519, and good for verifiable randomness."""
    return hither_native.is_staking_key(key.kind, key.data)


def compute_vrf(secret: SecretKey, data: bytes) -> tuple[bytes, bytes]:
    """The verifiable random value (32 bytes) and its proof (64) of an ed25519 key for these bytes.

    The value depends on key and bytes alone, so a producer cannot choose it.
    """
    assert secret.kind == ED25519, "only ed25519 keys give verifiable randomness"
    try:
        return hither_native.vrf_prove(secret.data, data)
    except hither_native.InvalidInput as error:
        raise InvalidKey(str(error)) from None


def is_valid_vrf(key: PublicKey, data: bytes, value: bytes, proof: bytes) -> bool:
    """Whether the value and its proof are what the key's owner computes from the data."""
    return key.kind == ED25519 and hither_native.vrf_verify(key.data, data, value, proof)
