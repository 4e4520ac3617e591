"""Keys of benchmarks in the form that other chains take."""

from hither.crypto.keys import SecretKey
from hither.crypto.signing import compute_public_key


def compress(secret: SecretKey) -> bytes:
    """The compressed public key, 33 bytes."""
    point = compute_public_key(secret).data
    return bytes((2 + (point[63] & 1),)) + point[:32]
