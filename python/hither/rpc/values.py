"""Readers for the protocol's own texts: hashes, account ids, keys, block references.

Each raises ``InvalidParameters`` with the message of NEAR's own parser. Nothing here
looks anything up.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from hither.chain.reader import BlockReference, Finality
from hither.codec import base58
from hither.crypto.keys import (
    InvalidKey,
    KeyHandle,
    PublicKey,
    key_handle_from_str,
    public_key_from_str,
)
from hither.primitives.ids import explain_account_id, is_valid_account_id
from hither.primitives.types import AccountId, BlockHeight, CryptoHash, ShardId
from hither.rpc.parameters import (
    U64_MAX,
    Field,
    InvalidParameters,
    Reader,
    enumeration,
    flattened_enumeration,
    invalid_type,
    read_string,
    read_u64,
    structure,
    tuple_of,
)

HASH_SIZE: Final = 32


def read_hash(value: Any) -> CryptoHash:
    """A hash of 32 bytes in base58."""
    if not isinstance(value, str):
        raise invalid_type(value, "base58-encoded 256-bit hash")
    try:
        return CryptoHash(base58.decode(value, HASH_SIZE))
    except base58.WrongSize:
        message = f"invalid length {len(value.encode())}, expected base58-encoded 256-bit hash"
        raise InvalidParameters(message) from None
    except base58.InvalidBase58 as error:
        raise InvalidParameters(str(error)) from None


def read_account_id(value: Any) -> AccountId:
    """A valid account id."""
    text = read_string(value)
    if not is_valid_account_id(text):
        raise InvalidParameters(f'invalid value: "{text}", {explain_account_id(text)}')
    return AccountId(text)


def read_public_key(value: Any) -> PublicKey:
    """A key as ``kind:base58``; without a kind it is ed25519."""
    try:
        return public_key_from_str(read_string(value))
    except InvalidKey as error:
        raise InvalidParameters(str(error)) from None


def read_key_handle(value: Any) -> KeyHandle:
    """A key as key lists show it; of ML-DSA-65 only the digest form."""
    try:
        return key_handle_from_str(read_string(value))
    except InvalidKey as error:
        raise InvalidParameters(str(error)) from None


def untagged(name: str, *readers: Reader[Any]) -> Reader[Any]:
    """The first of ``readers`` that takes the value; their own messages are lost."""

    def read(value: Any) -> Any:
        for reader in readers:
            try:
                return reader(value)
            except InvalidParameters:
                continue
        raise InvalidParameters(f"data did not match any variant of untagged enum {name}")

    return read


BlockId = CryptoHash | BlockHeight
_read_block_id_slowly: Reader[BlockId] = untagged("BlockId", read_u64, read_hash)


def read_block_id(value: Any) -> BlockId:
    """A height or a block hash."""
    if type(value) is int and 0 <= value <= U64_MAX:
        return BlockHeight(value)
    return _read_block_id_slowly(value)


_FINALITIES: Final = {finality.value: finality for finality in Finality}
_read_finality_word = enumeration(dict.fromkeys(_FINALITIES))
_read_checkpoint_word = enumeration(dict.fromkeys(("genesis", "earliest_available")))


def _read_finality(value: Any) -> BlockReference:
    return _FINALITIES[_read_finality_word(value)[0]]


def _read_checkpoint(value: Any) -> BlockReference:
    return "genesis" if _read_checkpoint_word(value)[0] == "genesis" else "earliest_available"


_BLOCK_REFERENCES: Final[Mapping[str, Reader[BlockReference]]] = {
    "block_id": read_block_id,
    "finality": _read_finality,
    "sync_checkpoint": _read_checkpoint,
}
_read_reference_alone = enumeration(_BLOCK_REFERENCES)
_read_reference_within = flattened_enumeration("BlockReference", _BLOCK_REFERENCES)


def read_block_reference(value: Any) -> BlockReference:
    """A block reference that is the whole of the parameters."""
    reference = _read_reference_alone(value)[1]
    assert reference is not None, "every block reference has a value"
    return reference


def read_block_reference_within(value: dict[str, Any]) -> BlockReference:
    """A block reference beside other fields."""
    return _read_reference_within(value)[1]


def describe_block_reference(reference: BlockReference) -> dict[str, Any]:
    """The JSON form, for errors."""
    if isinstance(reference, Finality):
        return {"finality": reference.value}
    if isinstance(reference, str):
        return {"sync_checkpoint": reference}
    if isinstance(reference, bytes):
        return {"block_id": base58.encode(reference)}
    return {"block_id": reference}


def debug_block_reference(reference: BlockReference) -> str:
    """The form that messages show."""
    if isinstance(reference, Finality):
        word = {"optimistic": "None", "near-final": "DoomSlug", "final": "Final"}[reference.value]
        return f"Finality({word})"
    if isinstance(reference, str):
        return f"SyncCheckpoint({'Genesis' if reference == 'genesis' else 'EarliestAvailable'})"
    if isinstance(reference, bytes):
        return f"BlockId(Hash({base58.encode(reference)}))"
    return f"BlockId(Height({reference}))"


ChunkReference = CryptoHash | tuple[BlockId, ShardId]
_read_chunk_id: Final = structure("", Field("chunk_id", read_hash))
_read_chunk_reference_alone: Reader[ChunkReference] = untagged(
    "ChunkReference",
    structure("", Field("block_id", read_block_id), Field("shard_id", read_u64)),
    lambda value: _read_chunk_id(value)[0],
)
_read_block_and_shard = tuple_of(read_block_id, read_u64)


def read_chunk_reference(value: Any) -> ChunkReference:
    """A chunk by its hash, or by block and shard; also as ``[[block, shard]]`` and ``[hash]``."""
    if isinstance(value, list) and len(value) == 1:
        (single,) = value
        if isinstance(single, list):
            block_id, shard_id = _read_block_and_shard(single)
            return block_id, shard_id
        return read_hash(single)
    return _read_chunk_reference_alone(value)


def single_or(reader_of_single: Reader[Any], reader: Reader[Any]) -> Callable[[Any], Any]:
    """The older form, an array of one element, or the newer one."""

    def read(value: Any) -> Any:
        if isinstance(value, list) and len(value) == 1:
            return reader_of_single(value[0])
        return reader(value)

    return read
