"""The signing network that ``hither up`` starts: three nodes in one process, two of which sign."""

import importlib.resources
import os
from pathlib import Path
from typing import Final

from hither.client import Signer
from hither.crypto.keys import SecretKey
from hither.crypto.signing import compute_public_key, secret_key_from_seed
from hither.mpc.ceremony import Plan, tls_key_to_text
from hither.mpc.local import LocalNetwork, LocalNode
from hither.primitives.types import ED25519

PARENT_ID: Final = "test.near"
CONTRACT_ID: Final = f"signer.{PARENT_ID}"
"""Never the names of NEAR's own signer contracts: clients derive addresses for those from NEAR's root keys."""

SIZE: Final = 3
THRESHOLD: Final = 2
_SEED_BYTES: Final = 32


def get_node_id(participant: int) -> str:
    """The account of a node."""
    return f"mpc-node-{participant}.{PARENT_ID}"


def _get_key(node: LocalNode, name: str) -> SecretKey:
    """A key of the node, made once and kept in its store."""
    seed = node.store.get_setting_optional(name)
    if seed is None:
        seed = os.urandom(_SEED_BYTES)
        node.store.put_setting(name, seed)
    return secret_key_from_seed(ED25519, seed)


def read_contract() -> bytes:
    """The signer contract's wasm, which comes with the package."""
    return importlib.resources.files("hither.mpc").joinpath("signer.wasm").read_bytes()


def make_plan(network: LocalNetwork, parent: SecretKey) -> Plan:
    """What the development network is to be."""
    nodes = [network.nodes[participant] for participant in network.participants]
    return Plan(
        contract_id=CONTRACT_ID,
        code=read_contract(),
        creator=Signer(PARENT_ID, parent),
        node_signers=tuple(
            Signer(get_node_id(node.participant), _get_key(node, "account key")) for node in nodes
        ),
        tls_keys=tuple(tls_key_to_text(compute_public_key(_get_key(node, "tls key"))) for node in nodes),
        threshold=network.threshold,
    )


def open_network(home: Path) -> LocalNetwork:
    """The nodes of the network in that home; their stores are made if there are none."""
    return LocalNetwork(home / "mpc", SIZE, THRESHOLD)
