"""The development node and Bitcoin Knots, fed the same blocks and transactions, say the same."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from btclib.hashes import hash160
from btclib.script.witness import Witness
from btclib.tx import OutPoint, Tx, TxIn, TxOut

from hither.foreign import bitcoin_transactions as codec
from hither.foreign.bitcoin_addresses import REGTEST, format_script
from hither.foreign.bitcoin_transactions import Coin, Draft, Output
from hither.foreign.engines.bitcoin_faucet import FAUCET_SCRIPT
from tests.e2e.foreign.knots import Pair, run_pair
from tests.unit.foreign.test_bitcoin_node import (
    ALICE,
    ALICE_KEY,
    ALICE_SCRIPT,
    AMOUNT,
    BOB,
    BOB_SCRIPT,
    REFUSALS,
    fund,
    make_bad,
    make_signature,
    pay,
    read_draft,
    sign_draft,
    submit,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """One of each for all tests: each leaves both pools empty."""
    with run_pair(tmp_path_factory.mktemp("pair")) as pair:
        yield pair


# Scripts of our own


def lock(script: bytes) -> bytes:
    """The output that pays to a script's hash (P2WSH)."""
    return b"\x00\x20" + hashlib.sha256(script).digest()


def spend_script(pair: Pair, script: bytes, *stack: bytes, **draft: Any) -> Tx:
    """A coin under a script, paid to bob with these items before the script."""
    return spend_output(pair, lock(script), Witness([*stack, script], check_validity=False), **draft)


def spend_output(pair: Pair, output: bytes, witness: Witness, script_sig: bytes = b"", **fields: Any) -> Tx:
    """A coin under an output script, paid to bob."""
    coin = OutPoint(pair.node.fund(output, AMOUNT), 0)
    entry = TxIn(coin, script_sig, fields.get("sequence", 0xFFFFFFFD), witness, check_validity=False)
    outputs = [TxOut(AMOUNT - 5_000, BOB_SCRIPT)]
    return Tx(2, fields.get("lock_time", 0), [entry], outputs, check_validity=False)


def change_witness(pair: Pair, change: Callable[[list[bytes]], list[bytes]]) -> Tx:
    """A good payment whose witness was changed."""
    good = pay(fund(pair.node))
    stack = change(list(good.vin[0].script_witness.stack))
    good.vin[0].script_witness = Witness(stack, check_validity=False)
    return good


def sign_with_type(pair: Pair, kind: int) -> Tx:
    """A signature that says something odd about what it covers."""
    return change_witness(pair, lambda stack: [stack[0][:-1] + bytes((kind,)), stack[1]])


# Bad transactions, each wrong in one way


def make_replacement(pair: Pair, case: str) -> Tx:
    """One that conflicts with what both pools hold."""
    coin = fund(pair.node)
    first = pay(coin, 1_000, Output(AMOUNT - 1_000, ALICE_SCRIPT))
    child_coin = Coin(first.id.hex(), 0, AMOUNT - 1_000, ALICE_SCRIPT)
    other = fund(pair.node)
    pair.follow()
    pair.send(first)
    match case:
        case "again":
            return first
        case "again with another witness":
            second = Tx(2, 0, list(first.vin), first.vout, check_validity=False)
            signature, key = first.vin[0].script_witness.stack
            second.vin[0] = replace_witness(first.vin[0], [signature[:-1] + b"\x02", key])
            return second
        case "for less":
            return pay(coin, 999)
        case "for the same":
            return pay(coin, 1_000)
        case "for too little more":
            return pay(coin, 1_005)
        case "with a child that pays more":
            pair.send(pay(child_coin))
            return pay(coin, 2_000)
        case "with an unconfirmed coin":
            parent = pay(other, 1_000, Output(AMOUNT - 1_000, ALICE_SCRIPT))
            pair.send(parent)
            second_coin = Coin(parent.id.hex(), 0, AMOUNT - 1_000, ALICE_SCRIPT)
            return sign_draft(Draft((coin, second_coin), (Output(AMOUNT, BOB_SCRIPT),)))
        case "that spends what it replaces":
            return sign_draft(Draft((coin, child_coin), (Output(AMOUNT, BOB_SCRIPT),)))
    raise AssertionError(case)


