"""Messages against eth-account's hashes, and what must be refused."""

import copy
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_defunct, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from hither.foreign import evm_messages as messages
from hither.foreign.adapter import EcdsaSignature, Scheme
from hither.foreign.caip import parse_chain_id
from hither.foreign.errors import InvalidArguments, WrongNetwork, WrongSignature
from hither.foreign.evm_chains import get_evm_chain
from hither.foreign.evm_signatures import join_signature
from tests.unit.foreign.signing_network import SigningNetwork

ALICE = SigningNetwork("alice")
ALICE_KEY = ALICE.get_public_key(Scheme.ECDSA)
BOB = "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"
COW = "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"
CONTRACT = "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"
DOMAIN_FIELDS = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]


def make_document(primary: str, types: dict[str, dict[str, str]], message: dict[str, Any]) -> dict[str, Any]:
    """With a domain."""
    structs = {
        struct: [{"name": name, "type": type_} for name, type_ in fields.items()]
        for struct, fields in types.items()
    }
    domain = {"name": "Ether Mail", "version": "1", "chainId": 1, "verifyingContract": CONTRACT}
    return {
        "types": {"EIP712Domain": DOMAIN_FIELDS, **structs},
        "primaryType": primary,
        "domain": domain,
        "message": message,
    }


MAIL = make_document(
    "Mail",
    {
        "Person": {"name": "string", "wallet": "address"},
        "Mail": {"from": "Person", "to": "Person", "contents": "string"},
    },
    {
        "from": {"name": "Cow", "wallet": COW},
        "to": {"name": "Bob", "wallet": BOB},
        "contents": "Hello, Bob!",
    },
)
PERMIT = make_document(
    "PermitSingle",
    {
        "PermitDetails": {"token": "address", "amount": "uint160", "expiration": "uint48", "nonce": "uint48"},
        "PermitSingle": {"details": "PermitDetails", "spender": "address", "sigDeadline": "uint256"},
    },
    {
        "details": {"token": COW, "amount": 2**160 - 1, "expiration": 2**48 - 1, "nonce": 0},
        "spender": BOB,
        "sigDeadline": 2**256 - 1,
    },
)
EVERYTHING = make_document(
    "All",
    {
        "Inner": {"data": "bytes", "tag": "bytes4"},
        "All": {
            "inners": "Inner[]",
            "pairs": "Inner[2]",
            "grid": "int24[2][]",
            "flag": "bool",
            "text": "string",
            "word": "bytes32",
            "small": "int8",
            "names": "string[]",
            "none": "uint256[]",
        },
    },
    {
        "inners": [{"data": b"\1\2", "tag": b"abcd"}],
        "pairs": [{"data": b"", "tag": bytes(4)}, {"data": b"\xff" * 40, "tag": b"\xff" * 4}],
        "grid": [[-1, 2], [8388607, -8388608]],
        "flag": True,
        "text": "ä ₿ 🦊",
        "word": b"\7" * 32,
        "small": -128,
        "names": ["", "a", "b" * 100],
        "none": [],
    },
)
DOCUMENTS = {"mail": MAIL, "permit": PERMIT, "everything": EVERYTHING}


def hash_elsewhere(document: dict[str, Any]) -> bytes:
    """By eth-account."""
    return bytes(_hash_eip191_message(encode_typed_data(full_message=copy.deepcopy(document))))


def test_the_example_of_the_standard() -> None:
    """EIP-712's own document and digest."""
    digest = "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    assert messages.hash_typed_data(MAIL).hex() == digest


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=list(DOCUMENTS))
def test_typed_data_is_hashed_as_elsewhere(document: dict[str, Any]) -> None:
    """Nested structs, arrays of them, every kind of value."""
    assert messages.hash_typed_data(document) == hash_elsewhere(document)


@given(st.integers(0, 2**256 - 1), st.text(max_size=60), st.binary(max_size=60), st.booleans())
def test_any_values_are_hashed_as_elsewhere(number: int, text: str, data: bytes, flag: bool) -> None:
    """Of the four kinds that are encoded differently."""
    document = make_document(
        "T",
        {"T": {"a": "uint256", "b": "string", "c": "bytes", "d": "bool"}},
        {"a": number, "b": text, "c": data, "d": flag},
    )
    assert messages.hash_typed_data(document) == hash_elsewhere(document)


def test_large_numbers_and_bytes_may_come_as_texts() -> None:
    """As JSON has them."""
    document = copy.deepcopy(PERMIT)
    document["message"]["sigDeadline"] = str(2**256 - 1)
    document["message"]["details"]["amount"] = hex(2**160 - 1)
    document["domain"]["chainId"] = "0x1"
    assert messages.hash_typed_data(document) == messages.hash_typed_data(PERMIT)
    document = copy.deepcopy(EVERYTHING)
    document["message"]["word"] = "0x" + "07" * 32
    assert messages.hash_typed_data(document) == messages.hash_typed_data(EVERYTHING)


