"""Litecoin and Dogecoin: addresses and bytes as embit makes them with these chains' prefixes."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import coincurve
import pytest
from embit import ec, finalizer, script
from embit import psbt as embit_psbt
from embit.script import Script
from embit.transaction import Transaction, TransactionInput, TransactionOutput

from hither.foreign import bitcoin_psbt as psbt
from hither.foreign import bitcoin_transactions as codec
from hither.foreign.adapter import SignedTransaction, State, UnsignedTransaction
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.bitcoin_addresses import (
    DOGECOIN_MAINNET,
    DOGECOIN_REGTEST,
    DOGECOIN_TESTNET,
    LITECOIN_MAINNET,
    LITECOIN_REGTEST,
    LITECOIN_TESTNET,
    MAINNET,
    NETWORKS,
    REGTEST,
    BitcoinNetwork,
    derive_address,
    derive_script,
    format_script,
    parse_address,
)
from hither.foreign.bitcoin_coins import (
    compute_dust,
    compute_fee,
    compute_size,
    select_coins,
    validate_outputs,
)
from hither.foreign.bitcoin_transactions import Coin, Draft, Output
from hither.foreign.engines.bitcoin_kernel import Kernel
from hither.foreign.errors import (
    InsufficientFunds,
    InvalidAddress,
    InvalidAmount,
    MalformedTransaction,
    WrongNetwork,
    WrongSignature,
)
from hither.foreign.transport import JsonRpc
from tests.unit.foreign.test_bitcoin import ALICE, ALICE_KEY, BOB, BOB_KEY, make_scripts, sign

LITECOINS = (LITECOIN_MAINNET, LITECOIN_TESTNET, LITECOIN_REGTEST)
DOGECOINS = (DOGECOIN_MAINNET, DOGECOIN_TESTNET, DOGECOIN_REGTEST)
PREFIXES = {
    LITECOIN_MAINNET: {"p2pkh": b"\x30", "p2sh": b"\x32", "bech32": "ltc"},
    LITECOIN_TESTNET: {"p2pkh": b"\x6f", "p2sh": b"\x3a", "bech32": "tltc"},
    LITECOIN_REGTEST: {"p2pkh": b"\x6f", "p2sh": b"\x3a", "bech32": "rltc"},
    DOGECOIN_MAINNET: {"p2pkh": b"\x1e", "p2sh": b"\x16"},
    DOGECOIN_TESTNET: {"p2pkh": b"\x71", "p2sh": b"\xc4"},
    DOGECOIN_REGTEST: {"p2pkh": b"\x6f", "p2sh": b"\xc4"},
}
"""As each chain's own parameters have them."""
DOGE = 10**8
OWN = derive_script(ALICE_KEY, DOGECOIN_REGTEST)


@pytest.mark.parametrize("kind", make_scripts())
@pytest.mark.parametrize("network", PREFIXES, ids=lambda network: network.name)
def test_addresses_stand_for_the_scripts_that_embit_says(network: BitcoinNetwork, kind: str) -> None:
    """Both ways; Dogecoin has no addresses for witnesses."""
    expected = make_scripts()[kind]
    if network in DOGECOINS and kind not in ("p2pkh", "p2sh"):
        assert format_script(expected.data, network) is None
        return
    address = expected.address(PREFIXES[network])
    assert parse_address(address, network) == expected.data
    assert format_script(expected.data, network) == address


def test_known_addresses() -> None:
    """Of the key that is one, as explorers show them."""
    key = coincurve.PrivateKey((1).to_bytes(32, "big")).public_key.format()
    assert derive_address(key, LITECOIN_MAINNET) == "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9"
    assert derive_address(key, DOGECOIN_MAINNET) == "DFpN6QqFfUm3gKNaxN6tNcab1FArL9cZLE"


