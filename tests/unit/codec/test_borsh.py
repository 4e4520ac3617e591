"""Borsh against bytes written by hand: each form, and each way to be malformed."""

import msgspec
import pytest

from hither.codec import borsh
from hither.codec.borsh import InvalidBorsh


class Point(msgspec.Struct, frozen=True):
    x: int
    label: str
    y: int = 7
    z: int = 8


class Nothing(msgspec.Struct, frozen=True):
    pass


POINT = borsh.record(Point, {"x": borsh.U16, "label": borsh.STRING, "z": borsh.U8})

GOOD = [
    (borsh.U8, 255, "ff"),
    (borsh.U16, 0x0102, "0201"),
    (borsh.U32, 1, "01000000"),
    (borsh.U64, 2**64 - 1, "ff" * 8),
    (borsh.U128, 2**127 + 1, "01" + "00" * 14 + "80"),
    (borsh.BOOL, True, "01"),
    (borsh.BYTES, b"ab", "020000006162"),
    (borsh.STRING, "é", "02000000c3a9"),
    (borsh.fixed(3), b"abc", "616263"),
    (borsh.option(borsh.U8), None, "00"),
    (borsh.option(borsh.U8), 5, "0105"),
    (borsh.sequence(borsh.U16), (1, 2), "0200000001000200"),
    (borsh.sequence(borsh.STRING), ("a",), "010000000100000061"),
    (borsh.tuple_of(borsh.U8, borsh.STRING), (1, "a"), "010100000061"),
    (borsh.sorted_map(borsh.U8, borsh.U8), ((1, 2), (3, 4)), "0200000001020304"),
    (borsh.sorted_set(borsh.U8), (1, 3), "020000000103"),
    (borsh.prefixed(b"\1\2", borsh.U8), 3, "010203"),
    (POINT, Point(1, "a", 7, 9), "0100010000006109"),
    (borsh.tagged({4: (Point, POINT), 5: (Nothing, borsh.record(Nothing, {}))}), Nothing(), "05"),
    (borsh.chosen(lambda number: 0 if number < 256 else 1, {0: borsh.U8, 1: borsh.U16}), 256, "010001"),
]


@pytest.mark.parametrize(("codec", "value", "expected"), GOOD)
def test_forms_are_the_bytes_of_the_specification(codec, value, expected) -> None:
    """Encoded and read back."""
    assert codec.encode(value).hex() == expected
    assert codec.decode(bytes.fromhex(expected)) == value


@pytest.mark.parametrize(("codec", "value", "expected"), GOOD)
def test_missing_and_left_over_bytes_are_refused(codec, value, expected) -> None:
    """Every shorter prefix, and one byte more."""
    data = bytes.fromhex(expected)
    with pytest.raises(InvalidBorsh, match="Not all bytes read"):
        codec.decode(data + b"\0")
    for size in range(len(data)):
        with pytest.raises(InvalidBorsh, match="Unexpected length of input"):
            codec.decode(data[:size])


@pytest.mark.parametrize(
    ("codec", "data", "message"),
    [
        (borsh.BOOL, "02", "Invalid bool representation: 2"),
        (borsh.option(borsh.U8), "02", "Invalid Option representation: 2. The first byte must be 0 or 1"),
        (borsh.STRING, "01000000ff", "invalid utf-8 sequence of 1 bytes from index 0"),
        (borsh.STRING, "0200000061c3", "incomplete utf-8 byte sequence from index 1"),
        (borsh.STRING, "03000000eda080", "invalid utf-8 sequence of 1 bytes from index 0"),
        (borsh.BYTES, "ffffffff", "Unexpected length of input"),
        (borsh.sequence(borsh.U8), "ffffffff00", "Unexpected length of input"),
        (borsh.tagged({1: (Point, POINT)}), "02", "Unexpected variant tag: 2"),
        (borsh.prefixed(b"\1", borsh.U8), "0203", "Unexpected variant tag: 2"),
        (borsh.tagged({1: (Nothing, borsh.refused("not here"))}), "01", "not here"),
        (borsh.checked(borsh.U8, lambda n: n < 5, lambda n: f"{n} is large"), "06", "6 is large"),
        # The first fault is named, though the later one is found first.
        (borsh.tuple_of(borsh.STRING, borsh.BOOL), "ff00000061", "Unexpected length of input"),
        (borsh.tuple_of(borsh.BOOL, borsh.STRING), "02ff000000", "Invalid bool representation: 2"),
    ],
)
def test_malformed_bytes_are_refused_in_words_of_near(codec, data, message) -> None:
    """The message is that of NEAR's decoder."""
    with pytest.raises(InvalidBorsh) as caught:
        codec.decode(bytes.fromhex(data))
    assert str(caught.value) == message


def test_maps_in_any_order_come_back_sorted() -> None:
    """The last of equal keys wins."""
    codec = borsh.sorted_map(borsh.U8, borsh.U8)
    assert codec.decode(bytes.fromhex("03000000030401020305")) == ((1, 2), (3, 5))


@pytest.mark.parametrize(
    ("codec", "value"),
    [
        (borsh.U8, 256),
        (borsh.U64, -1),
        (borsh.U128, 2**128),
        (borsh.fixed(3), b"ab"),
        (borsh.fixed(3), b"abcd"),
    ],
)
def test_values_that_do_not_fit_are_an_error(codec, value) -> None:
    """Integers have a width."""
    with pytest.raises(OverflowError):
        codec.encode(value)


def test_a_variant_that_is_not_listed_cannot_be_written() -> None:
    """The table is the type."""
    with pytest.raises(KeyError):
        borsh.tagged({1: (Point, POINT)}).encode(Nothing())


def test_several_attributes_may_share_a_form() -> None:
    """A key that names two attributes gives their pair to the codec."""
    codec = borsh.record(Point, {"x label": borsh.tuple_of(borsh.U8, borsh.STRING)}, {"z": 3})
    assert codec.encode(Point(1, "a")).hex() == "010100000061"
    assert codec.decode(bytes.fromhex("010100000061")) == Point(1, "a", 7, 3)
