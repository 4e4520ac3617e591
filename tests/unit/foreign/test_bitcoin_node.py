"""The development node without its socket: what the pool takes, what blocks hold, what the log keeps."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import coincurve
import pytest
from btclib.block import Block
from btclib.script.script_pub_key import ScriptPubKey
from btclib.script.witness import Witness
from btclib.tx import OutPoint, Tx, TxIn, TxOut

from hither.foreign import bitcoin_transactions as codec
from hither.foreign.bitcoin_addresses import REGTEST, derive_script, parse_address
from hither.foreign.bitcoin_transactions import Coin, Draft, Output
from hither.foreign.engines.bitcoin_faucet import FAUCET_SCRIPT
from hither.foreign.engines.bitcoin_kernel import BlockRefused
from hither.foreign.engines.bitcoin_ledger import Ledger
from hither.foreign.engines.bitcoin_node import FIRST_BLOCKS, BitcoinNode
from hither.foreign.engines.bitcoin_pool import MissingInputs, Refused, format_money
from hither.foreign.engines.bitcoin_rpc import Methods, RpcError
from hither.foreign.engines.bitcoin_views import describe_script
from hither.foreign.errors import EngineError
from tests.unit.foreign.signing_network import SigningNetwork

ALICE, BOB = SigningNetwork("alice"), SigningNetwork("bob")
ALICE_KEY = ALICE.ecdsa.public_key.format()
ALICE_SCRIPT = derive_script(ALICE_KEY)
BOB_SCRIPT = derive_script(BOB.ecdsa.public_key.format())
AMOUNT = 1_000_000


@pytest.fixture
def node(tmp_path: Path) -> Iterator[BitcoinNode]:
    """A fresh chain."""
    node = BitcoinNode(tmp_path / "bitcoin")
    yield node
    node.close()


def fund(node: BitcoinNode, amount: int = AMOUNT) -> Coin:
    """A confirmed coin of alice's."""
    transaction_id = node.fund(ALICE_SCRIPT, amount)
    return Coin(transaction_id.hex(), 0, amount, ALICE_SCRIPT)


def sign_draft(draft: Draft, signer: coincurve.PrivateKey = ALICE.ecdsa) -> Tx:
    """Signatures go in unchecked, so that wrong ones reach the node."""
    digests = codec.compute_digests(draft, ALICE_KEY)
    good = codec.attach(draft, ALICE_KEY, [make_signature(ALICE.ecdsa, digest) for digest in digests])
    for entry, digest in zip(good.vin, digests, strict=True):
        signature = signer.sign(digest, hasher=None) + b"\x01"
        entry.script_witness = Witness([signature, ALICE_KEY], check_validity=False)
    return good


def make_signature(key: coincurve.PrivateKey, digest: bytes) -> codec.EcdsaSignature:
    """As the signing network gives it."""
    data = key.sign_recoverable(digest, hasher=None)
    return codec.EcdsaSignature(bytes((2 + data[64] % 2,)) + data[:32], data[32:64], data[64])


def pay(coin: Coin, fee: int = 1_000, *outputs: Output) -> Tx:
    """All of a coin to bob, or to other outputs."""
    return sign_draft(Draft((coin,), outputs or (Output(coin.amount - fee, BOB_SCRIPT),)))


def submit(node: BitcoinNode, transaction: Tx) -> bytes:
    """Into the pool."""
    return node.submit_transaction(transaction.serialize(True, check_validity=False))


def refuse(node: BitcoinNode, transaction: Tx) -> str:
    """Why the pool does not take it; nothing is changed by asking."""
    before = list(node.pool.entries)
    with pytest.raises(Refused) as caught:
        submit(node, transaction)
    assert list(node.pool.entries) == before
    return caught.value.reason


def snapshot(ledger: Ledger) -> tuple[object, ...]:
    """All that the index says."""
    scripts = {script: dict(ledger.list_unspent(script)) for script in ledger.histories}
    histories = {script: list(ids) for script, ids in ledger.histories.items()}
    return dict(ledger.unspent), scripts, histories, set(ledger.transactions), list(ledger.heights)


