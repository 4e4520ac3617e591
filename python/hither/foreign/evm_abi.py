"""How contracts of EVM chains take arguments and give results: the contract ABI. No I/O.

A function is named as in Solidity, without the names of its arguments: ``transfer(address,uint256)``; what it returns
may follow: ``balanceOf(address)(uint256)``. Addresses are texts, ``bytes`` and ``bytes32`` are bytes, tuples and arrays
are sequences. Reading takes only what writing makes: bits beyond a value are refused, not ignored.
Source: Solidity's contract ABI specification, strict mode.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from hither.crypto.hashing import keccak256
from hither.foreign.errors import InvalidAddress, InvalidArguments
from hither.foreign.evm_addresses import format_address, parse_address

WORD: Final = 32
DEPTH_MAX: Final = 32

_ERROR: Final = bytes.fromhex("08c379a0")
_PANIC: Final = bytes.fromhex("4e487b71")
_PANICS: Final = {
    0x01: "an assertion failed",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x21: "no value of an enumeration",
    0x31: "pop from an empty array",
    0x32: "an index is out of bounds",
    0x41: "too much memory",
    0x51: "a call of a function that was never set",
}


@dataclass(frozen=True, slots=True)
class AbiType:
    """``kind`` is uint, int, address, bool, bytes, string, tuple or array.

    ``size`` counts bits of numbers, bytes of fixed bytes, items of a fixed array; it is none where the value decides.
    """

    kind: str
    size: int | None = None
    parts: tuple["AbiType", ...] = ()

    @property
    def is_dynamic(self) -> bool:
        """Whether values differ in length, so that an offset stands in their place."""
        if self.kind in ("bytes", "string", "array") and self.size is None:
            return True
        return self.size != 0 and any(part.is_dynamic for part in self.parts)

    @property
    def head_size(self) -> int:
        """Bytes of a value that is not dynamic."""
        if self.kind == "tuple":
            return sum(part.slot_size for part in self.parts)
        if self.kind == "array":
            return (self.size or 0) * self.parts[0].slot_size
        return WORD

    @property
    def slot_size(self) -> int:
        """Bytes that it takes among others: an offset's, when it is dynamic."""
        return WORD if self.is_dynamic else self.head_size

    def __str__(self) -> str:
        if self.kind == "tuple":
            return f"({','.join(map(str, self.parts))})"
        if self.kind == "array":
            return f"{self.parts[0]}[{'' if self.size is None else self.size}]"
        return self.kind if self.size is None else f"{self.kind}{self.size}"


@dataclass(frozen=True, slots=True)
class Function:
    """A function, event or error: its name, what it takes, what it returns."""

    name: str
    inputs: AbiType
    outputs: AbiType

    @property
    def signature(self) -> str:
        """What its selector is the hash of."""
        return f"{self.name}{self.inputs}"

    @property
    def topic(self) -> bytes:
        """The hash of its signature, by which events are found."""
        return keccak256(self.signature.encode())

    @property
    def selector(self) -> bytes:
        """The first four bytes of a call."""
        return self.topic[:4]


# Reading types


@lru_cache(maxsize=1024)
def parse_function(text: str) -> Function:
    """``name(inputs)`` or ``name(inputs)(outputs)``. Raises ``InvalidArguments``."""
    name, _, rest = text.partition("(")
    inputs, at = _parse_type(text, len(name)) if rest else (None, 0)
    outputs = AbiType("tuple")
    if inputs is not None and text[at:]:
        outputs, at = _parse_type(text, at)
    is_good = inputs is not None and inputs.kind == outputs.kind == "tuple" and at == len(text)
    if inputs is None or not is_good or not name.isidentifier():
        raise InvalidArguments(
            f"not a function: {text!r}", hint="write it as in balanceOf(address)(uint256), without names"
        )
    return Function(name, inputs, outputs)


@lru_cache(maxsize=1024)
def parse_type(text: str) -> AbiType:
    """One type, as in ``(address,uint256[])[2]``. Raises ``InvalidArguments``."""
    found, at = _parse_type(text, 0)
    if at != len(text):
        raise InvalidArguments(f"not a type: {text!r}")
    return found


