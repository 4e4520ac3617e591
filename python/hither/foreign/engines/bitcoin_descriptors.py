"""Output descriptors (BIP-380 to 384) of compressed keys, addresses and scripts, in Bitcoin Core's words. No I/O."""

import re
from typing import Final

from btclib.hashes import hash160

from hither.foreign.bitcoin_addresses import REGTEST, parse_address
from hither.foreign.errors import InvalidAddress, InvalidPublicKey
from hither.foreign.secp256k1 import decompress_key

_DESCRIPTOR_LETTERS: Final = (
    "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
)
_DESCRIPTOR_GENERATORS: Final = (0xF5DEE51989, 0xA9FDCA3312, 0x1BAB10E32D, 0x3706B1677A, 0x644D626FFD)
_CHECKSUM_LETTERS: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_ORIGIN_BYTES: Final = 4
_ORIGIN: Final = re.compile(r"\[[0-9a-f]{8}(/[0-9]{1,10}['h]?)*")


class DescriptorError(Exception):
    """Not one that is read here."""


def read_descriptor(text: str) -> dict[bytes, str]:
    """The scripts that it stands for, each with the descriptor that says most of it, or nothing. Checks a checksum.

    Raises ``DescriptorError``.
    """
    body, mark, checksum = text.partition("#")
    if mark:
        _check(body, checksum)
    function, _, rest = body.partition("(")
    if function not in ("addr", "raw", "pk", "pkh", "wpkh", "sh", "combo") or not rest.endswith(")"):
        raise DescriptorError(f"'{body}' is not a valid descriptor function")
    inner = rest[:-1]
    if function == "addr":
        try:
            return {parse_address(inner, REGTEST): ""}
        except InvalidAddress:
            raise DescriptorError("Address is not valid") from None
    if function == "raw":
        return {_read_hex(inner, "Raw script is not hex"): ""}
    if function == "sh":
        if not inner.startswith("wpkh(") or not inner.endswith(")"):
            raise DescriptorError(f"'{body}' is not a descriptor that this node reads")
        function, inner = "sh(wpkh", inner[5:-1]
    return _list_scripts(function, *_read_key(function.removeprefix("sh("), inner))


def _list_scripts(function: str, key: bytes, name: str) -> dict[bytes, str]:
    """``name`` is the key as it is told: with where it comes from."""
    digest = hash160(key)
    made = {
        "pk": bytes((len(key),)) + key + b"\xac",
        "pkh": b"\x76\xa9\x14" + digest + b"\x88\xac",
        "wpkh": b"\x00\x14" + digest,
    }
    made["sh(wpkh"] = b"\xa9\x14" + hash160(made["wpkh"]) + b"\x87"
    wanted: tuple[str, ...] = (function,)
    if function == "combo":
        wanted = ("pk", "pkh", "wpkh", "sh(wpkh")
    ends = {"sh(wpkh": "))"}
    return {made[one]: add_checksum(f"{one}({name}{ends.get(one, ')')}") for one in wanted}


def _read_key(function: str, text: str) -> tuple[bytes, str]:
    """With its origin as it is given, or the first bytes of its hash."""
    origin, mark, plain = text.rpartition("]")
    if not plain:
        raise DescriptorError(f"{function}(): No key provided")
    try:
        key = bytes.fromhex(plain)
    except ValueError:
        raise DescriptorError(f"{function}(): key '{plain}' is not valid") from None
    if len(key) == 65:
        raise DescriptorError(f"{function}(): Uncompressed keys are not allowed")
    try:
        decompress_key(key)
    except InvalidPublicKey:
        raise DescriptorError(f"{function}(): Pubkey '{plain}' is invalid") from None
    if not mark:
        return key, f"[{hash160(key)[:_ORIGIN_BYTES].hex()}]{key.hex()}"
    if not _ORIGIN.fullmatch(origin):
        raise DescriptorError(f"{function}(): '{origin}]' is no origin of a key")
    return key, f"{origin.replace(chr(39), 'h')}]{key.hex()}"


def _check(body: str, checksum: str) -> None:
    if len(checksum) != 8:
        raise DescriptorError(f"Expected 8 character checksum, not {len(checksum)} characters")
    try:
        computed = compute_checksum(body)
    except ValueError:
        raise DescriptorError("Invalid characters in payload") from None
    if checksum != computed:
        raise DescriptorError(f"Provided checksum '{checksum}' does not match computed checksum '{computed}'")


def _read_hex(text: str, message: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise DescriptorError(message) from None


def add_checksum(text: str) -> str:
    """Behind the descriptor."""
    return f"{text}#{compute_checksum(text)}"


def compute_checksum(text: str) -> str:
    """Eight letters (BIP-380). Raises ``ValueError`` for a letter that no descriptor has."""
    symbols: list[int] = []
    groups: list[int] = []
    for letter in text:
        place = _DESCRIPTOR_LETTERS.index(letter)
        symbols.append(place & 31)
        groups.append(place >> 5)
        if len(groups) == 3:
            symbols.append(groups[0] * 9 + groups[1] * 3 + groups[2])
            groups = []
    if groups:
        symbols.append(groups[0] if len(groups) == 1 else groups[0] * 3 + groups[1])
    state = 1
    for symbol in [*symbols, *bytes(8)]:
        top = state >> 35
        state = (state & 0x7FFFFFFFF) << 5 ^ symbol
        for bit, generator in enumerate(_DESCRIPTOR_GENERATORS):
            if top >> bit & 1:
                state ^= generator
    state ^= 1
    return "".join(_CHECKSUM_LETTERS[state >> 5 * (7 - place) & 31] for place in range(8))
