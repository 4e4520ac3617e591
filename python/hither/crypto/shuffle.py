"""The protocol's only pseudo-random order: a ChaCha20 stream that drives a Fisher-Yates shuffle.

NEAR shuffles incoming receipts by source shard, and breaks ties between
bandwidth requests, with a generator seeded by a block hash. The order is part
of the protocol, so the generator (20 rounds, 64-bit counter from zero, zero
nonce, words taken in order) and the way a word becomes an index are fixed here.
"""

import struct
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")

_WORD = 0xFFFFFFFF
_CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")
_ROUND = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)


def _rotate(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _WORD


def _compute_block(key: tuple[int, ...], counter: int) -> list[int]:
    """One ChaCha20 block as sixteen words."""
    start = [*_CONSTANTS, *key, counter & _WORD, counter >> 32, 0, 0]
    words = list(start)
    for _ in range(10):
        for a, b, c, d in _ROUND:
            words[a] = (words[a] + words[b]) & _WORD
            words[d] = _rotate(words[d] ^ words[a], 16)
            words[c] = (words[c] + words[d]) & _WORD
            words[b] = _rotate(words[b] ^ words[c], 12)
            words[a] = (words[a] + words[b]) & _WORD
            words[d] = _rotate(words[d] ^ words[a], 8)
            words[c] = (words[c] + words[d]) & _WORD
            words[b] = _rotate(words[b] ^ words[c], 7)
    return [(word + first) & _WORD for word, first in zip(words, start, strict=True)]


class SeededRandom:
    """A stream of 32-bit words from a 32-byte seed, and the choices made with it."""

    def __init__(self, seed: bytes) -> None:
        assert len(seed) == 32, "the seed is a hash"
        self._words = self._stream(struct.unpack("<8I", seed))

    @staticmethod
    def _stream(key: tuple[int, ...]) -> Iterator[int]:
        counter = 0
        while True:
            yield from _compute_block(key, counter)
            counter += 1

    def next_below(self, bound: int) -> int:
        """A number in [0, bound): widening multiply, words above the largest fair zone refused."""
        assert 0 < bound <= _WORD
        zone = (bound << (32 - bound.bit_length())) - 1
        while True:
            product = next(self._words) * bound
            if product & _WORD <= zone:
                return product >> 32

    def next_below_wide(self, bound: int) -> int:
        """The same with 64-bit words (low half first), as NEAR chooses where its bound is a machine word."""
        assert bound > 0
        zone = (bound << (64 - bound.bit_length())) - 1
        while True:
            product = (next(self._words) | next(self._words) << 32) * bound
            if product & (1 << 64) - 1 <= zone:
                return product >> 64

    def shuffle(self, items: list[Item]) -> None:
        """Shuffle in place, from the last position down."""
        for last in range(len(items) - 1, 0, -1):
            other = self.next_below(last + 1)
            items[last], items[other] = items[other], items[last]
