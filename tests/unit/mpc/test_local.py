"""Nodes of one process: keys, stock, signatures, and that a presignature is gone before it is used."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from hither.mpc import protocols
from hither.mpc.engine import Request
from hither.mpc.local import NO_STOCK, Domain, LocalNetwork, NotSigned
from hither.mpc.requests import (
    EcdsaPayload,
    EcdsaSignature,
    EddsaPayload,
    EddsaSignature,
    SignatureRequest,
    decode_storage_key,
    encode_storage_key,
    signature_from_json,
    signature_to_json,
)
from hither.mpc.store import NodeStore, StoreDamaged, read_or_make_key

ECDSA, EDDSA = Domain(0, "secp256k1", "Sign"), Domain(1, "ed25519", "Sign")
TWEAK = protocols.compute_tweak("alice.near", "ethereum-1")
DIGEST = bytes([3]) * 32


def make_request(domain: Domain) -> Request:
    payload = EcdsaPayload(DIGEST) if domain is ECDSA else EddsaPayload(b"message")
    return Request(bytes(32), SignatureRequest(TWEAK, payload, domain.id), bytes([9]) * 32, 1)


def test_a_network_signs_from_stock_and_survives_a_restart(tmp_path: Path) -> None:
    """Keys and stock are found again; the signature verifies under the derived key; the stock shrinks by one."""
    network = LocalNetwork(tmp_path)
    root = network.generate_key(ECDSA, 0, 0)
    network.add_stock(ECDSA, 0, (0, 1))
    network.add_stock(ECDSA, 0, (0, 2))
    network.close()

    network = LocalNetwork(tmp_path)
    assert network.count_stock(ECDSA) == 2
    signature = network.sign(make_request(ECDSA), 0, (2, 0, 1))
    assert isinstance(signature, EcdsaSignature)
    assert network.count_stock(ECDSA) == 1
    derived = protocols.derive_public_key("secp256k1", root, TWEAK)
    assert derived is not None
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), derived)
    encoded = utils.encode_dss_signature(
        int.from_bytes(signature.r, "big"), int.from_bytes(signature.s, "big")
    )
    key.verify(encoded, DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    with pytest.raises(NotSigned, match=NO_STOCK):
        network.sign(make_request(ECDSA), 0, (2, 0, 1))  # Only 0 and 1 have stock left.
    network.close()


def test_eddsa_needs_no_stock(tmp_path: Path) -> None:
    """The signature of a whole message verifies under the derived key."""
    network = LocalNetwork(tmp_path)
    root = network.generate_key(EDDSA, 0, 0)
    signature = network.sign(make_request(EDDSA), 0, (1, 2, 0))
    assert isinstance(signature, EddsaSignature)
    derived = protocols.derive_public_key("ed25519", root, TWEAK)
    assert derived is not None
    ed25519.Ed25519PublicKey.from_public_bytes(derived).verify(signature.signature, b"message")
    network.close()


def test_a_presignature_is_handed_out_once(tmp_path: Path) -> None:
    """The second taker gets nothing, also from a store opened anew."""
    key = read_or_make_key(tmp_path / "key")
    with NodeStore(tmp_path / "store", key) as store:
        store.put_presignature(b"id", 0, (0, 1), protocols.Secret(b"value"))
        taken = store.take_presignature(b"id")
        assert taken is not None
        assert taken.expose() == b"value"
        assert store.take_presignature(b"id") is None
    with NodeStore(tmp_path / "store", key) as store:
        assert store.take_presignature(b"id") is None


def test_stock_of_another_share_is_dropped(tmp_path: Path) -> None:
    """A presignature belongs to one key: with a new share of its domain it goes, that of other domains stays."""
    with NodeStore(tmp_path / "store", read_or_make_key(tmp_path / "key")) as store:
        store.put_presignature(b"old", 0, (0, 1), protocols.Secret(b"value"))
        store.put_presignature(b"other", 2, (0, 1), protocols.Secret(b"value"))
        store.put_share(0, 1, protocols.Secret(b"share"))
        assert (store.list_presignatures(0, (0, 1)), store.list_presignatures(2, (0, 1))) == ([], [b"other"])


def test_nothing_secret_is_readable_on_disk(tmp_path: Path) -> None:
    """Neither the files nor another key show a stored value; the files are their owner's alone."""
    secret = b"a secret that would be easy to find"
    with NodeStore(tmp_path / "store", read_or_make_key(tmp_path / "key")) as store:
        store.put_share(0, 0, protocols.Secret(secret))
        store.put_setting("seed", secret)
    assert all(secret not in path.read_bytes() for path in tmp_path.iterdir())
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())
    with (
        NodeStore(tmp_path / "store", read_or_make_key(tmp_path / "other")) as store,
        pytest.raises(StoreDamaged, match="cannot be decrypted"),
    ):
        store.get_share_optional(0, 0)


def test_requests_read_back_from_storage_keys_and_json() -> None:
    """The storage key is the request; other keys of the contract are none."""
    for domain in (ECDSA, EDDSA):
        request = make_request(domain).request
        assert decode_storage_key(encode_storage_key(request)) == request
    assert decode_storage_key(b"STATE") is None
    assert decode_storage_key(b"\0short") is None
    for signature in (EcdsaSignature(b"\2" + bytes(32), bytes(32), 1), EddsaSignature(bytes(64))):
        assert signature_from_json(signature_to_json(signature)) == signature
