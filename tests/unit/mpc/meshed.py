"""Nodes of a test that talk over TLS on loopback, in one event loop, with a contract that the test makes up."""

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from hither.mpc import protocols
from hither.mpc.contract import Key, KeyEvent, NetworkView, Participant
from hither.mpc.engine import Request
from hither.mpc.node import Node
from hither.mpc.requests import (
    Answer,
    AppKey,
    AppKeyRequest,
    EcdsaPayload,
    EcdsaSignature,
    EddsaPayload,
    EddsaSignature,
    Signature,
    SignatureRequest,
    VerifiableAppPublicKey,
)
from hither.mpc.schemes import Domain
from hither.mpc.signers import KeyFailed
from hither.mpc.store import NodeStore
from hither.mpc.transport import Limits, Mesh

CONTRACT_ID = "signer.test.near"
ECDSA, EDDSA = Domain(0, "CaitSith", "Sign", 2), Domain(1, "Frost", "Sign", 2)
ROBUST = Domain(3, "DamgardEtAl", "Sign", 2)
APP_KEYS = Domain(4, "ConfidentialKeyDerivation", "CKD", 2)
TWEAK = protocols.compute_tweak("alice.near", "a path")
QUICK = Limits(silence_s_max=1.5, reconnect_s_max=0.2)
BECOMES_S_MAX = 30
STORE_KEY = bytes(range(32))


async def must_become(is_true: Callable[[], bool], what: str, within_s: float = BECOMES_S_MAX) -> None:
    """Wait until something holds."""
    deadline_s = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline_s, f"not {what} in {within_s} s"
        await asyncio.sleep(0.01)


