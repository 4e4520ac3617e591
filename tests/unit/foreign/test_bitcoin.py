"""Bitcoin: bytes as an independent library makes them, and everything that must not pass."""

import contextlib
import hashlib
from dataclasses import replace
from typing import Any

import coincurve
import pytest
from embit import ec, networks, psbt, script
from embit.transaction import Transaction
from hypothesis import given
from hypothesis import strategies as st

from hither.foreign import bitcoin_coins as selection
from hither.foreign import bitcoin_transactions as codec
from hither.foreign.adapter import EcdsaSignature, UnsignedTransaction
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.bitcoin_addresses import (
    GROUP_ORDER,
    MAINNET,
    REGTEST,
    TESTNET,
    BitcoinNetwork,
    derive_address,
    derive_script,
    format_script,
    get_network,
    parse_address,
)
from hither.foreign.bitcoin_psbt import parse_transaction
from hither.foreign.bitcoin_transactions import Coin, Draft, Output
from hither.foreign.caip import ChainId, parse_chain_id
from hither.foreign.errors import (
    InsufficientFunds,
    InvalidAddress,
    InvalidAmount,
    InvalidChainId,
    InvalidInput,
    InvalidPublicKey,
    MalformedTransaction,
    WrongNetwork,
    WrongSignature,
)
from hither.foreign.transport import JsonRpc

EMBIT_NAMES = {MAINNET: "main", TESTNET: "test", REGTEST: "regtest"}
ALICE = coincurve.PrivateKey(hashlib.sha256(b"alice").digest())
BOB = coincurve.PrivateKey(hashlib.sha256(b"bob").digest())
ALICE_KEY = ALICE.public_key.format()
BOB_KEY = BOB.public_key.format()
ALICE_SCRIPT = derive_script(ALICE_KEY)
BOB_SCRIPT = derive_script(BOB_KEY)


def sign(key: coincurve.PrivateKey, digest: bytes) -> EcdsaSignature:
    """A signature as the signing network gives it."""
    compact = key.sign_recoverable(digest, hasher=None)
    return EcdsaSignature(bytes((2 + (compact[64] & 1),)) + compact[:32], compact[32:64], compact[64])


def make_coin(number: int, amount: int, owner: bytes = ALICE_SCRIPT) -> Coin:
    """A coin of some earlier transaction."""
    return Coin(hashlib.sha256(b"coin %d" % number).hexdigest(), number, amount, owner, 1)


def make_adapter(network: BitcoinNetwork = REGTEST) -> BitcoinAdapter:
    """One that asks nobody."""
    return BitcoinAdapter(network.chain, JsonRpc("http://127.0.0.1:1"))


def make_scripts() -> dict[str, script.Script]:
    """One output script of every type that has an address, made by embit."""
    key = ec.PublicKey.parse(BOB_KEY)
    inner = script.p2wpkh(key)
    return {
        "p2pkh": script.p2pkh(key),
        "p2sh": script.p2sh(inner),
        "p2wpkh": inner,
        "p2wsh": script.p2wsh(inner),
        "p2tr": script.p2tr(key),
    }


# Addresses


@pytest.mark.parametrize("network", EMBIT_NAMES, ids=lambda network: network.name)
@pytest.mark.parametrize("kind", make_scripts())
def test_addresses_stand_for_the_scripts_that_embit_says(network: BitcoinNetwork, kind: str) -> None:
    """Every type that can be paid, with each network's prefix, both ways."""
    expected = make_scripts()[kind]
    address = expected.address(networks.NETWORKS[EMBIT_NAMES[network]])
    assert parse_address(address, network) == expected.data
    assert format_script(expected.data, network) == address


@pytest.mark.parametrize("network", EMBIT_NAMES, ids=lambda network: network.name)
def test_a_key_has_the_address_that_embit_derives(network: BitcoinNetwork) -> None:
    """P2WPKH, from keys of both parities."""
    for number in range(1, 20):
        key = coincurve.PrivateKey(number.to_bytes(32, "big")).public_key.format()
        expected = script.p2wpkh(ec.PublicKey.parse(key)).address(networks.NETWORKS[EMBIT_NAMES[network]])
        assert derive_address(key, network) == expected


