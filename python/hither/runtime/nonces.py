"""Where the nonces of new keys start."""

from hither.primitives.types import Nonce
from hither.runtime.verifier import NONCE_RANGE_PER_BLOCK


def initial_nonce(block_height: int) -> Nonce:
    """Above every nonce that a deleted key of the same name can have used."""
    return Nonce((block_height - 1) * NONCE_RANGE_PER_BLOCK)
