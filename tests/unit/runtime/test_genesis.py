"""The state before the first block."""

import hashlib

import pytest

from hither.params import get_runtime_config
from hither.primitives.account import AccessKey, Account, FullAccess, LocalContract, decode_account
from hither.primitives.sharding import ShardLayout
from hither.primitives.state_record import (
    AccessKeyRecord,
    AccountRecord,
    ContractRecord,
    DataRecord,
    InvalidStateRecord,
    StateRecord,
)
from hither.primitives.types import AccountId, Balance, CryptoHash, KeyHandle, Nonce, ShardId
from hither.runtime.genesis import make_genesis_state
from hither.state import Trie, keys

CONFIG = get_runtime_config(88)
ALICE, BOB = AccountId("alice.near"), AccountId("bob.near")
CODE = b"\0asm\1\0\0\0"
CODE_HASH = CryptoHash(hashlib.sha256(CODE).digest())
ONE_SHARD = ShardLayout((), (ShardId(0),))
TWO_SHARDS = ShardLayout((BOB,), (ShardId(4), ShardId(2)))


def make_account(account_id: AccountId, contract: LocalContract | None = None) -> AccountRecord:
    return AccountRecord(account_id, Account(Balance(10**24), Balance(0), 999, contract))


def must_get_account(trie: Trie, account_id: AccountId) -> Account:
    raw = trie.get(keys.account(account_id))
    assert raw is not None
    return decode_account(raw)


def test_storage_usage_is_computed_and_stake_is_locked() -> None:
    """100 for the account, 40 and its bytes for each record, the code's bytes alone."""
    records: list[StateRecord] = [
        make_account(ALICE, LocalContract(CODE_HASH)),
        AccessKeyRecord(ALICE, KeyHandle(0, bytes(32)), AccessKey(Nonce(0), FullAccess())),
        DataRecord(ALICE, b"key", b"value"),
        ContractRecord(ALICE, CODE),
    ]
    trie = make_genesis_state(CONFIG, ONE_SHARD, records, [(ALICE, Balance(7))])[ShardId(0)]
    account = must_get_account(trie, ALICE)
    assert account.storage_usage == 100 + (40 + 33 + 9) + (40 + 8) + 8
    assert account.locked == 7
    assert trie.get(keys.contract_data(ALICE, b"key")) == b"value"


def test_records_go_to_the_shard_of_their_account() -> None:
    tries = make_genesis_state(CONFIG, TWO_SHARDS, [make_account(ALICE), make_account(BOB)], [])
    assert list(tries) == [4, 2]
    assert must_get_account(tries[ShardId(4)], ALICE)
    assert tries[ShardId(4)].get(keys.account(BOB)) is None
    assert must_get_account(tries[ShardId(2)], BOB)


@pytest.mark.parametrize(
    "records",
    [
        [DataRecord(ALICE, b"key", b"value")],
        [make_account(ALICE), ContractRecord(ALICE, CODE)],
        [ContractRecord(ALICE, CODE)],
    ],
)
def test_records_without_their_account_are_refused(records: list[StateRecord]) -> None:
    with pytest.raises(InvalidStateRecord):
        make_genesis_state(CONFIG, ONE_SHARD, records, [])


def test_a_validator_without_an_account_is_refused() -> None:
    with pytest.raises(InvalidStateRecord, match=r"bob\.near"):
        make_genesis_state(CONFIG, ONE_SHARD, [make_account(ALICE)], [(BOB, Balance(1))])
