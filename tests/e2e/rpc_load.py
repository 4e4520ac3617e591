"""Load from outside: ``python -m tests.e2e.rpc_load URL FILE SENDERS``, against a node that is going to be killed.

Each sender sends one transfer after the other over HTTP. What the node answers as final is appended to the file, hash
and outcomes, and is on disk before anything else happens. It ends when the node does.
"""

import asyncio
import json
import os
import sys

from hither.chain.genesis import derive_development_key
from hither.client import AsyncClient, RpcError, Signer, TransactionResult, TransportError, WaitUntil, Yocto
from hither.client.actions import transfer
from hither.client.flow import RetryPolicy
from hither.crypto.hashing import sha256

WAIT_S_MAX = 300


def digest(result: TransactionResult) -> str:
    """Of what must be the same after a restart: every outcome, with the block that holds it and its proof."""
    outcomes = [result.json["transaction_outcome"], *result.json["receipts_outcome"]]
    return sha256(json.dumps(outcomes, sort_keys=True).encode()).hex()


async def send_forever(client: AsyncClient, sender: str, receiver: str, log: int) -> None:
    """Until nobody answers any more."""
    signer = Signer(sender, derive_development_key(sender))
    while True:
        result = await client.send(
            receiver,
            transfer(Yocto(1)),
            signer=signer,
            wait_until=WaitUntil.FINAL,
            timeout_seconds=WAIT_S_MAX,
        )
        assert result.status == "FINAL"
        os.write(log, f"{result.hash} {digest(result)}\n".encode())
        os.fsync(log)


async def run(url: str, log: int, names: list[str]) -> None:
    async with AsyncClient(url, policy=RetryPolicy(attempts=1)) as client:
        pairs = zip(names, names[1:] + names[:1], strict=True)
        await asyncio.gather(*(send_forever(client, *pair, log) for pair in pairs))


if __name__ == "__main__":
    descriptor = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        asyncio.run(run(sys.argv[1], descriptor, [f"user{at}.near" for at in range(int(sys.argv[3]))]))
    except (TransportError, RpcError) as error:
        # The server may still have said that its node has gone. A node that is well gets no load any more, and its
        # test notices.
        print(error)
