"""Applying a block: every shard's chunk, then what the block means for epochs and finality.

Sources: nearcore chain/chain/src/{chain,update_shard,sharding}.rs.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from hither.chain.epochs.tracker import advance_position, record_block
from hither.chain.epochs.types import BlockInfo, EpochInfo, EpochStatistics, EpochSummary
from hither.chain.epochs.update import (
    EpochEnd,
    compute_epoch_update,
    compute_validator_accounts_update,
    filter_validator_accounts_update,
)
from hither.chain.head import ChainHead, ChunkResult, ShardProgress, get_congestion
from hither.chain.parameters import ChainParameters
from hither.crypto.shuffle import SeededRandom
from hither.primitives.block import Block
from hither.primitives.chunk import Chunk
from hither.primitives.merkle import compute_merkle_root
from hither.primitives.outcome import Outcome, compute_outcome_leaf
from hither.primitives.receipt import Receipt
from hither.primitives.transaction import SignedTransaction
from hither.primitives.types import ZERO_HASH, Balance, BlockHeight, CryptoHash, EpochHeight, ShardId
from hither.runtime.routing import group_by_shard
from hither.runtime.types import ApplyContext, ApplyResult, ValidatorAccountsUpdate
from hither.state import Trie


class ShardWork(msgspec.Struct, frozen=True):
    """One shard's part of applying a block."""

    context: ApplyContext
    trie: Trie
    transactions: tuple[SignedTransaction, ...]
    incoming_receipts: tuple[Receipt, ...]


ApplyShards = Callable[[Sequence[ShardWork]], Sequence[ApplyResult]]
"""Applies the shards' work, in any order or at once; results come in the order of the work."""


class AppliedShard(msgspec.Struct, frozen=True):
    """What applying a block did to one shard.

    ``leaves`` are the outcomes' Merkle leaves.
    """

    shard_id: ShardId
    result: ApplyResult
    leaves: tuple[bytes, ...]


class AppliedBlock(msgspec.Struct, frozen=True):
    """A block, its new chunks, and everything that applying it brought.

    ``transaction_rows`` are their encoded transactions where somebody has them,
    ``parent_heights`` says for each of ``chunks`` when the shard's chunk before it was included.
    ``dropped`` are waiting transactions that were found useless when its chunks were made.
    ``ended_epoch`` is set when the block is the last of its epoch: its id and summary, and the
    epoch that was decided by it (whose id is the block's hash).
    """

    block: Block
    chunks: tuple[Chunk, ...]
    shards: tuple[AppliedShard, ...]
    ended_epoch: tuple[CryptoHash, EpochSummary, EpochInfo] | None = None
    dropped: tuple[CryptoHash, ...] = ()
    parent_heights: tuple[int, ...] = ()
    transaction_rows: tuple[tuple[bytes, ...], ...] | None = None

    @property
    def outcomes(self) -> list[Outcome]:
        """All outcomes, by shard."""
        return [outcome for shard in self.shards for outcome in shard.result.outcomes]


def plan_work(
    head: ChainHead, parameters: ChainParameters, block: Block, chunks: Mapping[ShardId, Chunk]
) -> list[ShardWork]:
    """What there is to do in each shard when ``block`` is applied on the head."""
    layout, header = parameters.shard_layout, block.header
    epoch = head.epochs[header.epoch_id]
    congestion = get_congestion(block)
    requests = {chunk.shard_id: chunk.bandwidth_requests for chunk in block.chunks}
    arrivals = _route_receipts(parameters, block, chunks)
    update = _compute_accounts_update(head, parameters, block)
    next_epoch = head.epochs[header.next_epoch_id]
    minimum_stake = next_epoch.seat_price // parameters.epoch_config.minimum_stake_divisor
    work = []
    for index, shard in enumerate(head.shards):
        chunk = chunks.get(shard.shard_id)
        context = ApplyContext(
            chain_id=parameters.chain_id,
            protocol_version=epoch.protocol_version,
            config=parameters.config,
            shard_layout=layout,
            shard_id=shard.shard_id,
            block_height=header.height,
            prev_block_hash=header.prev_hash,
            block_timestamp_ns=header.timestamp_ns,
            epoch_id=header.epoch_id,
            epoch_height=epoch.epoch_height,
            gas_price=head.block.header.next_gas_price,
            gas_limit=parameters.gas_limit,
            random_value=header.random_value,
            congestion=congestion,
            bandwidth_requests=requests,
            validators=tuple((v.account_id, Balance(v.stake)) for v in epoch.validators),
            validator_update=_get_shard_update(update, parameters, block, index),
            is_new_chunk=chunk is not None,
            minimum_stake=Balance(minimum_stake),
        )
        incoming: tuple[Receipt, ...] = ()
        if chunk is not None:
            incoming = sum(shard.waiting, arrivals[index])
        work.append(ShardWork(context, shard.trie, chunk.transactions if chunk else (), incoming))
    return work


