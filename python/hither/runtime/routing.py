"""Which shard a receipt goes to."""

from collections.abc import Iterable

from hither.primitives.receipt import GlobalContractDistribution, Receipt
from hither.primitives.sharding import ShardLayout
from hither.primitives.types import ShardId


def get_receiver_shard(layout: ShardLayout, receipt: Receipt) -> ShardId:
    """A distribution of code names its shard, any other receipt goes where its receiver lives."""
    body = receipt.body
    if isinstance(body, GlobalContractDistribution):
        return body.target_shard
    return layout.get_shard_id(receipt.receiver_id)


def group_by_shard(layout: ShardLayout, receipts: Iterable[Receipt]) -> dict[ShardId, list[Receipt]]:
    """Receipts by receiving shard, in their order; each shard of the layout is there."""
    groups: dict[ShardId, list[Receipt]] = {shard_id: [] for shard_id in layout.shard_ids}
    for receipt in receipts:
        groups[get_receiver_shard(layout, receipt)].append(receipt)
    return groups
