"""What blocks and chunks sign, and small pieces of them; hashes are checked on recorded chains."""

import pytest

from hither.crypto import keys, signing
from hither.primitives import block, chunk
from hither.primitives.chunk import (
    NO_SIGNATURE,
    compute_data_parts,
    compute_encoded_root,
    compute_total_parts,
)
from hither.primitives.types import Signature

SECRET = signing.secret_key_from_seed(keys.ED25519, bytes(32))


def sign(message: bytes) -> Signature:
    return signing.sign(SECRET, message)


def test_an_approval_signs_the_parent_or_the_skip() -> None:
    """The hash when the height follows, the parent's height when it does not."""
    parent = bytes(range(32))
    assert block.compute_approval_message(parent, 7, 8) == b"\0" + parent + (8).to_bytes(8, "little")
    assert block.compute_approval_message(parent, 7, 10) == (
        b"\1" + (7).to_bytes(8, "little") + (10).to_bytes(8, "little")
    )


def test_endorsement_bits_start_at_the_lowest() -> None:
    """A byte for eight validators, rounded up."""
    places = [NO_SIGNATURE, None, NO_SIGNATURE, *[None] * 5, NO_SIGNATURE]
    assert block.compute_endorsement_bits(places) == bytes([0b101, 1])
    assert block.compute_endorsement_bits([]) == b""
    assert block.compute_endorsement_bits([None]) == b"\0"


@pytest.mark.parametrize(
    ("seats", "total", "data"), [(1, 2, 1), (2, 2, 1), (3, 3, 1), (4, 4, 1), (50, 50, 16), (1000, 256, 85)]
)
def test_parts_follow_the_seats(seats: int, total: int, data: int) -> None:
    """Any third of the parts restores a chunk."""
    assert compute_total_parts(seats) == total
    assert compute_data_parts(total) == data


def test_an_empty_chunk_has_the_recorded_parts() -> None:
    """Eight bytes: no transactions, no receipts. Roots of NEAR's own chain, with two parts and with three."""
    texts = {
        2: "6xxoqYzsgrudgaVRsTV29KvdTstNYVUxis55KNLg6XtX",
        3: "3HH1fYqnCGMx2ZmL4sLcTuu2Yovg1r6KjNrPtgBATHgu",
    }
    for total, text in texts.items():
        root, length = compute_encoded_root([], [], total)
        assert (keys.base58.encode(root), length) == (text, 8)


def test_sealing_sets_hash_and_signature() -> None:
    """The signature is over the hash, and the hash does not cover the signature."""
    header = chunk.decode_chunk_header(
        b"\2\4" + bytes(32 * 4 + 8 * 5 + 16 + 32 * 2 + 4 + 1 + 42 + 1 + 4 + 1) + bytes(8 + 65)
    )
    sealed = chunk.seal_chunk_header(header, sign)
    assert sealed.hash == header.hash
    assert signing.is_valid_signature(signing.compute_public_key(SECRET), sealed.hash, sealed.signature)
