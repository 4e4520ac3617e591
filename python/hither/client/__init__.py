"""A client for this chain and for the public NEAR networks: typed, blocking or asynchronous.

::

    from hither.client import Client, Signer

    with Client("http://127.0.0.1:3030", signer=Signer("alice.near", "ed25519:…")) as client:
        client.transfer("bob.near", "1.5 N")
        print(client.view("token.near", "ft_balance_of", {"account_id": "bob.near"}).json())

Entry points: ``Client``, ``AsyncClient``, ``Signer``, ``actions``. Operations are generators without
I/O (``operations``, ``flow``); the two clients drive them over HTTP.

Invariants: a request is repeated only if arriving twice does no harm; a transaction is signed
again only if the one before can never run. A nonce is handed out once.

Gotchas: amounts need a unit. After ``revert`` on a development chain call ``signer.forget_nonces()``
and ``client.session.forget_block_hash()``.
"""

from hither.client import actions
from hither.client.actions import Yocto
from hither.client.clients import AsyncClient, Client
from hither.client.errors import (
    ClientError,
    ContractFailed,
    ExecutionFailed,
    InvalidRequest,
    InvalidTransaction,
    RequestTimeout,
    RpcError,
    TransactionTimeout,
    TransportError,
    UnknownAccessKey,
    UnknownAccount,
    UnknownBlock,
    UnknownTransaction,
)
from hither.client.flow import RetryPolicy
from hither.client.operations import Finality, WaitUntil
from hither.client.results import (
    AccessKeyState,
    AccountState,
    BlockSummary,
    CallResult,
    Code,
    TransactionResult,
)
from hither.client.signer import Signer

__all__ = [
    "AccessKeyState",
    "AccountState",
    "AsyncClient",
    "BlockSummary",
    "CallResult",
    "Client",
    "ClientError",
    "Code",
    "ContractFailed",
    "ExecutionFailed",
    "Finality",
    "InvalidRequest",
    "InvalidTransaction",
    "RequestTimeout",
    "RetryPolicy",
    "RpcError",
    "Signer",
    "TransactionResult",
    "TransactionTimeout",
    "TransportError",
    "UnknownAccessKey",
    "UnknownAccount",
    "UnknownBlock",
    "UnknownTransaction",
    "WaitUntil",
    "Yocto",
    "actions",
]
