"""Recursive length prefix: how EVM chains write nested lists of byte strings.

Reading takes only the one shortest form, so that bytes and items stand for each other.
Source: Ethereum yellow paper, appendix B.
"""

from typing import Final, TypeAlias

from hither.foreign.errors import MalformedTransaction

Item: TypeAlias = "bytes | list[Item]"

DEPTH_MAX: Final = 16
"""Transactions nest four deep; without a limit hostile bytes could exhaust the stack."""


def encode_integer(number: int) -> bytes:
    """Big endian without leading zeros; zero is empty."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def decode_integer(data: Item, size_bytes_max: int) -> int:
    """The reverse. Raises ``MalformedTransaction``."""
    if not isinstance(data, bytes) or len(data) > size_bytes_max or data[:1] == b"\0":
        raise MalformedTransaction("a number is not in its shortest form, or too large")
    return int.from_bytes(data, "big")


def encode(item: Item) -> bytes:
    """The bytes of a string or of a list."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _encode_length(len(item), 0x80) + item
    content = b"".join([encode(part) for part in item])
    return _encode_length(len(content), 0xC0) + content


def _encode_length(length: int, offset: int) -> bytes:
    if length < 56:
        return bytes((offset + length,))
    digits = encode_integer(length)
    return bytes((offset + 55 + len(digits),)) + digits


def decode(data: bytes) -> Item:
    """The one item that these bytes are. Raises ``MalformedTransaction``."""
    item, end = _decode_at(data, 0, len(data), 0)
    if end != len(data):
        raise MalformedTransaction(f"{len(data) - end} bytes follow the transaction")
    return item


def _decode_at(data: bytes, at: int, end: int, depth: int) -> tuple[Item, int]:
    """The item that starts at ``at`` and where it ends."""
    if at >= end or depth > DEPTH_MAX:
        raise MalformedTransaction("the bytes end too early, or nest too deep")
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    is_list = first >= 0xC0
    start, stop = _read_length(data, at, end, first - (0xC0 if is_list else 0x80))
    if not is_list:
        text = data[start:stop]
        if len(text) == 1 and text[0] < 0x80:
            raise MalformedTransaction("a single byte is written with a length")
        return text, stop
    parts: list[Item] = []
    while start < stop:
        part, start = _decode_at(data, start, stop, depth + 1)
        parts.append(part)
    return parts, stop


def _read_length(data: bytes, at: int, end: int, short: int) -> tuple[int, int]:
    """Where the content begins and ends; ``short`` is the prefix without its offset."""
    start, length = at + 1, short
    if short > 55:
        start += short - 55
        digits = data[at + 1 : start]
        length = int.from_bytes(digits, "big")
        if start > end or length < 56 or digits[0] == 0:
            raise MalformedTransaction("a length is not in its shortest form")
    if start + length > end:
        raise MalformedTransaction("the bytes end too early")
    return start, start + length
