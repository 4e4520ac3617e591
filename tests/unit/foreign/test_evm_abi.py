"""Contract calls against eth-abi's bytes, and what must be refused."""

from typing import Any

import eth_abi
import pytest
from eth_abi.exceptions import DecodingError
from eth_utils.abi import function_signature_to_4byte_selector
from hypothesis import given
from hypothesis import strategies as st

from hither.crypto.hashing import keccak256
from hither.foreign import evm_abi as abi
from hither.foreign.errors import InvalidArguments
from hither.foreign.evm_addresses import (
    compute_contract_address,
    compute_salted_address,
    format_address,
    parse_address,
)

BOB = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def make_words() -> st.SearchStrategy[abi.AbiType]:
    """Types without parts."""
    bits = st.integers(1, 32).map(lambda number: number * 8)
    return st.one_of(
        bits.map(lambda size: abi.AbiType("uint", size)),
        bits.map(lambda size: abi.AbiType("int", size)),
        st.integers(1, 32).map(lambda size: abi.AbiType("bytes", size)),
        st.sampled_from([abi.AbiType(kind) for kind in ("address", "bool", "bytes", "string")]),
    )


def make_wholes(parts: st.SearchStrategy[abi.AbiType]) -> st.SearchStrategy[abi.AbiType]:
    """Types of types."""
    return st.one_of(
        parts.map(lambda part: abi.AbiType("array", None, (part,))),
        st.tuples(st.integers(1, 3), parts).map(lambda pair: abi.AbiType("array", pair[0], (pair[1],))),
        st.lists(parts, min_size=1, max_size=4).map(lambda list_: abi.AbiType("tuple", None, tuple(list_))),
    )


TYPES = st.recursive(make_words(), make_wholes, max_leaves=8)


def make_values(type_: abi.AbiType) -> st.SearchStrategy[Any]:
    """Values of a type, as eth-abi gives them too."""
    if type_.kind == "tuple":
        return st.tuples(*map(make_values, type_.parts))
    if type_.kind == "array":
        size = type_.size
        items = st.lists(
            make_values(type_.parts[0]), min_size=size or 0, max_size=3 if size is None else size
        )
        return items.map(tuple)
    bits = type_.size or 256
    plain: dict[str, st.SearchStrategy[Any]] = {
        "uint": st.integers(0, 2**bits - 1),
        "int": st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
        "address": st.binary(min_size=20, max_size=20).map(format_address),
        "bool": st.booleans(),
        "string": st.text(max_size=40),
        "bytes": st.binary(min_size=type_.size or 0, max_size=type_.size or 70),
    }
    return plain[type_.kind]


def to_tuples(value: Any) -> Any:
    """Sequences compared by their items."""
    return tuple(map(to_tuples, value)) if isinstance(value, list | tuple) else value


@given(st.data())
def test_values_are_written_and_read_as_elsewhere(data: st.DataObject) -> None:
    """Any types, nested in any way."""
    types = data.draw(st.lists(TYPES, max_size=4))
    row = abi.AbiType("tuple", None, tuple(types))
    values = data.draw(make_values(row))
    written = abi.encode(row, values)
    assert written == eth_abi.encode([str(type_) for type_ in types], values)
    assert to_tuples(abi.decode(row, written)) == values
    assert abi.parse_type(str(row)) == row


@given(st.data())
def test_hostile_data_is_refused_cleanly_and_never_read_otherwise(data: st.DataObject) -> None:
    """What both can read is the same, and no other error comes out."""
    type_ = data.draw(TYPES)
    row = abi.AbiType("tuple", None, (type_,))
    good = abi.encode(row, data.draw(st.tuples(make_values(type_))))
    hostile = bytearray(good)
    for at in data.draw(st.lists(st.integers(0, len(good) - 1), max_size=4)) if good else []:
        hostile[at] = data.draw(st.integers(0, 255))
    try:
        found = abi.decode(row, bytes(hostile))
    except InvalidArguments:
        return
    try:
        other = eth_abi.decode([str(type_)], bytes(hostile))
    except (DecodingError, OverflowError):
        return  # eth-abi has limits of its own on offsets.
    written = [value.lower() if isinstance(value, str) else value for value in flatten(found)]
    assert written == [value.lower() if isinstance(value, str) else value for value in flatten(other)]


def flatten(value: Any) -> list[Any]:
    """The values in order."""
    if isinstance(value, list | tuple):
        return [part for item in value for part in flatten(item)]
    return [value]


@pytest.mark.parametrize(
    "function",
    ["transfer(address,uint256)", "f()", "g((uint8,bytes)[],int24[2][],(address,(bool,string)))", "h(uint)"],
)
def test_selectors_are_those_of_elsewhere(function: str) -> None:
    """Short names of numbers stand for the long ones."""
    full = function.replace("uint)", "uint256)")
    assert abi.parse_function(function).selector == function_signature_to_4byte_selector(full)


def test_calls_and_results_are_read_back() -> None:
    """One value comes as it is, several as a tuple."""
    data = abi.encode_call("transfer(address,uint256)", [BOB, 7])
    assert data.hex() == f"a9059cbb{BOB[2:].lower():0>64}{7:064x}"
    assert abi.decode_call("transfer(address,uint256)", data) == (BOB, 7)
    assert abi.decode_result("f()(uint256)", bytes(31) + b"\5") == 5
    assert abi.decode_result("f()(bool,int8)", bytes(31) + b"\1" + b"\xff" * 32) == (True, -1)
    assert abi.decode_result("f()", b"") == ()
    with pytest.raises(InvalidArguments, match="does not call approve"):
        abi.decode_call("approve(address,uint256)", data)


