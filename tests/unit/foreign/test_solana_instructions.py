"""Messages as solana-py and solders write them: tokens of both programs, memo, priority, nonces, lookup tables."""

from dataclasses import replace

import pytest
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import Instruction
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import AdvanceNonceAccountParams, advance_nonce_account
from spl.memo.constants import MEMO_PROGRAM_ID
from spl.memo.instructions import create_memo
from spl.memo.models import MemoParams
from spl.token import instructions as token
from spl.token.constants import TOKEN_2022_PROGRAM_ID, TOKEN_PROGRAM_ID
from spl.token.models import TransferCheckedParams

from hither.foreign.errors import InvalidInput
from hither.foreign.solana import Wishes
from hither.foreign.solana_instructions import (
    DurableNonce,
    MessagePlan,
    TokenTransfer,
    build_message,
    derive_nonce_account,
    find_nonce_account,
    make_memo,
    make_token_transfer,
    read_memo,
    read_token_transfer,
)
from hither.foreign.solana_messages import decode_message, make_payment
from hither.foreign.solana_tokens import derive_holding
from tests.unit.foreign.test_solana import ALICE_KEY, BLOCKHASH, BOB_KEY, make_adapter, make_unsigned

ALICE, BOB, MINT, NONCE = (Pubkey(one) for one in (ALICE_KEY, BOB_KEY, b"\5" * 32, b"\6" * 32))
HASH, NONCE_VALUE = Hash(BLOCKHASH), Hash(b"\7" * 32)
PROGRAMS = {"spl": TOKEN_PROGRAM_ID, "2022": TOKEN_2022_PROGRAM_ID}


def make_transfer(program: Pubkey) -> TokenTransfer:
    """Of 1.5 with six decimals."""
    return TokenTransfer(program, MINT, ALICE, BOB, 1_500_000, 6)


def list_theirs(program: Pubkey) -> list[Instruction]:
    """The same by solana-py."""
    source, target = (token.get_associated_token_address(one, MINT, program) for one in (ALICE, BOB))
    params = TransferCheckedParams(
        program_id=program, source=source, mint=MINT, dest=target, owner=ALICE, amount=1_500_000, decimals=6
    )
    return [
        token.create_idempotent_associated_token_account(ALICE, BOB, MINT, program),
        token.transfer_checked(params),
    ]


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_token_transfers_are_those_of_solana_py(program: Pubkey) -> None:
    """Instruction by instruction; the associated accounts too."""
    assert make_token_transfer(make_transfer(program)) == list_theirs(program)
    assert derive_holding(BOB, MINT, program) == token.get_associated_token_address(BOB, MINT, program)


CASES = {
    "payment": MessagePlan(ALICE, [make_payment(ALICE, BOB, 7)], HASH),
    "memo": MessagePlan(ALICE, [make_payment(ALICE, BOB, 7)], HASH, memo="for the coffee ☕"),
    "priority": MessagePlan(ALICE, [make_payment(ALICE, BOB, 7)], HASH, unit_limit=450, unit_price=2_000),
    "nonce": MessagePlan(ALICE, [make_payment(ALICE, BOB, 7)], HASH, nonce=DurableNonce(NONCE, NONCE_VALUE)),
    "everything": MessagePlan(
        ALICE,
        make_token_transfer(make_transfer(TOKEN_2022_PROGRAM_ID)),
        HASH,
        unit_limit=60_000,
        unit_price=5,
        memo="rent",
        nonce=DurableNonce(NONCE, NONCE_VALUE),
    ),
}


