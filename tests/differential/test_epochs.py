"""The wire form of epoch data against NEAR's own types: its hash is part of each epoch's first block."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hither.chain.epochs import wire
from hither.chain.epochs.types import BlockInfo, EpochInfo, StakeWeightedIndex, ValidatorMandates
from hither.primitives.sharding import ShardLayout
from tests.differential import strategies as make
from tests.differential.oracle import get_oracle

pytestmark = pytest.mark.slow

index_lists = st.lists(make.u64, max_size=3).map(tuple)
amounts = st.dictionaries(make.account_ids, make.u128, max_size=3)
block_infos = st.builds(
    BlockInfo,
    hash=make.hashes,
    height=make.u64,
    last_finalized_height=make.u64,
    last_final_block_hash=make.hashes,
    prev_hash=make.hashes,
    epoch_first_block=make.hashes,
    epoch_id=make.hashes,
    proposals=make.proposals,
    chunk_mask=st.lists(st.booleans(), max_size=3).map(tuple),
    latest_protocol_version=make.u32,
    total_supply=make.u128,
    timestamp_ns=make.u64,
    chunk_endorsements=st.lists(st.binary(max_size=2), max_size=3).map(tuple),
)
counts = st.fixed_dictionaries({"produced": make.u64, "expected": make.u64})
kickouts: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["Unstaked", "DidNotGetASeat"]),
    st.builds(
        lambda name, fields: {name: fields},
        st.sampled_from(["NotEnoughBlocks", "NotEnoughChunks", "NotEnoughChunkEndorsements"]),
        counts,
    ),
    st.fixed_dictionaries({"stake_u128": make.u128.map(str), "threshold_u128": make.u128.map(str)}).map(
        lambda fields: {"NotEnoughStake": fields}
    ),
    st.fixed_dictionaries({"version": make.u32, "network_version": make.u32}).map(
        lambda fields: {"ProtocolVersionTooOld": fields}
    ),
)
samplers = st.builds(StakeWeightedIndex, make.u128, index_lists, st.lists(make.u128, max_size=3).map(tuple))
mandates = st.builds(
    ValidatorMandates,
    make.u32,
    make.u32,
    make.u128,
    index_lists,
    st.lists(st.tuples(make.u64, make.u128), max_size=3).map(tuple),
)
layouts = st.sampled_from(
    [ShardLayout((), (0,)), ShardLayout(("hh", "pp"), (0, 1, 2), 0), ShardLayout(("mm",), (4, 3), 7)]
)
epoch_infos = st.builds(
    EpochInfo,
    epoch_height=make.u64,
    validators=st.lists(make.validator_stakes, max_size=3, unique_by=lambda stake: stake.account_id).map(
        tuple
    ),
    block_producers_settlement=index_lists,
    chunk_producers_settlement=st.lists(index_lists, max_size=2).map(tuple),
    stake_change=amounts,
    validator_reward=amounts,
    validator_kickout=st.dictionaries(make.account_ids, kickouts, max_size=2),
    minted_amount=make.u128,
    seat_price=make.u128,
    protocol_version=st.sampled_from([84, 85, 86, 87, 88]),
    shard_layout=layouts,
    rng_seed=make.hashes,
    block_producers_sampler=samplers,
    chunk_producers_sampler=st.lists(samplers, max_size=2).map(tuple),
    validator_mandates=mandates,
    last_resharding=st.one_of(st.none(), make.u64),
)


@pytest.mark.parametrize("version", [3, 4])
@settings(max_examples=40)
@given(info=block_infos)
def test_blocks_as_epochs_remember_them(version: int, info: BlockInfo) -> None:
    """Version 3 at 84, version 4 from 85 on."""
    encoded = wire.encode_block_info(info, version)
    assert get_oracle().decode("BlockInfo", encoded).bytes == encoded
    assert encoded[0] == version - 1


@settings(max_examples=60)
@given(epoch_infos)
def test_epochs(info: EpochInfo) -> None:
    """Version 4 at 84, version 5 with the layout from 85 on; maps sorted by key."""
    encoded = wire.encode_epoch_info(info)
    assert get_oracle().decode("EpochInfo", encoded).bytes == encoded
    assert encoded[0] == (3 if info.protocol_version == 84 else 4)
