"""From nothing to keys: the contract's account, its participants, its domains, their keys.

Every step looks first at what is there, so a ceremony that was interrupted goes on where it ended, and one that
is complete does nothing. The contract's account is made without any key: nobody can change its code
but by its participants' votes.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hither.client import AsyncClient, Signer, UnknownAccount
from hither.client.actions import add_full_access_key, create_account, deploy, function_call, transfer
from hither.codec import base58
from hither.foreign.secp256k1 import decompress_key
from hither.mpc.local import Domain, LocalNetwork
from hither.mpc.protocols import Curve, ProtocolFailure
from hither.primitives.types import PublicKey

CONTRACT_FUNDS: Final = "50 N"
NODE_FUNDS: Final = "100 N"
VOTE_GAS: Final = "100 Tgas"
KEYGEN_ATTEMPTS_MAX: Final = 5
_CURVES: Final[dict[str, Curve]] = {"CaitSith": "secp256k1", "Frost": "ed25519"}

Progress = Callable[[str], None]


class CeremonyFailed(Exception):
    """The network has no keys; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be there in the end. ``creator`` pays for accounts and is the parent of all of them."""

    contract_id: str
    code: bytes
    creator: Signer
    node_signers: tuple[Signer, ...]
    tls_keys: tuple[str, ...]
    threshold: int


DOMAINS: Final = (
    {"id": 0, "protocol": "CaitSith", "purpose": "Sign"},
    {"id": 1, "protocol": "Frost", "purpose": "Sign"},
    {"id": 2, "protocol": "CaitSith", "purpose": "ForeignTx"},
)
"""The domains of a development network; clients take 0 for secp256k1 and 1 for ed25519."""


async def ensure_keys(
    client: AsyncClient, plan: Plan, network: LocalNetwork, progress: Progress
) -> tuple[Domain, ...]:
    """Do what is missing; return the domains that have keys. Raises CeremonyFailed."""
    await _ensure_nodes(client, plan, progress)
    await _ensure_contract(client, plan, progress)
    state = await get_state(client, plan.contract_id)
    if "Running" in state and not state["Running"]["domains"]["domains"]:
        progress("voting for domains")
        domains = [{**domain, "reconstruction_threshold": plan.threshold} for domain in DOMAINS]
        await _call_by_all(client, plan, "vote_add_domains", {"domains": domains})
        state = await get_state(client, plan.contract_id)
    attempts = 0
    while "Initializing" in state:
        if attempts == KEYGEN_ATTEMPTS_MAX * len(DOMAINS):
            raise CeremonyFailed("key generation failed repeatedly; the log of the nodes says why")
        attempts += 1
        await _generate_key(client, plan, network, state["Initializing"], progress)
        state = await get_state(client, plan.contract_id)
    return _check_shares(network, state["Running"])


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


async def _ensure_nodes(client: AsyncClient, plan: Plan, progress: Progress) -> None:
    for signer in plan.node_signers:
        if await _has_account(client, signer.account_id):
            continue
        progress(f"making the account {signer.account_id}")
        key = add_full_access_key(signer.public_key)
        await client.send(signer.account_id, create_account(), transfer(NODE_FUNDS), key, signer=plan.creator)


async def _ensure_contract(client: AsyncClient, plan: Plan, progress: Progress) -> None:
    if await _has_account(client, plan.contract_id):
        return
    progress(f"deploying the signer contract to {plan.contract_id}")
    participants = [
        [signer.account_id, number, {"url": "", "tls_public_key": tls_key}]
        for number, (signer, tls_key) in enumerate(zip(plan.node_signers, plan.tls_keys, strict=True))
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


async def _call_by_all(client: AsyncClient, plan: Plan, method: str, args: dict[str, Any]) -> None:
    calls = (
        client.call(plan.contract_id, method, args, gas=VOTE_GAS, signer=signer)
        for signer in plan.node_signers
    )
    await asyncio.gather(*calls)


async def _generate_key(
    client: AsyncClient, plan: Plan, network: LocalNetwork, state: dict[str, Any], progress: Progress
) -> None:
    event = state["generating_key"]
    domain = read_domain(event["domain"])
    event_id = {
        "epoch_id": event["epoch_id"],
        "domain_id": domain.id,
        "attempt_id": event["next_attempt_id"],
    }
    instance = event["instance"]
    if instance is not None:
        # An attempt of before a restart: its shares may be lost, so it is ended, and another one started.
        await _abort(client, plan, {**event_id, "attempt_id": instance["attempt_id"]}, instance)
    progress(f"generating the key of domain {domain.id} ({domain.curve})")
    await client.call(
        plan.contract_id,
        "start_keygen_instance",
        {"key_event_id": event_id},
        gas=VOTE_GAS,
        signer=plan.node_signers[0],
    )
    try:
        key = await asyncio.to_thread(
            network.generate_key, domain, event_id["epoch_id"], event_id["attempt_id"]
        )
    except ProtocolFailure as failure:
        progress(f"key generation failed ({failure.args[0]}); trying again")
        await _abort(client, plan, event_id, {"completed": []})
        return
    vote = {"key_event_id": event_id, "public_key": key_to_text(domain.curve, key)}
    await _call_by_all(client, plan, "vote_pk", vote)


async def _abort(client: AsyncClient, plan: Plan, event_id: dict[str, int], instance: dict[str, Any]) -> None:
    waiting = [
        signer for number, signer in enumerate(plan.node_signers) if number not in instance["completed"]
    ]
    args = {"key_event_id": event_id}
    await client.send(
        plan.contract_id,
        function_call("vote_abort_key_event_instance", args, gas=VOTE_GAS, deposit="0 N"),
        signer=waiting[0],
        raise_on_failure=False,  # It may have expired by itself, which serves as well.
    )


def read_domain(json: dict[str, Any]) -> Domain:
    """A domain as the contract shows it."""
    return Domain(json["id"], _CURVES[json["protocol"]], json["purpose"])


def key_to_text(curve: Curve, key: bytes) -> str:
    """A compressed key as the contract writes it: secp256k1 keys as x and y."""
    if curve == "ed25519":
        return f"ed25519:{base58.encode(key)}"
    return f"secp256k1:{base58.encode(decompress_key(key).data)}"


def _check_shares(network: LocalNetwork, running: dict[str, Any]) -> tuple[Domain, ...]:
    epoch_id = running["keyset"]["epoch_id"]
    domains = tuple(read_domain(domain) for domain in running["domains"]["domains"])
    for domain in domains:
        if not network.has_shares(domain.id, epoch_id):
            raise CeremonyFailed(
                f"the key shares of domain {domain.id} are gone though the contract has its key; "
                "restore the nodes' stores from a backup, or begin anew with --fresh"
            )
    return domains


def tls_key_to_text(key: PublicKey) -> str:
    """A node's TLS key as the contract writes it."""
    return f"ed25519:{base58.encode(key.data)}"


def list_root_keys(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Domain, protocol, purpose and root public key of a running network."""
    running = state["Running"]
    keys = {}
    for entry in running["keyset"]["domains"]:
        (fields,) = entry["key"].values()
        keys[entry["domain_id"]] = fields.get("near_public_key") or fields["near_public_key_compressed"]
    return [
        {key: domain[key] for key in ("id", "protocol", "purpose")} | {"public_key": keys[domain["id"]]}
        for domain in running["domains"]["domains"]
    ]
