"""A node under load, to be killed: ``python -m tests.e2e.node_load HOME SENDERS [--without-sync]``.

It submits transfers of many senders, as many as the node takes, and writes a line for each that is
final: its hash and a digest of its outcomes. A line is written after the answer, so what
stands in the pipe was promised.
"""

import asyncio
import os
import sys
from pathlib import Path

from hither.chain.genesis import derive_development_key
from hither.chain.reader import ExecutionStatus, TransactionStatus
from hither.chain.storage import ChainStorage
from hither.crypto.hashing import sha256
from hither.crypto.keys import compute_key_handle
from hither.crypto.signing import compute_public_key, sign
from hither.node.home import lock_home, read_home
from hither.node.node import Node
from hither.primitives.action import Transfer
from hither.primitives.outcome import compute_outcome_leaf
from hither.primitives.transaction import Transaction, encode_transaction, sign_transaction_form
from hither.primitives.types import AccountId
from hither.state.records import get_access_key_optional


def digest(status: TransactionStatus) -> str:
    """What must be the same after a restart: every outcome, in order."""
    assert status.outcome is not None
    outcomes = (status.outcome, *status.receipt_outcomes)
    return sha256(b"".join(compute_outcome_leaf(outcome.outcome) for outcome in outcomes)).hex()


async def send_forever(node: Node, sender: str, receiver: str) -> None:
    """One transfer after the other; nonces go on from where the key's stands."""
    key = derive_development_key(sender)
    public_key = compute_public_key(key)
    head = node.reader.get_head()
    shard_id = node.reader.get_epoch(head.epoch_id).shard_layout.get_shard_id(sender)
    trie = node.reader.get_trie(head.last_block_hash, shard_id)
    access_key = get_access_key_optional(trie, AccountId(sender), compute_key_handle(public_key))
    assert access_key is not None
    nonce = access_key.nonce
    while True:
        nonce += 1
        transaction = Transaction(
            sender, public_key, nonce, receiver, node.reader.get_head().last_block_hash, (Transfer(1),)
        )
        signed = sign_transaction_form(transaction, sign(key, sha256(encode_transaction(transaction))))
        await node.control.submit(signed)
        status = await node.control.wait_for_transaction(signed.hash, ExecutionStatus.FINAL, 60_000)
        assert status is not None, "a transfer is final within a minute"
        os.write(1, f"{signed.hash.hex()} {digest(status)}\n".encode())


async def run(home: Path, senders: list[str]) -> None:
    with lock_home(home):
        node = Node.open(read_home(home))
        before = node.reader.get_head()
        await node.start()
        await node.control.wait_for_head(before)
        os.write(1, b"ready\n")
        pairs = zip(senders, senders[1:] + senders[:1], strict=True)
        senders_at_work = [asyncio.create_task(send_forever(node, *pair)) for pair in pairs]
        while node.failure is None:
            await asyncio.sleep(0.05)
        for task in senders_at_work:
            task.cancel()
        sys.exit(f"the chain stopped: {node.failure}")


if __name__ == "__main__":
    if "--without-sync" in sys.argv:
        ChainStorage.sync = lambda self: None  # type: ignore[method-assign]
    asyncio.run(run(Path(sys.argv[1]), [f"user{at}.near" for at in range(int(sys.argv[2]))]))
