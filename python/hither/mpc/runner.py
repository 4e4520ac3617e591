"""A signing node as a process: its store, its connections, its eyes on the chain, and what it shows of itself."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hither.client import AsyncClient, ClientError, Signer
from hither.crypto.signing import secret_key_from_seed
from hither.mpc import observe
from hither.mpc.config import NodeConfig, NodeHome, parse_address
from hither.mpc.contract import NetworkView, UnknownState, read_state
from hither.mpc.inspector import Inspector
from hither.mpc.node import Node
from hither.mpc.observe import Metric
from hither.mpc.service import SigningService
from hither.mpc.store import NodeStore
from hither.mpc.transport import Mesh
from hither.primitives.types import ED25519

logger = logging.getLogger(__name__)

ACCOUNT_KEY: Final = "account key"
TLS_KEY: Final = "tls key"
LISTED_POLL_S: Final = 0.2
WATCH_POLL_S: Final = 0.2

Tell = Callable[[dict[str, Any]], None]


class NodeFailed(Exception):
    """The node cannot run; the message says why and what to do."""


def get_account(store: NodeStore, account_id: str) -> Signer:
    """The node's account with its key. Raises NodeFailed."""
    seed = store.get_setting_optional(ACCOUNT_KEY)
    if seed is None:
        raise NodeFailed("the store has no key for the node's account; `hither mpc init` makes one")
    return Signer(account_id, secret_key_from_seed(ED25519, seed))


def get_tls_key(store: NodeStore) -> Ed25519PrivateKey:
    """The key that the others know this node by. Raises NodeFailed."""
    seed = store.get_setting_optional(TLS_KEY)
    if seed is None:
        raise NodeFailed("the store has no TLS key; `hither mpc init` makes one")
    return Ed25519PrivateKey.from_private_bytes(seed)


async def run_node(home: NodeHome, tell: Tell, ending: asyncio.Event) -> None:
    """Run until the event is set. ``tell`` gets what happens, for the operator's eyes. Raises NodeFailed."""
    config = home.config
    with home.open_store() as store:
        account, tls_key = get_account(store, config.account_id), get_tls_key(store)
        async with AsyncClient(config.rpc_urls[0]) as client:
            while not ending.is_set():
                me = await _wait_until_listed(client, config, tls_key, tell, ending)
                if me is not None:
                    await _RunningNode(home, store, client, account, tls_key, me).run(tell, ending)


def _find_participant(view: NetworkView, account_id: str) -> tuple[int, bytes] | None:
    found = [(row.id, row.tls_key) for row in view.everyone if row.account_id == account_id]
    return found[0] if found else None


async def _wait_until_listed(
    client: AsyncClient, config: NodeConfig, tls_key: Ed25519PrivateKey, tell: Tell, ending: asyncio.Event
) -> int | None:
    """This node's number in the contract; None if the end came first. Raises NodeFailed."""
    has_told = False
    while not ending.is_set():
        try:
            view = read_state((await client.view(config.contract_id, "state")).json())
        except (ClientError, UnknownState) as error:
            logger.warning("the contract %s does not answer: %s", config.contract_id, error)
        else:
            found = _find_participant(view, config.account_id)
            if found is not None:
                if found[1] != tls_key.public_key().public_bytes_raw():
                    raise NodeFailed(
                        f"the contract lists another TLS key for {config.account_id}: restore this node's store "
                        "from its backup, or let the others vote it out and a new account in"
                    )
                return found[0]
        if not has_told:
            tell({"waiting": f"until {config.contract_id} lists {config.account_id}"})
            has_told = True
        await asyncio.sleep(LISTED_POLL_S)
    return None


