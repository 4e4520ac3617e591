"""What is computed from other values, against NEAR's own code: ids, trees, parts, trie keys, text forms."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hither.codec import base58
from hither.crypto import hashing, keys
from hither.crypto.keys import InvalidKey
from hither.primitives import chunk, ids, merkle, outcome, views
from hither.primitives.action import encode_deterministic_state_init
from hither.primitives.ids import AccountKind
from hither.primitives.receipt import encode_receipts
from hither.state import keys as trie_keys
from tests.differential import strategies as make
from tests.differential.oracle import Refused, get_oracle, to_base64

pytestmark = pytest.mark.slow

few = settings(max_examples=40)
texts = make.hashes.map(base58.encode)


@few
@given(make.hashes, make.u64, st.integers(0, 2**63))
def test_derived_ids(parent: bytes, height: int, index: int) -> None:
    """Receipts, actions, random seeds."""
    theirs = get_oracle().derive("receipt_id", parent=base58.encode(parent), height=height, index=index)
    assert theirs["transaction"] == base58.encode(ids.compute_receipt_id(parent, height, 0))
    assert theirs["receipt"] == base58.encode(ids.compute_receipt_id(parent, height, index))
    assert theirs["action"] == base58.encode(ids.compute_action_hash(parent, height, index))
    assert theirs["seed"] == to_base64(ids.compute_random_seed(parent, hashing.sha256(b"\1")))


KINDS = {
    AccountKind.NAMED: "NamedAccount",
    AccountKind.NEAR_IMPLICIT: "NearImplicitAccount",
    AccountKind.ETH_IMPLICIT: "EthImplicitAccount",
    AccountKind.DETERMINISTIC: "NearDeterministicAccount",
    AccountKind.UNIVERSAL: "UniversalAccount",
}
near_misses = st.one_of(
    make.account_ids,
    st.from_regex(r"0[xsu][0-9a-z]{38,54}", fullmatch=True),
    st.from_regex(r"[0-9a-g]{63,64}", fullmatch=True),
)


@settings(max_examples=150)
@given(near_misses, make.account_ids, st.booleans())
def test_kinds_and_families_of_account_ids(account_id: str, parent_id: str, is_child: bool) -> None:
    """Ids that are almost implicit are names."""
    if is_child and len(parent_id) < 60:
        account_id = f"a.{parent_id}"
    theirs = get_oracle().derive("account", account_id=account_id, parent_id=parent_id)
    assert theirs["kind"] == KINDS[ids.compute_account_kind(account_id)]
    assert theirs["is_top_level"] == ids.is_top_level(account_id)
    assert theirs["is_sub_account"] == ids.is_sub_account_of(account_id, parent_id)


@few
@given(st.binary(max_size=80), make.exactly(64), make.identifiers, make.state_pairs)
def test_account_ids_that_are_hashes(raw: bytes, key: bytes, code: Any, pairs: Any) -> None:
    """Universal, Ethereum and deterministic ids."""
    assert get_oracle().derive("account_ids", bytes=to_base64(raw))["universal"] == (
        ids.compute_universal_account_id(raw)
    )
    eth = get_oracle().derive("account_ids", bytes=to_base64(key))["eth_implicit"]
    assert eth == ids.compute_eth_implicit_account_id(key)
    init = encode_deterministic_state_init(make.actions.DeterministicStateInit(code, pairs, 0))
    theirs = get_oracle().derive("account_ids", bytes=to_base64(init))["deterministic"]
    assert theirs == ids.compute_deterministic_account_id(init)


@few
@given(st.lists(make.hashes, max_size=20))
def test_merkle_trees(hashes: list[bytes]) -> None:
    """Roots and paths of lists, and the growing tree of block hashes."""
    given_texts = [base58.encode(item) for item in hashes]
    theirs = get_oracle().derive("merkle", hashes=given_texts)
    root, paths = merkle.merklize(merkle.hash_items(hashes))
    assert theirs == {"root": base58.encode(root), "paths": [views.view_merkle_path(path) for path in paths]}
    tree = merkle.PartialMerkleTree()
    for item in hashes:
        tree = tree.insert(item)
    assert get_oracle().derive("partial_merkle", hashes=given_texts) == {
        "root": base58.encode(tree.compute_root()),
        "path": [base58.encode(item) for item in tree.path],
        "size": tree.size,
    }


@few
@given(st.binary(min_size=1, max_size=3000), st.integers(2, 60))
def test_parts_of_a_chunk(encoded: bytes, total_parts: int) -> None:
    """The root over Reed-Solomon parts, parity included."""
    data_parts = chunk.compute_data_parts(total_parts)
    theirs = get_oracle().derive(
        "parts_root", bytes=to_base64(encoded), data_parts=data_parts, total_parts=total_parts
    )
    assert theirs == base58.encode(hashing.compute_parts_root(encoded, data_parts, total_parts))


@few
@given(st.lists(make.any_receipts, max_size=2).map(tuple), make.u64)
def test_lists_of_outgoing_receipts(receipts: Any, shard_id: int) -> None:
    """The leaf that a shard's receipts are in the root of outgoing receipts."""
    leaf = get_oracle().derive("receipt_list", bytes=to_base64(encode_receipts(receipts)), shard=shard_id)
    root = chunk.compute_outgoing_receipts_root([receipts], [shard_id])
    assert root == hashing.sha256(base58.decode(leaf))


