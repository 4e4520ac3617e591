"""The signing network of ``hither up``: a person's account asks, an independent library verifies."""

import asyncio
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from hither.client import AsyncClient, Client, ExecutionFailed, Signer
from hither.codec import base58
from hither.foreign.secp256k1 import decompress_key
from hither.mpc.client import SigningClient, Wanted
from hither.mpc.requests import (
    EcdsaPayload,
    EcdsaSignature,
    EddsaPayload,
    EddsaSignature,
    signature_from_json,
)
from tests.e2e.cli.running import Network, network

pytestmark = pytest.mark.slow
CONTRACT_ID = "signer.test.near"
PATH = "a path"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def running(home: Path) -> Iterator[Network]:
    """Three shards and three nodes."""
    with network(home, "--quiet", is_alone=False) as chain:
        yield chain


@pytest.fixture(scope="module")
def client(running: Network) -> Iterator[Client]:
    with Client(running.url, signer=Signer("alice.near", running.get_key("alice.near"))) as client:
        yield client


def must_sign(client: Client, payload: dict[str, str], domain_id: int, **changes: Any) -> Any:
    request = {"path": PATH, "payload_v2": payload, "domain_id": domain_id} | changes
    options: dict[str, Any] = {"gas": "30 Tgas", "deposit": "1 yoctonear"}
    return client.call(CONTRACT_ID, "sign", {"request": request}, **options).value_json()


def get_derived_key(client: Client, domain_id: int, predecessor: str = "alice.near") -> bytes:
    arguments = {"path": PATH, "predecessor": predecessor, "domain_id": domain_id}
    text: str = client.view(CONTRACT_ID, "derived_public_key", arguments).json()
    return base58.decode(text.partition(":")[2])


def verify_ecdsa(key: bytes, signature: EcdsaSignature, digest: bytes) -> None:
    encoded = utils.encode_dss_signature(
        int.from_bytes(signature.r, "big"), int.from_bytes(signature.s, "big")
    )
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), b"\4" + key)
    public.verify(encoded, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def test_ecdsa_signature_verifies_under_the_derived_key(client: Client) -> None:
    """For the caller's key, and not for another account's key of the same path."""
    digest = hashlib.sha256(b"a transaction").digest()
    signature = signature_from_json(must_sign(client, {"Ecdsa": digest.hex()}, 0))
    assert isinstance(signature, EcdsaSignature)
    verify_ecdsa(get_derived_key(client, 0), signature, digest)
    with pytest.raises(InvalidSignature):
        verify_ecdsa(get_derived_key(client, 0, "bob.near"), signature, digest)


def test_eddsa_signature_verifies_under_the_derived_key(client: Client) -> None:
    """The whole message is signed."""
    message = b"a whole transaction of Solana"
    signature = signature_from_json(must_sign(client, {"Eddsa": message.hex()}, 1))
    assert isinstance(signature, EddsaSignature)
    key = ed25519.Ed25519PublicKey.from_public_bytes(get_derived_key(client, 1))
    key.verify(signature.signature, message)


def test_many_are_asked_for_at_once(running: Network) -> None:
    """Of both curves, in the order in which they were wanted, each under its own path's key."""
    wanted = [Wanted("one", EcdsaPayload(bytes([1]) * 32), 0), Wanted("two", EddsaPayload(b"a message"), 1)]
    wanted.append(Wanted("three", EcdsaPayload(bytes([3]) * 32), 0))

    async def run() -> None:
        alice = Signer("alice.near", running.get_key("alice.near"))
        async with AsyncClient(running.url) as client:
            signing = SigningClient(client, CONTRACT_ID)
            first, second, third = await signing.sign_all(alice, wanted)
            for one, signed in zip((wanted[0], wanted[2]), (first, third), strict=True):
                key = decompress_key(await signing.derive_key("alice.near", one.path, 0)).data
                assert isinstance(signed.signature, EcdsaSignature) and isinstance(one.payload, EcdsaPayload)
                verify_ecdsa(key, signed.signature, one.payload.digest)
            assert isinstance(second.signature, EddsaSignature)
            raw = await signing.derive_key("alice.near", "two", 1)
            ed25519.Ed25519PublicKey.from_public_bytes(raw).verify(second.signature.signature, b"a message")

    asyncio.run(run())


def test_legacy_arguments_mean_the_same(client: Client) -> None:
    """``payload`` as 32 numbers and ``key_version``."""
    digest = hashlib.sha256(b"an older client").digest()
    request = {"path": PATH, "payload": list(digest), "key_version": 0}
    options: dict[str, Any] = {"gas": "30 Tgas", "deposit": "1 yoctonear"}
    answer = client.call(CONTRACT_ID, "sign", {"request": request}, **options).value_json()
    signature = signature_from_json(answer)
    assert isinstance(signature, EcdsaSignature)
    verify_ecdsa(get_derived_key(client, 0), signature, digest)


def test_equal_requests_share_an_answer(client: Client) -> None:
    """Several callers ask the same at once: all get the same signature."""
    payload = {"Ecdsa": hashlib.sha256(b"asked thrice").hexdigest()}
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: must_sign(client, payload, 0), range(3)))
    digest = hashlib.sha256(b"asked thrice").digest()
    for answer in answers:
        signature = signature_from_json(answer)
        assert isinstance(signature, EcdsaSignature)
        verify_ecdsa(get_derived_key(client, 0), signature, digest)


