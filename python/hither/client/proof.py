"""Whether a transaction or receipt had an outcome, believed on hashes alone.

A light client knows a block and believes nothing else. ``EXPERIMENTAL_light_client_proof`` gives four paths of
hashes, each computed here anew: the outcome in its chunk, the chunk in its block, the block's own hash, and the block
in the tree of all blocks before the one that is known (``block_merkle_root`` in its header).

Source: NEAR's light client specification (NEP-25); nearcore chain/jsonrpc/jsonrpc-primitives/src/types/light_client.rs.
"""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from hither.codec import base58
from hither.crypto.hashing import combine_hashes, sha256
from hither.primitives.merkle import Direction, MerklePathItem, compute_root_from_path
from hither.primitives.outcome import (
    Failure,
    Outcome,
    Status,
    SuccessReceiptId,
    SuccessValue,
    Unknown,
    compute_outcome_leaf,
)
from hither.primitives.types import AccountId, Balance, CryptoHash, Gas

Json = Mapping[str, Any]


class InvalidProof(Exception):
    """A path of hashes does not lead where it should; the message says which, or what could not be read."""


def verify_outcome_proof(proof: Json, block_merkle_root: str) -> None:
    """Check an answer of ``EXPERIMENTAL_light_client_proof`` against a header that is believed.

    ``block_merkle_root`` is that of the block which the question named as ``light_client_head``. Raises
    ``InvalidProof``.
    """
    try:
        block_hash = _compute_block_hash(proof)
        outcome_root = _compute_outcome_root(proof)
        known = _read_hash(block_merkle_root)
        root = compute_root_from_path(block_hash, _read_path(proof["block_proof"]))
        said = _read_hash(proof["block_header_lite"]["inner_lite"]["outcome_root"])
        named = _read_hash(proof["outcome_proof"]["block_hash"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidProof(f"not a proof: {type(error).__name__}: {error}") from error
    if outcome_root != said:
        raise InvalidProof("the outcome is not among those of the block")
    if named != block_hash:
        raise InvalidProof("the outcome names another block than the header")
    if root != known:
        raise InvalidProof("the block is not among those before the one that is known")


def _compute_outcome_root(proof: Json) -> CryptoHash:
    part = proof["outcome_proof"]
    chunk_root = compute_root_from_path(compute_outcome_leaf(_read_outcome(part)), _read_path(part["proof"]))
    return compute_root_from_path(sha256(chunk_root), _read_path(proof["outcome_root_proof"]))


def _read_outcome(part: Json) -> Outcome:
    body = part["outcome"]
    return Outcome(
        id=_read_hash(part["id"]),
        logs=tuple(body["logs"]),
        receipt_ids=tuple(_read_hash(one) for one in body["receipt_ids"]),
        gas_burnt=Gas(int(body["gas_burnt"])),
        tokens_burnt=Balance(int(body["tokens_burnt"])),
        executor_id=AccountId(body["executor_id"]),
        status=_read_status(body["status"]),
    )


def _read_status(status: Any) -> Status:
    if status == "Unknown":
        return Unknown()
    ((kind, value),) = status.items()
    match kind:
        case "Failure":
            return Failure(None)  # Why it failed is not part of what is hashed.
        case "SuccessValue":
            return SuccessValue(b64decode(value, validate=True))
        case "SuccessReceiptId":
            return SuccessReceiptId(_read_hash(value))
    raise ValueError(f"an unknown status: {kind}")


def _compute_block_hash(proof: Json) -> CryptoHash:
    header = proof["block_header_lite"]
    lite = header["inner_lite"]
    parts = [int(lite["height"]).to_bytes(8, "little")]
    parts += [
        _read_hash(lite[name]) for name in ("epoch_id", "next_epoch_id", "prev_state_root", "outcome_root")
    ]
    parts.append(int(lite["timestamp_nanosec"]).to_bytes(8, "little"))
    parts += [_read_hash(lite[name]) for name in ("next_bp_hash", "block_merkle_root")]
    inner = combine_hashes(sha256(b"".join(parts)), _read_hash(header["inner_rest_hash"]))
    return CryptoHash(combine_hashes(inner, _read_hash(header["prev_block_hash"])))


def _read_path(items: Any) -> list[MerklePathItem]:
    return [MerklePathItem(_read_hash(one["hash"]), Direction(one["direction"])) for one in items]


def _read_hash(text: str) -> CryptoHash:
    return CryptoHash(base58.decode(text, 32))
