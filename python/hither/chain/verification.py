"""Making sure of a stored chain: apply it again from genesis and compare with what its headers say."""

from collections.abc import Mapping, Sequence

from hither.chain.application import ShardWork, apply_block
from hither.chain.genesis_block import make_genesis_head
from hither.chain.head import ChainHead
from hither.chain.parameters import ChainParameters
from hither.chain.rows import ChainRows
from hither.primitives.block import Block
from hither.primitives.types import BlockHeight, ShardId
from hither.runtime.apply import apply_chunk
from hither.runtime.types import ApplyResult
from hither.state import Trie
from hither.vm import Vm


class ChainDiffers(AssertionError):
    """The stored chain is not what follows from its genesis. The message says where."""


def reexecute(
    parameters: ChainParameters, tries: Mapping[ShardId, Trie], rows: ChainRows, vm: Vm
) -> ChainHead:
    """Apply every stored block on the genesis state; the head that comes out. Raises ChainDiffers.

    Compared are the roots that each chunk header commits to, and each block's place in its epoch.
    Nothing may have been pruned, and no state patched by hand.
    """
    head = make_genesis_head(parameters, tries)
    block = rows.get_next_block(head.height)
    while block is not None:
        head = _apply(head, parameters, block, rows, vm)
        block = rows.get_next_block(BlockHeight(block.header.height))
    return head


def _apply(head: ChainHead, parameters: ChainParameters, block: Block, rows: ChainRows, vm: Vm) -> ChainHead:
    height = block.header.height
    if block.header.prev_hash != head.hash:
        raise ChainDiffers(f"block {height} does not follow block {head.height}")
    ids = head.position.get_epoch_ids_of_next_block(parameters.epoch_config)
    if ids != (block.header.epoch_id, block.header.next_epoch_id):
        raise ChainDiffers(f"block {height} is in another epoch")
    chunks = {}
    for index, (header, shard) in enumerate(zip(block.chunks, head.shards, strict=True)):
        if header.height_included != height:
            continue
        chunk = rows.get_chunk(height, index)
        if chunk is None or chunk.header.hash != header.hash:
            raise ChainDiffers(f"chunk {index} of block {height} is missing")
        result = shard.result
        expected = (shard.trie.root, result.outcome_root, result.gas_used, result.balance_burnt)
        found = (
            header.prev_state_root,
            header.prev_outcome_root,
            header.prev_gas_used,
            header.prev_balance_burnt,
        )
        if expected != found or result.congestion_info != header.congestion_info:
            raise ChainDiffers(f"chunk {index} of block {height} commits to another result")
        if chunk.prev_outgoing_receipts != result.outgoing_receipts:
            raise ChainDiffers(f"chunk {index} of block {height} holds other receipts")
        chunks[header.shard_id] = chunk

    def apply(work: Sequence[ShardWork]) -> list[ApplyResult]:
        return [
            apply_chunk(part.trie, part.context, part.transactions, part.incoming_receipts, vm)
            for part in work
        ]

    return apply_block(head, parameters, block, chunks, apply)[0]
