"""Keys that the signer contract derives: every published one, and those that Python derives."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import coincurve
import pytest

from hither.client import Client
from hither.codec import base58
from hither.mpc.client import CURVES
from hither.mpc.contract import parse_public_key
from hither.mpc.development import read_contract
from hither.mpc.protocols import compute_tweak, derive_public_key
from hither.testing.network import LocalNetwork
from tests.e2e.contracts.signer_network import CONTRACT_ID, make_parameters
from tests.unit.mpc.test_protocols_vectors import ACCOUNTS, DERIVED_KEYS, PATHS, TWEAKS

pytestmark = pytest.mark.slow

PROTOCOLS = {"secp256k1": "CaitSith", "ed25519": "Frost"}


def make_keyset_entry(domain_id: int, root: str) -> dict[str, Any]:
    """A root key as keysets have it."""
    if root.startswith("secp256k1:"):
        key: dict[str, Any] = {"Secp256k1": {"near_public_key": root}}
    else:
        point = list(base58.decode(root.partition(":")[2]))
        key = {"Ed25519": {"near_public_key_compressed": root, "edwards_point": point}}
    return {"domain_id": domain_id, "attempt": 0, "key": key}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A contract that begins with the root keys of the published vectors, one a domain."""
    roots = [root for root, _, _ in DERIVED_KEYS]
    domains = [
        {
            "id": id_,
            "protocol": PROTOCOLS[root.partition(":")[0]],
            "purpose": "Sign",
            "reconstruction_threshold": 2,
        }
        for id_, root in enumerate(roots)
    ]
    entries = [make_keyset_entry(id_, root) for id_, root in enumerate(roots)]
    begin = {
        "domains": domains,
        "next_domain_id": len(roots),
        "keyset": {"epoch_id": 0, "domains": entries},
        "parameters": make_parameters(),
    }
    with LocalNetwork() as network, network.connect(CONTRACT_ID) as owner:
        owner.deploy(read_contract())
        owner.call(CONTRACT_ID, "init_running", begin, gas="100 Tgas")
        yield owner


def derive(client: Client, account_id: str, path: str, domain_id: int) -> str:
    """The contract's word."""
    args = {"path": path, "predecessor": account_id, "domain_id": domain_id}
    return str(client.view(CONTRACT_ID, "derived_public_key", args).json())


def test_every_published_key_is_derived(client: Client) -> None:
    """NEAR's testnet through chainsig.js, and near/mpc's snapshots; on both curves."""
    for domain_id, (root, of, expected) in enumerate(DERIVED_KEYS):
        assert client.view(CONTRACT_ID, "public_key", {"domain_id": domain_id}).json() == root
        assert derive(client, *of, domain_id) == expected


def test_published_tweaks_are_what_the_contract_adds(client: Client) -> None:
    """All sixteen: by an independent library on secp256k1, by Python on both curves."""
    point = coincurve.PublicKey(b"\x04" + base58.decode(DERIVED_KEYS[0][0].partition(":")[2]))
    for of, tweak in zip(product(ACCOUNTS, PATHS), map(bytes.fromhex, TWEAKS), strict=True):
        expected = point.add(tweak).format(compressed=False)[1:]
        assert derive(client, *of, 0) == f"secp256k1:{base58.encode(expected)}"
        for domain_id in (0, 1):
            root = parse_public_key(DERIVED_KEYS[domain_id][0])
            key = derive_public_key(CURVES[len(root)], root, compute_tweak(*of))
            assert parse_public_key(derive(client, *of, domain_id)) == key
