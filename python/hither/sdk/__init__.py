"""What an application imports: one account on every chain.

::

    from hither import Account

    async with await Account.load("alice.near") as alice:
        base = alice.on("eip155:8453")
        print(await base.address(), base.format(await base.balance()))
        sent = await base.send("0x…", "0.001 ETH", reference="invoice 7")

``endpoints`` finds the network that runs in a home; ``network`` says where everything answers; ``account`` turns an
account of our chain into one on every other chain; ``blocking`` is the same without ``await``; ``journal`` remembers
each transfer from its intent on, so that one that was interrupted goes on where it was; ``amounts`` reads amounts with
units; ``connection`` opens a client of our chain alone. Keys on other chains are held by nobody: each signature is
asked for on our chain.

Names are imported when they are first used: a program that only reads ``endpoints`` does not load every chain's codec.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hither.foreign.solana_instructions import SolanaAccount, SolanaCall
    from hither.sdk.account import Account, Call, Payment
    from hither.sdk.amounts import Units
    from hither.sdk.blocking import BlockingAccount
    from hither.sdk.connection import connect
    from hither.sdk.events import Event, Step
    from hither.sdk.network import Endpoint, Network
    from hither.sdk.work import Sent

_HOMES = {
    "Account": "account",
    "BlockingAccount": "blocking",
    "Call": "account",
    "Endpoint": "network",
    "Event": "events",
    "Network": "network",
    "Payment": "account",
    "Sent": "work",
    "SolanaAccount": "account",
    "SolanaCall": "account",
    "Step": "events",
    "Units": "amounts",
    "connect": "connection",
}

__all__ = [
    "Account",
    "BlockingAccount",
    "Call",
    "Endpoint",
    "Event",
    "Network",
    "Payment",
    "Sent",
    "SolanaAccount",
    "SolanaCall",
    "Step",
    "Units",
    "connect",
]


def __getattr__(name: str) -> Any:
    """An exported name, from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