@pytest.mark.parametrize("is_legacy", [True, False], ids=["legacy", "v0"])
@pytest.mark.parametrize("case", CASES)
def test_messages_are_those_of_the_libraries(case: str, is_legacy: bool) -> None:
    """In the order that the programs ask for, compiled by solders from instructions of solana-py."""
    plan = replace(CASES[case], is_legacy=is_legacy)
    theirs = list_theirs(TOKEN_2022_PROGRAM_ID) if case == "everything" else list(plan.instructions)
    if plan.unit_limit is not None and plan.unit_price is not None:
        theirs = [set_compute_unit_limit(plan.unit_limit), set_compute_unit_price(plan.unit_price), *theirs]
    if plan.nonce is not None:
        params = AdvanceNonceAccountParams(nonce_pubkey=NONCE, authorized_pubkey=ALICE)
        theirs = [advance_nonce_account(params), *theirs]
    if plan.memo:
        theirs.append(
            create_memo(MemoParams(program_id=MEMO_PROGRAM_ID, signer=ALICE, message=plan.memo.encode()))
        )
    blockhash = NONCE_VALUE if plan.nonce is not None else HASH
    if is_legacy:
        expected = to_bytes_versioned(Message.new_with_blockhash(theirs, ALICE, blockhash))
    else:
        expected = to_bytes_versioned(MessageV0.try_compile(ALICE, theirs, [], blockhash))
    assert build_message(plan) == expected
    message = decode_message(expected)
    assert read_memo(message) == plan.memo
    assert find_nonce_account(message) == (NONCE if plan.nonce is not None else None)


def test_lookup_tables_shorten_v0_messages_alone() -> None:
    """A key that a table holds is named by its place there."""
    table = AddressLookupTableAccount(MINT, [BOB])
    plan = MessagePlan(ALICE, [make_payment(ALICE, BOB, 7)], HASH, tables=[table])
    message = decode_message(build_message(plan))
    assert isinstance(message, MessageV0)
    assert BOB not in message.account_keys
    assert message.address_table_lookups[0].account_key == MINT
    with pytest.raises(InvalidInput, match="no lookup tables"):
        build_message(replace(plan, is_legacy=True))


def test_a_memo_has_room_in_a_packet_or_is_refused() -> None:
    """Bytes count, not letters."""
    make_memo(ALICE, "a" * 566)
    with pytest.raises(InvalidInput):
        make_memo(ALICE, "é" * 284)


def test_a_nonce_account_needs_no_key_of_its_own() -> None:
    """It follows from owner and name."""
    assert derive_nonce_account(ALICE, "first") == Pubkey.create_with_seed(ALICE, "first", Pubkey.default())
    assert derive_nonce_account(ALICE, "first") != derive_nonce_account(ALICE, "second")


def test_a_token_transfer_is_described_from_its_bytes() -> None:
    """The owner, not the account, is named; the memo stands beside."""
    adapter = make_adapter()
    plan = MessagePlan(ALICE, make_token_transfer(make_transfer(TOKEN_PROGRAM_ID)), HASH, memo="thanks")
    unsigned = make_unsigned(build_message(plan))
    assert adapter.describe(unsigned) == (
        f"Send 1.5 of the token {MINT} from {ALICE} to {BOB} on Solana, for a fee of at most 0.000005 SOL, "
        'and rent if the receiver has no account for it. The memo "thanks" goes with it.'
    )


def test_an_address_does_not_hide_behind_anothers_name() -> None:
    """Tokens go to one account while another owner's is made: this is no transfer that may be described as one."""
    good = make_token_transfer(make_transfer(TOKEN_PROGRAM_ID))
    other = make_token_transfer(replace(make_transfer(TOKEN_PROGRAM_ID), receiver=NONCE))
    for parts in ([good[0], other[1]], [good[1]], [*good, good[1]]):
        message = decode_message(build_message(MessagePlan(ALICE, parts, HASH)))
        assert read_token_transfer(message) is None
        assert (
            make_adapter()
            .describe(make_unsigned(build_message(MessagePlan(ALICE, parts, HASH))))
            .startswith("Run")
        )
    assert read_token_transfer(
        decode_message(build_message(MessagePlan(ALICE, good, HASH)))
    ) == make_transfer(TOKEN_PROGRAM_ID)


def test_wishes_begin_without_any() -> None:
    """A plain transfer costs nothing more."""
    assert Wishes() == Wishes("", False, None, None, None, ())