def _parse_type(text: str, at: int, depth: int = 0) -> tuple[AbiType, int]:
    """The type that starts there, and where it ends."""
    if depth > DEPTH_MAX:
        raise InvalidArguments("types nest too deep")
    if text[at : at + 1] == "(":
        found, at = _parse_tuple(text, at, depth)
    else:
        start = at
        while at < len(text) and text[at].isalnum() and text[at].isascii():
            at += 1
        found = _parse_word(text[start:at])
    while text[at : at + 1] == "[":
        end = text.find("]", at)
        digits = text[at + 1 : end]
        if end < 0 or (digits and not (digits.isascii() and digits.isdecimal() and len(digits) <= 6)):
            raise InvalidArguments(f"not a type: {text!r}")
        found, at = AbiType("array", int(digits) if digits else None, (found,)), end + 1
    return found, at


def _parse_tuple(text: str, at: int, depth: int) -> tuple[AbiType, int]:
    parts: list[AbiType] = []
    at += 1
    while text[at : at + 1] != ")" or parts:
        part, at = _parse_type(text, at, depth + 1)
        parts.append(part)
        if text[at : at + 1] == ")":
            break
        if text[at : at + 1] != ",":
            raise InvalidArguments(f"not a type: {text!r}")
        at += 1
    return AbiType("tuple", None, tuple(parts)), at + 1


def _parse_word(word: str) -> AbiType:
    if word in ("address", "bool", "bytes", "string"):
        return AbiType(word)
    kind = word.rstrip("0123456789")
    digits = word[len(kind) :]
    if digits and not digits.startswith("0"):
        size = int(digits) if len(digits) <= 3 else 0
        if kind in ("uint", "int") and 8 <= size <= 256 and size % 8 == 0:
            return AbiType(kind, size)
        if kind == "bytes" and 1 <= size <= 32:
            return AbiType(kind, size)
    elif kind in ("uint", "int") and not digits:
        return AbiType(kind, 256)
    raise InvalidArguments(f"not a type: {word!r}")


# Writing


def encode_call(function: str, arguments: Sequence[Any] = ()) -> bytes:
    """What a contract is called with. Raises ``InvalidArguments``."""
    parsed = parse_function(function)
    return parsed.selector + encode(parsed.inputs, arguments)


def encode(type_: AbiType, value: Any) -> bytes:
    """A value, or for a tuple its values; a dynamic one without an offset before it. Raises ``InvalidArguments``."""
    if type_.kind == "tuple":
        items = _must_be_sequence(type_, value, len(type_.parts))
        return _encode_row(type_.parts, items)
    if type_.kind == "array":
        items = _must_be_sequence(type_, value, type_.size)
        row = _encode_row(type_.parts * len(items), items)
        return row if type_.size is not None else _encode_number(len(items)) + row
    if type_.kind in ("bytes", "string") and type_.size is None:
        data = value.encode() if type_.kind == "string" and isinstance(value, str) else value
        if not isinstance(data, bytes) or (type_.kind == "string" and not isinstance(value, str)):
            raise InvalidArguments(f"not a {type_}: {value!r}")
        return _encode_number(len(data)) + data + bytes(-len(data) % WORD)
    return _encode_word(type_, value)


def _encode_row(types: Sequence[AbiType], values: Sequence[Any]) -> bytes:
    """Heads, then what their offsets point to."""
    head_size = sum(type_.slot_size for type_ in types)
    heads: list[bytes] = []
    tails: list[bytes] = []
    for type_, value in zip(types, values, strict=True):
        data = encode(type_, value)
        if type_.is_dynamic:
            tails.append(data)
            heads.append(_encode_number(head_size))
            head_size += len(data)
        else:
            heads.append(data)
    return b"".join(heads + tails)


def _encode_word(type_: AbiType, value: Any) -> bytes:
    if type_.kind == "address" and isinstance(value, str):
        try:
            return bytes(12) + parse_address(value)
        except InvalidAddress as error:
            raise InvalidArguments(str(error), hint=error.hint) from None
    if type_.kind == "bool" and isinstance(value, bool):
        return _encode_number(value)
    if type_.kind == "bytes" and isinstance(value, bytes) and len(value) == type_.size:
        return value.ljust(WORD, b"\0")
    if type_.kind in ("uint", "int") and isinstance(value, int) and not isinstance(value, bool):
        low, high = _get_range(type_)
        if low <= value <= high:
            return value.to_bytes(WORD, "big", signed=low < 0)
    raise InvalidArguments(f"not a {type_}: {value!r}")


def _encode_number(number: int) -> bytes:
    return number.to_bytes(WORD, "big")


