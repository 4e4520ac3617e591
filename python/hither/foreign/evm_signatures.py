"""Signatures of EVM accounts: who made one, and the forms in which chains and contracts take it. No I/O."""

from typing import Final

from hither.crypto.keys import SECP256K1, Signature
from hither.crypto.signing import recover_secp256k1
from hither.foreign.adapter import EcdsaSignature
from hither.foreign.errors import WrongSignature

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_LEGACY_MARK: Final = 27


def recover_key(digest: bytes, parity: int, r: int, s: int) -> bytes | None:
    """The compressed key that signed; None when none did."""
    data = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((parity,))
    key = recover_secp256k1(digest, Signature(SECP256K1, data))
    return None if key is None else bytes((2 + (key.data[63] & 1),)) + key.data[:32]


def must_be_signed(public_key: bytes, digest: bytes, signature: EcdsaSignature) -> tuple[int, int, int]:
    """Parity, r and s. Raises ``WrongSignature`` unless this key signed this digest.

    Chains take the sender from the signature: a wrong one would spend somebody else's money, or nobody's.
    """
    r, s = int.from_bytes(signature.r, "big"), int.from_bytes(signature.s, "big")
    if s > ORDER // 2:
        raise WrongSignature("s is in the upper half, which EVM chains refuse (EIP-2)")
    if signature.recovery_id > 1 or signature.big_r[0] & 1 != signature.recovery_id:
        raise WrongSignature("the recovery id does not fit the nonce point")
    if recover_key(digest, signature.recovery_id, r, s) != public_key:
        raise WrongSignature("the signature is of another key, or for other bytes")
    return signature.recovery_id, r, s


def join_signature(public_key: bytes, digest: bytes, signature: EcdsaSignature) -> bytes:
    """The 65 bytes that contracts and applications take: r, s, 27 or 28. Raises ``WrongSignature``."""
    parity, r, s = must_be_signed(public_key, digest, signature)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((_LEGACY_MARK + parity,))
