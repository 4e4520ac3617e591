"""``latest_key_version`` of the signer contract: domains come and go, an older client stays at its key.

The participants' keys are single keys here: what is tested is the contract, not the protocols.
"""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import coincurve
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hither.client import Client, ContractFailed, ExecutionFailed
from hither.codec import base58
from hither.mpc.development import read_contract
from hither.mpc.protocols import compute_tweak
from hither.mpc.requests import (
    EcdsaPayload,
    EcdsaSignature,
    SignatureRequest,
    request_to_json,
    signature_to_json,
)
from hither.testing.network import LocalNetwork

pytestmark = pytest.mark.slow

CONTRACT_ID: Final = "heidi.near"
PARTICIPANTS: Final = ("alice.near", "bob.near", "carol.near")
CALLER_ID: Final = "trent.near"
PATH: Final = "a path"
GAS: Final = "100 Tgas"
PENDING_S_MAX: Final = 20

SECP256K1: Final = "Secp256k1"
ED25519: Final = "Edwards25519"
FIRST: Final = (("CaitSith", "Sign"), ("Frost", "Sign"))
"""What every client of such a contract takes for granted."""
LATER: Final = (("CaitSith", "ForeignTx"), ("DamgardEtAl", "Sign"), ("Frost", "Sign"), ("CaitSith", "Sign"))


def make_secret(domain_id: int) -> bytes:
    """Of a domain."""
    return hashlib.sha256(b"domain %d" % domain_id).digest()


def make_root_key(domain_id: int, protocol: str) -> str:
    """Its public key, as the contract reads it."""
    secret = make_secret(domain_id)
    if protocol == "Frost":
        key = Ed25519PrivateKey.from_private_bytes(secret).public_key()
        return f"ed25519:{base58.encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw))}"
    return f"secp256k1:{base58.encode(coincurve.PrivateKey(secret).public_key.format(compressed=False)[1:])}"


@dataclass
class Contract:
    """The contract, and one client for each account."""

    clients: dict[str, Client]
    domains: int = 0

    def view(self, method: str, **args: Any) -> Any:
        return self.clients[CALLER_ID].view(CONTRACT_ID, method, args).json()

    def call_by_all(self, method: str, **args: Any) -> None:
        for account_id in PARTICIPANTS:
            self.clients[account_id].call(CONTRACT_ID, method, args, gas=GAS)

    def vote_domains(self, kinds: tuple[tuple[str, str], ...]) -> None:
        """Ask for new domains; their keys are not made yet."""
        domains = [
            {
                "id": self.domains + index,
                "protocol": protocol,
                "purpose": purpose,
                "reconstruction_threshold": 2,
            }
            for index, (protocol, purpose) in enumerate(kinds)
        ]
        self.domains += len(kinds)
        self.call_by_all("vote_add_domains", domains=domains)

    def make_keys(self) -> Iterator[int]:
        """Key by key; yields the domain's id before, within and after."""
        while "Initializing" in (state := self.view("state")):
            domain = state["Initializing"]["generating_key"]["domain"]
            event = {"epoch_id": 0, "domain_id": domain["id"], "attempt_id": 0}
            yield domain["id"]
            leader = self.clients[PARTICIPANTS[0]]
            leader.call(CONTRACT_ID, "start_keygen_instance", {"key_event_id": event}, gas=GAS)
            yield domain["id"]
            key = make_root_key(domain["id"], domain["protocol"])
            self.call_by_all("vote_pk", key_event_id=event, public_key=key)
            yield domain["id"]

    def read_versions(self) -> tuple[int, int, str, str]:
        """Both versions, and the keys that an older client has by them."""
        versions = [self.view("latest_key_version", signature_scheme=curve) for curve in (SECP256K1, ED25519)]
        assert self.view("latest_key_version") == versions[0]
        keys = [
            self.view("derived_public_key", path=PATH, predecessor=CALLER_ID, domain_id=version)
            for version in versions
        ]
        return versions[0], versions[1], keys[0], keys[1]


