"""Transfers in processes that are killed: reads cases on standard input, prints what came of each.

Run by file. Each case is a process of its own, forked from this one, so that it starts at once. It kills itself with
SIGKILL beside the n-th write to the journal: before it, when the step before has had its effect and nothing of it is
noted; or after it, when the step is noted and has had no effect yet.
"""

import asyncio
import json
import os
import signal
import sys
from typing import Any

from hither import Account
from hither.sdk.journal import Entry


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


def main() -> None:
    for line in sys.stdin:
        case = json.loads(line)

        def crash(case: dict[str, Any] = case) -> dict[str, Any]:
            arm(case["write"], is_before=case["is_before"])
            return asyncio.run(send(case))

        ended_by, _ = run_forked(crash)
        _, text = run_forked(lambda case=case: asyncio.run(recover(case)))
        print(json.dumps({"ended_by": ended_by, "recovered": json.loads(text or "null")}), flush=True)


if __name__ == "__main__":
    main()
