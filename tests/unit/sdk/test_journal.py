"""The journal of transfers, without a chain."""

from pathlib import Path

import pytest

from hither.foreign.caip import ChainId
from hither.sdk.journal import DifferentIntent, Journal, TransferBusy, UnknownTransfer

CHAIN = ChainId("eip155", "1")
DEED = {"kind": "send", "receiver": "0xb0b", "amount": 5}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path, "alice.near")


def test_record_is_what_was_written(journal: Journal, tmp_path: Path) -> None:
    """Another process reads the same."""
    entry = journal.begin(CHAIN, "ethereum-1", DEED, None)
    entry.write("built", body="aa", public_key="02")
    entry.write("asked", index=0, transaction_hash="first", transaction="bb")
    entry.write("signed", index=0, transaction_hash="first", signature={"scheme": "s"})
    entry.close()
    again = Journal(tmp_path, "alice.near").open(entry.record.id)
    assert again.record == entry.record
    assert (again.record.step, again.record.body, again.record.asked) == (
        "signed",
        b"\xaa",
        {0: ("first", b"\xbb")},
    )


def test_line_that_was_cut_is_not_read(journal: Journal, tmp_path: Path) -> None:
    """Wherever the machine stopped: the step before it stands, and the next line follows it."""
    entry = journal.begin(CHAIN, "ethereum-1", DEED, None)
    entry.write("built", body="aa", public_key="02")
    entry.close()
    (path,) = tmp_path.glob("alice.near/*.jsonl")
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for size in range(first, len(whole)):
        path.write_bytes(whole[:size])
        again = journal.open(entry.record.id)
        assert again.record.step == "intended"
        again.write("built", body="cc", public_key="03")
        again.close()
        assert journal.list(is_open=True)[0].body == b"\xcc"


def test_one_worker_at_a_time(journal: Journal) -> None:
    """The second is told; when the first lets go, it may."""
    entry = journal.begin(CHAIN, "ethereum-1", DEED, None)
    with pytest.raises(TransferBusy):
        journal.open(entry.record.id)
    entry.close()
    journal.open(entry.record.id).close()


def test_one_builder_a_chain(journal: Journal) -> None:
    """Another chain has a lock of its own."""
    lock = journal.lock_chain(CHAIN)
    assert lock is not None
    assert journal.lock_chain(CHAIN) is None
    other = journal.lock_chain(ChainId("eip155", "10"))
    assert other is not None
    lock.close()
    again = journal.lock_chain(CHAIN)
    assert again is not None
    again.close()
    other.close()


def test_reference_finds_its_transfer_also_after_its_end(journal: Journal) -> None:
    """For the same deed alone."""
    entry = journal.begin(CHAIN, "ethereum-1", DEED, "invoice")
    entry.write("final", outcome={"fee": 1})
    entry.close()
    assert journal.list(is_open=True) == []
    assert [record.id for record in journal.list(is_open=False)] == [entry.record.id]
    again = journal.begin(CHAIN, "ethereum-1", DEED, "invoice")
    assert (again.record.step, again.record.outcome) == ("final", {"fee": 1})
    again.close()
    with pytest.raises(DifferentIntent, match="'invoice' stands for another transfer"):
        journal.begin(CHAIN, "ethereum-1", {**DEED, "amount": 6}, "invoice")
    journal.open(entry.record.id).close()


def test_building_anew_forgets_what_was_signed(journal: Journal) -> None:
    """Signatures of bytes that can never be included do not go into others."""
    entry = journal.begin(CHAIN, "ethereum-1", DEED, None)
    entry.write("built", body="aa", public_key="02")
    entry.write("signed", index=0, transaction_hash="first", signature={})
    entry.write("ready", transaction_id="id", raw="dd")
    entry.write("intended")
    assert (entry.record.body, entry.record.raw, entry.record.signatures) == (None, None, {})
    entry.close()


def test_higher_fee_keeps_what_was_signed_before(journal: Journal) -> None:
    """Either may come; the end says which did. What was built and not signed yet is no attempt."""
    entry = journal.begin(CHAIN, "ethereum-1", DEED, None)
    entry.write("built", body="aa", public_key="02")
    entry.write("signed", index=0, transaction_hash="first", signature={})
    entry.write("ready", transaction_id="one", raw="dd")
    entry.write("broadcast")
    entry.write("bumped", body="bb", public_key="02")
    assert (entry.record.is_broadcast, entry.record.body, entry.record.raw) == (False, b"\xbb", None)
    assert [attempt.transaction_id for attempt in entry.record.attempts] == ["one"]
    entry.write("signed", index=0, transaction_hash="second", signature={})
    entry.write("ready", transaction_id="two", raw="ee")
    assert [attempt.transaction_id for attempt in entry.record.attempts] == ["one", "two"]
    entry.write("final", outcome={}, transaction_id="one")
    assert (entry.record.transaction_id, entry.record.sign_transactions) == ("one", {0: "first"})
    entry.close()
    again = journal.open(entry.record.id)
    assert again.record == entry.record
    again.close()


def test_unknown_transfer_is_told(journal: Journal) -> None:
    """By its id."""
    with pytest.raises(UnknownTransfer, match=r"alice\.near has no transfer 'abc'"):
        journal.open("abc")