@pytest.fixture(scope="module")
def contract() -> Iterator[Contract]:
    """Three participants, no domains yet."""
    with LocalNetwork() as network:
        clients = {name: network.connect(name) for name in (*PARTICIPANTS, CALLER_ID, CONTRACT_ID)}
        owner = clients[CONTRACT_ID]
        owner.deploy(read_contract())
        participants = [
            [name, number, {"url": "", "tls_public_key": make_root_key(100 + number, "Frost")}]
            for number, name in enumerate(PARTICIPANTS)
        ]
        who = {"next_id": len(participants), "participants": participants}
        owner.call(CONTRACT_ID, "init", {"parameters": {"participants": who, "threshold": 2}}, gas=GAS)
        for number, name in enumerate(PARTICIPANTS):
            attested = {
                "proposed_participant_attestation": {"Mock": "Valid"},
                "tls_public_key": make_root_key(100 + number, "Frost"),
            }
            clients[name].call(CONTRACT_ID, "submit_participant_info", attested, gas=GAS)
        yield Contract(clients)
        for client in clients.values():
            client.close()


def make_answer(version: int, digest: bytes, secret: bytes) -> dict[str, Any]:
    """What ``respond`` takes: a signature by the key that is derived for the caller from this secret."""
    tweak = compute_tweak(CALLER_ID, PATH)
    raw = coincurve.PrivateKey(secret).add(tweak).sign_recoverable(digest, hasher=None)
    signature = EcdsaSignature(bytes([2 + raw[64]]) + raw[:32], raw[32:64], raw[64])
    return {
        "request": request_to_json(SignatureRequest(tweak, EcdsaPayload(digest), version)),
        "response": signature_to_json(signature),
    }


def test_an_older_client_stays_at_its_key(contract: Contract) -> None:
    """Through later domains, in every step of making their keys, and through some that are given up."""
    with pytest.raises(ContractFailed, match="No domain signs on this curve"):
        contract.view("latest_key_version")
    contract.vote_domains(FIRST)
    assert list(contract.make_keys()) == [0, 0, 0, 1, 1, 1]
    before = contract.read_versions()
    assert before[:2] == (0, 1)
    contract.vote_domains(LATER)
    for _ in contract.make_keys():
        assert contract.read_versions() == before
    assert len(contract.view("state")["Running"]["keyset"]["domains"]) == len(FIRST) + len(LATER)
    contract.vote_domains((("CaitSith", "Sign"),))
    contract.clients[PARTICIPANTS[0]].call(
        CONTRACT_ID,
        "start_keygen_instance",
        {"key_event_id": {"epoch_id": 0, "domain_id": 6, "attempt_id": 0}},
        gas=GAS,
    )
    for account_id in PARTICIPANTS[:2]:
        contract.clients[account_id].call(CONTRACT_ID, "vote_cancel_keygen", {"next_domain_id": 7}, gas=GAS)
    assert "Running" in contract.view("state")
    assert contract.read_versions() == before
    with pytest.raises(ContractFailed, match="No domain signs on this curve"):
        contract.view("latest_key_version", signature_scheme="Bls12381")


def test_an_older_client_is_answered_under_its_key(contract: Contract) -> None:
    """It asks as it always did; a signature by the newest domain's key is refused, the oldest's is the answer."""
    digest = hashlib.sha256(b"an older client's").digest()
    version = contract.view("latest_key_version")
    asked = {"request": {"path": PATH, "payload": list(digest), "key_version": version}}
    good, bad = (
        make_answer(version, digest, make_secret(domain_id)) for domain_id in (0, contract.domains - 2)
    )
    node = contract.clients[PARTICIPANTS[1]]
    call = contract.clients[CALLER_ID].call
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call, CONTRACT_ID, "sign", asked, gas="30 Tgas", deposit="1 yoctonear")
        deadline = time.monotonic() + PENDING_S_MAX
        while contract.view("get_pending_request", request=good["request"]) is None:
            assert time.monotonic() < deadline and not waiting.done()
            time.sleep(0.01)
        with pytest.raises(ExecutionFailed, match="signature is invalid"):
            node.call(CONTRACT_ID, "respond", bad, gas=GAS)
        node.call(CONTRACT_ID, "respond", good, gas=GAS)
        assert waiting.result(PENDING_S_MAX).value_json() == good["response"]
