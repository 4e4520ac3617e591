"""Transfers in processes that are killed: reads cases on standard input, prints what came of each.

Run by file. A case is a transfer, or, with ``is_bump``, the raising of the fee of one that waits for a block. Each is a
process of its own, forked from this one, so that it starts at once. It kills itself with SIGKILL beside the n-th write
to the journal: before it, when the step before has had its effect and nothing of it is noted; or after it, when the
step is noted and has had no effect yet.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

from hither import Account, Network
from hither.foreign.errors import FinalityTimeout
from hither.foreign.transport import JsonRpc
from hither.sdk.journal import Entry

MINER = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(number: int, *, is_before: bool) -> None:
    """Let this process die beside a write."""
    write, count = Entry.write, 0

    def write_and_die(entry: Entry, step: str, **content: Any) -> None:
        nonlocal count
        count += 1
        if count == number and is_before:
            die()
        write(entry, step, **content)
        if count == number:
            die()

    Entry.write = write_and_die  # type: ignore[method-assign]


async def send(case: dict[str, Any]) -> dict[str, Any]:
    async with await Account.load(case["account_id"]) as account:
        sent = await account.on(case["chain"]).send(
            case["receiver"], case["amount"], reference=case["reference"]
        )
        return {"transaction_id": sent.transaction_id, "transfer_id": sent.transfer_id}


async def recover(case: dict[str, Any]) -> dict[str, Any]:
    async with await Account.load(case["account_id"]) as account:
        resumed = [sent.transaction_id for sent in await account.resume()]
        sent = await send(case)
        left = len(account.list_transfers())
        lines = (account.journal._folder / "ended" / f"{sent['transfer_id']}.jsonl").read_text().splitlines()
        steps = [json.loads(line)["step"] for line in lines]
        return {**sent, "resumed": resumed, "left": left, "steps": steps}


@contextlib.asynccontextmanager
async def open_rpc(url: str) -> AsyncIterator[JsonRpc]:
    rpc = JsonRpc(url)
    try:
        yield rpc
    finally:
        await rpc.close()


async def mine(account: Account, chain: str) -> None:
    """A block with what waits."""
    on = account.on(chain)
    async with open_rpc(account.network.endpoints[on.chain].url) as rpc:
        if on.chain.namespace == "eip155":
            await rpc.call("evm_mine", is_repeatable=False)
        else:
            await rpc.call("generatetoaddress", [1, MINER], is_repeatable=False)


async def load_impatient(case: dict[str, Any]) -> Account:
    """An account that looks once whether a transfer is final."""
    network = dataclasses.replace(Network.load(), final_timeout_seconds=0.0)
    return await Account.load(case["account_id"], network=network)


async def send_waiting(case: dict[str, Any]) -> str:
    """The id of a transfer that no block has."""
    async with await load_impatient(case) as account:
        with contextlib.suppress(FinalityTimeout):
            await account.on(case["chain"]).send(case["receiver"], case["amount"])
        (record,) = account.list_transfers()
        return record.id


async def bump(case: dict[str, Any], transfer_id: str) -> dict[str, Any]:
    async with await load_impatient(case) as account:
        await account.bump(transfer_id)
    return {}


async def recover_bump(case: dict[str, Any], transfer_id: str) -> dict[str, Any]:
    """Go on as far as it goes without a block, then to the end."""
    async with await load_impatient(case) as account:
        with contextlib.suppress(FinalityTimeout):
            await account.resume()
        (record,) = account.list_transfers()
        attempts = [attempt.transaction_id for attempt in record.attempts]
        await mine(account, case["chain"])
        (sent,) = await account.resume()
        assert sent.transfer_id == transfer_id
        return {
            "transaction_id": sent.transaction_id,
            "attempts": attempts,
            "left": len(account.list_transfers()),
        }


def run_forked(work: Any) -> tuple[int, str]:
    """The signal that ended it, and what it wrote."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        result = json.dumps(work())
        os.write(writer, result.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, text


def perform_bump(case: dict[str, Any]) -> dict[str, Any]:
    """Send, die while the fee is raised, recover: a process each."""
    _, text = run_forked(lambda: asyncio.run(send_waiting(case)))
    transfer_id = json.loads(text)

    def crash() -> dict[str, Any]:
        arm(case["write"], is_before=case["is_before"])
        return asyncio.run(bump(case, transfer_id))

    ended_by, _ = run_forked(crash)
    _, text = run_forked(lambda: asyncio.run(recover_bump(case, transfer_id)))
    return {"ended_by": ended_by, "recovered": json.loads(text or "null")}


def main() -> None:
    for line in sys.stdin:
        case = json.loads(line)

        if case.get("is_bump"):
            print(json.dumps(perform_bump(case)), flush=True)
            continue

        def crash(case: dict[str, Any] = case) -> dict[str, Any]:
            arm(case["write"], is_before=case["is_before"])
            return asyncio.run(send(case))

        ended_by, _ = run_forked(crash)
        _, text = run_forked(lambda case=case: asyncio.run(recover(case)))
        print(json.dumps({"ended_by": ended_by, "recovered": json.loads(text or "null")}), flush=True)


if __name__ == "__main__":
    main()
