"""``hither bench``: the figures of the product, measured when asked for.

Entry point: ``command``. One module a benchmark, each with ``measure(options) -> figures``; ``world`` makes
chains with many accounts and the transfers on them, ``load`` drives a server from outside, ``programs`` runs
the product and its peers as processes, ``audit`` holds what was stored against a model.

Every figure comes with its conditions. A benchmark that compares with a peer runs both in the same
invocation. Nothing here is used by the rest of the product.
"""

from hither.cli.bench.command import command

__all__ = ["command"]
