"""Chains of families that have no adapter yet, as far as the interface of adapters is concerned.

Each row has its family's own rule for addresses, for what is signed and for how a signature is written; the chain
behind it is a table of balances that checks signatures with a library of others. Transactions carry a sequence number
and a height after which they are too old, as most of these families have them. Their codecs are not here: a body is
JSON.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import coincurve
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from embit import bech32
from embit.hashes import hash160

from hither.codec import base58
from hither.crypto.hashing import keccak256
from hither.foreign.adapter import (
    Coin,
    EcdsaSignature,
    Payload,
    Scheme,
    Signature,
    SignedTransaction,
    State,
    TransactionStatus,
    Transfer,
    UnsignedTransaction,
    format_transfer,
    must_match,
)
from hither.foreign.caip import ChainId, parse_chain_id
from hither.foreign.errors import (
    BroadcastRefused,
    InsufficientFunds,
    InvalidAddress,
    InvalidAmount,
    WrongNetwork,
    WrongSignature,
)
from hither.foreign.secp256k1 import decompress_key

FEE: Final = 100
LIFE: Final = 20
_RIPPLE: Final = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_BITCOIN: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@dataclass(frozen=True)
class Family:
    """``derive`` makes an address of a key, ``digest`` what is signed of a body, ``write`` a signature's own form."""

    chain: ChainId
    coin: Coin
    scheme: Scheme
    derive: Callable[[bytes], str]
    digest: Callable[[bytes], bytes]
    write: Callable[[Signature], bytes]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def blake2b(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


def check_58(data: bytes) -> str:
    return base58.encode(data + sha256(sha256(data))[:4])


def write_key_of_ripple(key: bytes) -> str:
    marked = key if len(key) == 33 else b"\xed" + key
    return check_58(b"\0" + hash160(marked)).translate(str.maketrans(_BITCOIN, _RIPPLE))


def write_key_of_stellar(key: bytes) -> str:
    """StrKey (SEP-23)."""
    data = bytes([6 << 3]) + key
    return base64.b32encode(data + binascii.crc_hqx(data, 0).to_bytes(2, "little")).decode()


def write_key_of_ton(key: bytes) -> str:
    """A contract's address, which follows from its first state, the key in it (TEP-2)."""
    data = b"\x11\0" + sha256(b"the code of a wallet" + key)
    return base64.urlsafe_b64encode(data + binascii.crc_hqx(data, 0).to_bytes(2, "big")).decode()


def write_key_of_cosmos(key: bytes) -> str:
    return str(bech32.bech32_encode(bech32.Encoding.BECH32, "cosmos", bech32.convertbits(hash160(key), 8, 5)))


def write_key_of_tron(key: bytes) -> str:
    return check_58(b"\x41" + keccak256(decompress_key(key).data)[-20:])


def write_plain(signature: Signature) -> bytes:
    return signature.r + signature.s if isinstance(signature, EcdsaSignature) else signature.signature


def write_recoverable(signature: Signature) -> bytes:
    assert isinstance(signature, EcdsaSignature)
    return write_plain(signature) + bytes([signature.recovery_id])


def write_der(signature: Signature) -> bytes:
    assert isinstance(signature, EcdsaSignature)
    return encode_dss_signature(int.from_bytes(signature.r, "big"), int.from_bytes(signature.s, "big"))


def hash_of_ripple(body: bytes) -> bytes:
    return hashlib.sha512(b"STX\0" + body).digest()[:32]


def message_of_aptos(body: bytes) -> bytes:
    """Not a hash: the whole transaction after its prefix."""
    return hashlib.sha3_256(b"APTOS::RawTransaction").digest() + body


FAMILIES: Final = [
    Family(parse_chain_id(chain), Coin(symbol, decimals), scheme, derive, digest, write)
    for chain, symbol, decimals, scheme, derive, digest, write in [
        ("tvm:-239", "TON", 9, Scheme.EDDSA, write_key_of_ton, sha256, write_plain),
        ("xrpl:0", "XRP", 6, Scheme.ECDSA, write_key_of_ripple, hash_of_ripple, write_der),
        ("xrpl:1", "XRP", 6, Scheme.EDDSA, write_key_of_ripple, lambda body: b"STX\0" + body, write_plain),
        ("stellar:pubnet", "XLM", 7, Scheme.EDDSA, write_key_of_stellar, sha256, write_plain),
        (
            "aptos:1",
            "APT",
            8,
            Scheme.EDDSA,
            lambda key: "0x" + hashlib.sha3_256(key + b"\0").hexdigest(),
            message_of_aptos,
            write_plain,
        ),
        (
            "sui:mainnet",
            "SUI",
            9,
            Scheme.EDDSA,
            lambda key: "0x" + blake2b(b"\0" + key).hex(),
            lambda body: blake2b(b"\0\0\0" + body),
            write_plain,
        ),
        ("tron:0x2b6653dc", "TRX", 6, Scheme.ECDSA, write_key_of_tron, sha256, write_recoverable),
        ("cosmos:cosmoshub-4", "ATOM", 6, Scheme.ECDSA, write_key_of_cosmos, sha256, write_plain),
    ]
]


def holds(family: Family, key: bytes, body: bytes, written: bytes) -> bool:
    """Whether a signature as it is sent is the key's, by libraries of others."""
    message = family.digest(body)
    try:
        if family.scheme is Scheme.EDDSA:
            Ed25519PublicKey.from_public_bytes(key).verify(written, message)
        elif len(written) == 65 and family.write is write_recoverable:
            return (
                coincurve.PublicKey.from_signature_and_message(written, message, hasher=None).format() == key
            )
        else:
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), key)
            der = written if family.write is write_der else encode_dss_signature(*split(written))
            point.verify(der, message, ec.ECDSA(Prehashed(SHA256())))
    except InvalidSignature:
        return False
    return True