def test_a_domain_may_be_told_by_its_values_alone() -> None:
    """Libraries add its type."""
    document = copy.deepcopy(MAIL)
    del document["types"]["EIP712Domain"]
    assert messages.hash_typed_data(document) == messages.hash_typed_data(MAIL)


@pytest.mark.parametrize("text", ["", "hello", "ä" * 50, b"", bytes(32), b"\xff" * 200])
def test_personal_messages_are_hashed_as_elsewhere(text: str | bytes) -> None:
    """Texts and bytes."""
    other = encode_defunct(text=text) if isinstance(text, str) else encode_defunct(primitive=text)
    assert messages.hash_message(text) == bytes(_hash_eip191_message(other))


def test_signatures_are_those_of_elsewhere() -> None:
    """65 bytes, for a message and for typed data; one of other bytes is refused."""
    payload = messages.make_message_payload("hello")
    signature = ALICE.sign(payload)
    assert isinstance(signature, EcdsaSignature)
    found = join_signature(ALICE_KEY, payload.data, signature)
    assert found == Account.sign_message(encode_defunct(text="hello"), ALICE.secret).signature
    other = messages.make_typed_payload(MAIL, get_evm_chain(parse_chain_id("eip155:1")))
    typed = ALICE.sign(other)
    assert isinstance(typed, EcdsaSignature)
    signed = Account.sign_typed_data(ALICE.secret, full_message=copy.deepcopy(MAIL))
    assert join_signature(ALICE_KEY, other.data, typed) == signed.signature
    with pytest.raises(WrongSignature):
        join_signature(ALICE_KEY, other.data, signature)


def test_a_message_for_another_chain_is_refused() -> None:
    """It could be used there."""
    with pytest.raises(WrongNetwork, match="for the chain 1, but this is eip155:8453"):
        messages.make_typed_payload(MAIL, get_evm_chain(parse_chain_id("eip155:8453")))


def test_typed_data_is_described_with_every_value() -> None:
    """What is signed is what is said."""
    assert messages.describe_typed_data(MAIL, COW) == (
        f"Sign Mail with from name Cow, wallet {COW}, to name Bob, wallet {BOB}, contents Hello, Bob! "
        f"for Ether Mail, the contract {CONTRACT}, as {COW}."
    )


def change(**parts: Any) -> dict[str, Any]:
    """The standard's example with other parts."""
    return {**copy.deepcopy(MAIL), **parts}


def person(**fields: Any) -> dict[str, Any]:
    return change(message={**MAIL["message"], "to": {"name": "Bob", "wallet": BOB, **fields}})


def with_type(type_: str) -> dict[str, Any]:
    return change(
        types={**MAIL["types"], "Person": [*MAIL["types"]["Person"][:1], {"name": "wallet", "type": type_}]}
    )


MALFORMED = {
    "no message": {key: value for key, value in MAIL.items() if key != "message"},
    "a part that nobody knows": change(extra=1),
    "a primary type that is none": change(primaryType="Letter"),
    "a field more than the type has": person(age=7),
    "a field less": change(message={"from": MAIL["message"]["from"], "contents": ""}),
    "an address with a wrong checksum": person(wallet=BOB[:-1] + "b"),
    "an address that is a number": person(wallet=7),
    "a text that is a number": person(name=7),
    "a struct that is a list": change(message={**MAIL["message"], "to": []}),
    "a type that is none": with_type("wallet"),
    "a number without its size": with_type("uint"),
    "a field named twice": change(types={**MAIL["types"], "Person": MAIL["types"]["Person"] * 2}),
    "a field with another part": change(
        types={**MAIL["types"], "Person": [{"name": "name", "type": "string", "x": 1}]}
    ),
    "a struct named as an atom": change(types={**MAIL["types"], "uint256": []}),
    "a domain with a field of its own": change(
        types={**MAIL["types"], "EIP712Domain": [*DOMAIN_FIELDS, {"name": "x", "type": "uint256"}]}
    ),
    "a domain without a value": change(domain={"name": "Ether Mail"}),
    "a chain that is a name": change(domain={**MAIL["domain"], "chainId": "one"}),
    "types that are a list": change(types=[]),
}


@pytest.mark.parametrize("document", MALFORMED.values(), ids=list(MALFORMED))
def test_malformed_typed_data_is_refused(document: dict[str, Any]) -> None:
    """Nothing is filled in, left out or guessed."""
    with pytest.raises(InvalidArguments):
        messages.hash_typed_data(document)


def test_a_type_that_holds_itself_without_end_is_refused() -> None:
    """A value of it cannot be, however deep it goes."""
    value: dict[str, Any] = {}
    value["next"] = value
    with pytest.raises(InvalidArguments, match="nests too deep"):
        messages.hash_typed_data(make_document("Node", {"Node": {"next": "Node"}}, value))
    list_: list[Any] = []
    list_.append(list_)
    deep = make_document("T", {"T": {"a": "uint256" + "[]" * 60}}, {"a": list_})
    with pytest.raises(InvalidArguments, match="nests too deep"):
        messages.hash_typed_data(deep)
