"""The door to the threshold protocols: runs in one process, runs by message, and what secrets show."""

import hashlib
from collections.abc import Callable

import coincurve
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from eth_typing import BLSPubkey, BLSSignature
from py_ecc.bls.g2_primitives import pubkey_to_G1, signature_to_G2
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.optimized_bls12_381.optimized_curve import G2, add, eq, multiply, neg
from py_ecc.optimized_bls12_381.optimized_pairing import pairing

from hither.mpc import protocols
from hither.mpc.protocols import ProtocolFailure, ProtocolRun, Secret

PARTICIPANTS = [0, 1, 2]
SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def must_make_key(curve: protocols.Curve, threshold: int = 2) -> dict[int, Secret]:
    runs = [(me, protocols.start_keygen(curve, b"test", PARTICIPANTS, me, threshold)) for me in PARTICIPANTS]
    return dict(protocols.run_protocols(runs))


def send_truth(sender: int, receiver: int | None, data: bytes) -> bytes:
    return data


def must_deliver(
    runs: dict[int, ProtocolRun], change: Callable[[int, int | None, bytes], bytes] = send_truth
) -> dict[int, Secret]:
    """Move messages between runs as separate processes would; ``change`` may alter them on the way."""
    results: dict[int, Secret] = {}
    while len(results) < len(runs):
        for me, run in runs.items():
            while me not in results and (action := run.poke()) is not None:
                receiver, is_over, data = action
                if is_over:
                    assert isinstance(data, Secret)
                    results[me] = data
                    break
                assert isinstance(data, bytes)
                data = change(me, receiver, data)
                for other in runs.keys() - results.keys() - {me} if receiver is None else {receiver}:
                    runs[other].message(me, data)
    return results


def test_eddsa_by_message_verifies_in_an_independent_library() -> None:
    """Two of three sign for a derived key; OpenSSL accepts it, and no other message."""
    shares = must_make_key("ed25519")
    tweak = protocols.compute_tweak("alice.near", "solana-1")
    runs = {me: protocols.start_eddsa_sign(shares[me], [0, 2], me, tweak, b"message") for me in (0, 2)}
    signature = must_deliver(runs)[0].expose()
    derived = protocols.derive_public_key(
        "ed25519", protocols.public_key_of_share("ed25519", shares[1]), tweak
    )
    assert derived is not None
    key = ed25519.Ed25519PublicKey.from_public_bytes(derived)
    key.verify(signature, b"message")
    with pytest.raises(InvalidSignature):
        key.verify(signature, b"massage")


