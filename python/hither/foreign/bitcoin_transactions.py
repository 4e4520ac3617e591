"""Bitcoin transactions as bytes: PSBT, what is hashed for signing, and what is sent. No I/O.

An unsigned transaction is a PSBT (BIP-174, version 0) whose inputs each name the coin that they spend, as those who
sign must know: what is described, hashed (BIP-143) and paid as fee is all read from those bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from btclib.exceptions import BTClibException
from btclib.script import sig_hash
from btclib.script.script_pub_key import ScriptPubKey, type_and_payload
from btclib.script.witness import Witness
from btclib.tx import OutPoint, Tx, TxIn, TxOut

from hither.crypto.keys import SECP256K1, Signature
from hither.crypto.signing import are_valid_signatures
from hither.foreign.adapter import EcdsaSignature
from hither.foreign.bitcoin_addresses import GROUP_ORDER, derive_script
from hither.foreign.errors import InvalidInput, MalformedTransaction, WrongSignature
from hither.foreign.secp256k1 import decompress_key

SIGHASH_ALL: Final = 1
SEQUENCE_REPLACEABLE: Final = 0xFFFFFFFD
"""Says that a transaction with a higher fee may take the place (BIP-125)."""
SEQUENCE_FINAL: Final = 0xFFFFFFFF
SATOSHIS_MAX: Final = 21_000_000 * 100_000_000

DATA_SIZE_BYTES_MAX: Final = 80

_MAGIC: Final = b"psbt\xff"
_UNSIGNED_TRANSACTION: Final = 0x00
_WITNESS_COIN: Final = 0x01
_SIGHASH_TYPE: Final = 0x03
_VERSION: Final = 0xFB


@dataclass(frozen=True, slots=True)
class Coin:
    """An output that can be spent. ``transaction_id`` is as people write it; ``height`` is none while unconfirmed."""

    transaction_id: str
    index: int
    amount: int
    script: bytes
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """An amount and the script that may spend it."""

    amount: int
    script: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """A transaction without its signatures, with the coins that it spends."""

    coins: tuple[Coin, ...]
    outputs: tuple[Output, ...]
    sequence: int = SEQUENCE_REPLACEABLE
    lock_time: int = 0

    @property
    def fee(self) -> int:
        """What the outputs leave of the inputs."""
        return sum(coin.amount for coin in self.coins) - sum(output.amount for output in self.outputs)


def make_data_script(data: bytes) -> bytes:
    """An output that only carries bytes (OP_RETURN). Raises ``InvalidInput`` for more than every node relays."""
    if len(data) > DATA_SIZE_BYTES_MAX:
        raise InvalidInput(f"{len(data)} bytes of data; every node relays {DATA_SIZE_BYTES_MAX}")
    return ScriptPubKey.nulldata(data).script


def read_data_script(script: bytes) -> bytes:
    """The bytes that such an output carries; for one of an unusual form all that follows its mark."""
    kind, data = type_and_payload(script)
    return data if kind == "nulldata" else script[1:]


# Unsigned


def encode_draft(draft: Draft) -> bytes:
    """As a PSBT."""
    maps = [_encode_map([(bytes((_UNSIGNED_TRANSACTION,)), _make_transaction(draft).serialize(False))])]
    for coin in draft.coins:
        spent = coin.amount.to_bytes(8, "little") + _encode_sized(coin.script)
        sighash = SIGHASH_ALL.to_bytes(4, "little")
        maps.append(_encode_map([(bytes((_WITNESS_COIN,)), spent), (bytes((_SIGHASH_TYPE,)), sighash)]))
    maps += [_encode_map([]) for _ in draft.outputs]
    return _MAGIC + b"".join(maps)


# Payloads are listed, then signatures attached: both read the same bytes.
@lru_cache(maxsize=256)
def decode_draft(body: bytes) -> Draft:
    """The reverse. Raises ``MalformedTransaction``.

    Maps may hold more than we write (another wallet's notes) except what would change the meaning: another version,
    another kind of signature, inputs that are signed in part or spent by other rules.
    """
    if not body.startswith(_MAGIC):
        raise MalformedTransaction("not a PSBT")
    reader = _Reader(body, len(_MAGIC))
    header = reader.read_map()
    if header.pop(bytes((_VERSION,)), bytes(4)) != bytes(4):
        raise MalformedTransaction("only version 0 of PSBT is known")
    transaction = parse_transaction(header.pop(bytes((_UNSIGNED_TRANSACTION,)), b""))
    coins = tuple(_read_coin(entry, reader.read_map()) for entry in transaction.vin)
    for _ in transaction.vout:
        reader.read_map()
    reader.must_be_at_end()
    sequences = {entry.sequence for entry in transaction.vin}
    if len(sequences) != 1 or transaction.version != 2:
        raise MalformedTransaction("inputs of different sequence numbers, or a version other than 2")
    outputs = tuple(Output(output.value, output.script_pub_key.script) for output in transaction.vout)
    draft = Draft(coins, outputs, sequences.pop(), transaction.lock_time)
    if draft.fee < 0 or sum(coin.amount for coin in coins) > SATOSHIS_MAX:
        raise MalformedTransaction("the outputs exceed the inputs, or the inputs all bitcoin there is")
    return draft


@lru_cache(maxsize=256)
def compute_digests(draft: Draft, public_key: bytes) -> tuple[bytes, ...]:
    """What the key must sign, one digest an input. Raises ``MalformedTransaction`` for a coin that it cannot spend."""
    script = derive_script(public_key)
    for coin in draft.coins:
        if coin.script != script:
            raise MalformedTransaction(f"{coin.transaction_id}:{coin.index} is not a coin of this key")
    transaction = _make_transaction(draft)
    spent = [TxOut(coin.amount, coin.script, check_validity=False) for coin in draft.coins]
    shared = sig_hash.PrecomputedTxData(transaction, spent)
    # What a P2WPKH input is hashed with is the script of the old kind for the same key hash.
    script_code = b"\x76\xa9\x14" + script[2:] + b"\x88\xac"
    return tuple(
        sig_hash.segwit_v0(script_code, transaction, index, SIGHASH_ALL, coin.amount, shared)
        for index, coin in enumerate(draft.coins)
    )


# Signed


def attach(draft: Draft, public_key: bytes, signatures: Sequence[EcdsaSignature]) -> Tx:
    """The transaction as it is sent. Raises ``WrongSignature`` unless each signature is the key's, over its digest."""
    key = decompress_key(public_key)
    digests = compute_digests(draft, public_key)
    if len(signatures) != len(digests):
        raise WrongSignature(f"{len(digests)} signatures are needed, {len(signatures)} were given")
    checks = [
        (key, digest, Signature(SECP256K1, signature.r + _make_low(signature.s) + b"\x00"))
        for digest, signature in zip(digests, signatures, strict=True)
    ]
    for index, is_good in enumerate(are_valid_signatures(checks)):
        if not is_good:
            raise WrongSignature(f"signature {index} is not this key's, or was made for other bytes")
    transaction = _make_transaction(draft)
    for entry, signature in zip(transaction.vin, signatures, strict=True):
        encoded = encode_signature(signature)
        entry.script_witness = Witness([encoded, public_key], check_validity=False)
    return transaction


def encode_signature(signature: EcdsaSignature) -> bytes:
    """DER with the lower of the two s, and the byte that says that everything is signed."""
    parts = b"".join(_encode_der_integer(part) for part in (signature.r, _make_low(signature.s)))
    return b"\x30" + bytes((len(parts),)) + parts + bytes((SIGHASH_ALL,))


def parse_transaction(raw: bytes) -> Tx:
    """From the bytes that are sent. Raises ``MalformedTransaction``."""
    try:
        transaction = Tx.parse(raw)
    except (BTClibException, ValueError) as error:
        raise MalformedTransaction(f"not a Bitcoin transaction: {error}") from error
    if transaction.serialize(True, check_validity=False) != raw:
        raise MalformedTransaction("not a Bitcoin transaction: bytes are left over")
    return transaction


def compute_transaction_id(transaction: Tx) -> str:
    """As people write it: without the witness, bytes reversed."""
    return transaction.id.hex()


def _make_transaction(draft: Draft) -> Tx:
    entries = [
        TxIn(
            OutPoint(bytes.fromhex(coin.transaction_id), coin.index, check_validity=False),
            b"",
            draft.sequence,
            check_validity=False,
        )
        for coin in draft.coins
    ]
    outputs = [TxOut(output.amount, output.script, check_validity=False) for output in draft.outputs]
    return Tx(2, draft.lock_time, entries, outputs, check_validity=False)


def _make_low(s: bytes) -> bytes:
    value = int.from_bytes(s, "big")
    is_high = GROUP_ORDER // 2 < value < GROUP_ORDER
    return (GROUP_ORDER - value).to_bytes(32, "big") if is_high else s


def _encode_der_integer(part: bytes) -> bytes:
    digits = part.lstrip(b"\x00") or b"\x00"
    if digits[0] & 0x80:
        digits = b"\x00" + digits
    return b"\x02" + bytes((len(digits),)) + digits


# PSBT maps


def _encode_size(size: int) -> bytes:
    if size < 0xFD:
        return bytes((size,))
    if size <= 0xFFFF:
        return b"\xfd" + size.to_bytes(2, "little")
    return b"\xfe" + size.to_bytes(4, "little")


def _encode_sized(data: bytes) -> bytes:
    return _encode_size(len(data)) + data


def _encode_map(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"".join(_encode_sized(key) + _encode_sized(value) for key, value in pairs) + b"\x00"


class _Reader:
    """Reads a PSBT's maps in turn."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    def read(self, size: int) -> bytes:
        """So many bytes. Raises ``MalformedTransaction``."""
        piece = self._data[self._position : self._position + size]
        if len(piece) != size:
            raise MalformedTransaction("the PSBT ends too early")
        self._position += size
        return piece

    def read_sized(self) -> bytes:
        """Bytes after their length."""
        size = self.read(1)[0]
        if size >= 0xFD:
            size = int.from_bytes(self.read({0xFD: 2, 0xFE: 4, 0xFF: 8}[size]), "little")
        return self.read(size)

    def read_map(self) -> dict[bytes, bytes]:
        """The next map."""
        entries: dict[bytes, bytes] = {}
        while key := self.read_sized():
            if key in entries:
                raise MalformedTransaction("the PSBT says something twice")
            entries[key] = self.read_sized()
        return entries

    def must_be_at_end(self) -> None:
        """Raises ``MalformedTransaction``."""
        if self._position != len(self._data):
            raise MalformedTransaction("bytes are left over after the PSBT")


def _read_coin(entry: TxIn, notes: dict[bytes, bytes]) -> Coin:
    if entry.script_sig or entry.script_witness.stack:
        raise MalformedTransaction("the PSBT's transaction is signed already")
    kind = notes.get(bytes((_SIGHASH_TYPE,)), SIGHASH_ALL.to_bytes(4, "little"))
    if kind != SIGHASH_ALL.to_bytes(4, "little"):
        raise MalformedTransaction("only signatures over everything (SIGHASH_ALL) are made")
    spent = notes.get(bytes((_WITNESS_COIN,)))
    if spent is None:
        raise MalformedTransaction("the PSBT does not say what an input spends")
    reader = _Reader(spent, 0)
    amount = int.from_bytes(reader.read(8), "little")
    script = reader.read_sized()
    reader.must_be_at_end()
    return Coin(entry.prev_out.tx_id.hex(), entry.prev_out.vout, amount, script)
