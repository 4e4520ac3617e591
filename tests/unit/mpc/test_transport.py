"""What nodes take from each other: only from whom the contract lists, within limits, and only what they find right."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hither.mpc import channels as channels_module
from hither.mpc import node as node_module
from hither.mpc.certificates import make_context
from hither.mpc.channels import EARLY_FRAMES_MAX, JobFailed
from hither.mpc.engine import Request
from hither.mpc.messages import (
    Announce,
    Begin,
    Data,
    End,
    InvalidMessage,
    PassedOn,
    PresignJob,
    SignJob,
    Status,
    Unknown,
    compute_channel,
    decode_message,
    encode_message,
)
from hither.mpc.protocols import Secret
from hither.mpc.store import make_presignature_id
from hither.mpc.transport import Allowance, Limits, Mesh, Peer, PeerUnavailable
from tests.unit.mpc.meshed import CONTRACT_ID, ECDSA, EDDSA, Meshed, make_request, meshed, must_become

Writers = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def run(folder: Path, work: Callable[[Meshed], Awaitable[None]]) -> None:
    async def main() -> None:
        async with meshed(folder, domains=(EDDSA,)) as network:
            await work(network)

    asyncio.run(main())


async def connect(network: Meshed, number: int, key: Ed25519PrivateKey) -> Writers:
    """To a node, as whoever holds this key."""
    server = network.tls_keys[number].public_key().public_bytes_raw()
    context = make_context(key, [server], is_server=False)
    return await asyncio.open_connection(*network.addresses[number], ssl=context)


async def must_end(reader: asyncio.StreamReader) -> bool:
    """Whether the other side ends the connection without a word."""
    try:
        return await reader.read(1) == b""
    except OSError:
        return True  # With TLS's own.


def pack(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def test_whoever_the_contract_does_not_list_is_refused(tmp_path: Path) -> None:
    """A stranger gets no connection; a member that was voted out gets one that is ended before it is read."""

    async def work(network: Meshed) -> None:
        before = network[0].counts["frames received"]
        reader, writer = await connect(network, 0, Ed25519PrivateKey.generate())
        writer.write(pack(encode_message(Status(10**9, 0))))
        assert await must_end(reader)
        people = network.view.participants
        network[0].set_view(replace(network.view, participants=people[:2]))
        reader, writer = await connect(network, 0, network.tls_keys[2])
        assert await reader.read(1) == b""
        assert network[0].counts["stranger refused"] >= 1
        assert 2 not in network[0].connected
        assert network[0].counts["frames received"] - before < 1_000

    run(tmp_path, work)


def test_a_node_talks_to_no_other_key_at_a_known_address(tmp_path: Path) -> None:
    """Somebody else listens where a member did: nothing is sent there."""

    async def main() -> None:
        heard: list[bytes] = []
        keys = [Ed25519PrivateKey.generate() for _ in range(3)]
        mine = keys[0].public_key().public_bytes_raw()
        imposter = Mesh(keys[2], lambda _sender, frame: heard.append(frame), lambda _what: None)
        address = await imposter.listen("127.0.0.1", 0)
        imposter.set_peers({0: Peer(("127.0.0.1", 1), mine)})
        mesh = Mesh(keys[0], lambda _sender, _frame: None, lambda _what: None, Limits(reconnect_s_max=0.05))
        mesh.set_peers({1: Peer(address, keys[1].public_key().public_bytes_raw())})
        await asyncio.sleep(0.4)
        with pytest.raises(PeerUnavailable, match="participant 1 is not to be reached"):
            mesh.send(1, b"secret")
        assert not mesh.connected and not heard
        await mesh.close()
        await imposter.close()

    asyncio.run(main())


def test_an_oversized_frame_ends_its_connection(tmp_path: Path) -> None:
    """Before it is read; the member is taken back when it connects anew."""

    async def work(network: Meshed) -> None:
        reader, writer = await connect(network, 0, network.tls_keys[1])
        writer.write((5 << 20).to_bytes(4, "big") + bytes(1_000))
        assert await reader.read(1) == b""
        assert network[0].counts["oversized frame"] == 1
        await network.stop(1)
        await network.start(1)
        await network.connect((0, 1, 2))

    run(tmp_path, work)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff" * 50,
        os.urandom(200),
        encode_message(Data(0, b"short", 0, b"")),
        encode_message(Announce(0, [bytes(16)] * 4_097)),
        b"\x81" * 100_000,
        encode_message(Status(1, 0)).replace(b"status", b"stotus"),
    ],
)
def test_garbage_is_counted_and_dropped(tmp_path: Path, frame: bytes) -> None:
    """It harms nobody: neither the connection nor the jobs."""
    with pytest.raises(InvalidMessage):
        decode_message(frame)

    async def work(network: Meshed) -> None:
        network.running[1].mesh.send(0, frame)
        await must_become(lambda: network[0].counts["malformed frame"] == 1, "counted")
        await network.must_sign((0, 1), EDDSA)

    run(tmp_path, work)


def test_every_message_reads_back() -> None:
    """And none is taken for another."""
    job = SignJob(0, (0, 1), bytes(32), None)
    for message in (
        Status(7, 1),
        Begin(1, bytes(16), job),
        Begin(1, bytes(16), PresignJob(0, (0, 1), bytes(16))),
        Data(1, bytes(32), 0, b"data"),
        End(1, bytes(32), "reason"),
        PassedOn(bytes(32)),
        Announce(1, [bytes(16)]),
        Unknown(1, []),
    ):
        assert decode_message(encode_message(message)) == message


def test_a_channel_is_bound_to_everything_that_its_job_says() -> None:
    """Another network, leader, epoch, nonce, signer set, request or presignature gives another channel."""
    job = SignJob(0, (0, 1), bytes(32), bytes(16))
    begin = Begin(1, bytes(16), job)
    others = [
        Begin(2, bytes(16), job),
        Begin(1, bytes([1]) * 16, job),
        Begin(1, bytes(16), SignJob(1, (0, 1), bytes(32), bytes(16))),
        Begin(1, bytes(16), SignJob(0, (0, 2), bytes(32), bytes(16))),
        Begin(1, bytes(16), SignJob(0, (0, 1), bytes([1]) * 32, bytes(16))),
        Begin(1, bytes(16), SignJob(0, (0, 1), bytes(32), bytes([1]) * 16)),
        Begin(1, bytes(16), PresignJob(0, (0, 1), bytes(16))),
    ]
    found = {compute_channel(CONTRACT_ID, 0, other) for other in (begin, *others)}
    found |= {compute_channel(CONTRACT_ID, 1, begin), compute_channel("other.near", 0, begin)}
    assert len(found) == len(others) + 3


def test_what_nobody_asked_for_is_kept_within_bounds_and_then_dropped(tmp_path: Path) -> None:
    """Messages of jobs that this node does not know: so many of each sender, and not for long."""

    async def work(network: Meshed) -> None:
        node = network[0]
        for number in range(EARLY_FRAMES_MAX + 10):
            node.receive(1, encode_message(Data(0, number.to_bytes(32, "big"), 0, b"x")))
        assert node.counts["unsolicited frame"] == 10
        for number in range(9):
            node.receive(2, encode_message(Data(0, number.to_bytes(32, "big"), 0, bytes(1 << 20))))
        assert node.counts["unsolicited frame"] == 12
        await network.must_sign((1, 0), EDDSA)  # A flood of one does not keep out what another sends.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(channels_module, "EARLY_S_MAX", 0.0)
            await asyncio.sleep(0.01)
            node.receive(1, encode_message(Data(0, bytes([9]) * 32, 0, b"x")))
        assert node.counts["unsolicited frame"] == 12 + EARLY_FRAMES_MAX

    run(tmp_path, work)


def test_messages_of_another_epoch_are_dropped(tmp_path: Path) -> None:
    """Every kind that belongs to an epoch."""

    async def work(network: Meshed) -> None:
        job = SignJob(1, (0, 1), bytes(32), None)
        messages = (
            Begin(7, bytes(16), job),
            Data(7, bytes(32), 0, b""),
            End(7, bytes(32), ""),
            Announce(7, []),
            Unknown(7, []),
        )
        for message in messages:
            network[0].receive(1, encode_message(message))
        assert network[0].counts["frame of another epoch"] == len(messages)

    run(tmp_path, work)


def make_bad_jobs(request: Request) -> dict[str, Begin]:
    """What participant 1 may not ask participant 0 to do, by the reason that it is told."""
    own, others = make_presignature_id(1), make_presignature_id(2)
    key = request.key
    return {
        "has no key": Begin(0, os.urandom(16), SignJob(9, (0, 1), key, None)),
        "are not signers": Begin(0, os.urandom(16), SignJob(1, (0, 2), key, None)),
        "are not  signers": Begin(0, os.urandom(16), SignJob(1, (1, 2), key, None)),
        "are  not signers": Begin(0, os.urandom(16), SignJob(1, (0, 1, 2), key, None)),
        "are  not  signers": Begin(0, os.urandom(16), SignJob(1, (1, 0), key, None)),
        "is another participant's": Begin(0, os.urandom(16), SignJob(1, (0, 1), key, others)),
        "is  another participant's": Begin(0, os.urandom(16), PresignJob(1, (0, 1), others)),
        "is not there, or was used": Begin(0, os.urandom(16), SignJob(1, (0, 1), key, own)),
        "has not seen the request": Begin(0, os.urandom(16), SignJob(1, (0, 1), bytes(32), None)),
    }


@pytest.mark.parametrize("reason", list(make_bad_jobs(make_request(EDDSA))))
def test_a_job_that_is_not_right_is_refused_with_its_reason(tmp_path: Path, reason: str) -> None:
    """Whoever asks learns why, nothing is sent of a share, and good jobs go on."""

    async def work(network: Meshed) -> None:
        request = network.ask(EDDSA)
        begin = make_bad_jobs(request)[reason]
        told: list[str] = []
        receive = network[1].receive

        def listen(sender: int, frame: bytes) -> None:
            message = decode_message(frame)
            if isinstance(message, End):
                told.append(message.reason)
            assert not isinstance(message, Data)
            receive(sender, frame)

        network.running[1].mesh._receive = listen
        network.running[1].mesh.send(0, encode_message(begin))
        text = " ".join(reason.split())

        def is_refused() -> bool:
            is_untold = 1 not in begin.job.signers and network[0].counts["followed jobs failed"] == 1
            return is_untold or any(text in one for one in told)

        await must_become(is_refused, "refused")
        network.running[1].mesh._receive = receive
        await network.must_sign((1, 0), EDDSA)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_module, "REQUEST_WAIT_S_MAX", 0.1)
        run(tmp_path, work)


def test_a_replayed_job_is_not_done_twice(tmp_path: Path) -> None:
    """Neither in another order nor later: the presignature is gone, and the channel was used."""

    async def work(network: Meshed) -> None:
        await network.must_stock(1, (0, 1), EDDSA)
        seen: list[bytes] = []
        receive = network[0].receive

        def record(sender: int, frame: bytes) -> None:
            seen.append(frame)
            receive(sender, frame)

        network.running[0].mesh._receive = record
        stock = network.running[0].store.count_presignatures()
        await network.must_sign((1, 0), EDDSA)
        await must_become(lambda: network[0].counts["signatures followed"] == 1, "followed")
        recorded = list(seen)
        for frame in (*recorded, *reversed(recorded)):
            network[0].receive(1, frame)
        jobs = sum(isinstance(decode_message(frame), Begin) for frame in recorded)
        assert jobs == 1
        await must_become(lambda: network[0].counts["followed jobs failed"] == 2, "refused")
        assert network[0].counts["signatures followed"] == 1
        assert network.running[0].store.count_presignatures() == {1: stock[1] - 1}

    run(tmp_path, work)


def test_one_leader_cannot_take_all_of_a_signer(tmp_path: Path) -> None:
    """So many jobs at once, so many attempts at a request; beyond, it is told so."""

    async def work(network: Meshed) -> None:
        request = network.ask(EDDSA)
        for _ in range(70):
            job = SignJob(1, (0, 1), bytes(32), None)
            network[0].receive(1, encode_message(Begin(0, os.urandom(16), job)))
        await must_become(lambda: network[0].counts["job refused"] == 6, "refused")
        await must_become(lambda: network[0].counts["followed jobs failed"] == 64, "ended")
        network[0]._followed[request.key] = 10
        with pytest.raises(JobFailed, match="tried too often"):
            await network[0]._wait_for_request(SignJob(1, (0, 1), request.key, None), EDDSA)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_module, "REQUEST_WAIT_S_MAX", 0.3)
        run(tmp_path, work)


def test_a_peer_that_sends_too_much_is_read_slower() -> None:
    """An allowance refills with time: a burst is free, what is beyond it has to wait in proportion."""
    allowance = Allowance(1_000)
    assert allowance.take(1_000) == 0
    assert 0.4 < allowance.take(500) <= 0.5
    assert 1.3 < allowance.take(1_000) <= 1.5


async def flood(mesh: Mesh) -> None:
    for _ in range(200):
        mesh.send(1, bytes(1 << 20))
        await asyncio.sleep(0)


def test_a_peer_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    """What is kept for it is bounded; the sender is told, and nothing else waits."""

    async def main() -> None:
        keys = [Ed25519PrivateKey.generate() for _ in range(2)]
        publics = [key.public_key().public_bytes_raw() for key in keys]
        counts: list[str] = []

        async def never_read(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            _reader._transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(5)

        context = make_context(keys[1], [publics[0]], is_server=True)
        server = await asyncio.start_server(never_read, "127.0.0.1", 0, ssl=context)
        address = server.sockets[0].getsockname()
        mesh = Mesh(keys[0], lambda _sender, _frame: None, counts.append, Limits(unsent_bytes_max=1 << 20))
        mesh.set_peers({1: Peer(address, publics[1])})
        await must_become(lambda: mesh._links[1].outgoing is not None, "connected")
        with pytest.raises(PeerUnavailable, match="does not read"):
            await flood(mesh)
        assert "slow peer dropped" in counts
        server.close()
        await mesh.close()

    asyncio.run(main())


def test_a_share_never_leaves_its_node(tmp_path: Path) -> None:
    """Of all that is sent in a ceremony and for signatures, nothing holds a node's share, in either byte order."""

    async def work(network: Meshed) -> None:
        sent: list[bytes] = []
        for me in range(3):
            send = network.running[me].mesh.send

            def record(to: int, data: bytes, send: Callable[[int, bytes], None] = send) -> None:
                sent.append(data)
                send(to, data)

            network.running[me].mesh.send = record  # type: ignore[method-assign]
        await network.make_keys((ECDSA,))
        await network.must_stock(0, (0, 1))
        await network.must_sign((0, 1))
        assert len(sent) > 50
        for me in range(3):
            share = network.running[me].store.get_share_optional(0, 0, 0)
            assert isinstance(share, Secret)
            secret = share.expose()[8:40]
            assert not any(secret in frame or secret[::-1] in frame for frame in sent)

    run(tmp_path, work)
