"""How many bytes of receipts each shard may send to each other at one height.

Entry points: ``run_bandwidth_scheduler`` at the start of a chunk, then
``make_bandwidth_request`` at its end for what had to wait. ``scheduler`` and
``distribute_remaining`` hold the algorithm and know neither trie nor chunk.
All shards run it with the same inputs and must come to the same record.
"""

from hither.runtime.bandwidth_scheduler.params import BandwidthParams, make_bandwidth_request
from hither.runtime.bandwidth_scheduler.run import BandwidthGrants, run_bandwidth_scheduler

__all__ = ["BandwidthGrants", "BandwidthParams", "make_bandwidth_request", "run_bandwidth_scheduler"]
