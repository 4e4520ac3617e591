"""A signer contract on a chain of its own, whose domains' secrets the tests know.

What is tested with it is the contract, not the protocols: one program plays all nodes.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import coincurve
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_ecc.bls.point_compression import compress_G1, compress_G2
from py_ecc.optimized_bls12_381 import G1, G2, multiply

from hither.client import Client, ContractFailed, ExecutionFailed, Signer, TransactionResult
from hither.client.actions import add_full_access_key, function_call
from hither.client.operations import WaitUntil
from hither.codec import base58
from hither.crypto.keys import SecretKey
from hither.crypto.signing import compute_public_key, secret_key_from_seed
from hither.mpc.development import read_contract
from hither.primitives.types import ED25519
from hither.testing.network import LocalNetwork

ROOT: Final = Path(__file__).resolve().parents[3]
CONTRACT_ID: Final = "heidi.near"
PARTICIPANTS: Final = ("alice.near", "bob.near", "carol.near")
JOINER: Final = "judy.near"
CALLER: Final = "trent.near"
STRANGER: Final = "mallory.near"
PATH: Final = "a path"
GAS: Final = "300 Tgas"
DEPOSIT: Final = "1 yoctonear"
PENDING_S_MAX: Final = 60
TIME_OUT_BLOCKS: Final = 200
INIT_CONFIG: Final = {"key_event_timeout_blocks": 100}
"""Every transaction takes several blocks here."""
CURVE_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001

DOMAINS: Final = (
    {"id": 0, "protocol": "CaitSith", "purpose": "Sign", "reconstruction_threshold": 2},
    {"id": 1, "protocol": "Frost", "purpose": "Sign", "reconstruction_threshold": 2},
    {"id": 2, "protocol": "CaitSith", "purpose": "ForeignTx", "reconstruction_threshold": 2},
    {"id": 3, "protocol": "ConfidentialKeyDerivation", "purpose": "CKD", "reconstruction_threshold": 2},
    {"id": 4, "protocol": "DamgardEtAl", "purpose": "Sign", "reconstruction_threshold": 2},
)
"""One of each kind."""


def read_refusals() -> dict[str, str]:
    """Each refusal of contracts/signer/src/errors.rs, as a pattern of its text."""
    source = (ROOT / "contracts/signer/src/errors.rs").read_text(encoding="utf-8")
    table = source[source.index("\nrefusals! {") : source.index("\nimpl Refusal {")]
    texts = re.sub(r"\\\n\s*", "", table)
    found = re.findall(r'^\s+(\w+)(?:\s*\{[^}]*\})?\s*=>\s*"((?:[^"\\]|\\.)*)"', texts, re.MULTILINE)
    return {name: make_pattern(text) for name, text in found}


def make_pattern(text: str) -> str:
    """A text of Rust's format, as a regular expression."""
    parts = re.split(r"(\{\{|\}\}|\{\w+(?::\?)?\})", text.replace('\\"', '"'))
    literal = {"{{": r"\{", "}}": r"\}"}
    return "".join(literal.get(part) or (".+" if part.startswith("{") else re.escape(part)) for part in parts)


REFUSALS: Final = read_refusals()


def make_secret(domain_id: int) -> bytes:
    """Of a domain; below every curve's order."""
    return bytes([1]) + hashlib.sha256(b"domain %d" % domain_id).digest()[1:]


def make_scalar(domain_id: int) -> int:
    """The secret of a BLS domain as a number."""
    return int.from_bytes(make_secret(domain_id), "big") % CURVE_ORDER


def ed25519_text(secret: bytes) -> str:
    """The public key, as the contract writes it."""
    key = Ed25519PrivateKey.from_private_bytes(secret).public_key()
    return f"ed25519:{base58.encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw))}"


def g1_text(point: Any) -> str:
    """A point of G1, as the contract writes it."""
    return f"bls12381g1:{base58.encode(compress_G1(point).to_bytes(48, 'big'))}"


def g2_text(point: Any) -> str:
    """A point of G2, as the contract writes it."""
    first, second = compress_G2(point)
    return f"bls12381g2:{base58.encode(first.to_bytes(48, 'big') + second.to_bytes(48, 'big'))}"