def replace_witness(entry: TxIn, stack: list[bytes]) -> TxIn:
    """The same input otherwise."""
    witness = Witness(stack, check_validity=False)
    return TxIn(entry.prev_out, entry.script_sig, entry.sequence, witness, check_validity=False)


def make_long_chain(pair: Pair) -> Tx:
    """The 26th unconfirmed transaction in a row."""
    coin = fund(pair.node)
    pair.follow()
    for _ in range(25):
        transaction = pay(coin, 200, Output(coin.amount - 200, ALICE_SCRIPT))
        pair.send(transaction)
        coin = Coin(transaction.id.hex(), 0, coin.amount - 200, ALICE_SCRIPT)
    return pay(coin)


def make_high_s(pair: Pair) -> Tx:
    """The other of two equivalent signatures."""
    transaction = pay(fund(pair.node))
    good = make_signature(ALICE.ecdsa, codec.compute_digests(read_draft(transaction), ALICE_KEY)[0])
    high_s = (codec.GROUP_ORDER - int.from_bytes(good.s, "big")).to_bytes(33, "big")
    body = b"\x02\x21\x00" + good.r if good.r[0] & 0x80 else b"\x02\x20" + good.r
    body += b"\x02\x21" + high_s
    stack = [b"\x30" + bytes((len(body),)) + body + b"\x01", ALICE_KEY]
    transaction.vin[0] = replace_witness(transaction.vin[0], stack)
    return transaction


OPEN = lock(b"\x51")
HALF = AMOUNT // 2


def spend_open(version: int, points: list[tuple[bytes, int]], *amounts: int) -> Tx:
    """Coins that ask for no signature, into coins of their kind."""
    witness = Witness([b"\x51"])
    entries = [TxIn(OutPoint(*point), b"", 0xFFFFFFFD, witness, check_validity=False) for point in points]
    return Tx(version, 0, entries, [TxOut(amount, OPEN) for amount in amounts], check_validity=False)


def make_parents(pair: Pair, *versions: int) -> list[Tx]:
    """Waiting ones with two outputs each, and none waits but them."""
    coins = [pair.node.fund(OPEN, AMOUNT) for _ in versions]
    pair.follow()
    parents = [
        spend_open(version, [(coin, 0)], HALF, HALF - 2_000)
        for version, coin in zip(versions, coins, strict=True)
    ]
    for parent in parents:
        pair.send(parent)
    return parents


SIBLING_FEES = {"for less": 500, "for the same": 1_000, "for too little more": 1_005}


def make_relative(pair: Pair, case: str) -> Tx:
    """One that breaks the rules of version 3 (BIP-431), or those that it brings for others."""
    versions = {"a parent of version 2": [2], "two parents": [3, 3], "parents of both versions": [3, 2]}
    parents = make_parents(pair, *versions.get(case, [3]))
    first, second = [(parents[0].id, index) for index in (0, 1)]
    match case:
        case "a parent of version 2":
            return spend_open(3, [first], HALF - 1_000)
        case "a child of version 2":
            return spend_open(2, [first], HALF - 1_000)
        case "too many bytes":
            coin = pair.node.fund(OPEN, AMOUNT)
            return spend_open(3, [(coin, 0)], *[1_000] * 300)
        case "too many bytes in a child":
            return spend_open(3, [first], *[3_000] * 30)
        case "two parents" | "parents of both versions":
            return spend_open(3, [first, (parents[1].id, 0)], AMOUNT - 5_000)
    child = spend_open(3, [first], HALF - 1_000)
    pair.send(child)
    if case == "a grandchild":
        return spend_open(3, [(child.id, 0)], HALF - 2_000)
    return spend_open(3, [second], HALF - 2_000 - SIBLING_FEES[case.removeprefix("a sibling ")])


