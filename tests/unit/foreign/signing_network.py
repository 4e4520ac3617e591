"""Stands in for the signing network: keys and signatures by other libraries than the product's."""

from hashlib import sha256

import coincurve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hither.foreign.adapter import EcdsaSignature, EddsaSignature, Payload, Scheme, Signature


class SigningNetwork:
    """Everything that is signed for one account."""

    def __init__(self, name: str) -> None:
        seed = sha256(name.encode()).digest()
        self.secret = seed
        self.ecdsa = coincurve.PrivateKey(seed)
        self.eddsa = Ed25519PrivateKey.from_private_bytes(seed)

    def get_public_key(self, scheme: Scheme) -> bytes:
        """As the network would derive it."""
        if scheme is Scheme.ECDSA:
            return self.ecdsa.public_key.format()
        return self.eddsa.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, payload: Payload) -> Signature:
        """One payload."""
        if payload.scheme is Scheme.EDDSA:
            return EddsaSignature(self.eddsa.sign(payload.data))
        data = self.ecdsa.sign_recoverable(payload.data, hasher=None)
        return EcdsaSignature(bytes((2 + data[64],)) + data[:32], data[32:64], data[64])
