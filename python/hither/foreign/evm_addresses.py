"""Addresses of EVM chains as bytes and as text, and where contracts come to lie. No I/O."""

import re
from functools import lru_cache
from typing import Final

from hither.crypto.hashing import keccak256
from hither.foreign import rlp
from hither.foreign.errors import InvalidAddress
from hither.foreign.secp256k1 import decompress_key

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")


@lru_cache(maxsize=4096)
def format_address(address: bytes) -> str:
    """With the checksum of EIP-55 in the case of its letters."""
    digits = address.hex()
    marks = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if mark >= "8" else digit for digit, mark in zip(digits, marks, strict=False)
    )


def parse_address(text: str) -> bytes:
    """The 20 bytes. All lower and all upper case carry no checksum and pass. Raises ``InvalidAddress``."""
    if not _ADDRESS.fullmatch(text):
        raise InvalidAddress(f"not an EVM address: {text!r}", hint="0x and 40 hexadecimal digits")
    digits = text[2:]
    address = bytes.fromhex(digits)
    if digits not in (digits.lower(), digits.upper()) and format_address(address) != text:
        raise InvalidAddress(
            f"the checksum of {text} does not fit", hint="a letter was mistyped; copy the address again"
        )
    return address


@lru_cache(maxsize=4096)
def derive_address(public_key: bytes) -> bytes:
    """The address of a compressed secp256k1 key. Raises ``InvalidPublicKey``."""
    return keccak256(decompress_key(public_key).data)[12:]


def compute_contract_address(creator: bytes, nonce: int) -> bytes:
    """Where a contract comes to lie that an account creates with this nonce."""
    return keccak256(rlp.encode([creator, rlp.encode_integer(nonce)]))[12:]


def compute_salted_address(creator: bytes, salt: bytes, creation: bytes) -> bytes:
    """The same for a contract that another one creates with a salt of 32 bytes (EIP-1014)."""
    return keccak256(b"\xff" + creator + salt + keccak256(creation))[12:]
