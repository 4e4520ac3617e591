"""From nothing to a contract with participants and domains, in a development network.

Every step looks first at what is there, so a ceremony that was interrupted goes on where it ended, and one that
is complete does nothing. The contract's account is made without any key: nobody can change its code
but by its participants' votes. The keys themselves are the nodes' work (``service``).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hither.client import AsyncClient, Signer, UnknownAccount
from hither.client.actions import add_full_access_key, create_account, deploy, function_call, transfer
from hither.mpc.attestations import ensure_attested
from hither.mpc.contract import tls_key_to_text
from hither.mpc.foreign_requests import CHAIN_TAGS, encode_providers

CONTRACT_FUNDS: Final = "50 N"
NODE_FUNDS: Final = "100 N"
VOTE_GAS: Final = "100 Tgas"

Progress = Callable[[str], None]


class CeremonyFailed(Exception):
    """The network has no keys; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """What a node shows of itself: its account with the key, its TLS key, and where it listens."""

    account: Signer
    tls_key: bytes
    url: str = ""


DOMAINS: Final = (("CaitSith", "Sign"), ("Frost", "Sign"), ("CaitSith", "ForeignTx"))
"""Protocol and purpose of a development network's domains; clients take 0 for secp256k1 and 1 for ed25519."""

EXTRA_DOMAINS: Final = {
    "robust": ("DamgardEtAl", "Sign"),
    "app-keys": ("ConfidentialKeyDerivation", "CKD"),
}
"""What may be added to them, by the names of ``--domains``."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be there in the end. ``creator`` pays for accounts and is the parent of all of them."""

    contract_id: str
    code: bytes
    creator: Signer
    nodes: tuple[NodeIdentity, ...]
    threshold: int
    domains: tuple[tuple[str, str], ...] = DOMAINS


async def ensure_contract(client: AsyncClient, plan: Plan, progress: Progress) -> None:
    """Make what is missing of accounts, contract and domains. Raises ClientError."""
    for node in plan.nodes:
        await ensure_account(client, plan.creator, node.account, progress)
    await _ensure_code(client, plan, progress)
    for node in plan.nodes:
        await ensure_attested(client, plan.contract_id, node.account, node.tls_key)
    state = await get_state(client, plan.contract_id)
    if "Running" in state:
        await _ensure_domains(client, plan, state["Running"]["domains"], progress)


async def _ensure_domains(
    client: AsyncClient, plan: Plan, present: dict[str, Any], progress: Progress
) -> None:
    """All nodes vote for what is missing."""
    left = [(domain["protocol"], domain["purpose"]) for domain in present["domains"]]
    missing = []
    for kind in plan.domains:
        if kind in left:
            left.remove(kind)
        else:
            missing.append(kind)
    if not missing:
        return
    progress("voting for domains")
    domains = [
        {"id": id_, "protocol": protocol, "purpose": purpose, "reconstruction_threshold": plan.threshold}
        for id_, (protocol, purpose) in enumerate(missing, present["next_domain_id"])
    ]
    calls = (
        client.call(
            plan.contract_id, "vote_add_domains", {"domains": domains}, gas=VOTE_GAS, signer=node.account
        )
        for node in plan.nodes
    )
    await asyncio.gather(*calls)


async def get_state(client: AsyncClient, contract_id: str) -> dict[str, Any]:
    """What the contract's ``state`` answers."""
    state: dict[str, Any] = (await client.view(contract_id, "state")).json()
    return state


async def _has_account(client: AsyncClient, account_id: str) -> bool:
    try:
        await client.get_account(account_id)
    except UnknownAccount:
        return False
    return True


async def ensure_account(client: AsyncClient, creator: Signer, account: Signer, progress: Progress) -> None:
    """An account with its key and money, made if there is none."""
    if await _has_account(client, account.account_id):
        return
    progress(f"making the account {account.account_id}")
    key = add_full_access_key(account.public_key)
    await client.send(account.account_id, create_account(), transfer(NODE_FUNDS), key, signer=creator)


async def _ensure_code(client: AsyncClient, plan: Plan, progress: Progress) -> None:
    if await _has_account(client, plan.contract_id):
        return
    progress(f"deploying the signer contract to {plan.contract_id}")
    participants = [
        [node.account.account_id, number, {"url": node.url, "tls_public_key": tls_key_to_text(node.tls_key)}]
        for number, node in enumerate(plan.nodes)
    ]
    parameters = {
        "participants": {"next_id": len(participants), "participants": participants},
        "threshold": plan.threshold,
    }
    await client.send(
        plan.contract_id,
        create_account(),
        transfer(CONTRACT_FUNDS),
        deploy(plan.code),
        function_call("init", {"parameters": parameters}, gas=VOTE_GAS, deposit="0 N"),
        signer=plan.creator,
    )


async def ensure_foreign_chains(client: AsyncClient, plan: Plan, urls: Mapping[str, tuple[str, ...]]) -> None:
    """All nodes vote for these endpoints of other chains, and say that they look at those chains."""
    votes = encode_providers(urls)
    if (await client.view(plan.contract_id, "allowed_foreign_chain_providers")).value != votes:
        method = "vote_update_foreign_chain_providers"
        await asyncio.gather(
            *(
                client.call(plan.contract_id, method, votes, gas=VOTE_GAS, signer=node.account)
                for node in plan.nodes
            )
        )
    available = (await client.view(plan.contract_id, "get_available_foreign_chains")).json()
    if set(available) != set(urls):
        support = {"foreign_chain_support": sorted(urls, key=CHAIN_TAGS.__getitem__)}
        method = "register_foreign_chain_support"
        await asyncio.gather(
            *(
                client.call(plan.contract_id, method, support, gas=VOTE_GAS, signer=node.account)
                for node in plan.nodes
            )
        )