def test_a_payment_waits_and_is_mined(node: BitcoinNode) -> None:
    """Out of the pool, into the index, and the coins have changed hands."""
    coin = fund(node)
    payment = pay(coin)
    assert submit(node, payment) == payment.id
    assert submit(node, payment) == payment.id, "again is no error"
    assert [one for one, _ in node.ledger.list_unspent(ALICE_SCRIPT)] == [
        (bytes.fromhex(coin.transaction_id), 0)
    ]
    node.generate(1, FAUCET_SCRIPT)
    assert not node.pool.entries
    assert node.ledger.transactions[payment.id].fee == 1_000
    assert not node.ledger.list_unspent(ALICE_SCRIPT)
    assert [output.amount for _, output in node.ledger.list_unspent(BOB_SCRIPT)] == [AMOUNT - 1_000]
    coinbase = node.ledger.transactions[node.ledger.tip.transaction_ids[0]]
    assert coinbase.transaction.vout[0].value == 50 * 10**8 + 1_000


def test_the_kernel_refuses_a_block_that_steals(node: BitcoinNode) -> None:
    """Bitcoin Core's own code is the last word on signatures, whatever the pool thinks."""
    coin = fund(node)
    good, wrong = pay(coin), sign_draft(Draft((coin,), (Output(AMOUNT - 1_000, BOB_SCRIPT),)), BOB.ecdsa)
    entry = node.pool.check(good, good.serialize(True))
    node.pool.add(replace(entry, transaction=wrong))
    tip = node.ledger.tip
    with pytest.raises(BlockRefused, match="consensus"):
        node.generate(1, FAUCET_SCRIPT)
    assert node.ledger.tip is tip
    node.pool.remove(good.id)
    submit(node, good)
    node.generate(1, FAUCET_SCRIPT)
    assert node.ledger.height == tip.height + 1


# Refusals


def test_a_wrong_signature_is_refused(node: BitcoinNode) -> None:
    """With the words of Bitcoin Core."""
    draft = Draft((fund(node),), (Output(AMOUNT - 1_000, BOB_SCRIPT),))
    assert refuse(node, sign_draft(draft, BOB.ecdsa)) == (
        "mempool-script-verify-flag-failed (Signature must be zero for failed CHECK(MULTI)SIG operation)"
    )
    submit(node, sign_draft(draft))


def test_a_high_s_is_refused(node: BitcoinNode) -> None:
    """Blocks may hold it; nodes do not relay it."""
    transaction = pay(fund(node))
    good = make_signature(ALICE.ecdsa, codec.compute_digests(read_draft(transaction), ALICE_KEY)[0])
    high_s = (codec.GROUP_ORDER - int.from_bytes(good.s, "big")).to_bytes(33, "big")
    body = b"\x02\x21\x00" + good.r if good.r[0] & 0x80 else b"\x02\x20" + good.r
    body += b"\x02\x21" + high_s
    transaction.vin[0].script_witness = Witness(
        [b"\x30" + bytes((len(body),)) + body + b"\x01", ALICE_KEY], check_validity=False
    )
    assert refuse(node, transaction) == (
        "mempool-script-verify-flag-failed (Non-canonical signature: S value is unnecessarily high)"
    )


def read_draft(transaction: Tx) -> Draft:
    """Of a payment made by ``pay``."""
    outputs = tuple(Output(one.value, one.script_pub_key.script) for one in transaction.vout)
    coins = tuple(
        Coin(one.prev_out.tx_id.hex(), one.prev_out.vout, AMOUNT, ALICE_SCRIPT) for one in transaction.vin
    )
    return Draft(coins, outputs)


