"""What ``hither up`` prints and writes when the network is ready. Pure: text and data in, text and data out."""

import itertools
from collections.abc import Iterable
from typing import Any

from hither.chain.genesis import (
    DEVELOPMENT_VALIDATOR,
    Genesis,
    derive_development_key,
    get_shard_layout,
)
from hither.codec.units import format_near
from hither.crypto.keys import public_key_to_str, secret_key_to_str
from hither.crypto.signing import compute_public_key
from hither.params import get_runtime_config
from hither.primitives.types import ProtocolVersion
from hither.runtime.fees import get_fees

LISTED_MAX = 2_000
SHOWN_MAX = 24
RECORDS_READ_MAX = 10_000
"""A genesis may hold very many accounts; nobody reads a list of them all."""


def list_funded_accounts(genesis: Genesis) -> list[dict[str, Any]]:
    """The first accounts of the genesis whose key everybody knows: id, keys, balance there, shard."""
    layout = get_shard_layout(genesis.config)
    records = list(itertools.islice(genesis.records, RECORDS_READ_MAX))
    keys = {
        record["AccessKey"]["account_id"]: record["AccessKey"]["public_key"]
        for record in records
        if "AccessKey" in record
    }
    accounts: list[dict[str, Any]] = []
    for record in records:
        if "Account" not in record:
            continue
        if len(accounts) == LISTED_MAX:
            break
        account_id = record["Account"]["account_id"]
        secret = derive_development_key(account_id)
        public_key = public_key_to_str(compute_public_key(secret))
        if keys.get(account_id) != public_key:
            continue  # Added by someone else, with a key that we do not have.
        accounts.append(
            {
                "account_id": account_id,
                "public_key": public_key,
                "secret_key": secret_key_to_str(secret),
                "genesis_balance": record["Account"]["account"]["amount"],
                "shard_id": layout.get_shard_id(account_id),
            }
        )
    return accounts


def make_endpoints(genesis: Genesis, rpc_url: str, process_id: int, version: str) -> dict[str, Any]:
    """The content of ``endpoints.json``."""
    return {
        "format_version": 1,
        "pid": process_id,
        "hither_version": version,
        "near": {
            "rpc_url": rpc_url,
            "caip2": f"near:{genesis.config.chain_id}",
            "chain_id": genesis.config.chain_id,
            "protocol_version": genesis.config.protocol_version,
            "pid": process_id,
            "accounts": list_funded_accounts(genesis),
        },
    }


def compute_transfer_cost(protocol_version: int, gas_price: int) -> tuple[int, int]:
    """Gas that a transfer between two accounts burns, and what that costs in yoctonear."""
    fees = get_fees(get_runtime_config(ProtocolVersion(protocol_version)))
    gas = fees.plain_transfer_burnt_other + fees.plain_transfer_remaining
    return gas, gas * gas_price


def describe_signing_network(signing: dict[str, Any] | None) -> list[str]:
    """The contract that signs for other chains, and the root key of each domain."""
    if signing is None:
        return []
    lines = [
        f"signer    {signing['contract_id']}: {signing['threshold']} of {signing['nodes']} nodes sign; root keys",
    ]
    for domain in signing["domains"]:
        what = f"domain {domain['id']} {domain['protocol']} {domain['purpose']}"
        lines.append(f"          {what:<27} {domain['public_key']}")
    return lines


def describe_foreign_accounts(rows: Iterable[dict[str, Any]]) -> list[str]:
    """One account of each family, whose key everybody knows too; all are in ``endpoints.json``."""
    families = {row["caip2"].partition(":")[0]: row["accounts"] for row in rows}
    if not families:
        return []
    lines = ["", f"{'elsewhere':<9} {'first of three accounts, with coins':<44}  secret key"]
    for family, (first, *_) in families.items():
        lines.append(f"{family:<9} {first['address']:<44}  {first['secret_key']}")
    return lines


def describe_network(endpoints: dict[str, Any], genesis: Genesis, home: str, ready_s: float) -> list[str]:
    """The screen that a person sees when everything answers."""
    near, config = endpoints["near"], genesis.config
    layout = get_shard_layout(config)
    count = len(layout.shard_ids)
    shards = f"{count} shards, boundaries {', '.join(layout.boundary_accounts)}" if count > 1 else "1 shard"
    gas, cost = compute_transfer_cost(config.protocol_version, int(config.min_gas_price))
    lines = [
        f"hither {endpoints['hither_version']}: chain {config.chain_id}, protocol {config.protocol_version}, {shards}",
        f"ready in {ready_s:.2f} s; state in {home}",
        "",
        f"JSON-RPC  {near['rpc_url']}",
        *(f"          {row['rpc_url']:<24}{row['caip2']}" for row in endpoints.get("foreign", ())),
        *describe_signing_network(endpoints.get("mpc")),
        "",
        f"{'account':<14}{'shard':>5}  {'balance at genesis':<20}secret key (known to everybody: for development only)",
    ]
    order = {DEVELOPMENT_VALIDATOR: 1, "near": 2}
    accounts = sorted(near["accounts"], key=lambda row: order.get(row["account_id"], 0))
    for account in accounts[:SHOWN_MAX]:
        balance = format_near(int(account["genesis_balance"]))
        lines.append(
            f"{account['account_id']:<14}{account['shard_id']:>5}  {balance:<20}{account['secret_key']}"
        )
    if len(accounts) > SHOWN_MAX:
        lines.append(f"… {len(accounts) - SHOWN_MAX} more: hither accounts list")
    return [
        *lines,
        *describe_foreign_accounts(endpoints.get("foreign", ())),
        "",
        f"A transfer burns {gas / 10**12:.3f} Tgas: {format_near(cost)} at the lowest gas price.",
        "Ctrl-C stops; the state stays. `hither tx HASH` shows a transaction.",
    ]
