"""Signature requests: as callers make them, as the contract stores them, as nodes answer them.

The contract keeps each waiting request under a storage key that is the request itself after a byte that tells its
kind, and as value the yields that wait for it, oldest first. So a node learns of requests, and that they are answered,
from the changes of the contract's data in a block, whichever way the call came in.
"""

from typing import Any, Final

import msgspec

from hither.codec import base58
from hither.codec.borsh import BYTES, HASH, U64, Codec, InvalidBorsh, chosen, fixed, record, sequence
from hither.foreign.adapter import EcdsaSignature, EddsaSignature, Signature
from hither.mpc.foreign_requests import FOREIGN_REQUEST, ForeignTxRequest, foreign_request_to_json

__all__ = [
    "REQUEST_PREFIXES",
    "Answer",
    "AnyRequest",
    "AppKey",
    "AppKeyRequest",
    "EcdsaPayload",
    "EcdsaSignature",
    "EddsaPayload",
    "EddsaSignature",
    "ForeignTxAnswer",
    "ForeignTxRequest",
    "Payload",
    "PlainAppPublicKey",
    "Signature",
    "SignatureRequest",
    "VerifiableAppPublicKey",
    "answer_to_json",
    "decode_storage_key",
    "decode_waiting",
    "encode_storage_key",
    "payload_to_json",
    "request_to_json",
    "request_to_tagged_json",
    "signature_from_json",
    "signature_to_json",
]


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


class PlainAppPublicKey(msgspec.Struct, frozen=True):
    """An app's key in G1 alone: only the app can tell whether an answer is good."""

    first: bytes


class VerifiableAppPublicKey(msgspec.Struct, frozen=True):
    """Both halves of an app's key, in G1 and G2: everybody can tell."""

    first: bytes
    second: bytes


class AppKeyRequest(msgspec.Struct, frozen=True):
    """A confidential key for an app: ``app_id`` binds the account that asked and its path."""

    app_public_key: PlainAppPublicKey | VerifiableAppPublicKey
    app_id: bytes
    domain_id: int


class AppKey(msgspec.Struct, frozen=True):
    """Its answer, hidden for the app: two points of G1, compressed."""

    big_y: bytes
    big_c: bytes


class ForeignTxAnswer(msgspec.Struct, frozen=True):
    """What the network saw of another chain's transaction, as a hash, and its signature under the domain's root key."""

    payload_hash: bytes
    signature: Signature


AnyRequest = SignatureRequest | AppKeyRequest | ForeignTxRequest
Answer = Signature | AppKey | ForeignTxAnswer

G1_BYTES: Final = 48
G2_BYTES: Final = 96
_PAYLOAD: Codec[Payload] = chosen(
    lambda payload: 0 if isinstance(payload, EcdsaPayload) else 1,
    {0: record(EcdsaPayload, {"digest": HASH}), 1: record(EddsaPayload, {"message": BYTES})},
)
_APP_PUBLIC_KEY: Codec[PlainAppPublicKey | VerifiableAppPublicKey] = chosen(
    lambda key: 0 if isinstance(key, PlainAppPublicKey) else 1,
    {
        0: record(PlainAppPublicKey, {"first": fixed(G1_BYTES)}),
        1: record(VerifiableAppPublicKey, {"first": fixed(G1_BYTES), "second": fixed(G2_BYTES)}),
    },
)
_SIGNATURE_REQUEST: Codec[SignatureRequest] = record(
    SignatureRequest, {"tweak": HASH, "payload": _PAYLOAD, "domain_id": U64}
)
_APP_KEY_REQUEST: Codec[AppKeyRequest] = record(
    AppKeyRequest, {"app_public_key": _APP_PUBLIC_KEY, "app_id": HASH, "domain_id": U64}
)
_CODECS: Final[dict[bytes, Codec[Any]]] = {
    b"\0": _SIGNATURE_REQUEST,
    b"\1": _APP_KEY_REQUEST,
    b"\2": FOREIGN_REQUEST,
}
REQUEST_PREFIXES: Final = tuple(_CODECS)
"""Of the storage keys under which the contract keeps waiting requests, by kind."""
_WAITING: Codec[tuple[bytes, ...]] = sequence(HASH)


def decode_storage_key(key: bytes) -> AnyRequest | None:
    """The request that a storage key stands for; None for the contract's other keys."""
    codec = _CODECS.get(key[:1])
    if codec is None:
        return None
    try:
        request: AnyRequest = codec.decode(key[1:])
    except InvalidBorsh:
        return None
    return request


def encode_storage_key(request: AnyRequest) -> bytes:
    """Where the contract keeps a waiting request."""
    if isinstance(request, SignatureRequest):
        return b"\0" + _SIGNATURE_REQUEST.encode(request)
    if isinstance(request, ForeignTxRequest):
        return b"\2" + FOREIGN_REQUEST.encode(request)
    return b"\1" + _APP_KEY_REQUEST.encode(request)


def decode_waiting(value: bytes) -> tuple[bytes, ...]:
    """The ids of the yields that wait for one answer, oldest first. Raises ``InvalidBorsh``."""
    return _WAITING.decode(value)


def payload_to_json(payload: Payload) -> dict[str, str]:
    """As ``sign`` takes it in ``payload_v2``."""
    if isinstance(payload, EcdsaPayload):
        return {"Ecdsa": payload.digest.hex()}
    return {"Eddsa": payload.message.hex()}


def _app_public_key_to_json(key: PlainAppPublicKey | VerifiableAppPublicKey) -> dict[str, Any]:
    first = f"bls12381g1:{base58.encode(key.first)}"
    if isinstance(key, PlainAppPublicKey):
        return {"AppPublicKey": first}
    return {"AppPublicKeyPV": {"pk1": first, "pk2": f"bls12381g2:{base58.encode(key.second)}"}}


def request_to_tagged_json(request: AnyRequest) -> dict[str, Any]:
    """As ``respond_failure`` takes it."""
    names = {SignatureRequest: "Sign", AppKeyRequest: "CKD", ForeignTxRequest: "ForeignTx"}
    return {names[type(request)]: request_to_json(request)}


def request_to_json(request: AnyRequest) -> dict[str, Any]:
    """As ``respond``, ``respond_ckd`` and the views of what waits take it."""
    if isinstance(request, ForeignTxRequest):
        return foreign_request_to_json(request)
    if isinstance(request, AppKeyRequest):
        return {
            "app_public_key": _app_public_key_to_json(request.app_public_key),
            "app_id": list(request.app_id),
            "domain_id": request.domain_id,
        }
    return {
        "tweak": list(request.tweak),
        "payload": payload_to_json(request.payload),
        "domain_id": request.domain_id,
    }


def answer_to_json(answer: Answer) -> dict[str, Any]:
    """As the method that answers takes it."""
    if isinstance(answer, AppKey):
        return {
            "big_y": f"bls12381g1:{base58.encode(answer.big_y)}",
            "big_c": f"bls12381g1:{base58.encode(answer.big_c)}",
        }
    if isinstance(answer, ForeignTxAnswer):
        return {"payload_hash": answer.payload_hash.hex(), "signature": signature_to_json(answer.signature)}
    return signature_to_json(answer)


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
    big_r, s = bytes.fromhex(json["big_r"]["affine_point"]), bytes.fromhex(json["s"]["scalar"])
    recovery_id = int(json["recovery_id"])
    if (len(big_r), len(s)) != (33, 32) or not 0 <= recovery_id < 4:
        raise ValueError("a signature has a point of 33 bytes, a scalar of 32 and a recovery id below 4")
    return EcdsaSignature(big_r, s, recovery_id)
