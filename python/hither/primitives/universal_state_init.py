"""The state that a universal (``0u``) account id is the hash of: code, data and keys.

The id commits to the exact bytes, so the action carries them raw. From 88 on only
the canonical bytes are accepted, those that encoding the decoded value gives again.
"""

from functools import lru_cache

import msgspec

from hither.codec.borsh import (
    BYTES,
    Codec,
    InvalidBorsh,
    option,
    prefixed,
    record,
    sorted_map,
    sorted_set,
)
from hither.crypto.keys import KEY_HANDLE
from hither.primitives.account import GLOBAL_CONTRACT_IDENTIFIER, GlobalContractIdentifier
from hither.primitives.types import KeyHandle


class UniversalState(msgspec.Struct, frozen=True, gc=False):
    """Code (None for an account of keys alone), data sorted by key, full-access keys, sorted."""

    code: GlobalContractIdentifier | None
    data: tuple[tuple[bytes, bytes], ...]
    access_keys: tuple[KeyHandle, ...]


UNIVERSAL_STATE: Codec[UniversalState] = prefixed(
    b"\0",
    record(
        UniversalState,
        {
            "code": option(GLOBAL_CONTRACT_IDENTIFIER),
            "data": sorted_map(BYTES, BYTES),
            "access_keys": sorted_set(KEY_HANDLE),
        },
    ),
)

encode_universal_state = UNIVERSAL_STATE.encode


@lru_cache(maxsize=8)
def decode_state_init_optional(raw: bytes, *, is_strict: bool) -> UniversalState | None:
    """The state that the bytes describe; None if they describe none, or (strict) are not canonical."""
    try:
        state = UNIVERSAL_STATE.decode(raw)
    except InvalidBorsh:
        return None
    if is_strict and encode_universal_state(state) != raw:
        return None
    return state


def count_state_init(raw: bytes) -> tuple[int, int]:
    """Entries and keys that the action is priced for, at every version; none if it does not decode."""
    state = decode_state_init_optional(raw, is_strict=False)
    return (0, 0) if state is None else (len(state.data), len(state.access_keys))
