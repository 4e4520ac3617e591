"""What leaves a shard now, what waits in its buffers, and what the next chunk header says of it."""

import msgspec
import pytest

from hither.crypto.keys import ED25519, PublicKey
from hither.params import get_runtime_config
from hither.primitives.action import FunctionCall
from hither.primitives.receipt import (
    ActionReceipt,
    DataReceipt,
    Receipt,
    ReceiptMetadata,
    encode_receipt,
)
from hither.primitives.sharding import CongestionInfo, ExtendedCongestionInfo, ShardLayout
from hither.primitives.types import (
    ZERO_HASH,
    AccountId,
    Balance,
    CryptoHash,
    EpochHeight,
    Gas,
    ShardId,
)
from hither.runtime.bandwidth_scheduler import BandwidthGrants
from hither.runtime.bandwidth_scheduler.params import compute_bandwidth_params, get_requested_values
from hither.runtime.fees import get_fees
from hither.runtime.receipt_sink import DelayedReceipts, ReceiptSink, queue_receipt
from hither.runtime.types import ApplyContext
from hither.state import ChunkState, Trie, keys

PGAS = 10**15
HERE, THERE = ShardId(0), ShardId(1)
LAYOUT = ShardLayout((AccountId("m.near"),), (HERE, THERE))
FULL = CongestionInfo(delayed_receipts_gas=400 * PGAS, allowed_shard=9)


def make_context(version: int = 88, height: int = 10, **infos: CongestionInfo) -> ApplyContext:
    return ApplyContext(
        chain_id="localnet",
        protocol_version=version,
        config=get_runtime_config(version),
        shard_layout=LAYOUT,
        shard_id=HERE,
        block_height=height,
        prev_block_hash=ZERO_HASH,
        block_timestamp_ns=0,
        epoch_id=ZERO_HASH,
        epoch_height=EpochHeight(1),
        gas_price=Balance(1),
        gas_limit=Gas(PGAS),
        random_value=ZERO_HASH,
        congestion={
            HERE: ExtendedCongestionInfo(infos.get("here", CongestionInfo())),
            THERE: ExtendedCongestionInfo(infos.get("there", CongestionInfo())),
        },
        bandwidth_requests={},
        validators=(),
    )


def make_sink(context: ApplyContext, state: ChunkState, granted_bytes: int = 4_500_000) -> ReceiptSink:
    grants = BandwidthGrants(
        {(HERE, shard_id): granted_bytes for shard_id in (HERE, THERE)},
        compute_bandwidth_params(context.config, 2),
    )
    return ReceiptSink(context, get_fees(context.config), state, grants)


def make_call(number: int, receiver: str = "zoe.near", gas: int = 10**12, size_bytes: int = 0) -> Receipt:
    action = FunctionCall("run", bytes(size_bytes), Gas(gas), Balance(0))
    body = ActionReceipt(
        AccountId("alice.near"), PublicKey(ED25519, bytes(32)), Balance(1), (), (), (action,)
    )
    receipt_id = CryptoHash(bytes([number]) * 32)
    return Receipt(AccountId("alice.near"), AccountId(receiver), receipt_id, body)


def test_receipts_leave_while_the_grant_lasts_then_wait() -> None:
    """A small receipt may overtake a large one that did not fit: NEAR looks at each by itself."""
    state = ChunkState(Trie())
    sink = make_sink(make_context(), state, granted_bytes=10_000)
    for number, size_bytes in ((1, 6_000), (2, 6_000), (3, 10)):
        sink.forward_or_buffer(make_call(number, size_bytes=size_bytes))
    assert [receipt.receipt_id[0] for receipt in sink.outgoing_receipts] == [1, 3]
    assert state.get(keys.buffered_receipt(THERE, 0)) is not None


def test_what_waits_leaves_first_next_time() -> None:
    state = ChunkState(Trie())
    sink = make_sink(make_context(), state, granted_bytes=0)
    for number in (1, 2):
        sink.forward_or_buffer(make_call(number))
    info = sink.compute_congestion_info(
        DelayedReceipts(state, get_runtime_config(88), get_fees(get_runtime_config(88)))
    )
    assert info.buffered_receipts_gas > 2 * 10**12
    assert info.receipt_bytes == 2 * len(encode_receipt(make_call(1)))
    later = make_sink(make_context(here=info), state)
    later.forward_from_buffers()
    later.forward_or_buffer(make_call(3))
    assert [receipt.receipt_id[0] for receipt in later.outgoing_receipts] == [1, 2, 3]
    config = get_runtime_config(88)
    after = later.compute_congestion_info(DelayedReceipts(state, config, get_fees(config)))
    assert (after.buffered_receipts_gas, after.receipt_bytes) == (0, 0)


