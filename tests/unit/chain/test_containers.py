"""Rows of the store come back as they were."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hither.chain.containers import (
    Making,
    Place,
    count_items,
    decode_making,
    decode_outcome,
    decode_place,
    encode_making,
    encode_outcome,
    encode_place,
    get_item,
    pack_items,
    unpack_items,
)
from hither.primitives.account import GlobalContractByAccount, GlobalContractByHash, LocalContract
from hither.primitives.outcome import (
    Failure,
    Outcome,
    ProfileEntry,
    SuccessReceiptId,
    SuccessValue,
    Unknown,
)

U32 = st.integers(0, 2**32 - 2)
U64 = st.integers(0, 2**64 - 1)
HASH = st.binary(min_size=32, max_size=32)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | U64 | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
CONTRACT = (
    st.none()
    | st.builds(LocalContract, HASH)
    | st.builds(GlobalContractByHash, HASH)
    | st.builds(GlobalContractByAccount, st.just("a.near"))
)
STATUS = (
    st.just(Unknown())
    | st.builds(Failure, JSON)
    | st.builds(SuccessValue, st.binary())
    | st.builds(SuccessReceiptId, HASH)
)
OUTCOME = st.builds(
    Outcome,
    id=HASH,
    logs=st.lists(st.text(), max_size=3).map(tuple),
    receipt_ids=st.lists(HASH, max_size=3).map(tuple),
    gas_burnt=U64,
    tokens_burnt=st.integers(0, 2**128 - 1),
    executor_id=st.just("alice.near"),
    status=STATUS,
    compute_usage=U64,
    gas_profile=st.none()
    | st.lists(st.builds(ProfileEntry, st.text(), st.text(), U64), max_size=2).map(tuple),
    contracts=st.none() | st.lists(CONTRACT, max_size=3).map(tuple),
    metadata_version=st.integers(1, 4),
)


@given(st.lists(st.binary()))
def test_items_are_read_together_and_one_by_one(items: list[bytes]) -> None:
    row = pack_items(items)
    assert unpack_items(row) == items
    assert [get_item(row, at) for at in range(count_items(row))] == items


@given(OUTCOME)
def test_outcomes_come_back(outcome: Outcome) -> None:
    """Every status, profile and contract; failures with any JSON."""
    assert decode_outcome(encode_outcome(outcome)) == outcome


@given(st.builds(Place, U64, st.integers(0, 65535), U32, st.none() | U32))
def test_places_come_back(place: Place) -> None:
    assert decode_place(encode_place(place)) == place


@given(
    st.builds(Making, U64, st.integers(0, 65535), HASH),
    st.none() | st.tuples(U64, U32, st.booleans()),
)
def test_makings_come_back(making: Making, kept: tuple[int, int, bool] | None) -> None:
    """Those that are kept somewhere, and those that still wait in a queue."""
    if kept is not None:
        making = Making(making.height, making.shard_index, making.origin, *kept)
    assert decode_making(encode_making(making)) == making