def make_bad(node: BitcoinNode, case: str) -> Tx:
    """A transaction that is wrong in one way."""
    coin = fund(node)
    good = pay(coin)
    bare = Tx(2, 0, good.vin, good.vout, check_validity=False)
    match case:
        case "vin-empty":
            bare.vin = []
        case "vout-empty":
            bare.vout = []
        case "negative":
            bare.vout = [TxOut(-1, BOB_SCRIPT, check_validity=False)]
        case "too large":
            bare.vout = [TxOut(codec.SATOSHIS_MAX + 1, BOB_SCRIPT, check_validity=False)]
        case "too large together":
            bare.vout = [TxOut(codec.SATOSHIS_MAX, BOB_SCRIPT)] * 2
        case "twice the same input":
            bare.vin = good.vin * 2
        case "coinbase":
            bare.vin = [TxIn(OutPoint(), b"\x01\x02", 0xFFFFFFFF)]
        case "short coinbase":
            bare.vin = [TxIn(OutPoint(), b"\x01", 0xFFFFFFFF, check_validity=False)]
        case "a null input":
            bare.vin = [*good.vin, TxIn(OutPoint(), b"", 0, check_validity=False)]
        case "version":
            bare.version = 4
        case "script that is not pushes":
            bare.vin[0].script_sig = b"\x76"
        case "odd output":
            bare.vout = [TxOut(1_000, b"\x51\x51", check_validity=False)]
        case "large":
            bare.vout = good.vout * 13_000
        case "dust":
            return pay(coin, 0, Output(293, BOB_SCRIPT), Output(900_000, BOB_SCRIPT))
        case "two dusts":
            return pay(coin, 0, Output(293, BOB_SCRIPT), Output(293, BOB_SCRIPT))
        case "small":
            bare.vout = [TxOut(0, b"\x6a", check_validity=False)]
        case "lock time":
            return sign_draft(replace(read_draft(good), lock_time=node.ledger.height + 1))
        case "relative lock time":
            return sign_draft(replace(read_draft(good), sequence=2))
        case "missing":
            return pay(replace(coin, transaction_id="11" * 32))
        case "missing index":
            return pay(replace(coin, index=7))
        case "known":
            submit(node, good)
            node.generate(1, FAUCET_SCRIPT)
            return good
        case "young coinbase":
            node.generate(1, ALICE_SCRIPT)
            return pay(Coin(node.ledger.tip.transaction_ids[0].hex(), 0, 50 * 10**8, ALICE_SCRIPT))
        case "more out than in":
            return pay(coin, -1)
        case "two data outputs":
            data = Output(0, codec.make_data_script(b"x"))
            return pay(coin, 0, data, data, Output(900_000, BOB_SCRIPT))
        case "long data":
            long_data = Output(0, b"\x6a\x4c\x51" + b"x" * 81)
            return pay(coin, 0, long_data, Output(900_000, BOB_SCRIPT))
        case "no fee":
            return pay(coin, 0)
        case "low fee":
            return pay(coin, 10)
    return bare