def test_ecdsa_from_stock_verifies_in_an_independent_library() -> None:
    """Triples, a presignature and a signature, each exchanged in one process; OpenSSL accepts the result."""
    shares = must_make_key("secp256k1")
    pair = [
        dict(
            protocols.run_protocols(
                [(me, protocols.start_triple(PARTICIPANTS, me, 2)) for me in PARTICIPANTS]
            )
        )
        for _ in range(2)
    ]
    signers = [1, 2]
    stock = dict(
        protocols.run_protocols(
            [
                (me, protocols.start_ecdsa_presign(shares[me], signers, pair[0][me], pair[1][me]))
                for me in signers
            ]
        )
    )
    tweak, digest = protocols.compute_tweak("alice.near", "ethereum-1"), hashlib.sha256(b"message").digest()
    runs = [
        (me, protocols.start_ecdsa_sign(shares[me], signers, tweak, digest, bytes(32), stock[me]))
        for me in signers
    ]
    signature = protocols.run_protocols(runs)[0][1].expose()
    root = protocols.public_key_of_share("secp256k1", shares[0])
    derived = protocols.derive_public_key("secp256k1", root, tweak)
    assert derived is not None
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), derived)
    r, s = int.from_bytes(signature[1:33], "big"), int.from_bytes(signature[33:65], "big")
    encoded = utils.encode_dss_signature(r, s)
    key.verify(encoded, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    with pytest.raises(InvalidSignature):
        key.verify(encoded, hashlib.sha256(b"massage").digest(), ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def test_a_reshare_keeps_the_key_and_lets_a_member_join() -> None:
    """0 leaves, 3 joins without an old share; the public key stays, and the new members sign."""
    old = must_make_key("ed25519")
    root = protocols.public_key_of_share("ed25519", old[0])
    members = [1, 2, 3]
    runs = [
        (
            me,
            protocols.start_reshare(
                "ed25519",
                b"next epoch",
                members,
                me,
                2,
                old_participants=PARTICIPANTS,
                old_threshold=2,
                old_public_key=root,
                old_share=old.get(me),
            ),
        )
        for me in members
    ]
    new = dict(protocols.run_protocols(runs))
    assert {protocols.public_key_of_share("ed25519", share) for share in new.values()} == {root}
    tweak = protocols.compute_tweak("alice.near", "")
    signing = [(me, protocols.start_eddsa_sign(new[me], [1, 3], me, tweak, b"message")) for me in (1, 3)]
    assert len(protocols.run_protocols(signing)[0][1].expose()) == 64


def test_a_lie_ends_the_run_and_names_its_sender() -> None:
    """A private share that does not fit the dealer's commitments is proof against the dealer."""
    runs = {me: protocols.start_keygen("ed25519", b"test", PARTICIPANTS, me, 2) for me in PARTICIPANTS}

    def lie(sender: int, receiver: int | None, data: bytes) -> bytes:
        is_share = sender == 2 and receiver is not None
        return data[:1] + bytes([data[1] ^ 1]) + data[2:] if is_share else data

    with pytest.raises(ProtocolFailure) as caught:
        must_deliver(runs, lie)
    assert caught.value.args == ("the share does not fit the commitments", 2)


def test_unsolicited_messages_are_refused_and_harmless() -> None:
    """An outsider's or an oversized message raises; the run goes on."""
    run = protocols.start_keygen("ed25519", b"test", PARTICIPANTS, 0, 2)
    with pytest.raises(ValueError, match="participant 7 does not take part"):
        run.message(7, bytes(33))
    with pytest.raises(ValueError, match="at most 32"):
        run.message(1, bytes(40))
    assert run.poke() is not None


def test_secrets_do_not_show() -> None:
    """Neither repr nor str of a secret holds its bytes."""
    secret = Secret(b"do not print me")
    assert repr(secret) == str(secret) == "<Secret>"
    assert secret.expose() == b"do not print me"


def test_robust_ecdsa_verifies_in_an_independent_library() -> None:
    """Three of three presign and sign; libsecp256k1 recovers the derived key, at the coordinator alone."""
    shares = must_make_key("secp256k1")
    runs = {me: protocols.start_robust_presign(shares[me], PARTICIPANTS) for me in PARTICIPANTS}
    stock = must_deliver(runs)
    tweak, digest = protocols.compute_tweak("alice.near", "ethereum-1"), hashlib.sha256(b"message").digest()
    runs = {
        me: protocols.start_robust_sign(shares[me], PARTICIPANTS, 1, tweak, digest, bytes(32), stock[me])
        for me in PARTICIPANTS
    }
    results = must_deliver(runs)
    assert results[0].expose() == results[2].expose() == b""
    signature = results[1].expose()
    derived = protocols.derive_public_key(
        "secp256k1", protocols.public_key_of_share("secp256k1", shares[0]), tweak
    )
    recoverable = signature[1:66]
    recovered = coincurve.PublicKey.from_signature_and_message(recoverable, digest, hasher=None)
    assert recovered.format() == derived
    assert int.from_bytes(signature[33:65], "big") <= SECP256K1_ORDER // 2


def test_robust_signers_with_another_request_get_nothing() -> None:
    """One signer takes another digest from its view of the chain: no share is sent, and nobody is blamed."""
    shares = must_make_key("secp256k1")
    runs = [(me, protocols.start_robust_presign(shares[me], PARTICIPANTS)) for me in PARTICIPANTS]
    stock = dict(protocols.run_protocols(runs))
    tweak, entropy = protocols.compute_tweak("alice.near", "ethereum-1"), bytes(32)
    digests = {0: bytes([1] * 32), 1: bytes([1] * 32), 2: bytes([2] * 32)}
    signing = [
        (
            me,
            protocols.start_robust_sign(shares[me], PARTICIPANTS, 0, tweak, digests[me], entropy, stock[me]),
        )
        for me in PARTICIPANTS
    ]
    with pytest.raises(ProtocolFailure) as caught:
        protocols.run_protocols(signing)
    assert caught.value.args == ("the signers see different requests", None)
    with pytest.raises(ValueError, match="exactly 3 signers are needed, not 2"):
        protocols.start_robust_presign(shares[0], [0, 1])


def test_a_confidential_key_is_the_networks_signature_to_an_independent_library() -> None:
    """Two of three derive an app's key; py_ecc's pairing accepts it as a BLS signature, and the blinded answer too."""
    shares = must_make_key("bls12381")
    network_key = protocols.public_key_of_share("bls12381", shares[0])
    app_id = protocols.compute_app_id("alice.near", "vault")
    app_secret, (first, second) = protocols.make_app_secret()
    runs = {me: protocols.start_app_key(shares[me], [0, 2], 2, app_id, (first, second)) for me in (0, 2)}
    results = must_deliver(runs)
    assert results[0].expose() == b""
    blinded = results[2].expose()
    assert protocols.answers_app_key_request(blinded, network_key, app_id, (first, second))
    assert not protocols.answers_app_key_request(blinded, network_key, bytes(32), (first, second))
    key = protocols.unmask_app_key(blinded, network_key, app_id, app_secret)
    assert key is not None
    other_secret, _ = protocols.make_app_secret()
    assert protocols.unmask_app_key(blinded, network_key, app_id, other_secret) is None

    tag = b"NEAR BLS12381G1_XMD:SHA-256_SSWU_RO_"
    hashed = hash_to_G1(network_key + app_id, tag, hashlib.sha256)  # type: ignore[arg-type]  # It is called.
    root, signature = signature_to_G2(BLSSignature(network_key)), pubkey_to_G1(BLSPubkey(key.expose()))
    assert pairing(G2, signature) == pairing(root, hashed)
    big_y, big_c = (pubkey_to_G1(BLSPubkey(half)) for half in (blinded[:48], blinded[48:]))
    assert pairing(G2, big_c) == pairing(root, hashed) * pairing(signature_to_G2(BLSSignature(second)), big_y)
    assert eq(add(big_c, neg(multiply(big_y, int.from_bytes(app_secret.expose(), "big")))), signature)


def test_app_keys_that_would_show_the_secret_are_refused() -> None:
    """Zero as the app's public key would leave its key unblinded; halves that differ are nobody's."""
    shares = must_make_key("bls12381")
    _, (first, second) = protocols.make_app_secret()
    _, (_, other) = protocols.make_app_secret()
    for halves, reason in (
        ((bytes([0xC0]) + bytes(47), None), "the app's public key is zero"),
        ((first, other), "the two halves of the app's public key differ"),
        ((second, None), "no point of its group"),
    ):
        with pytest.raises(ValueError, match=reason):
            protocols.start_app_key(shares[0], [0, 1], 0, bytes(32), halves)
    with pytest.raises(ValueError, match="keys on bls12381 are not derived by a tweak"):
        protocols.derive_public_key(
            "bls12381", protocols.public_key_of_share("bls12381", shares[0]), bytes(32)
        )
