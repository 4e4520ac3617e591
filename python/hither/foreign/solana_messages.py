"""Solana's messages as bytes: read, signed, and what one that only moves lamports does and costs. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from solders.compute_budget import ID as COMPUTE_BUDGET_PROGRAM
from solders.hash import Hash
from solders.instruction import CompiledInstruction, Instruction
from solders.message import Message, MessageV0, from_bytes_versioned, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature as SoldersSignature
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.system_program import TransferParams, transfer
from solders.transaction import SanitizeError, VersionedTransaction

from hither.foreign.adapter import EDDSA_MESSAGE_SIZE_MAX, Transfer
from hither.foreign.errors import MalformedTransaction, WrongSignature
from hither.foreign.solana_instructions import MessagePlan, build_message, is_beside

LAMPORTS_PER_SIGNATURE: Final = 5000
COMPUTE_UNITS_PER_INSTRUCTION: Final = 200_000
COMPUTE_UNITS_MAX: Final = 1_400_000
_TRANSFER_TAG: Final = (2).to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """A transfer of lamports; ``is_legacy`` writes the message form that came before v0."""

    sender: Pubkey
    receiver: Pubkey
    lamports: int
    blockhash: Hash
    is_legacy: bool = False


def build_transfer_message(plan: TransferPlan) -> bytes:
    """What is signed."""
    payment = make_payment(plan.sender, plan.receiver, plan.lamports)
    return build_message(MessagePlan(plan.sender, [payment], plan.blockhash, plan.is_legacy))


def make_payment(sender: Pubkey, receiver: Pubkey, lamports: int) -> Instruction:
    """Of lamports."""
    return transfer(TransferParams(from_pubkey=sender, to_pubkey=receiver, lamports=lamports))


def decode_message(body: bytes) -> Message | MessageV0:
    """Legacy or v0, of exactly these bytes. Raises ``MalformedTransaction``."""
    if len(body) > EDDSA_MESSAGE_SIZE_MAX:
        raise MalformedTransaction(f"a message of {len(body)} bytes fits into no Solana packet")
    try:
        message = from_bytes_versioned(body)
        signatures = [SoldersSignature.default()] * message.header.num_required_signatures
        VersionedTransaction.populate(message, signatures).sanitize()
    except (ValueError, SanitizeError) as error:
        raise MalformedTransaction(f"not a Solana message: {error}") from None
    if not isinstance(message, Message | MessageV0) or to_bytes_versioned(message) != body:
        raise MalformedTransaction("not the bytes of a legacy or v0 message")
    return message


def attach_signatures(body: bytes, signatures: Sequence[bytes]) -> bytes:
    """The transaction as it is sent. Raises ``WrongSignature`` unless each is its signer's, over these bytes."""
    message = decode_message(body)
    wanted = message.header.num_required_signatures
    if len(signatures) != wanted:
        raise WrongSignature(f"{wanted} signatures are needed, {len(signatures)} were given")
    transaction = VersionedTransaction.populate(message, [SoldersSignature(item) for item in signatures])
    for key, is_good in zip(message.account_keys, transaction.verify_with_results(), strict=False):
        if not is_good:
            raise WrongSignature(f"the signature is not {key}'s, or for other bytes")
    return bytes(transaction)


def compute_fee_max(message: Message | MessageV0) -> int:
    """In lamports: the base fee, and the priority fee for all compute units that the message may use."""
    unit_limit: int | None = None
    unit_price = 0
    others = 0
    for instruction in message.instructions:
        data = bytes(instruction.data)
        if message.account_keys[instruction.program_id_index] != COMPUTE_BUDGET_PROGRAM:
            others += 1
        elif data[:1] == b"\2":
            unit_limit = int.from_bytes(data[1:5], "little")
        elif data[:1] == b"\3":
            unit_price = int.from_bytes(data[1:9], "little")
    if unit_limit is None:
        unit_limit = others * COMPUTE_UNITS_PER_INSTRUCTION
    priority = -(-min(unit_limit, COMPUTE_UNITS_MAX) * unit_price // 1_000_000)
    return LAMPORTS_PER_SIGNATURE * message.header.num_required_signatures + priority


def read_transfer(message: Message | MessageV0) -> Transfer | None:
    """What a message does that only moves lamports, once; None for any other."""
    keys = message.account_keys
    if isinstance(message, MessageV0) and message.address_table_lookups:
        return None
    payments = [one for one in message.instructions if not is_beside(one, keys)]
    if len(payments) != 1 or not _is_payment(payments[0], keys):
        return None
    accounts, data = bytes(payments[0].accounts), bytes(payments[0].data)
    return Transfer(
        sender=str(keys[accounts[0]]),
        receiver=str(keys[accounts[1]]),
        amount=int.from_bytes(data[4:], "little"),
        fee_max=compute_fee_max(message),
    )


def _is_payment(instruction: CompiledInstruction, keys: Sequence[Pubkey]) -> bool:
    data = bytes(instruction.data)
    return (
        keys[instruction.program_id_index] == SYSTEM_PROGRAM
        and len(data) == 12
        and data[:4] == _TRANSFER_TAG
        and len(instruction.accounts) == 2
    )


def count_bytes_before_blockhash(message: Message | MessageV0) -> int:
    """Version and header, the count of keys (below 128: a packet holds fewer), the keys."""
    return (4 if isinstance(message, MessageV0) else 3) + 1 + 32 * len(message.account_keys)
