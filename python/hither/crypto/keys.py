"""Public keys, key handles and signatures: data, borsh form, text form.

``kind`` is the tag of the wire form. Text is NEAR's: ``ed25519:`` and base58;
text without a prefix is ed25519.
"""

from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

import msgspec

from hither.codec import base58
from hither.codec.borsh import MISSING, Codec, InvalidBorsh, Source
from hither.crypto.hashing import sha3_256

ED25519: Final = 0
SECP256K1: Final = 1
ML_DSA_65: Final = 2
ML_DSA_65_HASH: Final = 3

KIND_NAMES: Final = ("ed25519", "secp256k1", "ml-dsa-65")
PUBLIC_KEY_SIZES: Final = (32, 64, 1952)
SIGNATURE_SIZES: Final = (64, 65, 3309)
SECRET_KEY_SIZES: Final = (64, 32, 4032)

_ASCII_LOWER: Final = {ord("A") + letter: ord("a") + letter for letter in range(26)}

_HANDLE_SIZES: Final = {ED25519: 32, SECP256K1: 64, ML_DSA_65_HASH: 32}
_HANDLE_DOMAIN: Final = b"near:ml-dsa-65-pubkey-hash:v1"
_HANDLE_PREFIX: Final = "ml-dsa-65-hash"


KeyLike = TypeVar("KeyLike")


class InvalidKey(ValueError):
    """The text is not a key or a signature. The message is NEAR's."""


class PublicKey(msgspec.Struct, frozen=True, gc=False, order=True):
    """A verification key: ed25519 (32 bytes), secp256k1 (64), ML-DSA-65 (1952)."""

    kind: int
    data: bytes

    def __str__(self) -> str:
        return public_key_to_str(self)


class KeyHandle(msgspec.Struct, frozen=True, gc=False, order=True):
    """What stands for a key in the trie and in key lists.

    Kinds 0 and 1 hold the key itself; kind 3 holds the 32-byte SHA3-256 digest
    of an ML-DSA-65 key. Kind 2 is never a handle.
    """

    kind: int
    data: bytes

    def __str__(self) -> str:
        return key_handle_to_str(self)


class Signature(msgspec.Struct, frozen=True, gc=False):
    """A signature of the same kinds as keys: 64, 65 and 3309 bytes."""

    kind: int
    data: bytes

    def __str__(self) -> str:
        return signature_to_str(self)


class SecretKey(msgspec.Struct, frozen=True, gc=False):
    """A signing key: ed25519 (seed and public key, 64 bytes), secp256k1 (32), ML-DSA-65 (4032).

    It never shows its bytes by accident: ``repr`` hides them.
    """

    kind: int
    data: bytes

    def __repr__(self) -> str:
        return f"SecretKey({KIND_NAMES[self.kind]})"


class _KeyCodec(Codec[KeyLike]):
    """The kind, then as many bytes as that kind has."""

    def __init__(self, cls: type[KeyLike], sizes: dict[int, int], refuse: Callable[[int], NoReturn]) -> None:
        self.cls, self.sizes, self.refuse_kind = cls, sizes, refuse

    def write(self, source: Source, value: str) -> str:
        name = source.make_name("key")
        return f"bytes((({name} := {value}).kind,)) + {name}.data"

    def read(self, source: Source, target: str) -> None:
        kind, end, sizes = source.make_name("kind"), source.make_name("end"), source.bind(self.sizes, "sizes")
        source.emit(f"{kind} = data[at]")
        if source.is_exact:
            source.emit(f"if {kind} not in {sizes}:")
            source.emit(f"    {source.bind(self.refuse_kind, 'refuse')}({kind})")
        source.emit(f"{end} = at + 1 + {sizes}[{kind}]")
        if source.is_exact:
            source.emit(f"if {end} > len(data):")
            source.emit(f"    {source.bind(_refuse_short, 'refuse')}({kind})")
        source.emit(f"{target} = {source.bind(self.cls, 'cls')}({kind}, data[at + 1:{end}])")
        source.emit(f"at = {end}")


class _SignatureCodec(_KeyCodec[Signature]):
    def read(self, source: Source, target: str) -> None:
        super().read(source, target)
        # A scalar this large can never verify; NEAR refuses it while decoding, so its bytes have no hash.
        source.emit(f"if {target}.kind == 0 and at <= len(data) and data[at - 1] & 0xE0:")
        source.emit("    raise InvalidBorsh('signature error')")


def _refuse_short(kind: int) -> NoReturn:
    raise InvalidBorsh("failed to fill whole buffer" if kind >= ML_DSA_65 else MISSING)


def _refuse_key_kind(kind: int) -> NoReturn:
    if kind == ML_DSA_65_HASH:
        raise InvalidBorsh(
            "borsh tag 3 is reserved for PublicKeyHandle (ML-DSA-65 hash); not a valid PublicKey"
        )
    raise InvalidBorsh(f"unknown KeyTag: {kind}")