@pytest.mark.parametrize("ours", NETWORKS.values(), ids=lambda network: network.name)
@pytest.mark.parametrize("theirs", NETWORKS.values(), ids=lambda network: network.name)
def test_no_chain_takes_anothers_address(ours: BitcoinNetwork, theirs: BitcoinNetwork) -> None:
    """But where they share their prefixes: test networks of one coin, and old forms of regtests."""
    address = derive_address(BOB_KEY, theirs)
    shares = ours.prefix == theirs.prefix and (ours.prefix or ours.key_version == theirs.key_version)
    # Dogecoin's regtest took the old form of Bitcoin's and Litecoin's test networks.
    shares = shares or (theirs is DOGECOIN_REGTEST and ours.key_version == 111)
    if shares:
        parse_address(address, ours)
    else:
        with pytest.raises(WrongNetwork):
            parse_address(address, ours)


@pytest.mark.parametrize("network", [LITECOIN_MAINNET, DOGECOIN_MAINNET], ids=lambda network: network.name)
def test_one_changed_letter_is_noticed(network: BitcoinNetwork) -> None:
    """Wherever it stands."""
    address = derive_address(BOB_KEY, network)
    for place in range(len(address)):
        letter = "q" if address[place] != "q" else "p"
        with pytest.raises(InvalidAddress):
            parse_address(address[:place] + letter + address[place + 1 :], network)


def test_an_extension_block_address_is_refused() -> None:
    """Litecoin's confidential part is not ours to pay to."""
    with pytest.raises(InvalidAddress):
        parse_address("ltcmweb1qq" + "q" * 100, LITECOIN_MAINNET)


# Dogecoin's bytes


def make_parent(number: int, amount: int, owner: bytes = OWN) -> tuple[bytes, str]:
    """A transaction that pays to a script, by embit; and its id."""
    entry = TransactionInput(hashlib.sha256(b"parent %d" % number).digest(), number)
    made = Transaction(1, [entry], [TransactionOutput(amount, Script(owner))])
    return made.serialize(), made.txid().hex()


def make_coin(number: int, amount: int, owner: bytes = OWN) -> Coin:
    """Of such a transaction."""
    parent, name = make_parent(number, amount, owner)
    return Coin(name, 0, amount, owner, None, parent)


def make_cases() -> dict[str, Draft]:
    """Drafts of many shapes."""
    pkh, psh = (Output(5 * DOGE, make_scripts()[kind].data) for kind in ("p2pkh", "p2sh"))
    return {
        "one": Draft((make_coin(1, 10 * DOGE),), (pkh,)),
        "to a script": Draft((make_coin(1, 10 * DOGE),), (psh, Output(4 * DOGE, OWN))),
        "three inputs": Draft(tuple(make_coin(number, 10 * DOGE) for number in range(3)), (pkh, psh)),
        "300 inputs": Draft(tuple(make_coin(number, DOGE) for number in range(300)), (pkh,)),
        "data": Draft((make_coin(1, 10 * DOGE),), (pkh, Output(0, codec.make_data_script(b"much wow")))),
        "millions": Draft((make_coin(1, 20_000_000 * DOGE),), (Output(19_999_999 * DOGE, pkh.script),)),
    }


@pytest.mark.parametrize("case", make_cases())
def test_dogecoin_transactions_are_those_of_embit(case: str) -> None:
    """PSBT, digests, signed PSBT and final bytes."""
    draft = make_cases()[case]
    body = codec.encode_draft(draft)
    theirs = embit_psbt.PSBT.parse(body)
    assert theirs.serialize() == body
    digests = codec.compute_digests(draft, ALICE_KEY)
    assert digests == tuple(theirs.sighash(index) for index in range(len(draft.coins)))
    assert codec.decode_draft(body) == draft
    assert theirs.sign_with(ec.PrivateKey(ALICE.secret)) == len(draft.coins)
    key = ec.PublicKey.parse(ALICE_KEY)
    signatures = [one.partial_sigs[key] for one in theirs.inputs]
    signed = psbt.add_signatures(psbt.decode_psbt(body), ALICE_KEY, signatures)
    assert psbt.encode_psbt(signed) == theirs.serialize()
    final = finalizer.finalize_psbt(theirs)
    assert psbt.extract(psbt.finalize(signed)).serialize(True) == final.serialize()
    ours = codec.attach(draft, ALICE_KEY, [sign(ALICE, digest) for digest in digests])
    for entry, signature in zip(final.vin, [sign(ALICE, digest) for digest in digests], strict=True):
        encoded = codec.encode_signature(signature)
        entry.script_sig = Script(psbt.make_legacy_script(encoded, ALICE_KEY))
    assert ours.serialize(True) == final.serialize()
    assert codec.compute_transaction_id(ours) == final.txid().hex()


