"""Our codecs against NEAR's own types: same bytes, same hashes, same JSON, same refusals.

For every type: values that we generate decode there and come back byte for
byte; bytes that are cut, changed or made up are taken by both or by neither,
with the same bytes after encoding again, and refused in the same words.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hither.codec import base58
from hither.codec.borsh import InvalidBorsh
from hither.crypto import keys
from hither.primitives import (
    account,
    action,
    block,
    chunk,
    ids,
    receipt,
    sharding,
    transaction,
    universal_state_init,
    views,
)
from tests.differential import strategies as make
from tests.differential.oracle import Refused, get_oracle

pytestmark = pytest.mark.slow

AUTHOR = "author.near"
"""Whom the oracle puts into the views of blocks and chunks."""


@dataclass(frozen=True, slots=True)
class Form:
    """One wire type: its name there, our functions, and values of it."""

    name: str
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    values: st.SearchStrategy[Any]
    view: Callable[[Any], Any] | None = None
    hash: Callable[[Any], bytes] | None = None
    has_other_versions: bool = False
    """There are older or newer versions that NEAR's crates read and that no chain of ours ever holds."""


def encode_any_account(record: account.Account | account.UninitialisedAccount) -> bytes:
    if isinstance(record, account.UninitialisedAccount):
        return account.encode_uninitialised_account(record)
    return account.encode_account(record)


def compute_body_hash(value: block.Block) -> bytes:
    return block.compute_body_hash(value.chunks, value.vrf_value, value.vrf_proof, value.chunk_endorsements)


def hash_chunk(value: chunk.Chunk) -> bytes:
    return chunk.compute_chunk_hash(value.header)


def view_hashed_header(header: block.BlockHeader) -> Any:
    hash_ = block.compute_block_hash(header)
    return views.view_block_header(msgspec.structs.replace(header, hash=hash_))


def view_hashed_chunk_header(header: chunk.ChunkHeader) -> Any:
    hash_ = chunk.compute_chunk_hash(header)
    return views.view_chunk_header(msgspec.structs.replace(header, hash=hash_))


def view_hashed_chunk(value: chunk.Chunk) -> Any:
    view = views.view_chunk(value, AUTHOR)
    return {**view, "header": view_hashed_chunk_header(value.header)}


def view_hashed_block(value: block.Block) -> Any:
    headers = [view_hashed_chunk_header(header) for header in value.chunks]
    return {"author": AUTHOR, "chunks": headers, "header": view_hashed_header(value.header)}


def encode_hashed_chunk(value: chunk.Chunk) -> bytes:
    header = value.header
    sealed = msgspec.structs.replace(header, hash=chunk.compute_chunk_hash(header))
    return chunk.encode_chunk(msgspec.structs.replace(value, header=sealed))


def get_hash(value: Any) -> bytes:
    hash_: bytes = value.hash
    return hash_


universal_states = st.builds(
    universal_state_init.UniversalState,
    st.one_of(st.none(), make.identifiers),
    make.state_pairs,
    st.lists(make.key_handles, max_size=3).map(lambda items: tuple(sorted(set(items)))),
)
any_accounts = st.one_of(make.accounts_v1, make.accounts_v2, make.uninitialised_accounts)

FORMS = [
    Form("AccountId", ids.encode_account_id, ids.decode_account_id, make.account_ids),
    Form("PublicKey", keys.encode_public_key, keys.decode_public_key, make.public_keys, str),
    Form("PublicKeyHandle", keys.encode_key_handle, keys.decode_key_handle, make.key_handles, str),
    Form("Signature", keys.encode_signature, keys.decode_signature, make.signatures, str),
    Form("Account", encode_any_account, account.decode_account_record, any_accounts, views.view_account),
    Form("AccountContract", account.encode_contract, account.decode_contract, make.contracts),
    Form(
        "AccessKey",
        account.encode_access_key,
        account.decode_access_key,
        make.access_keys,
        views.view_access_key,
    ),
    Form(
        "GlobalContractIdentifier",
        account.encode_global_contract_identifier,
        account.decode_global_contract_identifier,
        make.identifiers,
        views.view_global_contract_identifier,
    ),
    Form(
        "UniversalStateInit",
        universal_state_init.encode_universal_state,
        universal_state_init.UNIVERSAL_STATE.decode,
        universal_states,
    ),
    Form("Action", action.encode_action, action.decode_action, make.any_actions, views.view_action),
    Form("Actions", action.encode_actions, action.decode_actions, make.action_lists),
    Form("Transaction", transaction.encode_transaction, transaction.decode_transaction, make.transactions),
    Form(
        "SignedTransaction",
        transaction.encode_signed_transaction,
        transaction.decode_signed_transaction,
        make.signed_transactions,
        views.view_transaction,
        get_hash,
    ),
    Form("Receipt", receipt.encode_receipt, receipt.decode_receipt, make.any_receipts, views.view_receipt),
    Form(
        "StateStoredReceipt",
        receipt.encode_queued_receipt,
        receipt.decode_queued_receipt,
        make.queued_receipts,
        has_other_versions=True,
    ),
    Form(
        "ReceivedData",
        receipt.encode_received_data,
        receipt.decode_received_data,
        st.one_of(st.none(), make.data),
    ),
    Form(
        "CongestionInfo",
        sharding.encode_congestion_info,
        sharding.decode_congestion_info,
        make.congestion_infos,
    ),
    Form(
        "BandwidthRequests",
        sharding.encode_bandwidth_requests,
        sharding.decode_bandwidth_requests,
        make.bandwidth_requests,
        views.view_bandwidth_requests,
    ),
    Form(
        "ValidatorStake",
        sharding.encode_validator_stake,
        sharding.decode_validator_stake,
        make.validator_stakes,
    ),
    Form(
        "ShardChunkHeader",
        chunk.encode_chunk_header,
        chunk.decode_chunk_header,
        make.any_chunk_headers,
        view_hashed_chunk_header,
        chunk.compute_chunk_hash,
        has_other_versions=True,
    ),
    Form(
        "ShardChunk",
        encode_hashed_chunk,
        chunk.decode_chunk,
        make.chunks,
        view_hashed_chunk,
        hash_chunk,
        has_other_versions=True,
    ),
    Form(
        "BlockHeader",
        block.encode_block_header,
        block.decode_block_header,
        make.any_block_headers,
        view_hashed_header,
        block.compute_block_hash,
        has_other_versions=True,
    ),
    Form(
        "Block",
        block.encode_block,
        block.decode_block,
        make.blocks,
        view_hashed_block,
        compute_body_hash,
        has_other_versions=True,
    ),
]
"""Every wire type, by its name in NEAR's crates."""