def _refuse_handle_kind(kind: int) -> NoReturn:
    if kind == ML_DSA_65:
        raise InvalidBorsh(
            "borsh tag 2 is reserved for PublicKey (full ML-DSA-65 key); not a valid PublicKeyHandle"
        )
    raise InvalidBorsh(f"unknown KeyTag: {kind}")


def _refuse_signature_kind(kind: int) -> NoReturn:
    raise InvalidBorsh(f"unknown key type '{kind}'")


PUBLIC_KEY: Codec[PublicKey] = _KeyCodec(PublicKey, dict(enumerate(PUBLIC_KEY_SIZES)), _refuse_key_kind)
KEY_HANDLE: Codec[KeyHandle] = _KeyCodec(KeyHandle, _HANDLE_SIZES, _refuse_handle_kind)
SIGNATURE: Codec[Signature] = _SignatureCodec(
    Signature, dict(enumerate(SIGNATURE_SIZES)), _refuse_signature_kind
)

encode_public_key = PUBLIC_KEY.encode
decode_public_key = PUBLIC_KEY.decode
encode_key_handle = KEY_HANDLE.encode
decode_key_handle = KEY_HANDLE.decode
encode_signature = SIGNATURE.encode
decode_signature = SIGNATURE.decode


def compute_key_handle(key: PublicKey) -> KeyHandle:
    """The handle of a key: itself, or the digest of an ML-DSA-65 key."""
    if key.kind == ML_DSA_65:
        return KeyHandle(ML_DSA_65_HASH, sha3_256(_HANDLE_DOMAIN + key.data))
    return KeyHandle(key.kind, key.data)


def _split_text(text: str, sizes: tuple[int, ...], what: str) -> tuple[int, bytes]:
    prefix, colon, digits = text.partition(":")
    if not colon:
        prefix, digits = KIND_NAMES[ED25519], text
    name = prefix.translate(_ASCII_LOWER)
    if name not in KIND_NAMES:
        raise InvalidKey(f"unknown key type '{name}'")
    kind = KIND_NAMES.index(name)
    return kind, _decode_digits(digits, sizes[kind], what)


def _decode_digits(digits: str, size: int, what: str) -> bytes:
    try:
        return base58.decode(digits, size)
    except base58.WrongSize as error:
        raise InvalidKey(
            f"invalid {what} length: expected the input of {size} bytes, but {error.size} was given"
        ) from None
    except base58.InvalidBase58 as error:
        raise InvalidKey(f"invalid {what} data: {error}") from None


def public_key_from_str(text: str) -> PublicKey:
    """``ed25519:…`` to the key, or ``InvalidKey``."""
    return PublicKey(*_split_text(text, PUBLIC_KEY_SIZES, "key"))


def public_key_to_str(key: PublicKey) -> str:
    """``ed25519:…`` and the like."""
    return f"{KIND_NAMES[key.kind]}:{base58.encode(key.data)}"


def signature_from_str(text: str) -> Signature:
    """``ed25519:…`` to the signature, or ``InvalidKey``."""
    return Signature(*_split_text(text, SIGNATURE_SIZES, "signature"))


def signature_to_str(signature: Signature) -> str:
    """``ed25519:…`` and the like."""
    return f"{KIND_NAMES[signature.kind]}:{base58.encode(signature.data)}"


def secret_key_from_str(text: str) -> SecretKey:
    """``ed25519:…`` to the secret key, or ``InvalidKey``. Whether it is a good one, signing tells."""
    return SecretKey(*_split_text(text, SECRET_KEY_SIZES, "key"))


def secret_key_to_str(secret: SecretKey) -> str:
    """``ed25519:…`` and the like; whoever reads it can sign."""
    return f"{KIND_NAMES[secret.kind]}:{base58.encode(secret.data)}"


def key_handle_from_str(text: str) -> KeyHandle:
    """A key of kind 0 or 1, or ``ml-dsa-65-hash:…``. A whole ML-DSA-65 key is refused."""
    prefix, _, digits = text.partition(":")
    if prefix == _HANDLE_PREFIX:
        return KeyHandle(ML_DSA_65_HASH, _decode_digits(digits, 32, "key"))
    kind, data = _split_text(text, PUBLIC_KEY_SIZES, "key")
    if kind == ML_DSA_65:
        raise InvalidKey(
            "invalid key data: full ML-DSA-65 keys cannot appear in a PublicKeyHandle; "
            "use the `ml-dsa-65-hash:` form instead"
        )
    return KeyHandle(kind, data)


def key_handle_to_str(handle: KeyHandle) -> str:
    """The text of the key, or of its hash where only that is kept."""
    name = _HANDLE_PREFIX if handle.kind == ML_DSA_65_HASH else KIND_NAMES[handle.kind]
    return f"{name}:{base58.encode(handle.data)}"