def test_the_rules_of_scripts_accept_them(tmp_path: Path) -> None:
    """By Bitcoin Core's own code, which for these scripts is Dogecoin's; and refuse another's signature."""
    kernel = Kernel(tmp_path / "kernel")
    draft = make_cases()["three inputs"]
    spent = [(coin.amount, coin.script) for coin in draft.coins]
    digests = codec.compute_digests(draft, ALICE_KEY)
    good = codec.attach(draft, ALICE_KEY, [sign(ALICE, digest) for digest in digests])
    assert kernel.is_spend_valid(good.serialize(True), spent)
    with pytest.raises(WrongSignature):
        codec.attach(draft, ALICE_KEY, [sign(BOB, digest) for digest in digests])
    good.vin[0].script_sig = good.vin[1].script_sig
    assert not kernel.is_spend_valid(good.serialize(True), spent)


def test_a_lie_about_a_coin_is_found_out() -> None:
    """No signature without a witness covers the amount, so the transaction that made the coin must be there."""
    draft = make_cases()["one"]
    other, _ = make_parent(2, 20 * DOGE)
    lie = replace(draft, coins=(replace(draft.coins[0], parent=other),))
    with pytest.raises(MalformedTransaction, match="another transaction"):
        codec.decode_draft(codec.encode_draft(lie))
    found = psbt.decode_psbt(codec.encode_draft(draft))
    amount = psbt.encode_witness_coin(20 * DOGE, OWN)
    for notes, message in (
        ({psbt.WITNESS_COIN: amount}, "needs the transaction"),
        ({**found.inputs[0], psbt.WITNESS_COIN: amount}, "two things"),
    ):
        with pytest.raises(MalformedTransaction, match=message):
            codec.decode_draft(psbt.encode_psbt(replace(found, inputs=(notes,))))


# Fees and dust


def test_the_size_is_that_of_the_largest_signatures() -> None:
    """Without witnesses every byte counts whole."""
    for draft in make_cases().values():
        digests = codec.compute_digests(draft, ALICE_KEY)
        real = codec.attach(draft, ALICE_KEY, [sign(ALICE, digest) for digest in digests]).vsize
        computed = compute_size(len(draft.coins), draft.outputs, DOGECOIN_REGTEST.terms)
        assert real <= computed <= real + 3 * len(draft.coins)


