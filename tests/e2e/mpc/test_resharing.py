"""The members of a running network change, and how many sign, while people go on asking for signatures."""

import asyncio
import hashlib
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hither.chain.genesis import derive_development_key
from hither.client import AsyncClient, ClientError, Signer
from hither.foreign.engines.ports import find_free_port
from hither.mpc import development
from hither.mpc.attestations import ensure_attested
from hither.mpc.ceremony import (
    VOTE_GAS,
    NodeIdentity,
    ensure_account,
    ensure_contract,
    get_state,
)
from hither.mpc.client import SigningClient
from hither.mpc.config import NodeConfig, NodeHome
from hither.mpc.contract import NetworkView, list_root_keys, read_state, tls_key_to_text
from hither.mpc.requests import EcdsaPayload, EddsaPayload
from hither.mpc.runner import run_node
from hither.mpc.store import NodeStore
from hither.testing.network import LocalNetwork

pytestmark = pytest.mark.slow
BECOMES_S_MAX = 90
CONTRACT_ID = development.CONTRACT_ID


def say_nothing(_line: Any) -> None:
    """For nobody watches."""


@dataclass
class Member:
    """A node that runs here as it would in a process of its own."""

    home: NodeHome
    identity: NodeIdentity
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = asyncio.create_task(run_node(self.home, say_nothing, self.ending))

    async def stop(self) -> None:
        self.ending.set()
        assert self.task is not None
        await self.task

    def list_shares(self) -> list[tuple[int, int, int]]:
        with NodeStore(self.home.store_path, self.home.read_key(), is_shared=True) as store:
            return store.list_shares()

    def count_stock(self) -> dict[int, int]:
        with NodeStore(self.home.store_path, self.home.read_key(), is_shared=True) as store:
            return store.count_presignatures()


class Rehearsal:
    """A chain, its contract, members by number, and somebody who asks all the time."""

    def __init__(self, folder: Path, url: str, client: AsyncClient) -> None:
        self.folder, self.url, self.client = folder, url, client
        self.members: list[Member] = []
        self.parent = Signer(development.PARENT_ID, derive_development_key(development.PARENT_ID))
        self.signed = 0
        self.failures: list[str] = []

    def add_member(self) -> Member:
        """Its folder, keys and address; nothing runs yet."""
        number = len(self.members)
        folder = self.folder / f"node{number}"
        folder.mkdir()
        port = find_free_port()
        config = NodeConfig(
            contract_id=CONTRACT_ID,
            rpc_urls=(self.url,),
            account_id=development.get_node_id(number),
            listen=f"127.0.0.1:{port}",
            poll_ms=30,
            stock={"CaitSith": 2, "Frost": 1},
        )
        home = NodeHome(folder, config)
        with home.open_store() as store:
            identity = development.make_identity(store, config.account_id, f"https://{config.listen}")
        member = Member(home, identity)
        self.members.append(member)
        return member

    async def fetch_view(self) -> NetworkView:
        return read_state(await get_state(self.client, CONTRACT_ID))

    async def must_become(self, is_true: Callable[[NetworkView], bool], what: str) -> NetworkView:
        deadline = time.monotonic() + BECOMES_S_MAX
        while True:
            view = await self.fetch_view()
            if is_true(view):
                return view
            assert time.monotonic() < deadline, f"not {what} in {BECOMES_S_MAX} s"
            await asyncio.sleep(0.1)

    async def keep_asking(self) -> None:
        """One request after the other, of both curves; each answer is verified under the same derived key."""
        alice = Signer("alice.near", derive_development_key("alice.near"))
        signing = SigningClient(self.client, CONTRACT_ID)
        for number in itertools.count():
            digest = hashlib.sha256(str(number).encode()).digest()
            payload = EddsaPayload(digest) if number % 2 else EcdsaPayload(digest)
            try:
                await signing.sign(alice, "a path", payload, domain_id=number % 2)
                self.signed += 1
            except ClientError as error:
                self.failures.append(str(error))

    async def hand_on(self, numbers: list[int], governance: int, threshold: int) -> NetworkView:
        """All of the proposed members vote for it, first those who are members; wait until it is in force."""
        before = await self.fetch_view()
        state = (await get_state(self.client, CONTRACT_ID))["Running"]
        old = state["parameters"]["participants"]
        rows = [row for row in old["participants"] if row[1] in numbers]
        for number in sorted(set(numbers) - {row[1] for row in rows}):
            identity = self.members[number].identity
            info = {"url": identity.url, "tls_public_key": tls_key_to_text(identity.tls_key)}
            rows.append([identity.account.account_id, number, info])
        participants = {"next_id": max(old["next_id"], max(numbers) + 1), "participants": rows}
        proposal = {
            "parameters": {"threshold": governance, "participants": participants},
            "per_domain_thresholds": {str(domain_id): threshold for domain_id in before.keys},
        }
        args = {"prospective_epoch_id": before.epoch_id + 1, "proposal": proposal}
        for number in numbers:
            signer = self.members[number].identity.account
            await self.client.call(CONTRACT_ID, "vote_new_parameters", args, gas=VOTE_GAS, signer=signer)
        return await self.must_become(
            lambda view: view.event is None and view.epoch_id == before.epoch_id + 1, f"members {numbers}"
        )


