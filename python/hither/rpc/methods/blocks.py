"""Blocks, chunks, and what a chunk says of congestion."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hither.chain.reader import (
    BlockReference,
    Finality,
    GarbageCollectedBlock,
    InvalidShardId,
    NotSyncedYet,
    UnknownBlock,
    UnknownChunk,
)
from hither.codec import base58
from hither.params import get_runtime_config
from hither.primitives import views
from hither.primitives.sharding import ExtendedCongestionInfo
from hither.primitives.types import BlockHeight
from hither.rpc.context import Context, Method
from hither.rpc.errors import RpcError, handler_error
from hither.rpc.parameters import Field, optional, structure
from hither.rpc.values import (
    BlockId,
    ChunkReference,
    read_block_id,
    read_block_reference,
    read_chunk_reference,
    single_or,
)
from hither.runtime.congestion_control import compute_congestion_level

if TYPE_CHECKING:
    from hither.primitives.chunk import Chunk

T = TypeVar("T")


def name_block(reference: object) -> str:
    """What NEAR's store says it did not find."""
    if isinstance(reference, bytes):
        return f"BLOCK: {base58.encode(reference)}"
    return f"BLOCK HEIGHT: {reference}"


def name_header(reference: object) -> str:
    """The same where only the header was looked for."""
    if isinstance(reference, bytes):
        return f"BLOCK HEADER: {base58.encode(reference)}"
    return f"BLOCK HEIGHT: {reference}"


def unknown_block(family: str, text: str) -> RpcError:
    """A block that is not there, or no longer."""
    return handler_error(family, "UNKNOWN_BLOCK", error_message=text)


def ask_about_block(family: str, ask: Callable[[], T], name: Callable[[object], str] = name_block) -> T:
    """The answer of the chain, its errors about blocks and chunks translated."""
    try:
        return ask()
    except UnknownBlock as error:
        raise unknown_block(family, name(error.reference)) from None
    except GarbageCollectedBlock as error:
        raise unknown_block(family, name(error.height)) from None
    except NotSyncedYet:
        raise handler_error(family, "NOT_SYNCED_YET") from None
    except InvalidShardId as error:
        raise handler_error(family, "INVALID_SHARD_ID", shard_id=error.shard_id) from None
    except UnknownChunk as error:
        text = base58.encode(error.chunk_hash)
        raise handler_error(family, "UNKNOWN_CHUNK", chunk_hash=text) from None


def get_block(context: Context, reference: BlockReference) -> dict[str, Any]:
    """``block``: its header and the headers of its chunks, with who made it."""
    block = ask_about_block("block", lambda: context.reader.get_block(reference))
    author = context.reader.get_block_producer(block.hash)
    return views.view_block(block, author)


def _find_chunk(context: Context, reference: ChunkReference) -> "Chunk":
    if isinstance(reference, bytes):
        return ask_about_block("chunk", lambda: context.reader.get_chunk(reference))
    block_id, shard_id = reference
    return ask_about_block("chunk", lambda: context.reader.get_chunk_of_block(block_id, shard_id))


def get_chunk(context: Context, reference: ChunkReference) -> dict[str, Any]:
    """``chunk``: its header, and the transactions and receipts in it."""
    chunk = _find_chunk(context, reference)
    return views.view_chunk(chunk, context.reader.get_chunk_producer(chunk.header), context.protocol_version)


def get_congestion_level(context: Context, reference: ChunkReference) -> dict[str, Any]:
    """``EXPERIMENTAL_congestion_level``: how full a shard was, from 0 to 1.

    By the rules of the epoch of the block that holds the chunk.
    """
    header = _find_chunk(context, reference).header
    height = BlockHeight(header.height_included)
    holder = ask_about_block("chunk", lambda: context.reader.get_header(height))
    config = get_runtime_config(context.reader.get_epoch(holder.epoch_id).protocol_version)
    # Missed chunks are not counted here: the header alone does not tell them.
    seen = ExtendedCongestionInfo(header.congestion_info)
    return {"congestion_level": compute_congestion_level(config.congestion_control, seen)}


def get_gas_price(context: Context, parameters: tuple[BlockId | None]) -> dict[str, Any]:
    """``gas_price``: what a unit of gas costs in yoctonear, as the newest or the named block says it."""
    reference: BlockReference = Finality.OPTIMISTIC if parameters[0] is None else parameters[0]
    header = ask_about_block("gas_price", lambda: context.reader.get_header(reference), name_header)
    return {"gas_price": str(header.next_gas_price)}


_read_block: Final = single_or(read_block_id, read_block_reference)
_read_gas_price: Final = structure("RpcGasPriceRequest", Field("block_id", optional(read_block_id), None))

METHODS: Final = {
    "block": Method(_read_block, get_block),
    "chunk": Method(read_chunk_reference, get_chunk),
    "EXPERIMENTAL_congestion_level": Method(read_chunk_reference, get_congestion_level),
    "gas_price": Method(_read_gas_price, get_gas_price),
}
