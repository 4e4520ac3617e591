"""The seeded order that NEAR's shards agree on."""

from hither.crypto.hashing import sha256
from hither.crypto.shuffle import SeededRandom


def test_order_is_that_of_nears_own_check() -> None:
    """The one example that NEAR's sources fix: seven items, seed sha256(01 02 03 04 05)."""
    items = list(range(7))
    SeededRandom(sha256(bytes([1, 2, 3, 4, 5]))).shuffle(items)
    assert items == [2, 3, 1, 4, 0, 5, 6]


def test_stream_is_chacha20_with_a_zero_nonce() -> None:
    """First words of the keystream for the zero key (RFC 7539, appendix A.1, test vectors 1 and 2)."""
    random = SeededRandom(bytes(32))
    words = [next(random._words) for _ in range(17)]
    assert words[:4] == [0xADE0B876, 0x903DF1A0, 0xE56A5D40, 0x28BD8653]
    assert words[16] == 0xBEE7079F


def test_one_item_draws_nothing() -> None:
    """A draw too many would change every order after it."""
    random = SeededRandom(bytes(32))
    random.shuffle([1])
    random.shuffle([])
    assert next(random._words) == 0xADE0B876
