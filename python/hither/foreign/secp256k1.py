"""Keys of secp256k1 as every family of its chains needs them."""

from functools import lru_cache
from typing import Final

from hither.foreign.errors import InvalidPublicKey
from hither.primitives.types import SECP256K1, PublicKey

FIELD_PRIME: Final = 2**256 - 2**32 - 977


@lru_cache(maxsize=4096)
def decompress_key(public_key: bytes) -> PublicKey:
    """A compressed secp256k1 key as signatures are checked with. Raises ``InvalidPublicKey``."""
    if len(public_key) != 33 or public_key[0] not in (2, 3):
        raise InvalidPublicKey("not a compressed secp256k1 key: 33 bytes, the first 2 or 3")
    x = int.from_bytes(public_key[1:], "big")
    square = (pow(x, 3, FIELD_PRIME) + 7) % FIELD_PRIME
    y = pow(square, (FIELD_PRIME + 1) // 4, FIELD_PRIME)
    if x >= FIELD_PRIME or y * y % FIELD_PRIME != square:
        raise InvalidPublicKey("no point of secp256k1 has this coordinate")
    if y & 1 != public_key[0] & 1:
        y = FIELD_PRIME - y
    return PublicKey(SECP256K1, public_key[1:] + y.to_bytes(32, "big"))


def compress_point(point: bytes) -> bytes:
    """The compressed key of a point's two coordinates, 64 bytes (SEC 1, §2.3.3)."""
    return bytes([2 + (point[63] & 1)]) + point[:32]
