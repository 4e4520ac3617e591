"""Where new receipts go while a chunk is applied: out now, into a buffer, or to a later chunk.

Each link to another shard has a gas limit from the receiver's congestion and a
size limit from the bandwidth scheduler. What exceeds them waits in this shard's
trie and goes out first next time (NEAR: ``ReceiptSinkV2``, ``DelayedReceiptQueueWrapper``).
"""

from collections.abc import Iterable

import msgspec

from hither.params import ProtocolFeature, RuntimeConfig
from hither.primitives.receipt import ActionReceipt, QueuedReceipt, Receipt, ReceiptMetadata, encode_receipt
from hither.primitives.sharding import BandwidthRequest, CongestionInfo, ExtendedCongestionInfo
from hither.primitives.types import Gas, ShardId
from hither.runtime.bandwidth_scheduler import BandwidthGrants, make_bandwidth_request
from hither.runtime.congestion_control import compute_outgoing_gas_limit
from hither.runtime.fees import GAS_MAX, Fees, receipt_congestion_gas
from hither.runtime.queues import DelayedReceiptQueue, OutgoingBuffers, ReceiptGroups
from hither.runtime.routing import get_receiver_shard
from hither.runtime.types import ApplyContext
from hither.state import ChunkState


def queue_receipt(receipt: Receipt, size_bytes: int, fees: Fees) -> QueuedReceipt:
    """The receipt with what congestion control will need again when it leaves its queue.

    Its gas is what it may burn where it goes; data and distributions of code count none.
    ``size_bytes`` is that of its encoded form.
    """
    body = receipt.body
    gas = Gas(0)
    if isinstance(body, ActionReceipt):
        gas = receipt_congestion_gas(fees, body, receipt.receiver_id)
    return QueuedReceipt(receipt, ReceiptMetadata(gas, size_bytes))


class DelayedReceipts:
    """The delayed queue, with the sum of what came and went for the chunk's congestion info."""

    def __init__(self, state: ChunkState, config: RuntimeConfig, fees: Fees) -> None:
        self._state = state
        self._config = config
        self._fees = fees
        self._queue = DelayedReceiptQueue(state)
        self._gas_change = 0
        self._bytes_change = 0

    def __len__(self) -> int:
        return len(self._queue)

    def push(self, receipt: Receipt) -> None:
        """Put off a receipt that this chunk has no room for."""
        item = queue_receipt(receipt, len(encode_receipt(receipt)), self._fees)
        self._gas_change += item.metadata.congestion_gas
        self._bytes_change += item.metadata.congestion_size
        self._queue.push_back(item)

    def pop_optional(self) -> Receipt | None:
        """The oldest; None when there is none, or when the storage proof is already over its soft limit."""
        if self._state.recorded_size > self._config.witness.main_storage_proof_size_soft_limit:
            return None
        item = self._queue.pop_front()
        if item is None:
            return None
        self._gas_change -= item.metadata.congestion_gas
        self._bytes_change -= item.metadata.congestion_size
        return item.receipt

    def compute_congestion_info(self, info: CongestionInfo) -> CongestionInfo:
        """``info`` with this chunk's changes of the queue."""
        gas = info.delayed_receipts_gas + self._gas_change
        size_bytes = info.receipt_bytes + self._bytes_change
        assert min(gas, size_bytes) >= 0, "the queue holds what the info counts"
        return msgspec.structs.replace(info, delayed_receipts_gas=gas, receipt_bytes=size_bytes)


class _LinkLimit:
    """What may still be sent to one shard in this chunk."""

    def __init__(self, gas: int, size_bytes: int) -> None:
        self.gas = gas
        self.size_bytes = size_bytes


