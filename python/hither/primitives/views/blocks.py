"""Blocks, chunks and light-client blocks as NEAR's RPC shows them."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from hither.crypto.keys import signature_to_str
from hither.primitives.block import Block, BlockHeader, compute_rest_hash
from hither.primitives.chunk import Chunk, ChunkHeader, TrieSplit
from hither.primitives.sharding import BandwidthRequest, CongestionInfo, ValidatorStake
from hither.primitives.types import CryptoHash, Signature
from hither.primitives.views.accounts import CURRENT, ZERO_TEXT, View, view_hash, view_validator_stake
from hither.primitives.views.execution import view_receipt, view_transaction


def view_congestion_info(info: CongestionInfo) -> View:
    """``CongestionInfoView``."""
    return {
        "allowed_shard": info.allowed_shard,
        "buffered_receipts_gas": str(info.buffered_receipts_gas),
        "delayed_receipts_gas": str(info.delayed_receipts_gas),
        "receipt_bytes": info.receipt_bytes,
    }


def view_bandwidth_requests(requests: Iterable[BandwidthRequest]) -> View:
    """``BandwidthRequests``."""
    views = [
        {"requested_values_bitmap": {"data": list(request.bitmap)}, "to_shard": request.to_shard}
        for request in requests
    ]
    return {"V1": {"requests": views}}


def _view_split(split: TrieSplit | None) -> View | None:
    if split is None:
        return None
    return {
        "boundary_account": split.boundary_account,
        "left_memory": split.left_memory,
        "right_memory": split.right_memory,
    }


def view_chunk_header(header: ChunkHeader) -> View:
    """``ChunkHeaderView``."""
    view: View = {
        "balance_burnt": str(header.prev_balance_burnt),
        "bandwidth_requests": view_bandwidth_requests(header.bandwidth_requests),
        "chunk_hash": view_hash(header.hash),
        "congestion_info": view_congestion_info(header.congestion_info),
        "encoded_length": header.encoded_length,
        "encoded_merkle_root": view_hash(header.encoded_merkle_root),
        "gas_limit": header.gas_limit,
        "gas_used": header.prev_gas_used,
        "height_created": header.height_created,
        "height_included": header.height_included,
        "outcome_root": view_hash(header.prev_outcome_root),
        "outgoing_receipts_root": view_hash(header.prev_outgoing_receipts_root),
        "prev_block_hash": view_hash(header.prev_block_hash),
        "prev_state_root": view_hash(header.prev_state_root),
    }
    if header.version > 4:
        view["proposed_split"] = _view_split(header.proposed_split)
    view["rent_paid"] = "0"
    view["shard_id"] = header.shard_id
    view["signature"] = signature_to_str(header.signature)
    view["tx_root"] = view_hash(header.tx_root)
    view["validator_proposals"] = [view_validator_stake(stake) for stake in header.prev_validator_proposals]
    view["validator_reward"] = "0"
    return view


def _view_approvals(approvals: Iterable[Signature | None]) -> list[str | None]:
    return [None if approval is None else signature_to_str(approval) for approval in approvals]


def view_block_header(header: BlockHeader) -> View:
    """``BlockHeaderView``."""
    sync_hash = header.epoch_sync_data_hash
    return {
        "approvals": _view_approvals(header.approvals),
        "block_body_hash": view_hash(header.block_body_hash),
        "block_merkle_root": view_hash(header.block_merkle_root),
        "block_ordinal": header.block_ordinal or None,
        "challenges_result": [],
        "challenges_root": ZERO_TEXT,
        "chunk_endorsements": [list(bits) for bits in header.chunk_endorsements],
        "chunk_headers_root": view_hash(header.chunk_headers_root),
        "chunk_mask": header.chunk_mask,
        "chunk_receipts_root": view_hash(header.prev_outgoing_receipts_root),
        "chunk_tx_root": view_hash(header.chunk_tx_root),
        "chunks_included": sum(header.chunk_mask),
        "epoch_id": view_hash(header.epoch_id),
        "epoch_sync_data_hash": None if sync_hash is None else view_hash(sync_hash),
        "gas_price": str(header.next_gas_price),
        "hash": view_hash(header.hash),
        "height": header.height,
        "last_ds_final_block": view_hash(header.last_ds_final_block),
        "last_final_block": view_hash(header.last_final_block),
        "latest_protocol_version": header.latest_protocol_version,
        "next_bp_hash": view_hash(header.next_bp_hash),
        "next_epoch_id": view_hash(header.next_epoch_id),
        "outcome_root": view_hash(header.prev_outcome_root),
        "prev_hash": view_hash(header.prev_hash),
        "prev_height": header.prev_height,
        "prev_state_root": view_hash(header.prev_state_root),
        "random_value": view_hash(header.random_value),
        "rent_paid": "0",
        "shard_split": header.shard_split,
        "signature": signature_to_str(header.signature),
        "timestamp": header.timestamp_ns,
        "timestamp_nanosec": str(header.timestamp_ns),
        "total_supply": str(header.total_supply),
        "validator_proposals": [view_validator_stake(stake) for stake in header.prev_validator_proposals],
        "validator_reward": "0",
    }


def view_block(block: Block, author: str) -> View:
    """``BlockView``."""
    return {
        "author": author,
        "chunks": [view_chunk_header(chunk) for chunk in block.chunks],
        "header": view_block_header(block.header),
    }


def view_chunk(chunk: Chunk, author: str, protocol_version: int = CURRENT) -> View:
    """``ChunkView``."""
    return {
        "author": author,
        "header": view_chunk_header(chunk.header),
        "receipts": [view_receipt(receipt, protocol_version) for receipt in chunk.prev_outgoing_receipts],
        "transactions": [view_transaction(signed, protocol_version) for signed in chunk.transactions],
    }


def view_inner_lite(header: BlockHeader) -> View:
    """``BlockHeaderInnerLiteView``."""
    return {
        "block_merkle_root": view_hash(header.block_merkle_root),
        "epoch_id": view_hash(header.epoch_id),
        "height": header.height,
        "next_bp_hash": view_hash(header.next_bp_hash),
        "next_epoch_id": view_hash(header.next_epoch_id),
        "outcome_root": view_hash(header.prev_outcome_root),
        "prev_state_root": view_hash(header.prev_state_root),
        "timestamp": header.timestamp_ns,
        "timestamp_nanosec": str(header.timestamp_ns),
    }


def view_light_block_header(header: BlockHeader) -> View:
    """``LightClientBlockLiteView``."""
    return {
        "inner_lite": view_inner_lite(header),
        "inner_rest_hash": view_hash(compute_rest_hash(header)),
        "prev_block_hash": view_hash(header.prev_hash),
    }


class LightClientBlock(Protocol):
    """A final block as a light client needs it."""

    @property
    def header(self) -> BlockHeader: ...
    @property
    def inner_rest_hash(self) -> CryptoHash: ...
    @property
    def next_block_inner_hash(self) -> CryptoHash: ...
    @property
    def next_block_producers(self) -> Sequence[ValidatorStake] | None: ...
    @property
    def approvals_after_next(self) -> Sequence[Signature | None]: ...


def view_light_client_block(block: LightClientBlock) -> View:
    """``LightClientBlockView``."""
    producers = block.next_block_producers
    return {
        "approvals_after_next": _view_approvals(block.approvals_after_next),
        "inner_lite": view_inner_lite(block.header),
        "inner_rest_hash": view_hash(block.inner_rest_hash),
        "next_block_inner_hash": view_hash(block.next_block_inner_hash),
        "next_bps": None if producers is None else [view_validator_stake(stake) for stake in producers],
        "prev_block_hash": view_hash(block.header.prev_hash),
    }
