"""hither: one account on every chain.

What an application needs is importable from here: ``from hither import Account, Network`` (``hither.sdk``).
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hither.sdk import Account, BlockingAccount, Call, Network, Payment, Sent, Units, connect

__version__ = "0.1.0"
__all__ = [
    "Account",
    "BlockingAccount",
    "Call",
    "Network",
    "Payment",
    "Sent",
    "Units",
    "__version__",
    "connect",
]


def __getattr__(name: str) -> Any:
    """What applications import, loaded when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("hither.sdk"), name)
