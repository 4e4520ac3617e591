"""One receipt, and where it came from."""

from typing import Any, Final

from hither.codec import base58
from hither.primitives import views
from hither.primitives.types import CryptoHash
from hither.rpc.context import Context, Method
from hither.rpc.errors import handler_error
from hither.rpc.parameters import Field, flattened, missing_field, optional, read_u64, structure
from hither.rpc.values import read_hash


def get_receipt(context: Context, parameters: tuple[CryptoHash]) -> dict[str, Any]:
    """``EXPERIMENTAL_receipt``: one receipt, with its actions or data."""
    receipt = context.reader.get_receipt(parameters[0])
    if receipt is None:
        raise handler_error("receipt", "UNKNOWN_RECEIPT", receipt_id=base58.encode(parameters[0]))
    return views.view_receipt(receipt, context.protocol_version)


def get_origin(context: Context, parameters: tuple[Any, ...]) -> dict[str, Any]:
    """``EXPERIMENTAL_receipt_to_tx``: which transaction a receipt came of.

    Hints where to look are not needed here, so they are not used.
    """
    receipt_id: CryptoHash = parameters[-1]
    origin = context.reader.get_receipt_origin(receipt_id)
    if origin is None:
        raise handler_error("receipt_to_tx", "UNKNOWN_RECEIPT", receipt_id=base58.encode(receipt_id))
    return {
        "transaction_hash": base58.encode(origin.transaction_hash),
        "sender_account_id": origin.sender_id,
    }


def _read_id_within(value: dict[str, Any]) -> CryptoHash:
    if "receipt_id" not in value:
        raise missing_field("receipt_id")
    return read_hash(value["receipt_id"])


_HINTS: Final = tuple(
    Field(name, optional(read_u64), None) for name in ("block_height", "shard_id", "window")
)

METHODS: Final = {
    "EXPERIMENTAL_receipt": Method(
        structure("ReceiptReference", Field("receipt_id", read_hash)), get_receipt
    ),
    "EXPERIMENTAL_receipt_to_tx": Method(
        flattened("RpcReceiptToTxRequest", _HINTS, _read_id_within), get_origin
    ),
}
