"""Base58 against published vectors (Bitcoin Core's ``base58_encode_decode.json``)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hither.codec import base58

VECTORS = [
    ("", ""),
    ("61", "2g"),
    ("626262", "a3gV"),
    ("636363", "aPEr"),
    ("73696d706c792061206c6f6e6720737472696e67", "2cFupjhnEsSn59qHXstmK2ffpLv2"),
    ("00eb15231dfceb60925886b67d065299925915aeb172c06647", "1NS17iag9jJgTHD1VXjvLCEnZuQ3rJDE9L"),
    ("516b6fcd0f", "ABnLTmg"),
    ("bf4f89001e670274dd", "3SEo3LWLoPntC"),
    ("572e4794", "3EFU7m"),
    ("ecac89cad93923c02321", "EJDM8drfXA6uyA"),
    ("10c8511e", "Rt5zm"),
    ("00000000000000000000", "1111111111"),
]


@pytest.mark.parametrize(("data", "text"), VECTORS)
def test_published_vectors(data: str, text: str) -> None:
    """Both ways."""
    assert base58.encode(bytes.fromhex(data)) == text
    assert base58.decode(text) == bytes.fromhex(data)


@given(st.binary(max_size=80))
def test_every_text_reads_back(data: bytes) -> None:
    """Leading zeros too."""
    assert base58.decode(base58.encode(data), len(data)) == data


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "provided string contained invalid character '0' at byte 0"),
        ("2O", "provided string contained invalid character 'O' at byte 1"),
        ("é", "provided string contained non-ascii character starting at byte 0"),
        ("2g2g", "expected the input of 2 bytes, but 3 was given"),
        ("2", "expected the input of 2 bytes, but 1 was given"),
        ("2g2g2g2g2g2g0", "expected the input of 2 bytes, but 3 was given"),
    ],
)
def test_bad_text_is_refused(text: str, message: str) -> None:
    """What NEAR's node says of it."""
    with pytest.raises(base58.InvalidBase58) as caught:
        base58.decode(text, 2)
    assert str(caught.value) == message


def test_overlong_text_costs_nothing() -> None:
    """The work grows with the square of the length, so there is a bound."""
    with pytest.raises(base58.WrongSize):
        base58.decode("2" * 10**7, 32)
