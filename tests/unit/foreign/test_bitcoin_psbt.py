"""PSBTs as embit makes, signs, combines and finalises them; and what must be refused."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from embit import ec, finalizer
from embit import psbt as embit_psbt

from hither.foreign import bitcoin_psbt as psbt
from hither.foreign import bitcoin_transactions as codec
from hither.foreign.adapter import UnsignedTransaction
from hither.foreign.bitcoin_addresses import REGTEST
from hither.foreign.errors import MalformedTransaction, WrongSignature
from tests.unit.foreign.test_bitcoin import ALICE, ALICE_KEY, BOB, BOB_KEY, make_adapter, make_cases, sign


@pytest.mark.parametrize("case", make_cases())
def test_each_step_gives_the_bytes_that_embit_gives(case: str) -> None:
    """Signed by embit and by us, finalised by embit and by us, extracted by embit and by us."""
    draft = make_cases()[case]
    body = codec.encode_draft(draft)
    theirs = embit_psbt.PSBT.parse(body)
    assert theirs.sign_with(ec.PrivateKey(ALICE.secret)) == len(draft.coins)
    ours = psbt.decode_psbt(body)
    signatures = [
        theirs.inputs[index].partial_sigs[ec.PublicKey.parse(ALICE_KEY)] for index in range(len(draft.coins))
    ]
    signed = psbt.add_signatures(ours, ALICE_KEY, signatures)
    assert psbt.encode_psbt(signed) == theirs.serialize()
    final = finalizer.finalize_psbt(theirs)
    assert psbt.extract(psbt.finalize(signed)).serialize(True) == final.serialize()
    assert psbt.decode_psbt(psbt.encode_psbt(psbt.finalize(signed))) == psbt.finalize(signed)


def test_what_the_signing_network_signed_is_handed_on() -> None:
    """The adapter's PSBT is finalised by embit into the very transaction that the adapter would send."""
    adapter = make_adapter()
    body = codec.encode_draft(make_cases()["three inputs"])
    unsigned = UnsignedTransaction(REGTEST.chain, ALICE_KEY, body)
    signatures = [sign(ALICE, payload.data) for payload in adapter.list_payloads(unsigned)]
    signed = adapter.sign_psbt(unsigned, signatures)
    sent = adapter.attach(unsigned, signatures)
    assert finalizer.finalize_psbt(embit_psbt.PSBT.parse(signed)).serialize() == sent.raw
    assert adapter.extract_psbt(signed) == sent
    with pytest.raises(WrongSignature):
        adapter.sign_psbt(unsigned, [sign(BOB, payload.data) for payload in adapter.list_payloads(unsigned)])


def test_psbts_of_several_signers_are_combined() -> None:
    """Each signs one input; what embit notes beside is kept."""
    draft = make_cases()["three inputs"]
    parts = []
    for place in range(3):
        theirs = embit_psbt.PSBT.parse(codec.encode_draft(draft))
        theirs.sign_with(ec.PrivateKey(ALICE.secret))
        for index in range(3):
            if index != place:
                theirs.inputs[index].partial_sigs.clear()
        theirs.unknown[b"\xfc\x04note" + bytes((place,))] = b"kept"
        parts.append(psbt.decode_psbt(theirs.serialize()))
    for part in parts:
        with pytest.raises(WrongSignature, match="no signature of the key"):
            psbt.finalize(part)
    whole = psbt.combine(*parts)
    assert len(psbt.extract(psbt.finalize(whole)).vin) == 3
    assert len(whole.header) == 3
    assert psbt.decode_psbt(psbt.encode_psbt(whole)) == whole


def test_psbts_that_do_not_belong_together_are_not_combined() -> None:
    """Of other transactions, or that disagree."""
    first, other = (psbt.decode_psbt(codec.encode_draft(make_cases()[case])) for case in ("data", "locked"))
    with pytest.raises(MalformedTransaction, match="different transactions"):
        psbt.combine(first, other)
    lie = replace(first, inputs=({**first.inputs[0], psbt.WITNESS_COIN: psbt.encode_witness_coin(1, b"")},))
    with pytest.raises(MalformedTransaction, match="disagree"):
        psbt.combine(first, lie)


def test_an_unfinished_psbt_is_not_extracted() -> None:
    """Nor one whose only signature is somebody else's."""
    found = psbt.decode_psbt(codec.encode_draft(make_cases()["data"]))
    with pytest.raises(MalformedTransaction, match="not final"):
        psbt.extract(found)
    with pytest.raises(WrongSignature):
        psbt.finalize(psbt.add_signatures(found, BOB_KEY, [b"\x30" * 71]))
    with pytest.raises(WrongSignature):
        psbt.add_signatures(found, BOB_KEY, [])


