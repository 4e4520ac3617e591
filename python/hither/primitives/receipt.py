"""Receipts: what shards send to each other and to themselves."""

import msgspec

from hither.primitives.account import GlobalContractIdentifier
from hither.primitives.action import Action
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
