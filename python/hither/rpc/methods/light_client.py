"""What a light client needs: the next block to trust, and proofs against a trusted one."""

from typing import Any, Final

import msgspec

from hither.chain.reader import (
    GarbageCollectedBlock,
    InvalidShardId,
    NotConfirmed,
    UnknownBlock,
    UnknownTransactionOrReceipt,
)
from hither.codec import base58
from hither.primitives import views
from hither.primitives.types import AccountId, CryptoHash
from hither.rpc.context import Context, Method
from hither.rpc.errors import RpcError, handler_error
from hither.rpc.methods.blocks import name_header, unknown_block
from hither.rpc.parameters import Field, flattened, structure, tagged
from hither.rpc.values import read_account_id, read_hash, single_or

FAMILY: Final = "light_client_proof"


class ProofRequest(msgspec.Struct, frozen=True, gc=False):
    """An outcome to prove to a client that trusts ``head``."""

    head: CryptoHash
    id: CryptoHash
    account_id: AccountId


_read_proof_object: Final = flattened(
    "RpcLightClientExecutionProofRequest",
    (Field("light_client_head", read_hash),),
    tagged(
        "type",
        {
            "transaction": (Field("transaction_hash", read_hash), Field("sender_id", read_account_id)),
            "receipt": (Field("receipt_id", read_hash), Field("receiver_id", read_account_id)),
        },
    ),
)


def read_proof_request(value: Any) -> ProofRequest:
    """Which outcome, and the head."""
    head, (_, (id_, account_id)) = _read_proof_object(value)
    return ProofRequest(head, id_, account_id)


def _internal_error(text: str) -> RpcError:
    return handler_error(FAMILY, "INTERNAL_ERROR", error_message=text)


def _prove_block(context: Context, block_hash: CryptoHash, head_hash: CryptoHash) -> dict[str, Any]:
    """The light header of a block and its path to the root that ``head`` commits to."""
    reader = context.reader
    try:
        header = reader.get_header(block_hash)
        head = reader.get_header(head_hash)
        if header.height > head.height:
            block_text, head_text = base58.encode(block_hash), base58.encode(head_hash)
            raise _internal_error(f"block {block_text} is ahead of head block {head_text}")
        path = reader.get_block_proof(block_hash, head_hash)
    except UnknownBlock as error:
        raise unknown_block(FAMILY, name_header(error.reference)) from None
    except GarbageCollectedBlock as error:
        raise unknown_block(FAMILY, name_header(error.block_hash)) from None
    lite = views.view_light_block_header(header)
    return {"block_header_lite": lite, "block_proof": views.view_merkle_path(path)}


def prove_outcome(context: Context, request: ProofRequest) -> dict[str, Any]:
    """``light_client_proof``: that an outcome is in a chain whose head the client trusts."""
    text = base58.encode(request.id)
    try:
        proof = context.reader.get_outcome_proof(request.id, request.account_id)
    except UnknownTransactionOrReceipt:
        cause = "UNKNOWN_TRANSACTION_OR_RECEIPT"
        raise handler_error(FAMILY, cause, transaction_or_receipt_id=text) from None
    except NotConfirmed:
        raise handler_error(FAMILY, "NOT_CONFIRMED", transaction_or_receipt_id=text) from None
    except InvalidShardId as error:
        raise _internal_error(str(error)) from None
    outcome = views.view_outcome_with_proof(proof.outcome)
    return {
        "outcome_proof": {**outcome, "block_hash": base58.encode(proof.block_hash)},
        "outcome_root_proof": views.view_merkle_path(proof.outcome_root_proof),
        **_prove_block(context, proof.block_hash, request.head),
    }


def prove_block(context: Context, parameters: tuple[CryptoHash, CryptoHash]) -> dict[str, Any]:
    """``EXPERIMENTAL_light_client_block_proof``: that a block is below a head which the client trusts."""
    block_hash, head = parameters
    return _prove_block(context, block_hash, head)


def get_next_block(context: Context, parameters: tuple[CryptoHash]) -> dict[str, Any]:
    """``next_light_client_block``: the header that a light client needs after one that it has.

    An empty object when there is nothing newer.
    """
    try:
        block = context.reader.get_light_client_block(parameters[0])
    except UnknownBlock as error:
        raise unknown_block("next_light_client_block", name_header(error.reference)) from None
    return {} if block is None else views.view_light_client_block(block)


_read_block_proof: Final = structure(
    "RpcLightClientBlockProofRequest", Field("block_hash", read_hash), Field("light_client_head", read_hash)
)
_read_next: Final = single_or(
    lambda value: (read_hash(value),),
    structure("RpcLightClientNextBlockRequest", Field("last_block_hash", read_hash)),
)
_PROVE_OUTCOME: Final = Method(read_proof_request, prove_outcome)

METHODS: Final = {
    "light_client_proof": _PROVE_OUTCOME,
    "EXPERIMENTAL_light_client_proof": _PROVE_OUTCOME,
    "EXPERIMENTAL_light_client_block_proof": Method(_read_block_proof, prove_block),
    "next_light_client_block": Method(_read_next, get_next_block),
}
