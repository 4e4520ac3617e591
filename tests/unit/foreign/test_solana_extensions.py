"""Token-2022's extensions as JSON; Surfpool says the same of real ones (tests/e2e/foreign)."""

from hypothesis import given
from hypothesis import strategies as st

from hither.foreign.engines.solana_extensions import view_extensions

START = bytes(165) + b"\2"


def entry(kind: int, value: bytes) -> bytes:
    """Type, length, value."""
    return kind.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value


def test_entries_are_told_in_their_order() -> None:
    """Up to the first that is none; one that nobody knows and one that is too short have no state."""
    data = START + entry(7, b"") + entry(8, b"\1") + entry(99, b"abc") + entry(2, b"\1") + entry(0, b"")
    assert view_extensions(data + entry(7, b"")) == [
        {"extension": "immutableOwner"},
        {"extension": "memoTransfer", "state": {"requireIncomingTransferMemos": True}},
        {"extension": "unparseableExtension"},
        {"extension": "unparseableExtension"},
    ]
    assert view_extensions(START) == view_extensions(bytes(165)) == view_extensions(bytes(82)) == []


@given(st.lists(st.tuples(st.integers(0, 30), st.binary(max_size=120))), st.binary(max_size=40))
def test_any_data_are_told(entries: list[tuple[int, bytes]], tail: bytes) -> None:
    """Whatever programs of others wrote."""
    view_extensions(START + b"".join(entry(*one) for one in entries) + tail)
