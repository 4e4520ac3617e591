"""Borsh: declare a form once, get a fast encoder and a strict decoder for it.

A ``Codec`` is a declaration. Its ``encode`` and ``decode`` are functions that
are generated from it as Python source when first asked for, so that a struct
of fixed-width fields costs one ``struct.unpack``, not a walk over field lists.

Decoding is strict: an unknown tag, bytes left over or missing and text that is
not UTF-8 all raise ``InvalidBorsh``. Maps are taken in any order, the last of
equal keys winning, and come back sorted, as NEAR's own decoder takes them.
Recursion is bounded because a declaration cannot refer to itself.
Specification: borsh.io.

Two readers come from each declaration. The fast one lets slices come out short:
they move the position past the end, and comparing the position with the length
at last finds that. When it refuses, the exact one, which stops at the first
fault, says what NEAR's node would say: its RPC answers show these words.
"""

import struct
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Generic, NoReturn, TypeVar

import msgspec

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class InvalidBorsh(ValueError):
    """The bytes are not the borsh form of the type asked for. The message is NEAR's."""


MISSING = "Unexpected length of input"
LEFT_OVER = "Not all bytes read"


class Source:
    """The body of one generated function and the objects that it refers to.

    ``is_exact``: check every length at once, so that the first fault is the one reported.
    """

    def __init__(self, is_exact: bool = False) -> None:
        self.is_exact = is_exact
        self.lines: list[str] = []
        self.namespace: dict[str, Any] = {"InvalidBorsh": InvalidBorsh}
        self.depth = 1
        self.names_made = 0

    def emit(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def emit_end_check(self, end: str, message: str = MISSING) -> None:
        """For slices: refuse at once if the data ends before ``end``. The fast reader finds it at last."""
        if self.is_exact:
            self.emit(f"if {end} > len(data):")
            self.emit(f"    raise InvalidBorsh({message!r})")

    def make_name(self, stem: str = "x") -> str:
        self.names_made += 1
        return f"{stem}{self.names_made}"

    def bind(self, value: object, stem: str = "c") -> str:
        """A name for an object that the function needs."""
        for name, bound in self.namespace.items():
            if bound is value:
                return name
        name = self.make_name(stem)
        self.namespace[name] = value
        return name

    def build(self, header: str) -> Any:
        exec("\n".join([header, *self.lines]), self.namespace)
        return self.namespace["function"]


class Codec(Generic[T]):
    """The borsh form of a type. Subclasses say how to write and how to read it."""

    layout: str | None = None
    """For fixed-width forms: the ``struct`` format, without byte order."""

    def write(self, source: Source, value: str) -> str:
        """An expression of type bytes for the expression ``value``."""
        raise NotImplementedError

    def read(self, source: Source, target: str) -> None:
        """Statements that set ``target`` from ``data`` at ``at`` and move ``at``."""
        if self.layout is None:
            raise NotImplementedError
        unpacker = struct.Struct("<" + self.layout)
        parts = [source.make_name() for _ in unpacker.unpack(bytes(unpacker.size))]
        source.emit(f"{', '.join(parts)}, = {source.bind(unpacker.unpack_from, 'unpack')}(data, at)")
        source.emit(f"at += {unpacker.size}")
        source.emit(f"{target} = {self.assemble(parts)}")

    def assemble(self, parts: list[str]) -> str:
        """For fixed-width forms: the value as an expression of the unpacked parts."""
        return parts[0]

    @cached_property
    def encode(self) -> Callable[[T], bytes]:
        """Value to bytes. A number too large raises ``OverflowError``."""
        source = Source()
        result = self.write(source, "value")
        source.emit(f"return {result}")
        function: Callable[[T], bytes] = source.build("def function(value):")
        return function

    def make_reader(self, is_exact: bool) -> Callable[[bytes, int], tuple[T, int]]:
        """(data, position) to (value, next position); the caller compares the end and maps errors."""
        source = Source(is_exact)
        self.read(source, "result")
        source.emit("return result, at")
        function: Callable[[bytes, int], tuple[T, int]] = source.build("def function(data, at):")
        return function

    @cached_property
    def read_at(self) -> Callable[[bytes, int], tuple[T, int]]:
        return self.make_reader(is_exact=False)

    @cached_property
    def read_at_exactly(self) -> Callable[[bytes, int], tuple[T, int]]:
        return self.make_reader(is_exact=True)

    @cached_property
    def decode(self) -> Callable[[bytes], T]:
        """Bytes to value, or ``InvalidBorsh``."""
        source = Source()
        source.emit("at = 0")
        source.emit("try:")
        source.depth += 1
        self.read(source, "result")
        source.depth -= 1
        source.emit(f"except {source.bind(READ_ERRORS, 'errors')}:")
        source.emit(f"    {source.bind(self.refuse, 'refuse')}(data)")
        source.emit("if at != len(data):")
        source.emit(f"    {source.bind(self.refuse, 'refuse')}(data)")
        source.emit("return result")
        function: Callable[[bytes], T] = source.build("def function(data):")
        return function

    def refuse(self, data: bytes) -> NoReturn:
        """Raise for the first fault of bytes that the fast reader refused."""
        try:
            _, at = self.read_at_exactly(data, 0)
        except UnicodeDecodeError as error:
            raise InvalidBorsh(_describe_bad_text(error)) from None
        except UnknownTag as error:
            raise InvalidBorsh(f"Unexpected variant tag: {error.args[0]}") from None
        except (struct.error, IndexError):
            raise InvalidBorsh(MISSING) from None
        assert at < len(data), "the fast reader refused what the exact one takes"
        raise InvalidBorsh(LEFT_OVER)


class UnknownTag(KeyError):
    """No variant has this tag."""


READ_ERRORS = (struct.error, IndexError, KeyError, UnicodeDecodeError, InvalidBorsh)
"""What generated readers may raise on bad bytes."""


def _describe_bad_text(error: UnicodeDecodeError) -> str:
    if error.reason == "unexpected end of data":
        return f"incomplete utf-8 byte sequence from index {error.start}"
    return f"invalid utf-8 sequence of {error.end - error.start} bytes from index {error.start}"


class Variants(dict[int, Any]):
    """By tag; says which tag it was that nothing has."""

    def __missing__(self, tag: int) -> NoReturn:
        raise UnknownTag(tag)


class _Unsigned(Codec[int]):
    def __init__(self, size: int, layout: str) -> None:
        self.size, self.layout = size, layout

    def write(self, source: Source, value: str) -> str:
        return f"{value}.to_bytes({self.size}, 'little')"

    def assemble(self, parts: list[str]) -> str:
        return parts[0] if len(parts) == 1 else f"{parts[0]} | {parts[1]} << 64"


U8: Codec[int] = _Unsigned(1, "B")
U16: Codec[int] = _Unsigned(2, "H")
U32: Codec[int] = _Unsigned(4, "I")
U64: Codec[int] = _Unsigned(8, "Q")
U128: Codec[int] = _Unsigned(16, "QQ")

_U32 = struct.Struct("<I")


def _read_bool(byte: int) -> bool:
    if byte > 1:
        raise InvalidBorsh(f"Invalid bool representation: {byte}")
    return byte == 1


class _Bool(Codec[bool]):
    def write(self, source: Source, value: str) -> str:
        return f"(b'\\x01' if {value} else b'\\x00')"

    def read(self, source: Source, target: str) -> None:
        source.emit(f"{target} = {source.bind(_read_bool, 'read_bool')}(data[at])")
        source.emit("at += 1")


BOOL: Codec[bool] = _Bool()


def _refuse_length(value: bytes, size: int) -> bytes:
    raise OverflowError(f"{size} bytes are needed, not {len(value)}")


class _Fixed(Codec[bytes]):
    def __init__(self, size: int) -> None:
        self.size, self.layout = size, f"{size}s"

    def write(self, source: Source, value: str) -> str:
        name = source.make_name()
        refuse = source.bind(_refuse_length)
        return f"({name} if len({name} := {value}) == {self.size} else {refuse}({name}, {self.size}))"


def fixed(size: int) -> Codec[Any]:
    """Exactly so many bytes, without a length."""
    return _Fixed(size)


HASH: Codec[Any] = fixed(32)


class _Bytes(Codec[bytes]):
    def write(self, source: Source, value: str) -> str:
        name = source.make_name()
        return f"len({name} := {value}).to_bytes(4, 'little') + {name}"

    def read(self, source: Source, target: str) -> None:
        self.read_slice(source, target, "")

    def read_slice(self, source: Source, target: str, suffix: str) -> None:
        size, end = source.make_name("size"), source.make_name("end")
        source.emit(f"{size}, = {source.bind(_U32.unpack_from, 'unpack')}(data, at)")
        source.emit(f"{end} = at + 4 + {size}")
        source.emit_end_check(end)
        source.emit(f"{target} = data[at + 4:{end}]{suffix}")
        source.emit(f"at = {end}")


class _Text(_Bytes):
    def write(self, source: Source, value: str) -> str:
        return super().write(source, f"{value}.encode()")

    def read(self, source: Source, target: str) -> None:
        self.read_slice(source, target, ".decode()")


BYTES: Codec[bytes] = _Bytes()
STRING: Codec[Any] = _Text()


class _Refused(Codec[Any]):
    def __init__(self, message: str) -> None:
        self.message = message

    def write(self, source: Source, value: str) -> str:
        raise NotImplementedError

    def read(self, source: Source, target: str) -> None:
        source.emit(f"raise InvalidBorsh({self.message!r})")


def refused(message: str) -> Codec[Any]:
    """A form that exists but may not stand here."""
    return _Refused(message)


class _Constant(Codec[T]):
    def __init__(self, value: T) -> None:
        self.value = value

    def write(self, source: Source, value: str) -> str:
        return "b''"

    def read(self, source: Source, target: str) -> None:
        source.emit(f"{target} = {source.bind(self.value, 'constant')}")


def constant(value: T) -> Codec[T]:
    """No bytes at all: always this value."""
    return _Constant(value)


class _Checked(Codec[T]):
    def __init__(self, codec: Codec[T], is_valid: Callable[[T], object], explain: Callable[[T], str]) -> None:
        self.codec, self.is_valid, self.explain = codec, is_valid, explain

    def write(self, source: Source, value: str) -> str:
        return self.codec.write(source, value)

    def read(self, source: Source, target: str) -> None:
        self.codec.read(source, target)
        source.emit(f"if not {source.bind(self.is_valid, 'is_valid')}({target}):")
        source.emit(f"    raise InvalidBorsh({source.bind(self.explain, 'explain')}({target}))")


def checked(codec: Codec[T], is_valid: Callable[[T], object], explain: Callable[[T], str]) -> Codec[T]:
    """The same form, refused when the value is not valid; ``explain`` makes the message."""
    return _Checked(codec, is_valid, explain)


class _Mapped(Codec[V]):
    def __init__(self, codec: Codec[T], to_wire: Callable[[V], T], from_wire: Callable[[T], V]) -> None:
        self.codec, self.to_wire, self.from_wire = codec, to_wire, from_wire

    def write(self, source: Source, value: str) -> str:
        name = source.make_name()
        outer = f"({name} := {source.bind(self.to_wire, 'to_wire')}({value}))"
        inner = self.codec.write(source, name)
        return f"({outer}, {inner})[1]"

    def read(self, source: Source, target: str) -> None:
        name = source.make_name()
        self.codec.read(source, name)
        source.emit(f"{target} = {source.bind(self.from_wire, 'from_wire')}({name})")


def mapped(codec: Codec[T], to_wire: Callable[[V], T], from_wire: Callable[[T], V]) -> Codec[V]:
    """Another Python type with the form of ``codec``."""
    return _Mapped(codec, to_wire, from_wire)


def _refuse_option(tag: int) -> NoReturn:
    raise InvalidBorsh(f"Invalid Option representation: {tag}. The first byte must be 0 or 1")


class _Option(Codec[T | None]):
    def __init__(self, codec: Codec[T]) -> None:
        self.codec = codec

    def write(self, source: Source, value: str) -> str:
        name = source.make_name()
        return f"(b'\\x00' if ({name} := {value}) is None else b'\\x01' + {self.codec.write(source, name)})"

    def read(self, source: Source, target: str) -> None:
        tag = source.make_name("tag")
        source.emit(f"{tag} = data[at]")
        source.emit("at += 1")
        source.emit(f"if {tag} == 0:")
        source.emit(f"    {target} = None")
        source.emit(f"elif {tag} == 1:")
        source.depth += 1
        self.codec.read(source, target)
        source.depth -= 1
        source.emit("else:")
        source.emit(f"    {source.bind(_refuse_option, 'refuse_option')}({tag})")


def option(codec: Codec[T]) -> Codec[T | None]:
    """0, or 1 and the value."""
    return _Option(codec)


class _Sequence(Codec[tuple[T, ...]]):
    def __init__(self, codec: Codec[T]) -> None:
        self.codec = codec

    def write(self, source: Source, value: str) -> str:
        items, item = source.make_name("items"), source.make_name("item")
        written = self.codec.write(source, item)
        return f"len({items} := {value}).to_bytes(4, 'little') + b''.join([{written} for {item} in {items}])"

    def read(self, source: Source, target: str) -> None:
        count, items, item = source.make_name("count"), source.make_name("items"), source.make_name("item")
        source.emit(f"{count}, = {source.bind(_U32.unpack_from, 'unpack')}(data, at)")
        source.emit("at += 4")
        source.emit(f"if {count} == 1:")
        source.depth += 1
        self.codec.read(source, item)
        source.emit(f"{target} = ({item},)")
        source.depth -= 1
        source.emit("else:")
        source.depth += 1
        # An item that is read past the end raises, so no more are tried than the data has bytes.
        source.emit(f"{items} = []")
        source.emit(f"for _ in range({count}):")
        source.depth += 1
        self.codec.read(source, item)
        source.emit(f"{items}.append({item})")
        source.depth -= 1
        source.emit(f"{target} = tuple({items})")
        source.depth -= 1


def sequence(codec: Codec[T]) -> Codec[tuple[T, ...]]:
    """A count and the items."""
    return _Sequence(codec)


class _TupleOf(Codec[Any]):
    def __init__(self, codecs: tuple[Codec[Any], ...]) -> None:
        self.codecs = codecs

    def write(self, source: Source, value: str) -> str:
        name = source.make_name()
        parts = [codec.write(source, f"{name}[{index}]") for index, codec in enumerate(self.codecs)]
        return f"(({name} := {value}), {' + '.join(parts)})[1]"

    def read(self, source: Source, target: str) -> None:
        names = [source.make_name() for _ in self.codecs]
        _read_fields(source, list(zip(names, self.codecs, strict=True)))
        source.emit(f"{target} = ({', '.join(names)},)")


def tuple_of(*codecs: Codec[Any]) -> Codec[Any]:
    """The parts one after the other."""
    return _TupleOf(codecs)


def _sort_pairs(pairs: tuple[tuple[Any, Any], ...]) -> tuple[tuple[Any, Any], ...]:
    return tuple(sorted(dict(pairs).items()))


def _sort_items(items: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(sorted(set(items)))


def sorted_map(key: Codec[K], value: Codec[V]) -> Codec[tuple[tuple[K, V], ...]]:
    """A map as pairs sorted by key. Encoding trusts the order; decoding restores it."""
    return mapped(sequence(tuple_of(key, value)), lambda pairs: pairs, _sort_pairs)


def sorted_set(codec: Codec[T]) -> Codec[tuple[T, ...]]:
    """A set as a sorted tuple. Encoding trusts the order; decoding restores it."""
    return mapped(sequence(codec), lambda items: items, _sort_items)


def _read_fields(source: Source, fields: list[tuple[str, Codec[Any]]]) -> None:
    """Read each codec into its name; runs of fixed-width forms by one unpack."""
    run: list[tuple[str, Codec[Any]]] = []

    def flush() -> None:
        if not run:
            return
        unpacker = struct.Struct("<" + "".join(codec.layout or "" for _, codec in run))
        parts, assembled = [], []
        for name, codec in run:
            width = len(struct.Struct(f"<{codec.layout}").unpack(bytes(struct.calcsize(f"<{codec.layout}"))))
            own = [name] if width == 1 else [source.make_name() for _ in range(width)]
            parts += own
            value = codec.assemble(own)
            if value != name:
                assembled.append(f"{name} = {value}")
        source.emit(f"{', '.join(parts)}, = {source.bind(unpacker.unpack_from, 'unpack')}(data, at)")
        source.emit(f"at += {unpacker.size}")
        for line in assembled:
            source.emit(line)
        run.clear()

    for name, codec in fields:
        if codec.layout is not None:
            run.append((name, codec))
        else:
            flush()
            codec.read(source, name)
    flush()


class _Struct(Codec[T]):
    def __init__(
        self, cls: type[T], fields: Mapping[str, Codec[Any]], constants: Mapping[str, object] | None = None
    ) -> None:
        self.cls, self.fields, self.constants = cls, fields, constants or {}

    def write(self, source: Source, value: str) -> str:
        parts = []
        for names, codec in self.fields.items():
            attributes = [f"{value}.{name}" for name in names.split()]
            parts.append(
                codec.write(source, attributes[0] if len(attributes) == 1 else f"({', '.join(attributes)})")
            )
        return " + ".join(parts) or "b''"

    def read(self, source: Source, target: str) -> None:
        targets = {names: source.make_name(names.split()[0]) for names in self.fields}
        _read_fields(source, [(targets[names], codec) for names, codec in self.fields.items()])
        values = {name: repr(constant) for name, constant in self.constants.items()}
        for names, name in targets.items():
            parts = names.split()
            for index, part in enumerate(parts):
                values[part] = name if len(parts) == 1 else f"{name}[{index}]"
        arguments: list[str] = []
        waiting: list[str] = []
        # Positional arguments: keywords cost as much again as making the object.
        for field in msgspec.structs.fields(self.cls):  # type: ignore[arg-type]
            if field.name in values:
                arguments += [*waiting, values.pop(field.name)]
                waiting = []
            else:
                waiting.append(repr(field.default))
        assert not values, f"{self.cls.__name__} has no {', '.join(values)}"
        source.emit(f"{target} = {source.bind(self.cls, self.cls.__name__)}({', '.join(arguments)})")


def record(
    cls: type[T],
    fields: Mapping[str, Codec[Any]],
    constants: Mapping[str, object] | None = None,
) -> Codec[T]:
    """A ``msgspec.Struct`` as its fields, one after the other.

    A key of ``fields`` that names several attributes (separated by a space) gives their tuple to its
    codec. ``constants`` are attributes that the form implies without holding them.
    """
    return _Struct(cls, fields, constants)


class _Function(Codec[T]):
    def __init__(self, codec: Codec[T]) -> None:
        self.codec = codec

    def write(self, source: Source, value: str) -> str:
        return f"{source.bind(self.codec.encode, 'encode')}({value})"

    def read(self, source: Source, target: str) -> None:
        reader = self.codec.read_at_exactly if source.is_exact else self.codec.read_at
        source.emit(f"{target}, at = {source.bind(reader, 'read')}(data, at)")


def shared(codec: Codec[T]) -> Codec[T]:
    """The same form, called instead of repeated inside those that contain it."""
    return _Function(codec)


class _Tagged(Codec[Any]):
    def __init__(self, variants: Mapping[int, tuple[type, Codec[Any]]]) -> None:
        self.variants = variants

    @cached_property
    def writers(self) -> dict[type, Callable[[Any], bytes]]:
        return {
            cls: _prefixed(tag, codec).encode
            for tag, (cls, codec) in self.variants.items()
            if not isinstance(codec, _Refused)
        }

    @cached_property
    def readers(self) -> Variants:
        return Variants({tag: codec.read_at for tag, (_, codec) in self.variants.items()})

    @cached_property
    def exact_readers(self) -> Variants:
        return Variants({tag: codec.read_at_exactly for tag, (_, codec) in self.variants.items()})

    def write(self, source: Source, value: str) -> str:
        name = source.make_name()
        return f"{source.bind(self.writers, 'writers')}[type({name} := {value})]({name})"

    def read(self, source: Source, target: str) -> None:
        readers = self.exact_readers if source.is_exact else self.readers
        source.emit(f"{target}, at = {source.bind(readers, 'readers')}[data[at]](data, at + 1)")


def tagged(variants: Mapping[int, tuple[type, Codec[Any]]]) -> Codec[Any]:
    """An enum: a tag byte, then the form of that variant. The Python class tells the variant."""
    return _Tagged(variants)


class _Prefixed(Codec[T]):
    def __init__(self, prefix: bytes, codec: Codec[T]) -> None:
        self.prefix, self.codec = prefix, codec

    def write(self, source: Source, value: str) -> str:
        return f"{self.prefix!r} + {self.codec.write(source, value)}"

    def read(self, source: Source, target: str) -> None:
        size = len(self.prefix)
        source.emit(f"if data[at:at + {size}] != {self.prefix!r}:")
        source.emit(f"    raise {source.bind(UnknownTag)}(data[at + {size - 1}])")
        source.emit(f"at += {size}")
        self.codec.read(source, target)


def _prefixed(tag: int, codec: Codec[T]) -> Codec[T]:
    return _Prefixed(bytes([tag]), codec)


def prefixed(prefix: bytes, codec: Codec[T]) -> Codec[T]:
    """The form after bytes that are always the same."""
    return _Prefixed(prefix, codec)


class _Chosen(Codec[Any]):
    def __init__(self, choose: Callable[[Any], int], variants: Mapping[int, Codec[Any]]) -> None:
        self.choose, self.variants = choose, variants

    @cached_property
    def writers(self) -> dict[int, Callable[[Any], bytes]]:
        return {tag: _prefixed(tag, codec).encode for tag, codec in self.variants.items()}

    @cached_property
    def readers(self) -> Variants:
        return Variants({tag: codec.read_at for tag, codec in self.variants.items()})

    @cached_property
    def exact_readers(self) -> Variants:
        return Variants({tag: codec.read_at_exactly for tag, codec in self.variants.items()})

    def write(self, source: Source, value: str) -> str:
        name = source.make_name()
        choose = source.bind(self.choose, "choose")
        return f"{source.bind(self.writers, 'writers')}[{choose}({name} := {value})]({name})"

    def read(self, source: Source, target: str) -> None:
        readers = self.exact_readers if source.is_exact else self.readers
        source.emit(f"{target}, at = {source.bind(readers, 'readers')}[data[at]](data, at + 1)")


def chosen(choose: Callable[[Any], int], variants: Mapping[int, Codec[Any]]) -> Codec[Any]:
    """An enum whose variant ``choose`` tells from the value."""
    return _Chosen(choose, variants)