def finish_block(
    head: ChainHead,
    parameters: ChainParameters,
    block: Block,
    chunks: Mapping[ShardId, Chunk],
    results: Sequence[ApplyResult],
) -> tuple[ChainHead, AppliedBlock]:
    """The head after the block, from the results of ``plan_work``'s work."""
    arrivals = _route_receipts(parameters, block, chunks)
    shards, applied = [], []
    for index, (shard, result) in enumerate(zip(head.shards, results, strict=True)):
        leaves = tuple(compute_outcome_leaf(outcome) for outcome in result.outcomes)
        applied.append(AppliedShard(shard.shard_id, result, leaves))
        if shard.shard_id not in chunks:
            waiting = (arrivals[index], *shard.waiting) if arrivals[index] else shard.waiting
            shards.append(msgspec.structs.replace(shard, trie=result.sealed.trie, waiting=waiting))
            continue
        chunk_result = ChunkResult(
            compute_merkle_root(leaves),
            result.gas_burnt,
            result.balance_burnt,
            result.validator_proposals,
            result.congestion_info,
            result.bandwidth_requests,
            result.outgoing_receipts,
            result.outgoing_rows,
        )
        shards.append(ShardProgress(shard.shard_id, result.sealed.trie, block.chunks[index], chunk_result))
    final_height = _get_final_height(head, parameters, block)
    position = advance_position(head.position, make_block_info(block, final_height), parameters.epoch_config)
    starts_epoch = position.first is position.block
    statistics = EpochStatistics() if starts_epoch else head.statistics
    statistics = record_block(statistics, position.block, head.height, head.epochs[block.header.epoch_id])
    new_head = ChainHead(
        block=block,
        final_height=final_height,
        position=position,
        statistics=statistics,
        epochs=head.epochs,
        merkle_tree=head.merkle_tree.insert(head.hash),
        shards=tuple(shards),
    )
    new_head, ended_epoch = _end_epoch(new_head, parameters)
    parents = tuple(shard.chunk.height_included for shard in head.shards if shard.shard_id in chunks)
    new_chunks = tuple(chunks[shard.shard_id] for shard in head.shards if shard.shard_id in chunks)
    return new_head, AppliedBlock(block, new_chunks, tuple(applied), ended_epoch, (), parents)


def apply_block(
    head: ChainHead,
    parameters: ChainParameters,
    block: Block,
    chunks: Mapping[ShardId, Chunk],
    apply_shards: ApplyShards,
) -> tuple[ChainHead, AppliedBlock]:
    """Apply a block on the head, which stays as it was."""
    results = apply_shards(plan_work(head, parameters, block, chunks))
    return finish_block(head, parameters, block, chunks, results)


def make_block_info(block: Block, final_height: BlockHeight) -> BlockInfo:
    """What the epochs remember of a block; its epoch is filled in by ``advance_position``."""
    header = block.header
    return BlockInfo(
        hash=header.hash,
        height=BlockHeight(header.height),
        last_finalized_height=final_height,
        last_final_block_hash=header.last_final_block,
        prev_hash=header.prev_hash,
        epoch_first_block=ZERO_HASH,
        epoch_id=ZERO_HASH,
        proposals=header.prev_validator_proposals,
        chunk_mask=header.chunk_mask,
        latest_protocol_version=header.latest_protocol_version,  # type: ignore[arg-type]
        total_supply=header.total_supply,
        timestamp_ns=header.timestamp_ns,
        chunk_endorsements=header.chunk_endorsements,
    )


