"""The signing client believes no answer: every signature is verified under the key that it derives itself."""

import asyncio
import hashlib
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, cast

import coincurve
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hither.client import AsyncClient, Signer, TransactionResult
from hither.codec import base58
from hither.crypto.signing import secret_key_from_seed
from hither.mpc.client import SigningClient, SigningFailed, is_valid
from hither.mpc.foreign_requests import BitcoinQuestion
from hither.mpc.protocols import compute_tweak
from hither.mpc.requests import (
    EcdsaPayload,
    EcdsaSignature,
    EddsaPayload,
    EddsaSignature,
    Payload,
    signature_to_json,
)
from hither.primitives.types import ED25519

ALICE = Signer("alice.near", secret_key_from_seed(ED25519, bytes(32)))
PATH = "ethereum-1"
SECRET = hashlib.sha256(b"a root key").digest()
PAYLOAD = EcdsaPayload(hashlib.sha256(b"a transaction").digest())
OTHER = EcdsaPayload(hashlib.sha256(b"another").digest())


@dataclass
class Answers:
    """A node that answers what it is told to."""

    answer: Any
    keys: dict[int, str] = field(default_factory=dict)

    async def view(self, _contract_id: str, method: str, args: dict[str, Any]) -> Any:
        assert method == "public_key"
        return Json(self.keys[args["domain_id"]])

    async def send(self, *_args: Any, **_options: Any) -> TransactionResult:
        value = b64encode(msgspec.json.encode(self.answer)).decode()
        return TransactionResult({"status": {"SuccessValue": value}}, "hash")


@dataclass
class Json:
    """What a view gives."""

    value: Any

    def json(self) -> Any:
        return self.value


def make_client(answer: Any) -> SigningClient:
    """Of a network whose domain 0 has the tests' root key, and which gives this answer."""
    root = coincurve.PrivateKey(SECRET).public_key.format(compressed=False)[1:]
    ed25519 = Ed25519PrivateKey.from_private_bytes(SECRET).public_key()
    keys = {
        0: f"secp256k1:{base58.encode(root)}",
        1: f"ed25519:{base58.encode(ed25519.public_bytes(Encoding.Raw, PublicFormat.Raw))}",
    }
    return SigningClient(cast(AsyncClient, Answers(answer, keys)), "signer.test.near")


def sign_ecdsa(digest: bytes, *, account_id: str = "alice.near", path: str = PATH) -> dict[str, Any]:
    """As an honest network answers."""
    return sign_with(coincurve.PrivateKey(SECRET).add(compute_tweak(account_id, path)), digest)


def sign_with(key: coincurve.PrivateKey, digest: bytes) -> dict[str, Any]:
    """An answer under this key."""
    raw = key.sign_recoverable(digest, hasher=None)
    return signature_to_json(EcdsaSignature(bytes([2 + raw[64]]) + raw[:32], raw[32:64], raw[64]))


def ask(answer: Any, payload: Payload = PAYLOAD, domain_id: int = 0) -> Any:
    """What the client makes of an answer."""
    return asyncio.run(make_client(answer).sign(ALICE, PATH, payload, domain_id)).signature


GOOD = sign_ecdsa(PAYLOAD.digest)


def test_a_signature_under_the_derived_key_is_returned() -> None:
    """As it came."""
    assert signature_to_json(ask(GOOD)) == GOOD


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(sign_ecdsa(OTHER.digest), id="of another digest"),
        pytest.param(sign_ecdsa(PAYLOAD.digest, path="another"), id="of another path"),
        pytest.param(sign_ecdsa(PAYLOAD.digest, account_id="bob.near"), id="of another account"),
        pytest.param(sign_with(coincurve.PrivateKey(SECRET), PAYLOAD.digest), id="of the root key"),
        pytest.param(GOOD | {"recovery_id": GOOD["recovery_id"] ^ 1}, id="another recovery id"),
        pytest.param(GOOD | {"recovery_id": 4}, id="no recovery id"),
        pytest.param(GOOD | {"recovery_id": 256}, id="no byte"),
        pytest.param(GOOD | {"s": {"scalar": "00" * 32}}, id="zero"),
        pytest.param(GOOD | {"s": {"scalar": "01"}}, id="short"),
        pytest.param(GOOD | {"big_r": {"affine_point": "02" * 40}}, id="long"),
        pytest.param(GOOD | {"s": {"scalar": "no hex"}}, id="no hex"),
        pytest.param({"scheme": "Ed25519", "signature": [0] * 64}, id="of another scheme"),
        pytest.param({"scheme": "Ed25519", "signature": [256] * 64}, id="no bytes"),
        pytest.param({"scheme": "Schnorr"}, id="of no scheme"),
        pytest.param({"big_r": "02"}, id="no signature"),
        pytest.param(None, id="nothing"),
    ],
)
def test_an_answer_that_does_not_hold_is_refused(answer: Any) -> None:
    """By a typed error that names the transaction; whatever was sent in its place."""
    with pytest.raises(SigningFailed, match="the answer to hash is no signature"):
        ask(answer)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"scheme": "Ed25519", "signature": [0] * 64}, id="zero"),
        pytest.param({"scheme": "Ed25519", "signature": [7] * 63}, id="short"),
        pytest.param(GOOD, id="of another scheme"),
    ],
)
def test_an_eddsa_answer_that_does_not_hold_is_refused(answer: Any) -> None:
    """The same on the other curve."""
    with pytest.raises(SigningFailed, match="the answer to hash is no signature"):
        ask(answer, EddsaPayload(b"a message"), 1)


def test_an_eddsa_signature_holds_for_its_message_alone() -> None:
    """By a library of its own."""
    secret = Ed25519PrivateKey.from_private_bytes(SECRET)
    key = secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    signature = EddsaSignature(secret.sign(b"a message"))
    assert is_valid(key, EddsaPayload(b"a message"), signature)
    assert not is_valid(key, EddsaPayload(b"another"), signature)
    assert not is_valid(key, EddsaPayload(b"a message"), EcdsaSignature(bytes(33), bytes(32), 0))


def confirm(answer: Any, expected_payload_hash: bytes | None = None) -> bytes:
    """What the client makes of a confirmation."""
    question = BitcoinQuestion(bytes(32), 1, ())
    confirmed = make_client(answer).confirm(ALICE, question, 0, expected_payload_hash)
    return asyncio.run(confirmed).payload_hash


def test_a_confirmation_is_signed_by_the_root_key_and_of_what_was_expected() -> None:
    """An older one, rightly signed, is no answer to who expects another hash."""
    signature = sign_with(coincurve.PrivateKey(SECRET), PAYLOAD.digest)
    answer = {"payload_hash": PAYLOAD.digest.hex(), "signature": signature}
    assert confirm(answer) == confirm(answer, PAYLOAD.digest) == PAYLOAD.digest
    with pytest.raises(SigningFailed, match="for something else than was expected"):
        confirm(answer, OTHER.digest)
    with pytest.raises(SigningFailed, match="is not signed by the network"):
        confirm(answer | {"payload_hash": OTHER.digest.hex()})
    with pytest.raises(SigningFailed, match="is not signed by the network"):
        confirm(answer | {"signature": GOOD})
    for broken in ({"payload_hash": PAYLOAD.digest.hex()}, answer | {"payload_hash": "no hex"}, None):
        with pytest.raises(SigningFailed, match="is no confirmation"):
            confirm(broken)
