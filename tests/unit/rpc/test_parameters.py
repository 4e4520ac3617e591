"""Readers of parameters: what they take, and the words of what they refuse."""

from typing import Any

import pytest

from hither.rpc.parameters import (
    Field,
    InvalidParameters,
    decode_base64,
    describe,
    enumeration,
    flattened,
    flattened_enumeration,
    list_of,
    optional,
    read_boolean,
    read_nonzero_u32,
    read_string,
    read_u64,
    structure,
    tagged,
    tuple_of,
)


def refuse(reader: Any, value: Any) -> str:
    """The message of a refusal."""
    with pytest.raises(InvalidParameters) as caught:
        reader(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "boolean `true`"),
        (5, "integer `5`"),
        (-5, "integer `-5`"),
        (1.5, "floating point `1.5`"),
        (2**64, "floating point `1.8446744073709552e+19`"),
        ('a"b\n', 'string "a\\"b\\n"'),
        ([], "sequence"),
        ({}, "map"),
    ],
)
def test_values_are_described_by_their_kind(value: Any, words: str) -> None:
    """A message names the kind, and the value where it is short."""
    assert describe(value) == words


def test_integers_have_a_width() -> None:
    """A boolean is not an integer, and neither is a number with a point."""
    assert read_u64(2**64 - 1) == 2**64 - 1
    assert refuse(read_u64, -1) == "invalid value: integer `-1`, expected u64"
    assert refuse(read_u64, True) == "invalid type: boolean `true`, expected u64"
    assert refuse(read_u64, 1.0) == "invalid type: floating point `1.0`, expected u64"
    assert refuse(read_nonzero_u32, 0) == "invalid value: integer `0`, expected a nonzero u32"
    assert refuse(read_nonzero_u32, 2**32) == "invalid value: integer `4294967296`, expected a nonzero u32"


def test_simple_kinds_are_told_apart() -> None:
    """A string, a boolean, a list: each says what it expected."""
    assert refuse(read_string, 5) == "invalid type: integer `5`, expected a string"
    assert refuse(read_boolean, "true") == 'invalid type: string "true", expected a boolean'
    assert refuse(list_of(read_string), "a") == 'invalid type: string "a", expected a sequence'
    assert optional(read_string)(None) is None


_PAIR = structure("Pair", Field("left", read_u64), Field("right", read_string, "none"))


def test_structure_takes_an_object_or_an_array() -> None:
    """Unknown keys are ignored, a default fills in, an array needs every value."""
    assert _PAIR({"left": 1, "other": 2}) == (1, "none")
    assert _PAIR([1, "x"]) == (1, "x")
    assert refuse(_PAIR, [1]) == "invalid length 1, expected struct Pair with 2 elements"
    assert refuse(_PAIR, [1, "x", 3]) == "invalid length 3, expected fewer elements in array"
    assert refuse(_PAIR, {"right": "x"}) == "missing field `left`"
    assert refuse(_PAIR, 7) == "invalid type: integer `7`, expected struct Pair"


def test_faults_are_told_in_the_order_of_keys() -> None:
    """A wrong value of an earlier key comes first, whatever the order of declaration; then what is missing."""
    reader = structure("", Field("b", read_u64), Field("a", read_string), Field("c", read_u64))
    assert refuse(reader, {"b": "x", "a": 1}) == "invalid type: integer `1`, expected a string"
    assert refuse(reader, {"b": "x", "a": "y"}) == 'invalid type: string "x", expected u64'
    assert refuse(reader, {"a": "y"}) == "missing field `b`"


def test_flattened_structure_refuses_an_array() -> None:
    """Its own fields are looked at before those of the other types."""
    reader = flattened(
        "Request",
        (Field("id", read_u64),),
        flattened_enumeration("Choice", {"a": read_u64, "b": read_string}),
    )
    assert reader({"id": 1, "b": "x"}) == (1, ("b", "x"))
    assert refuse(reader, []) == "invalid type: sequence, expected struct Request"
    assert refuse(reader, {"b": 5}) == "missing field `id`"
    assert refuse(reader, {"id": 1}) == "no variant of enum Choice found in flattened data"
    assert refuse(reader, {"id": 1, "b": 5}) == "invalid type: integer `5`, expected a string"


def test_enumeration_is_a_word_or_an_object_with_one_key() -> None:
    """A word that needs a value is not enough alone; a word without one takes null."""
    reader = enumeration({"plain": None, "with": read_u64})
    assert reader("plain") == ("plain", None)
    assert reader({"plain": None}) == ("plain", None)
    assert reader({"with": 5}) == ("with", 5)
    assert refuse(reader, "with") == "invalid type: unit variant, expected newtype variant"
    assert refuse(reader, "x") == "unknown variant `x`, expected `plain` or `with`"
    assert refuse(reader, {}) == "invalid value: map, expected map with a single key"
    assert refuse(reader, {"plain": None, "with": 5}) == "invalid value: map, expected map with a single key"
    assert refuse(reader, {"plain": 5}) == "invalid type: integer `5`, expected unit"
    assert refuse(reader, 5) == "invalid type: integer `5`, expected string or map"


def test_tag_says_which_fields_there_are() -> None:
    """Without it nothing else is looked at."""
    reader = tagged("kind", {"a": (Field("x", read_u64),), "b": (), "c": ()})
    assert reader({"kind": "a", "x": 1}) == ("a", (1,))
    assert refuse(reader, {"x": 1}) == "missing field `kind`"
    assert refuse(reader, {"kind": "z"}) == "unknown variant `z`, expected one of `a`, `b`, `c`"
    assert refuse(reader, {"kind": "a"}) == "missing field `x`"


def test_tuple_has_an_exact_size() -> None:
    """Too few and too many are told differently."""
    reader = tuple_of(read_u64, read_string)
    assert reader([1, "x"]) == (1, "x")
    assert refuse(reader, [1]) == "invalid length 1, expected a tuple of size 2"
    assert refuse(reader, [1, "x", 2]) == "invalid length 3, expected fewer elements in array"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!!", "Invalid byte 33, offset 0."),
        ("A", "Encoded text cannot have a 6-bit remainder."),
        ("AAAA!", "Invalid byte 33, offset 4."),
        ("AAA", "Invalid padding"),
        ("AA=", "Invalid padding"),
        ("AAB=", "Invalid last symbol 66, offset 2."),
        ("AB==", "Invalid last symbol 66, offset 1."),
        ("A===", "Invalid byte 61, offset 1."),
        ("AAAA====", "Invalid byte 61, offset 4."),
        ("AA==AAAA", "Invalid byte 61, offset 2."),
        ("AA AA===", "Invalid byte 32, offset 2."),
        ("AA\n=", "Invalid byte 10, offset 2."),
    ],
)
def test_base64_is_strict(text: str, message: str) -> None:
    """Padding must be there and unused bits must be zero."""
    with pytest.raises(InvalidParameters) as caught:
        decode_base64(text)
    assert str(caught.value) == message


def test_canonical_base64_is_decoded() -> None:
    """Of every length modulo three."""
    assert [decode_base64(text) for text in ("", "AA==", "AAE=", "AAEC")] == [b"", b"\0", b"\0\1", b"\0\1\2"]