statuses = st.one_of(
    st.just(outcome.Unknown()),
    st.just(outcome.Failure({"InvalidTxError": "Expired"})),
    st.builds(outcome.SuccessValue, make.data),
    st.builds(outcome.SuccessReceiptId, make.hashes),
)
outcomes = st.builds(
    outcome.Outcome,
    make.hashes,
    st.lists(make.names, max_size=3).map(tuple),
    st.lists(make.hashes, max_size=3).map(tuple),
    make.u64,
    make.u128,
    make.account_ids,
    statuses,
)


@few
@given(outcomes)
def test_outcomes_hash_alike(value: outcome.Outcome) -> None:
    """The leaf list and the root over one outcome; the payload of a failure does not matter."""
    view = {
        "block_hash": base58.encode(bytes(32)),
        "id": base58.encode(value.id),
        "outcome": views.view_outcome(value),
        "proof": [],
    }
    theirs = get_oracle().derive("outcome_hashes", json=view)
    assert theirs["hashes"] == [base58.encode(item) for item in outcome.compute_outcome_hashes(value)]
    assert theirs["root"] == base58.encode(outcome.compute_outcome_root([value]))


def by_account(key: Callable[..., bytes], *names: str) -> Any:
    return key, ("account_id", *names)


COLUMNS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "Account": by_account(trie_keys.account),
    "ContractCode": by_account(trie_keys.contract_code),
    "AccessKey": by_account(trie_keys.access_key, "key"),
    "GasKeyNonce": by_account(trie_keys.gas_key_nonce, "key", "index"),
    "ReceivedData": by_account(trie_keys.received_data, "id"),
    "PostponedReceiptId": by_account(trie_keys.postponed_receipt_id, "id"),
    "PendingDataCount": by_account(trie_keys.pending_data_count, "id"),
    "PostponedReceipt": by_account(trie_keys.postponed_receipt, "id"),
    "DelayedReceiptIndices": (lambda: trie_keys.DELAYED_RECEIPT_INDICES, ()),
    "DelayedReceipt": (trie_keys.delayed_receipt, ("index",)),
    "ContractData": by_account(trie_keys.contract_data, "data_key"),
    "PromiseYieldIndices": (lambda: trie_keys.PROMISE_YIELD_INDICES, ()),
    "PromiseYieldTimeout": (trie_keys.promise_yield_timeout, ("index",)),
    "PromiseYieldReceipt": by_account(trie_keys.promise_yield_receipt, "id"),
    "BufferedReceiptIndices": (lambda: trie_keys.BUFFERED_RECEIPT_INDICES, ()),
    "BufferedReceipt": (trie_keys.buffered_receipt, ("shard", "index")),
    "BandwidthSchedulerState": (lambda: trie_keys.BANDWIDTH_SCHEDULER_STATE, ()),
    "BufferedReceiptGroupsQueueData": (trie_keys.buffered_receipt_groups_data, ("shard",)),
    "BufferedReceiptGroupsQueueItem": (trie_keys.buffered_receipt_group, ("shard", "index")),
    "GlobalContractCode": (trie_keys.global_contract_code, ("identifier",)),
    "GlobalContractNonce": (trie_keys.global_contract_nonce, ("identifier",)),
    "PromiseYieldStatus": by_account(trie_keys.promise_yield_status, "id"),
    "YieldIdToDataId": by_account(trie_keys.yield_id_to_data_id, "id"),
    "DataIdToYieldId": by_account(trie_keys.data_id_to_yield_id, "id"),
}
PARTS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], Any]]] = {
    "account_id": (make.account_ids, str),
    "key": (make.key_handles, str),
    "id": (make.hashes, base58.encode),
    "index": (make.u16, int),
    "shard": (make.u16, int),
    "data_key": (make.data, to_base64),
    "identifier": (make.identifiers, views.view_global_contract_identifier),
}


