"""Solana's instructions that transfers are made of, and messages made of instructions. No I/O.

Layouts are those of the programs themselves: token programs, associated accounts, memo, compute budget, the system
program's durable nonces and lookup tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import ID as COMPUTE_BUDGET_PROGRAM
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, CompiledInstruction, Instruction
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.system_program import (
    AdvanceNonceAccountParams,
    advance_nonce_account,
    create_nonce_account_with_seed,
)

from hither.foreign.errors import InvalidInput
from hither.foreign.solana_tokens import ASSOCIATED_PROGRAM, TOKEN_PROGRAMS, derive_holding

MEMO_PROGRAM: Final = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
MEMO_SIZE_BYTES_MAX: Final = 566
"""What fits beside one signature."""
NONCE_SIZE_BYTES: Final = 80

_TRANSFER_CHECKED: Final = 12
_CREATE_IDEMPOTENT: Final = b"\x01"
_ADVANCE_NONCE: Final = (4).to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class TokenTransfer:
    """So many of a token's smallest units from one owner to another, whose account is made when it is not there."""

    program: Pubkey
    mint: Pubkey
    sender: Pubkey
    receiver: Pubkey
    amount: int
    decimals: int


@dataclass(frozen=True, slots=True)
class SolanaAccount:
    """An account that an instruction names. The one who signs and pays is the only possible signer."""

    address: str
    """In base58."""
    is_writable: bool = False
    """Whether the program may change it."""
    is_signer: bool = False
    """Whether the program wants its signature."""


@dataclass(frozen=True, slots=True)
class SolanaCall:
    """One instruction: a program, its accounts in the program's order, its data in the program's form."""

    program: str
    """Its address, in base58."""
    data: bytes
    """What the program reads."""
    accounts: Sequence[SolanaAccount] = ()
    """Every one that it touches."""


@dataclass(frozen=True, slots=True)
class DurableNonce:
    """A nonce account of the signer's and its present value, which stands where a blockhash would."""

    account: Pubkey
    value: Hash


@dataclass(frozen=True, slots=True)
class MessagePlan:
    """A message of one signer, who pays. With ``unit_limit`` and ``unit_price`` (millionths of a lamport) for priority.

    ``blockhash`` is the durable nonce's value when there is one. ``tables`` shorten v0 messages.
    """

    payer: Pubkey
    instructions: Sequence[Instruction]
    blockhash: Hash
    is_legacy: bool = False
    unit_limit: int | None = None
    unit_price: int | None = None
    memo: str = ""
    nonce: DurableNonce | None = None
    tables: Sequence[AddressLookupTableAccount] = ()


def build_message(plan: MessagePlan) -> bytes:
    """What is signed. Raises ``InvalidInput``."""
    instructions = list_instructions(plan)
    blockhash = plan.nonce.value if plan.nonce is not None else plan.blockhash
    if plan.is_legacy:
        if plan.tables:
            raise InvalidInput("legacy messages take no lookup tables")
        return to_bytes_versioned(Message.new_with_blockhash(instructions, plan.payer, blockhash))
    return to_bytes_versioned(MessageV0.try_compile(plan.payer, instructions, list(plan.tables), blockhash))


def list_instructions(plan: MessagePlan) -> list[Instruction]:
    """In the order that programs ask for: the nonce first, then the budget; the memo last."""
    listed = []
    if plan.nonce is not None:
        params = AdvanceNonceAccountParams(nonce_pubkey=plan.nonce.account, authorized_pubkey=plan.payer)
        listed.append(advance_nonce_account(params))
    if plan.unit_limit is not None:
        listed.append(set_compute_unit_limit(plan.unit_limit))
    if plan.unit_price is not None:
        listed.append(set_compute_unit_price(plan.unit_price))
    listed += plan.instructions
    if plan.memo:
        listed.append(make_memo(plan.payer, plan.memo))
    return listed


def make_memo(signer: Pubkey, text: str) -> Instruction:
    """Text beside a transfer, signed. Raises ``InvalidInput`` for more than a packet holds."""
    data = text.encode()
    if len(data) > MEMO_SIZE_BYTES_MAX:
        raise InvalidInput(f"a memo of {len(data)} bytes; {MEMO_SIZE_BYTES_MAX} fit into a transaction")
    return Instruction(MEMO_PROGRAM, data, [AccountMeta(signer, True, False)])


