"""Where a text stops being JSON, and that the explanation agrees with an independent parser."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hither.rpc.syntax import DEPTH_MAX, explain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{not json", "key must be a string at line 1 column 2"),
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b'{"jsonrpc":"2.0","id":"\xff"}', "id: invalid unicode code point at line 1 column 25"),
        (b'{"a":[1,2', "a: EOF while parsing a list at line 1 column 9"),
        (b'{"a" 1}', "expected `:` at line 1 column 6"),
        (b'{"a":1 "b":2}', "expected `,` or `}` at line 1 column 8"),
        (b"[1 2]", "expected `,` or `]` at line 1 column 4"),
        (b"[1,]", "trailing comma at line 1 column 4"),
        (b'{"a":1,}', "trailing comma at line 1 column 8"),
        (b"tru", "EOF while parsing a value at line 1 column 3"),
        (b"nul1", "expected ident at line 1 column 4"),
        (b'{"a":1}x', "trailing characters at line 1 column 8"),
        (b'"\\q"', "invalid escape at line 1 column 3"),
        (b'"\\udc00"', "lone leading surrogate in hex escape at line 1 column 7"),
        (b"01", "invalid number at line 1 column 2"),
        (b"1.", "EOF while parsing a value at line 1 column 2"),
        (b'"a\nb"', "control character (\\u0000-\\u001F) found while parsing a string at line 2 column 0"),
        (b' \n\n {"a":b}', "a: expected value at line 3 column 7"),
        (b'{"a":{"b":[0,}}', "a.b[1]: expected value at line 1 column 14"),
    ],
)
def test_first_fault_is_named_with_its_place(text: bytes, message: str) -> None:
    """What, line, column, and the path of keys to it."""
    assert explain(text) == message


def test_nesting_has_a_limit() -> None:
    """As deep as allowed is fine; one deeper is refused where it opens."""
    deep = b"[" * DEPTH_MAX + b"]" * DEPTH_MAX
    assert explain(deep) is None
    message = explain(b"[" + deep + b"]")
    assert message is not None
    assert message.endswith(f": recursion limit exceeded at line 1 column {DEPTH_MAX + 1}")


def _is_json(text: bytes) -> bool:
    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        decoded = json.loads(text.decode(), parse_constant=refuse)
        json.dumps(decoded).encode()
        # A lone surrogate is text for Python only.
        str(decoded).encode()
    except (ValueError, RecursionError):
        return False
    return True


_PIECES = st.sampled_from(
    [b"{", b"}", b"[", b"]", b":", b",", b'"', b"a", b'"a"', b"1", b"-", b".5", b"e3", b"0", b"null"]
    + [b"true", b"\\u0041", b"\\n", b" ", b"\n", b"\xc3\xa9", b"\xff"]
)


@given(st.lists(_PIECES, max_size=12).map(b"".join))
def test_explains_exactly_what_is_not_json(text: bytes) -> None:
    """An explanation is given if and only if an independent parser refuses the text."""
    assert (explain(text) is None) == _is_json(text)
