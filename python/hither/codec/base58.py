"""Base58 with Bitcoin's alphabet, as NEAR writes hashes, keys and signatures.

Several digits are split off by each division of a long integer, so a 32-byte
hash costs two microseconds. Key-sized inputs are the longest that the protocol
has; the quadratic cost is bounded by ``ENCODED_SIZE_MAX``.
"""

from typing import Final, NoReturn

from hither.codec.text import quote_character

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

ENCODED_SIZE_MAX: Final = 8192
"""An ML-DSA-65 secret key, the longest text in use, has 5,508 characters."""

_PAIR: Final = [first + second for first in ALPHABET for second in ALPHABET]
_DIGIT: Final = {character: digit for digit, character in enumerate(ALPHABET)}
_GROUP_SIZE: Final = 10
_GROUP: Final = 58**_GROUP_SIZE


class InvalidBase58(ValueError):
    """The text is not base58, or not of the length asked for. The message is NEAR's."""


class WrongSize(InvalidBase58):
    """Too few or too many bytes; ``size`` is what there is, counted to one too many."""

    def __init__(self, wanted: int, size: int) -> None:
        super().__init__(f"expected the input of {wanted} bytes, but {size} was given")
        self.size = size


def _write_group(number: int) -> str:
    """Ten digits, leading zeros (ones) included."""
    pair = _PAIR
    number, last = divmod(number, 3364)
    number, fourth = divmod(number, 3364)
    number, third = divmod(number, 3364)
    first, second = divmod(number, 3364)
    return pair[first] + pair[second] + pair[third] + pair[fourth] + pair[last]


def encode(data: bytes) -> str:
    """Bytes to base58; each leading zero byte becomes a leading ``1``."""
    number = int.from_bytes(data, "big")
    groups = []
    while number:
        number, group = divmod(number, _GROUP)
        groups.append(_write_group(group))
    groups.reverse()
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + "".join(groups).lstrip("1")


def decode(text: str, size: int | None = None) -> bytes:
    """Base58 to bytes, of exactly ``size`` bytes when that is given."""
    if len(text) > ENCODED_SIZE_MAX:
        raise WrongSize(size or 0, (size or ENCODED_SIZE_MAX) + 1)
    number = 0
    try:
        for at in range(0, len(text), _GROUP_SIZE):
            part = text[at : at + _GROUP_SIZE]
            group = 0
            for character in part:
                group = group * 58 + _DIGIT[character]
            number = number * 58 ** len(part) + group
    except KeyError:
        _refuse(text, size)
    zeros = len(text) - len(text.lstrip("1"))
    data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    if size is not None and len(data) != size:
        raise WrongSize(size, min(len(data), size + 1))
    return data


def _refuse(text: str, size: int | None) -> NoReturn:
    """Name the first bad character, or the size when the digits before it are already too many."""
    at = next(index for index, character in enumerate(text) if character not in _DIGIT)
    character = text[at]
    before = int.from_bytes(decode(text[:at]), "big")
    if size is not None and before >> 8 * size:
        raise WrongSize(size, size + 1)
    place = len(text[:at].encode())
    if character.isascii():
        raise InvalidBase58(
            f"provided string contained invalid character {quote_character(character)} at byte {place}"
        )
    raise InvalidBase58(f"provided string contained non-ascii character starting at byte {place}")
