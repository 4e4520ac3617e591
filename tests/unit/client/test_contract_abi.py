"""near-abi: what a contract says of its calls, and borsh that is read by it."""

import json
from typing import Any

import pytest
import zstandard

from hither.client.contract_abi import ContractAbi, InvalidAbi, decode_borsh, fetch_abi, read_abi

U32_MAX = 2**32 - 1
STRING = {"Sequence": {"length_width": 4, "length_range": {"start": 0, "end": U32_MAX}, "elements": "u8"}}
DEFINITIONS: dict[str, Any] = {
    "Tip": {"Struct": [["giver", "String"], ["amount", "u128"], ["mood", "Mood"]]},
    "Mood": {"Enum": {"tag_width": 1, "variants": [[0, "Calm", "Calm"], [1, "Glad", "Glad"]]}},
    "Calm": {"Struct": None},
    "Glad": {"Struct": ["u8"]},
    "String": STRING,
    "u8": {"Primitive": 1},
    "u128": {"Primitive": 16},
}
TIP_SCHEMA = {"declaration": "Tip", "definitions": DEFINITIONS}
TIP = (5).to_bytes(4, "little") + b"alice" + (70).to_bytes(16, "little") + b"\x01\x03"
READ = {"giver": "alice", "amount": 70, "mood": {"Glad": 3}}
ABI = {
    "schema_version": "0.4.0",
    "metadata": {"name": "tips"},
    "body": {
        "functions": [
            {
                "name": "leave",
                "kind": "call",
                "params": {
                    "serialization_type": "borsh",
                    "args": [{"name": "tip", "type_schema": TIP_SCHEMA}],
                },
                "result": {"serialization_type": "borsh", "type_schema": TIP_SCHEMA},
            },
            {"name": "count", "kind": "view", "result": {"serialization_type": "json", "type_schema": {}}},
        ],
        "root_schema": {},
    },
}


def make_abi() -> ContractAbi:
    """As a contract embeds it."""
    return read_abi(zstandard.compress(json.dumps(ABI).encode()))


def test_arguments_results_and_structures_are_read() -> None:
    """By name, where the ABI says borsh; where it says JSON there is nothing to read."""
    abi = make_abi()
    assert abi.decode_arguments("leave", TIP) == {"tip": READ}
    assert abi.decode_result("leave", TIP) == READ
    assert abi.decode_arguments("count", b"{}") is None and abi.decode_result("count", b"1") is None
    assert abi.decode_arguments("other", b"") is None
    assert abi.find_reading(TIP) == ("Tip", READ)
    assert abi.find_reading(TIP + b"\x00") is None
    # A part of an enum would read it.
    assert abi.find_reading(b"\x03") is None


def test_value_that_two_structures_read_is_told_as_neither() -> None:
    """A guess would be worse than bytes."""
    both = {**DEFINITIONS, "Other": DEFINITIONS["Tip"]}
    assert ContractAbi({}, both).find_reading(TIP) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (TIP[:-1], "end too early"),
        (TIP + b"\x00", "1 bytes are left over"),
        (TIP[:-2] + b"\x05", "5 is no variant"),
        (b"\x01\x00\x00\x00\xff" + TIP[9:], "not UTF-8"),
        (b"\xff\xff\xff\xff", "end too early"),
    ],
)
def test_bytes_that_the_abi_does_not_describe_are_refused(data: bytes, reason: str) -> None:
    """With why."""
    with pytest.raises(InvalidAbi, match=reason):
        make_abi().decode_arguments("leave", data)


def test_schemas_of_before_borsh_1_are_read() -> None:
    """Without widths, tags by their place, integers that nobody defines."""
    definitions = {
        "Vec<Pair>": {"Sequence": "Pair"},
        "Pair": {"Tuple": ["u64", "Option<bool>"]},
        "Option<bool>": {"Enum": [["None", "nil"], ["Some", "bool"]]},
        "Array<u8, 2>": {"Array": {"length": 2, "elements": "u8"}},
    }
    data = b"\x02\x00\x00\x00" + bytes([9, *bytes(7), 1, 1]) + bytes([8, *bytes(7), 0])
    assert decode_borsh({"declaration": "Vec<Pair>", "definitions": definitions}, data) == [
        [9, {"Some": True}],
        [8, "None"],
    ]
    assert decode_borsh({"declaration": "Array<u8, 2>", "definitions": definitions}, b"\x01\x02") == "0x0102"


def test_hostile_schemas_end() -> None:
    """One that contains itself, one that promises very much, one that is none."""
    itself = {"A": {"Tuple": ["A"]}}
    with pytest.raises(InvalidAbi, match="more than is shown"):
        decode_borsh({"declaration": "A", "definitions": itself}, b"")
    many = {
        "A": {"Sequence": {"length_width": 4, "length_range": {"start": 0, "end": 9}, "elements": "E"}},
        "E": {"Tuple": []},
    }
    with pytest.raises(InvalidAbi, match="more than is shown"):
        decode_borsh({"declaration": "A", "definitions": many}, b"\xff\xff\xff\xff")
    wrong: dict[str, Any]
    for wrong in ({"A": {"Circle": {}}}, {"A": 5}, {"A": {"Enum": {"tag_width": 1, "variants": [[]]}}}, {}):
        with pytest.raises(InvalidAbi):
            decode_borsh({"declaration": "A", "definitions": wrong}, b"\x01")
    definition: Any
    for definition in (5, {"Enum": 5}, {"Enum": [[]]}, {"Enum": {"tag_width": 1}}):
        hostile = {"declaration": "A", "definitions": {"A": definition}}
        function = {"name": "f", "result": {"serialization_type": "borsh", "type_schema": hostile}}
        with pytest.raises(InvalidAbi, match="not near-abi"):
            read_abi(json.dumps({"body": {"functions": [function]}}).encode())


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"{", b"nothing", zstandard.compress(b"[]"), zstandard.compress(b"{}")]
)
def test_what_is_no_abi_is_refused(data: bytes) -> None:
    """And a contract that says it has none."""
    with pytest.raises(InvalidAbi):
        read_abi(data)
    assert fetch_abi("a.near", "hash", lambda _method, _params: {"result": list(data)}, (KeyError,)) is None


def test_abi_that_would_fill_the_memory_is_refused() -> None:
    """Compressed it is small."""
    with pytest.raises(InvalidAbi, match="more than"):
        read_abi(zstandard.compress(b" " * (8 * 1024 * 1024)))
