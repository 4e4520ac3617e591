"""Trie keys: the bytes of every column, and the way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hither.primitives.account import GlobalContractByAccount, GlobalContractByHash
from hither.primitives.types import AccountId, CryptoHash, KeyHandle, ShardId
from hither.state import keys
from hither.state.keys import AccessKeyName, AccountItem, InvalidTrieKey

ALICE = AccountId("alice.near")
ID = CryptoHash(bytes(range(32)))
ED25519 = KeyHandle(0, b"\x02" * 32)
SECP256K1 = KeyHandle(1, b"," * 64)
ML_DSA_65 = KeyHandle(3, b"h" * 32)
SHARD = ShardId(0x0102)
INDEX = 0x1122334455667788
INDEX_BYTES = bytes.fromhex("8877665544332211")

BY_HASH = GlobalContractByHash(ID)
BY_ACCOUNT = GlobalContractByAccount(ALICE)

CASES = [
    (keys.account(ALICE), b"\x00alice.near"),
    (keys.contract_code(ALICE), b"\x01alice.near"),
    (keys.access_key(ALICE, ED25519), b"\x02alice.near\x02\x00" + ED25519.data),
    (keys.access_key(ALICE, SECP256K1), b"\x02alice.near\x02\x01" + SECP256K1.data),
    (keys.access_key(ALICE, ML_DSA_65), b"\x02alice.near\x02\x03" + ML_DSA_65.data),
    (keys.gas_key_nonce(ALICE, ED25519, 0x0201), b"\x02alice.near\x02\x00" + ED25519.data + b"\x01\x02"),
    (keys.received_data(ALICE, ID), b"\x03alice.near," + ID),
    (keys.postponed_receipt_id(ALICE, ID), b"\x04alice.near," + ID),
    (keys.pending_data_count(ALICE, ID), b"\x05alice.near," + ID),
    (keys.postponed_receipt(ALICE, ID), b"\x06alice.near," + ID),
    (keys.DELAYED_RECEIPT_INDICES, b"\x07"),
    (keys.delayed_receipt(INDEX), b"\x07" + INDEX_BYTES),
    (keys.contract_data(ALICE, b"k,y"), b"\x09alice.near,k,y"),
    (keys.PROMISE_YIELD_INDICES, b"\x0a"),
    (keys.promise_yield_timeout(INDEX), b"\x0b" + INDEX_BYTES),
    (keys.promise_yield_receipt(ALICE, ID), b"\x0calice.near," + ID),
    (keys.BUFFERED_RECEIPT_INDICES, b"\x0d"),
    (keys.buffered_receipt(SHARD, INDEX), b"\x0e\x02\x01" + INDEX_BYTES),
    (keys.BANDWIDTH_SCHEDULER_STATE, b"\x0f"),
    (keys.buffered_receipt_groups_data(SHARD), b"\x10\x02\x01" + bytes(6)),
    (keys.buffered_receipt_group(SHARD, INDEX), b"\x11\x02\x01" + bytes(6) + INDEX_BYTES),
    (keys.global_contract_code(BY_HASH), b"\x12\x00" + ID),
    (keys.global_contract_code(BY_ACCOUNT), b"\x12\x01\x0a\x00\x00\x00alice.near"),
    (keys.global_contract_nonce(BY_HASH), b"\x13\x00" + ID),
    (keys.promise_yield_status(ALICE, ID), b"\x14alice.near," + ID),
    (keys.yield_id_to_data_id(ALICE, ID), b"\x16alice.near," + ID),
    (keys.data_id_to_yield_id(ALICE, ID), b"\x17alice.near," + ID),
]


@pytest.mark.parametrize(("made", "expected"), CASES, ids=lambda value: value[:12].hex())
def test_bytes_of_every_column(made: bytes, expected: bytes) -> None:
    """Columns 8 and 21 are in no trie; all others up to 23 are here."""
    assert made == expected


def test_every_column_is_covered() -> None:
    assert {made[0] for made, _ in CASES} == set(range(24)) - {8, 21}


def test_prefixes_hold_what_they_promise() -> None:
    """An account's keys, not those of one whose name begins alike."""
    longer = AccountId("alice.near0")
    assert keys.access_key(ALICE, ED25519).startswith(keys.access_key_prefix(ALICE))
    assert keys.gas_key_nonce(ALICE, ED25519, 1).startswith(keys.access_key_prefix(ALICE))
    assert not keys.access_key(longer, ED25519).startswith(keys.access_key_prefix(ALICE))
    assert keys.contract_data(ALICE, b"key").startswith(keys.contract_data_prefix(ALICE, b"ke"))
    assert not keys.contract_data(longer, b"key").startswith(keys.contract_data_prefix(ALICE))


@pytest.mark.parametrize("handle", [ED25519, SECP256K1, ML_DSA_65])
@pytest.mark.parametrize("index", [None, 0, 7, 0xFFFF])
def test_access_keys_and_nonces_parse_back(handle: KeyHandle, index: int | None) -> None:
    """A handle full of separators is no trouble."""
    raw = keys.access_key(ALICE, handle) if index is None else keys.gas_key_nonce(ALICE, handle, index)
    assert keys.parse_access_key(raw) == AccessKeyName(ALICE, handle, index)


@given(st.binary(max_size=40))
def test_contract_data_parses_back(key: bytes) -> None:
    assert keys.parse_contract_data(keys.contract_data(ALICE, key)) == AccountItem(ALICE, key)


def test_other_keys_parse_back() -> None:
    assert keys.parse_account(keys.account(ALICE)) == ALICE
    assert keys.parse_contract_code(keys.contract_code(ALICE)) == ALICE
    assert keys.parse_account_item(keys.received_data(ALICE, ID)) == AccountItem(ALICE, ID)
    assert keys.parse_global_contract(keys.global_contract_code(BY_ACCOUNT)) == BY_ACCOUNT
    assert keys.parse_global_contract(keys.global_contract_nonce(BY_HASH)) == BY_HASH
    assert keys.parse_index(keys.delayed_receipt(INDEX)) == INDEX


def test_owner_of_a_key() -> None:
    """Keys of the shard and of global contracts belong to no account."""
    for made, expected in CASES:
        owner = ALICE if b"alice.near" in expected and made[0] not in (18, 19) else None
        assert keys.get_account_id_optional(made) == owner


@given(st.binary(max_size=80))
def test_garbage_is_refused_by_name(raw: bytes) -> None:
    """Every parser gives a value or ``InvalidTrieKey``, nothing else."""
    parsers = [
        keys.parse_account,
        keys.parse_contract_code,
        keys.parse_access_key,
        keys.parse_contract_data,
        keys.parse_account_item,
        keys.parse_global_contract,
        keys.parse_index,
        keys.get_account_id_optional,
    ]
    for column in range(24):
        for parse in parsers:
            try:
                parse(bytes([column]) + raw)
            except InvalidTrieKey:
                continue


@pytest.mark.parametrize(
    "raw",
    [
        b"\x02alice.near\x02\x02" + bytes(32),
        b"\x02alice.near\x02\x00" + bytes(33),
        b"\x02alice.near\x02",
        b"\x02alice.near",
        b"\x00alice.near",
    ],
)
def test_bad_access_keys_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidTrieKey):
        keys.parse_access_key(raw)
