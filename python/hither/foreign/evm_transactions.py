"""Transactions of EVM chains as bytes: what is hashed for signing, and what is sent. No I/O.

Legacy transactions carry their chain id (EIP-155); type 2 are those of EIP-1559. The unsigned form of either is
exactly what is hashed, so it names everything that a signature covers.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from hither.crypto.hashing import keccak256
from hither.crypto.keys import SECP256K1, Signature
from hither.crypto.signing import recover_secp256k1
from hither.foreign import rlp
from hither.foreign.adapter import EcdsaSignature
from hither.foreign.errors import InvalidAddress, MalformedTransaction, WrongSignature
from hither.foreign.secp256k1 import decompress_key

FEE_MARKET_TYPE: Final = 2
ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")

AccessList = tuple[tuple[bytes, tuple[bytes, ...]], ...]


@dataclass(frozen=True, slots=True)
class LegacyTransaction:
    """``receiver`` has 20 bytes, or none to create a contract. Prices are wei per unit of gas."""

    chain_id: int
    nonce: int
    gas_price: int
    gas_limit: int
    receiver: bytes
    amount: int
    data: bytes = b""

    @property
    def fee_max(self) -> int:
        """In wei."""
        return self.gas_price * self.gas_limit


@dataclass(frozen=True, slots=True)
class FeeMarketTransaction:
    """EIP-1559: pays the block's own price and a priority fee, together no more than ``gas_price_max``."""

    chain_id: int
    nonce: int
    priority_fee_max: int
    gas_price_max: int
    gas_limit: int
    receiver: bytes
    amount: int
    data: bytes = b""
    access_list: AccessList = ()

    @property
    def fee_max(self) -> int:
        """In wei."""
        return self.gas_price_max * self.gas_limit


EvmTransaction = LegacyTransaction | FeeMarketTransaction


# Addresses


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


# Bytes


def encode_unsigned(transaction: EvmTransaction) -> bytes:
    """What is hashed for signing."""
    if isinstance(transaction, LegacyTransaction):
        chain_id = rlp.encode_integer(transaction.chain_id)
        return rlp.encode([*_list_fields(transaction), chain_id, b"", b""])
    return bytes((FEE_MARKET_TYPE,)) + rlp.encode(_list_fields(transaction))


def encode_signed(transaction: EvmTransaction, parity: int, r: int, s: int) -> bytes:
    """What is sent."""
    signature: list[rlp.Item] = [rlp.encode_integer(r), rlp.encode_integer(s)]
    if isinstance(transaction, LegacyTransaction):
        mark = rlp.encode_integer(35 + 2 * transaction.chain_id + parity)
        return rlp.encode([*_list_fields(transaction), mark, *signature])
    fields = [*_list_fields(transaction), rlp.encode_integer(parity), *signature]
    return bytes((FEE_MARKET_TYPE,)) + rlp.encode(fields)


def decode_unsigned(body: bytes) -> EvmTransaction:
    """The reverse of ``encode_unsigned``. Raises ``MalformedTransaction``."""
    if body[:1] == bytes((FEE_MARKET_TYPE,)):
        return _read_fee_market(_must_be_list(rlp.decode(body[1:]), 9))
    fields = _must_be_list(rlp.decode(body), 9)
    if fields[7:] != [b"", b""]:
        raise MalformedTransaction("a legacy transaction without its chain id, or with a signature")
    return _read_legacy(fields, rlp.decode_integer(fields[6], 8))


def decode_signed(raw: bytes) -> tuple[EvmTransaction, int, int, int]:
    """Transaction, parity, r and s. Raises ``MalformedTransaction``."""
    if raw[:1] == bytes((FEE_MARKET_TYPE,)):
        fields = _must_be_list(rlp.decode(raw[1:]), 12)
        transaction: EvmTransaction = _read_fee_market(fields[:9])
        parity = rlp.decode_integer(fields[9], 1)
    else:
        fields = _must_be_list(rlp.decode(raw), 9)
        chain_id, parity = divmod(rlp.decode_integer(fields[6], 9) - 35, 2)
        if chain_id < 1:
            raise MalformedTransaction("a legacy transaction that does not name its chain")
        transaction = _read_legacy(fields, chain_id)
    if parity > 1:
        raise MalformedTransaction("a parity is 0 or 1")
    return transaction, parity, rlp.decode_integer(fields[-2], 32), rlp.decode_integer(fields[-1], 32)


