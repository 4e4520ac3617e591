"""Records: written and read back through the overlay, under the right key."""

from collections.abc import Callable

import msgspec
import pytest

from hither.primitives.account import AccessKey, Account, FullAccess, LocalContract, UninitialisedAccount
from hither.primitives.receipt import ActionReceipt, DataReceipt, Receipt
from hither.primitives.types import (
    AccountId,
    Balance,
    BlockHeight,
    CryptoHash,
    KeyHandle,
    Nonce,
    PublicKey,
)
from hither.state import ChunkState, Trie, keys, records
from hither.state.records import PromiseYieldStatus, PromiseYieldTimeout, QueueIndices, ReceivedData

ALICE = AccountId("alice.near")
HANDLE = KeyHandle(0, b"k" * 32)
ID, OTHER = CryptoHash(b"i" * 32), CryptoHash(b"o" * 32)
ACTION = ActionReceipt(ALICE, PublicKey(0, bytes(32)), Balance(5), (), (OTHER,), ())
RECEIPT = Receipt(ALICE, ALICE, ID, ACTION)
YIELD = Receipt(ALICE, ALICE, ID, msgspec.structs.replace(ACTION, is_promise_yield=True))
TIMEOUT = PromiseYieldTimeout(ALICE, ID, BlockHeight(9))

Action = Callable[[ChunkState], object]

CASES: list[tuple[Action, Action, bytes, object]] = [
    (
        lambda s: records.set_account(s, ALICE, Account(Balance(1), Balance(2), 3, LocalContract(ID))),
        lambda s: records.get_account_optional(s, ALICE),
        keys.account(ALICE),
        Account(Balance(1), Balance(2), 3, LocalContract(ID)),
    ),
    (
        lambda s: records.set_account(s, ALICE, UninitialisedAccount(Balance(1), 2, Nonce(3))),
        lambda s: records.get_account_record_optional(s, ALICE),
        keys.account(ALICE),
        UninitialisedAccount(Balance(1), 2, Nonce(3)),
    ),
    (
        lambda s: records.set_access_key(s, ALICE, HANDLE, AccessKey(Nonce(7), FullAccess())),
        lambda s: records.get_access_key_optional(s, ALICE, HANDLE),
        keys.access_key(ALICE, HANDLE),
        AccessKey(Nonce(7), FullAccess()),
    ),
    (
        lambda s: records.set_gas_key_nonce(s, ALICE, HANDLE, 3, Nonce(8)),
        lambda s: records.get_gas_key_nonce_optional(s, ALICE, HANDLE, 3),
        keys.gas_key_nonce(ALICE, HANDLE, 3),
        8,
    ),
    (
        lambda s: records.set_received_data(s, ALICE, ID, None),
        lambda s: records.get_received_data_optional(s, ALICE, ID),
        keys.received_data(ALICE, ID),
        ReceivedData(None),
    ),
    (
        lambda s: records.set_received_data(s, ALICE, ID, b""),
        lambda s: records.get_received_data_optional(s, ALICE, ID),
        keys.received_data(ALICE, ID),
        ReceivedData(b""),
    ),
    (
        lambda s: records.set_postponed_receipt_id(s, ALICE, ID, OTHER),
        lambda s: records.get_postponed_receipt_id_optional(s, ALICE, ID),
        keys.postponed_receipt_id(ALICE, ID),
        OTHER,
    ),
    (
        lambda s: records.set_pending_data_count(s, ALICE, ID, 300),
        lambda s: records.get_pending_data_count_optional(s, ALICE, ID),
        keys.pending_data_count(ALICE, ID),
        300,
    ),
    (
        lambda s: records.set_postponed_receipt(s, RECEIPT),
        lambda s: records.get_postponed_receipt_optional(s, ALICE, ID),
        keys.postponed_receipt(ALICE, ID),
        RECEIPT,
    ),
    (
        lambda s: records.set_promise_yield_receipt(s, YIELD),
        lambda s: records.get_promise_yield_receipt_optional(s, ALICE, OTHER),
        keys.promise_yield_receipt(ALICE, OTHER),
        YIELD,
    ),
    (
        lambda s: records.set_promise_yield_status(s, ALICE, ID, PromiseYieldStatus.RESUME_INITIATED),
        lambda s: records.get_promise_yield_status_optional(s, ALICE, ID),
        keys.promise_yield_status(ALICE, ID),
        PromiseYieldStatus.RESUME_INITIATED,
    ),
    (
        lambda s: records.set_promise_yield_indices(s, QueueIndices(3, 5)),
        records.get_promise_yield_indices,
        keys.PROMISE_YIELD_INDICES,
        QueueIndices(3, 5),
    ),
    (
        lambda s: records.set_promise_yield_timeout(s, 4, TIMEOUT),
        lambda s: records.get_promise_yield_timeout_optional(s, 4),
        keys.promise_yield_timeout(4),
        TIMEOUT,
    ),
]


@pytest.mark.parametrize(("write", "read", "key", "value"), CASES, ids=lambda case: str(case)[:40])
def test_written_records_read_back_from_overlay_and_trie(
    write: Action, read: Action, key: bytes, value: object
) -> None:
    """Absent before; exactly one key after."""
    state = ChunkState(Trie())
    assert read(state) in (None, QueueIndices())
    write(state)
    assert read(state) == value
    state.commit(b"")
    sealed = state.seal()
    assert [change[0] for change in sealed.changes] == [key]
    assert read(ChunkState(sealed.trie)) == value


def test_uninitialised_account_is_no_account() -> None:
    state = ChunkState(Trie())
    records.set_account(state, ALICE, UninitialisedAccount(Balance(1), 2, Nonce(3)))
    assert records.get_account_optional(state, ALICE) is None


def test_account_of_version_two_reads_back() -> None:
    state = ChunkState(Trie())
    account = Account(Balance(1), Balance(2), 3, None, version=2)
    records.set_account(state, ALICE, account)
    assert records.get_account_optional(state, ALICE) == account


def test_removed_keys_are_gone() -> None:
    state = ChunkState(Trie())
    records.set_access_key(state, ALICE, HANDLE, AccessKey(Nonce(7), FullAccess()))
    records.set_gas_key_nonce(state, ALICE, HANDLE, 0, Nonce(1))
    records.remove_access_key(state, ALICE, HANDLE)
    records.remove_gas_key_nonce(state, ALICE, HANDLE, 0)
    assert records.get_access_key_optional(state, ALICE, HANDLE) is None
    assert records.get_gas_key_nonce_optional(state, ALICE, HANDLE, 0) is None


def test_only_action_receipts_yield() -> None:
    with pytest.raises(AssertionError, match="only action receipts"):
        records.set_promise_yield_receipt(
            ChunkState(Trie()), Receipt(ALICE, ALICE, ID, DataReceipt(ID, None))
        )