GOOD = codec.encode_draft(make_cases()["data"])
TRANSACTION = psbt.decode_psbt(GOOD).transaction.serialize(False)
MALFORMED = {
    "another beginning": b"psbt\xfe" + GOOD[5:],
    "nothing": b"",
    "only the beginning": GOOD[:5],
    "no transaction": GOOD[:5] + b"\x00" + GOOD[5 + 3 + len(TRANSACTION) :],
    "the transaction twice": GOOD[:5] + b"\x01\x00" + bytes((len(TRANSACTION),)) + TRANSACTION + GOOD[5:],
    "cut": GOOD[:-1],
    "one byte more": GOOD + b"\x00",
    "a value that is too long": GOOD[:6] + b"\x00\xfd\xff\xff" + GOOD[8:],
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_embit_does_not_read_we_do_not_read(case: str) -> None:
    """The vectors of BIP-174's kind of invalid ones; bytes that are left over are refused by us alone."""
    with pytest.raises(MalformedTransaction):
        psbt.decode_psbt(MALFORMED[case])
    if case != "one byte more":
        with pytest.raises(BaseException):  # noqa: B017, PT011  # embit has no error of its own for each.
            must_read_by_embit(MALFORMED[case])


def must_read_by_embit(body: bytes) -> Any:
    """To its end."""
    return embit_psbt.PSBT.parse(body)


def test_the_invalid_psbts_of_bip_174_are_refused() -> None:
    """Those of its list that are invalid by themselves, from the proposal."""
    for text in BIP_174_INVALID:
        with pytest.raises(MalformedTransaction):
            psbt.decode_psbt(base64.b64decode(text))


BIP_174_INVALID = (
    # A network transaction, not a PSBT.
    "AgAAAAEmgXE3Ht/yhek3re6ks3t4AAwFZsuzrWRkFxPKQhcb9gAAAABqRzBEAiBwsiRRI+a/R01gxbUMBD1MaRpdJDXwmjSn"
    "ZiqdwlF5CgIgATKcqdrPKAvfMHQOwDkEIkIsgctFg5RXrrdvwS7dlbMBIQJlfRGNM1e44PTCzUbbezn22cONmnCry5st5dyN"
    "v+TOMf7///8C09/1BQAAAAAZdqkU0MWZA8W6woaHYOkP1SGkZlqnZSCIrADh9QUAAAAAF6kUNUXm4zuDLEcFDyTT7rk8nAOU"
    "i8eHsy4TAA==",
    # A PSBT without outputs' maps.
    "cHNidP8BAHUCAAAAASaBcTce3/KF6Tet7qSze3gADAVmy7OtZGQXE8pCFxv2AAAAAAD+////AtPf9QUAAAAAGXapFNDFmQPF"
    "usKGh2DpD9UhpGZap2UgiKwA4fUFAAAAABepFDVF5uM7gyxHBQ8k0+65PJwDlIvHh7MuEwAAAQD9pQEBAAAAAAECiaPHHqtN"
    "IOA3G7ukzGmPopXJRjr6Ljl/hTPMti+VZ+UBAAAAFxYAFL4Y0VKpsBIDna89p95PUzSe7LmF/////4b4qkOnHf8USIk6Uwpy"
    "N+9rRgi7st0tAXHmOuxqSJC0AQAAABcWABT+Pp7xp0XpdNkCxDVZQ6vLNL1TU/////8CAMLrCwAAAAAZdqkUhc/xCX/Z4Ai7"
    "NK9wnGIZeziXikiIrHL++E4sAAAAF6kUM5cluiHv1irHU6m80GfWx6ajnQWHAkcwRAIgJxK+IuAnDzlPVoMR3HyppolwuAJf"
    "3TskAinwf4pfOiQCIAGLONfc0xTnNMkna9b7QPZzMlvEuqFEyADS8vAtsnZcASED0uFWdJQbrUqZY3LLh+GFbTZSYG2YVi/j"
    "nF6efkE/IQUCSDBFAiEA0SuFLYXc2WHS9fSrZgZU327tzHlMDDPOXMMJ/7X85Y0CIGczio4OFyXBl/saiK9Z9R5E5CVbIBZ8"
    "hoQDHAXR8lkqASECI7cr7vCWXRC+B3jv7NYfysb3mk6haTkzgHNEZPhPKrMAAAAAAA==",
)