class ReceiptSink:
    """Where new receipts go while a chunk is applied: out now, or into a buffer.

    ``outgoing_receipts`` are those that leave with this chunk, in order, ``outgoing_rows`` the same encoded.
    """

    def __init__(self, context: ApplyContext, fees: Fees, state: ChunkState, grants: BandwidthGrants) -> None:
        self._context = context
        self._fees = fees
        self._state = state
        self._grants = grants
        self._buffers = OutgoingBuffers(state)
        config = context.config
        self._receipt_size_max = config.wasm.limits.max_receipt_size
        # From 85 on a receipt too large for any link still passes one that is open.
        self._admission_gas_max: int = GAS_MAX
        if ProtocolFeature.CLAMP_OUTGOING_GAS_ADMISSION.is_enabled(context.protocol_version):
            self._admission_gas_max = config.congestion_control.allowed_shard_outgoing_gas
        self._limits = {
            shard_id: self._compute_limit(shard_id, extended)
            for shard_id, extended in context.congestion.items()
        }
        self._groups: dict[ShardId, ReceiptGroups] = {}
        for shard_id in self._buffers.list_shards():
            groups = ReceiptGroups.load_optional(state, shard_id)
            if groups is not None:
                self._groups[shard_id] = groups
        own = context.congestion[context.shard_id].info
        self._buffered_gas = own.buffered_receipts_gas
        self._receipt_bytes = own.receipt_bytes
        self._own_info = own
        self.outgoing_receipts: list[Receipt] = []
        self.outgoing_rows: list[bytes] = []

    def forward_from_buffers(self) -> None:
        """Send what waited longest, each shard's queue until the first receipt that does not fit."""
        for shard_id in self._context.shard_layout.shard_ids:
            sent: list[ReceiptMetadata] = []
            for item in self._buffers.iterate(shard_id):
                if not self._try_forward(item):
                    break
                self.outgoing_rows.append(encode_receipt(item.receipt))
                sent.append(item.metadata)
            self._buffers.drop_front(shard_id, len(sent))
            for metadata in sent:
                self._buffered_gas -= metadata.congestion_gas
                self._receipt_bytes -= metadata.congestion_size
                self._groups[shard_id].remove_receipt(metadata.congestion_size, metadata.congestion_gas)
        assert min(self._buffered_gas, self._receipt_bytes) >= 0

    def forward_or_buffer(self, receipt: Receipt) -> None:
        """Send the receipt if its link has room for it, else append it to the link's buffer."""
        row = encode_receipt(receipt)
        item = queue_receipt(receipt, len(row), self._fees)
        if self._try_forward(item):
            self.outgoing_rows.append(row)
            return
        shard_id = get_receiver_shard(self._context.shard_layout, receipt)
        metadata = item.metadata
        self._receipt_bytes += metadata.congestion_size
        self._buffered_gas += metadata.congestion_gas
        groups = self._groups.get(shard_id)
        if groups is None:
            groups = self._groups[shard_id] = ReceiptGroups(self._state, shard_id)
        groups.add_receipt(metadata.congestion_size, metadata.congestion_gas)
        self._buffers.push_back(shard_id, item)

    def compute_congestion_info(self, delayed: DelayedReceipts) -> CongestionInfo:
        """What the next chunk header says: queues as they are now, and who may send if the shard is full.

        The allowed shard goes round by height, with a different start per shard.
        """
        layout = self._context.shard_layout
        own_index = layout.shard_ids.index(self._context.shard_id)
        turn = (self._context.block_height + own_index) % 2**64 % len(layout.shard_ids)
        info = msgspec.structs.replace(
            self._own_info,
            buffered_receipts_gas=self._buffered_gas,
            receipt_bytes=self._receipt_bytes,
            allowed_shard=layout.shard_ids[turn],
        )
        return delayed.compute_congestion_info(info)

    def make_bandwidth_requests(self) -> tuple[BandwidthRequest, ...]:
        """One for each shard whose buffered receipts need more than the base."""
        params = self._grants.params
        requests = []
        for shard_id in self._context.shard_layout.shard_ids:
            sizes = (min(size, params.max_receipt_size) for size in self._iterate_group_sizes(shard_id))
            request = make_bandwidth_request(shard_id, sizes, params)
            if request is not None:
                requests.append(request)
        return tuple(requests)

    def _iterate_group_sizes(self, shard_id: ShardId) -> Iterable[int]:
        count = self._buffers.count(shard_id)
        if count == 0:
            return ()
        groups = self._groups.get(shard_id)
        if groups is None or groups.receipts_count != count:
            return (self._grants.params.max_receipt_size,)
        return groups.iterate_sizes()

    def _compute_limit(self, shard_id: ShardId, extended: ExtendedCongestionInfo) -> _LinkLimit:
        """Nothing limits gas that stays in the shard: it takes the same memory in either queue."""
        own_id = self._context.shard_id
        gas = GAS_MAX
        if shard_id != own_id:
            congestion_config = self._context.config.congestion_control
            gas = compute_outgoing_gas_limit(congestion_config, extended, own_id)
        return _LinkLimit(gas, self._grants.get_granted_bytes(own_id, shard_id))

    def _try_forward(self, item: QueuedReceipt) -> bool:
        """Send if both limits of the link allow it, and lower them.

        Oversized receipts exist (results made large after their size check); they
        count as the largest allowed, else they could never leave.
        """
        shard_id = get_receiver_shard(self._context.shard_layout, item.receipt)
        size_bytes = min(item.metadata.congestion_size, self._receipt_size_max)
        gas = item.metadata.congestion_gas
        limit = self._limits.get(shard_id)
        if limit is None:
            limit = self._limits[shard_id] = _LinkLimit(GAS_MAX, 0)
        if limit.gas < min(gas, self._admission_gas_max) or limit.size_bytes < size_bytes:
            return False
        self.outgoing_receipts.append(item.receipt)
        limit.gas = max(0, limit.gas - gas)
        limit.size_bytes -= size_bytes
        return True
