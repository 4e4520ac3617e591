"""How chunks and blocks are made: pure functions of the head, the transactions and the time.

A chunk at height h carries its shard's state before h and what applying the chunk
before it came to; the block at h takes the chunks and is then applied with them.
Sources: nearcore chain/client/src/{client,chunk_producer}.rs, core/primitives/src/block.rs.
"""

from collections.abc import Mapping, Sequence

import msgspec

from hither.chain.encoded_lists import (
    compute_encoded_root,
    compute_outgoing_receipts_root,
    compute_transactions_root,
)
from hither.chain.epochs.sampling import (
    sample_block_producer,
    sample_chunk_producer,
    sample_chunk_validators,
)
from hither.chain.epochs.tracker import needs_approvals_of_next_epoch
from hither.chain.epochs.types import BlockInfo, EpochInfo
from hither.chain.epochs.wire import compute_epoch_sync_data_hash, encode_block_info
from hither.chain.head import ChainHead
from hither.chain.parameters import ChainParameters, Signers
from hither.crypto.hashing import sha256
from hither.crypto.signing import compute_vrf
from hither.primitives.block import (
    Block,
    BlockHeader,
    compute_approval_message,
    compute_block_outcome_root,
    compute_block_producers_hash,
    compute_body_hash,
    compute_chunk_headers_root,
    compute_chunk_outgoing_receipts_root,
    compute_chunk_tx_root,
    compute_endorsement_bits,
    compute_state_root,
    seal_block_header,
)
from hither.primitives.chunk import Chunk, ChunkHeader, seal_chunk_header
from hither.primitives.sharding import ValidatorStake
from hither.primitives.transaction import SignedTransaction, encode_signed_transaction
from hither.primitives.types import (
    ZERO_HASH,
    AccountId,
    Balance,
    BlockHeight,
    CryptoHash,
    ShardId,
    Signature,
)

_ENDORSEMENT_SUFFIX = (16).to_bytes(4, "little") + b"ChunkEndorsement"


class BlockPlan(msgspec.Struct, frozen=True):
    """A block to be made: where, when, and with which chunks.

    Shards that are not in ``chunks`` have none at this height. Nobody approves a fast-forward:
    so it is in NEAR's sandbox.
    """

    height: BlockHeight
    timestamp_ns: int
    chunks: Mapping[ShardId, Chunk]
    is_fast_forward: bool = False


def get_next_epochs(
    head: ChainHead, parameters: ChainParameters
) -> tuple[CryptoHash, EpochInfo, CryptoHash, EpochInfo]:
    """Id and validators of the next block's epoch and of the epoch after that."""
    epoch_id, next_epoch_id = head.position.get_epoch_ids_of_next_block(parameters.epoch_config)
    return epoch_id, head.epochs[epoch_id], next_epoch_id, head.epochs[next_epoch_id]


def make_chunk(
    head: ChainHead,
    parameters: ChainParameters,
    shard_id: ShardId,
    transactions: Sequence[SignedTransaction],
    signers: Signers,
    transaction_rows: Sequence[bytes] | None = None,
) -> Chunk:
    """The shard's chunk for the height after the head's. ``transaction_rows`` are the encoded transactions."""
    shard = head.get_shard(shard_id)
    result, layout = shard.result, parameters.shard_layout
    _, epoch, _, _ = get_next_epochs(head, parameters)
    height = BlockHeight(head.height + 1)
    receipts, receipt_rows = result.outgoing_receipts, result.outgoing_rows
    if transaction_rows is None:
        transaction_rows = [encode_signed_transaction(signed) for signed in transactions]
    encoded_root, encoded_length = compute_encoded_root(
        transaction_rows, receipt_rows, parameters.total_parts
    )
    header = ChunkHeader(
        prev_block_hash=head.hash,
        prev_state_root=CryptoHash(shard.trie.root),
        prev_outcome_root=result.outcome_root,
        encoded_merkle_root=encoded_root,
        encoded_length=encoded_length,
        height_created=height,
        shard_id=shard_id,
        prev_gas_used=result.gas_used,
        gas_limit=shard.chunk.gas_limit,
        prev_balance_burnt=result.balance_burnt,
        prev_outgoing_receipts_root=compute_outgoing_receipts_root(receipts, receipt_rows, layout),
        tx_root=compute_transactions_root(transaction_rows),
        prev_validator_proposals=result.validator_proposals,
        congestion_info=result.congestion_info,
        bandwidth_requests=result.bandwidth_requests,
        version=parameters.chunk_version,
    )
    producer = epoch.validators[sample_chunk_producer(epoch, shard_id, height)].account_id
    header = seal_chunk_header(header, lambda message: signers.sign(producer, message))
    return Chunk(header, tuple(transactions), receipts)


