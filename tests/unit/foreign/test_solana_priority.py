"""Another price in a message that is written already: the libraries' bytes for the same wishes."""

from dataclasses import replace

import pytest
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.pubkey import Pubkey

from hither.foreign.errors import InvalidAmount
from hither.foreign.solana_instructions import DurableNonce, MessagePlan, build_message
from hither.foreign.solana_messages import compute_fee_max, decode_message, make_payment
from hither.foreign.solana_priority import UNIT_PRICE_MAX, read_unit_price, write_unit_price
from tests.unit.foreign.test_solana import ALICE_KEY, BLOCKHASH, BOB_KEY

ALICE, BOB, NONCE, TABLE = (Pubkey(one) for one in (ALICE_KEY, BOB_KEY, b"\x06" * 32, b"\x08" * 32))
PLAIN = MessagePlan(ALICE, [make_payment(ALICE, BOB, 7)], Hash(BLOCKHASH))
PLANS = {
    "plain": PLAIN,
    "with a limit": replace(PLAIN, unit_limit=5_000),
    "with a memo": replace(PLAIN, memo="thanks"),
    "with a nonce": replace(PLAIN, nonce=DurableNonce(NONCE, Hash(b"\x07" * 32)), unit_limit=5_000),
    "with a table": replace(PLAIN, tables=[AddressLookupTableAccount(TABLE, [BOB])]),
}


def list_deeds(body: bytes) -> list[tuple[str, bytes, list[str]]]:
    """Program, data and accounts of each instruction; what a table loads is told by its place."""
    message = decode_message(body)
    keys = [*map(str, message.account_keys), "first of the table"]
    return [
        (keys[one.program_id_index], bytes(one.data), [keys[index] for index in bytes(one.accounts)])
        for one in message.instructions
    ]


def count_rights(body: bytes) -> tuple[set[str], set[str]]:
    """Keys that may be written, and keys that may not."""
    message = decode_message(body)
    keys, header = [*map(str, message.account_keys)], message.header
    end = len(keys) - header.num_readonly_unsigned_accounts
    assert (header.num_required_signatures, header.num_readonly_signed_accounts) == (1, 0)
    return set(keys[:end]), set(keys[end:])


@pytest.mark.parametrize(
    ("name", "is_legacy"),
    [(name, form) for name in PLANS for form in (False, True) if not (form and PLANS[name].tables)],
)
def test_a_message_at_another_price_does_what_one_written_so_does(name: str, is_legacy: bool) -> None:
    """Added where none was, changed where one was."""
    plan = replace(PLANS[name], is_legacy=is_legacy)
    dearer = write_unit_price(decode_message(build_message(plan)), 9)
    written = build_message(replace(plan, unit_price=9))
    # The limit comes first where a builder writes both; the order of the two says nothing.
    assert sorted(list_deeds(dearer)) == sorted(list_deeds(written))
    message = decode_message(dearer)
    assert read_unit_price(message) == 9
    assert compute_fee_max(message) == compute_fee_max(decode_message(written))
    assert count_rights(dearer) == count_rights(written)
    again = write_unit_price(message, 10)
    assert len(again) == len(dearer)
    assert read_unit_price(decode_message(again)) == 10
    assert write_unit_price(decode_message(again), 9) == dearer


@pytest.mark.parametrize("price", [-1, UNIT_PRICE_MAX + 1])
def test_what_is_no_price_is_refused(price: int) -> None:
    """Eight bytes hold it."""
    with pytest.raises(InvalidAmount):
        write_unit_price(decode_message(build_message(PLAIN)), price)