WORDS_OF_KNOTS = ("bad-witness-stackitem-size", "bad-witness-stackitem-count", "bad-witness-script-size")
"""Core says ``bad-witness-nonstandard`` for each of them."""
TRUC_OF_KNOTS = re.compile(r"^truc(-[a-z]+)+")
TAPROOT_KEY = ALICE_KEY[1:]
PUSH_20 = b"\x14" + bytes(20)

CASES: dict[str, Callable[[Pair], Tx]] = {
    **{name: lambda pair, name=name: make_bad(pair.node, name) for name in REFUSALS},  # type: ignore[misc]
    "a signature of somebody else": lambda pair: sign_draft(
        Draft((fund(pair.node),), (Output(AMOUNT - 1_000, BOB_SCRIPT),)), BOB.ecdsa
    ),
    "a high s": make_high_s,
    "a signature of an unknown type": lambda pair: sign_with_type(pair, 5),
    "a signature that covers something else": lambda pair: sign_with_type(pair, 2),
    "a signature that is no DER": lambda pair: change_witness(
        pair, lambda stack: [b"\x30" + stack[0], stack[1]]
    ),
    "an empty signature": lambda pair: change_witness(pair, lambda stack: [b"", stack[1]]),
    "no witness": lambda pair: change_witness(pair, lambda _: []),
    "the key of somebody else": lambda pair: change_witness(
        pair, lambda stack: [stack[0], BOB.ecdsa.public_key.format()]
    ),
    "a witness of three": lambda pair: change_witness(pair, lambda stack: [b"", *stack]),
    "a script and a witness": lambda pair: spend_output(
        pair, lock(b"\x51"), Witness([b"\x51"]), script_sig=b"\x51"
    ),
    "a script of another hash": lambda pair: spend_output(pair, lock(b"\x51"), Witness([b"\x52"])),
    "a script that ends false": lambda pair: spend_script(pair, b"\x00"),
    "a script that leaves two items": lambda pair: spend_script(pair, b"\x51\x51"),
    "a script that returns": lambda pair: spend_script(pair, b"\x6a"),
    "a script that fails to verify": lambda pair: spend_script(pair, b"\x00\x69\x51"),
    "a script with a disabled word": lambda pair: spend_script(pair, b"\x51\x51\x7e"),
    "a script with an unknown word": lambda pair: spend_script(pair, b"\xba\x51"),
    "a script with a word to come": lambda pair: spend_script(pair, b"\x51\xb9"),
    "a script that takes from nothing": lambda pair: spend_script(pair, b"\x93"),
    "a script whose numbers differ": lambda pair: spend_script(pair, b"\x51\x52\x88\x51"),
    "a script with an open condition": lambda pair: spend_script(pair, b"\x51\x63\x51"),
    "a script with a long push": lambda pair: spend_script(pair, b"\x4c\x01\x07"),
    "a condition that is no bit": lambda pair: spend_script(pair, b"\x63\x51\x67\x51\x68", b"\x02"),
    "a lock time that is not over": lambda pair: spend_script(
        pair, b"\x02\xff\x7f\xb1\x75\x51", lock_time=100
    ),
    "a negative lock time": lambda pair: spend_script(pair, b"\x4f\xb1\x75\x51"),
    "an age that is not reached": lambda pair: spend_script(pair, b"\x02\xff\x00\xb2\x75\x51", sequence=1),
    "an uncompressed key": lambda pair: spend_script(
        pair, b"\x41" + ALICE.ecdsa.public_key.format(compressed=False) + b"\xac", b"\x30" * 9
    ),
    "a large item in a witness": lambda pair: spend_script(pair, b"\x75\x51", b"x" * 81),
    "many items in a witness": lambda pair: spend_script(pair, b"\x75" * 101 + b"\x51", *[b"x"] * 101),
    "a large script in a witness": lambda pair: spend_script(pair, b"\x51" + b"\x61" * 3600),
    "a long script in an input": lambda pair: spend_output(
        pair, b"\xa9\x14" + bytes(20) + b"\x87", Witness(), script_sig=b"\x4d\x72\x06" + bytes(1650)
    ),
    "a hash that nobody knows": lambda pair: spend_output(
        pair, b"\xa9" + PUSH_20 + b"\x87", Witness(), script_sig=b"\x01\x51"
    ),
    "a Schnorr signature of somebody else": lambda pair: spend_output(
        pair, b"\x51\x20" + TAPROOT_KEY, Witness([b"\x01" * 64])
    ),
    "a Schnorr signature of an odd size": lambda pair: spend_output(
        pair, b"\x51\x20" + TAPROOT_KEY, Witness([b"\x01" * 63])
    ),
    "a taproot control block of an odd size": lambda pair: spend_output(
        pair, b"\x51\x20" + TAPROOT_KEY, Witness([b"\x51", b"\xc0" * 34])
    ),
    "a chain that is too long": make_long_chain,
    **{
        f"a replacement {case}": lambda pair, case=case: make_replacement(pair, case)  # type: ignore[misc]
        for case in (
            "again",
            "again with another witness",
            "for less",
            "for the same",
            "for too little more",
            "with a child that pays more",
            "with an unconfirmed coin",
            "that spends what it replaces",
        )
    },
    **{
        f"of version 3, {case}": lambda pair, case=case: make_relative(pair, case)  # type: ignore[misc]
        for case in (
            "a parent of version 2",
            "a child of version 2",
            "too many bytes",
            "too many bytes in a child",
            "two parents",
            "parents of both versions",
            "a grandchild",
            *(f"a sibling {fee}" for fee in SIBLING_FEES),
        )
    },
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_transaction_is_refused_in_the_same_words(pair: Pair, case: str) -> None:
    """By a test and by sending: reason, details and code; and it stays out of the pool."""
    raw = CASES[case](pair).serialize(True, check_validity=False).hex()
    pair.follow()
    ours, theirs = pair.ask("testmempoolaccept", [raw])
    assert ours == use_words_of_core(theirs)
    assert theirs[0]["allowed"] is False, "the case is bad"
    before = pair.ask("getrawmempool")
    ours, theirs = pair.ask("sendrawtransaction", raw)
    assert ours == use_words_of_core(theirs)
    assert pair.ask("getrawmempool") == before
    pair.clear(FAUCET_SCRIPT)


def use_words_of_core(answer: Any) -> Any:
    """What Knots says where Core has one word for several things, and without the memory that a transaction takes."""
    if isinstance(answer, list):
        return [
            {key: use_words_of_core(value) for key, value in one.items() if key != "usage"}
            if isinstance(one, dict)
            else use_words_of_core(one)
            for one in answer
        ]
    if isinstance(answer, tuple):
        return tuple(use_words_of_core(one) for one in answer)
    if isinstance(answer, str):
        # Knots tells the rules of version 3 apart, Core does not.
        answer = TRUC_OF_KNOTS.sub("TRUC-violation", answer)
    return "bad-witness-nonstandard" if answer in WORDS_OF_KNOTS else answer


def test_there_are_enough_cases() -> None:
    """Forty at least, with as many reasons as there are rules."""
    assert len(CASES) >= 40


# Good ones, and what the methods say


def make_payments(pair: Pair) -> list[Tx]:
    """One of every type of output that has an address, with data beside, a child, and a chain of three inputs."""
    outputs = [
        Output(20_000, b"\x76\xa9" + PUSH_20 + b"\x88\xac"),
        Output(20_001, b"\xa9" + PUSH_20 + b"\x87"),
        Output(20_002, BOB_SCRIPT),
        Output(20_003, lock(b"\x51")),
        Output(20_004, b"\x51\x20" + TAPROOT_KEY),
        Output(0, codec.make_data_script(b"hello")),
    ]
    coins = tuple(fund(pair.node) for _ in range(4))
    first = sign_draft(Draft(coins[:3], (*outputs, Output(2_000_000, ALICE_SCRIPT))))
    child = pay(Coin(first.id.hex(), 6, 2_000_000, ALICE_SCRIPT))
    return [first, child, sign_draft(replace(read_draft(pay(coins[3])), sequence=0xFFFFFFFF))]


def test_good_transactions_are_taken_alike(pair: Pair) -> None:
    """Sizes, fees and places in the pool agree."""
    payments = make_payments(pair)
    pair.follow()
    for payment in payments:
        raw = payment.serialize(True).hex()
        ours, theirs = pair.ask("testmempoolaccept", [raw])
        assert ours == use_words_of_core(theirs)
        assert ours[0]["allowed"] is True
        pair.send(payment)
        assert sorted(pair.ask_us("getrawmempool")) == sorted(pair.ask_them("getrawmempool"))
        ours, theirs = pair.ask("getmempoolentry", payment.id.hex())
        for view in (ours, theirs):
            del view["time"]
        assert ours == {key: theirs[key] for key in ours}
    ours, theirs = pair.ask("getmempoolinfo")
    assert {key: ours[key] for key in ("size", "bytes", "total_fee")} == {
        key: theirs[key] for key in ("size", "bytes", "total_fee")
    }
    pair.clear(FAUCET_SCRIPT)


def test_families_of_version_three_are_taken_alike(pair: Pair) -> None:
    """A child beside its parent; another child that pays enough has it leave, as one has that spends the same."""
    (parent,) = make_parents(pair, 3)
    first = spend_open(3, [(parent.id, 0)], HALF - 1_000)
    sibling = spend_open(3, [(parent.id, 1)], HALF - 6_000)
    replacement = spend_open(3, [(parent.id, 1)], HALF - 12_000)
    for transaction in (first, sibling, replacement):
        pair.send(transaction)
        ours, theirs = pair.ask("getrawmempool")
        assert sorted(ours) == sorted(theirs) == sorted([parent.id.hex(), transaction.id.hex()])
    pair.clear(FAUCET_SCRIPT)


ADDRESSES = [format_script(script, REGTEST) for script in (ALICE_SCRIPT, BOB_SCRIPT, FAUCET_SCRIPT)]


KEY = ALICE_KEY.hex()
ALICE_DIGEST = ALICE_SCRIPT[2:]
KEY_OUTPUTS = [
    Output(30_000, b"\x21" + ALICE_KEY + b"\xac"),
    Output(30_001, b"\x76\xa9\x14" + ALICE_DIGEST + b"\x88\xac"),
    Output(30_002, b"\xa9\x14" + hash160(ALICE_SCRIPT) + b"\x87"),
]
DESCRIPTORS = [
    "addr(nobody)",
    f"addr({ADDRESSES[0]})#uty24m7a",
    f"addr({ADDRESSES[0]})#uty24m7b",
    *(f"{function}({KEY})" for function in ("pk", "pkh", "wpkh", "combo", "nonsense")),
    f"sh(wpkh({KEY}))",
    f"pkh([d34db33f/44'/0h/0']{KEY})",
    f"wpkh({KEY})#uessdkd4",
    f"wpkh({KEY})#",
    f"wpkh({KEY})#uessdkd",
    f"wpkh({KEY}",
    f"wpkh({KEY})x",
    f"wpkh({KEY[:-2]})",
    f"wpkh({ALICE.ecdsa.public_key.format(compressed=False).hex()})",
    f"sh(wpkh({'02' + 'ff' * 32}))",
    "wpkh()",
    "wpkh(zz)",
    "raw(zz)",
    "raw(00)#short",
    "",
]


def list_questions(pair: Pair) -> Iterator[tuple[Any, ...]]:
    """About the chain as it is, good ones and bad ones."""
    ledger = pair.node.ledger
    tip = ledger.tip
    ids = [one.hex() for one in ledger.blocks[-2].transaction_ids]
    yield from ((method,) for method in ("getblockcount", "getbestblockhash", "getblockchaininfo"))
    yield from ((method,) for method in ("getconnectioncount", "getrawmempool", "getpeerinfo"))
    for height in (0, 1, 110, tip.height, tip.height + 1, -1, "1"):
        yield "getblockhash", height
    for block in (ledger.blocks[0], ledger.blocks[1], ledger.blocks[-2], tip):
        for verbosity in (0, 1, 2, 3):
            yield "getblock", block.block_hash.hex(), verbosity
        for verbosity in (True, False):
            yield "getblockheader", block.block_hash.hex(), verbosity
    for name in ("11" * 32, "11", "zz" * 32, 7):
        yield "getblock", name
        yield "getblockheader", name
        yield "getrawtransaction", name
        yield "gettxout", name, 0
        yield "getmempoolentry", name
    for transaction_id in ids:
        for verbosity in (0, 1, 2, True, False):
            yield "getrawtransaction", transaction_id, verbosity
        yield "getrawtransaction", transaction_id, 1, ledger.blocks[-2].block_hash.hex()
        yield "getrawtransaction", transaction_id, 1, tip.block_hash.hex()
        for index in range(8):
            yield "gettxout", transaction_id, index
            yield "gettxout", transaction_id, index, False
        raw = ledger.transactions[bytes.fromhex(transaction_id)].transaction.serialize(True).hex()
        yield "decoderawtransaction", raw
        yield "sendrawtransaction", raw
    for address in (
        *ADDRESSES,
        "",
        "1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
        "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn",
    ):
        yield "validateaddress", address
    for address in ADDRESSES:
        yield "scantxoutset", "start", [f"addr({address})"]
    yield "scantxoutset", "start", [f"raw({ALICE_SCRIPT.hex()})", {"desc": f"addr({ADDRESSES[1]})"}]
    yield from (("scantxoutset", "start", [one]) for one in DESCRIPTORS)
    yield "scantxoutset", "status"
    for text in ("", "00", "zz", "0100", "02000000000000000000"):
        yield "sendrawtransaction", text
        yield "testmempoolaccept", [text]
        yield "decoderawtransaction", text
        yield "submitblock", text
    yield "testmempoolaccept", []
    yield "submitblock", tip.raw.hex()
    for target in (0, 1, 6, 1008, 1009):
        yield "estimatesmartfee", target
    yield "generatetoaddress", 1, "nobody"
    yield ("nonsense",)


IGNORED = {
    "getblockchaininfo": {"size_on_disk", "warnings", "verificationprogress", "initialblockdownload", "time"},
    # Only Knots has these.
    "getblock": {"txcount", "header_version"},
    "getblockheader": {"txcount", "header_version"},
}
"""Of a node's own disk and peers."""
WITHOUT_HISTORY = ("estimatesmartfee",)
"""Knots estimates by what it has seen of the payments here; ours has a figure for every target that Core takes."""


def test_the_methods_answer_alike(pair: Pair) -> None:
    """Each of the list, for good questions and bad ones: results, codes and messages."""
    for payment in [*make_payments(pair), pay(fund(pair.node), 1_000, *KEY_OUTPUTS)]:
        submit(pair.node, payment)
    pair.node.generate(2, FAUCET_SCRIPT)
    pair.follow()
    different = []
    for method, *params in list_questions(pair):
        ours, theirs = pair.ask(method, *params)
        if method in WITHOUT_HISTORY and isinstance(theirs, dict):
            assert "errors" in theirs or "feerate" in theirs
            continue
        for view in (ours, theirs):
            if isinstance(view, dict):
                for name in IGNORED.get(method, ()):
                    view.pop(name, None)
        if ours != use_words_of_core(theirs):
            different.append((method, params, ours, theirs))
    assert not different, "\n".join(describe_difference(*one) for one in different)


def describe_difference(method: str, params: list[Any], ours: Any, theirs: Any) -> str:
    """The members that differ, short."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        ours, theirs = ({name: view.get(name, "absent") for name in names} for view in (ours, theirs))
    return f"{method} {str(params)[:80]}\n    ours   {str(ours)[:400]}\n    theirs {str(theirs)[:400]}"