def include_chunk(chunk: Chunk, height: BlockHeight) -> Chunk:
    """The chunk as the block at ``height`` holds it."""
    header = msgspec.structs.replace(chunk.header, height_included=height)
    return msgspec.structs.replace(chunk, header=header)


def make_block(head: ChainHead, parameters: ChainParameters, plan: BlockPlan, signers: Signers) -> Block:
    """The block after the head. Its chunks must have been made for it and included at its height."""
    previous, height = head.block.header, plan.height
    epoch_id, epoch, next_epoch_id, next_epoch = get_next_epochs(head, parameters)
    starts_epoch = head.position.is_last_in_epoch(parameters.epoch_config)
    chunks = tuple(
        plan.chunks[shard.shard_id].header if shard.shard_id in plan.chunks else shard.chunk
        for shard in head.shards
    )
    endorsements = _endorse_chunks(head, chunks, plan, epoch, signers)
    producer = epoch.validators[sample_block_producer(epoch, height)].account_id
    vrf_value, vrf_proof = compute_vrf(signers.get_key(producer), previous.random_value)
    new_chunks = tuple(chunk for chunk in chunks if chunk.height_included == height)
    minted = next_epoch.minted_amount if starts_epoch else 0
    header = BlockHeader(
        prev_hash=previous.hash,
        height=height,
        epoch_id=epoch_id,
        next_epoch_id=next_epoch_id,
        prev_state_root=compute_state_root(chunks),
        prev_outcome_root=compute_block_outcome_root(chunks),
        timestamp_ns=plan.timestamp_ns,
        next_bp_hash=compute_block_producers_hash(list_block_producers(next_epoch))
        if starts_epoch
        else previous.next_bp_hash,
        block_merkle_root=head.merkle_tree.insert(previous.hash).compute_root(),
        block_body_hash=compute_body_hash(chunks, vrf_value, vrf_proof, endorsements),
        prev_outgoing_receipts_root=compute_chunk_outgoing_receipts_root(chunks),
        chunk_headers_root=compute_chunk_headers_root(chunks),
        chunk_tx_root=compute_chunk_tx_root(chunks),
        random_value=CryptoHash(sha256(vrf_value)),
        prev_validator_proposals=tuple(
            proposal for chunk in new_chunks for proposal in chunk.prev_validator_proposals
        ),
        chunk_mask=tuple(chunk.height_included == height for chunk in chunks),
        next_gas_price=compute_next_gas_price(previous.next_gas_price, new_chunks, parameters),
        total_supply=Balance(
            previous.total_supply + minted - sum(chunk.prev_balance_burnt for chunk in new_chunks)
        ),
        last_final_block=get_last_final_block(previous, height),
        last_ds_final_block=previous.hash if height == previous.height + 1 else previous.last_ds_final_block,
        block_ordinal=head.merkle_tree.size + 2,
        prev_height=previous.height,
        epoch_sync_data_hash=_compute_epoch_sync_hash(head, parameters, epoch, next_epoch)
        if starts_epoch
        else None,
        approvals=_approve(head, parameters, plan, epoch, next_epoch, signers),
        latest_protocol_version=parameters.protocol_version,
        chunk_endorsements=tuple(compute_endorsement_bits(shard) for shard in endorsements),
        version=parameters.block_header_version,
    )
    header = seal_block_header(header, lambda message: signers.sign(producer, message))
    return Block(header, chunks, vrf_value, vrf_proof, endorsements)