@dataclass
class Running:
    """A node with its connections."""

    node: Node
    mesh: Mesh
    task: asyncio.Task[None]
    store: NodeStore

    async def stop(self) -> None:
        """As a process that is killed: at once, without a word to anybody."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.mesh.close()
        self.node.close()
        self.store.close()


class Meshed:
    """Nodes by participant."""

    def __init__(self, folder: Path, size: int = 3, stock: dict[str, int] | None = None) -> None:
        self.folder = folder
        self.stock = {"CaitSith": 0, "Frost": 0} if stock is None else stock
        self.tls_keys = [ed25519.Ed25519PrivateKey.generate() for _ in range(size)]
        self.addresses: dict[int, tuple[str, int]] = {}
        self.running: dict[int, Running] = {}
        self.view = NetworkView(0, 2, (), {}, True)

    async def start(self, number: int) -> Node:
        """Start a node, or start it again where it was."""
        home = self.folder / f"node{number}"
        home.mkdir(exist_ok=True)
        store = NodeStore(home / "store.sqlite", STORE_KEY)
        node = Node(CONTRACT_ID, number, store, self.stock)
        mesh = Mesh(self.tls_keys[number], node.receive, node.count, QUICK)
        self.addresses[number] = await mesh.listen(*self.addresses.get(number, ("127.0.0.1", 0)))
        node.mesh = mesh
        self.running[number] = Running(node, mesh, asyncio.create_task(node.run()), store)
        if self.view.participants:
            node.set_view(self.view)
        return node

    async def stop(self, number: int) -> None:
        """Kill a node."""
        await self.running.pop(number).stop()

    def __getitem__(self, number: int) -> Node:
        return self.running[number].node

    def describe(self, numbers: Iterable[int]) -> tuple[Participant, ...]:
        """Participants as the contract would list them."""
        return tuple(
            Participant(
                number,
                f"node{number}.near",
                "{}:{}".format(*self.addresses[number]),
                self.tls_keys[number].public_key().public_bytes_raw(),
            )
            for number in numbers
        )

    def set_view(self, view: NetworkView) -> None:
        """The contract says this now, and all have read it."""
        self.view = view
        for running in self.running.values():
            running.node.set_view(view)

    async def connect(self, numbers: Sequence[int]) -> None:
        """Wait until everybody reaches everybody."""
        await must_become(
            lambda: all(self[me].connected >= set(numbers) - {me} for me in numbers), f"{numbers} connected"
        )

    async def make_keys(self, domains: Sequence[Domain] = (ECDSA, EDDSA)) -> None:
        """The ceremony: a key of each domain by all who run."""
        people = self.describe(self.running)
        self.set_view(replace(self.view, participants=people))
        await self.connect(list(self.running))
        for domain in domains:
            event = KeyEvent(self.view.epoch_id, domain, people, 0, 10**9, (), 1)
            (key,) = set(await self.run_event(event, 0))
            assert isinstance(key, bytes)
            self.set_view(
                replace(self.view, event=None, keys={**self.view.keys, domain.id: Key(domain, key, 0)})
            )

    async def run_event(self, event: KeyEvent, attempt_id: int) -> list[bytes | KeyFailed]:
        """An attempt at a key at all its members; each one's public key, or why it has none."""
        self.set_view(replace(self.view, event=event))
        members = [participant.id for participant in event.participants]
        work = (self[me].make_key(self.view, event, attempt_id) for me in members)
        answers: list[bytes | KeyFailed] = []
        for answer in await asyncio.gather(*work, return_exceptions=True):
            assert isinstance(answer, bytes | KeyFailed), repr(answer)
            answers.append(answer)
        return answers

    def ask(self, domain: Domain = ECDSA, text: str = "") -> Request:
        """A request that every node sees."""
        request = make_request(domain, text)
        for running in self.running.values():
            running.node.note_request(request)
        return request

    def verify(self, request: Request, signature: Answer) -> None:
        """By an independent library."""
        assert isinstance(request.request, SignatureRequest)
        root = self.view.keys[request.request.domain_id].public_key
        payload = request.request.payload
        if isinstance(payload, EcdsaPayload):
            assert isinstance(signature, EcdsaSignature)
            derived = protocols.derive_public_key("secp256k1", root, TWEAK)
            assert derived is not None
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), derived)
            r, s = int.from_bytes(signature.r, "big"), int.from_bytes(signature.s, "big")
            encoded = utils.encode_dss_signature(r, s)
            key.verify(encoded, payload.digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
            return
        assert isinstance(payload, EddsaPayload) and isinstance(signature, EddsaSignature)
        derived = protocols.derive_public_key("ed25519", root, TWEAK)
        assert derived is not None
        ed25519.Ed25519PublicKey.from_public_bytes(derived).verify(signature.signature, payload.message)

    async def must_sign(self, order: Sequence[int], domain: Domain = ECDSA) -> Signature:
        """A request signed under this order's leader, and verified."""
        request = self.ask(domain)
        signature = await self[order[0]].sign(request, self.view, order)
        assert isinstance(signature, EcdsaSignature | EddsaSignature)
        self.verify(request, signature)
        return signature

    async def must_derive(self, order: Sequence[int]) -> None:
        """An app's key, which the app can read and everybody can check."""
        app_secret, (first, second) = protocols.make_app_secret()
        app_id = protocols.compute_app_id("alice.near", "vault")
        asked = AppKeyRequest(VerifiableAppPublicKey(first, second), app_id, APP_KEYS.id)
        request = Request(os.urandom(32), asked, bytes(32), 1)
        for running in self.running.values():
            running.node.note_request(request)
        answer = await self[order[0]].sign(request, self.view, order)
        assert isinstance(answer, AppKey)
        root, blinded = self.view.keys[APP_KEYS.id].public_key, answer.big_y + answer.big_c
        assert protocols.answers_app_key_request(blinded, root, app_id, (first, second))
        assert protocols.unmask_app_key(blinded, root, app_id, app_secret) is not None

    async def must_stock(self, leader: int, signers: tuple[int, ...], domain: Domain = ECDSA) -> None:
        """One presignature, or a batch, that this leader owns."""
        await add_stock(self[leader], self.view, signers, domain)
        held = [set(self.running[me].store.list_presignatures(domain.id, signers, leader)) for me in signers]
        await must_become(
            lambda: all(
                set(self.running[me].store.list_presignatures(domain.id, signers, leader)) >= held[0]
                for me in signers
            ),
            "stocked",
        )


def make_request(domain: Domain = ECDSA, text: str = "") -> Request:
    """What somebody asks for: always something else."""
    data = hashlib.sha256(text.encode() or os.urandom(16)).digest()
    payload = EcdsaPayload(data) if domain.curve == "secp256k1" else EddsaPayload(data)
    request = SignatureRequest(TWEAK, payload, domain.id)
    return Request(os.urandom(32), request, bytes([9]) * 32, 1, bytes([8]) * 32)


async def add_stock(node: Node, view: NetworkView, signers: tuple[int, ...], domain: Domain = ECDSA) -> None:
    """Lead one job that makes presignatures."""
    await node.lead_presigning(view, view.keys[domain.id], signers)


@contextlib.asynccontextmanager
async def meshed(
    folder: Path,
    size: int = 3,
    stock: dict[str, int] | None = None,
    domains: Sequence[Domain] = (ECDSA, EDDSA),
) -> AsyncIterator[Meshed]:
    """A network with keys."""
    network = Meshed(folder, size, stock)
    try:
        for number in range(size):
            await network.start(number)
        await network.make_keys(domains)
        yield network
    finally:
        for number in list(network.running):
            await network.stop(number)


def run(folder: Path, work: Callable[[Meshed], Awaitable[None]], **options: Any) -> None:
    """Do this with a network of the test's own."""

    async def main() -> None:
        async with meshed(folder, **options) as network:
            await work(network)

    asyncio.run(main())
