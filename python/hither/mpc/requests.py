"""Signature requests: as callers make them, as the contract stores them, as nodes answer them.

The contract keeps each waiting request under a storage key that is the request itself, and as value the yields
that wait for it, oldest first. So a node learns of requests, and that they are answered, from the changes of the
contract's data in a block, whichever way the call came in.
"""

from typing import Any, Final

import msgspec

from hither.codec.borsh import BYTES, HASH, U64, Codec, InvalidBorsh, chosen, record, sequence
from hither.foreign.adapter import EcdsaSignature, EddsaSignature, Signature

__all__ = [
    "REQUESTS_PREFIX",
    "EcdsaPayload",
    "EcdsaSignature",
    "EddsaPayload",
    "EddsaSignature",
    "Payload",
    "Signature",
    "SignatureRequest",
    "decode_storage_key",
    "decode_waiting",
    "encode_storage_key",
    "payload_to_json",
    "request_to_json",
    "signature_from_json",
    "signature_to_json",
]

REQUESTS_PREFIX: Final = b"\0"
"""Of the storage keys under which the contract keeps waiting requests."""


class EcdsaPayload(msgspec.Struct, frozen=True):
    """A digest: 32 bytes, as a number above zero and below the order of secp256k1."""

    digest: bytes


class EddsaPayload(msgspec.Struct, frozen=True):
    """A whole message of at most 1,232 bytes."""

    message: bytes


Payload = EcdsaPayload | EddsaPayload


class SignatureRequest(msgspec.Struct, frozen=True):
    """What to sign and for whom: ``tweak`` binds the account that asked and its path."""

    tweak: bytes
    payload: Payload
    domain_id: int


_PAYLOAD: Codec[Payload] = chosen(
    lambda payload: 0 if isinstance(payload, EcdsaPayload) else 1,
    {0: record(EcdsaPayload, {"digest": HASH}), 1: record(EddsaPayload, {"message": BYTES})},
)
_REQUEST: Codec[SignatureRequest] = record(
    SignatureRequest, {"tweak": HASH, "payload": _PAYLOAD, "domain_id": U64}
)
_WAITING: Codec[tuple[bytes, ...]] = sequence(HASH)


def decode_storage_key(key: bytes) -> SignatureRequest | None:
    """The request that a storage key stands for; None for the contract's other keys."""
    if not key.startswith(REQUESTS_PREFIX):
        return None
    try:
        return _REQUEST.decode(key[len(REQUESTS_PREFIX) :])
    except InvalidBorsh:
        return None


def encode_storage_key(request: SignatureRequest) -> bytes:
    """Where the contract keeps a waiting request."""
    return REQUESTS_PREFIX + _REQUEST.encode(request)


def decode_waiting(value: bytes) -> tuple[bytes, ...]:
    """The ids of the yields that wait for one answer, oldest first. Raises ``InvalidBorsh``."""
    return _WAITING.decode(value)


def payload_to_json(payload: Payload) -> dict[str, str]:
    """As ``sign`` takes it in ``payload_v2``."""
    if isinstance(payload, EcdsaPayload):
        return {"Ecdsa": payload.digest.hex()}
    return {"Eddsa": payload.message.hex()}


def request_to_json(request: SignatureRequest) -> dict[str, Any]:
    """As ``respond`` and ``get_pending_request`` take it."""
    return {
        "tweak": list(request.tweak),
        "payload": payload_to_json(request.payload),
        "domain_id": request.domain_id,
    }


def signature_to_json(signature: Signature) -> dict[str, Any]:
    """As ``respond`` takes it and callers receive it."""
    if isinstance(signature, EddsaSignature):
        return {"scheme": "Ed25519", "signature": list(signature.signature)}
    return {
        "scheme": "Secp256k1",
        "big_r": {"affine_point": signature.big_r.hex()},
        "s": {"scalar": signature.s.hex()},
        "recovery_id": signature.recovery_id,
    }


def signature_from_json(json: dict[str, Any]) -> Signature:
    """What a caller received. Raises KeyError or ValueError when it is not a signature."""
    if json["scheme"] == "Ed25519":
        return EddsaSignature(bytes(json["signature"]))
    if json["scheme"] != "Secp256k1":
        raise ValueError(f"unknown signature scheme {json['scheme']!r}")
    return EcdsaSignature(
        bytes.fromhex(json["big_r"]["affine_point"]),
        bytes.fromhex(json["s"]["scalar"]),
        int(json["recovery_id"]),
    )
