"""The first block and its chunks, and the head that a chain starts from."""

from collections.abc import Mapping

import msgspec

from hither.chain.application import make_block_info
from hither.chain.epochs.tracker import start_position
from hither.chain.epochs.types import EpochStatistics
from hither.chain.epochs.update import compute_genesis_epoch
from hither.chain.genesis import Genesis
from hither.chain.head import ChainHead, ShardProgress, make_genesis_result
from hither.chain.parameters import ChainParameters
from hither.chain.production import list_block_producers
from hither.crypto.hashing import compute_parts_root
from hither.primitives.block import (
    Block,
    BlockHeader,
    compute_block_hash,
    compute_block_producers_hash,
    compute_body_hash,
    compute_chunk_headers_root,
    compute_chunk_outgoing_receipts_root,
    compute_chunk_tx_root,
    compute_state_root,
)
from hither.primitives.chunk import GENESIS_PARTS, Chunk, ChunkHeader, compute_chunk_hash
from hither.primitives.merkle import PartialMerkleTree
from hither.primitives.sharding import CongestionInfo
from hither.primitives.state_record import state_record_from_json
from hither.primitives.types import ZERO_HASH, AccountId, Balance, CryptoHash, ShardId
from hither.runtime.genesis import make_genesis_state
from hither.state import Trie


def make_genesis_tries(genesis: Genesis, parameters: ChainParameters) -> Mapping[ShardId, Trie]:
    """The state before the first block, by shard. Raises InvalidStateRecord."""
    stakes = [(AccountId(v.account_id), Balance(int(v.amount))) for v in genesis.config.validators]
    records = (state_record_from_json(record) for record in genesis.records)
    return make_genesis_state(parameters.config, parameters.shard_layout, records, stakes)


def make_genesis_head(parameters: ChainParameters, tries: Mapping[ShardId, Trie]) -> ChainHead:
    """The chain at its genesis block."""
    epoch = compute_genesis_epoch(
        parameters.epoch_config,
        parameters.reward_config,
        parameters.validators,
        parameters.protocol_version,
        parameters.shard_layout,
    )
    chunks = tuple(_make_chunk(parameters, shard_id, trie) for shard_id, trie in tries.items())
    producers_hash = compute_block_producers_hash(list_block_producers(epoch))
    block = _make_block(parameters, chunks, producers_hash)
    position = start_position(make_block_info(block, parameters.genesis_height))
    return ChainHead(
        block=block,
        final_height=parameters.genesis_height,
        position=position,
        statistics=EpochStatistics(),
        epochs={ZERO_HASH: epoch, block.hash: epoch},
        merkle_tree=PartialMerkleTree(),
        shards=tuple(
            ShardProgress(
                chunk.shard_id, tries[chunk.shard_id], chunk, make_genesis_result(chunk.congestion_info)
            )
            for chunk in chunks
        ),
    )


def make_genesis_chunks(head: ChainHead) -> tuple[Chunk, ...]:
    """The genesis block's chunks: empty."""
    return tuple(Chunk(header, (), ()) for header in head.block.chunks)


def _make_chunk(parameters: ChainParameters, shard_id: ShardId, trie: Trie) -> ChunkHeader:
    empty_lists = bytes(8)
    header = ChunkHeader(
        prev_block_hash=ZERO_HASH,
        prev_state_root=CryptoHash(trie.root),
        prev_outcome_root=ZERO_HASH,
        encoded_merkle_root=CryptoHash(compute_parts_root(empty_lists, 1, GENESIS_PARTS)),
        encoded_length=len(empty_lists),
        height_created=parameters.genesis_height,
        shard_id=shard_id,
        prev_gas_used=0,
        gas_limit=parameters.gas_limit,
        prev_balance_burnt=0,
        prev_outgoing_receipts_root=ZERO_HASH,
        tx_root=ZERO_HASH,
        prev_validator_proposals=(),
        congestion_info=CongestionInfo(allowed_shard=shard_id),
        bandwidth_requests=(),
        height_included=parameters.genesis_height,
        version=parameters.chunk_version,
    )
    return msgspec.structs.replace(header, hash=compute_chunk_hash(header))


def _make_block(
    parameters: ChainParameters, chunks: tuple[ChunkHeader, ...], producers_hash: CryptoHash
) -> Block:
    vrf_value, vrf_proof = bytes(32), bytes(64)
    # NEAR counts the genesis chunks as included only where genesis has height 0.
    mask = (True,) * len(chunks) if parameters.genesis_height == 0 else ()
    header = BlockHeader(
        prev_hash=ZERO_HASH,
        height=parameters.genesis_height,
        epoch_id=ZERO_HASH,
        next_epoch_id=ZERO_HASH,
        prev_state_root=compute_state_root(chunks),
        prev_outcome_root=ZERO_HASH,
        timestamp_ns=parameters.genesis_time_ns,
        next_bp_hash=producers_hash,
        block_merkle_root=ZERO_HASH,
        block_body_hash=compute_body_hash(chunks, vrf_value, vrf_proof, ()),
        prev_outgoing_receipts_root=compute_chunk_outgoing_receipts_root(chunks),
        chunk_headers_root=compute_chunk_headers_root(chunks),
        chunk_tx_root=compute_chunk_tx_root(chunks),
        random_value=ZERO_HASH,
        prev_validator_proposals=(),
        chunk_mask=mask,
        next_gas_price=parameters.min_gas_price,
        total_supply=parameters.total_supply,
        last_final_block=ZERO_HASH,
        last_ds_final_block=ZERO_HASH,
        block_ordinal=1,
        prev_height=0,
        epoch_sync_data_hash=None,
        approvals=(),
        latest_protocol_version=parameters.protocol_version,
        chunk_endorsements=(),
        version=parameters.block_header_version,
    )
    header = msgspec.structs.replace(header, hash=compute_block_hash(header))
    return Block(header, chunks, vrf_value, vrf_proof, ())
