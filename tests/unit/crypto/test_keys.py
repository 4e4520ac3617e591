"""Text forms and handles of keys; signatures; verifiable randomness.

Vectors of near-crypto's own tests (seed ``test`` padded with spaces), RFC 8032,
and small-order points, which the strict rules would refuse.
"""

import hashlib

import pytest

from hither.codec.borsh import InvalidBorsh
from hither.crypto import hashing, keys, signing
from hither.crypto.keys import ED25519, ML_DSA_65, SECP256K1, InvalidKey, PublicKey, Signature

SEED = b"test".ljust(32)


def test_keys_of_a_seed_have_the_text_of_near() -> None:
    """As in near-crypto's test of JSON forms."""
    secret = signing.secret_key_from_seed(ED25519, SEED)
    key = signing.compute_public_key(secret)
    assert str(key) == "ed25519:DcA2MzgpJbrUATQLLceocVckhhAqrkingax4oJ9kZ847"
    assert keys.secret_key_to_str(secret) == (
        "ed25519:3KyUuch8pYP47krBq4DosFEVBMR5wDTMQ8AThzM8kAEcBQEpsPdYTZ2FPX5ZnSoLrerjwg66hwwJaW1wHzprd5k3"
    )
    assert str(signing.sign(secret, b"123")) == (
        "ed25519:3s1dvZdQtcAjBksMHFrysqvF63wnyMHPA4owNQmCJZ2EBakZEKdtMsLqrHdKWQjJbSRN6kRknN2WdwSBLWGCokXj"
    )
    assert keys.public_key_from_str("DcA2MzgpJbrUATQLLceocVckhhAqrkingax4oJ9kZ847") == key


def test_a_secp256k1_key_signs_as_near_does() -> None:
    """The secret that near-crypto draws for the same seed, and its signature of sha256("123")."""
    secret = keys.secret_key_from_str("secp256k1:X4ETFKtQkSGVoZEnkn7bZ3LyajJaK2b3eweXaKmynGx")
    key = signing.compute_public_key(secret)
    assert str(key) == (
        "secp256k1:5ftgm7wYK5gtVqq1kxMGy7gSudkrfYCbpsjL6sH1nwx2oj5NR2JktohjzB6fbEhhRERQpiwJcpwnQjxtoX3GS3cQ"
    )
    signature = signing.sign(secret, hashlib.sha256(b"123").digest())
    assert str(signature) == (
        "secp256k1:5N5CB9H1dmB9yraLGCo4ZCQTcF24zj4v2NT14MHdH3aVhRoRXrX3AhprHr2w6iXNBZDmjMS1Ntzjzq8Bv6iBvwth6"
    )


@pytest.mark.parametrize("kind", [ED25519, SECP256K1, ML_DSA_65])
def test_every_kind_signs_and_verifies(kind: int) -> None:
    """And not another message, key, signature, nor a signature of another kind."""
    secret, other = (signing.secret_key_from_seed(kind, seed * 32) for seed in (b"a", b"b"))
    key, message = signing.compute_public_key(secret), hashing.sha256(b"message")
    signature = signing.sign(secret, message)
    assert len(key.data) == keys.PUBLIC_KEY_SIZES[kind]
    assert len(signature.data) == keys.SIGNATURE_SIZES[kind]
    wrong = Signature(kind, bytes([signature.data[0] ^ 1]) + signature.data[1:])
    checks = [
        (key, message, signature),
        (key, hashing.sha256(b"other"), signature),
        (signing.compute_public_key(other), message, signature),
        (key, message, wrong),
        (key, message, Signature((kind + 1) % 3, signature.data)),
    ]
    assert signing.are_valid_signatures(checks) == [True, False, False, False, False]
    assert [signing.is_valid_signature(*check) for check in checks] == [True, False, False, False, False]


def test_ed25519_agrees_with_rfc_8032() -> None:
    """Test 3 of section 7.1."""
    secret = signing.secret_key_from_seed(
        ED25519, bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    )
    assert signing.compute_public_key(secret).data.hex() == (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    )
    assert signing.sign(secret, bytes.fromhex("af82")).data.hex() == (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )


def test_a_small_order_key_verifies_as_on_near() -> None:
    """The strict rules would refuse the key (the neutral element); NEAR takes the signature."""
    neutral = bytes([1]) + bytes(31)
    signature = Signature(ED25519, neutral + bytes(32))
    assert signing.is_valid_signature(PublicKey(ED25519, neutral), b"anything", signature)
    assert not signing.is_valid_signature(PublicKey(ED25519, bytes([2]) + bytes(31)), b"anything", signature)


