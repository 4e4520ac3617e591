"""Light-client blocks (NEAR's ``LightClientBlockView``): final blocks with what proves it.

Source: nearcore chain/chain/src/{chain,lightclient}.rs.
"""

from collections.abc import Callable

from hither.chain.reader import LightClientBlock
from hither.primitives.block import BlockHeader, compute_inner_hash, compute_rest_hash
from hither.primitives.sharding import ValidatorStake
from hither.primitives.types import ZERO_HASH, BlockHeight, CryptoHash

GetHeader = Callable[[CryptoHash | BlockHeight], BlockHeader]


def find_final_block_of_epoch(header: BlockHeader, get_header: GetHeader) -> BlockHeader | None:
    """The newest final block that ``header`` knows of whose two successors are in its own epoch.

    A light client checks the successors' approvals against one set of producers.
    """
    if header.last_final_block == ZERO_HASH:
        return None
    final = get_header(header.last_final_block)
    if final.is_genesis:
        return None
    if get_header(BlockHeight(final.height + 2)).epoch_id == final.epoch_id:
        return final
    one_ahead = get_header(BlockHeight(final.height + 1))
    earlier = final if one_ahead.epoch_id != final.epoch_id else one_ahead
    return None if earlier.last_final_block == ZERO_HASH else get_header(earlier.last_final_block)


def make_light_client_block(
    final: BlockHeader, get_header: GetHeader, next_producers: tuple[ValidatorStake, ...]
) -> LightClientBlock:
    """The block with its successors' hash and approvals; heights follow each other."""
    following = get_header(BlockHeight(final.height + 1))
    after_next = get_header(BlockHeight(final.height + 2))
    return LightClientBlock(
        header=final,
        inner_rest_hash=CryptoHash(compute_rest_hash(final)),
        next_block_inner_hash=CryptoHash(compute_inner_hash(following)),
        next_block_producers=next_producers,
        approvals_after_next=after_next.approvals,
    )
