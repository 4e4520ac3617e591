"""What a contract says of itself: near-abi, as cargo-near embeds it, and borsh read by it.

A contract that carries its ABI answers ``__contract_abi`` with it, as JSON compressed by zstd. It describes calls and
their results, not what lies in storage; a value in storage is told as a type of the ABI only where exactly one of its
structures reads the whole of it. Forms: those that near-abi 0.3 and 0.4 write of borsh's schemas (0.11 and 1), which
are shorter than the schemas themselves.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]
METHOD: Final = "__contract_abi"
ABI_BYTES_MAX: Final = 4 * 1024 * 1024
DEPTH_MAX: Final = 32
ELEMENTS_MAX: Final = 4_096
_INTEGERS: Final[Mapping[str, tuple[int, bool]]] = {
    f"{sign}{8 * size}": (size, sign == "i") for sign in "ui" for size in (1, 2, 4, 8, 16)
}
_TEXTS: Final = ("String", "string", "AccountId", "str")


class InvalidAbi(ValueError):
    """What the contract says of itself is not near-abi, or not with these bytes."""


@dataclass(frozen=True)
class ContractAbi:
    """The functions by name, and all structures of borsh that they mention."""

    functions: Mapping[str, Json]
    definitions: Mapping[str, Json]

    def decode_arguments(self, method: str, data: bytes) -> Json | None:
        """The arguments of a call by name; None where the ABI does not say borsh. Raises ``InvalidAbi``."""
        params = self.functions.get(method, {}).get("params", {})
        if params.get("serialization_type") != "borsh":
            return None
        reader = _Reader(data)
        decoded = {
            argument["name"]: reader.read_schema(argument["type_schema"]) for argument in params["args"]
        }
        reader.end()
        return decoded

    def decode_result(self, method: str, data: bytes) -> Any:
        """What a call returned; None where the ABI does not say borsh. Raises ``InvalidAbi``."""
        result = self.functions.get(method, {}).get("result") or {}
        if result.get("serialization_type") != "borsh":
            return None
        return decode_borsh(result["type_schema"], data)

    def find_reading(self, data: bytes) -> tuple[str, Any] | None:
        """The one structure of the ABI that reads all of these bytes, with its value."""
        found = []
        # What follows the tag of an enum lies nowhere alone.
        parts = {part for definition in self.definitions.values() for part in _list_parts(definition)}
        for name, definition in self.definitions.items():
            if not definition.keys() & {"Struct", "Enum"} or name in parts:
                continue
            try:
                value = decode_borsh({"declaration": name, "definitions": self.definitions}, data)
            except InvalidAbi:
                continue
            found.append((name, value))
        return found[0] if len(found) == 1 else None


def _decompress(data: bytes) -> bytes:
    import zstandard  # Few contracts carry an ABI.

    try:
        text = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read(ABI_BYTES_MAX + 1)
    except zstandard.ZstdError as error:
        raise InvalidAbi(f"not near-abi: {error}") from error
    if len(text) > ABI_BYTES_MAX:
        raise InvalidAbi(f"an ABI of more than {ABI_BYTES_MAX} bytes")
    return text


def read_abi(data: bytes) -> ContractAbi:
    """From what ``__contract_abi`` returns. Raises ``InvalidAbi``."""
    text = data if data.startswith(b"{") else _decompress(data)
    try:
        functions = {one["name"]: one for one in json.loads(text)["body"]["functions"]}
        definitions = {
            name: definition
            for function in functions.values()
            for schema in _list_schemas(function)
            for name, definition in schema["definitions"].items()
        }
        for definition in definitions.values():
            list(_list_parts(definition))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidAbi(f"not near-abi: {error}") from error
    return ContractAbi(functions, definitions)


def _list_schemas(function: Json) -> Iterator[Json]:
    params = function.get("params") or {}
    if params.get("serialization_type") == "borsh":
        yield from (argument["type_schema"] for argument in params["args"])
    result = function.get("result") or {}
    if result.get("serialization_type") == "borsh":
        yield result["type_schema"]


def _list_parts(definition: Json) -> Iterator[str]:
    for kind, fields in definition.items():
        if kind == "Enum":
            for variant in fields["variants"] if isinstance(fields, dict) else fields:
                yield str(variant[-1])


def fetch_abi(
    account_id: str, block_hash: str, call: Callable[[str, Any], Any], problems: tuple[type[Exception], ...]
) -> ContractAbi | None:
    """The ABI of a contract as of a block; None where it carries none, or the node does not tell."""
    question = {
        "request_type": "call_function",
        "block_id": block_hash,
        "account_id": account_id,
        "method_name": METHOD,
        "args_base64": "",
    }
    try:
        answer = call("query", question)
        return read_abi(bytes(answer["result"])) if "result" in answer else None
    except problems:
        return None
    except InvalidAbi:
        return None


def decode_borsh(schema: Json, data: bytes) -> Any:
    """All of the bytes, as JSON. Raises ``InvalidAbi``."""
    reader = _Reader(data)
    value = reader.read_schema(schema)
    reader.end()
    return value


class _Reader:
    """Bytes, and how far they are read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._elements = 0

    def read_schema(self, schema: Json) -> Any:
        """The value that a schema is of."""
        try:
            return self._read(schema["declaration"], schema["definitions"], 0)
        except InvalidAbi:
            raise
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InvalidAbi(f"a schema that is none: {error}") from error

    def end(self) -> None:
        """Raise ``InvalidAbi`` if something is left."""
        if self._at != len(self._data):
            raise InvalidAbi(f"{len(self._data) - self._at} bytes are left over")

    def _take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise InvalidAbi("the bytes end too early")
        self._at += size
        return self._data[self._at - size : self._at]

    def _read_integer(self, size: int, *, is_signed: bool = False) -> int:
        return int.from_bytes(self._take(size), "little", signed=is_signed)

    def _read(self, name: str, definitions: Json, depth: int) -> Any:
        self._elements += 1
        if depth > DEPTH_MAX or self._elements > ELEMENTS_MAX:
            raise InvalidAbi("more than is shown")
        if name in _INTEGERS:
            size, is_signed = _INTEGERS[name]
            return self._read_integer(size, is_signed=is_signed)
        if name == "bool":
            if (flag := self._read_integer(1)) > 1:
                raise InvalidAbi(f"{flag} is no bool")
            return flag == 1
        if name in _TEXTS:
            return self._read_text()
        if name in ("()", "nil"):
            return None
        ((kind, fields),) = definitions[name].items()
        return self._read_definition(kind, fields, definitions, depth + 1)

    def _read_text(self) -> str:
        try:
            return self._take(self._read_integer(4)).decode()
        except UnicodeDecodeError as error:
            raise InvalidAbi("not UTF-8") from error

    def _read_definition(self, kind: str, fields: Any, definitions: Json, depth: int) -> Any:
        match kind:
            case "Primitive":
                return "0x" + self._take(fields).hex()
            case "Array":
                return self._read_elements(fields["length"], fields["elements"], definitions, depth)
            case "Sequence" if isinstance(fields, str):  # near-abi 0.3
                return self._read_elements(self._read_integer(4), fields, definitions, depth)
            case "Sequence":
                width = fields["length_width"]
                count = self._read_integer(width) if width else fields["length_range"]["end"]
                return self._read_elements(count, fields["elements"], definitions, depth)
            case "Tuple":
                return [self._read(element, definitions, depth) for element in fields]
            case "Struct":
                return self._read_fields(fields, definitions, depth)
            case "Enum" if isinstance(fields, list):  # near-abi 0.3
                return self._read_variant(1, fields, definitions, depth)
            case "Enum":
                return self._read_variant(fields["tag_width"], fields["variants"], definitions, depth)
        raise InvalidAbi(f"a schema with {kind!r}")

    def _read_elements(self, count: int, element: str, definitions: Json, depth: int) -> Any:
        if element == "u8":
            return "0x" + self._take(count).hex()
        if count > ELEMENTS_MAX:
            raise InvalidAbi("more than is shown")
        return [self._read(element, definitions, depth) for _ in range(count)]

    def _read_fields(self, fields: Any, definitions: Json, depth: int) -> Any:
        if not fields:
            return {}
        if isinstance(fields[0], list):
            return {name: self._read(element, definitions, depth) for name, element in fields}
        values = [self._read(element, definitions, depth) for element in fields]
        return values[0] if len(values) == 1 else values

    def _read_variant(self, width: int, variants: list[Any], definitions: Json, depth: int) -> Any:
        tag = self._read_integer(width)
        for index, variant in enumerate(variants):
            # Before borsh 1 a variant's place was its tag.
            number, name, element = variant if len(variant) == 3 else (index, *variant)
            if number == tag:
                value = self._read(element, definitions, depth)
                return name if value in ({}, None) else {name: value}
        raise InvalidAbi(f"{tag} is no variant")
