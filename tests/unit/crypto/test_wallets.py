"""Keys from words, held to what others have published."""

import pytest

from hither.crypto.keys import public_key_to_str, secret_key_to_str
from hither.crypto.signing import compute_public_key
from hither.crypto.wallets import DEFAULT_PATH, InvalidWallet, compute_seed, derive_secret_key

# From the README of the crate near-seed-phrase: words, passphrase, path, secret key, public key.
WORDS = "fortune conduct light unusual gloom process wrap spare season exact anchor devote"
WALLETS = [
    (
        "",
        DEFAULT_PATH,
        "ed25519:G94YBVktAVUFZWvYBtYmfpvVMNCtSf2x73bMfTCM9CfzyrUyN5X6VpTqr8QTCHYBTdUfzufDsTy3cR9CfNf74Bv",
        "ed25519:2PQENDq3KABdr7cw1TH5B4AdXLqcyNXTTpWbdZh7k828",
    ),
    (
        "password",
        DEFAULT_PATH,
        "ed25519:2PzwsYGPX3XWwz67qwj4wqq4VWF7M4ENFyhbhDQsMKLUvzTKCQQx1srnmzRDBsCqpsTwdCFiQN2ZoYCngTxdRrri",
        "ed25519:FoccWVCwm6dn9e7i1JHXskvac52iwUngHpLZMbdMggMk",
    ),
    (
        "",
        "m/44'/397'/1'",
        "ed25519:2Q6EAt5ikTSVT2HvAB6fb5XLFukrahVXFdSzdYt8sVxXRasDktuAx2hTY5yBiPju4wdqbevnSgKxfayKvUBShsRv",
        "ed25519:5yszd4dR4jgNhVpSo9oYT2RXLLWdEqqJ5y1WjLiwodTS",
    ),
]
# SLIP-10, test vector 2 for ed25519.
SEED = bytes.fromhex(
    "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a2"
    "9f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542"
)
STEPS = {
    "m/0'": "1559eb2bbec5790b0c65d8693e4d0875b1747f4970ae8b650486ed7470845635",
    "m/0'/2147483647'/1'/2147483646'/2'": "551d333177df541ad876a60ea71f00447931c0a9da16f227c11ea080d7391b8d",
}


@pytest.mark.parametrize(("passphrase", "path", "secret_text", "public_text"), WALLETS)
def test_words_give_the_keys_of_wallets(
    passphrase: str, path: str, secret_text: str, public_text: str
) -> None:
    """However the words are written."""
    for words in (WORDS, f"  {WORDS.upper()} ".replace(" ", "  ")):
        secret = derive_secret_key(compute_seed(words, passphrase), path)
        assert secret_key_to_str(secret) == secret_text
        assert public_key_to_str(compute_public_key(secret)) == public_text


@pytest.mark.parametrize(("path", "expected"), STEPS.items())
def test_derivation_follows_slip_10(path: str, expected: str) -> None:
    """Its published vector."""
    assert derive_secret_key(SEED, path).data[:32].hex() == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (WORDS.replace("devote", "anchor"), "do not belong together"),
        (WORDS.rpartition(" ")[0], "do not belong together"),
        (WORDS.replace("gloom", "gloomy"), "word 5 is none"),
        ("", "do not belong together"),
    ],
)
def test_wrong_words_are_refused_and_not_repeated(words: str, message: str) -> None:
    """A typing error must not give another wallet."""
    with pytest.raises(InvalidWallet, match=message) as caught:
        compute_seed(words)
    assert not any(word in str(caught.value) for word in ("fortune", "gloom"))


@pytest.mark.parametrize(
    "path", ["", "m", "44'/397'/0'", "m/44'/397/0'", "m/2147483648'", "m/44'/397'/0'/", "m/x'"]
)
def test_wrong_paths_are_refused(path: str) -> None:
    """Also those that other curves know: a step that is not hardened."""
    with pytest.raises(InvalidWallet, match="not a path"):
        derive_secret_key(SEED, path)


def test_seed_has_64_bytes() -> None:
    """BIP-39's size."""
    with pytest.raises(InvalidWallet, match="this one 32"):
        derive_secret_key(bytes(32))
