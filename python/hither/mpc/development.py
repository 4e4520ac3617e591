"""The signing network that ``hither up`` starts: three nodes, two of which sign, in one process or in three."""

import asyncio
import contextlib
import importlib.resources
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hither.client import AsyncClient, Signer
from hither.crypto.keys import SecretKey
from hither.crypto.signing import compute_public_key, secret_key_from_seed
from hither.mpc.ceremony import (
    DOMAINS,
    EXTRA_DOMAINS,
    CeremonyFailed,
    NodeIdentity,
    Plan,
    Progress,
    ensure_contract,
    ensure_foreign_chains,
    get_state,
)
from hither.mpc.contract import list_root_keys
from hither.mpc.inspector import Inspector
from hither.mpc.local import LocalNetwork
from hither.mpc.runner import ACCOUNT_KEY, TLS_KEY
from hither.mpc.service import SigningService, running
from hither.mpc.store import NodeStore
from hither.primitives.types import ED25519

PARENT_ID: Final = "test.near"
CONTRACT_ID: Final = f"signer.{PARENT_ID}"
"""Never the names of NEAR's own signer contracts: clients derive addresses for those from NEAR's root keys."""

SIZE: Final = 3
THRESHOLD: Final = 2
STORES_FOLDER: Final = "mpc"
_SEED_BYTES: Final = 32


def get_node_id(participant: int) -> str:
    """The account of a node."""
    return f"mpc-node-{participant}.{PARENT_ID}"


def list_own_accounts() -> list[str]:
    """All that the network makes on our chain."""
    return [CONTRACT_ID, *(get_node_id(participant) for participant in range(SIZE))]


def get_node_home(home: Path, participant: int) -> Path:
    """Where a node keeps its store."""
    return home / STORES_FOLDER / f"node{participant}"


def ensure_seed(store: NodeStore, name: str) -> bytes:
    """A key's seed, made once and kept in the node's store."""
    seed = store.get_setting_optional(name)
    if seed is None:
        seed = os.urandom(_SEED_BYTES)
        store.put_setting(name, seed)
    return seed


def make_identity(store: NodeStore, account_id: str, url: str = "") -> NodeIdentity:
    """A node's account and keys."""
    tls_key = compute_public_key(secret_key_from_seed(ED25519, ensure_seed(store, TLS_KEY)))
    account_key = secret_key_from_seed(ED25519, ensure_seed(store, ACCOUNT_KEY))
    return NodeIdentity(Signer(account_id, account_key), tls_key.data, url)


def read_contract() -> bytes:
    """The signer contract's wasm, which comes with the package."""
    return importlib.resources.files("hither.mpc").joinpath("signer.wasm").read_bytes()


def make_plan(nodes: tuple[NodeIdentity, ...], parent: SecretKey, extra: Sequence[str] = ()) -> Plan:
    """What the development network is to be. ``extra``: names of ``EXTRA_DOMAINS``."""
    domains = (*DOMAINS, *(EXTRA_DOMAINS[name] for name in extra))
    return Plan(CONTRACT_ID, read_contract(), Signer(PARENT_ID, parent), nodes, THRESHOLD, domains)


def make_local_plan(network: LocalNetwork, parent: SecretKey, extra: Sequence[str] = ()) -> Plan:
    """For nodes of one process."""
    nodes = (make_identity(node.store, get_node_id(me)) for me, node in sorted(network.nodes.items()))
    return make_plan(tuple(nodes), parent, extra)


def open_network(
    home: Path, stock: Mapping[str, int] | None = None, foreign: Mapping[str, tuple[str, ...]] | None = None
) -> LocalNetwork:
    """The nodes of the network in that home; their stores are made if there are none.

    ``foreign``: endpoints of other chains, by the contract's names of them.
    """
    return LocalNetwork(home / STORES_FOLDER, SIZE, CONTRACT_ID, stock, Inspector(foreign or {}))


async def describe(client: AsyncClient, plan: Plan) -> dict[str, Any]:
    """What programs need to know: the contract, its domains' root keys, and how many nodes sign."""
    state = await get_state(client, plan.contract_id)
    return {
        "contract_id": plan.contract_id,
        "nodes": len(plan.nodes),
        "threshold": plan.threshold,
        "domains": list_root_keys(state),
    }


@contextlib.asynccontextmanager
async def serve(
    rpc_url: str, plan: Plan, network: LocalNetwork, progress: Progress
) -> AsyncIterator[dict[str, Any]]:
    """Nodes of one process answer requests while the context is open. Raises CeremonyFailed, ClientError."""
    async with AsyncClient(rpc_url) as client:
        await ensure_contract(client, plan, progress)
        accounts = {str(node.account.account_id): node.account for node in plan.nodes}
        service = SigningService(client, plan.contract_id, accounts, network)
        if (await service.fetch_view()).event is not None:
            progress("generating keys")
        view = await service.make_keys()
        if not network.has_shares(view):
            raise CeremonyFailed(
                "key shares are gone though the contract has their keys; "
                "restore the nodes' stores from a backup, or begin anew with --fresh"
            )
        if network.inspector.urls:
            await ensure_foreign_chains(client, plan, network.inspector.urls)
        progress("filling the stock of presignatures")
        await asyncio.to_thread(network.fill_stock, view)
        network.keep_stock()
        async with running(service):
            yield await describe(client, plan)
