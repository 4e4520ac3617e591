"""Reading JSON parameters as NEAR's node reads them, with its words when they are wrong.

A *reader* is a function from a JSON value (as ``msgspec`` decodes it) to a typed
value; it raises ``InvalidParameters``. The combinators here build readers for the
shapes that NEAR's request types have. What is wrong is reported in the order in
which NEAR's node meets it: the keys of an object in their byte order, then missing
fields in the order of declaration. This module knows no method and no chain.
"""

from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")
Reader = Callable[[Any], T]

U32_MAX: Final = 2**32 - 1
U64_MAX: Final = 2**64 - 1
I64_MIN: Final = -(2**63)
_BASE64_SYMBOLS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_PADDING: Final = ord("=")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


class InvalidParameters(Exception):
    """The parameters do not have the shape of the request; the text is NEAR's."""


class _Required:
    """The default of a field that has none."""


REQUIRED: Final = _Required()


def quote(text: str) -> str:
    """A string as NEAR's messages show it: quoted, with special characters escaped."""
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(character: str) -> str:
    escaped = _ESCAPES.get(character)
    if escaped is not None:
        return escaped
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"


def describe(value: Any) -> str:
    """A JSON value of the wrong kind, as the message names it."""
    match value:
        case None:
            return "null"
        case bool():
            return f"boolean `{str(value).lower()}`"
        case int() if I64_MIN <= value <= U64_MAX:
            return f"integer `{value}`"
        case int() | float():
            return f"floating point `{float(value)!r}`"
        case str():
            return f"string {quote(value)}"
        case list():
            return "sequence"
        case _:
            return "map"


def invalid_type(value: Any, expected: str) -> InvalidParameters:
    """The value is of another kind than ``expected``."""
    return InvalidParameters(f"invalid type: {describe(value)}, expected {expected}")


