"""Why a text is not JSON, in the words of NEAR's node: what, line, column, and where in the value.

Used only after the fast decoder has refused a text; it accepts what that one may
refuse (``explain`` returns None then). Columns count bytes from 1; a fault at the
start of a line is in column 0 of it.
"""

import re
from typing import Final

_WHITESPACE: Final = b" \t\n\r"
_DIGITS: Final = b"0123456789"
_ESCAPABLE: Final = b'"\\/bfnrt'
_PLAIN: Final = re.compile(rb'[^"\\\x00-\x1f]*')
DEPTH_MAX: Final = 127
"""Arrays and objects may stand this deep in each other."""


class _Fault(Exception):
    """Something is wrong; ``offset`` is how many bytes were read when it was noticed."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset


def explain(text: bytes) -> str | None:
    """The message for a text that is not JSON, or None if it is."""
    parser = _Parser(text)
    try:
        parser.read_document()
    except _Fault as fault:
        before = text[: fault.offset]
        line = before.count(b"\n") + 1
        column = fault.offset - (before.rfind(b"\n") + 1)
        path = "".join(parser.path).removeprefix(".")
        return f"{path + ': ' if path else ''}{fault.reason} at line {line} column {column}"
    return None


class _Parser:
    """Recursive descent over bytes; ``path`` is where in the value it stands."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.offset = 0
        self.path: list[str] = []

    def read_document(self) -> None:
        self.read_value(DEPTH_MAX)
        self.path.clear()
        if self.peek() is not None:
            raise _Fault("trailing characters", self.offset + 1)

    def peek(self) -> int | None:
        """The next byte that is not white space."""
        text, offset = self.text, self.offset
        while offset < len(text) and text[offset] in _WHITESPACE:
            offset += 1
        self.offset = offset
        return text[offset] if offset < len(text) else None

    def read_value(self, depth: int) -> None:
        byte = self.peek()
        if byte is None:
            raise _Fault("EOF while parsing a value", self.offset)
        if byte in b"{[" and depth == 0:
            raise _Fault("recursion limit exceeded", self.offset + 1)
        match chr(byte):
            case "{":
                self.read_object(depth - 1)
            case "[":
                self.read_array(depth - 1)
            case '"':
                self.offset += 1
                self.read_string()
            case "n":
                self.read_word(b"null")
            case "t":
                self.read_word(b"true")
            case "f":
                self.read_word(b"false")
            case _ if byte in b"-0123456789":
                self.read_number()
            case _:
                raise _Fault("expected value", self.offset + 1)

    def read_word(self, word: bytes) -> None:
        for expected in word:
            if self.offset >= len(self.text):
                raise _Fault("EOF while parsing a value", self.offset)
            self.offset += 1
            if self.text[self.offset - 1] != expected:
                raise _Fault("expected ident", self.offset)

    def read_number(self) -> None:
        text = self.text
        if text[self.offset] == ord("-"):
            self.offset += 1
        if text[self.offset : self.offset + 1] == b"0":
            self.offset += 1
            if text[self.offset : self.offset + 1] and text[self.offset] in _DIGITS:
                raise _Fault("invalid number", self.offset + 1)
        else:
            self.read_digits()
        if text[self.offset : self.offset + 1] == b".":
            self.offset += 1
            self.read_digits()
        if text[self.offset : self.offset + 1] in (b"e", b"E"):
            self.offset += 1
            if text[self.offset : self.offset + 1] in (b"+", b"-"):
                self.offset += 1
            self.read_digits()

    def read_digits(self) -> None:
        text, start = self.text, self.offset
        while self.offset < len(text) and text[self.offset] in _DIGITS:
            self.offset += 1
        if self.offset > start:
            return
        if self.offset >= len(text):
            raise _Fault("EOF while parsing a value", self.offset)
        raise _Fault("invalid number", self.offset + 1)

    def read_string(self) -> str:
        """What follows an opening quotation mark."""
        text, start = self.text, self.offset
        while self.offset < len(text):
            plain = _PLAIN.match(text, self.offset)
            self.offset = self.offset if plain is None else plain.end()
            if self.offset >= len(text):
                break
            byte = text[self.offset]
            self.offset += 1
            if byte == ord('"'):
                try:
                    return text[start : self.offset - 1].decode()
                except UnicodeDecodeError:
                    raise _Fault("invalid unicode code point", self.offset) from None
            if byte == ord("\\"):
                self.read_escape()
            elif byte < 0x20:
                reason = "control character (\\u0000-\\u001F) found while parsing a string"
                raise _Fault(reason, self.offset)
        raise _Fault("EOF while parsing a string", self.offset)

    def read_escape(self) -> None:
        if self.offset >= len(self.text):
            raise _Fault("EOF while parsing a string", self.offset)
        byte = self.text[self.offset]
        self.offset += 1
        if byte != ord("u"):
            if byte not in _ESCAPABLE:
                raise _Fault("invalid escape", self.offset)
            return
        unit = self.read_code_unit()
        if 0xDC00 <= unit <= 0xDFFF:
            raise _Fault("lone leading surrogate in hex escape", self.offset)
        if 0xD800 <= unit <= 0xDBFF:
            for expected in b"\\u":
                if self.text[self.offset : self.offset + 1] != bytes([expected]):
                    raise _Fault("unexpected end of hex escape", self.offset + 1)
                self.offset += 1
            if not 0xDC00 <= self.read_code_unit() <= 0xDFFF:
                raise _Fault("lone leading surrogate in hex escape", self.offset)

    def read_code_unit(self) -> int:
        digits = self.text[self.offset : self.offset + 4]
        if len(digits) < 4:
            raise _Fault("EOF while parsing a string", len(self.text))
        self.offset += 4
        if not all(chr(digit) in "0123456789abcdefABCDEF" for digit in digits):
            raise _Fault("invalid escape", self.offset)
        return int(digits, 16)

    def read_array(self, depth: int) -> None:
        self.offset += 1
        index = 0
        if self.peek() == ord("]"):
            self.offset += 1
            return
        while True:
            if self.peek() is None:
                raise _Fault("EOF while parsing a list", self.offset)
            self.path.append(f"[{index}]")
            self.read_value(depth)
            self.path.pop()
            index += 1
            match self.peek():
                case 0x5D:
                    self.offset += 1
                    return
                case 0x2C:
                    self.offset += 1
                    if self.peek() == 0x5D:
                        raise _Fault("trailing comma", self.offset + 1)
                case None:
                    raise _Fault("EOF while parsing a list", self.offset)
                case _:
                    raise _Fault("expected `,` or `]`", self.offset + 1)

    def read_object(self, depth: int) -> None:
        self.offset += 1
        if self.peek() == ord("}"):
            self.offset += 1
            return
        while True:
            self.read_member(depth)
            match self.peek():
                case 0x7D:
                    self.offset += 1
                    return
                case 0x2C:
                    self.offset += 1
                    if self.peek() == 0x7D:
                        raise _Fault("trailing comma", self.offset + 1)
                case None:
                    raise _Fault("EOF while parsing an object", self.offset)
                case _:
                    raise _Fault("expected `,` or `}`", self.offset + 1)

    def read_member(self, depth: int) -> None:
        byte = self.peek()
        if byte is None:
            raise _Fault("EOF while parsing an object", self.offset)
        if byte != ord('"'):
            raise _Fault("key must be a string", self.offset + 1)
        self.offset += 1
        key = self.read_string()
        byte = self.peek()
        if byte is None:
            raise _Fault("EOF while parsing an object", self.offset)
        if byte != ord(":"):
            raise _Fault("expected `:`", self.offset + 1)
        self.offset += 1
        self.path.append(f".{key}")
        self.read_value(depth)
        self.path.pop()