@pytest.mark.parametrize(
    ("payload", "domain_id", "changes", "reason"),
    [
        ({"Ecdsa": "00" * 32}, 0, {}, "above zero and below the order"),
        ({"Ecdsa": "ff" * 32}, 0, {}, "above zero and below the order"),
        ({"Ecdsa": "07" * 31}, 0, {}, "32 bytes in hex"),
        ({"Eddsa": "07" * 1233}, 1, {}, "0 to 1232 bytes"),
        ({"Eddsa": "07"}, 0, {}, "Payload is not Ecdsa"),
        ({"Ecdsa": "07" * 32}, 1, {}, "Payload is not EdDSA"),
        ({"Ecdsa": "07" * 32}, 9, {}, "Domain 9 has no key"),
        ({"Ecdsa": "07" * 32}, 2, {}, "has purpose ForeignTx, but this method requires Sign"),
        ({"Ecdsa": "07" * 32}, 0, {"key_version": 0}, "mutually exclusive"),
    ],
)
def test_what_cannot_be_signed_is_refused_with_a_reason(
    client: Client, payload: dict[str, str], domain_id: int, changes: dict[str, Any], reason: str
) -> None:
    """At once, in words that tell what to change."""
    with pytest.raises(ExecutionFailed, match=reason):
        must_sign(client, payload, domain_id, **changes)


def test_too_little_gas_or_no_deposit_is_refused(client: Client) -> None:
    """The contract names what it needs."""
    request = {"path": PATH, "payload_v2": {"Ecdsa": "07" * 32}, "domain_id": 0}
    with pytest.raises(ExecutionFailed, match="required 15 Tgas"):
        client.call(CONTRACT_ID, "sign", {"request": request}, gas="14 Tgas", deposit="1 yoctonear")
    with pytest.raises(ExecutionFailed, match="required 1 yoctoNEAR"):
        client.call(CONTRACT_ID, "sign", {"request": request}, gas="30 Tgas")


def test_only_participants_respond_and_only_with_good_signatures(client: Client, running: Network) -> None:
    """Anybody else is told so; the contract has no key that could change it."""
    request = {"tweak": [0] * 32, "payload": {"Ecdsa": "07" * 32}, "domain_id": 0}
    response = {"scheme": "Ed25519", "signature": [0] * 64}
    with pytest.raises(ExecutionFailed, match="Not a participant: alice"):
        client.call(CONTRACT_ID, "respond", {"request": request, "response": response}, gas="30 Tgas")
    assert client.get_access_keys(CONTRACT_ID) == {}


def test_a_revert_of_the_chain_is_followed(client: Client) -> None:
    """What was asked for before is asked again at the same heights with another payload: both signatures hold."""
    snapshot = client.request("hither_snapshot", [])["snapshot_id"]
    for text in (b"before", b"after"):
        digest = hashlib.sha256(text).digest()
        signature = signature_from_json(must_sign(client, {"Ecdsa": digest.hex()}, 0))
        assert isinstance(signature, EcdsaSignature)
        verify_ecdsa(get_derived_key(client, 0), signature, digest)
        if text == b"before":
            client.request("hither_revert", [snapshot])
            assert client.signer is not None
            client.signer.forget_nonces()
            client.session.forget_block_hash()


def test_keys_survive_a_restart(home: Path, running: Network, client: Client) -> None:
    """The same contract, the same root keys, and it signs: nothing is made anew."""
    before = client.view(CONTRACT_ID, "state").json()
    assert running.end() == 0
    with network(home, "--quiet", is_alone=False) as again:
        signer = Signer("alice.near", again.get_key("alice.near"))
        with Client(again.url, signer=signer) as client_after:
            assert client_after.view(CONTRACT_ID, "state").json() == before
            answer = must_sign(client_after, {"Ecdsa": hashlib.sha256(b"after").hexdigest()}, 0)
            signature = signature_from_json(answer)
            assert isinstance(signature, EcdsaSignature)
            digest = hashlib.sha256(b"after").digest()
            verify_ecdsa(get_derived_key(client_after, 0), signature, digest)