def make_token_transfer(transfer: TokenTransfer) -> list[Instruction]:
    """Make the receiver's account unless it is there, then move the tokens; the program checks mint and decimals."""
    source = derive_holding(transfer.sender, transfer.mint, transfer.program)
    target = derive_holding(transfer.receiver, transfer.mint, transfer.program)
    creation = Instruction(
        ASSOCIATED_PROGRAM,
        _CREATE_IDEMPOTENT,
        [
            AccountMeta(transfer.sender, True, True),
            AccountMeta(target, False, True),
            AccountMeta(transfer.receiver, False, False),
            AccountMeta(transfer.mint, False, False),
            AccountMeta(SYSTEM_PROGRAM, False, False),
            AccountMeta(transfer.program, False, False),
        ],
    )
    data = bytes((_TRANSFER_CHECKED,)) + transfer.amount.to_bytes(8, "little") + bytes((transfer.decimals,))
    move = Instruction(
        transfer.program,
        data,
        [
            AccountMeta(source, False, True),
            AccountMeta(transfer.mint, False, False),
            AccountMeta(target, False, True),
            AccountMeta(transfer.sender, True, False),
        ],
    )
    return [creation, move]


def derive_nonce_account(owner: Pubkey, seed: str) -> Pubkey:
    """The owner's nonce account of that name: an address that needs no key of its own."""
    return Pubkey.create_with_seed(owner, seed, SYSTEM_PROGRAM)


def make_nonce_account(owner: Pubkey, seed: str, lamports: int) -> list[Instruction]:
    """Create and initialise it, with what its rent takes."""
    account = derive_nonce_account(owner, seed)
    return list(create_nonce_account_with_seed(owner, account, owner, seed, owner, lamports))


# Reading


def is_nonce_advance(instruction: CompiledInstruction, keys: Sequence[Pubkey]) -> bool:
    """Whether it uses a durable nonce up."""
    return (
        keys[instruction.program_id_index] == SYSTEM_PROGRAM
        and bytes(instruction.data[:4]) == _ADVANCE_NONCE
        and len(instruction.accounts) == 3
    )


def find_nonce_account(message: Message | MessageV0) -> Pubkey | None:
    """Of a message that names a durable nonce in place of a blockhash; it stands first."""
    if not message.instructions or not is_nonce_advance(message.instructions[0], message.account_keys):
        return None
    return message.account_keys[message.instructions[0].accounts[0]]


def read_token_transfer(message: Message | MessageV0) -> TokenTransfer | None:
    """What a message does that only moves tokens, once, as ``make_token_transfer`` writes it; None for any other."""
    if isinstance(message, MessageV0) and message.address_table_lookups:
        return None
    keys = message.account_keys
    parts = [one for one in message.instructions if not is_beside(one, keys)]
    if len(parts) != 2 or keys[parts[0].program_id_index] != ASSOCIATED_PROGRAM:
        return None
    program = keys[parts[1].program_id_index]
    data, accounts = bytes(parts[1].data), bytes(parts[1].accounts)
    made = bytes(parts[0].accounts)
    if program not in TOKEN_PROGRAMS or len(data) != 10 or data[0] != _TRANSFER_CHECKED or len(accounts) != 4:
        return None
    if bytes(parts[0].data) != _CREATE_IDEMPOTENT or len(made) != 6:
        return None
    transfer = TokenTransfer(
        program=program,
        mint=keys[accounts[1]],
        sender=keys[accounts[3]],
        receiver=keys[made[2]],
        amount=int.from_bytes(data[1:9], "little"),
        decimals=data[9],
    )
    # Every account must be where our own writing puts it: an address may not hide behind another's name.
    written = make_token_transfer(transfer)
    found = [[keys[index] for index in bytes(part.accounts)] for part in parts]
    if found != [[meta.pubkey for meta in one.accounts] for one in written]:
        return None
    return transfer


def is_beside(instruction: CompiledInstruction, keys: Sequence[Pubkey]) -> bool:
    """Whether it moves nothing: budget, memo, or the use of a nonce."""
    program = keys[instruction.program_id_index]
    return program in (COMPUTE_BUDGET_PROGRAM, MEMO_PROGRAM) or is_nonce_advance(instruction, keys)


def read_memo(message: Message | MessageV0) -> str:
    """All memos of a message, in order; empty without any."""
    keys = message.account_keys
    memos = [bytes(one.data) for one in message.instructions if keys[one.program_id_index] == MEMO_PROGRAM]
    return " ".join(memo.decode(errors="replace") for memo in memos)
