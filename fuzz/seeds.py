"""Bytes to begin with: generated values of each type, encoded; the same every time."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import EVM_ROW
from hither.foreign import evm_abi, evm_transactions
from hither.primitives import state_record as records
from hither.primitives.receipt import encode_queued_receipt, encode_receipt
from hither.primitives.transaction import encode_signed_transaction
from hither.primitives.universal_state_init import UniversalState, encode_universal_state
from tests.differential import strategies as wire

SEEDS_PER_STRATEGY: Final = 60
SEED_SIZE_MAX: Final = 4096

_requests = st.builds(
    lambda method, params, id_: {"jsonrpc": "2.0", "method": method, "params": params, "id": id_},
    st.sampled_from(("query", "tx", "block", "send_tx", "x")),
    st.one_of(st.lists(wire.names, max_size=2), st.dictionaries(wire.names, wire.u64, max_size=2), st.none()),
    st.one_of(wire.names, wire.u64, st.none()),
)
_states = st.builds(
    UniversalState,
    st.one_of(st.none(), wire.identifiers),
    wire.state_pairs,
    st.lists(wire.key_handles, max_size=2, unique=True).map(
        lambda handles: tuple(sorted(handles, key=lambda handle: (handle.kind, handle.data)))
    ),
)
_records = st.one_of(
    st.builds(records.AccountRecord, wire.account_ids, wire.accounts_v2),
    st.builds(records.DataRecord, wire.account_ids, wire.data, wire.data),
    st.builds(records.ContractRecord, wire.account_ids, wire.data),
    st.builds(records.AccessKeyRecord, wire.account_ids, wire.key_handles, wire.access_keys),
    st.builds(records.GasKeyNonceRecord, wire.account_ids, wire.key_handles, wire.u16, wire.u64),
)


_evm_numbers = st.integers(0, 2**64 - 1)
_evm_common = (_evm_numbers, st.binary(min_size=20, max_size=20), st.integers(0, 2**256 - 1), wire.data)
_evm_accesses = st.lists(
    st.tuples(
        st.binary(min_size=20, max_size=20),
        st.lists(st.binary(min_size=32, max_size=32), max_size=2).map(tuple),
    ),
    max_size=2,
).map(tuple)
_evm_authorizations = st.lists(
    st.builds(
        evm_transactions.SignedAuthorization,
        st.builds(
            evm_transactions.Authorization, _evm_numbers, st.binary(min_size=20, max_size=20), _evm_numbers
        ),
        st.integers(0, 1),
        _evm_numbers,
        _evm_numbers,
    ),
    min_size=1,
    max_size=2,
).map(tuple)
_evm_transactions = st.one_of(
    st.builds(evm_transactions.LegacyTransaction, *[_evm_numbers] * 3, *_evm_common),
    st.builds(evm_transactions.AccessListTransaction, *[_evm_numbers] * 3, *_evm_common, _evm_accesses),
    st.builds(evm_transactions.FeeMarketTransaction, *[_evm_numbers] * 4, *_evm_common, _evm_accesses),
    st.builds(
        evm_transactions.SetCodeTransaction,
        *[_evm_numbers] * 4,
        *_evm_common,
        _evm_accesses,
        _evm_authorizations,
    ),
)
_evm_rows = st.tuples(
    _evm_numbers,
    st.lists(st.tuples(wire.data, st.text(max_size=40), st.booleans()), max_size=3),
    st.lists(st.lists(st.integers(-128, 127), min_size=2, max_size=2), max_size=3),
    st.binary(min_size=20, max_size=20).map(lambda address: "0x" + address.hex()),
    st.binary(min_size=4, max_size=4),
)


def _sign_evm(transaction: evm_transactions.EvmTransaction) -> bytes:
    return evm_transactions.encode_signed(transaction, 1, 2**255, 2**200)


def _record_to_json(record: Any) -> bytes:
    return msgspec.json.encode(records.state_record_to_json(record))


_SOURCES: Final[dict[str, tuple[tuple[st.SearchStrategy[Any], Callable[[Any], bytes]], ...]]] = {
    "transaction": ((wire.signed_transactions, encode_signed_transaction),),
    "receipt": ((wire.any_receipts, encode_receipt), (wire.queued_receipts, encode_queued_receipt)),
    "planted": ((wire.any_receipts, encode_receipt),),
    "state-init": ((_states, encode_universal_state),),
    "request": ((_requests, msgspec.json.encode),),
    "evm-transaction": (
        (_evm_transactions, evm_transactions.encode_unsigned),
        (_evm_transactions, _sign_evm),
    ),
    "evm-result": ((_evm_rows, lambda row: evm_abi.encode(EVM_ROW, row)),),
    "state-record": ((_records, _record_to_json),),
}


def make_seeds(target: str) -> list[bytes]:
    """Encoded values of the type that the target decodes. Large ones are left out: they slow the search down."""
    seeds: dict[bytes, None] = {}
    for strategy, encode in _SOURCES[target]:
        for value in _generate(strategy):
            data = encode(value)
            if len(data) <= SEED_SIZE_MAX:
                seeds[data] = None
    return list(seeds)


def _generate(strategy: st.SearchStrategy[Any]) -> list[Any]:
    values: list[Any] = []

    @settings(
        max_examples=SEEDS_PER_STRATEGY,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        values.append(value)

    collect()
    return values
