"""Transactions that are wrong in one way: what nodes that are not ours refuse our readers refuse as well.

Bitcoin's are in tests/e2e/foreign/test_bitcoin_against_knots.py.
"""

import asyncio
import base64
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from solders.hash import Hash
from solders.pubkey import Pubkey

from hither.crypto.hashing import keccak256
from hither.foreign import evm_transactions as codec
from hither.foreign import rlp
from hither.foreign.adapter import Scheme
from hither.foreign.errors import EndpointError, MalformedTransaction
from hither.foreign.evm_addresses import format_address
from hither.foreign.evm_signatures import ORDER
from hither.foreign.solana_messages import TransferPlan, build_transfer_message, decode_message
from tests.e2e.foreign.acting import run_stage
from tests.e2e.foreign.test_solana import SOL
from tests.e2e.foreign.test_solana_against_surfpool import Network, run_ours, run_surfpool
from tests.unit.foreign.signing_network import SigningNetwork
from tests.unit.foreign.test_solana import BOB_KEY

pytestmark = pytest.mark.slow

ALICE = SigningNetwork("alice")

# EVM

GWEI = 10**9
BOB = bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
PRICE = (5 * GWEI).to_bytes(5, "big")
GAS = (100_000).to_bytes(3, "big")
ACCESSES: list[rlp.Item] = [[BOB, [bytes(32)]]]
FEE_MARKET: list[rlp.Item] = [b"\1", b"", b"\1", PRICE, GAS, BOB, b"\7", b"", ACCESSES]
"""Chain, nonce, tip, price, gas, receiver, amount, data, accesses."""
ACCESS_LIST: list[rlp.Item] = [b"\1", b"", PRICE, GAS, BOB, b"\7", b"", ACCESSES]
DELEGATION: rlp.Item = [b"\1", BOB, b"", b"", b"\1", b"\1"]
SET_CODE: list[rlp.Item] = [*FEE_MARKET, [DELEGATION]]
LEGACY: list[rlp.Item] = [b"", PRICE, GAS, BOB, b"\7", b""]


def sign_digest(digest: bytes) -> tuple[int, int, int]:
    """Parity, r and s."""
    made = ALICE.ecdsa.sign_recoverable(digest, hasher=None)
    return made[64], int.from_bytes(made[:32], "big"), int.from_bytes(made[32:64], "big")


def write(
    kind: int,
    items: list[rlp.Item],
    spoil: Callable[[int, int, int], tuple[int, int, int]] = lambda *signature: signature,
) -> bytes:
    """Signed by alice, whatever it is; kind 0 is legacy, on chain 1."""
    if kind == 0:
        parity, *numbers = spoil(*sign_digest(keccak256(rlp.encode([*items, b"\1", b"", b""]))))
        return rlp.encode([*items, *map(rlp.encode_integer, [37 + parity, *numbers])])
    start = bytes((kind,))
    signature = spoil(*sign_digest(keccak256(start + rlp.encode(items))))
    return start + rlp.encode([*items, *map(rlp.encode_integer, signature)])


def change(place: int, value: rlp.Item) -> bytes:
    """The one of the fee market with another field."""
    return write(2, [*FEE_MARKET[:place], value, *FEE_MARKET[place + 1 :]])


GOOD_EVM = {
    "legacy": write(0, LEGACY),
    "access list": write(1, ACCESS_LIST),
    "fee market": write(2, FEE_MARKET),
    "set code": write(4, SET_CODE),
}
MALFORMED_EVM = {
    "nothing": b"",
    "an empty list": b"\xc0",
    "a type alone": b"\2",
    "a type that nobody knows": write(5, FEE_MARKET),
    "the fields of another type": write(1, FEE_MARKET),
    "a chain with a nought before": change(0, b"\0\1"),
    "a nonce with a nought before": change(1, b"\0"),
    "a nonce of nine bytes": change(1, b"\1" + bytes(8)),
    "a nonce that is a list": change(1, []),
    "a tip of 33 bytes": change(2, b"\1" + bytes(32)),
    "gas of nine bytes": change(4, b"\1" + bytes(8)),
    "a receiver of 19 bytes": change(5, BOB[1:]),
    "a receiver of 21 bytes": change(5, BOB + b"\0"),
    "an amount of 33 bytes": change(6, b"\1" + bytes(32)),
    "data that are a list": change(7, [b"\1"]),
    "accesses that are bytes": change(8, b"\1"),
    "an access without keys": change(8, [[BOB]]),
    "an access of 19 bytes": change(8, [[BOB[1:], []]]),
    "a storage key of 31 bytes": change(8, [[BOB, [bytes(31)]]]),
    "a field less": write(2, FEE_MARKET[:-1]),
    "a field more": write(2, [*FEE_MARKET, b""]),
    "set code without a receiver": write(4, [*SET_CODE[:5], b"", *SET_CODE[6:]]),
    "set code without authorizations": write(4, [*FEE_MARKET, []]),
    "an authorization of 19 bytes": write(4, [*FEE_MARKET, [[b"\1", BOB[1:], *DELEGATION[2:]]]]),
    "an authorization without a signature": write(4, [*FEE_MARKET, [DELEGATION[:3]]]),
    "a parity of two": write(2, FEE_MARKET, lambda _, r, s: (2, r, s)),
    "an r of nothing": write(2, FEE_MARKET, lambda parity, _, s: (parity, 0, s)),
    "an s of the upper half": write(2, FEE_MARKET, lambda parity, r, s: (1 - parity, r, ORDER - s)),
    "an s of 33 bytes": write(2, FEE_MARKET, lambda parity, r, _: (parity, r, 2**256)),
    "a legacy amount of 33 bytes": write(0, [*LEGACY[:4], b"\1" + bytes(32), b""]),
    "a legacy field less": write(0, LEGACY[:-1]),
    "a byte less": GOOD_EVM["fee market"][:-1],
    "a byte more": GOOD_EVM["fee market"] + b"\0",
    "a length with a nought before": b"\2\xfa\0" + len(GOOD_EVM["fee market"][3:]).to_bytes(2, "big")
    + GOOD_EVM["fee market"][3:],
}  # fmt: skip

