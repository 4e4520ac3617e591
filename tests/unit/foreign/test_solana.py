"""Solana messages against bytes written out by the format's description, and what must be refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import Instruction
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from hither.foreign.adapter import EddsaSignature, Payload, Scheme, UnsignedTransaction
from hither.foreign.caip import parse_chain_id
from hither.foreign.errors import (
    InvalidAddress,
    InvalidChainId,
    InvalidPublicKey,
    MalformedTransaction,
    WrongNetwork,
    WrongSignature,
)
from hither.foreign.solana import SolanaAdapter
from hither.foreign.solana_messages import (
    TransferPlan,
    attach_signatures,
    build_transfer_message,
    compute_fee_max,
    decode_message,
)
from hither.foreign.transport import JsonRpc
from tests.unit.foreign.signing_network import SigningNetwork

MAINNET = parse_chain_id("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp")
ALICE, BOB = SigningNetwork("alice"), SigningNetwork("bob")
ALICE_KEY, BOB_KEY = (person.get_public_key(Scheme.EDDSA) for person in (ALICE, BOB))
BLOCKHASH = bytes(range(32))
PLAN = TransferPlan(Pubkey(ALICE_KEY), Pubkey(BOB_KEY), 1_500_000_000, Hash(BLOCKHASH))
BODY = build_transfer_message(PLAN)


def make_adapter() -> SolanaAdapter:
    return SolanaAdapter(MAINNET, JsonRpc("http://127.0.0.1:1"))


def make_unsigned(body: bytes = BODY) -> UnsignedTransaction:
    return UnsignedTransaction(MAINNET, ALICE_KEY, body)


def write_out(*, is_legacy: bool) -> bytes:
    """The transfer, byte by byte: counts, keys, blockhash, one instruction of the system program."""
    header = bytes((1, 0, 1))  # One signer, who may write; the program at the end is only read.
    keys = bytes((3,)) + ALICE_KEY + BOB_KEY + bytes(32)
    data = (2).to_bytes(4, "little") + (1_500_000_000).to_bytes(8, "little")
    instruction = bytes((1, 2, 2, 0, 1, len(data))) + data
    body = header + keys + BLOCKHASH + instruction
    return body if is_legacy else b"\x80" + body + b"\0"  # No lookup tables.


@pytest.mark.parametrize("is_legacy", [True, False])
def test_a_transfer_is_written_by_the_format(is_legacy: bool) -> None:
    """And the signed transaction is the signatures, then the message."""
    body = build_transfer_message(replace(PLAN, is_legacy=is_legacy))
    assert body == write_out(is_legacy=is_legacy)
    signature = ALICE.eddsa.sign(body)
    assert attach_signatures(body, [signature]) == b"\1" + signature + body


def test_the_whole_message_is_what_is_signed() -> None:
    """Solana hashes nothing first."""
    assert make_adapter().list_payloads(make_unsigned()) == (Payload(Scheme.EDDSA, 1, BODY),)


def test_a_signature_for_other_bytes_or_of_another_key_is_refused() -> None:
    """Before anything is sent."""
    adapter = make_adapter()
    good = EddsaSignature(ALICE.eddsa.sign(BODY))
    other = EddsaSignature(ALICE.eddsa.sign(build_transfer_message(replace(PLAN, lamports=1))))
    for wrong in (other, EddsaSignature(BOB.eddsa.sign(BODY)), EddsaSignature(bytes(64))):
        with pytest.raises(WrongSignature, match="or for other bytes"):
            adapter.attach(make_unsigned(), [wrong])
    ecdsa = ALICE.sign(Payload(Scheme.ECDSA, 0, bytes(range(32))))
    for signatures in ([], [good, good], [EddsaSignature(good.signature[1:])], [ecdsa]):
        with pytest.raises(WrongSignature):
            adapter.attach(make_unsigned(), signatures)
    assert adapter.attach(make_unsigned(), [good]).raw == b"\1" + good.signature + BODY


def test_a_message_of_another_signer_is_refused() -> None:
    """Bob cannot be made to sign as alice, nor alice beside somebody else."""
    adapter = make_adapter()
    with pytest.raises(MalformedTransaction, match="one signer"):
        adapter.list_payloads(replace(make_unsigned(), public_key=BOB_KEY))
    payment = transfer(TransferParams(from_pubkey=PLAN.receiver, to_pubkey=PLAN.sender, lamports=1))
    joint = to_bytes_versioned(MessageV0.try_compile(PLAN.sender, [payment], [], PLAN.blockhash))
    with pytest.raises(MalformedTransaction, match="one signer"):
        adapter.list_payloads(make_unsigned(joint))
    with pytest.raises(WrongNetwork):
        adapter.list_payloads(replace(make_unsigned(), chain=parse_chain_id("solana:devnet")))
    with pytest.raises(InvalidChainId):
        SolanaAdapter(parse_chain_id("eip155:1"), JsonRpc("http://127.0.0.1:1"))


def test_a_transfer_is_described_from_its_bytes() -> None:
    """A priority fee is part of what it may cost: all its compute units at the price."""
    adapter = make_adapter()
    alice, bob = adapter.derive_address(ALICE_KEY), adapter.derive_address(BOB_KEY)
    assert adapter.describe(make_unsigned()) == (
        f"Send 1.5 SOL from {alice} to {bob} on Solana, for a fee of at most 0.000005 SOL."
    )
    payment = transfer(TransferParams(from_pubkey=PLAN.sender, to_pubkey=PLAN.receiver, lamports=7))
    urgent = [set_compute_unit_limit(1000), set_compute_unit_price(1_000_001), payment]
    message = MessageV0.try_compile(PLAN.sender, urgent, [], PLAN.blockhash)
    assert compute_fee_max(message) == 5000 + 1001
    found = adapter.inspect(make_unsigned(to_bytes_versioned(message)))
    assert (found.amount, found.fee_max) == (7, 6001)


def test_more_than_a_transfer_is_not_described_as_one() -> None:
    """Two payments, or another program."""
    adapter = make_adapter()
    payment = transfer(TransferParams(from_pubkey=PLAN.sender, to_pubkey=PLAN.receiver, lamports=7))
    program = Pubkey(bytes(31) + b"\7")
    for instructions in ([payment, payment], [payment, Instruction(program, b"\1", [])]):
        body = to_bytes_versioned(MessageV0.try_compile(PLAN.sender, instructions, [], PLAN.blockhash))
        assert adapter.describe(make_unsigned(body)).startswith("Run 2 instructions of 1111")
        with pytest.raises(MalformedTransaction, match="not a plain transfer"):
            adapter.inspect(make_unsigned(body))


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), b"\2" + bytes(31)])
def test_what_is_no_key_has_no_address(key: bytes) -> None:
    """A program's address is on purpose no point of the curve."""
    with pytest.raises(InvalidPublicKey):
        make_adapter().derive_address(key)


def test_addresses_are_read_and_refused() -> None:
    """Base58 of 32 bytes, alone or with the network's name."""
    adapter = make_adapter()
    alice = adapter.derive_address(ALICE_KEY)
    assert adapter.parse_address(alice) == adapter.parse_address(f"{MAINNET}:{alice}") == alice
    with pytest.raises(WrongNetwork):
        adapter.parse_address(f"solana:devnet:{alice}")
    for text in ("", alice[:-2], alice + "2", alice[:-1] + "0", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"):
        with pytest.raises(InvalidAddress):
            adapter.parse_address(text)


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: BODY[: len(tail)] + tail))
def test_hostile_messages_are_refused_cleanly(body: bytes) -> None:
    """No other error comes out, and what is read is written back the same."""
    try:
        message = decode_message(body)
    except MalformedTransaction:
        return
    assert to_bytes_versioned(message) == body


def test_trailing_bytes_and_oversize_are_refused() -> None:
    """A signature would cover what nobody was shown."""
    with pytest.raises(MalformedTransaction):
        decode_message(BODY + b"\0")
    with pytest.raises(MalformedTransaction, match="fits into no Solana packet"):
        decode_message(BODY + bytes(1232))
