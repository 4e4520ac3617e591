"""Receipts: what shards send to each other and to themselves."""

from typing import Any

import msgspec

from hither.codec.borsh import (
    BYTES,
    HASH,
    U64,
    U128,
    Codec,
    chosen,
    option,
    prefixed,
    record,
    sequence,
)
from hither.crypto.keys import PUBLIC_KEY
from hither.primitives.account import GLOBAL_CONTRACT_IDENTIFIER, GlobalContractIdentifier
from hither.primitives.action import ACTIONS, Action
from hither.primitives.ids import ACCOUNT_ID
from hither.primitives.types import (
    AccountId,
    Balance,
    CryptoHash,
    Gas,
    Nonce,
    PublicKey,
    ShardId,
)


class DataReceiver(msgspec.Struct, frozen=True, gc=False):
    """Who gets an action receipt's result, and under which data id."""

    data_id: CryptoHash
    receiver_id: AccountId


class ActionReceipt(msgspec.Struct, frozen=True, gc=False):
    """Actions to perform once all input data is there.

    ``version`` 2 carries ``refund_to``; ``is_promise_yield`` marks a receipt that
    waits for a resume. Together they choose the wire tag: 0, 2, 5 or 6.
    """

    signer_id: AccountId
    signer_public_key: PublicKey
    gas_price: Balance
    output_data_receivers: tuple[DataReceiver, ...]
    input_data_ids: tuple[CryptoHash, ...]
    actions: tuple[Action, ...]
    refund_to: AccountId | None = None
    version: int = 1
    is_promise_yield: bool = False


class DataReceipt(msgspec.Struct, frozen=True, gc=False):
    """One input for a waiting action receipt; None says the sender failed.

    ``is_promise_resume`` marks the answer to a yield. Wire tags 1 and 3.
    """

    data_id: CryptoHash
    data: bytes | None
    is_promise_resume: bool = False


class GlobalContractDistribution(msgspec.Struct, frozen=True, gc=False):
    """Global code on its way through the shards. Wire tag 4; ``nonce`` is None in version 1."""

    id: GlobalContractIdentifier
    target_shard: ShardId
    already_delivered_shards: tuple[ShardId, ...]
    code: bytes
    nonce: Nonce | None = None


ReceiptBody = ActionReceipt | DataReceipt | GlobalContractDistribution


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """An envelope: from whom, to whom, which id, and what."""

    predecessor_id: AccountId
    receiver_id: AccountId
    receipt_id: CryptoHash
    body: ReceiptBody


class ReceiptMetadata(msgspec.Struct, frozen=True, gc=False):
    """What a delayed or buffered receipt remembers for congestion control."""

    congestion_gas: Gas
    congestion_size: int


class QueuedReceipt(msgspec.Struct, frozen=True, gc=False):
    """A delayed or buffered receipt as the trie stores it (wire version 1)."""

    receipt: Receipt
    metadata: ReceiptMetadata


DATA_RECEIVER: Codec[DataReceiver] = record(DataReceiver, {"data_id": HASH, "receiver_id": ACCOUNT_ID})

_ACTION_FIELDS: dict[str, Codec[Any]] = {
    "signer_public_key": PUBLIC_KEY,
    "gas_price": U128,
    "output_data_receivers": sequence(DATA_RECEIVER),
    "input_data_ids": sequence(HASH),
    "actions": ACTIONS,
}
_ACTION_V1: dict[str, Codec[Any]] = {"signer_id": ACCOUNT_ID, **_ACTION_FIELDS}
_ACTION_V2: dict[str, Codec[Any]] = {
    "signer_id": ACCOUNT_ID,
    "refund_to": option(ACCOUNT_ID),
    **_ACTION_FIELDS,
}
_DATA: dict[str, Codec[Any]] = {"data_id": HASH, "data": option(BYTES)}
_DISTRIBUTION: dict[str, Codec[Any]] = {
    "id": GLOBAL_CONTRACT_IDENTIFIER,
    "target_shard": U64,
    "already_delivered_shards": sequence(U64),
    "code": BYTES,
}


def _choose_body(body: ReceiptBody) -> int:
    if type(body) is ActionReceipt:
        if body.version == 1:
            return 2 if body.is_promise_yield else 0
        return 6 if body.is_promise_yield else 5
    if type(body) is DataReceipt:
        return 3 if body.is_promise_resume else 1
    return 4


RECEIPT_BODY: Codec[ReceiptBody] = chosen(
    _choose_body,
    {
        0: record(ActionReceipt, _ACTION_V1),
        1: record(DataReceipt, _DATA),
        2: record(ActionReceipt, _ACTION_V1, {"is_promise_yield": True}),
        3: record(DataReceipt, _DATA, {"is_promise_resume": True}),
        4: chosen(
            lambda body: 0 if body.nonce is None else 1,
            {
                0: record(GlobalContractDistribution, _DISTRIBUTION),
                1: record(GlobalContractDistribution, {**_DISTRIBUTION, "nonce": U64}),
            },
        ),
        5: record(ActionReceipt, _ACTION_V2, {"version": 2}),
        6: record(ActionReceipt, _ACTION_V2, {"version": 2, "is_promise_yield": True}),
    },
)
RECEIPT: Codec[Receipt] = record(
    Receipt,
    {"predecessor_id": ACCOUNT_ID, "receiver_id": ACCOUNT_ID, "receipt_id": HASH, "body": RECEIPT_BODY},
)
RECEIPTS: Codec[tuple[Receipt, ...]] = sequence(RECEIPT)

_METADATA = record(ReceiptMetadata, {"congestion_gas": U64, "congestion_size": U64})
_QUEUED_FIELDS: dict[str, Codec[Any]] = {"receipt": RECEIPT, "metadata": _METADATA}
_QUEUED_V0 = prefixed(b"\xff\xff\0", record(QueuedReceipt, _QUEUED_FIELDS))
_QUEUED_V1 = prefixed(b"\xff\xff\1", record(QueuedReceipt, _QUEUED_FIELDS))

encode_receipt = RECEIPT.encode
decode_receipt = RECEIPT.decode
encode_receipts = RECEIPTS.encode
decode_receipts = RECEIPTS.decode
encode_queued_receipt = _QUEUED_V1.encode

RECEIVED_DATA: Codec[bytes | None] = option(BYTES)
"""The trie record of a data receipt that arrived before the receipt that waits for it."""

encode_received_data = RECEIVED_DATA.encode
decode_received_data = RECEIVED_DATA.decode


def decode_queued_receipt(data: bytes) -> QueuedReceipt:
    """A delayed or buffered receipt of either version, or ``InvalidBorsh``."""
    return _QUEUED_V0.decode(data) if data[2:3] == b"\0" else _QUEUED_V1.decode(data)