def test_a_scalar_beyond_the_order_is_not_good() -> None:
    """s + l in place of s: malleable."""
    order = 2**252 + 27742317777372353535851937790883648493
    secret = signing.secret_key_from_seed(ED25519, SEED)
    key, good = signing.compute_public_key(secret), signing.sign(secret, b"m").data
    scalar = int.from_bytes(good[32:], "little") + order
    assert not signing.is_valid_signature(
        key, b"m", Signature(ED25519, good[:32] + scalar.to_bytes(32, "little"))
    )


def test_secp256k1_signs_hashes_only() -> None:
    """A message of another length is refused, not cut."""
    secret = signing.secret_key_from_seed(SECP256K1, SEED)
    with pytest.raises(InvalidKey, match="messages of 32 bytes, not 3"):
        signing.sign(secret, b"123")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rsa:2g", "unknown key type 'rsa'"),
        ("ed25519:2g", "invalid key length: expected the input of 32 bytes, but 1 was given"),
        ("ed25519:0", "invalid key data: provided string contained invalid character '0' at byte 0"),
        ("ed25519:" + "2" * 60, "invalid key length: expected the input of 32 bytes, but 33 was given"),
        ("", "invalid key length: expected the input of 32 bytes, but 0 was given"),
    ],
)
def test_bad_key_text_is_refused(text: str, message: str) -> None:
    """In the words of NEAR's node."""
    with pytest.raises(InvalidKey) as caught:
        keys.public_key_from_str(text)
    assert str(caught.value) == message


def test_a_handle_is_the_key_or_its_digest() -> None:
    """SHA3-256 under a domain for ML-DSA-65; the whole key is no handle."""
    short = PublicKey(SECP256K1, bytes(64))
    assert keys.compute_key_handle(short) == keys.KeyHandle(SECP256K1, bytes(64))
    long = PublicKey(ML_DSA_65, bytes(1952))
    handle = keys.compute_key_handle(long)
    digest = hashlib.sha3_256(b"near:ml-dsa-65-pubkey-hash:v1" + bytes(1952)).digest()
    assert handle == keys.KeyHandle(3, digest)
    assert str(handle).startswith("ml-dsa-65-hash:")
    assert keys.key_handle_from_str(str(handle)) == handle
    with pytest.raises(InvalidKey, match="full ML-DSA-65 keys cannot appear"):
        keys.key_handle_from_str(str(long))


def test_an_ed25519_signature_out_of_range_does_not_decode() -> None:
    """Any of the top three bits of the last byte."""
    good = b"\0" + bytes(63) + b"\x1f"
    assert keys.decode_signature(good).data[-1] == 0x1F
    with pytest.raises(InvalidBorsh, match="signature error"):
        keys.decode_signature(b"\0" + bytes(63) + b"\x20")


def test_secret_keys_do_not_show_themselves() -> None:
    """Neither printed nor in an error."""
    secret = signing.secret_key_from_seed(ED25519, SEED)
    assert repr(secret) == "SecretKey(ed25519)"
    broken = keys.SecretKey(ED25519, secret.data[:32] + bytes(32))
    with pytest.raises(InvalidKey) as caught:
        signing.sign(broken, b"m")
    assert secret.data.hex()[:16] not in str(caught.value)


def test_verifiable_randomness() -> None:
    """The value depends on key and data alone; the proof fits no other value, data or key."""
    secret = signing.secret_key_from_seed(ED25519, SEED)
    key = signing.compute_public_key(secret)
    value, proof = signing.compute_vrf(secret, b"data")
    assert signing.compute_vrf(secret, b"data")[0] == value
    assert signing.is_valid_vrf(key, b"data", value, proof)
    other, _ = signing.compute_vrf(secret, b"other")
    assert not signing.is_valid_vrf(key, b"other", value, proof)
    assert not signing.is_valid_vrf(key, b"data", other, proof)
    stranger = signing.compute_public_key(signing.secret_key_from_seed(ED25519, bytes(32)))
    assert not signing.is_valid_vrf(stranger, b"data", value, proof)


def test_staking_keys() -> None:
    """Ed25519 without a torsion part."""
    key = signing.compute_public_key(signing.secret_key_from_seed(ED25519, SEED))
    assert signing.is_staking_key(key)
    assert not signing.is_staking_key(PublicKey(ED25519, bytes(32)))
    assert not signing.is_staking_key(PublicKey(SECP256K1, bytes(64)))


def test_hashes_agree_with_other_libraries() -> None:
    """OpenSSL's, and keccak's published digest of nothing."""
    for data in (b"", b"abc", bytes(1000)):
        assert hashing.sha256(data) == hashlib.sha256(data).digest()
        assert hashing.sha3_256(data) == hashlib.sha3_256(data).digest()
    assert hashing.keccak256(b"").hex() == (
        "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    )