def make_root_key(domain_id: int, protocol: str) -> str:
    """A domain's public key, as nodes vote for it."""
    if protocol == "Frost":
        return ed25519_text(make_secret(domain_id))
    if protocol == "ConfidentialKeyDerivation":
        return g2_text(multiply(G2, make_scalar(domain_id)))
    key = coincurve.PrivateKey(make_secret(domain_id)).public_key
    return f"secp256k1:{base58.encode(key.format(compressed=False)[1:])}"


def make_app_key(secret: int) -> dict[str, str]:
    """An app's key that can be verified."""
    return {"pk1": g1_text(multiply(G1, secret)), "pk2": g2_text(multiply(G2, secret))}


def make_tls_key(name: str) -> str:
    """A node's TLS key."""
    return ed25519_text(hashlib.sha256(b"tls " + name.encode()).digest())


def make_seed_key(name: str) -> SecretKey:
    """An account key of a test's own."""
    return secret_key_from_seed(ED25519, hashlib.sha256(name.encode()).digest())


def make_participant(name: str, number: int) -> list[Any]:
    """An entry of the participants' list."""
    return [name, number, {"url": f"https://{name}", "tls_public_key": make_tls_key(name)}]


def make_parameters(names: tuple[str, ...] = PARTICIPANTS, threshold: int = 2) -> dict[str, Any]:
    """Participants numbered in this order, and how many decide."""
    entries = [make_participant(name, number) for number, name in enumerate(names)]
    return {"participants": {"next_id": len(entries), "participants": entries}, "threshold": threshold}


def gas_burnt(result: TransactionResult, method_receipts: int | None = None) -> float:
    """Tgas of the receipts on the contract; the first so many of them."""
    outcomes = [entry["outcome"] for entry in result.json["receipts_outcome"]]
    burnt = [outcome["gas_burnt"] for outcome in outcomes if outcome["executor_id"] == CONTRACT_ID]
    return sum(burnt[:method_receipts]) / 10**12


