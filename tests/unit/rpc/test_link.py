"""Messages between two processes, over a socket of this one."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from hither.chain.followed_chain import PublishedTip
from hither.primitives.types import BlockHeight, CryptoHash
from hither.rpc.link import Answered, Close, Link, Message, Published, Submit, split_hashes

Scenario = Callable[[Link, Link, list[Message], asyncio.Event], Awaitable[None]]


def run(scenario: Scenario) -> None:
    """Two ends; what the second receives, and whether it was told of the end."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        received: list[Message] = []
        ended = asyncio.Event()
        sender = Link(lambda message: None, lambda: None)
        receiver = Link(received.append, ended.set)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: sender, sock=ours)
        await loop.create_unix_connection(lambda: receiver, sock=theirs)
        await asyncio.wait_for(scenario(sender, receiver, received, ended), 10)
        sender.close()
        receiver.close()

    asyncio.run(main())


async def must_receive(received: list[Message], count: int) -> None:
    while len(received) < count:
        await asyncio.sleep(0.001)


def test_messages_arrive_whole_and_in_order() -> None:
    """Short ones together, and one that takes many reads."""
    tip = PublishedTip(BlockHeight(7), CryptoHash(bytes(32)), BlockHeight(5))
    messages: list[Message] = [
        Submit(1, [b"a", b""]),
        Published(tip, bytes(64), bytes(32), b""),
        Submit(2, [bytes(3_000_000)]),
        Answered(3, refused="no"),
        Answered(4, {"height": 2**63}),
    ]

    async def scenario(sender: Link, receiver: Link, received: list[Message], ended: asyncio.Event) -> None:
        for message in messages:
            sender.send(message)
        await must_receive(received, len(messages))
        assert received == messages
        assert not ended.is_set()

    run(scenario)


def test_whoever_an_answer_wakes_runs_before_the_next_message() -> None:
    """A transaction is waited for before the block that it is in is shown, though both came at once."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        seen: list[str] = []

        def handle(message: Message) -> None:
            if isinstance(message, Answered):
                answer.set_result(None)
            else:
                seen.append("next message")

        async def wait() -> None:
            await answer
            seen.append("woken")

        waiting = asyncio.create_task(wait())
        sender = Link(lambda message: None, lambda: None)
        await loop.create_unix_connection(lambda: sender, sock=ours)
        receiver = Link(handle, lambda: None)
        await loop.create_unix_connection(lambda: receiver, sock=theirs)
        sender.send(Answered(1))
        sender.send(Close())
        await waiting
        while len(seen) < 2:
            await asyncio.sleep(0.001)
        assert seen == ["woken", "next message"]
        sender.close()
        receiver.close()

    asyncio.run(asyncio.wait_for(main(), 10))


def test_the_end_is_told_and_nothing_is_sent_after_it() -> None:
    async def scenario(sender: Link, receiver: Link, received: list[Message], ended: asyncio.Event) -> None:
        sender.send(Close())
        sender.close()
        await ended.wait()
        assert received == [Close()]
        assert not receiver.is_open
        receiver.send(Close())
        await asyncio.sleep(0)

    run(scenario)


def test_hashes_are_split_again() -> None:
    hashes = [CryptoHash(bytes([at]) * 32) for at in range(3)]
    assert split_hashes(b"".join(hashes)) == hashes
    assert split_hashes(b"") == []
