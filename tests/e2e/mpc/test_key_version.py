"""``latest_key_version`` of the signer contract: domains come and go, an older client stays at its key.

The participants' keys are single keys here: what is tested is the contract, not the protocols.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import coincurve
import pytest

from hither.client import ContractFailed
from hither.mpc.protocols import compute_tweak
from hither.mpc.requests import (
    EcdsaPayload,
    EcdsaSignature,
    SignatureRequest,
    request_to_json,
    signature_to_json,
)
from tests.e2e.contracts.signer_network import (
    CALLER,
    PARTICIPANTS,
    PATH,
    SignerNetwork,
    make_root_key,
    make_secret,
    start_signer,
)

pytestmark = pytest.mark.slow

SECP256K1: Final = "Secp256k1"
ED25519: Final = "Edwards25519"
FIRST: Final = (("CaitSith", "Sign"), ("Frost", "Sign"))
"""What every client of such a contract takes for granted."""
LATER: Final = (("CaitSith", "ForeignTx"), ("DamgardEtAl", "Sign"), ("Frost", "Sign"), ("CaitSith", "Sign"))


@dataclass
class Contract:
    """The contract, and how many domains were asked for."""

    signer: SignerNetwork
    domains: int = 0

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
        self.signer.call_by_all("vote_add_domains", domains=domains)

    def make_keys(self) -> Iterator[int]:
        """Key by key; yields the domain's id before, within and after."""
        while "Initializing" in (state := self.signer.view("state")):
            domain = state["Initializing"]["generating_key"]["domain"]
            event = {"epoch_id": 0, "domain_id": domain["id"], "attempt_id": 0}
            yield domain["id"]
            self.signer.call(PARTICIPANTS[0], "start_keygen_instance", key_event_id=event)
            yield domain["id"]
            key = make_root_key(domain["id"], domain["protocol"])
            self.signer.call_by_all("vote_pk", key_event_id=event, public_key=key)
            yield domain["id"]

    def read_versions(self) -> tuple[int, int, str, str]:
        """Both versions, and the keys that an older client has by them."""
        view = self.signer.view
        versions = [view("latest_key_version", signature_scheme=curve) for curve in (SECP256K1, ED25519)]
        assert view("latest_key_version") == versions[0]
        keys = [
            view("derived_public_key", path=PATH, predecessor=CALLER, domain_id=version)
            for version in versions
        ]
        return versions[0], versions[1], keys[0], keys[1]


@pytest.fixture(scope="module")
def contract() -> Iterator[Contract]:
    """Three participants, no domains yet."""
    with start_signer(()) as signer:
        yield Contract(signer)


def make_answer(version: int, digest: bytes, secret: bytes) -> dict[str, Any]:
    """What ``respond`` takes: a signature by the key that is derived for the caller from this secret."""
    tweak = compute_tweak(CALLER, PATH)
    raw = coincurve.PrivateKey(secret).add(tweak).sign_recoverable(digest, hasher=None)
    signature = EcdsaSignature(bytes([2 + raw[64]]) + raw[:32], raw[32:64], raw[64])
    return {
        "request": request_to_json(SignatureRequest(tweak, EcdsaPayload(digest), version)),
        "response": signature_to_json(signature),
    }


def test_an_older_client_stays_at_its_key(contract: Contract) -> None:
    """Through later domains, in every step of making their keys, and through some that are given up."""
    with pytest.raises(ContractFailed, match="No domain signs on this curve"):
        contract.signer.view("latest_key_version")
    contract.vote_domains(FIRST)
    assert list(contract.make_keys()) == [0, 0, 0, 1, 1, 1]
    before = contract.read_versions()
    assert before[:2] == (0, 1)
    contract.vote_domains(LATER)
    for _ in contract.make_keys():
        assert contract.read_versions() == before
    assert len(contract.signer.view("state")["Running"]["keyset"]["domains"]) == len(FIRST) + len(LATER)
    contract.vote_domains((("CaitSith", "Sign"),))
    event = {"epoch_id": 0, "domain_id": 6, "attempt_id": 0}
    contract.signer.call(PARTICIPANTS[0], "start_keygen_instance", key_event_id=event)
    contract.signer.call_by_all("vote_cancel_keygen", PARTICIPANTS[:2], next_domain_id=7)
    assert "Running" in contract.signer.view("state")
    assert contract.read_versions() == before
    with pytest.raises(ContractFailed, match="No domain signs on this curve"):
        contract.signer.view("latest_key_version", signature_scheme="Bls12381")


def test_an_older_client_is_answered_under_its_key(contract: Contract) -> None:
    """It asks as it always did; a signature by the newest domain's key is refused, the oldest's is the answer."""
    digest = hashlib.sha256(b"an older client's").digest()
    version = contract.signer.view("latest_key_version")
    asked = {"path": PATH, "payload": list(digest), "key_version": version}
    good, bad = (
        make_answer(version, digest, make_secret(domain_id)) for domain_id in (0, contract.domains - 2)
    )
    hash_ = contract.signer.ask("sign", asked)
    contract.signer.wait_pending("get_pending_request", good["request"])
    contract.signer.must_refuse("InvalidSignature", PARTICIPANTS[1], "respond", **bad)
    contract.signer.call(PARTICIPANTS[1], "respond", **good)
    assert contract.signer.end(hash_) == good["response"]