def _get_range(type_: AbiType) -> tuple[int, int]:
    bits = type_.size or 256
    return (0, 2**bits - 1) if type_.kind == "uint" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _must_be_sequence(type_: AbiType, value: Any, length: int | None) -> Sequence[Any]:
    is_sequence = isinstance(value, list | tuple)
    if not is_sequence or (length is not None and len(value) != length):
        wanted = "" if length is None else f" of {length}"
        raise InvalidArguments(f"{type_} takes a sequence{wanted}, not {value!r}")
    items: Sequence[Any] = value
    return items


# Reading


def decode_call(function: str, data: bytes) -> tuple[Any, ...]:
    """The arguments of a call. Raises ``InvalidArguments``, also when it calls something else."""
    parsed = parse_function(function)
    if data[:4] != parsed.selector:
        raise InvalidArguments(f"the data does not call {parsed.signature}")
    arguments: tuple[Any, ...] = decode(parsed.inputs, data[4:])
    return arguments


def decode_result(function: str, data: bytes) -> Any:
    """What a function returned: one value as it is, several as a tuple. Raises ``InvalidArguments``."""
    outputs = parse_function(function).outputs
    values = decode(outputs, data)
    return values[0] if len(outputs.parts) == 1 else values


def decode(type_: AbiType, data: bytes) -> Any:
    """The reverse of ``encode``. Raises ``InvalidArguments``."""
    # Each value takes a word at least, unless offsets lead to the same words again and again.
    return _decode_at(type_, data, 0, [2 * (len(data) // WORD + DEPTH_MAX)])


def _decode_at(type_: AbiType, data: bytes, at: int, budget: list[int]) -> Any:
    """The value whose content starts there. ``budget`` bounds the work that hostile offsets can cause."""
    budget[0] -= 1
    if budget[0] < 0:
        raise InvalidArguments("the data holds too many values")
    if type_.kind == "tuple":
        return tuple(_decode_row(type_.parts, data, at, budget))
    if type_.kind == "array":
        length = type_.size
        if length is None:
            length, at = _read_number(data, at), at + WORD
            if length * type_.parts[0].slot_size > len(data) - at:
                raise InvalidArguments("an array is longer than the data")
        return _decode_row(type_.parts * length, data, at, budget)
    if type_.kind in ("bytes", "string") and type_.size is None:
        length = _read_number(data, at)
        start, end = at + WORD, at + WORD + length
        padded = end + -length % WORD
        if padded > len(data) or any(data[end:padded]):
            raise InvalidArguments(f"a {type_} ends beyond the data, or has bits after it")
        return _read_text(data[start:end]) if type_.kind == "string" else data[start:end]
    return _decode_word(type_, _read_word(data, at))


def _decode_row(types: Sequence[AbiType], data: bytes, at: int, budget: list[int]) -> list[Any]:
    values = []
    head = at
    for type_ in types:
        if type_.is_dynamic:
            values.append(_decode_at(type_, data, at + _read_number(data, head), budget))
        else:
            values.append(_decode_at(type_, data, head, budget))
        head += type_.slot_size
    return values


def _decode_word(type_: AbiType, word: bytes) -> Any:
    if type_.kind == "address" and not any(word[:12]):
        return format_address(word[12:])
    if type_.kind == "bool" and word[:31] == bytes(31) and word[31] < 2:
        return word[31] == 1
    if type_.kind == "bytes" and not any(word[type_.size :]):
        return word[: type_.size]
    if type_.kind in ("uint", "int"):
        low, high = _get_range(type_)
        number = int.from_bytes(word, "big", signed=low < 0)
        if low <= number <= high:
            return number
    raise InvalidArguments(f"0x{word.hex()} is no {type_}")


def _read_word(data: bytes, at: int) -> bytes:
    word = data[at : at + WORD]
    if len(word) != WORD:
        raise InvalidArguments("the data ends too early")
    return word


def _read_number(data: bytes, at: int) -> int:
    number = int.from_bytes(_read_word(data, at), "big")
    if number > len(data):
        raise InvalidArguments("an offset or a length leads beyond the data")
    return number


def _read_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidArguments("a text is not UTF-8") from None


def describe_revert(data: bytes) -> str:
    """Why a contract refused, from what it returned; an error of its own is given as bytes."""
    try:
        if data[:4] == _ERROR:
            return str(decode(parse_type("(string)"), data[4:])[0])
        if data[:4] == _PANIC:
            number = decode(parse_type("(uint256)"), data[4:])[0]
            return _PANICS.get(number, f"panic {number:#x}")
    except InvalidArguments:
        pass
    return f"the contract's error 0x{data.hex()}" if data else "the contract gave no reason"
