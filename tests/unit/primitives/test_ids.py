"""Account ids and derived ids, against values of NEAR's own tests and of its recordings."""

import hashlib

import pytest

from hither.codec import base58
from hither.crypto.keys import PublicKey
from hither.primitives import ids
from hither.primitives.ids import AccountKind

GOOD = [
    "aa",
    "a-a",
    "a-aa",
    "100",
    "0o",
    "com",
    "near",
    "bowen",
    "b-o_w_e-n",
    "b.owen",
    "bro.wen",
    "a.ha",
    "a.b-a.ra",
    "system",
    "over.9000",
    "google.com",
    "illia.cheapaccounts.near",
    "0o0ooo00oo00o",
    "alex-skidanov",
    "10-4.8-2",
    "b-o_w_e-n",
    "no_lols",
    "0123456789012345678901234567890123456789012345678901234567890123",
    "near.a",
]

BAD = [
    ("", "the Account ID is too short"),
    ("a", "the Account ID is too short"),
    ("A0", "the Account ID contains an invalid character 'A' at index 0"),
    ("Abc", "the Account ID contains an invalid character 'A' at index 0"),
    ("-near", "the Account ID has a redundant separator '-' at index 0"),
    ("near-", "the Account ID has a redundant separator '-' at index 4"),
    ("near.", "the Account ID has a redundant separator '.' at index 4"),
    ("..near", "the Account ID has a redundant separator '.' at index 0"),
    ("me@google.com", "the Account ID contains an invalid character '@' at index 2"),
    ("some-complex-address@gmail.com", "the Account ID contains an invalid character '@' at index 20"),
    ("ƒelicia.near", "the Account ID contains an invalid character 'ƒ' at index 0"),
    ("a\n", r"the Account ID contains an invalid character '\n' at index 1"),
    ("a'b", r"the Account ID contains an invalid character '\'' at index 1"),
    ("a\x7fb", r"the Account ID contains an invalid character '\u{7f}' at index 1"),
    ("a" * 65, "the Account ID is too long"),
    ("é" * 33, "the Account ID is too long"),
]


@pytest.mark.parametrize("text", GOOD)
def test_account_ids(text: str) -> None:
    """Taken, and read back from bytes."""
    assert ids.is_valid_account_id(text)
    assert ids.decode_account_id(ids.encode_account_id(ids.AccountId(text))) == text


@pytest.mark.parametrize(("text", "message"), BAD)
def test_other_text_is_refused(text: str, message: str) -> None:
    """With NEAR's reason."""
    assert not ids.is_valid_account_id(text)
    assert ids.explain_account_id(text) == message


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("alice.near", AccountKind.NAMED),
        ("0" * 64, AccountKind.NEAR_IMPLICIT),
        ("0" * 63 + "g", AccountKind.NAMED),
        ("0x" + "b" * 40, AccountKind.ETH_IMPLICIT),
        ("0x" + "b" * 39 + "g", AccountKind.NAMED),
        ("0x" + "b" * 39, AccountKind.NAMED),
        ("0s" + "b" * 40, AccountKind.DETERMINISTIC),
        ("0u" + "z" * 51 + "g", AccountKind.UNIVERSAL),
        ("0u" + "z" * 51 + "0", AccountKind.UNIVERSAL),
        ("0u" + "z" * 51 + "1", AccountKind.NAMED),
        ("0u" + "l" * 51 + "0", AccountKind.NAMED),
        ("0u" + "z" * 50 + "0", AccountKind.NAMED),
    ],
)
def test_kinds_of_account_ids(text: str, kind: AccountKind) -> None:
    """The shape alone says it."""
    assert ids.compute_account_kind(text) is kind


def test_sub_accounts_are_one_label_longer() -> None:
    """Not grandchildren, not the account itself, not names that merely end alike."""
    assert ids.is_sub_account_of("a.near", "near")
    assert not ids.is_sub_account_of("b.a.near", "near")
    assert not ids.is_sub_account_of("near", "near")
    assert not ids.is_sub_account_of("anear", "near")
    assert ids.is_top_level("near")
    assert not ids.is_top_level("a.near")
    assert not ids.is_top_level("system")


def test_implicit_account_ids_come_from_keys() -> None:
    """Ed25519: hex; secp256k1: an Ethereum address (key and address of EIP-55's first private key)."""
    key = base58.decode("DcA2MzgpJbrUATQLLceocVckhhAqrkingax4oJ9kZ847")
    near = ids.compute_near_implicit_account_id(key)
    assert near == "bb4dc639b212e075a751685b26bdcea5920a504181ff2910e8549742127092a0"
    assert ids.compute_implicit_public_key(near) == PublicKey(0, key)
    generator = bytes.fromhex(
        "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
        "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
    )
    assert ids.compute_eth_implicit_account_id(generator) == "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"


def test_universal_ids_are_crockford_symbols_of_the_hash() -> None:
    """Read back bit by bit."""
    account_id = ids.compute_universal_account_id(b"state")
    number = 0
    for symbol in account_id[2:]:
        number = number * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(symbol)
    assert number >> 4 == int.from_bytes(hashlib.sha3_256(b"state").digest(), "big")
    assert number % 16 == 0
    assert ids.compute_account_kind(account_id) is AccountKind.UNIVERSAL


def test_derived_ids_take_height_and_index() -> None:
    """sha256 of parent, height and index; actions count down from the top."""
    parent = bytes(range(32))
    expected = hashlib.sha256(parent + (5).to_bytes(8, "little") + (3).to_bytes(8, "little")).digest()
    assert ids.compute_receipt_id(parent, 5, 3) == expected
    assert ids.compute_action_hash(parent, 5, 0) == ids.compute_receipt_id(parent, 5, 2**64 - 1)
    assert ids.compute_data_id(parent, 5, 3) == expected
    assert ids.compute_random_seed(parent, bytes(32)) == hashlib.sha256(parent + bytes(32)).digest()
