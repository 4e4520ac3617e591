"""The nodes of a development network as processes: configured, started, waited for, and ended together.

Each node is ``hither mpc run`` in its own folder, so that one of them can be stopped and started by hand.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from hither.client import AsyncClient
from hither.crypto.keys import SecretKey
from hither.foreign.engines.ports import find_free_port
from hither.foreign.engines.process import Child, start_child
from hither.mpc import development
from hither.mpc.attestations import MOCK
from hither.mpc.ceremony import CeremonyFailed, NodeIdentity, ensure_contract, ensure_foreign_chains
from hither.mpc.config import ATTESTATION_FILE, CONFIG_FILE, NodeConfig, NodeHome, format_config

HOST = "127.0.0.1"
POLL_MS = 30
QUIET_S_MAX = 110.0
"""So long a node that starts may go without anything new: neither a peer, nor a key, nor stock."""
READY_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Options:
    """Which network is wanted: where, with whose money, how much stock, and which domains beyond
    the usual, and endpoints of other chains."""

    home: Path
    rpc_url: str
    parent: SecretKey
    stock: Mapping[str, int]
    domains: Sequence[str]
    foreign: Mapping[str, tuple[str, ...]]


@contextlib.asynccontextmanager
async def serve(options: Options, progress: Callable[[str], None]) -> AsyncIterator[dict[str, Any]]:
    """Nodes that sign, as long as the context is open. Raises CeremonyFailed, ClientError, EngineError."""
    homes = write_configs(options)
    identities = tuple(_make_identity(node) for node in homes)
    plan = development.make_plan(identities, options.parent, options.domains)
    async with contextlib.AsyncExitStack() as stack, AsyncClient(options.rpc_url) as client:
        await ensure_contract(client, plan, progress)
        progress("starting the nodes; they generate keys that are missing, and stock")
        children = []
        for node in homes:
            command = [sys.executable, "-m", "hither.cli.main", "mpc", "run", "--home", str(node.folder)]
            child = start_child(node.config.account_id, command, log_path=node.folder / "node.log")
            stack.push_async_callback(child.stop)
            children.append(child)
        nodes = await asyncio.gather(
            *(_wait_until_ready(node, child) for node, child in zip(homes, children, strict=True))
        )
        if options.foreign:
            await ensure_foreign_chains(client, plan, options.foreign)
        yield await development.describe(client, plan) | {"processes": list(nodes)}


def write_configs(options: Options) -> list[NodeHome]:
    """Fresh configurations: ports are those that are free now.

    At random: the nodes come to listen there only after the contract is made, and again whenever one is started by
    hand, so another network that begins meanwhile must not choose the same.
    """
    chosen: set[int] = set()
    while len(chosen) < 2 * development.SIZE:
        chosen.add(find_free_port())
    ports = sorted(chosen)
    ids = [development.get_node_id(number) for number in range(development.SIZE)]
    addresses = {id_: f"{HOST}:{port}" for id_, port in zip(ids, ports, strict=False)}
    homes = []
    for number, id_ in enumerate(ids):
        config = NodeConfig(
            contract_id=development.CONTRACT_ID,
            rpc_urls=(options.rpc_url,),
            account_id=id_,
            listen=addresses[id_],
            observe=f"{HOST}:{ports[development.SIZE + number]}",
            poll_ms=POLL_MS,
            addresses={other: address for other, address in addresses.items() if other != id_},
            stock=dict(options.stock),
            foreign_chains=dict(options.foreign),
            attestation_file=ATTESTATION_FILE,
        )
        folder = development.get_node_home(options.home, number)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / CONFIG_FILE).write_text(format_config(config), encoding="utf-8")
        (folder / ATTESTATION_FILE).write_text(json.dumps(MOCK), encoding="utf-8")
        homes.append(NodeHome(folder, config))
    return homes


def _make_identity(home: NodeHome) -> NodeIdentity:
    with home.open_store() as store:
        return development.make_identity(store, home.config.account_id, f"https://{home.config.listen}")


class Patience:
    """With one that starts: there is no end to it as long as something changes. A large stock takes minutes."""

    def __init__(self, now_s: float) -> None:
        self._said: object = None
        self._since_s = now_s

    def is_over(self, said: object, now_s: float) -> bool:
        """Whether it has said the same for too long."""
        if said != self._said:
            self._said, self._since_s = said, now_s
        return now_s - self._since_s > QUIET_S_MAX


async def _wait_until_ready(home: NodeHome, child: Child) -> dict[str, Any]:
    """A node that has keys and stock. Raises CeremonyFailed, EngineError."""
    patience = Patience(time.monotonic())
    async with httpx.AsyncClient() as http:
        while True:
            await child.wait_until(lambda output: '"participant"' in output, QUIET_S_MAX)
            health: dict[str, Any] = {"problems": ["it does not answer"], "is_stocked": False}
            with contextlib.suppress(httpx.HTTPError):
                health = (await http.get(f"http://{home.config.observe}/health")).json()
            if any("share" in problem for problem in health["problems"]):
                raise CeremonyFailed(f"{home.config.account_id}: {health['problems'][0]}")
            if health["is_stocked"]:
                break
            said = [health.get(name) for name in ("problems", "connected", "domains", "stock")]
            if patience.is_over(said, time.monotonic()):
                reason = "; ".join(health["problems"]) or f"its stock stays at {health['stock']}"
                raise CeremonyFailed(f"{home.config.account_id} does not become ready: {reason}")
            await asyncio.sleep(READY_POLL_S)
    return {
        "account_id": home.config.account_id,
        "pid": child.process_id,
        "home": str(home.folder),
        "observe": f"http://{home.config.observe}",
    }