TAKEN_BY_ANVIL = ("set code without authorizations", "an s of the upper half", "a byte more")
"""Ethereum refuses them: by EIP-7702, by EIP-2, and as bytes that nobody signed."""


def test_what_anvil_does_not_read_we_do_not_read() -> None:
    """Each is refused by both, with alice's nonce as before; what each was made from is taken by both."""

    async def run() -> None:
        async with run_stage() as stage:
            taken = []
            for name, raw in MALFORMED_EVM.items():
                with contextlib.suppress(MalformedTransaction):
                    codec.decode_signed(raw)
                    taken.append(("ours", name))
                if name not in TAKEN_BY_ANVIL:
                    with contextlib.suppress(EndpointError):
                        await stage.rpc.call("eth_sendRawTransaction", ["0x" + raw.hex()])
                        taken.append(("anvil", name))
            assert not taken
            assert await stage.adapter.fetch_nonce(stage.alice.address) == 0
            for raw in GOOD_EVM.values():
                codec.decode_signed(raw)
                assert format_address(codec.recover_sender(raw)) == stage.alice.address
                snapshot = await stage.rpc.call("evm_snapshot")
                receipt = await stage.rpc.call("eth_sendRawTransactionSync", ["0x" + raw.hex()])
                assert receipt["status"] == "0x1"
                await stage.rpc.call("evm_revert", [snapshot])

    asyncio.run(run())


# Solana

BODY = build_transfer_message(
    TransferPlan(Pubkey(ALICE.get_public_key(Scheme.EDDSA)), Pubkey(BOB_KEY), SOL, Hash(bytes(32)))
)
TABLE = b"\7" * 32


def put(place: int, value: int) -> bytes:
    """Another byte there: version, three counts of keys, the number of keys, three keys, the blockhash."""
    return BODY[:place] + bytes((value,)) + BODY[place + 1 :]


INSTRUCTION = 5 + 32 * 4 + 1
"""Where the one instruction begins: program, number of accounts, accounts, length of data, data."""
UNREADABLE = {
    "nothing": b"",
    "a version that nobody knows": put(0, 0x81),
    "more keys than there are bytes": put(4, 100),
    "more instructions than there are": put(INSTRUCTION - 1, 2),
    "more accounts than there are bytes": put(INSTRUCTION + 1, 0x7F),
    "more data than there are bytes": put(INSTRUCTION + 4, 0x7F),
    "a count of four bytes": BODY[:4] + b"\x83\x80\x80\0" + BODY[5:],
    "a count with a nought behind": BODY[:4] + b"\x83\0" + BODY[5:],
    "a table that is cut": BODY[:-1] + b"\1" + TABLE[:9],
    "more tables than there are": BODY[:-1] + b"\2" + TABLE + b"\1\1\0",
    "a byte less": BODY[:-1],
}
INCONSISTENT = {
    "no signer": put(1, 0),
    "more signers than keys": put(1, 4),
    "a payer who may not write": put(2, 1),
    "more keys to read than there are": put(3, 3),
    "a key less": put(4, 2)[: 5 + 64] + BODY[5 + 96 :],
    "a program that is no key": put(INSTRUCTION, 3),
    "the payer as a program": put(INSTRUCTION, 0),
    "an account that is no key": put(INSTRUCTION + 2, 9),
    "a table without accounts": BODY[:-1] + b"\1" + TABLE + b"\0\0",
    "a table in the older form": BODY[1:-1] + b"\1" + TABLE + b"\1\1\0",
    "a byte more": BODY + b"\0",
}
"""Surfpool reads these further, and does not outlive some of them."""


@pytest.mark.parametrize(
    "body", [*UNREADABLE.values(), *INCONSISTENT.values()], ids=[*UNREADABLE, *INCONSISTENT]
)
def test_a_malformed_message_is_refused(body: bytes) -> None:
    """Before anybody is asked to sign it; what all were made from is read."""
    decode_message(BODY)
    with pytest.raises(MalformedTransaction):
        decode_message(body)


async def refuse(network: Network, body: bytes) -> tuple[int | None, str]:
    """What the chain says of a message that alice signed: the code, and the reason without names of types."""
    raw = base64.b64encode(b"\1" + ALICE.eddsa.sign(body) + body).decode()
    code, said = await network.refuse("sendTransaction", raw, {"encoding": "base64"})
    said = said.removeprefix("sendTransaction: ")
    return code, said.replace("solana_transaction::versioned::", "")


def test_what_surfpool_does_not_read_our_chain_does_not_read(tmp_path: Path) -> None:
    """In the same words; and our chain refuses the rest too and goes on."""

    async def run() -> None:
        async with run_ours() as ours, run_surfpool(tmp_path) as theirs:
            for network in (ours, theirs):
                await network.fund(network.alice, 10 * SOL)
            for name, body in UNREADABLE.items():
                code, said = await refuse(ours, body)
                assert (code, said) == await refuse(theirs, body), name
                assert said.startswith("failed to deserialize VersionedTransaction: "), name
            for body in INCONSISTENT.values():
                _, said = await refuse(ours, body)
                assert said.startswith("failed to deserialize VersionedTransaction: ")
            for network in (ours, theirs):
                assert "Blockhash not found" in (await refuse(network, BODY))[1]

    asyncio.run(run())
