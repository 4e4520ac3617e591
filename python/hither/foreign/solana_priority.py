"""The price of compute units in a Solana message that is written already. No I/O."""

from collections.abc import Sequence
from typing import Final

from solders.compute_budget import ID as COMPUTE_BUDGET_PROGRAM
from solders.compute_budget import set_compute_unit_price
from solders.instruction import CompiledInstruction
from solders.message import Message, MessageHeader, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey

from hither.foreign.errors import InvalidAmount
from hither.foreign.solana_instructions import find_nonce_account

UNIT_PRICE_MAX: Final = 2**64 - 1
_SET_UNIT_PRICE: Final = b"\3"


def read_unit_price(message: Message | MessageV0) -> int:
    """In millionths of a lamport; 0 where none is named."""
    place = _find_price(message)
    return 0 if place is None else int.from_bytes(bytes(message.instructions[place].data)[1:9], "little")


def write_unit_price(message: Message | MessageV0, unit_price: int) -> bytes:
    """The same message at this price, all else and its order as before. Raises ``InvalidAmount``."""
    if not 0 <= unit_price <= UNIT_PRICE_MAX:
        raise InvalidAmount(f"{unit_price} is no price of a compute unit")
    data = bytes(set_compute_unit_price(unit_price).data)
    place = _find_price(message)
    listed = list(message.instructions)
    if place is not None:
        listed[place] = CompiledInstruction(listed[place].program_id_index, data, listed[place].accounts)
        return _write(message, message.header, list(message.account_keys), listed)
    keys = list(message.account_keys)
    if COMPUTE_BUDGET_PROGRAM not in keys:
        # Behind the static keys, where those stand that are only read; what tables load moves up by one.
        listed = [_move_up(one, len(keys)) for one in listed]
        keys.append(COMPUTE_BUDGET_PROGRAM)
    budget = CompiledInstruction(keys.index(COMPUTE_BUDGET_PROGRAM), data, b"")
    # The use of a durable nonce comes first, or it is none.
    listed.insert(0 if find_nonce_account(message) is None else 1, budget)
    header = message.header
    added = len(keys) - len(message.account_keys)
    return _write(
        message,
        MessageHeader(
            header.num_required_signatures,
            header.num_readonly_signed_accounts,
            header.num_readonly_unsigned_accounts + added,
        ),
        keys,
        listed,
    )


def _find_price(message: Message | MessageV0) -> int | None:
    for place, one in enumerate(message.instructions):
        if (
            message.account_keys[one.program_id_index] == COMPUTE_BUDGET_PROGRAM
            and bytes(one.data)[:1] == _SET_UNIT_PRICE
        ):
            return place
    return None


def _move_up(instruction: CompiledInstruction, count: int) -> CompiledInstruction:
    accounts = bytes(index + (index >= count) for index in bytes(instruction.accounts))
    return CompiledInstruction(instruction.program_id_index, bytes(instruction.data), accounts)


def _write(
    message: Message | MessageV0,
    header: MessageHeader,
    keys: Sequence[Pubkey],
    instructions: Sequence[CompiledInstruction],
) -> bytes:
    blockhash = message.recent_blockhash
    if isinstance(message, Message):
        return to_bytes_versioned(
            Message.new_with_compiled_instructions(
                header.num_required_signatures,
                header.num_readonly_signed_accounts,
                header.num_readonly_unsigned_accounts,
                keys,
                blockhash,
                instructions,
            )
        )
    return to_bytes_versioned(MessageV0(header, keys, blockhash, instructions, message.address_table_lookups))
