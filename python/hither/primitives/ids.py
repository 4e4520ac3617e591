"""Account ids: which text is one, what kind it is, who may make it; and every derived id.

Account kinds do not depend on the protocol version, only their effect does.
Derived ids take the height of the block, not its hash (NEAR 77 and later).
"""

import enum
import re
from typing import Final

from hither.codec.borsh import STRING, Codec, checked
from hither.codec.text import quote_character
from hither.crypto.hashing import keccak256, sha3_256, sha256
from hither.crypto.keys import ED25519, PublicKey
from hither.primitives.types import SYSTEM_ACCOUNT, AccountId, CryptoHash

ACCOUNT_ID_SIZE_MIN: Final = 2
ACCOUNT_ID_SIZE_MAX: Final = 64

_match_account_id = re.compile(r"(?=.{2,64}\Z)[a-z0-9]+(?:[-_.][a-z0-9]+)*").fullmatch
_match_near_implicit = re.compile(r"[0-9a-f]{64}").fullmatch
_match_short_implicit = re.compile(r"0[xs][0-9a-f]{40}").fullmatch
_match_universal = re.compile(r"0u[0-9a-hjkmnp-tv-z]{51}[0g]").fullmatch
_CROCKFORD: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def explain_account_id(text: str) -> str:
    """Why the text is not an account id, in NEAR's words. The first fault counts, sizes before characters."""
    size = len(text.encode())
    if size < ACCOUNT_ID_SIZE_MIN:
        return "the Account ID is too short"
    if size > ACCOUNT_ID_SIZE_MAX:
        return "the Account ID is too long"
    after_separator = True
    for at, character in enumerate(text):
        is_separator = character in "-_."
        if not is_separator and not ("a" <= character <= "z" or "0" <= character <= "9"):
            return f"the Account ID contains an invalid character {quote_character(character)} at index {at}"
        if is_separator and after_separator:
            return f"the Account ID has a redundant separator {quote_character(character)} at index {at}"
        after_separator = is_separator
    assert after_separator, "this is an account id"
    return f"the Account ID has a redundant separator {quote_character(text[-1])} at index {len(text) - 1}"


def _explain_bytes(text: str) -> str:
    return f'invalid value: "{text}", {explain_account_id(text)}'


ACCOUNT_ID: Codec[AccountId] = checked(STRING, _match_account_id, _explain_bytes)

encode_account_id = ACCOUNT_ID.encode
decode_account_id = ACCOUNT_ID.decode


class AccountKind(enum.Enum):
    """How an id came to be."""

    NAMED = "named"
    NEAR_IMPLICIT = "near_implicit"
    ETH_IMPLICIT = "eth_implicit"
    DETERMINISTIC = "deterministic"
    UNIVERSAL = "universal"


def is_valid_account_id(text: str) -> bool:
    """2 to 64 of a-z, 0-9 and single separators ``-_.`` between them."""
    return _match_account_id(text) is not None


def compute_account_kind(account_id: str) -> AccountKind:
    """What the shape of the id says; any other id is a name."""
    if len(account_id) == 64 and _match_near_implicit(account_id):
        return AccountKind.NEAR_IMPLICIT
    if len(account_id) == 42 and _match_short_implicit(account_id):
        return AccountKind.ETH_IMPLICIT if account_id[1] == "x" else AccountKind.DETERMINISTIC
    if len(account_id) == 54 and _match_universal(account_id):
        return AccountKind.UNIVERSAL
    return AccountKind.NAMED


def is_top_level(account_id: str) -> bool:
    """A name without a parent."""
    return account_id != SYSTEM_ACCOUNT and "." not in account_id


def is_sub_account_of(account_id: str, parent_id: str) -> bool:
    """Whether the id is one label, a dot and the parent."""
    label, _, rest = account_id.partition(".")
    return rest == parent_id and bool(label)


def compute_near_implicit_account_id(public_key: bytes) -> AccountId:
    """The id that belongs to an ed25519 key: its 32 bytes in hex."""
    return AccountId(public_key.hex())


def compute_eth_implicit_account_id(public_key: bytes) -> AccountId:
    """The id that belongs to a secp256k1 key: its Ethereum address."""
    return AccountId("0x" + keccak256(public_key)[12:].hex())


def compute_deterministic_account_id(state_init: bytes) -> AccountId:
    """The ``0s`` id of a state init in borsh (``encode_deterministic_state_init``)."""
    return AccountId("0s" + keccak256(state_init)[12:].hex())


def compute_universal_account_id(state_init: bytes) -> AccountId:
    """The ``0u`` id of a universal state init: of exactly these bytes."""
    number = int.from_bytes(sha3_256(state_init), "big") << 4  # 52 symbols hold 260 bits.
    return AccountId("0u" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(255, -1, -5)))


def compute_implicit_public_key(account_id: AccountId) -> PublicKey:
    """The ed25519 key that a NEAR-implicit id spells."""
    return PublicKey(ED25519, bytes.fromhex(account_id))


def compute_receipt_id(parent: bytes, height: int, index: int) -> CryptoHash:
    """The id of the n-th receipt that a transaction (index 0) or a receipt makes in the block at ``height``."""
    return CryptoHash(sha256(parent + height.to_bytes(8, "little") + index.to_bytes(8, "little")))


def compute_action_hash(receipt_id: bytes, height: int, action_index: int) -> CryptoHash:
    """Names one action of a receipt. Counts down from the largest index, so that no receipt id is the same."""
    return compute_receipt_id(receipt_id, height, 2**64 - 1 - action_index)


def compute_data_id(action_hash: bytes, height: int, index: int) -> CryptoHash:
    """The id of the n-th receipt or data dependency that an action makes."""
    return compute_receipt_id(action_hash, height, index)


def compute_random_seed(action_hash: bytes, random_value: bytes) -> bytes:
    """What a contract gets as its random seed."""
    return sha256(action_hash + random_value)