each_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


@each_form
@settings(max_examples=25)
@given(data=st.data())
def test_our_bytes_are_theirs(form: Form, data: st.DataObject) -> None:
    """A generated value: our bytes decode there, come back unchanged, hash alike and show alike."""
    value = data.draw(form.values)
    encoded = form.encode(value)
    theirs = get_oracle().decode(form.name, encoded)
    assert theirs.bytes == encoded
    assert form.encode(form.decode(encoded)) == encoded
    if form.hash is not None:
        assert theirs.hash == base58.encode(form.hash(value))
    if form.view is not None:
        assert json.loads(msgspec.json.encode(form.view(value))) == theirs.view


def change(encoded: bytes, data: st.DataObject) -> bytes:
    """The bytes with one fault: cut, lengthened, a byte replaced, removed or put in, or two parts swapped."""
    at = data.draw(st.integers(0, max(0, len(encoded) - 1)))
    byte = bytes([data.draw(st.one_of(st.integers(0, 16), st.integers(0, 255)))])
    match data.draw(st.sampled_from(["cut", "append", "replace", "remove", "insert", "swap"])):
        case "cut":
            return encoded[:at]
        case "append":
            return encoded + byte
        case "replace":
            return encoded[:at] + byte + encoded[at + 1 :]
        case "remove":
            return encoded[:at] + encoded[at + 1 :]
        case "insert":
            return encoded[:at] + byte + encoded[at:]
    return encoded[at:] + encoded[:at]


def compare_decoding(form: Form, encoded: bytes) -> bool:
    """Both take the bytes and write the same again, or both refuse them in the same words."""
    theirs = get_oracle().try_decode(form.name, encoded)
    if isinstance(theirs, Refused):
        with pytest.raises(InvalidBorsh) as caught:
            form.decode(encoded)
        assert form.has_other_versions or str(caught.value) == str(theirs)
        return False
    if form.has_other_versions:
        try:
            ours = form.decode(encoded)
        except InvalidBorsh:
            return False
    else:
        ours = form.decode(encoded)
    assert form.encode(ours) == theirs.bytes
    if form.hash is not None:
        assert theirs.hash == base58.encode(form.hash(ours))
    return True


@each_form
@settings(max_examples=50)
@given(data=st.data())
def test_faulty_bytes_are_judged_alike(form: Form, data: st.DataObject) -> None:
    """One or two faults in good bytes."""
    encoded = change(form.encode(data.draw(form.values)), data)
    if data.draw(st.booleans()):
        encoded = change(encoded, data)
    compare_decoding(form, encoded)


@each_form
@settings(max_examples=20)
@given(encoded=st.binary(max_size=120))
def test_made_up_bytes_are_judged_alike(form: Form, encoded: bytes) -> None:
    """Bytes from nowhere."""
    compare_decoding(form, encoded)


@settings(max_examples=25)
@given(make.delegates)
def test_delegates_are_signed_over_the_same_hash(delegate: action.Delegate) -> None:
    """The tag of version 8 is not part of the oracle's type."""
    theirs = get_oracle().decode("SignedDelegateAction", action.encode_action(delegate)[1:])
    assert theirs.hash == base58.encode(action.compute_delegate_hash(delegate))


@settings(max_examples=25)
@given(make.delegates_v2)
def test_delegates_of_version_two_are_signed_over_the_same_hash(delegate: action.DelegateV2) -> None:
    """Another domain, and the version byte inside it."""
    theirs = get_oracle().decode("VersionedSignedDelegateAction", action.encode_action(delegate)[1:])
    assert theirs.hash == base58.encode(action.compute_delegate_hash(delegate))


def test_a_map_in_another_order_changes_the_hash_as_it_does_there() -> None:
    """NEAR sorts the map while decoding, so the hash is not that of the bytes that came."""
    form = next(form for form in FORMS if form.name == "SignedTransaction")
    init = action.DeterministicStateInit(
        account.GlobalContractByHash(bytes(32)), ((b"a", b"1"), (b"b", b"2")), 0
    )
    unsigned = transaction.Transaction(
        "alice.near", keys.PublicKey(0, bytes(32)), 1, "bob.near", bytes(32), (init,)
    )
    signed = transaction.sign_transaction_form(unsigned, keys.Signature(0, bytes(64)))
    encoded = form.encode(signed)
    pair = b"\1\0\0\0a\1\0\0\0001", b"\1\0\0\0b\1\0\0\0002"
    assert pair[0] + pair[1] in encoded
    swapped = encoded.replace(pair[0] + pair[1], pair[1] + pair[0])
    assert compare_decoding(form, swapped)
    assert form.decode(swapped).hash == signed.hash
