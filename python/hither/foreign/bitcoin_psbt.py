"""Partially signed transactions (BIP-174, version 0): maps of keys and values that several programs pass on.

A transaction's way: created and updated (``bitcoin_transactions.encode_draft``), signed by adding signatures, combined
with what others added, finalised into witnesses, extracted as it is sent. Here are the maps and those later steps; what
a map holds that is not ours to understand stays in it. No I/O.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from btclib.exceptions import BTClibException
from btclib.script.witness import Witness
from btclib.tx import Tx, TxIn

from hither.foreign.bitcoin_addresses import is_script_of
from hither.foreign.errors import InvalidPublicKey, MalformedTransaction, WrongSignature

MAGIC: Final = b"psbt\xff"

UNSIGNED_TRANSACTION: Final = b"\x00"
VERSION: Final = b"\xfb"
PARENT: Final = b"\x00"
WITNESS_COIN: Final = b"\x01"
PARTIAL_SIGNATURE: Final = 0x02
SIGHASH_TYPE: Final = b"\x03"
FINAL_SCRIPT: Final = b"\x07"
FINAL_WITNESS: Final = b"\x08"
_SIGNERS_NOTES: Final = (0x02, 0x03, 0x04, 0x05, 0x06)
"""What a finalised input needs no more: signatures, their type, scripts, derivations."""

Notes = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Psbt:
    """``header`` is without the transaction, which has no signatures."""

    transaction: Tx
    header: Notes
    inputs: tuple[Notes, ...]
    outputs: tuple[Notes, ...]


def encode_psbt(psbt: Psbt) -> bytes:
    """The bytes that programs exchange."""
    bare = psbt.transaction.serialize(False, check_validity=False)
    maps = [{UNSIGNED_TRANSACTION: bare, **psbt.header}, *psbt.inputs, *psbt.outputs]
    return MAGIC + b"".join(_encode_map(one) for one in maps)


def decode_psbt(body: bytes) -> Psbt:
    """The reverse. Raises ``MalformedTransaction``."""
    if not body.startswith(MAGIC):
        raise MalformedTransaction("not a PSBT")
    reader = _Reader(body, len(MAGIC))
    header = reader.read_map()
    if header.get(VERSION, bytes(4)) != bytes(4):
        raise MalformedTransaction("only version 0 of PSBT is known")
    transaction = parse_transaction(header.pop(UNSIGNED_TRANSACTION, b""))
    if any(entry.script_sig or entry.script_witness.stack for entry in transaction.vin):
        raise MalformedTransaction("the PSBT's transaction is signed already")
    inputs = tuple(reader.read_map() for _ in transaction.vin)
    outputs = tuple(reader.read_map() for _ in transaction.vout)
    reader.must_be_at_end()
    return Psbt(transaction, header, inputs, outputs)


def add_signatures(psbt: Psbt, public_key: bytes, signatures: Sequence[bytes]) -> Psbt:
    """One an input, in DER with its type, as it stands in the witness. Raises ``WrongSignature`` for another number."""
    if len(signatures) != len(psbt.inputs):
        raise WrongSignature(f"{len(psbt.inputs)} signatures are needed, {len(signatures)} were given")
    key = bytes((PARTIAL_SIGNATURE,)) + public_key
    inputs = (
        _sort({**notes, key: signature}) for notes, signature in zip(psbt.inputs, signatures, strict=True)
    )
    return replace(psbt, inputs=tuple(inputs))


def combine(first: Psbt, *others: Psbt) -> Psbt:
    """What all of them know. Raises ``MalformedTransaction`` unless they are of one transaction and agree."""
    result = first
    for other in others:
        if other.transaction != first.transaction:
            raise MalformedTransaction("PSBTs of different transactions cannot be combined")
        result = Psbt(
            first.transaction,
            _merge(result.header, other.header),
            tuple(_merge(*pair) for pair in zip(result.inputs, other.inputs, strict=True)),
            tuple(_merge(*pair) for pair in zip(result.outputs, other.outputs, strict=True)),
        )
    return result


def finalize(psbt: Psbt) -> Psbt:
    """Signatures become witnesses of P2WPKH and scripts of P2PKH; inputs that are final stay.

    Raises ``WrongSignature`` for a gap.
    """
    entries = zip(psbt.transaction.vin, psbt.inputs, strict=True)
    return replace(psbt, inputs=tuple(_finalize_input(index, *pair) for index, pair in enumerate(entries)))


def _finalize_input(index: int, entry: TxIn, notes: Notes) -> Notes:
    if FINAL_WITNESS in notes or FINAL_SCRIPT in notes:
        return notes
    _, script = read_coin(entry, notes)
    for key, signature in notes.items():
        if key[0] == PARTIAL_SIGNATURE and _is_script_of(script, key[1:]):
            kept = {name: value for name, value in notes.items() if name[0] not in _SIGNERS_NOTES}
            if is_legacy(script):
                return _sort({**kept, FINAL_SCRIPT: make_legacy_script(signature, key[1:])})
            witness = Witness([signature, key[1:]], check_validity=False)
            return _sort({**kept, FINAL_WITNESS: witness.serialize(check_validity=False)})
    raise WrongSignature(f"input {index} has no signature of the key that it pays to")


def _is_script_of(script: bytes, public_key: bytes) -> bool:
    try:
        return is_script_of(script, public_key)
    except InvalidPublicKey:
        return False


def is_legacy(script: bytes) -> bool:
    """Whether it pays to a key's hash without a witness (P2PKH)."""
    return script[:3] == b"\x76\xa9\x14"


