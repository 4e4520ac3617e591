"""What tests of programs and contracts start from.

Entry points: ``plugin`` (for pytest: the fixtures ``chain`` and ``gas``), ``reverts``, ``Chain`` and its accounts
and contracts, ``network.LocalNetwork`` (a whole node in this process). Nothing here is used by the product.
"""

from hither.testing.chain import Account, Chain, Contract, reverts

__all__ = ["Account", "Chain", "Contract", "reverts"]