@pytest.mark.parametrize("column", COLUMNS)
@settings(max_examples=15)
@given(data=st.data())
def test_trie_keys(column: str, data: st.DataObject) -> None:
    """Every column of the state."""
    make_key, names = COLUMNS[column]
    values = {name: data.draw(PARTS[name][0]) for name in names}
    shown = {name: PARTS[name][1](value) for name, value in values.items()}
    assert get_oracle().derive("trie_key", column=column, **shown) == to_base64(make_key(*values.values()))


READERS: dict[str, tuple[Callable[[str], Any], st.SearchStrategy[Any]]] = {
    "PublicKey": (keys.public_key_from_str, make.public_keys.filter(lambda key: key.kind < 2)),
    "PublicKeyHandle": (keys.key_handle_from_str, make.key_handles),
    "Signature": (keys.signature_from_str, make.signatures.filter(lambda signature: signature.kind < 2)),
}


def compare_text(name: str, text: str) -> None:
    """Both read the text as the same value, or refuse it in the same words."""
    try:
        ours: str | InvalidKey = str(READERS[name][0](text))
    except InvalidKey as error:
        ours = error
    try:
        theirs: str | Refused = get_oracle().parse_text(name, text)
    except Refused as error:
        theirs = error
    assert str(ours) == str(theirs)
    assert isinstance(ours, str) == isinstance(theirs, str)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=80)
@given(data=st.data())
def test_text_forms(name: str, data: st.DataObject) -> None:
    """Good text, text with a fault, and text from nowhere."""
    good = str(data.draw(READERS[name][1]))
    compare_text(name, good)
    at = data.draw(st.integers(0, len(good)))
    insert = data.draw(st.sampled_from(["", "0", ":", "1", "z", "é", "I", "ed25519:", " "]))
    end = at + data.draw(st.integers(0, 3))
    compare_text(name, good[:at] + insert + good[end:])
    compare_text(name, data.draw(st.text(known_characters, max_size=10)))


known_characters = st.characters(exclude_categories=("Cs", "Cn", "Co", "Mc"))
"""Characters of which every Unicode version says alike whether they print."""


@settings(max_examples=100)
@given(st.text(known_characters, max_size=12) | st.from_regex(r"[a-z0-9_.-]{1,70}", fullmatch=True))
def test_refused_account_ids(text: str) -> None:
    """The same reason, also for text of other alphabets."""
    reason = None if ids.is_valid_account_id(text) else ids.explain_account_id(text)
    theirs = None
    try:
        get_oracle().parse_text("AccountId", text)
    except Refused as refused:
        theirs = str(refused)
    assert reason == theirs
