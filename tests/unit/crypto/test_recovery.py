"""The key behind an ECDSA signature, against libsecp256k1 by another road."""

import coincurve
import pytest

from hither.crypto.hashing import sha256
from hither.crypto.keys import SECP256K1, PublicKey, Signature
from hither.crypto.signing import recover_secp256k1

KEY = coincurve.PrivateKey(sha256(b"alice"))
DIGEST = sha256(b"a message")


def sign(digest: bytes) -> bytes:
    """r, s and recovery id."""
    return KEY.sign_recoverable(digest, hasher=None)


def test_the_signing_key_comes_back() -> None:
    """Whole, without the byte that says it is uncompressed."""
    assert recover_secp256k1(DIGEST, Signature(SECP256K1, sign(DIGEST))) == PublicKey(
        SECP256K1, KEY.public_key.format(compressed=False)[1:]
    )


def test_another_digest_gives_another_key() -> None:
    """That is how a signature for other bytes is seen."""
    found = recover_secp256k1(sha256(b"another"), Signature(SECP256K1, sign(DIGEST)))
    assert found is not None
    assert found.data != KEY.public_key.format(compressed=False)[1:]


@pytest.mark.parametrize(
    "data", [bytes(65), sign(DIGEST)[:64] + b"\x04", sign(DIGEST)[:64], b"\xff" * 64 + b"\0"]
)
def test_what_is_no_signature_gives_no_key(data: bytes) -> None:
    """Zeros, a recovery id above three, a byte too few, numbers above the order."""
    assert recover_secp256k1(DIGEST, Signature(SECP256K1, data)) is None