class _RunningNode:
    """One participant, as long as it keeps its number."""

    def __init__(
        self,
        home: NodeHome,
        store: NodeStore,
        client: AsyncClient,
        account: Signer,
        tls_key: Ed25519PrivateKey,
        me: int,
    ) -> None:
        self.config = config = home.config
        self.tls_key = tls_key.public_key().public_bytes_raw()
        inspector = Inspector(config.foreign_chains)
        self.node = Node(config.contract_id, me, store, config.stock, config.addresses, inspector)
        self.mesh = Mesh(tls_key, self.node.receive, self.node.count)
        self.service = SigningService(
            client,
            config.contract_id,
            {config.account_id: account},
            self.node,
            config.poll_ms / 1e3,
            config.rpc_urls,
            home.read_attestation if config.attestation_file is not None else None,
        )
        self.started_s = time.monotonic()

    async def run(self, tell: Tell, ending: asyncio.Event) -> None:
        """Until the end, or until the contract has given the account another number. Raises NodeFailed."""
        self.node.hear_passed = self.service.hear_passed
        try:
            host, port = await self.mesh.listen(*parse_address(self.config.listen))
        except OSError as error:
            raise NodeFailed(f"cannot listen on {self.config.listen}: {error.strerror}") from error
        self.node.mesh = self.mesh
        pages = observe.make_application(self.get_metrics, self.get_health)
        tasks = [asyncio.create_task(self.node.run()), asyncio.create_task(self.service.run())]
        try:
            async with observe.serve(pages, *parse_address(self.config.observe)) as address:
                tell(
                    {
                        "account_id": self.config.account_id,
                        "participant": self.node.me,
                        "listen": f"{host}:{port}",
                        "observe": f"http://{address}",
                    }
                )
                await self._watch(tasks, ending)
        except OSError as error:
            raise NodeFailed(f"cannot show metrics on {self.config.observe}: {error.strerror}") from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.mesh.close()
            self.node.close()

    async def _watch(self, tasks: list[asyncio.Task[None]], ending: asyncio.Event) -> None:
        while not ending.is_set():
            for task in tasks:
                if task.done():
                    task.result()
            view = self.service.view
            found = _find_participant(view, self.config.account_id) if view is not None else None
            if view is not None and (found is None or found[0] != self.node.me):
                logger.warning("the contract no longer lists this node as participant %d", self.node.me)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), WATCH_POLL_S)

    def get_health(self) -> dict[str, Any]:
        """Whether this node can sign, and if not, why."""
        view, node = self.service.view, self.node
        problems = []
        if view is None:
            problems.append("the contract has not answered yet")
        elif self.service.height == 0:
            problems.append("the chain has not been read yet")
        elif not view.keys:
            problems.append("no key has been made yet")
        elif not node.has_shares(view):
            problems.append(
                "a key share of this node is missing: restore it from a backup, or be voted in anew"
            )
        elif node.me in view.ids:
            needed = min(key.domain.signer_count for key in view.keys.values())
            there = len(node.connected & frozenset(view.ids)) + 1
            if there < needed:
                problems.append(f"{needed} signers are needed, and {there} are to be reached")
        attested_s = self.service.count_attested_s(self.tls_key)
        if attested_s == 0:
            problems.append("the attestation of this node is not in force: submit one, `hither mpc attest`")
        return {
            "status": "waiting" if problems else "ok",
            "problems": problems,
            "account_id": self.config.account_id,
            "participant": node.me,
            "epoch_id": None if view is None else view.epoch_id,
            "height": self.service.height,
            "attested_s": attested_s,
            "connected": sorted(node.connected),
            "domains": [] if view is None else sorted(view.keys),
            "stock": {str(domain): count for domain, count in node.store.count_presignatures().items()},
            "is_stocked": not problems and node.is_stocked,
            "pending": self.service.pending,
        }

    def get_metrics(self) -> list[Metric]:
        """Figures for Prometheus."""
        node, service, view = self.node, self.service, self.service.view
        metrics = [
            Metric("height", "gauge", "Height up to which the chain was read.", service.height),
            Metric(
                "connected_peers",
                "gauge",
                "Participants with whom messages go both ways.",
                len(node.connected),
            ),
            Metric("pending_requests", "gauge", "Requests that wait for a signature.", service.pending),
            Metric("epoch", "gauge", "Epoch of the keys in force.", -1 if view is None else view.epoch_id),
            Metric(
                "attested_seconds",
                "gauge",
                "How long this node's attestation is still in force, by the chain's clock.",
                self.service.count_attested_s(self.tls_key) or 0,
            ),
            Metric("uptime_seconds", "gauge", "Since this node started.", time.monotonic() - self.started_s),
        ]
        for domain, count in sorted(node.store.count_presignatures().items()):
            labels = {"domain": str(domain)}
            metrics.append(Metric("stock", "gauge", "Presignatures on disk, own and others'.", count, labels))
        for what, number in sorted({**node.counts, **service.counts}.items()):
            metrics.append(
                Metric(
                    "events_total", "counter", "What has happened since the start.", number, {"event": what}
                )
            )
        return metrics