def compute_next_gas_price(
    gas_price: Balance, new_chunks: Sequence[ChunkHeader], parameters: ChainParameters
) -> Balance:
    """The price after chunks that used so much of their limits; unchanged when there are none."""
    used = sum(chunk.prev_gas_used for chunk in new_chunks)
    limit = sum(chunk.gas_limit for chunk in new_chunks)
    if limit == 0:
        return gas_price
    rate, unit = parameters.gas_price_adjustment_rate
    denominator = 2 * unit * limit
    price = gas_price * (denominator + 2 * rate * used - rate * limit) // denominator
    return Balance(min(max(price, parameters.min_gas_price), parameters.max_gas_price))


def get_last_final_block(previous: BlockHeader, height: int) -> CryptoHash:
    """The newest final block once a block at ``height`` follows ``previous``."""
    if height == previous.height + 1 and previous.last_ds_final_block == previous.prev_hash:
        return previous.prev_hash
    return previous.last_final_block


def list_block_producers(epoch: EpochInfo) -> tuple[ValidatorStake, ...]:
    """An epoch's block producers, each once, in their order."""
    return tuple(epoch.validators[index] for index in dict.fromkeys(epoch.block_producers_settlement))


def _list_approvers(
    head: ChainHead, parameters: ChainParameters, epoch: EpochInfo, next_epoch: EpochInfo
) -> list[AccountId]:
    """Whose approvals the next block has a place for.

    They are of the epoch of the head, and of the next one where that is about to start late.
    """
    accounts = dict.fromkeys(validator.account_id for validator in list_block_producers(epoch))
    if needs_approvals_of_next_epoch(head.position, parameters.epoch_config):
        accounts.update(dict.fromkeys(v.account_id for v in list_block_producers(next_epoch)))
    return list(accounts)


def _approve(
    head: ChainHead,
    parameters: ChainParameters,
    plan: BlockPlan,
    epoch: EpochInfo,
    next_epoch: EpochInfo,
    signers: Signers,
) -> tuple[Signature | None, ...]:
    """The approvals of building at that height on the head; none of validators whose key is elsewhere."""
    message = compute_approval_message(head.hash, head.height, plan.height)
    return tuple(
        signers.sign(account_id, message)
        if signers.has_key(account_id) and not plan.is_fast_forward
        else None
        for account_id in _list_approvers(head, parameters, epoch, next_epoch)
    )


def _endorse_chunks(
    head: ChainHead,
    chunks: Sequence[ChunkHeader],
    plan: BlockPlan,
    epoch: EpochInfo,
    signers: Signers,
) -> tuple[tuple[Signature | None, ...], ...]:
    """The signatures of each new chunk's validators; chunks that are not new have no place for any."""
    validators_by_shard = sample_chunk_validators(epoch, BlockHeight(head.height + 1))
    endorsements: list[tuple[Signature | None, ...]] = []
    for chunk, validators in zip(chunks, validators_by_shard, strict=True):
        if chunk.height_included != plan.height:
            endorsements.append(())
            continue
        accounts = [epoch.validators[index].account_id for index in validators]
        message = chunk.hash + _ENDORSEMENT_SUFFIX
        endorsements.append(tuple(signers.sign(a, message) if signers.has_key(a) else None for a in accounts))
    return tuple(endorsements)


def _compute_epoch_sync_hash(
    head: ChainHead, parameters: ChainParameters, epoch: EpochInfo, next_epoch: EpochInfo
) -> CryptoHash:
    """What lets a new node start at this epoch: a hash over the ended epoch and the two that follow."""
    position = head.position

    def encode(block: BlockInfo) -> bytes:
        # What stands for the parent of genesis is always of the newest version.
        version = 4 if block.hash == ZERO_HASH else parameters.block_info_version
        return encode_block_info(block, version)

    blocks = (encode(position.first), encode(position.parent), encode(position.block))
    return compute_epoch_sync_data_hash(blocks, (head.epochs[position.block.epoch_id], epoch, next_epoch))