async def rehearse(folder: Path, url: str) -> None:
    async with AsyncClient(url) as client:
        rehearsal = Rehearsal(folder, url, client)
        first = [rehearsal.add_member() for _ in range(3)]
        identities = tuple(member.identity for member in first)
        plan = development.make_plan(identities, derive_development_key(development.PARENT_ID))
        await ensure_contract(client, plan, say_nothing)
        for member in first:
            member.start()
        asking: asyncio.Task[None] | None = None
        try:
            view = await rehearsal.must_become(
                lambda view: view.event is None and len(view.keys) == 3, "keys"
            )
            roots = list_root_keys(await get_state(client, CONTRACT_ID))
            asking = asyncio.create_task(rehearsal.keep_asking())
            for numbers, governance, threshold in (
                ([0, 1, 2, 3], 3, 3),
                ([0, 1, 2, 3, 4], 3, 3),
                ([0, 3, 4], 2, 2),
            ):
                await must_grow(rehearsal, 4)
                while len(rehearsal.members) <= max(numbers):
                    joining = rehearsal.add_member()
                    await ensure_account(client, rehearsal.parent, joining.identity.account, say_nothing)
                    await client.call(
                        CONTRACT_ID,
                        "prepay_attestation_storage",
                        {"account_id": joining.home.config.account_id, "grants": 1},
                        deposit="0.02 N",
                        signer=rehearsal.parent,
                    )
                    await ensure_attested(
                        client, CONTRACT_ID, joining.identity.account, joining.identity.tls_key
                    )
                    joining.start()
                view = await rehearsal.hand_on(numbers, governance, threshold)
                assert list_root_keys(await get_state(client, CONTRACT_ID)) == roots
                assert {key.domain.threshold for key in view.keys.values()} == {threshold}
                await must_hold_only(rehearsal, view, numbers)
            await must_grow(rehearsal, 6)
            assert rehearsal.failures == []
        finally:
            if asking is not None:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            await asyncio.gather(*(member.stop() for member in rehearsal.members if member.task is not None))


async def must_grow(rehearsal: Rehearsal, count: int) -> None:
    """So many more signatures come."""
    wanted, deadline = rehearsal.signed + count, time.monotonic() + BECOMES_S_MAX
    while rehearsal.signed < wanted:
        assert time.monotonic() < deadline, f"no signatures: {rehearsal.failures[-3:]}"
        await asyncio.sleep(0.1)


async def must_hold_only(rehearsal: Rehearsal, view: NetworkView, numbers: list[int]) -> None:
    """Members hold the shares in force and no others; who has left holds nothing."""
    wanted = [(id_, view.epoch_id, key.attempt_id) for id_, key in sorted(view.keys.items())]
    deadline = time.monotonic() + BECOMES_S_MAX
    for number, member in enumerate(rehearsal.members):
        while member.list_shares() != (wanted if number in numbers else []):
            assert time.monotonic() < deadline, f"{number} holds {member.list_shares()}"
            await asyncio.sleep(0.1)
        assert number in numbers or member.count_stock() == {}


def test_keys_move_to_other_members_while_people_ask(tmp_path: Path) -> None:
    """Three, four, five, three others of them; two of three, three of four and five, two again: no request fails."""
    with LocalNetwork(shards=3) as network:
        asyncio.run(rehearse(tmp_path, network.url))