# What Bitcoin Knots 29.5 with -corepolicy answers to the same transactions.
REFUSALS = {
    "vout-empty": "bad-txns-vout-empty",
    "negative": "bad-txns-vout-negative",
    "too large": "bad-txns-vout-toolarge",
    "too large together": "bad-txns-txouttotal-toolarge",
    "twice the same input": "bad-txns-inputs-duplicate",
    "coinbase": "coinbase",
    "short coinbase": "bad-cb-length",
    "a null input": "bad-txns-prevout-null",
    "version": "version",
    "script that is not pushes": "scriptsig-not-pushonly",
    "odd output": "scriptpubkey",
    "large": "tx-size",
    "dust": "dust",
    "two dusts": "dust",
    "small": "tx-size-small",
    "lock time": "non-final",
    "relative lock time": "non-BIP68-final",
    "missing": "bad-txns-inputs-missingorspent",
    "missing index": "bad-txns-inputs-missingorspent",
    "known": "txn-already-known",
    "young coinbase": "bad-txns-premature-spend-of-coinbase",
    "more out than in": "bad-txns-in-belowout",
    "two data outputs": "multi-op-return",
    "long data": "scriptpubkey",
    "no fee": "min relay fee not met",
    "low fee": "min relay fee not met",
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_bad_transaction_is_refused_with_the_reason_of_core(node: BitcoinNode, case: str) -> None:
    """Nothing of it stays."""
    transaction = make_bad(node, case)
    assert refuse(node, transaction) == REFUSALS[case]


def test_the_least_fee_passes(node: BitcoinNode) -> None:
    """110 virtual bytes at a tenth of a satoshi each."""
    submit(node, pay(fund(node), 11))


# Conflicts


def test_a_replacement_must_pay_for_itself(node: BitcoinNode) -> None:
    """More than before, by what its own relaying costs; then the first one leaves with its child."""
    coin = fund(node)
    first = pay(coin, 1_000, Output(AMOUNT - 1_000, ALICE_SCRIPT))
    submit(node, first)
    child = pay(Coin(first.id.hex(), 0, AMOUNT - 1_000, ALICE_SCRIPT))
    submit(node, child)
    assert refuse(node, pay(coin, 999)) == "insufficient fee"
    assert refuse(node, pay(coin, 2_000)) == "insufficient fee", "the child's fee counts too"
    assert refuse(node, pay(coin, 2_010)) == "insufficient fee", "nor is it relayed for nothing"
    second = pay(coin, 2_011)
    submit(node, second)
    assert list(node.pool.entries) == [second.id]


def test_what_a_block_spends_leaves_the_pool(node: BitcoinNode, tmp_path: Path) -> None:
    """A rival in the block, and its loser's children."""
    coin = fund(node)
    other = BitcoinNode(tmp_path / "other")
    for block in node.ledger.blocks[1:]:
        other.submit_block(block.raw)
    loser = pay(coin, 1_000, Output(AMOUNT - 1_000, ALICE_SCRIPT))
    submit(node, loser)
    submit(node, pay(Coin(loser.id.hex(), 0, AMOUNT - 1_000, ALICE_SCRIPT)))
    # The other began with as many blocks of its own, less one.
    assert other.ledger.tip.block_hash == node.ledger.tip.block_hash
    winner = pay(coin, 500)
    submit(other, winner)
    other.generate(1, FAUCET_SCRIPT)
    assert node.submit_block(other.ledger.tip.raw)
    assert not node.pool.entries
    assert winner.id in node.ledger.transactions
    assert refuse(node, loser) == "bad-txns-inputs-missingorspent"
    other.close()


def test_too_long_a_chain_of_unconfirmed_transactions_is_refused(node: BitcoinNode) -> None:
    """Twenty-five, and mined together in order."""
    coin = fund(node)
    for _ in range(25):
        transaction = pay(coin, 200, Output(coin.amount - 200, ALICE_SCRIPT))
        submit(node, transaction)
        coin = Coin(transaction.id.hex(), 0, coin.amount - 200, ALICE_SCRIPT)
    assert refuse(node, pay(coin)) == "too-long-mempool-chain"
    node.generate(1, FAUCET_SCRIPT)
    assert len(node.ledger.tip.transaction_ids) == 26
    submit(node, pay(coin))


# Branches and restarts


def test_a_longer_branch_wins_and_what_it_lost_waits_again(node: BitcoinNode, tmp_path: Path) -> None:
    """The index goes back exactly, and forward."""
    coin = fund(node)
    other = BitcoinNode(tmp_path / "other")
    for block in node.ledger.blocks[1:]:
        other.submit_block(block.raw)
    before = snapshot(node.ledger)
    payment = pay(coin)
    submit(node, payment)
    node.generate(1, FAUCET_SCRIPT)
    other.generate(2, BOB_SCRIPT)
    branch = [block.raw for block in other.ledger.blocks[-2:]]
    assert node.submit_block(branch[0])
    assert payment.id in node.ledger.transactions, "as long a branch as ours changes nothing"
    assert node.submit_block(branch[1])
    assert node.ledger.tip.block_hash == other.ledger.tip.block_hash
    assert list(node.pool.entries) == [payment.id]
    assert snapshot(node.ledger) == snapshot(other.ledger)
    assert snapshot(node.ledger) != before
    node.generate(1, FAUCET_SCRIPT)
    assert node.ledger.transactions[payment.id].height == node.ledger.height
    other.close()


def test_taking_blocks_off_is_the_exact_reverse(node: BitcoinNode) -> None:
    """Over random payments, chains within a block included."""
    draw = random.Random(7)
    states = []
    for _ in range(8):
        states.append(snapshot(node.ledger))
        coin = fund(node, draw.randrange(50_000, AMOUNT))
        states.append(snapshot(node.ledger))
        for _ in range(draw.randrange(4)):
            transaction = pay(coin, 200, Output(coin.amount - 200, ALICE_SCRIPT))
            submit(node, transaction)
            coin = Coin(transaction.id.hex(), 0, coin.amount - 200, ALICE_SCRIPT)
        node.generate(1, ALICE_SCRIPT)
    while states:
        node.ledger.disconnect()
        assert snapshot(node.ledger) == states.pop()


def test_a_restart_keeps_the_chain(tmp_path: Path) -> None:
    """Branches included; the faucet goes on paying."""
    node = BitcoinNode(tmp_path)
    payment = pay(fund(node))
    submit(node, payment)
    node.generate(3, ALICE_SCRIPT)
    before, tip = snapshot(node.ledger), node.ledger.tip.block_hash
    node.close()
    again = BitcoinNode(tmp_path)
    assert (snapshot(again.ledger), again.ledger.tip.block_hash) == (before, tip)
    fund(again)
    again.close()


@pytest.mark.parametrize("lost_bytes", [1, 7, 100, 270])
def test_a_torn_log_loses_only_its_last_block(tmp_path: Path, lost_bytes: int) -> None:
    """And what is written afterwards is read again."""
    node = BitcoinNode(tmp_path)
    hashes = [block.block_hash for block in node.ledger.blocks]
    node.close()
    path = tmp_path / "blocks.dat"
    path.write_bytes(path.read_bytes()[:-lost_bytes])
    again = BitcoinNode(tmp_path)
    lost = len(hashes) - len(again.ledger.blocks)
    assert lost == (1 if lost_bytes < 200 else 2)
    assert [block.block_hash for block in again.ledger.blocks] == hashes[: len(hashes) - lost]
    again.generate(2, BOB_SCRIPT)
    tip = again.ledger.tip.block_hash
    again.close()
    third = BitcoinNode(tmp_path)
    assert third.ledger.tip.block_hash == tip
    third.close()


def test_a_damaged_log_is_not_taken_for_a_chain(tmp_path: Path) -> None:
    """A changed byte in the middle is found by the kernel."""
    node = BitcoinNode(tmp_path)
    node.close()
    path = tmp_path / "blocks.dat"
    data = bytearray(path.read_bytes())
    data[8 + 40] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(EngineError, match="bad block after height 0"):
        BitcoinNode(tmp_path)


def test_one_folder_has_one_node(node: BitcoinNode, tmp_path: Path) -> None:
    """The second is refused, and the first goes on."""
    with pytest.raises(EngineError, match="in use"):
        BitcoinNode(tmp_path / "bitcoin")
    node.generate(1, BOB_SCRIPT)


def test_an_empty_faucet_says_so(node: BitcoinNode) -> None:
    """Nothing is sent."""
    with pytest.raises(EngineError, match="faucet"):
        node.fund(BOB_SCRIPT, 10**12)
    assert node.ledger.height == FIRST_BLOCKS


# Methods


def test_sending_answers_with_the_codes_of_core(node: BitcoinNode) -> None:
    """Missing, refused, undecodable, known, too dear."""
    methods = Methods(node, is_instant=False)
    coin = fund(node)
    payment = pay(coin).serialize(True).hex()

    def fail(method: str, *params: object) -> tuple[int, str]:
        with pytest.raises(RpcError) as caught:
            methods.answer(method, list(params))
        return caught.value.code, str(caught.value)

    decode_failed = "TX decode failed. Make sure the tx has at least one input."
    assert fail("sendrawtransaction", "zz") == (-22, decode_failed)
    assert fail("sendrawtransaction", payment + "00") == (-22, decode_failed)
    missing = pay(replace(coin, index=9)).serialize(True).hex()
    assert fail("sendrawtransaction", missing) == (-25, "bad-txns-inputs-missingorspent")
    low = pay(coin, 10).serialize(True).hex()
    assert fail("sendrawtransaction", low) == (-26, "min relay fee not met, 10 < 11")
    dear = pay(coin, AMOUNT - 1_000 * 3 // 2 * 10).serialize(True).hex()
    assert fail("sendrawtransaction", dear, "0.01")[0] == -25
    assert fail("getblockhash", 10**6) == (-8, "Block height out of range")
    assert fail("getrawtransaction", "11" * 32)[0] == -5
    assert fail("nonsense") == (-32601, "Method not found")
    assert fail("getblockhash")[0] == -1
    tested = methods.answer("testmempoolaccept", [[payment]])[0]
    assert tested["allowed"] is True
    assert not node.pool.entries, "testing sends nothing"
    refused = methods.answer("testmempoolaccept", [[missing]])[0]
    assert (refused["allowed"], refused["reject-reason"]) == (False, "missing-inputs")
    methods.answer("sendrawtransaction", [payment])
    assert methods.answer("getrawmempool", []) == [pay(coin).id.hex()]
    methods.answer("sendrawtransaction", [payment])
    node.generate(1, FAUCET_SCRIPT)
    assert fail("sendrawtransaction", payment) == (-27, "Transaction outputs already in utxo set")


def test_a_missing_input_is_told_apart(node: BitcoinNode) -> None:
    """It may still come."""
    with pytest.raises(MissingInputs):
        submit(node, pay(replace(fund(node), index=9)))


def test_an_unspendable_gift_is_refused_unless_asked_for(node: BitcoinNode) -> None:
    """As Core guards its callers."""
    methods = Methods(node, is_instant=True)
    burn = pay(
        fund(node), 0, Output(5_000, ScriptPubKey.nulldata(b"bye").script), Output(900_000, BOB_SCRIPT)
    )
    with pytest.raises(RpcError, match="maxburnamount"):
        methods.answer("sendrawtransaction", [burn.serialize(True).hex()])
    methods.answer("sendrawtransaction", [burn.serialize(True).hex(), "0.10", "0.00005"])
    assert burn.id in node.ledger.transactions


@pytest.mark.parametrize(
    ("satoshis", "text"), [(0, "0.00"), (1, "0.00000001"), (10, "0.0000001"), (150_000_000, "1.50")]
)
def test_money_in_messages_is_written_as_core_does(satoshis: int, text: str) -> None:
    """Two decimals at least, no trailing zeros after them."""
    assert format_money(satoshis) == text


@pytest.mark.parametrize(
    "descriptor",
    [
        # By Bitcoin Knots 29.5.
        "addr(bcrt1q0j92p70heuk0g9zhyylcpz0ftw8ed5ksm6ypwm)#v9m0h78n",
        "addr(bcrt1qxwu5ku9m6s60ptgpjftxn0klx35cx26cc7gyur)#uty24m7a",
    ],
)
def test_descriptors_have_the_checksum_of_core(descriptor: str) -> None:
    """Over the letters of the text."""
    address = descriptor[5 : descriptor.index(")")]
    assert describe_script(parse_address(address, REGTEST)) == descriptor


def test_blocks_can_be_read_in_four_depths(node: BitcoinNode) -> None:
    """Bytes, ids, transactions, and what they spent."""
    methods = Methods(node, is_instant=True)
    payment = pay(fund(node))
    methods.answer("sendrawtransaction", [payment.serialize(True).hex()])
    block_hash = methods.answer("getbestblockhash", [])
    views = [methods.answer("getblock", [block_hash, verbosity]) for verbosity in range(4)]
    assert bytes.fromhex(views[0]) == node.ledger.tip.raw
    assert views[1]["tx"] == [view["txid"] for view in views[2]["tx"]]
    assert bytes(views[2]["tx"][1]["fee"]) == b"0.00001000"
    assert "prevout" not in views[2]["tx"][1]["vin"][0]
    assert views[3]["tx"][1]["vin"][0]["prevout"]["scriptPubKey"]["hex"] == ALICE_SCRIPT.hex()
    witness_bytes = sum(one.size - len(one.serialize(False)) for one in parse_block(views[0]).transactions)
    assert (
        views[1]["strippedsize"]
        == views[1]["size"] - witness_bytes
        == len(node.ledger.tip.raw) - witness_bytes
    )


def parse_block(text: str) -> Block:
    """With the library's own checks."""
    return Block.parse(bytes.fromhex(text), check_validity=False)
