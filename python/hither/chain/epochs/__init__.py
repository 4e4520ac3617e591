"""Epochs: who may make blocks and chunks, what they earn, and when the set changes.

Everything is a pure function over the types of ``types``. The set chosen at the end of
epoch T serves in T+2 and has the hash of T's last block as its id.

* ``update.compute_epoch_update``: the end of an epoch, from what its blocks recorded.
* ``tracker``: what the blocks recorded, and where the newest block stands in its epoch.
* ``selection``: seats and thresholds; ``rewards``: inflation; ``sampling``: who is on duty at a height.
"""
