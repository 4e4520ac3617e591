"""The table of errors against NEAR's own enums: every variant, both ways."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hither.crypto.keys import public_key_to_str
from hither.primitives import errors
from hither.primitives.views import view_global_contract_identifier
from tests.differential import strategies as make
from tests.differential.oracle import Refused, get_oracle

pytestmark = pytest.mark.slow

KINDS: dict[str, st.SearchStrategy[Any]] = {
    errors.BALANCE: make.u128.map(str),
    errors.TEXT: make.account_ids,
    errors.KEY: make.public_keys.map(public_key_to_str),
    errors.LEVEL: st.integers(0, 1000).map(lambda thousandths: thousandths / 1000),
    errors.IDENTIFIER: make.identifiers.map(view_global_contract_identifier),
}
NARROW = {"tx_nonce_index", "num_nonces", "requested_nonces", "nonce_index", "shard_id", "version"}


def generate(kind: str, field: str = "") -> st.SearchStrategy[Any]:
    """JSON values of a kind of field, an enum or a struct."""
    if kind.endswith("?"):
        return st.one_of(st.none(), generate(kind[:-1], field))
    if kind == errors.NUMBER:
        is_narrow = field in NARROW or field == "limit?"
        return make.u16 if is_narrow else make.u64
    if kind in errors.STRUCTS:
        return st.fixed_dictionaries(
            {name: generate(inner, name) for name, inner in errors.STRUCTS[kind].items()}
        )
    if kind in errors.ERRORS:
        return st.sampled_from(sorted(errors.ERRORS[kind])).flatmap(lambda name: generate_variant(kind, name))
    if field == "hash":
        return st.just("11111111111111111111111111111111")
    return KINDS[kind]


def generate_variant(enum: str, variant: str) -> st.SearchStrategy[Any]:
    shape = errors.ERRORS[enum][variant]
    if shape is None:
        return st.just(variant)
    if isinstance(shape, str):
        return generate(shape).map(lambda data: {variant: data})
    fields = {
        # The limit of nonces is as narrow as their number.
        name: make.u16 if variant == "GasKeyInvalidNumNonces" else generate(kind, name)
        for name, kind in shape.items()
    }
    return st.fixed_dictionaries(fields).map(lambda data: {variant: data})


ALL = [(enum, variant) for enum, variants in errors.ERRORS.items() for variant in variants]
NOT_BY_ITSELF = ("DepositCostFailureReason", "MissingTrieValueContext")
"""Enums that the oracle only knows inside others."""


@pytest.mark.parametrize(("enum", "variant"), [pair for pair in ALL if pair[0] not in NOT_BY_ITSELF])
@settings(max_examples=5)
@given(data=st.data())
def test_every_variant_is_printed_alike(enum: str, variant: str, data: st.DataObject) -> None:
    """NEAR parses it and prints the same; and it fits the table."""
    error = data.draw(generate_variant(enum, variant))
    assert errors.explain_misfit(enum, error) is None
    assert get_oracle().reprint(enum, error) == error


@pytest.mark.parametrize("enum", sorted(set(errors.ERRORS) - set(NOT_BY_ITSELF)))
def test_the_table_lacks_no_variant(enum: str) -> None:
    """NEAR lists its variants when it refuses an unknown one."""
    with pytest.raises(Refused) as caught:
        get_oracle().reprint(enum, "NoSuchVariant")
    theirs = str(caught.value).split("`")[3::2]
    assert [name for name in theirs if name != "_EVMError"] == list(errors.ERRORS[enum])
