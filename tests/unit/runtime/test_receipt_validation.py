"""Which receipts are well formed, each rule with its accepted twin and NEAR's words for the refused one."""

import msgspec
import pytest

from hither.params import get_runtime_config
from hither.primitives.action import Transfer, UniversalStateInit
from hither.primitives.ids import compute_universal_account_id
from hither.primitives.receipt import ActionReceipt, DataReceipt, Receipt, ReceiptBody
from hither.primitives.types import AccountId, Balance, CryptoHash
from hither.primitives.universal_state_init import UniversalState, encode_universal_state
from hither.runtime.action_validation import validate_actions
from hither.runtime.receipt_validation import validate_receipt
from tests.unit.runtime.world import make_key

CONFIG = get_runtime_config(88)
LIMITS = CONFIG.wasm.limits
ALICE, BOB = AccountId("alice.near"), AccountId("bob.near")
BAD = AccountId("Not An Account")
HASH = CryptoHash(bytes(32))
BODY = ActionReceipt(ALICE, make_key("alice.near"), Balance(1), (), (), (Transfer(Balance(1)),))


def make_receipt(body: ReceiptBody = BODY, sender: AccountId = ALICE, receiver: AccountId = BOB) -> Receipt:
    """A receipt from alice to bob unless told otherwise."""
    return Receipt(sender, receiver, HASH, body)


def make_data(size: int) -> DataReceipt:
    """A result of that size."""
    return DataReceipt(HASH, bytes(size))


def make_waiting(count: int) -> ActionReceipt:
    """Actions that wait for so many results."""
    return msgspec.structs.replace(BODY, input_data_ids=(HASH,) * count)


def make_refunding(account_id: AccountId) -> ActionReceipt:
    """Actions whose refunds go elsewhere."""
    return msgspec.structs.replace(BODY, refund_to=account_id, version=2)


@pytest.mark.parametrize(
    ("good", "bad", "error"),
    [
        (make_receipt(), make_receipt(sender=BAD), {"InvalidPredecessorId": {"account_id": BAD}}),
        (make_receipt(), make_receipt(receiver=BAD), {"InvalidReceiverId": {"account_id": BAD}}),
        (
            make_receipt(make_data(LIMITS.max_length_returned_data - 1024)),
            make_receipt(make_data(LIMITS.max_length_returned_data + 1)),
            {
                "ReturnedValueLengthExceeded": {
                    "length": LIMITS.max_length_returned_data + 1,
                    "limit": LIMITS.max_length_returned_data,
                }
            },
        ),
        (
            make_receipt(make_waiting(LIMITS.max_number_input_data_dependencies)),
            make_receipt(make_waiting(LIMITS.max_number_input_data_dependencies + 1)),
            {
                "NumberInputDataDependenciesExceeded": {
                    "number_of_input_data_dependencies": LIMITS.max_number_input_data_dependencies + 1,
                    "limit": LIMITS.max_number_input_data_dependencies,
                }
            },
        ),
        (
            make_receipt(make_refunding(ALICE)),
            make_receipt(make_refunding(BAD)),
            {"InvalidRefundTo": {"account_id": BAD}},
        ),
    ],
)
def test_rule_refuses_what_breaks_it(good: Receipt, bad: Receipt, error: dict[str, object]) -> None:
    """The twin that keeps to it is taken."""
    assert validate_receipt(CONFIG, good, 88, is_new=True) is None
    # A result over its own limit makes a new receipt too large before anything else.
    is_new = "ReturnedValueLengthExceeded" not in error
    assert validate_receipt(CONFIG, bad, 88, is_new=is_new) == error


def test_receipt_may_not_be_larger_than_the_limit_while_it_is_new() -> None:
    """One that is under way already may have grown past it."""
    body = make_data(LIMITS.max_receipt_size)
    big = make_receipt(body)
    found = validate_receipt(CONFIG, big, 88, is_new=True)
    assert isinstance(found, dict)
    assert found["ReceiptSizeExceeded"]["limit"] == LIMITS.max_receipt_size
    later = validate_receipt(CONFIG, big, 88, is_new=False)
    assert later is None or "ReceiptSizeExceeded" not in later


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        (bytes(2048), b"", None),
        (bytes(2049), b"", {"UniversalStateInitKeyLengthExceeded": {"length": 2049, "limit": 2048}}),
        (
            b"k",
            bytes(LIMITS.max_length_storage_value + 1),
            {
                "UniversalStateInitValueLengthExceeded": {
                    "length": LIMITS.max_length_storage_value + 1,
                    "limit": LIMITS.max_length_storage_value,
                }
            },
        ),
    ],
)
def test_entries_of_a_universal_account_are_limited(key: bytes, value: bytes, error: object) -> None:
    """One by one, as those of a deterministic account."""
    state_init = encode_universal_state(UniversalState(None, ((key, value),), ()))
    action = UniversalStateInit(state_init, Balance(0))
    receiver = compute_universal_account_id(state_init)
    assert validate_actions(CONFIG, (action,), receiver, 88, is_new=True) == error