@pytest.mark.parametrize(
    "function",
    [
        "",
        "transfer",
        "(address)",
        "f(address",
        "f(address))",
        "f(address,)",
        "f(,address)",
        "f(address to)",
        "f(uint7)",
        "f(uint264)",
        "f(uint0)",
        "f(uint08)",
        "f(int512)",
        "f(bytes33)",
        "f(bytes0)",
        "f(float)",
        "f(address8)",
        "f(uint[)",
        "f(uint[-1])",
        "f(uint[1)",
        "f(uint²)",
        "1f()",
        "f()()()",
        "f()uint256",
        "f(" + "(" * 40 + "uint" + ")" * 40 + ")",
    ],
)
def test_what_is_no_function_is_refused(function: str) -> None:
    """Names of arguments, sizes that no type has, brackets left open."""
    with pytest.raises(InvalidArguments):
        abi.parse_function(function)


@pytest.mark.parametrize(
    ("types", "values"),
    [
        ("(uint8)", [256]),
        ("(uint8)", [-1]),
        ("(int8)", [128]),
        ("(uint256)", [2**256]),
        ("(uint256)", [True]),
        ("(uint256)", ["7"]),
        ("(uint256)", [7.0]),
        ("(bool)", [1]),
        ("(address)", [BOB[:-1] + "D"]),
        ("(address)", [bytes(20)]),
        ("(address)", ["bob.near"]),
        ("(bytes4)", [b"abc"]),
        ("(bytes4)", [b"abcde"]),
        ("(bytes)", ["0x00"]),
        ("(string)", [b"text"]),
        ("(uint8[2])", [[1]]),
        ("(uint8[])", [1]),
        ("(uint8[])", ["12"]),
        ("(uint8,uint8)", [1]),
        ("(uint8)", [1, 2]),
    ],
)
def test_values_that_do_not_fit_are_refused(types: str, values: list[object]) -> None:
    """Nothing is cut off, padded or guessed."""
    with pytest.raises(InvalidArguments):
        abi.encode(abi.parse_type(types), values)


@pytest.mark.parametrize(
    ("types", "data"),
    [
        ("(uint8)", "01" + "00" * 31),
        ("(uint256)", "00" * 31),
        ("(bool)", "00" * 31 + "02"),
        ("(address)", "01" + "00" * 31),
        ("(bytes4)", "00" * 31 + "01"),
        ("(string)", f"{32:064x}{1:064x}ff" + "00" * 31),  # not UTF-8
        ("(bytes)", f"{32:064x}{1:064x}00" + "01" + "00" * 30),  # bits after it
        ("(bytes)", f"{32:064x}{33:064x}" + "00" * 32),
        ("(bytes)", f"{2**255:064x}"),
        ("(uint8[])", f"{32:064x}{2**64:064x}"),
        ("(uint8[][][][])", f"{0:064x}" * 4),
    ],
)
def test_data_that_nobody_writes_is_refused(types: str, data: str) -> None:
    """Bits beyond a value, lengths beyond the data."""
    type_ = abi.parse_type(types)
    try:
        found = abi.decode(type_, bytes.fromhex(data))
    except InvalidArguments:
        return
    assert types == "(uint8[][][][])" and found == ([],), "an empty list may point at itself"


def test_offsets_that_lead_to_endless_work_are_refused() -> None:
    """Every word is an offset and a length: each list has 32 lists, twelve levels deep."""
    row = (32).to_bytes(32, "big") * 70
    with pytest.raises(InvalidArguments, match="too many values"):
        abi.decode(abi.parse_type(f"(uint256{'[]' * 12})"), row)


def test_reasons_of_contracts_are_read() -> None:
    """A text, a number that the compiler gives, an error of the contract's own, nothing."""
    text = abi.encode_call("Error(string)", ["too little"])
    assert abi.describe_revert(text) == "too little"
    assert abi.describe_revert(abi.encode_call("Panic(uint256)", [0x11])) == "arithmetic overflow"
    assert abi.describe_revert(abi.encode_call("Panic(uint256)", [0x99])) == "panic 0x99"
    assert abi.describe_revert(b"\1\2\3\4") == "the contract's error 0x01020304"
    assert abi.describe_revert(text[:40]).startswith("the contract's error 0x08c379a0")
    assert abi.describe_revert(b"") == "the contract gave no reason"


def test_contracts_lie_where_the_standards_say() -> None:
    """Known contracts: by nonce, and the examples of EIP-1014."""
    creator = parse_address("0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")
    addresses = [format_address(compute_contract_address(creator, nonce)) for nonce in range(3)]
    assert addresses == [
        "0xcd234A471b72ba2F1Ccf0A70FCABA648a5eeCD8d",
        "0x343c43A37D37dfF08AE8C4A11544c718AbB4fCF8",
        "0xf778B86FA74E846c4f0a1fBd1335FE81c00a0C91",
    ]
    assert (
        compute_salted_address(bytes(20), bytes(32), b"\0").hex()
        == "4d1a2e2bb4f88f0250f26ffff098b0b30b26bf38"
    )
    deadbeef = bytes.fromhex("deadbeef" + "00" * 16)
    assert (
        compute_salted_address(deadbeef, bytes(32), b"\0").hex() == "b928f69bb1d91cd65274e3c79d8986362984fda3"
    )
    assert keccak256(b"").hex().startswith("c5d24601")