def test_buffer_stops_at_the_first_that_does_not_fit() -> None:
    state = ChunkState(Trie())
    sink = make_sink(make_context(), state, granted_bytes=0)
    for number, size_bytes in ((1, 10), (2, 9_000), (3, 10)):
        sink.forward_or_buffer(make_call(number, size_bytes=size_bytes))
    config = get_runtime_config(88)
    info = sink.compute_congestion_info(DelayedReceipts(state, config, get_fees(config)))
    later = make_sink(make_context(here=info), state, granted_bytes=5_000)
    later.forward_from_buffers()
    assert [receipt.receipt_id[0] for receipt in later.outgoing_receipts] == [1]


def test_a_full_receiver_gets_nothing_but_its_own_shard_is_not_limited() -> None:
    sink = make_sink(make_context(here=FULL, there=FULL), ChunkState(Trie()))
    sink.forward_or_buffer(make_call(1))
    sink.forward_or_buffer(make_call(2, receiver="alice.near", gas=PGAS))
    assert [receipt.receipt_id[0] for receipt in sink.outgoing_receipts] == [2]


@pytest.mark.parametrize(("version", "leaves"), [(84, False), (85, True)])
def test_a_receipt_of_more_gas_than_the_allowed_share_can_leave(version: int, leaves: bool) -> None:
    """Fees on top of a full Pgas made such a receipt wait for ever before 85."""
    allowed = msgspec.structs.replace(FULL, allowed_shard=HERE)
    sink = make_sink(make_context(version, there=allowed), ChunkState(Trie()))
    sink.forward_or_buffer(make_call(1, gas=PGAS))
    assert bool(sink.outgoing_receipts) is leaves
    sink.forward_or_buffer(make_call(2, gas=10**9))
    assert [receipt.receipt_id[0] for receipt in sink.outgoing_receipts] == ([1] if leaves else [2])


def test_oversized_receipts_count_as_the_largest_allowed() -> None:
    """They cannot be refused any more, and would never fit a grant."""
    limit = get_runtime_config(88).wasm.limits.max_receipt_size
    sink = make_sink(make_context(), ChunkState(Trie()), granted_bytes=limit)
    sink.forward_or_buffer(make_call(1, size_bytes=limit))
    assert len(sink.outgoing_receipts) == 1


def test_waiting_receipts_ask_for_bandwidth() -> None:
    state = ChunkState(Trie())
    sink = make_sink(make_context(), state, granted_bytes=0)
    assert sink.make_bandwidth_requests() == ()
    sink.forward_or_buffer(make_call(1, size_bytes=150_000))
    (request,) = sink.make_bandwidth_requests()
    params = compute_bandwidth_params(get_runtime_config(88), 2)
    assert request.to_shard == THERE
    assert get_requested_values(request, params)[0] >= 150_000


@pytest.mark.parametrize(("height", "allowed"), [(10, HERE), (11, THERE)])
def test_the_allowed_shard_goes_round(height: int, allowed: ShardId) -> None:
    state = ChunkState(Trie())
    config = get_runtime_config(88)
    sink = make_sink(make_context(height=height), state)
    info = sink.compute_congestion_info(DelayedReceipts(state, config, get_fees(config)))
    assert info.allowed_shard == allowed


def test_data_counts_its_bytes_but_no_gas() -> None:
    receipt = Receipt(
        AccountId("alice.near"), AccountId("zoe.near"), ZERO_HASH, DataReceipt(ZERO_HASH, b"data")
    )
    item = queue_receipt(receipt, get_fees(get_runtime_config(88)))
    assert item.metadata == ReceiptMetadata(Gas(0), len(encode_receipt(receipt)))


def test_delayed_receipts_change_the_congestion_info() -> None:
    state = ChunkState(Trie())
    config = get_runtime_config(88)
    delayed = DelayedReceipts(state, config, get_fees(config))
    delayed.push(make_call(1))
    delayed.push(make_call(2))
    assert delayed.pop_optional() == make_call(1)
    info = delayed.compute_congestion_info(CongestionInfo(delayed_receipts_gas=5, receipt_bytes=7))
    metadata = queue_receipt(make_call(2), get_fees(config)).metadata
    assert info.delayed_receipts_gas == 5 + metadata.congestion_gas
    assert info.receipt_bytes == 7 + metadata.congestion_size


def test_delayed_receipts_stay_when_the_proof_is_over_its_limit() -> None:
    """A receipt that is taken out must be processed, so none is taken out of an already full chunk."""
    trie = Trie().update([(keys.contract_data(AccountId("alice.near"), b"k"), bytes(4_000_001))])
    state = ChunkState(trie)
    config = get_runtime_config(88)
    delayed = DelayedReceipts(state, config, get_fees(config))
    delayed.push(make_call(1))
    state.get(keys.contract_data(AccountId("alice.near"), b"k"))
    assert delayed.pop_optional() is None
    assert len(delayed) == 1
