"""The algorithm that decides how many bytes each shard may send to each other at one height.

Every shard runs it with the same inputs and gets the same grants. Fairness is
kept by an allowance per link: it grows by an equal part each height and falls
by what is granted; the link with the most allowance is served first.
"""

from collections.abc import Mapping, Sequence

import msgspec

from hither.crypto.shuffle import SeededRandom
from hither.runtime.bandwidth_scheduler.distribute_remaining import distribute_remaining_bandwidth
from hither.runtime.bandwidth_scheduler.links import Link, list_links
from hither.runtime.bandwidth_scheduler.params import BandwidthParams


class ShardStatus(msgspec.Struct, frozen=True):
    """What decides whether a shard may be sent to.

    ``allowed_sender`` is the index of the one shard that may send when this one
    is fully congested, None when it is not in the layout.
    """

    is_last_chunk_missing: bool
    is_fully_congested: bool
    allowed_sender: int | None


class LinkRequest(msgspec.Struct, frozen=True):
    """A request as consecutive increases over the base."""

    link: Link
    increases_bytes: tuple[int, ...]


class Schedule(msgspec.Struct, frozen=True):
    """Bytes granted by link (absent: none), and the allowances to keep for the next height."""

    granted: dict[Link, int]
    allowances: dict[Link, int]


def is_link_allowed(link: Link, statuses: Sequence[ShardStatus | None]) -> bool:
    """Whether anything may be sent on the link now.

    Nothing goes to a shard whose state is unknown or which did not process what
    it got last, nothing from a shard without a chunk; a full shard takes from one.
    """
    sender, receiver = statuses[link[0]], statuses[link[1]]
    if receiver is None or receiver.is_last_chunk_missing:
        return False
    if sender is not None and sender.is_last_chunk_missing:
        return False
    return not receiver.is_fully_congested or receiver.allowed_sender == link[0]


class _Scheduler:
    """One run: budgets, allowances and grants so far."""

    def __init__(
        self,
        params: BandwidthParams,
        statuses: Sequence[ShardStatus | None],
        allowances: Mapping[Link, int],
    ) -> None:
        self.params = params
        shard_count = len(statuses)
        self.links = list_links(shard_count)
        self.is_allowed = {link: is_link_allowed(link, statuses) for link in self.links}
        self.sender_budgets = [params.max_shard_bandwidth] * shard_count
        self.receiver_budgets = [params.max_shard_bandwidth] * shard_count
        fair_bytes = params.max_shard_bandwidth // shard_count
        self.allowances = {
            link: min(allowances.get(link, 0) + fair_bytes, params.max_allowance) for link in self.links
        }
        self.granted: dict[Link, int] = {}

    def try_grant(self, link: Link, size_bytes: int) -> bool:
        """Grant more on the link if both ends can take it."""
        sender, receiver = link
        if not self.is_allowed[link]:
            return False
        if self.sender_budgets[sender] < size_bytes or self.receiver_budgets[receiver] < size_bytes:
            return False
        self.sender_budgets[sender] -= size_bytes
        self.receiver_budgets[receiver] -= size_bytes
        self.allowances[link] = max(0, self.allowances[link] - size_bytes)
        self.granted[link] = self.granted.get(link, 0) + size_bytes
        return True

    def process_requests(self, requests: Sequence[LinkRequest], seed: bytes) -> None:
        """Serve the link with the highest allowance, one increase at a time.

        A request whose next increase does not fit is dropped. Ties are broken by
        lot, else the same link would always be first.
        """
        waiting: dict[int, list[LinkRequest]] = {}
        for request in requests:
            waiting.setdefault(self.allowances[request.link], []).append(request)
        random = SeededRandom(seed)
        while waiting:
            tied = waiting.pop(max(waiting))
            random.shuffle(tied)
            for request in tied:
                if not self.try_grant(request.link, request.increases_bytes[0]):
                    continue
                rest = LinkRequest(request.link, request.increases_bytes[1:])
                if rest.increases_bytes:
                    waiting.setdefault(self.allowances[rest.link], []).append(rest)

    def distribute_remaining(self) -> None:
        """Spread the budgets that are left; this does not lower allowances."""
        remaining = distribute_remaining_bandwidth(
            self.sender_budgets, self.receiver_budgets, self.is_allowed
        )
        for link, granted_bytes in remaining.items():
            self.granted[link] = self.granted.get(link, 0) + granted_bytes


def schedule_bandwidth(
    params: BandwidthParams,
    statuses: Sequence[ShardStatus | None],
    allowances: Mapping[Link, int],
    requests: Sequence[LinkRequest],
    seed: bytes,
) -> Schedule:
    """Grant the base, then requests by allowance, then what is left.

    ``statuses`` has one entry a shard, in the order of the layout; ``seed`` is the
    hash of the previous block.
    """
    scheduler = _Scheduler(params, statuses, allowances)
    for link in scheduler.links:
        scheduler.try_grant(link, params.base_bandwidth)
    scheduler.process_requests(requests, seed)
    scheduler.distribute_remaining()
    return Schedule(scheduler.granted, scheduler.allowances)