def _route_receipts(
    parameters: ChainParameters, block: Block, chunks: Mapping[ShardId, Chunk]
) -> list[tuple[Receipt, ...]]:
    """What each shard takes in: the new chunks' receipts, sender by sender in the seeded order."""
    layout = parameters.shard_layout
    sent = [
        list(group_by_shard(layout, chunks[header.shard_id].prev_outgoing_receipts).values())
        for header in block.chunks
        if header.shard_id in chunks
    ]
    arrivals = []
    for index in range(len(layout.shard_ids)):
        lists = [by_receiver[index] for by_receiver in sent]
        SeededRandom(block.header.prev_hash).shuffle(lists)
        arrivals.append(tuple(receipt for receipts in lists for receipt in receipts))
    return arrivals


def _compute_accounts_update(
    head: ChainHead, parameters: ChainParameters, block: Block
) -> ValidatorAccountsUpdate | None:
    """What the first block of an epoch does to validators' accounts, but for the proposals."""
    if not head.position.is_last_in_epoch(parameters.epoch_config):
        return None
    ended_id = head.position.block.epoch_id
    ids = (ended_id, block.header.epoch_id, block.header.next_epoch_id)
    epochs = (head.epochs[ids[0]], head.epochs[ids[1]], head.epochs[ids[2]])
    return compute_validator_accounts_update(epochs, (), parameters.treasury_account)


def _get_shard_update(
    update: ValidatorAccountsUpdate | None, parameters: ChainParameters, block: Block, index: int
) -> ValidatorAccountsUpdate | None:
    """The part of one shard, with the proposals of its newest chunk."""
    if update is None:
        return None
    chunk = block.chunks[index]
    proposals = {p.account_id: p.stake for p in chunk.prev_validator_proposals}
    update = msgspec.structs.replace(update, last_proposals=proposals)
    return filter_validator_accounts_update(update, parameters.shard_layout, chunk.shard_id)


def _get_final_height(head: ChainHead, parameters: ChainParameters, block: Block) -> BlockHeight:
    """The height of ``last_final_block``. Genesis counts as final from the start."""
    header, previous = block.header, head.block.header
    if header.last_final_block == ZERO_HASH:
        return parameters.genesis_height
    if header.last_final_block == previous.last_final_block:
        return head.final_height
    return BlockHeight(previous.prev_height)


def _end_epoch(
    head: ChainHead, parameters: ChainParameters
) -> tuple[ChainHead, tuple[CryptoHash, EpochSummary, EpochInfo] | None]:
    """After the last block of an epoch, decide the epoch after the next one."""
    position, header = head.position, head.block.header
    if not position.is_last_in_epoch(parameters.epoch_config):
        return head, None
    end = EpochEnd(
        current=head.epochs[header.epoch_id],
        following=head.epochs[header.next_epoch_id],
        statistics=head.statistics,
        total_supply=header.total_supply,
        duration_ns=header.timestamp_ns - position.prev_epoch_last_timestamp_ns,
        rng_seed=header.random_value,
        prev_epoch_last_block_hash=position.first.prev_hash,
    )
    decided, summary = compute_epoch_update(end, parameters.epoch_config, parameters.reward_config)
    # The ended epoch is still needed for what its validators get back; older ones are in the store.
    kept = (header.epoch_id, header.next_epoch_id)
    epochs = {epoch_id: head.epochs[epoch_id] for epoch_id in kept} | {header.hash: decided}
    return msgspec.structs.replace(head, epochs=epochs), (header.epoch_id, summary, decided)


def get_epoch_height(head: ChainHead) -> EpochHeight:
    """The number of the newest block's epoch."""
    return head.epoch.epoch_height