def split(written: bytes) -> tuple[int, int]:
    return int.from_bytes(written[:32], "big"), int.from_bytes(written[32:64], "big")


@dataclass
class Ledger:
    """The chain behind an adapter. ``delay`` blocks pass before it looks at the next transaction."""

    family: Family
    balances: dict[str, int] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)
    included: dict[str, int] = field(default_factory=dict)
    height: int = 1
    delay: int = 0

    def submit(self, transaction_id: str, raw: bytes) -> None:
        """Raises ``BroadcastRefused``."""
        if transaction_id in self.included:
            return
        self.height, self.delay = self.height + 1 + self.delay, 0
        envelope = {name: bytes.fromhex(text) for name, text in json.loads(raw).items()}
        body = json.loads(envelope["body"])
        sender, cost = body["sender"], body["amount"] + FEE
        is_good = (
            sender == self.family.derive(envelope["key"])
            and holds(self.family, envelope["key"], envelope["body"], envelope["signature"])
            and body["sequence"] == self.sequences.get(sender, 0)
            and self.height <= body["expires_at"]
            and self.balances.get(sender, 0) >= cost
        )
        if not is_good:
            raise BroadcastRefused("the ledger does not take it")
        self.balances[sender] -= cost
        self.balances[body["receiver"]] = self.balances.get(body["receiver"], 0) + body["amount"]
        self.sequences[sender] = body["sequence"] + 1
        self.included[transaction_id] = self.height


class LedgerAdapter:
    """What a module of a family has to offer, and nothing else."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._family = ledger.family
        self.chain = ledger.family.chain
        self.coin = ledger.family.coin
        self.scheme = ledger.family.scheme

    def derive_address(self, public_key: bytes) -> str:
        return self._family.derive(public_key)

    def parse_address(self, text: str) -> str:
        like = self._family.derive(b"\2" + b"\7" * 32 if self.scheme is Scheme.ECDSA else b"\7" * 32)
        if text[:1] != like[:1]:
            raise WrongNetwork(f"{text} is not an address on {self.chain}")
        if abs(len(text) - len(like)) > 3:
            raise InvalidAddress(f"{text} is not an address")
        return text

    def list_payloads(self, unsigned: UnsignedTransaction) -> tuple[Payload, ...]:
        return (Payload(self.scheme, self.scheme.value, self._family.digest(unsigned.body)),)

    def attach(self, unsigned: UnsignedTransaction, signatures: Sequence[Signature]) -> SignedTransaction:
        must_match(unsigned, self.list_payloads(unsigned), signatures)
        written = self._family.write(signatures[0])
        if not holds(self._family, unsigned.public_key, unsigned.body, written):
            raise WrongSignature("the signature is not this key's for these bytes")
        parts = {"body": unsigned.body, "key": unsigned.public_key, "signature": written}
        raw = json.dumps({name: part.hex() for name, part in parts.items()}).encode()
        return SignedTransaction(self.chain, sha256(raw).hex(), raw)

    def inspect(self, unsigned: UnsignedTransaction) -> Transfer:
        body: dict[str, Any] = json.loads(unsigned.body)
        return Transfer(body["sender"], body["receiver"], body["amount"], FEE)

    def describe(self, unsigned: UnsignedTransaction) -> str:
        return format_transfer(self.inspect(unsigned), self.coin, str(self.chain))

    async def fetch_balance(self, address: str) -> int:
        return self._ledger.balances.get(address, 0)

    async def fetch_nonce(self, address: str) -> int:
        return self._ledger.sequences.get(address, 0)

    async def build_transfer(self, public_key: bytes, receiver: str, amount: int) -> UnsignedTransaction:
        if amount < 1:
            raise InvalidAmount(f"{amount} cannot be sent")
        sender = self.derive_address(public_key)
        balance, needed = await self.fetch_balance(sender), amount + FEE
        if balance < needed:
            write = self.coin.format
            raise InsufficientFunds("too little", balance=balance, needed=needed, write=write, address=sender)
        body = {
            "sender": sender,
            "receiver": self.parse_address(receiver),
            "amount": amount,
            "sequence": await self.fetch_nonce(sender),
            "expires_at": self._ledger.height + LIFE,
        }
        return UnsignedTransaction(self.chain, public_key, json.dumps(body).encode())

    async def broadcast(self, signed: SignedTransaction) -> None:
        self._ledger.submit(signed.transaction_id, signed.raw)

    async def fetch_status(self, signed: SignedTransaction) -> TransactionStatus:
        height = self._ledger.included.get(signed.transaction_id)
        if height is not None:
            return TransactionStatus(State.FINAL, self._ledger.height - height + 1, height, FEE)
        body = json.loads(bytes.fromhex(json.loads(signed.raw)["body"]))
        if body["sequence"] != self._ledger.sequences.get(body["sender"], 0):
            return TransactionStatus(State.DROPPED)
        if self._ledger.height > body["expires_at"]:
            return TransactionStatus(State.DROPPED, has_expired=True)
        return TransactionStatus(State.UNKNOWN)

    async def close(self) -> None:
        """Nothing is open."""