@dataclass
class SignerNetwork:
    """The contract, and one client for each account."""

    network: LocalNetwork
    clients: dict[str, Client] = field(default_factory=dict)

    def connect(self, account_id: str) -> Client:
        """A client that signs for an account of the network."""
        if account_id not in self.clients:
            self.clients[account_id] = self.network.connect(account_id)
        return self.clients[account_id]

    def close(self) -> None:
        for client in self.clients.values():
            client.close()

    def view(self, method: str, /, **args: Any) -> Any:
        """What a view answers."""
        return self.connect(CALLER).view(CONTRACT_ID, method, args).json()

    def call(
        self, account_id: str, method: str, /, *, deposit: str = "0 N", gas: str = GAS, **args: Any
    ) -> Any:
        """Call; gives what it returned."""
        return self.send(account_id, method, args, deposit=deposit, gas=gas).value_json()

    def send(
        self, account_id: str, method: str, args: Any, *, deposit: str = "0 N", gas: str = GAS
    ) -> TransactionResult:
        """Call; gives the whole result."""
        return self.connect(account_id).call(CONTRACT_ID, method, args, gas=gas, deposit=deposit)

    def call_by_all(self, method: str, names: tuple[str, ...] = PARTICIPANTS, /, **args: Any) -> None:
        """The same call by each."""
        for name in names:
            self.call(name, method, **args)

    @contextmanager
    def refused(self, name: str) -> Iterator[None]:
        """What happens inside fails with this refusal's text."""
        with pytest.raises((ExecutionFailed, ContractFailed)) as caught:
            yield
        assert re.search(REFUSALS[name], get_panic(caught.value)), (name, str(caught.value))

    def must_refuse(
        self, name: str, account_id: str, method: str, /, *, deposit: str = "0 N", gas: str = GAS, **args: Any
    ) -> None:
        """A call that fails with this refusal's text."""
        with self.refused(name):
            self.call(account_id, method, deposit=deposit, gas=gas, **args)

    def ask(
        self,
        method: str,
        request: Any,
        account_id: str = CALLER,
        *,
        gas: str = "30 Tgas",
        deposit: str = DEPOSIT,
    ) -> str:
        """Send a request and do not wait for its end; gives the transaction's hash."""
        action = function_call(method, {"request": request}, gas=gas, deposit=deposit)
        client = self.connect(account_id)
        return client.send(CONTRACT_ID, action, wait_until=WaitUntil.INCLUDED).hash

    def wait_pending(self, view: str, request: Any) -> None:
        """Until such a request waits."""
        deadline = time.monotonic() + PENDING_S_MAX
        while self.view(view, request=request) is None:
            assert time.monotonic() < deadline, f"{view}: nothing waits"
            time.sleep(0.005)

    def end(self, hash_: str, account_id: str = CALLER) -> Any:
        """What the caller of a request gets."""
        return (
            self.connect(account_id).wait_for(hash_, account_id, timeout_seconds=PENDING_S_MAX).value_json()
        )

    def skip(self, heights: int) -> None:
        """Let so many blocks' time pass."""
        self.connect(CALLER).request("sandbox_fast_forward", {"delta_height": heights})

    def wait_s(self, seconds: int) -> None:
        """Let time pass on the chain."""
        client = self.connect(CALLER)
        at = client.get_block().timestamp_ns + seconds * 10**9
        client.request("hither_set_time", {"timestamp_nanosec": at})
        client.request("hither_mine", {"count": 1})

    def attest(self, account_id: str, attestation: Any = "Valid", *, tls_key: str | None = None) -> None:
        """Submit a mock under the account's TLS key."""
        self.call(
            account_id,
            "submit_participant_info",
            proposed_participant_attestation={"Mock": attestation},
            tls_public_key=tls_key or make_tls_key(account_id),
        )

    def make_keys(self, names: tuple[str, ...] = PARTICIPANTS) -> None:
        """Make the keys of domains that were voted for."""
        while "Initializing" in (state := self.view("state")):
            event = state["Initializing"]["generating_key"]
            domain = event["domain"]
            event_id = {
                "epoch_id": event["epoch_id"],
                "domain_id": domain["id"],
                "attempt_id": event["next_attempt_id"],
            }
            self.call(names[0], "start_keygen_instance", key_event_id=event_id)
            key = make_root_key(domain["id"], domain["protocol"])
            self.call_by_all("vote_pk", names, key_event_id=event_id, public_key=key)

    @contextmanager
    def reverted(self) -> Iterator[None]:
        """What happens inside is undone."""
        client = self.connect(CALLER)
        snapshot = client.request("hither_snapshot", [])["snapshot_id"]
        try:
            yield
        finally:
            client.request("hither_revert", [snapshot])
            for other in self.clients.values():
                other.session.forget_block_hash()
                if other.signer is not None:
                    other.signer.forget_nonces()

    def add_secret(self, account_id: str, secret: SecretKey) -> None:
        """Let this key sign for the account."""
        self.connect(account_id).send(account_id, add_full_access_key(compute_public_key(secret)))

    def add_key(self, account_id: str, name: str) -> Client:
        """A client that signs for the account with another key."""
        secret = make_seed_key(name)
        self.add_secret(account_id, secret)
        client = Client(self.network.url, signer=Signer(account_id, secret))
        self.clients[f"{account_id} {name}"] = client
        return client


def get_panic(error: ExecutionFailed | ContractFailed) -> str:
    """What the contract said, without the node's quoting."""
    text = error.panic_message if isinstance(error, ExecutionFailed) else error.text
    return str(text if text is not None else error).replace('\\"', '"').replace("\\n", "\n")


def attempt(action: Callable[[], Any]) -> Any:
    """What it gives, or the contract's words if it fails."""
    try:
        return action()
    except ExecutionFailed as failure:
        return get_panic(failure)


@contextmanager
def start_signer(domains: tuple[dict[str, Any], ...] = DOMAINS) -> Iterator[SignerNetwork]:
    """Three participants with attestations, and keys of these domains."""
    with LocalNetwork() as network:
        signer = SignerNetwork(network)
        signer.connect(CONTRACT_ID).deploy(read_contract())
        signer.call(CONTRACT_ID, "init", parameters=make_parameters(), init_config=INIT_CONFIG)
        for name in PARTICIPANTS:
            signer.attest(name)
        if domains:
            signer.call_by_all("vote_add_domains", domains=list(domains))
            signer.make_keys()
        try:
            yield signer
        finally:
            signer.close()
