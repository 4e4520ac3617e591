"""Bitcoin transactions as bytes: PSBT, what is hashed for signing, and what is sent. No I/O.

An unsigned transaction is a PSBT (BIP-174, version 0) whose inputs each name the coin that they spend, as those who
sign must know: what is described, hashed (BIP-143) and paid as fee is all read from those bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from btclib.script import sig_hash
from btclib.script.script_pub_key import ScriptPubKey, type_and_payload
from btclib.script.witness import Witness
from btclib.tx import OutPoint, Tx, TxIn, TxOut

from hither.crypto.keys import SECP256K1, Signature
from hither.crypto.signing import are_valid_signatures
from hither.foreign import bitcoin_psbt as psbt
from hither.foreign.adapter import EcdsaSignature
from hither.foreign.bitcoin_addresses import GROUP_ORDER, is_script_of
from hither.foreign.errors import InvalidInput, MalformedTransaction, WrongSignature
from hither.foreign.secp256k1 import decompress_key

SIGHASH_ALL: Final = 1
SEQUENCE_REPLACEABLE: Final = 0xFFFFFFFD
"""Says that a transaction with a higher fee may take the place (BIP-125)."""
SEQUENCE_FINAL: Final = 0xFFFFFFFF
SATOSHIS_MAX: Final = 21_000_000 * 100_000_000

DATA_SIZE_BYTES_MAX: Final = 80


@dataclass(frozen=True, slots=True)
class Coin:
    """An output that can be spent. ``transaction_id`` is as people write it; ``height`` is none while unconfirmed.

    ``parent`` is the whole transaction that made it, for coins that are spent without a witness.
    """

    transaction_id: str
    index: int
    amount: int
    script: bytes
    height: int | None = None
    parent: bytes = b""


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
    sighash = SIGHASH_ALL.to_bytes(4, "little")
    inputs = tuple(
        {psbt.PARENT: coin.parent, psbt.SIGHASH_TYPE: sighash}
        if psbt.is_legacy(coin.script)
        else {
            psbt.WITNESS_COIN: psbt.encode_witness_coin(coin.amount, coin.script),
            psbt.SIGHASH_TYPE: sighash,
        }
        for coin in draft.coins
    )
    return psbt.encode_psbt(psbt.Psbt(make_transaction(draft), {}, inputs, ({},) * len(draft.outputs)))


# Payloads are listed, then signatures attached: both read the same bytes.
@lru_cache(maxsize=256)
def decode_draft(body: bytes) -> Draft:
    """The reverse. Raises ``MalformedTransaction``.

    Maps may hold more than we write (another wallet's notes) except what would change the meaning: another version,
    another kind of signature, inputs that are signed in part or spent by other rules.
    """
    found = psbt.decode_psbt(body)
    transaction = found.transaction
    coins = tuple(_read_coin(*pair) for pair in zip(transaction.vin, found.inputs, strict=True))
    sequences = {entry.sequence for entry in transaction.vin}
    if len(sequences) != 1 or transaction.version != 2:
        raise MalformedTransaction("inputs of different sequence numbers, or a version other than 2")
    outputs = tuple(Output(output.value, output.script_pub_key.script) for output in transaction.vout)
    draft = Draft(coins, outputs, sequences.pop(), transaction.lock_time)
    if draft.fee < 0 or sum(coin.amount for coin in coins) > SATOSHIS_MAX:
        raise MalformedTransaction("the outputs exceed the inputs, or the inputs all bitcoin there is")
    return draft


def _read_coin(entry: TxIn, notes: psbt.Notes) -> Coin:
    kind = notes.get(psbt.SIGHASH_TYPE, SIGHASH_ALL.to_bytes(4, "little"))
    if kind != SIGHASH_ALL.to_bytes(4, "little"):
        raise MalformedTransaction("only signatures over everything (SIGHASH_ALL) are made")
    amount, script = psbt.read_coin(entry, notes)
    parent = notes[psbt.PARENT] if psbt.is_legacy(script) else b""
    return Coin(entry.prev_out.tx_id.hex(), entry.prev_out.vout, amount, script, parent=parent)


@lru_cache(maxsize=256)
def compute_digests(draft: Draft, public_key: bytes) -> tuple[bytes, ...]:
    """What the key must sign, one digest an input. Raises ``MalformedTransaction`` for a coin that it cannot spend."""
    for coin in draft.coins:
        if not is_script_of(coin.script, public_key):
            raise MalformedTransaction(f"{coin.transaction_id}:{coin.index} is not a coin of this key")
    transaction = make_transaction(draft)
    spent = [TxOut(coin.amount, coin.script, check_validity=False) for coin in draft.coins]
    shared = sig_hash.PrecomputedTxData(transaction, spent)
    digests = []
    for index, coin in enumerate(draft.coins):
        if psbt.is_legacy(coin.script):
            digests.append(sig_hash.legacy(coin.script, transaction, index, SIGHASH_ALL))
            continue
        # What a P2WPKH input is hashed with is the script of the old kind for the same key hash.
        script_code = b"\x76\xa9\x14" + coin.script[2:] + b"\x88\xac"
        digests.append(sig_hash.segwit_v0(script_code, transaction, index, SIGHASH_ALL, coin.amount, shared))
    return tuple(digests)


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
    transaction = make_transaction(draft)
    for entry, coin, signature in zip(transaction.vin, draft.coins, signatures, strict=True):
        encoded = encode_signature(signature)
        if psbt.is_legacy(coin.script):
            entry.script_sig = psbt.make_legacy_script(encoded, public_key)
            continue
        entry.script_witness = Witness([encoded, public_key], check_validity=False)
    return transaction


def encode_signature(signature: EcdsaSignature) -> bytes:
    """DER with the lower of the two s, and the byte that says that everything is signed."""
    parts = b"".join(_encode_der_integer(part) for part in (signature.r, _make_low(signature.s)))
    return b"\x30" + bytes((len(parts),)) + parts + bytes((SIGHASH_ALL,))


def compute_transaction_id(transaction: Tx) -> str:
    """As people write it: without the witness, bytes reversed."""
    return transaction.id.hex()


def make_transaction(draft: Draft) -> Tx:
    """Without signatures."""
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