def name_variants(names: tuple[str, ...]) -> str:
    """The list of allowed words in a message."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) == 1:
        return quoted[0]
    return " or ".join(quoted) if len(quoted) == 2 else "one of " + ", ".join(quoted)


def unknown_variant(word: str, names: tuple[str, ...]) -> InvalidParameters:
    """The word is not one of those allowed."""
    return InvalidParameters(f"unknown variant `{word}`, expected {name_variants(names)}")


def read_any(value: Any) -> Any:
    """Any JSON value, as it is."""
    return value


def read_string(value: Any) -> str:
    """A string."""
    if isinstance(value, str):
        return value
    raise invalid_type(value, "a string")


def read_boolean(value: Any) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    raise invalid_type(value, "a boolean")


def _read_integer(value: Any, maximum: int, expected: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not I64_MIN <= value <= U64_MAX:
        raise invalid_type(value, expected)
    if not 0 <= value <= maximum:
        raise InvalidParameters(f"invalid value: integer `{value}`, expected {expected}")
    return value


def read_u64(value: Any) -> int:
    """An integer of 64 bits, not negative."""
    return _read_integer(value, U64_MAX, "u64")


def read_nonzero_u32(value: Any) -> int:
    """An integer of 32 bits, at least 1."""
    number = _read_integer(value, U32_MAX, "a nonzero u32")
    if number == 0:
        raise InvalidParameters("invalid value: integer `0`, expected a nonzero u32")
    return number


def optional(reader: Reader[T]) -> Reader[T | None]:
    """Null, or what ``reader`` reads."""

    def read(value: Any) -> T | None:
        return None if value is None else reader(value)

    return read


def list_of(reader: Reader[T]) -> Reader[list[T]]:
    """An array whose elements ``reader`` reads."""

    def read(value: Any) -> list[T]:
        if not isinstance(value, list):
            raise invalid_type(value, "a sequence")
        return [reader(item) for item in value]

    return read


def tuple_of(*readers: Reader[Any]) -> Reader[tuple[Any, ...]]:
    """An array of exactly these elements."""

    def read(value: Any) -> tuple[Any, ...]:
        size = len(readers)
        if not isinstance(value, list):
            raise invalid_type(value, f"a tuple of size {size}")
        return _read_elements(value, readers, f"a tuple of size {size}")

    return read


def _read_elements(values: list[Any], readers: tuple[Reader[Any], ...], expected: str) -> tuple[Any, ...]:
    if len(values) < len(readers):
        # The elements that are there are read first, so their faults are told first.
        for value, reader in zip(values, readers, strict=False):
            reader(value)
        raise InvalidParameters(f"invalid length {len(values)}, expected {expected}")
    read = tuple(reader(value) for value, reader in zip(values, readers, strict=False))
    if len(values) > len(readers):
        raise InvalidParameters(f"invalid length {len(values)}, expected fewer elements in array")
    return read


class Field(msgspec.Struct, frozen=True):
    """A named part of an object. Without a default it must be there."""

    name: str
    reader: Reader[Any]
    default: Any = REQUIRED


def missing_field(name: str) -> InvalidParameters:
    """The object lacks a field that has no default."""
    return InvalidParameters(f"missing field `{name}`")


def read_fields(value: Mapping[str, Any], fields: tuple[Field, ...]) -> tuple[Any, ...]:
    """The values of ``fields`` in their order; other keys are ignored."""
    by_name = {field.name: field for field in fields}
    found = {key: by_name[key].reader(value[key]) for key in sorted(value) if key in by_name}
    for field in fields:
        if field.default is REQUIRED and field.name not in found:
            raise missing_field(field.name)
    return tuple(found.get(field.name, field.default) for field in fields)


def structure(name: str, *fields: Field) -> Reader[tuple[Any, ...]]:
    """An object with these fields, or an array of their values in order."""

    def read(value: Any) -> tuple[Any, ...]:
        if isinstance(value, dict):
            return read_fields(value, fields)
        if isinstance(value, list):
            count = len(fields)
            expected = f"struct {name} with {count} element{'' if count == 1 else 's'}"
            return _read_elements(value, tuple(field.reader for field in fields), expected)
        raise invalid_type(value, f"struct {name}")

    return read


def flattened(
    name: str, fields: tuple[Field, ...], *parts: Callable[[dict[str, Any]], Any]
) -> Reader[tuple[Any, ...]]:
    """An object whose own fields stand beside those of other types. Arrays are refused.

    The result is the values of ``fields``, then what each of ``parts`` makes of the object.
    """

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, dict):
            raise invalid_type(value, f"struct {name}")
        own = read_fields(value, fields)
        return (*own, *(part(value) for part in parts))

    return read


def enumeration(variants: Mapping[str, Reader[T] | None]) -> Reader[tuple[str, T | None]]:
    """One of some words, each alone (None) or as the single key of an object with a value.

    The result is the word and its value.
    """
    names = tuple(variants)

    def read(value: Any) -> tuple[str, T | None]:
        if isinstance(value, str):
            if value not in variants:
                raise unknown_variant(value, names)
            if variants[value] is not None:
                raise InvalidParameters("invalid type: unit variant, expected newtype variant")
            return value, None
        if not isinstance(value, dict):
            raise invalid_type(value, "string or map")
        if len(value) != 1:
            raise InvalidParameters("invalid value: map, expected map with a single key")
        ((word, content),) = value.items()
        if word not in variants:
            raise unknown_variant(word, names)
        return word, _read_variant(variants[word], content)

    return read


def _read_variant(reader: Reader[T] | None, content: Any) -> T | None:
    if reader is not None:
        return reader(content)
    if content is not None:
        raise invalid_type(content, "unit")
    return None


def flattened_enumeration(
    name: str, variants: Mapping[str, Reader[T]]
) -> Callable[[dict[str, Any]], tuple[str, T]]:
    """The same where the single key stands among other keys of an object."""

    def read(value: dict[str, Any]) -> tuple[str, T]:
        for key in sorted(value):
            reader = variants.get(key)
            if reader is not None:
                return key, reader(value[key])
        raise InvalidParameters(f"no variant of enum {name} found in flattened data")

    return read


def tagged(
    tag: str, variants: Mapping[str, tuple[Field, ...]]
) -> Callable[[dict[str, Any]], tuple[str, tuple[Any, ...]]]:
    """An object whose field ``tag`` says which other fields it has."""
    names = tuple(variants)

    def read(value: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
        if tag not in value:
            raise missing_field(tag)
        word = value[tag]
        if not isinstance(word, str):
            raise invalid_type(word, "variant identifier")
        if word not in variants:
            raise unknown_variant(word, names)
        return word, read_fields(value, variants[word])

    return read


def decode_base64(text: str) -> bytes:
    """Standard base64 with padding, canonical; the message of a refusal is the decoder's."""
    data = text.encode()
    try:
        decoded = a2b_base64(data)
    except BinasciiError:
        raise InvalidParameters(_explain_base64(data)) from None
    if b2a_base64(decoded, newline=False) != data:
        raise InvalidParameters(_explain_base64(data))
    return decoded


def _explain_base64(data: bytes) -> str:
    """Why this is not canonical base64, as a decoder that works in blocks of eight reports it."""
    size = len(data)
    if size % 4 == 1:
        last = data[-1]
        if last != _PADDING and last not in _BASE64_SYMBOLS:
            return f"Invalid byte {last}, offset {size - 1}."
        return "Encoded text cannot have a 6-bit remainder."
    suffix_start = max(size - 1, 0) // 8 * 8
    first_padding: int | None = None
    for offset, byte in enumerate(data):
        if byte == _PADDING and offset >= suffix_start and offset % 4 >= 2:
            first_padding = offset if first_padding is None else first_padding
        elif byte == _PADDING or first_padding is not None:
            return f"Invalid byte {_PADDING}, offset {offset if first_padding is None else first_padding}."
        elif byte not in _BASE64_SYMBOLS:
            return f"Invalid byte {byte}, offset {offset}."
    if size % 4 != 0:
        return "Invalid padding"
    body = data.rstrip(b"=")
    return f"Invalid last symbol {body[-1]}, offset {len(body) - 1}."


def read_base64(value: Any) -> bytes:
    """Bytes as a base64 string."""
    if not isinstance(value, str):
        raise invalid_type(value, "a base64 encoded string")
    return decode_base64(value)
