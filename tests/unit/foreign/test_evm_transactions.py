"""EVM bytes against eth-account's and rlp's, and what must be refused."""

from dataclasses import replace

import pytest
import rlp as independent_rlp
from eth_account import Account
from eth_account._utils.legacy_transactions import serializable_unsigned_transaction_from_dict
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from hither.crypto.hashing import keccak256
from hither.foreign import evm_addresses, rlp
from hither.foreign import evm_transactions as codec
from hither.foreign.adapter import EcdsaSignature, Payload, Scheme, UnsignedTransaction
from hither.foreign.caip import parse_chain_id
from hither.foreign.errors import (
    InvalidAddress,
    InvalidPublicKey,
    MalformedTransaction,
    WrongNetwork,
    WrongSignature,
)
from hither.foreign.evm import EvmAdapter
from hither.foreign.evm_chains import get_evm_chain
from hither.foreign.evm_signatures import ORDER
from hither.foreign.evm_transactions import (
    AccessListTransaction,
    Authorization,
    EvmTransaction,
    FeeMarketTransaction,
    LegacyTransaction,
    SetCodeTransaction,
    SignedAuthorization,
)
from hither.foreign.transport import JsonRpc
from tests.unit.foreign.signing_network import SigningNetwork

ALICE = SigningNetwork("alice")
ALICE_KEY = ALICE.get_public_key(Scheme.ECDSA)
BOB = bytes.fromhex("5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
TOUCHED = ((BOB, (bytes(32), b"\1" * 32)), (b"\2" * 20, ()))


def authorize(name: str, authorization: Authorization) -> SignedAuthorization:
    """Signed outside the builder."""
    person = SigningNetwork(name)
    signature = person.sign(Payload(Scheme.ECDSA, 0, authorization.digest))
    assert isinstance(signature, EcdsaSignature)
    return codec.attach_authorization(person.get_public_key(Scheme.ECDSA), authorization, signature)


AUTHORIZED = (
    authorize("bob", Authorization(8453, b"\3" * 20, 0)),
    authorize("carol", Authorization(0, bytes(20), 2**40)),
)

CASES: dict[str, EvmTransaction] = {
    "legacy": LegacyTransaction(1, 0, 10**9, 21_000, BOB, 10**18),
    "legacy of a large chain id": LegacyTransaction(2**40, 127, 0, 2**32, BOB, 0, b"\0"),
    "legacy creation": LegacyTransaction(8453, 128, 7, 10**6, b"", 0, b"\x60" * 60),
    "access list": AccessListTransaction(1, 0, 10**9, 30_000, BOB, 10**18, b"", TOUCHED),
    "access list, empty": AccessListTransaction(534352, 1, 0, 21_000, BOB, 0),
    "access list creation": AccessListTransaction(59144, 5, 7, 10**6, b"", 1, b"\x60" * 60, TOUCHED),
    "set code": SetCodeTransaction(8453, 3, 1, 10**9, 10**5, BOB, 5, b"\1\2", (), AUTHORIZED[:1]),
    "set code twice": SetCodeTransaction(1, 0, 0, 1, 10**6, BOB, 0, b"", TOUCHED, AUTHORIZED),
    "fee market": FeeMarketTransaction(42161, 9, 1, 10**10, 21_000, BOB, 2**256 - 1),
    "fee market of zeros": FeeMarketTransaction(10, 0, 0, 0, 0, BOB, 0),
    "fee market call": FeeMarketTransaction(8453, 2**40, 3, 4, 10**6, BOB, 5, bytes(range(200)), TOUCHED),
    "fee market creation": FeeMarketTransaction(1, 1, 1, 1, 10**6, b"", 0, b"\x60\x80" * 300),
}


def to_dictionary(transaction: EvmTransaction) -> dict[str, object]:
    """As eth-account takes it."""
    fields: dict[str, object] = {
        "chainId": transaction.chain_id,
        "nonce": transaction.nonce,
        "gas": transaction.gas_limit,
        "value": transaction.amount,
        "data": transaction.data,
    }
    if transaction.receiver:
        fields["to"] = to_checksum_address(transaction.receiver)
    if isinstance(transaction, LegacyTransaction):
        return {**fields, "gasPrice": transaction.gas_price}
    accesses: list[dict[str, object]] = [
        {"address": to_checksum_address(address), "storageKeys": ["0x" + key.hex() for key in keys]}
        for address, keys in transaction.access_list
    ]
    if isinstance(transaction, AccessListTransaction):
        return {**fields, "gasPrice": transaction.gas_price, "type": 1, "accessList": accesses}
    prices = {
        "maxFeePerGas": transaction.gas_price_max,
        "maxPriorityFeePerGas": transaction.priority_fee_max,
    }
    typed = {**fields, **prices, "type": 2, "accessList": accesses}
    if isinstance(transaction, SetCodeTransaction):
        typed |= {"type": 4, "authorizationList": list(map(to_signed_dictionary, transaction.authorizations))}
    return typed


def to_signed_dictionary(signed: SignedAuthorization) -> dict[str, object]:
    """An authorization as eth-account takes it."""
    return {
        "chainId": signed.authorization.chain_id,
        "address": to_checksum_address(signed.authorization.delegate),
        "nonce": signed.authorization.nonce,
        "yParity": signed.parity,
        "r": signed.r,
        "s": signed.s,
    }


def sign(body: bytes) -> EcdsaSignature:
    """Outside the builder."""
    signature = ALICE.sign(Payload(Scheme.ECDSA, 0, keccak256(body)))
    assert isinstance(signature, EcdsaSignature)
    return signature


@pytest.mark.parametrize("transaction", CASES.values(), ids=list(CASES))
def test_bytes_equal_an_independent_library(transaction: EvmTransaction) -> None:
    """The digest before signing, and the whole transaction after; both libraries sign deterministically."""
    body = codec.encode_unsigned(transaction)
    fields = to_dictionary(transaction)
    assert keccak256(body) == bytes(serializable_unsigned_transaction_from_dict(fields).hash())
    raw = codec.attach(ALICE_KEY, body, sign(body))
    assert raw == bytes(Account.sign_transaction(fields, ALICE.secret).raw_transaction)
    assert codec.decode_unsigned(body) == transaction
    assert codec.decode_signed(raw)[0] == transaction
    assert evm_addresses.format_address(codec.recover_sender(raw)) == Account.recover_transaction(raw)


@pytest.mark.parametrize("transaction", CASES.values(), ids=list(CASES))
def test_a_signature_for_other_bytes_is_refused(transaction: EvmTransaction) -> None:
    """The same transaction with the next nonce."""
    other = codec.encode_unsigned(replace(transaction, nonce=transaction.nonce + 1))
    with pytest.raises(WrongSignature, match="of another key, or for other bytes"):
        codec.attach(ALICE_KEY, codec.encode_unsigned(transaction), sign(other))


def test_authorizations_equal_an_independent_library() -> None:
    """Digest and signature, and the account is known from them."""
    authorization = Authorization(8453, b"\3" * 20, 77)
    signed = authorize("alice", authorization)
    fields = {"chainId": 8453, "address": to_checksum_address(b"\3" * 20), "nonce": 77}
    other = Account.sign_authorization(fields, ALICE.secret)
    assert (authorization.digest, signed.parity) == (bytes(other.authorization_hash), other.y_parity)
    assert (signed.r, signed.s) == (other.r, other.s)
    assert signed.recover_account() == evm_addresses.derive_address(ALICE_KEY)


def test_an_authorization_of_another_key_is_refused() -> None:
    """A chain would pass over it, and run the transaction without it."""
    first, second = Authorization(1, BOB, 0), Authorization(1, BOB, 1)
    signature = ALICE.sign(Payload(Scheme.ECDSA, 0, first.digest))
    assert isinstance(signature, EcdsaSignature)
    with pytest.raises(WrongSignature):
        codec.attach_authorization(ALICE_KEY, second, signature)


MALFORMED = {
    "nothing": b"",
    "a type that nobody knows": b"\x05" + codec.encode_unsigned(CASES["fee market"])[1:],
    "a blob transaction": b"\x03" + codec.encode_unsigned(CASES["fee market"])[1:],
    "a type's fields under another type": b"\x01" + codec.encode_unsigned(CASES["fee market"])[1:],
    "set code that creates": codec.encode_unsigned(replace(CASES["set code"], receiver=b"")),
    "set code without authorizations": codec.encode_unsigned(
        SetCodeTransaction(1, 0, 0, 1, 10**6, BOB, 0, b"", (), ())
    ),
    "a receiver of 19 bytes": codec.encode_unsigned(replace(CASES["fee market"], receiver=BOB[1:])),
    "a storage key of 31 bytes": codec.encode_unsigned(
        AccessListTransaction(1, 0, 1, 1, BOB, 0, b"", ((BOB, (bytes(31),)),))
    ),
    "a nonce of nine bytes": codec.encode_unsigned(replace(CASES["fee market"], nonce=2**64)),
    "an amount of 33 bytes": codec.encode_unsigned(replace(CASES["legacy"], amount=2**256)),
    "a byte more": codec.encode_unsigned(CASES["set code"]) + b"\0",
    "a byte less": codec.encode_unsigned(CASES["access list"])[:-1],
    "a legacy transaction without its chain": rlp.encode([b"", b"\1", b"\1", BOB, b"", b""]),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=list(MALFORMED))
def test_malformed_transactions_are_refused(body: bytes) -> None:
    """Before anybody is asked to sign them."""
    with pytest.raises(MalformedTransaction):
        codec.decode_unsigned(body)


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("numbers", [(2, 1, 1), (0, 0, 1), (0, 1, 0), (0, 1, ORDER - 1), (1, ORDER, 1)])
def test_signatures_out_of_range_are_refused(name: str, numbers: tuple[int, int, int]) -> None:
    """A parity of two, zeros, the upper half, the order itself."""
    if numbers[0] > 1 and name.startswith("legacy"):
        numbers = (0, 0, 0)  # There the parity is part of another number, which cannot be wrong alone.
    with pytest.raises(MalformedTransaction):
        codec.decode_signed(codec.encode_signed(CASES[name], *numbers))


def test_a_signature_of_another_key_is_refused() -> None:
    """A chain would take it as bob's transaction."""
    body = codec.encode_unsigned(CASES["legacy"])
    with pytest.raises(WrongSignature, match="of another key"):
        codec.attach(SigningNetwork("bob").get_public_key(Scheme.ECDSA), body, sign(body))


def test_a_mangled_signature_is_refused() -> None:
    """The upper s is the same signature to mathematics, and no transaction to a chain."""
    body = codec.encode_unsigned(CASES["fee market"])
    good = sign(body)
    high = (ORDER - int.from_bytes(good.s, "big")).to_bytes(32, "big")
    flipped = EcdsaSignature(bytes((5 - good.big_r[0],)) + good.r, high, 1 - good.recovery_id)
    with pytest.raises(WrongSignature, match="upper half"):
        codec.attach(ALICE_KEY, body, flipped)
    with pytest.raises(WrongSignature, match="recovery id does not fit"):
        codec.attach(ALICE_KEY, body, replace(good, recovery_id=1 - good.recovery_id))
    with pytest.raises(WrongSignature, match="of another key"):
        codec.attach(ALICE_KEY, body, EcdsaSignature(flipped.big_r, good.s, flipped.recovery_id))
    with pytest.raises(WrongSignature, match="of another key"):
        codec.attach(ALICE_KEY, body, replace(good, s=bytes(32)))


# Addresses


def test_addresses_are_derived_as_elsewhere() -> None:
    """Of keys with even and odd y."""
    for name in ("alice", "bob", "carol", "dave"):
        person = SigningNetwork(name)
        key = person.get_public_key(Scheme.ECDSA)
        assert (
            evm_addresses.format_address(evm_addresses.derive_address(key))
            == Account.from_key(person.secret).address
        )


@pytest.mark.parametrize(
    "text",
    [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_addresses_of_the_standard_are_read_and_written(text: str) -> None:
    """Examples from EIP-55."""
    assert evm_addresses.format_address(evm_addresses.parse_address(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",  # the last letter's case
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAedd",
        "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed\n",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    ],
)
def test_malformed_addresses_are_refused(text: str) -> None:
    """A wrong checksum, a digit too few or too many, another chain's."""
    with pytest.raises(InvalidAddress):
        evm_addresses.parse_address(text)


@pytest.mark.parametrize(
    "key", [b"", ALICE_KEY[1:], b"\4" + ALICE_KEY[1:], b"\2" + b"\xff" * 32, b"\2" + b"\0" * 31 + b"\5"]
)
def test_what_is_no_key_has_no_address(key: bytes) -> None:
    """Wrong size, wrong prefix, a coordinate beyond the field, one that is on no point."""
    with pytest.raises(InvalidPublicKey):
        evm_addresses.derive_address(key)


# Recursive length prefix

ITEMS = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=8), max_leaves=40)


@given(ITEMS)
def test_nested_lists_are_written_as_elsewhere(item: rlp.Item) -> None:
    """And read back."""
    data = rlp.encode(item)
    assert data == independent_rlp.encode(item)
    assert rlp.decode(data) == item


@given(st.binary(max_size=80))
def test_only_the_one_form_is_read(data: bytes) -> None:
    """What can be read is written back as the same bytes."""
    try:
        item = rlp.decode(data)
    except MalformedTransaction:
        return
    assert rlp.encode(item) == data


@pytest.mark.parametrize("text", ["8100", "b800", "b90001", "c1", "f800", "82ff", "", "00" * 2, "f8", "b8"])
def test_other_forms_are_refused(text: str) -> None:
    """A byte with a length, long forms of short lengths, bytes missing, bytes left."""
    with pytest.raises(MalformedTransaction):
        rlp.decode(bytes.fromhex(text))


def test_deep_nesting_is_refused() -> None:
    """Before it exhausts the stack."""
    item: rlp.Item = []
    for _ in range(40):
        item = [item]
    with pytest.raises(MalformedTransaction):
        rlp.decode(rlp.encode(item))


@given(st.binary(max_size=150))
def test_hostile_transactions_are_refused_cleanly(data: bytes) -> None:
    """No other error comes out."""
    for decode in (codec.decode_unsigned, codec.decode_signed):
        for body in (data, b"\1" + data, b"\2" + data, b"\4" + data):
            try:
                decode(body)
            except MalformedTransaction:
                continue


# The adapter's own part without an endpoint


def make_adapter(chain: str = "eip155:8453") -> EvmAdapter:
    return EvmAdapter(get_evm_chain(parse_chain_id(chain)), JsonRpc("http://127.0.0.1:1"))


def test_a_transfer_is_described_from_its_bytes() -> None:
    """What is signed is what is said."""
    body = codec.encode_unsigned(FeeMarketTransaction(8453, 0, 1, 10**9, 21_000, BOB, 15 * 10**17))
    sentence = make_adapter().describe(UnsignedTransaction(parse_chain_id("eip155:8453"), ALICE_KEY, body))
    assert sentence == (
        f"Send 1.5 ETH from {Account.from_key(ALICE.secret).address} to "
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed on Base, "
        "for a fee of at most 0.000021 ETH and the price of its data on Ethereum."
    )


def test_a_transaction_of_another_chain_is_refused() -> None:
    """Whichever of the two names is the other's."""
    base, ethereum = parse_chain_id("eip155:8453"), parse_chain_id("eip155:1")
    body = codec.encode_unsigned(FeeMarketTransaction(8453, 0, 1, 10**9, 21_000, BOB, 1))
    with pytest.raises(WrongNetwork):
        make_adapter("eip155:1").list_payloads(UnsignedTransaction(ethereum, ALICE_KEY, body))
    with pytest.raises(WrongNetwork):
        make_adapter("eip155:1").list_payloads(UnsignedTransaction(base, ALICE_KEY, body))


def test_signatures_are_counted_and_must_be_of_the_scheme() -> None:
    """None, two, one for ed25519, one of the wrong size."""
    adapter = make_adapter()
    body = codec.encode_unsigned(FeeMarketTransaction(8453, 0, 1, 10**9, 21_000, BOB, 1))
    unsigned = UnsignedTransaction(adapter.chain, ALICE_KEY, body)
    good = sign(body)
    edwards = SigningNetwork("alice").sign(Payload(Scheme.EDDSA, 1, body))
    for signatures in ([], [good, good], [edwards], [replace(good, s=b"\1")], [replace(good, recovery_id=4)]):
        with pytest.raises(WrongSignature):
            adapter.attach(unsigned, signatures)
    assert adapter.attach(unsigned, [good]).transaction_id.startswith("0x")
