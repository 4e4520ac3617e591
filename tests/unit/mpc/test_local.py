"""Nodes of one process: keys, stock, signatures."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from hither.mpc import protocols
from hither.mpc.contract import Key, KeyEvent, NetworkView, Participant
from hither.mpc.engine import Request
from hither.mpc.local import REFILL_NICENESS, LocalNetwork
from hither.mpc.requests import (
    Answer,
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
from hither.mpc.schemes import BATCH, Domain
from hither.mpc.signers import NO_STOCK, NotSigned

ECDSA, EDDSA = Domain(0, "CaitSith", "Sign", 2), Domain(1, "Frost", "Sign", 2)
TWEAK = protocols.compute_tweak("alice.near", "ethereum-1")
DIGEST = bytes([3]) * 32


def make_request(domain: Domain) -> Request:
    payload = EcdsaPayload(DIGEST) if domain is ECDSA else EddsaPayload(b"message")
    return Request(bytes(32), SignatureRequest(TWEAK, payload, domain.id), bytes([9]) * 32, 1)


def must_make_keys(network: LocalNetwork) -> tuple[NetworkView, dict[int, bytes]]:
    """Keys of both domains; what the contract would say of them."""
    people = tuple(Participant(number, f"node{number}.near", "", bytes(32)) for number in range(3))
    view = NetworkView(0, 2, people, {}, True)
    keys, roots = {}, {}
    for domain in (ECDSA, EDDSA):
        event = KeyEvent(0, domain, people, 4, 100, (), 5)
        roots[domain.id] = network.make_key_now(view, event, 4)
        keys[domain.id] = Key(domain, roots[domain.id], 4)
    return replace(view, keys=keys), roots


def verify_ecdsa(root: bytes, signature: Answer) -> None:
    assert isinstance(signature, EcdsaSignature)
    derived = protocols.derive_public_key("secp256k1", root, TWEAK)
    assert derived is not None
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), derived)
    encoded = utils.encode_dss_signature(
        int.from_bytes(signature.r, "big"), int.from_bytes(signature.s, "big")
    )
    key.verify(encoded, DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def test_a_network_signs_from_stock_and_survives_a_restart(tmp_path: Path) -> None:
    """Keys and stock are found again; the signature verifies under the derived key; the stock shrinks by one."""
    network = LocalNetwork(tmp_path)
    view, roots = must_make_keys(network)
    for signers in ((0, 1), (0, 2)):
        network.add_stock(view.keys[0], 0, signers, 0)
    network.close()

    network = LocalNetwork(tmp_path)
    assert network.count_stock(ECDSA, view.ids) == 2
    verify_ecdsa(roots[0], network.sign_now(make_request(ECDSA), view, (2, 0, 1)))
    assert network.count_stock(ECDSA, view.ids) == 1
    with pytest.raises(NotSigned, match=NO_STOCK):
        network.sign_now(make_request(ECDSA), view, (2, 0, 1))  # Only 0 and 1 have stock left.
    network.close()


def test_stock_is_made_where_it_is_scarce_and_used_by_all(tmp_path: Path) -> None:
    """Every signer set gets its part of what a network keeps; every order of signers finds some."""
    with closing(LocalNetwork(tmp_path, stock={"CaitSith": 3, "Frost": 1})) as network:
        view, roots = must_make_keys(network)
        network.set_view(view)
        network.fill_stock(view)
        assert network.count_stock(ECDSA, view.ids) == 3
        assert network.count_stock(EDDSA, view.ids) == 3 * BATCH
        for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            verify_ecdsa(roots[0], network.sign_now(make_request(ECDSA), view, order))
        assert network.count_stock(ECDSA, view.ids) == 0


def test_requests_at_once_share_the_stock_without_loss(tmp_path: Path) -> None:
    """As many are signed as there are presignatures: threads that choose the same one lose none to each other."""
    robust = Domain(3, "DamgardEtAl", "Sign", 2)
    with closing(LocalNetwork(tmp_path)) as network, ThreadPoolExecutor(8) as threads:
        view, _ = must_make_keys(network)
        event = KeyEvent(0, robust, view.participants, 4, 100, (), 5)
        key = Key(robust, network.make_key_now(view, event, 4), 4)
        view = replace(view, keys={**view.keys, robust.id: key})
        for _ in range(4):
            network.add_stock(key, 0, (0, 1, 2), 0)
        payload = EcdsaPayload(DIGEST)
        request = Request(bytes(32), SignatureRequest(TWEAK, payload, robust.id), bytes([9]) * 32, 1)
        orders = [((0, 1, 2), (1, 2, 0), (2, 0, 1))[number % 3] for number in range(4 * BATCH)]
        signing = [threads.submit(network.sign_now, request, view, order) for order in orders]
        assert all(isinstance(one.result(), EcdsaSignature) for one in signing)
        assert network.count_stock(robust, view.ids) == 0


def test_refilling_works_at_low_priority_and_writes_at_the_usual(tmp_path: Path) -> None:
    """Who waits for a lock of the stores must not wait for a thread that everybody else goes before."""
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with closing(LocalNetwork(tmp_path, stock={"CaitSith": 1, "Frost": 1})) as network:
        view, _ = must_make_keys(network)
        network.set_view(view)
        network.keep_stock()
        until_s = time.monotonic() + 60
        while network.count_stock(EDDSA, view.ids) < 3 * BATCH:
            assert time.monotonic() < until_s, "no stock was made"
            time.sleep(0.01)
        nice = {
            thread.name.partition("_")[0]: os.getpriority(os.PRIO_PROCESS, thread.native_id or 0)
            for thread in threading.enumerate()
        }
    assert nice["mpc-presign"] == min(19, usual + REFILL_NICENESS)
    assert nice["mpc-stock"] == usual


def test_eddsa_signs_with_and_without_stock(tmp_path: Path) -> None:
    """The signature of a whole message verifies under the derived key; a presigned nonce is spent if there is one."""
    with closing(LocalNetwork(tmp_path)) as network:
        view, roots = must_make_keys(network)
        derived = protocols.derive_public_key("ed25519", roots[1], TWEAK)
        assert derived is not None
        key = ed25519.Ed25519PublicKey.from_public_bytes(derived)
        for stock in (0, BATCH):
            if stock:
                network.add_stock(view.keys[1], 0, (1, 2), 1)
            signature = network.sign_now(make_request(EDDSA), view, (1, 2, 0))
            assert isinstance(signature, EddsaSignature)
            key.verify(signature.signature, b"message")
            assert network.count_stock(EDDSA, view.ids) == max(0, stock - 1)


def test_requests_read_back_from_storage_keys_and_json() -> None:
    """The storage key is the request; other keys of the contract are none."""
    for domain in (ECDSA, EDDSA):
        request = make_request(domain).request
        assert decode_storage_key(encode_storage_key(request)) == request
    assert decode_storage_key(b"STATE") is None
    assert decode_storage_key(b"\0short") is None
    for signature in (EcdsaSignature(b"\2" + bytes(32), bytes(32), 1), EddsaSignature(bytes(64))):
        assert signature_from_json(signature_to_json(signature)) == signature