@pytest.mark.parametrize("kind", make_scripts())
@pytest.mark.parametrize(("ours", "theirs"), [(REGTEST, MAINNET), (MAINNET, REGTEST), (MAINNET, TESTNET)])
def test_an_address_of_another_network_is_refused(
    ours: BitcoinNetwork, theirs: BitcoinNetwork, kind: str
) -> None:
    """By its prefix, whatever its type."""
    address = make_scripts()[kind].address(networks.NETWORKS[EMBIT_NAMES[theirs]])
    with pytest.raises(WrongNetwork):
        parse_address(address, ours)


def test_a_regtest_address_is_none_of_testnet() -> None:
    """They share the prefixes of old addresses, but not those of new ones."""
    with pytest.raises(WrongNetwork):
        parse_address(derive_address(BOB_KEY, REGTEST), TESTNET)


def test_a_caip_10_account_of_another_chain_is_refused() -> None:
    """And one of this chain is good."""
    address = derive_address(BOB_KEY, REGTEST)
    assert make_adapter().parse_address(f"{REGTEST.chain}:{address}") == address
    with pytest.raises(WrongNetwork):
        make_adapter().parse_address(f"{MAINNET.chain}:{address}")


@pytest.mark.parametrize("kind", make_scripts())
def test_one_changed_letter_is_noticed(kind: str) -> None:
    """Every address type has a checksum."""
    address = make_scripts()[kind].address(networks.NETWORKS["main"])
    for place in range(len(address)):
        letter = "q" if address[place] != "q" else "p"
        with pytest.raises(InvalidAddress):
            parse_address(address[:place] + letter + address[place + 1 :], MAINNET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bc1",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        # The checksums of BIP-350, each under the other's witness version.
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
        "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KEMEAWH",
        # Witness versions that nothing protects yet.
        "BC1SW50QGDZ25J",
        "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """With a typed error, not the library's."""
    with pytest.raises(InvalidAddress):
        parse_address(text, MAINNET)


@pytest.mark.parametrize("key", [b"", b"\x02" * 32, b"\x04" + b"\x11" * 32, b"\x02" + b"\xff" * 32])
def test_what_is_no_key_is_refused(key: bytes) -> None:
    """Wrong size, wrong mark, no point."""
    with pytest.raises(InvalidPublicKey):
        derive_address(key, REGTEST)


def test_networks_are_named_by_their_genesis_block() -> None:
    """The ids that CAIP lists, and no other."""
    assert get_network(parse_chain_id("bip122:000000000019d6689c085ae165831e93")) is MAINNET
    assert get_network(parse_chain_id("bip122:0f9188f13cb7b2c71f2a335e3a4fc328")) is REGTEST
    with pytest.raises(InvalidChainId):
        get_network(ChainId("bip122", "12a765e31ffd4059bada1e25190f6e99"))


# Bytes


def make_cases() -> dict[str, Draft]:
    """Drafts of many shapes."""
    outputs = {kind: Output(20_000, one.data) for kind, one in make_scripts().items()}
    cases = {f"to {kind}": Draft((make_coin(1, 50_000),), (output,)) for kind, output in outputs.items()}
    everybody = tuple(outputs.values())
    cases["three inputs"] = Draft(tuple(make_coin(number, 40_000 + number) for number in range(3)), everybody)
    cases["300 inputs"] = Draft(tuple(make_coin(number, 1_000) for number in range(300)), everybody)
    data = Output(0, codec.make_data_script(b"hello from hither"))
    cases["data"] = Draft((make_coin(1, 50_000),), (outputs["p2tr"], data))
    cases["long data"] = Draft((make_coin(1, 50_000),), (Output(0, codec.make_data_script(b"x" * 80)),))
    cases["final"] = Draft((make_coin(1, 50_000),), everybody[:1], sequence=codec.SEQUENCE_FINAL)
    cases["locked"] = Draft((make_coin(1, 50_000),), everybody[:2], lock_time=840_000)
    cases["all bitcoin"] = Draft((make_coin(1, codec.SATOSHIS_MAX),), everybody)
    cases["no output"] = replace(cases["final"], outputs=(Output(0, b"\x6a"),))
    return cases


@pytest.mark.parametrize("case", make_cases())
def test_drafts_and_digests_are_those_of_embit(case: str) -> None:
    """embit reads our PSBT, hashes the same, and its own PSBT of the same transaction is the same bytes."""
    draft = make_cases()[case]
    body = codec.encode_draft(draft)
    theirs = psbt.PSBT.parse(body)
    assert theirs.serialize() == body
    digests = codec.compute_digests(draft, ALICE_KEY)
    assert digests == tuple(theirs.sighash(index) for index in range(len(draft.coins)))
    assert codec.decode_draft(body) == replace(
        draft, coins=tuple(replace(coin, height=None) for coin in draft.coins)
    )


@pytest.mark.parametrize("case", make_cases())
def test_signed_transactions_are_those_of_embit(case: str) -> None:
    """embit signs with the same nonces (RFC 6979, low r not ground), so that whole transactions are equal."""
    draft = make_cases()[case]
    signatures = [sign(ALICE, digest) for digest in codec.compute_digests(draft, ALICE_KEY)]
    ours = codec.attach(draft, ALICE_KEY, signatures)
    theirs = psbt.PSBT.parse(codec.encode_draft(draft)).tx
    for entry, signature in zip(theirs.vin, signatures, strict=True):
        der = ec.Signature.parse(codec.encode_signature(signature)[:-1])
        entry.witness = script.witness_p2wpkh(der, ec.PublicKey.parse(ALICE_KEY))
    assert ours.serialize(True) == theirs.serialize()
    assert codec.compute_transaction_id(ours) == theirs.txid().hex()
    assert ours.hash.hex() == hashlib.sha256(hashlib.sha256(theirs.serialize()).digest()).digest()[::-1].hex()
    assert parse_transaction(theirs.serialize()) == ours
    assert Transaction.parse(ours.serialize(True)).serialize() == theirs.serialize()


@pytest.mark.parametrize("size", [0, 75, 76, 80])
def test_data_outputs_are_pushed_as_short_as_can_be(size: int) -> None:
    """One byte of length up to 75, two above."""
    data = b"d" * size
    push = bytes((size,)) if size <= 75 else b"\x4c" + bytes((size,))
    assert codec.make_data_script(data) == b"\x6a" + push + data


def test_more_data_than_is_relayed_is_refused() -> None:
    """Before anything is built."""
    with pytest.raises(InvalidInput):
        codec.make_data_script(b"d" * 81)


def test_a_high_s_is_turned_low() -> None:
    """Nodes refuse the other of the two equivalent signatures."""
    draft = make_cases()["to p2wpkh"]
    good = sign(ALICE, codec.compute_digests(draft, ALICE_KEY)[0])
    high = replace(good, s=(GROUP_ORDER - int.from_bytes(good.s, "big")).to_bytes(32, "big"))
    ours = codec.attach(draft, ALICE_KEY, [good]).serialize(True)
    assert codec.attach(draft, ALICE_KEY, [high]).serialize(True) == ours


# What must not pass


def make_unsigned(draft: Draft) -> UnsignedTransaction:
    """Of alice, on regtest."""
    return UnsignedTransaction(REGTEST.chain, ALICE_KEY, codec.encode_draft(draft))


def spoil(signature: EcdsaSignature, way: str, digest: bytes) -> EcdsaSignature:
    """A signature that is wrong in one way."""
    match way:
        case "of another key":
            return sign(BOB, digest)
        case "of other bytes":
            return sign(ALICE, hashlib.sha256(digest).digest())
        case "s plus one":
            return replace(signature, s=(int.from_bytes(signature.s, "big") + 1).to_bytes(32, "big"))
        case "s zero":
            return replace(signature, s=bytes(32))
        case "s beyond the order":
            return replace(signature, s=b"\xff" * 32)
        case "r zero":
            return replace(signature, big_r=b"\x02" + bytes(32))
        case "r short":
            return replace(signature, big_r=signature.big_r[:-1])
        case _:
            return replace(signature, big_r=b"\x02" + signature.s)


WAYS = (
    "of another key",
    "of other bytes",
    "s plus one",
    "s zero",
    "s beyond the order",
    "r zero",
    "r short",
    "r is s",
)


@pytest.mark.parametrize("way", WAYS)
def test_a_wrong_signature_is_refused_before_anything_is_sent(way: str) -> None:
    """Also when it is only one of three."""
    unsigned = make_unsigned(make_cases()["three inputs"])
    adapter = make_adapter()
    payloads = adapter.list_payloads(unsigned)
    good = [sign(ALICE, payload.data) for payload in payloads]
    adapter.attach(unsigned, good)
    for index in range(3):
        spoiled = [*good]
        spoiled[index] = spoil(good[index], way, payloads[index].data)
        with pytest.raises(WrongSignature):
            adapter.attach(unsigned, spoiled)


def test_signatures_in_the_wrong_order_or_number_are_refused() -> None:
    """Each belongs to one input."""
    unsigned = make_unsigned(make_cases()["three inputs"])
    adapter = make_adapter()
    good = [sign(ALICE, payload.data) for payload in adapter.list_payloads(unsigned)]
    for wrong in (good[::-1], good[:2], good + good[:1], []):
        with pytest.raises(WrongSignature):
            adapter.attach(unsigned, wrong)


def test_the_coin_of_another_key_is_not_signed_for() -> None:
    """The PSBT says whose coins it spends."""
    draft = Draft((make_coin(1, 50_000), make_coin(2, 50_000, BOB_SCRIPT)), (Output(20_000, BOB_SCRIPT),))
    with pytest.raises(MalformedTransaction, match="not a coin of this key"):
        make_adapter().list_payloads(make_unsigned(draft))


def test_a_transaction_for_another_network_is_refused() -> None:
    """The bytes are the same on every network; the id beside them is not."""
    unsigned = replace(make_unsigned(make_cases()["data"]), chain=MAINNET.chain)
    with pytest.raises(WrongNetwork):
        make_adapter().list_payloads(unsigned)


def test_outputs_that_exceed_inputs_are_refused() -> None:
    """No fee can be negative."""
    draft = Draft((make_coin(1, 50_000),), (Output(50_001, BOB_SCRIPT),))
    with pytest.raises(MalformedTransaction):
        codec.decode_draft(codec.encode_draft(draft))


@given(cut=st.integers(min_value=0, max_value=400), place=st.integers(0, 400), value=st.integers(0, 255))
def test_spoiled_drafts_are_refused_or_mean_what_they_say(cut: int, place: int, value: int) -> None:
    """Never another error than ours; what passes is written again as it was read, or carries foreign notes."""
    body = bytearray(codec.encode_draft(make_cases()["data"]))
    body[place % len(body)] = value
    for spoiled in (bytes(body), bytes(body[:cut]), bytes(body) + b"\x00"):
        try:
            draft = codec.decode_draft(spoiled)
        except MalformedTransaction:
            continue
        assert codec.decode_draft(codec.encode_draft(draft)) == draft


@given(st.binary(max_size=300))
def test_other_bytes_are_no_transaction(data: bytes) -> None:
    """Never another error than ours."""
    for read in (parse_transaction, codec.decode_draft):
        for prefix in (b"", b"psbt\xff"):
            with contextlib.suppress(MalformedTransaction):
                read(prefix + data)


# Coins and fees


def test_the_size_is_that_of_the_largest_signatures() -> None:
    """Never below what is sent, and no more than two virtual bytes an input above."""
    for draft in make_cases().values():
        signatures = [sign(ALICE, digest) for digest in codec.compute_digests(draft, ALICE_KEY)]
        real = codec.attach(draft, ALICE_KEY, signatures).vsize
        computed = selection.compute_size(len(draft.coins), draft.outputs)
        assert real <= computed <= real + 2 * len(draft.coins)


def test_the_largest_coins_pay_in_any_order() -> None:
    """Few inputs, and the same ones however the node lists them; the change comes back."""
    coins = [make_coin(number, amount) for number, amount in enumerate((3_000, 90_000, 40_000, 60_000))]
    outputs = [Output(100_000, BOB_SCRIPT)]
    draft = selection.select_coins(coins, outputs, ALICE_SCRIPT, 2_000)
    assert [coin.amount for coin in draft.coins] == [90_000, 60_000]
    assert selection.select_coins(coins[::-1], outputs, ALICE_SCRIPT, 2_000) == draft
    assert draft.outputs == (outputs[0], Output(150_000 - 100_000 - draft.fee, ALICE_SCRIPT))
    assert draft.fee == selection.compute_fee(selection.compute_size(2, draft.outputs), 2_000) == 2 * 209


def test_change_below_the_dust_limit_goes_to_the_fee() -> None:
    """One satoshi above it, change is made."""
    outputs = [Output(100_000, BOB_SCRIPT)]
    with_change = selection.compute_fee(selection.compute_size(1, [*outputs, *outputs]), 1_000)
    least = 100_000 + with_change + 294
    kept = selection.select_coins([make_coin(1, least)], outputs, ALICE_SCRIPT, 1_000)
    assert kept.outputs[1:] == (Output(294, ALICE_SCRIPT),)
    given_away = selection.select_coins([make_coin(1, least - 1)], outputs, ALICE_SCRIPT, 1_000)
    assert given_away.outputs == tuple(outputs)
    assert given_away.fee == with_change + 293


@pytest.mark.parametrize(
    ("kind", "least"), [("p2pkh", 546), ("p2sh", 540), ("p2wpkh", 294), ("p2wsh", 330), ("p2tr", 330)]
)
def test_dust_is_refused(kind: str, least: int) -> None:
    """Bitcoin Core's limits by type."""
    output = make_scripts()[kind].data
    selection.validate_outputs([Output(least, output)])
    with pytest.raises(InvalidAmount, match="dust"):
        selection.validate_outputs([Output(least - 1, output)])


@pytest.mark.parametrize("amount", [-1, codec.SATOSHIS_MAX + 1])
def test_amounts_that_cannot_be_are_refused(amount: int) -> None:
    """Negative, or more than there will ever be."""
    with pytest.raises(InvalidAmount):
        selection.validate_outputs([Output(amount, BOB_SCRIPT)])


def test_what_is_missing_is_said() -> None:
    """To the satoshi: with exactly that more the payment passes."""
    outputs = [Output(100_000, BOB_SCRIPT)]
    with pytest.raises(InsufficientFunds) as caught:
        selection.select_coins([make_coin(1, 100_000)], outputs, ALICE_SCRIPT, 1_000)
    selection.select_coins([make_coin(1, caught.value.needed)], outputs, ALICE_SCRIPT, 1_000)
    with pytest.raises(InsufficientFunds):
        selection.select_coins([make_coin(1, caught.value.needed - 1)], outputs, ALICE_SCRIPT, 1_000)


def test_coins_that_cost_more_than_they_bring_stay_where_they_are() -> None:
    """At a high rate small coins do not help."""
    coins = [make_coin(0, 100_000)] + [make_coin(number, 600) for number in range(1, 9)]
    with pytest.raises(InsufficientFunds) as caught:
        selection.select_coins(coins, [Output(99_500, BOB_SCRIPT)], ALICE_SCRIPT, 10_000)
    assert caught.value.balance == 100_000


@pytest.mark.parametrize("rate", [0, selection.RATE_MIN - 1, selection.RATE_MAX + 1])
def test_rates_out_of_reason_are_refused(rate: int) -> None:
    """Too little is not relayed; too much is a mistake."""
    with pytest.raises(InvalidAmount):
        selection.select_coins([make_coin(1, 10**9)], [Output(1_000, BOB_SCRIPT)], ALICE_SCRIPT, rate)


def test_a_replacement_pays_more_from_the_same_coins() -> None:
    """Payments stay; the change is smaller by what the fee is higher."""
    first = selection.select_coins(
        [make_coin(1, 500_000)], [Output(100_000, BOB_SCRIPT)], ALICE_SCRIPT, 1_000
    )
    second = selection.replace_draft(first, ALICE_SCRIPT, 5_000)
    assert (second.coins, second.outputs[0]) == (first.coins, first.outputs[0])
    assert second.fee == 5 * first.fee
    with pytest.raises(InvalidAmount):
        selection.replace_draft(first, ALICE_SCRIPT, 1_990)
    with pytest.raises(InvalidAmount, match="may be replaced"):
        selection.replace_draft(replace(first, sequence=codec.SEQUENCE_FINAL), ALICE_SCRIPT, 5_000)
    with pytest.raises(InsufficientFunds):
        selection.replace_draft(first, ALICE_SCRIPT, 5_000_000)


def test_a_transfer_is_described_from_its_bytes() -> None:
    """The change is no payment; data is named."""
    bob = derive_address(BOB_KEY, REGTEST)
    coins: list[Any] = [make_coin(1, 500_000)]
    draft = selection.select_coins(coins, [Output(100_000, BOB_SCRIPT)], ALICE_SCRIPT, 1_000)
    assert make_adapter().describe(make_unsigned(draft)) == (
        f"Send 0.001 BTC from {derive_address(ALICE_KEY, REGTEST)} to {bob} on Bitcoin regtest, "
        "for a fee of at most 0.00000141 BTC."
    )
    outputs = [Output(100_000, BOB_SCRIPT), Output(0, codec.make_data_script(b"hi"))]
    transfer = make_adapter().inspect(
        make_unsigned(selection.select_coins(coins, outputs, ALICE_SCRIPT, 1_000))
    )
    assert transfer.receiver == f"{bob}, nobody (data 6869)"
    own = selection.select_coins(coins, [Output(100_000, ALICE_SCRIPT)], ALICE_SCRIPT, 1_000)
    assert make_adapter().inspect(make_unsigned(own)).amount == 100_000