def _list_fields(transaction: EvmTransaction) -> list[rlp.Item]:
    """What both forms share, in order."""
    integer = rlp.encode_integer
    tail: list[rlp.Item] = [
        integer(transaction.gas_limit),
        transaction.receiver,
        integer(transaction.amount),
        transaction.data,
    ]
    if isinstance(transaction, LegacyTransaction):
        return [integer(transaction.nonce), integer(transaction.gas_price), *tail]
    access_list: rlp.Item = [[address, list(keys)] for address, keys in transaction.access_list]
    return [
        integer(transaction.chain_id),
        integer(transaction.nonce),
        integer(transaction.priority_fee_max),
        integer(transaction.gas_price_max),
        *tail,
        access_list,
    ]


def _must_be_list(item: rlp.Item, length: int) -> list[rlp.Item]:
    if not isinstance(item, list) or len(item) != length:
        raise MalformedTransaction("not a legacy or type 2 transaction")
    return item


def _must_be_bytes(item: rlp.Item, *sizes: int) -> bytes:
    if not isinstance(item, bytes) or (sizes and len(item) not in sizes):
        raise MalformedTransaction("a field has the wrong form")
    return item


def _read_legacy(fields: list[rlp.Item], chain_id: int) -> LegacyTransaction:
    return LegacyTransaction(
        chain_id,
        nonce=rlp.decode_integer(fields[0], 8),
        gas_price=rlp.decode_integer(fields[1], 32),
        gas_limit=rlp.decode_integer(fields[2], 8),
        receiver=_must_be_bytes(fields[3], 0, 20),
        amount=rlp.decode_integer(fields[4], 32),
        data=_must_be_bytes(fields[5]),
    )


def _read_fee_market(fields: list[rlp.Item]) -> FeeMarketTransaction:
    return FeeMarketTransaction(
        chain_id=rlp.decode_integer(fields[0], 8),
        nonce=rlp.decode_integer(fields[1], 8),
        priority_fee_max=rlp.decode_integer(fields[2], 32),
        gas_price_max=rlp.decode_integer(fields[3], 32),
        gas_limit=rlp.decode_integer(fields[4], 8),
        receiver=_must_be_bytes(fields[5], 0, 20),
        amount=rlp.decode_integer(fields[6], 32),
        data=_must_be_bytes(fields[7]),
        access_list=_read_access_list(fields[8]),
    )


def _read_access_list(item: rlp.Item) -> AccessList:
    if not isinstance(item, list):
        raise MalformedTransaction("an access list is a list")
    entries = []
    for entry in item:
        address, keys = _must_be_list(entry, 2)
        if not isinstance(keys, list):
            raise MalformedTransaction("an access list is a list")
        entries.append((_must_be_bytes(address, 20), tuple(_must_be_bytes(key, 32) for key in keys)))
    return tuple(entries)


# Signatures


def attach(public_key: bytes, body: bytes, signature: EcdsaSignature) -> bytes:
    """The transaction as it is sent. Raises ``WrongSignature`` unless this key signed these bytes.

    Chains take the sender from the signature: a wrong one would spend somebody else's money, or nobody's.
    """
    transaction = decode_unsigned(body)
    r, s = int.from_bytes(signature.r, "big"), int.from_bytes(signature.s, "big")
    if s > ORDER // 2:
        raise WrongSignature("s is in the upper half, which EVM chains refuse (EIP-2)")
    if signature.recovery_id > 1 or signature.big_r[0] & 1 != signature.recovery_id:
        raise WrongSignature("the recovery id does not fit the nonce point")
    if recover_key(keccak256(body), signature.recovery_id, r, s) != public_key:
        raise WrongSignature("the signature is of another key, or for other bytes")
    return encode_signed(transaction, signature.recovery_id, r, s)


def recover_key(digest: bytes, parity: int, r: int, s: int) -> bytes | None:
    """The compressed key that signed; None when none did."""
    data = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes((parity,))
    key = recover_secp256k1(digest, Signature(SECP256K1, data))
    return None if key is None else bytes((2 + (key.data[63] & 1),)) + key.data[:32]


def recover_sender(raw: bytes) -> bytes:
    """The address that a signed transaction is from. Raises ``MalformedTransaction``."""
    transaction, parity, r, s = decode_signed(raw)
    key = recover_key(keccak256(encode_unsigned(transaction)), parity, r, s)
    if key is None:
        raise MalformedTransaction("nobody made this signature")
    return derive_address(key)
