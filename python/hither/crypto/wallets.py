"""Keys from a wallet's words, as NEAR's wallets derive them: the same words give the same keys everywhere.

BIP-39 makes a seed of the words, SLIP-10 for ed25519 the keys of the seed, at m/44'/397'/0' and its like. Only hardened
steps exist on this curve.
"""

import re
from typing import Final

from mnemonic import Mnemonic
from solders.keypair import Keypair

from hither.crypto.keys import ED25519, SecretKey

DEFAULT_PATH: Final = "m/44'/397'/0'"
SEED_BYTES: Final = 64
_PATH: Final = re.compile(r"m(/[0-9]{1,10}'){1,10}")
_INDEX_MAX: Final = 2**31 - 1


class InvalidWallet(ValueError):
    """Not words, a seed or a path that keys come from. The message never repeats the secret."""


def compute_seed(words: str, passphrase: str = "") -> bytes:
    """The seed of 12 to 24 English words (BIP-39). Raises ``InvalidWallet`` when their checksum is wrong."""
    normal = " ".join(words.lower().split())
    known = Mnemonic("english")
    for number, word in enumerate(normal.split(), 1):
        if word not in known.wordlist:
            raise InvalidWallet(f"word {number} is none of BIP-39's English words")
    if not known.check(normal):
        raise InvalidWallet(
            "the words do not belong together: 12, 15, 18, 21 or 24, the last of which is a checksum"
        )
    return bytes(Mnemonic.to_seed(normal, passphrase))


def derive_secret_key(seed: bytes, path: str = DEFAULT_PATH) -> SecretKey:
    """The ed25519 key of a seed at a path (SLIP-10). Raises ``InvalidWallet``."""
    if len(seed) != SEED_BYTES:
        raise InvalidWallet(f"a seed has {SEED_BYTES} bytes, this one {len(seed)}")
    steps = [int(step) for step in re.findall("[0-9]+", path)] if _PATH.fullmatch(path) else []
    if not steps or max(steps) > _INDEX_MAX:
        raise InvalidWallet(f"{path!r} is not a path like {DEFAULT_PATH}, each step hardened")
    pair = bytes(Keypair.from_seed_and_derivation_path(seed, path))
    return SecretKey(ED25519, pair)
