"""Generated values of every wire type (Hypothesis)."""

import msgspec
from hypothesis import strategies as st

from hither.crypto.keys import KeyHandle, PublicKey, Signature
from hither.primitives import account as accounts
from hither.primitives import action as actions
from hither.primitives import receipt as receipts
from hither.primitives.block import Block, BlockHeader
from hither.primitives.chunk import Chunk, ChunkHeader, TrieSplit
from hither.primitives.sharding import BandwidthRequest, CongestionInfo, ValidatorStake
from hither.primitives.transaction import (
    NonceMode,
    SignedTransaction,
    Transaction,
    sign_transaction_form,
)


def numbers(bits: int) -> st.SearchStrategy[int]:
    """Edges are likely."""
    top = 2**bits - 1
    return st.one_of(st.integers(0, 1000), st.integers(0, top), st.just(top))


u8, u16, u32, u64 = numbers(8), numbers(16), numbers(32), numbers(64)
u128 = numbers(128)
balances = u128
hashes = st.binary(min_size=32, max_size=32)
data = st.binary(max_size=40)
names = st.text(max_size=12)
account_ids = st.one_of(
    st.from_regex(r"[a-z0-9]{2,12}(?:[-_.][a-z0-9]{1,8}){0,3}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    st.from_regex(r"0[xs][0-9a-f]{40}", fullmatch=True),
    st.from_regex(r"0u[0-9a-hjkmnp-tv-z]{51}[0g]", fullmatch=True),
    st.just("system"),
)


def exactly(size: int) -> st.SearchStrategy[bytes]:
    """Bytes of a fixed size; large ones repeat a few, to stay cheap."""
    if size <= 65:
        return st.binary(min_size=size, max_size=size)
    return st.binary(min_size=8, max_size=8).map(lambda part: (part * (size // 8 + 1))[:size])


public_keys = st.one_of(
    st.builds(PublicKey, st.just(0), exactly(32)),
    st.builds(PublicKey, st.just(1), exactly(64)),
    st.builds(PublicKey, st.just(2), exactly(1952)),
)
key_handles = st.one_of(
    st.builds(KeyHandle, st.just(0), exactly(32)),
    st.builds(KeyHandle, st.just(1), exactly(64)),
    st.builds(KeyHandle, st.just(3), exactly(32)),
)
signatures = st.one_of(
    st.builds(Signature, st.just(0), exactly(64).map(lambda raw: raw[:63] + bytes([raw[63] & 31]))),
    st.builds(Signature, st.just(1), exactly(65)),
    st.builds(Signature, st.just(2), exactly(3309)),
)

identifiers = st.one_of(
    st.builds(accounts.GlobalContractByHash, hashes), st.builds(accounts.GlobalContractByAccount, account_ids)
)
local_contracts = st.builds(accounts.LocalContract, hashes)
contracts = st.one_of(st.none(), local_contracts, identifiers)
accounts_v1 = st.builds(
    accounts.Account,
    u128.filter(lambda amount: amount < 2**128 - 1),
    u128,
    u64,
    st.one_of(st.none(), local_contracts.filter(lambda contract: any(contract.code_hash))),
)
accounts_v2 = st.builds(accounts.Account, u128, u128, u64, contracts, st.just(2))
uninitialised_accounts = st.builds(accounts.UninitialisedAccount, u128, u64, u64)

function_call_permissions = st.builds(
    accounts.FunctionCallPermission, st.one_of(st.none(), u128), names, st.lists(names, max_size=3).map(tuple)
)
gas_keys = st.builds(accounts.GasKeyInfo, u128, u16)
permissions = st.one_of(
    function_call_permissions,
    st.builds(accounts.FullAccess),
    st.builds(accounts.GasKeyFunctionCall, gas_keys, function_call_permissions),
    st.builds(accounts.GasKeyFullAccess, gas_keys),
)
access_keys = st.builds(accounts.AccessKey, u64, permissions)

modes = st.sampled_from(accounts.DeployMode)
state_pairs = st.dictionaries(data, data, max_size=4).map(lambda pairs: tuple(sorted(pairs.items())))
simple_actions = st.one_of(
    st.builds(actions.CreateAccount),
    st.builds(actions.DeployContract, data),
    st.builds(actions.FunctionCall, names, data, u64, u128),
    st.builds(actions.Transfer, u128),
    st.builds(actions.Stake, u128, public_keys),
    st.builds(actions.AddKey, public_keys, access_keys),
    st.builds(actions.DeleteKey, public_keys),
    st.builds(actions.DeleteAccount, account_ids),
    st.builds(actions.DeployGlobalContract, data, modes),
    st.builds(actions.UseGlobalContract, identifiers),
    st.builds(actions.DeterministicStateInit, identifiers, state_pairs, u128),
    st.builds(actions.TransferToGasKey, public_keys, u128),
    st.builds(actions.WithdrawFromGasKey, public_keys, u128),
    st.builds(actions.UniversalStateInit, data, u128),
)
delegates = st.builds(
    actions.Delegate,
    st.builds(
        actions.DelegateAction,
        account_ids,
        account_ids,
        st.lists(simple_actions, max_size=2).map(tuple),
        u64,
        u64,
        public_keys,
    ),
    signatures,
)
delegates_v2 = st.builds(
    actions.DelegateV2,
    st.builds(
        actions.DelegateAction,
        account_ids,
        account_ids,
        st.lists(simple_actions, max_size=2).map(tuple),
        u64,
        u64,
        public_keys,
        st.one_of(st.none(), u16),
    ),
    signatures,
)
any_actions = st.one_of(simple_actions, delegates, delegates_v2)
action_lists = st.lists(any_actions, max_size=2).map(tuple)

transactions_v0 = st.builds(Transaction, account_ids, public_keys, u64, account_ids, hashes, action_lists)
transactions_v1 = st.builds(
    Transaction,
    account_ids,
    public_keys,
    u64,
    account_ids,
    hashes,
    action_lists,
    st.just(1),
    st.one_of(st.none(), u16),
    st.sampled_from(NonceMode),
)
transactions = st.one_of(transactions_v0, transactions_v1)
signed_transactions: st.SearchStrategy[SignedTransaction] = st.builds(
    sign_transaction_form, transactions, signatures
)

data_receivers = st.builds(receipts.DataReceiver, hashes, account_ids)


def _make_action_receipts(
    version: int, refund_to: st.SearchStrategy[str | None]
) -> st.SearchStrategy[object]:
    return st.builds(
        receipts.ActionReceipt,
        account_ids,
        public_keys,
        u128,
        st.lists(data_receivers, max_size=2).map(tuple),
        st.lists(hashes, max_size=2).map(tuple),
        action_lists,
        refund_to,
        st.just(version),
        st.booleans(),
    )


receipt_bodies = st.one_of(
    _make_action_receipts(1, st.none()),
    _make_action_receipts(2, st.one_of(st.none(), account_ids)),
    st.builds(receipts.DataReceipt, hashes, st.one_of(st.none(), data), st.booleans()),
    st.builds(
        receipts.GlobalContractDistribution,
        identifiers,
        u64,
        st.lists(u64, max_size=3).map(tuple),
        data,
        st.one_of(st.none(), u64),
    ),
)
any_receipts = st.builds(receipts.Receipt, account_ids, account_ids, hashes, receipt_bodies)
queued_receipts = st.builds(
    receipts.QueuedReceipt, any_receipts, st.builds(receipts.ReceiptMetadata, u64, u64)
)

congestion_infos = st.builds(CongestionInfo, u128, u128, u64, u16)
bandwidth_requests = st.lists(st.builds(BandwidthRequest, u16, exactly(5)), max_size=3).map(tuple)
validator_stakes = st.builds(ValidatorStake, account_ids, public_keys, u128)
proposals = st.lists(validator_stakes, max_size=2).map(tuple)

chunk_headers = st.builds(
    ChunkHeader,
    prev_block_hash=hashes,
    prev_state_root=hashes,
    prev_outcome_root=hashes,
    encoded_merkle_root=hashes,
    encoded_length=u64,
    height_created=u64,
    shard_id=u64,
    prev_gas_used=u64,
    gas_limit=u64,
    prev_balance_burnt=u128,
    prev_outgoing_receipts_root=hashes,
    tx_root=hashes,
    prev_validator_proposals=proposals,
    congestion_info=congestion_infos,
    bandwidth_requests=bandwidth_requests,
    proposed_split=st.one_of(st.none(), st.builds(TrieSplit, account_ids, u64, u64)),
    height_included=u64,
    signature=signatures,
    version=st.just(5),
)
chunk_headers_84 = chunk_headers.map(
    lambda header: msgspec.structs.replace(header, version=4, proposed_split=None)
)
any_chunk_headers = st.one_of(chunk_headers, chunk_headers_84)
chunks = st.builds(
    Chunk,
    any_chunk_headers,
    st.lists(signed_transactions, max_size=1).map(tuple),
    st.lists(any_receipts, max_size=1).map(tuple),
)

maybe_signatures = st.lists(st.one_of(st.none(), signatures), max_size=3).map(tuple)
block_headers = st.builds(
    BlockHeader,
    prev_hash=hashes,
    height=u64,
    epoch_id=hashes,
    next_epoch_id=hashes,
    prev_state_root=hashes,
    prev_outcome_root=hashes,
    timestamp_ns=u64,
    next_bp_hash=hashes,
    block_merkle_root=hashes,
    block_body_hash=hashes,
    prev_outgoing_receipts_root=hashes,
    chunk_headers_root=hashes,
    chunk_tx_root=hashes,
    random_value=hashes,
    prev_validator_proposals=proposals,
    chunk_mask=st.lists(st.booleans(), max_size=4).map(tuple),
    next_gas_price=u128,
    total_supply=u128,
    last_final_block=hashes,
    last_ds_final_block=hashes,
    block_ordinal=u64,
    prev_height=u64,
    epoch_sync_data_hash=st.one_of(st.none(), hashes),
    approvals=maybe_signatures,
    latest_protocol_version=u32,
    chunk_endorsements=st.lists(st.binary(max_size=3), max_size=3).map(tuple),
    shard_split=st.one_of(st.none(), st.tuples(u64, account_ids)),
    signature=signatures,
    version=st.just(6),
)
block_headers_84 = block_headers.map(
    lambda header: msgspec.structs.replace(header, version=5, shard_split=None)
)
any_block_headers = st.one_of(block_headers, block_headers_84)
blocks = st.builds(
    Block,
    any_block_headers,
    st.lists(any_chunk_headers, max_size=2).map(tuple),
    exactly(32),
    exactly(64),
    st.lists(maybe_signatures, max_size=2).map(tuple),
)