def test_a_hundredth_of_a_dogecoin_is_the_least() -> None:
    """And the fee is a hundredth for 1,000 bytes."""
    terms = DOGECOIN_MAINNET.terms
    output = Output(DOGE // 100, OWN)
    validate_outputs([output], terms)
    with pytest.raises(InvalidAmount, match="dust"):
        validate_outputs([replace(output, amount=DOGE // 100 - 1)], terms)
    draft = select_coins([make_coin(1, 10 * DOGE)], [output], OWN, terms.rate_min, terms=terms)
    assert draft.fee == compute_fee(compute_size(1, draft.outputs, terms), 1_000_000) == 226 * 1_000
    with pytest.raises(InvalidAmount, match="out of reason"):
        select_coins([make_coin(1, 10 * DOGE)], [output], OWN, 1_000, terms=terms)


@pytest.mark.parametrize(("kind", "least"), [("p2pkh", 5_460), ("p2wpkh", 2_940), ("p2tr", 3_300)])
def test_dust_on_litecoin_is_ten_times_that_on_bitcoin(kind: str, least: int) -> None:
    """litecoind judges the same in tests/e2e/foreign/test_litecoin.py."""
    assert compute_dust(make_scripts()[kind].data, LITECOIN_MAINNET.terms) == least


# The whole way on Dogecoin, with a node that is played


class Doge(JsonRpc):
    """What a Dogecoin node that watches alice's address answers; blocks come when something was sent."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        parent, self.name = make_parent(1, 10 * DOGE)
        self.parents = {self.name: parent.hex()}
        self.sent: dict[str, str] = {}

    async def call(self, method: str, params: Sequence[Any] = (), *, is_repeatable: bool = True) -> Any:
        """As Dogecoin Core 1.14 does."""
        match method, list(params):
            case "getblockhash", [0]:
                return DOGECOIN_REGTEST.genesis_hash
            case "getblockcount", []:
                return 200
            case "listunspent", [1, _, [address]]:
                mine = address == derive_address(ALICE_KEY, DOGECOIN_REGTEST)
                coin = {
                    "txid": self.name,
                    "vout": 0,
                    "scriptPubKey": OWN.hex(),
                    "amount": 10,
                    "confirmations": 3,
                }
                return [coin] if mine and not self.sent else []
            case "gettxout", [name, _, _]:
                return None if name != self.name or self.sent else {"confirmations": 3, "coinbase": False}
            case "getrawtransaction", [name, 0]:
                return self.parents[name]
            case "getrawtransaction", [name, 2]:
                return {"txid": name, "hex": self.sent[name], "confirmations": 1}
            case "sendrawtransaction", [raw]:
                name = codec.compute_transaction_id(psbt.parse_transaction(bytes.fromhex(raw)))
                self.sent[name] = raw
                return name
        raise AssertionError((method, params))


def test_a_dogecoin_transfer_is_built_sent_and_followed() -> None:
    """From the coins of a watched address, with their parents; described in its own coin."""

    async def run() -> None:
        node = Doge()
        adapter = BitcoinAdapter(DOGECOIN_REGTEST.chain, node)
        bob = derive_address(BOB_KEY, DOGECOIN_REGTEST)
        alice = derive_address(ALICE_KEY, DOGECOIN_REGTEST)
        assert await adapter.fetch_balance(alice) == 10 * DOGE
        unsigned = await adapter.build_transfer(ALICE_KEY, bob, 4 * DOGE)
        assert adapter.describe(unsigned) == (
            f"Send 4 DOGE from {alice} to {bob} on Dogecoin regtest, for a fee of at most 0.00226 DOGE."
        )
        payloads = adapter.list_payloads(unsigned)
        signed = adapter.attach(unsigned, [sign(ALICE, payload.data) for payload in payloads])
        await adapter.broadcast(signed)
        assert (await adapter.fetch_status(signed)).state is State.FINAL
        assert isinstance(signed, SignedTransaction)
        theirs = Transaction.parse(signed.raw)
        assert theirs.vout[0].value == 4 * DOGE
        assert theirs.vout[0].script_pubkey == script.p2pkh(ec.PublicKey.parse(BOB_KEY))
        with pytest.raises(InsufficientFunds):
            await adapter.build_transfer(ALICE_KEY, bob, 4 * DOGE)
        with pytest.raises(WrongNetwork):
            await adapter.build_transfer(ALICE_KEY, derive_address(BOB_KEY, MAINNET), DOGE)
        with pytest.raises(WrongNetwork):
            adapter.list_payloads(UnsignedTransaction(REGTEST.chain, ALICE_KEY, unsigned.body))
        await adapter.close()

    asyncio.run(run())
