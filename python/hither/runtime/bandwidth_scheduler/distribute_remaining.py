"""Hand out what is left of the budgets after all requests, evenly over the allowed links."""

from collections.abc import Mapping, Sequence

from hither.runtime.bandwidth_scheduler.links import Link


class _Endpoint:
    """What a shard can still send (or receive), and over how many links."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.links_count = 0

    def compute_share(self) -> int:
        return self.budget_bytes // self.links_count if self.links_count else 0

    def take(self, granted_bytes: int) -> None:
        self.budget_bytes -= granted_bytes
        self.links_count -= 1


def distribute_remaining_bandwidth(
    sender_budgets: Sequence[int], receiver_budgets: Sequence[int], is_allowed: Mapping[Link, bool]
) -> dict[Link, int]:
    """Grants for the allowed links; shards with the smallest share per link go first.

    Each link gets the smaller of its two ends' even shares, so that ends which
    come later have at least as much left for each of their links.
    """
    indexes = range(len(sender_budgets))
    senders = [_Endpoint(budget) for budget in sender_budgets]
    receivers = [_Endpoint(budget) for budget in receiver_budgets]
    for sender in indexes:
        for receiver in indexes:
            if is_allowed[sender, receiver]:
                senders[sender].links_count += 1
                receivers[receiver].links_count += 1
    receivers_in_order = sorted(indexes, key=lambda index: receivers[index].compute_share())
    grants: dict[Link, int] = {}
    for sender in sorted(indexes, key=lambda index: senders[index].compute_share()):
        for receiver in receivers_in_order:
            if not is_allowed[sender, receiver]:
                continue
            granted_bytes = min(senders[sender].compute_share(), receivers[receiver].compute_share())
            grants[sender, receiver] = granted_bytes
            senders[sender].take(granted_bytes)
            receivers[receiver].take(granted_bytes)
    return grants