def make_legacy_script(signature: bytes, public_key: bytes) -> bytes:
    """What an input that spends such an output holds."""
    return bytes((len(signature),)) + signature + bytes((len(public_key),)) + public_key


def extract(psbt: Psbt) -> Tx:
    """The transaction as it is sent. Raises ``MalformedTransaction`` unless every input is final."""
    transaction = Tx.parse(psbt.transaction.serialize(True, check_validity=False), check_validity=False)
    for index, (entry, notes) in enumerate(zip(transaction.vin, psbt.inputs, strict=True)):
        if FINAL_WITNESS not in notes and FINAL_SCRIPT not in notes:
            raise MalformedTransaction(f"input {index} is not final")
        entry.script_sig = notes.get(FINAL_SCRIPT, b"")
        try:
            entry.script_witness = Witness.parse(notes.get(FINAL_WITNESS, b"\x00"), check_validity=False)
        except (BTClibException, ValueError) as error:
            raise MalformedTransaction(f"input {index} has no good witness: {error}") from error
    return transaction


def read_witness_coin(notes: Notes) -> tuple[int, bytes]:
    """Amount and script of what an input spends. Raises ``MalformedTransaction``."""
    spent = notes.get(WITNESS_COIN)
    if spent is None:
        raise MalformedTransaction("the PSBT does not say what an input spends")
    reader = _Reader(spent, 0)
    amount = int.from_bytes(reader.read(8), "little")
    script = reader.read_sized()
    reader.must_be_at_end()
    return amount, script


def read_coin(entry: TxIn, notes: Notes) -> tuple[int, bytes]:
    """Amount and script of what an input spends, by the rules of its kind. Raises ``MalformedTransaction``.

    A signature without a witness does not cover the amount, so that the whole transaction that made the coin is needed.
    """
    if PARENT not in notes:
        amount, script = read_witness_coin(notes)
        if is_legacy(script):
            raise MalformedTransaction("an input without a witness needs the transaction that it spends from")
        return amount, script
    parent = parse_transaction(notes[PARENT])
    if parent.id != entry.prev_out.tx_id or entry.prev_out.vout >= len(parent.vout):
        raise MalformedTransaction("the PSBT holds another transaction than the one that an input names")
    output = parent.vout[entry.prev_out.vout]
    found = output.value, output.script_pub_key.script
    if WITNESS_COIN in notes and read_witness_coin(notes) != found:
        raise MalformedTransaction("the PSBT says two things of what an input spends")
    return found


def encode_witness_coin(amount: int, script: bytes) -> bytes:
    """The reverse."""
    return amount.to_bytes(8, "little") + _encode_sized(script)


def parse_transaction(raw: bytes) -> Tx:
    """From the bytes that are sent. Raises ``MalformedTransaction``."""
    try:
        transaction = Tx.parse(raw)
    except (BTClibException, ValueError) as error:
        raise MalformedTransaction(f"not a Bitcoin transaction: {error}") from error
    if transaction.serialize(True, check_validity=False) != raw:
        raise MalformedTransaction("not a Bitcoin transaction: bytes are left over")
    return transaction


def _merge(first: Notes, second: Notes) -> Notes:
    for key in first.keys() & second.keys():
        if first[key] != second[key]:
            raise MalformedTransaction(f"the PSBTs disagree about {key.hex()}")
    return _sort({**first, **second})


def _sort(notes: Notes) -> Notes:
    return dict(sorted(notes.items()))


def _encode_size(size: int) -> bytes:
    if size < 0xFD:
        return bytes((size,))
    if size <= 0xFFFF:
        return b"\xfd" + size.to_bytes(2, "little")
    return b"\xfe" + size.to_bytes(4, "little")


def _encode_sized(data: bytes) -> bytes:
    return _encode_size(len(data)) + data


def _encode_map(notes: Notes) -> bytes:
    return b"".join(_encode_sized(key) + _encode_sized(value) for key, value in notes.items()) + b"\x00"


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
