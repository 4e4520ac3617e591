"""Transactions of EVM chains as bytes: what is hashed for signing, and what is sent. No I/O.

Legacy transactions carry their chain id (EIP-155); type 1 are those of EIP-2930, type 2 of EIP-1559, type 4 of
EIP-7702. The unsigned form of each is exactly what is hashed, so it names everything that a signature covers.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from hither.crypto.hashing import keccak256
from hither.foreign import rlp
from hither.foreign.adapter import EcdsaSignature
from hither.foreign.errors import InvalidPublicKey, MalformedTransaction
from hither.foreign.evm_addresses import derive_address
from hither.foreign.evm_signatures import ORDER, must_be_signed, recover_key

ACCESS_LIST_TYPE: Final = 1
FEE_MARKET_TYPE: Final = 2
SET_CODE_TYPE: Final = 4
_AUTHORIZATION_MARK: Final = b"\x05"

AccessList: TypeAlias = tuple[tuple[bytes, tuple[bytes, ...]], ...]


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
class AccessListTransaction:
    """EIP-2930: a legacy transaction that names what it will touch."""

    chain_id: int
    nonce: int
    gas_price: int
    gas_limit: int
    receiver: bytes
    amount: int
    data: bytes = b""
    access_list: AccessList = ()

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


@dataclass(frozen=True, slots=True)
class Authorization:
    """EIP-7702: an account takes over the code at ``delegate``, or with zeros gives it back.

    ``chain_id`` 0 holds on every chain. ``nonce`` is the account's own at that moment: when it sends the transaction
    itself, that is one more than the transaction's.
    """

    chain_id: int
    delegate: bytes
    nonce: int

    @property
    def digest(self) -> bytes:
        """What the account signs."""
        return keccak256(_AUTHORIZATION_MARK + rlp.encode(self._list_fields()))

    def _list_fields(self) -> list[rlp.Item]:
        return [rlp.encode_integer(self.chain_id), self.delegate, rlp.encode_integer(self.nonce)]


@dataclass(frozen=True, slots=True)
class SignedAuthorization:
    """As a transaction carries it. Chains pass over one that does not fit, so it is checked when it is made."""

    authorization: Authorization
    parity: int
    r: int
    s: int

    def recover_account(self) -> bytes | None:
        """The address whose code it sets; None when nobody signed it."""
        key = recover_key(self.authorization.digest, self.parity, self.r, self.s)
        return None if key is None else derive_address(key)


@dataclass(frozen=True, slots=True)
class SetCodeTransaction:
    """EIP-7702: type 2 with authorizations. It cannot create a contract."""

    chain_id: int
    nonce: int
    priority_fee_max: int
    gas_price_max: int
    gas_limit: int
    receiver: bytes
    amount: int
    data: bytes = b""
    access_list: AccessList = ()
    authorizations: tuple[SignedAuthorization, ...] = ()

    @property
    def fee_max(self) -> int:
        """In wei."""
        return self.gas_price_max * self.gas_limit


EvmTransaction: TypeAlias = (
    LegacyTransaction | AccessListTransaction | FeeMarketTransaction | SetCodeTransaction
)

_TYPES: Final[dict[type[Any], bytes]] = {
    LegacyTransaction: b"",
    AccessListTransaction: bytes((ACCESS_LIST_TYPE,)),
    FeeMarketTransaction: bytes((FEE_MARKET_TYPE,)),
    SetCodeTransaction: bytes((SET_CODE_TYPE,)),
}
_FIELD_COUNTS: Final = {ACCESS_LIST_TYPE: 8, FEE_MARKET_TYPE: 9, SET_CODE_TYPE: 10}


# Writing


def encode_unsigned(transaction: EvmTransaction) -> bytes:
    """What is hashed for signing."""
    fields = _list_fields(transaction)
    if isinstance(transaction, LegacyTransaction):
        return rlp.encode([*fields, rlp.encode_integer(transaction.chain_id), b"", b""])
    return _TYPES[type(transaction)] + rlp.encode(fields)


def encode_signed(transaction: EvmTransaction, parity: int, r: int, s: int) -> bytes:
    """What is sent."""
    mark = 35 + 2 * transaction.chain_id + parity if isinstance(transaction, LegacyTransaction) else parity
    signature: list[rlp.Item] = [rlp.encode_integer(number) for number in (mark, r, s)]
    return _TYPES[type(transaction)] + rlp.encode([*_list_fields(transaction), *signature])


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
    head: list[rlp.Item] = [integer(transaction.chain_id), integer(transaction.nonce)]
    tail.append([[address, list(keys)] for address, keys in transaction.access_list])
    if isinstance(transaction, AccessListTransaction):
        return [*head, integer(transaction.gas_price), *tail]
    head += [integer(transaction.priority_fee_max), integer(transaction.gas_price_max)]
    if isinstance(transaction, SetCodeTransaction):
        tail.append([_list_authorization(signed) for signed in transaction.authorizations])
    return head + tail


def _list_authorization(signed: SignedAuthorization) -> rlp.Item:
    signature = [rlp.encode_integer(number) for number in (signed.parity, signed.r, signed.s)]
    return [*signed.authorization._list_fields(), *signature]


# Reading


def decode_unsigned(body: bytes) -> EvmTransaction:
    """The reverse of ``encode_unsigned``. Raises ``MalformedTransaction``."""
    kind = _read_type(body)
    if kind:
        return _read_typed(kind, _must_be_list(rlp.decode(body[1:]), _FIELD_COUNTS[kind]))
    fields = _must_be_list(rlp.decode(body), 9)
    if fields[7:] != [b"", b""]:
        raise MalformedTransaction("a legacy transaction without its chain id, or with a signature")
    return _read_legacy(fields, rlp.decode_integer(fields[6], 8))


def decode_signed(raw: bytes) -> tuple[EvmTransaction, int, int, int]:
    """Transaction, parity, r and s. Raises ``MalformedTransaction``."""
    kind = _read_type(raw)
    if kind:
        count = _FIELD_COUNTS[kind]
        fields = _must_be_list(rlp.decode(raw[1:]), count + 3)
        transaction = _read_typed(kind, fields[:count])
        parity = rlp.decode_integer(fields[count], 1)
    else:
        fields = _must_be_list(rlp.decode(raw), 9)
        chain_id, parity = divmod(rlp.decode_integer(fields[6], 9) - 35, 2)
        if chain_id < 1:
            raise MalformedTransaction("a legacy transaction that does not name its chain")
        transaction = _read_legacy(fields, chain_id)
    r, s = rlp.decode_integer(fields[-2], 32), rlp.decode_integer(fields[-1], 32)
    if parity > 1 or not 0 < r < ORDER or not 0 < s <= ORDER // 2:
        raise MalformedTransaction("a signature is out of range")
    return transaction, parity, r, s


def _read_type(data: bytes) -> int:
    """Of a typed transaction; 0 for a legacy one (EIP-2718)."""
    kind = data[0] if data else 0
    if kind in _FIELD_COUNTS:
        return kind
    if kind < 0xC0:
        raise MalformedTransaction(f"not a transaction of a known type, but {kind:#x}")
    return 0


def _must_be_list(item: rlp.Item, length: int) -> list[rlp.Item]:
    if not isinstance(item, list) or len(item) != length:
        raise MalformedTransaction("a transaction has too few fields, or too many")
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


def _read_typed(kind: int, fields: list[rlp.Item]) -> EvmTransaction:
    """Chain id, nonce, one or two prices, then what all have, then what only some have."""
    number = rlp.decode_integer
    chain_id, nonce = number(fields[0], 8), number(fields[1], 8)
    prices = fields[2:3] if kind == ACCESS_LIST_TYPE else fields[2:4]
    after = fields[2 + len(prices) :]
    receiver = _must_be_bytes(after[1], *((20,) if kind == SET_CODE_TYPE else (0, 20)))
    common = (number(after[0], 8), receiver, number(after[2], 32), _must_be_bytes(after[3]))
    access_list = _read_access_list(after[4])
    first = number(prices[0], 32)
    if kind == ACCESS_LIST_TYPE:
        return AccessListTransaction(chain_id, nonce, first, *common, access_list)
    second = number(prices[1], 32)
    if kind == FEE_MARKET_TYPE:
        return FeeMarketTransaction(chain_id, nonce, first, second, *common, access_list)
    authorizations = _read_authorizations(after[5])
    return SetCodeTransaction(chain_id, nonce, first, second, *common, access_list, authorizations)


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


def _read_authorizations(item: rlp.Item) -> tuple[SignedAuthorization, ...]:
    if not isinstance(item, list) or not item:
        raise MalformedTransaction("authorizations are a list with at least one")
    number = rlp.decode_integer
    entries = []
    for entry in item:
        fields = _must_be_list(entry, 6)
        authorization = Authorization(
            number(fields[0], 32), _must_be_bytes(fields[1], 20), number(fields[2], 8)
        )
        signature = number(fields[3], 1), number(fields[4], 32), number(fields[5], 32)
        entries.append(SignedAuthorization(authorization, *signature))
    return tuple(entries)


# Signatures


def attach(public_key: bytes, body: bytes, signature: EcdsaSignature) -> bytes:
    """The transaction as it is sent. Raises ``WrongSignature`` unless this key signed these bytes."""
    transaction = decode_unsigned(body)
    return encode_signed(transaction, *must_be_signed(public_key, keccak256(body), signature))


def attach_authorization(
    public_key: bytes, authorization: Authorization, signature: EcdsaSignature
) -> SignedAuthorization:
    """As a transaction carries it. Raises ``WrongSignature`` unless this key signed it."""
    return SignedAuthorization(authorization, *must_be_signed(public_key, authorization.digest, signature))


def recover_sender(raw: bytes) -> bytes:
    """The address that a signed transaction is from. Raises ``MalformedTransaction``."""
    transaction, parity, r, s = decode_signed(raw)
    key = recover_key(keccak256(encode_unsigned(transaction)), parity, r, s)
    if key is None:
        raise MalformedTransaction("nobody made this signature")
    try:
        return derive_address(key)
    except InvalidPublicKey as error:
        raise MalformedTransaction(str(error)) from None
