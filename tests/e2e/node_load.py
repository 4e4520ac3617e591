"""A node under load, to be killed: ``python -m tests.e2e.node_load HOME SENDERS [options]``.

``--without-sync``: commits do not reach the disk. ``--small-images``: state images are begun early, so that
one is always under way. ``--deploy``: one account deploys code, always another, so that compilation is too.
``--revert``: instead of all that, it goes back to a snapshot of height 1, with another taken at the same place before.

It submits transfers of many senders, as many as the node takes, and writes a line for each that is
final: its hash, and its height with a digest of its outcomes. A line is written after the answer, so what
stands in the pipe was promised.
"""

import asyncio
import os
import secrets
import sys
from pathlib import Path

from hither.chain.genesis import derive_development_key
from hither.chain.reader import BlockMode, ExecutionStatus, TransactionStatus
from hither.chain.storage import ChainStorage
from hither.crypto.hashing import sha256
from hither.crypto.keys import compute_key_handle
from hither.crypto.signing import compute_public_key, sign
from hither.node.home import lock_home, read_home
from hither.node.node import Node, NodeOptions
from hither.primitives.action import Action, DeployContract, FunctionCall, Transfer
from hither.primitives.outcome import compute_outcome_leaf
from hither.primitives.transaction import Transaction, encode_transaction, sign_transaction_form
from hither.primitives.types import AccountId
from hither.state import state_store
from hither.state.records import get_access_key_optional
from hither.state.state_store import StateStoreOptions

EXERCISER = (Path(__file__).parents[1] / "vectors" / "nearcore-84" / "exerciser.wasm").read_bytes()


def digest(status: TransactionStatus) -> str:
    """What must be the same after a restart: the height, and every outcome in order."""
    assert status.outcome is not None
    outcomes = (status.outcome, *status.receipt_outcomes)
    leaves = b"".join(compute_outcome_leaf(outcome.outcome) for outcome in outcomes)
    return f"{status.outcome.block_height}:{sha256(leaves).hex()}"


def get_nonce(node: Node, account_id: str) -> int:
    """Where the account's well-known key stands."""
    head = node.reader.get_head()
    shard_id = node.reader.get_epoch(head.epoch_id).shard_layout.get_shard_id(account_id)
    trie = node.reader.get_trie(head.last_block_hash, shard_id)
    key = compute_key_handle(compute_public_key(derive_development_key(account_id)))
    access_key = get_access_key_optional(trie, AccountId(account_id), key)
    assert access_key is not None
    return access_key.nonce


async def send(node: Node, sender: str, receiver: str, actions: tuple[Action, ...]) -> None:
    """One transaction, until it is final and written down."""
    key = derive_development_key(sender)
    transaction = Transaction(
        sender,
        compute_public_key(key),
        get_nonce(node, sender) + 1,
        receiver,
        node.reader.get_head().last_block_hash,
        actions,
    )
    signed = sign_transaction_form(transaction, sign(key, sha256(encode_transaction(transaction))))
    await node.control.submit(signed)
    status = await node.control.wait_for_transaction(signed.hash, ExecutionStatus.FINAL, 60_000)
    assert status is not None, "a transaction is final within a minute"
    os.write(1, f"{signed.hash.hex()} {digest(status)}\n".encode())


async def send_forever(node: Node, sender: str, receiver: str) -> None:
    """One transfer after the other."""
    while True:
        await send(node, sender, receiver, (Transfer(1),))


async def deploy_forever(node: Node, account_id: str) -> None:
    """The same contract with another custom section each time: another hash, compiled anew."""
    while True:
        section = secrets.token_bytes(16)
        code = EXERCISER + b"\x00" + bytes((1 + 1 + len(section),)) + b"\x01x" + section
        await send(node, account_id, account_id, (DeployContract(code),))
        await send(node, account_id, account_id, (FunctionCall("noop", b"", 10**14, 0),))


async def go_back(home: Path) -> None:
    """Two snapshots and three blocks, written down with their heights; then back to the later of the two."""
    with lock_home(home):
        node = Node.open(read_home(home), NodeOptions(mode=BlockMode.MANUAL))
        await node.start()
        await node.control.mine(1)
        snapshots = [await node.control.snapshot() for _ in range(2)]
        await node.control.mine(3)
        os.write(1, f"{' '.join(snapshots)}\n".encode())
        await node.control.revert(snapshots[1])
        os.write(1, b"reverted\n")


async def run(home: Path, senders: list[str], *, deploys: bool = False) -> None:
    with lock_home(home):
        node = Node.open(read_home(home))
        before = node.reader.get_head()
        await node.start()
        await node.control.wait_for_head(before)
        os.write(1, b"ready\n")
        pairs = zip(senders, senders[1:] + senders[:1], strict=True)
        senders_at_work = [asyncio.create_task(send_forever(node, *pair)) for pair in pairs]
        if deploys:
            senders_at_work.append(asyncio.create_task(deploy_forever(node, "near")))
        while node.failure is None:
            await asyncio.sleep(0.05)
        for task in senders_at_work:
            task.cancel()
        sys.exit(f"the chain stopped: {node.failure}")


if __name__ == "__main__":
    if "--without-sync" in sys.argv:
        ChainStorage.sync = lambda self: None  # type: ignore[method-assign]
    if "--small-images" in sys.argv:
        small = StateStoreOptions(slice_bytes=2048, image_trigger_bytes=4096)
        state_store.StateStoreOptions = lambda: small  # type: ignore[assignment,misc]
    if "--revert" in sys.argv:
        asyncio.run(go_back(Path(sys.argv[1])))
        sys.exit()
    names = [f"user{at}.near" for at in range(int(sys.argv[2]))]
    asyncio.run(run(Path(sys.argv[1]), names, deploys="--deploy" in sys.argv))
