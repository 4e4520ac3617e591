"""Attestations at the signer contract: submitted, paid for, judged again; what nodes may run; moving a node."""

import hashlib
import json
import re
from typing import Any

import pytest

from hither.client import Client, Signer
from hither.codec import base58
from hither.crypto.signing import secret_key_from_seed
from hither.primitives.types import SECP256K1
from tests.e2e.contracts.dstack import Machine, make_verifier, reject
from tests.e2e.contracts.signer_network import (
    CALLER,
    CONTRACT_ID,
    DEPOSIT,
    DOMAINS,
    JOINER,
    PARTICIPANTS,
    REFUSALS,
    ROOT,
    STRANGER,
    SignerNetwork,
    attempt,
    make_tls_key,
    start_signer,
)

pytestmark = pytest.mark.slow

SIGNER_DOMAINS = DOMAINS[:1]
ALICE, BOB, CAROL = PARTICIPANTS
VERIFIER = "peggy.near"
FEE = "0.02 N"
WEEK_S = 604_800
IMAGE, OTHER_IMAGE, LAUNCHER = "11" * 32, "22" * 32, "33" * 32
CODE = "44" * 32
BLOCK_NS = 600_000_000


def now_s(signer: SignerNetwork) -> int:
    return signer.connect(CALLER).get_block().timestamp_ns // 10**9


def submit(signer: SignerNetwork, account_id: str, attestation: Any, name: str | None = None) -> None:
    signer.call(
        account_id,
        "submit_participant_info",
        proposed_participant_attestation=attestation,
        tls_public_key=make_tls_key(name or account_id),
    )


def pay(signer: SignerNetwork, account_id: str, grants: int = 1, fee: str = FEE) -> None:
    args = {"account_id": account_id, "grants": grants}
    signer.send(CALLER, "prepay_attestation_storage", args, deposit=fee)


def test_a_new_attestation_needs_a_grant(signer: SignerNetwork) -> None:
    """Paid exactly, by anybody, used up by a new TLS key and not by a renewal, back with what is pruned."""
    with signer.refused("NoAttestationStorageGrant"):
        submit(signer, JOINER, {"Mock": "Valid"})
    with signer.refused("UnexpectedDeposit"):
        pay(signer, JOINER, fee="0.03 N")
    with signer.refused("MalformedPayload"):
        pay(signer, JOINER, 0, "0 N")
    with signer.refused("UnexpectedDeposit"):
        pay(signer, JOINER, 2**32 - 1)
    pay(signer, JOINER, 2, "0.04 N")
    submit(signer, JOINER, {"Mock": "Valid"})
    submit(signer, JOINER, {"Mock": "Valid"})
    assert signer.view("available_attestation_grants", account_id=JOINER) == 1
    with signer.refused("TlsKeyOwnedByOtherAccount"):
        submit(signer, STRANGER, {"Mock": "Valid"}, JOINER)
    entry = signer.view("get_attestation", tls_public_key=make_tls_key(JOINER))
    expiry = entry["Mock"]["WithConstraints"]["expiry_timestamp_seconds"]
    assert WEEK_S - 600 < expiry - now_s(signer) <= WEEK_S
    assert JOINER in {node["account_id"] for node in signer.view("get_tee_accounts")}
    assert signer.view("get_attestation", tls_public_key=make_tls_key("nobody")) is None
    signer.wait_s(WEEK_S + 1)
    assert signer.call(STRANGER, "clean_invalid_attestations", max_scan=30) == 4
    assert signer.view("available_attestation_grants", account_id=JOINER) == 2


def test_founders_act_after_they_submitted() -> None:
    """What `init` stores for them never ends, but names a key that signs nothing."""
    with start_signer(()) as signer, signer.reverted():
        participants = signer.view("state")["Running"]["parameters"]
        signer.connect("ivan.near").deploy(signer.connect(CALLER).get_code(CONTRACT_ID).code)
        signer.connect("ivan.near").call("ivan.near", "init", {"parameters": participants}, gas="100 Tgas")
        founder = signer.connect(ALICE).view(
            "ivan.near", "get_attestation", {"tls_public_key": make_tls_key(ALICE)}
        )
        assert founder.json() == {"Mock": "Valid"}
        stored = {"tweak": [0] * 32, "payload": {"Ecdsa": "07" * 32}, "domain_id": 0}
        args = {"request": stored, "response": {"scheme": "Ed25519", "signature": [0] * 64}}
        with signer.refused("AttestationKeyMismatch"):
            signer.connect(ALICE).call("ivan.near", "respond", args, gas="100 Tgas")


@pytest.mark.parametrize(
    "constraints",
    [
        {"mpc_docker_image_hash": OTHER_IMAGE},
        {"launcher_docker_compose_hash": OTHER_IMAGE},
        {"expiry_timestamp_seconds": 1},
        {"expected_measurements": Machine(b"", b"").measurement | {"mrtd": "00" * 48}},
    ],
)
def test_a_mock_keeps_to_its_constraints(signer: SignerNetwork, constraints: dict[str, Any]) -> None:
    """Each of them can fail it."""
    trust(signer)
    with signer.refused("InvalidAttestation"):
        submit(signer, ALICE, {"Mock": {"WithConstraints": constraints}})
    with signer.refused("InvalidAttestation"):
        submit(signer, ALICE, {"Mock": "Invalid"})


def make_compose_file() -> str:
    """As docs/reference/signer_contract.md has it."""
    page = (ROOT / "docs/reference/signer_contract.md").read_text(encoding="utf-8")
    found = re.search(r'^\{"compose_file": .*\}$', page, re.MULTILINE)
    assert found is not None
    template: str = json.loads(found[0])["compose_file"]
    return template.replace("LAUNCHER_HASH", LAUNCHER).replace("IMAGE_HASH", IMAGE)


def compute_compose_hash() -> str:
    return hashlib.sha256(make_compose_file().encode()).hexdigest()


def trust(signer: SignerNetwork, nodes: tuple[str, ...] = (ALICE, BOB)) -> None:
    """An image, a launcher and a system, by vote."""
    for node in nodes:
        signer.call(node, "vote_code_hash", code_hash=IMAGE)
        signer.call(node, "vote_add_launcher_hash", launcher_hash=LAUNCHER)
        signer.call(node, "vote_add_os_measurement", measurement=Machine(b"", b"").measurement)


def test_a_mock_within_its_constraints_is_stored(signer: SignerNetwork) -> None:
    """All four at once."""
    trust(signer)
    constraints = {
        "mpc_docker_image_hash": IMAGE,
        "launcher_docker_compose_hash": compute_compose_hash(),
        "expiry_timestamp_seconds": now_s(signer) + 1000,
        "expected_measurements": Machine(b"", b"").measurement,
    }
    submit(signer, ALICE, {"Mock": {"WithConstraints": constraints}})
    stored = signer.view("get_attestation", tls_public_key=make_tls_key(ALICE))
    assert stored == {"Mock": {"WithConstraints": constraints}}


def test_what_is_trusted_is_voted_for(signer: SignerNetwork) -> None:
    """Added by the threshold, removed by all; a newer image ends the older one after its grace."""
    measurement = Machine(b"", b"").measurement
    trust(signer, (ALICE, ALICE))  # Twice the same voter is one vote.
    assert signer.view("code_hash_votes") == {"proposal_by_account": {"0": IMAGE}}
    assert signer.view("launcher_hash_votes") == {"vote_by_account": {"0": {"Add": LAUNCHER}}}
    assert signer.view("os_measurement_votes") == {"vote_by_account": {"0": {"Add": measurement}}}
    assert signer.view("allowed_docker_image_hashes") == []
    trust(signer, (BOB,))
    signer.must_refuse("NotVoter", STRANGER, "vote_code_hash", code_hash=IMAGE)
    assert signer.view("allowed_docker_image_hashes") == [
        {"image_hash": IMAGE, "expiry_timestamp_seconds": None}
    ]
    assert signer.view("allowed_launcher_image_hashes") == [LAUNCHER]
    assert signer.view("allowed_launcher_compose_hashes") == [compute_compose_hash()]
    assert signer.view("allowed_os_measurements") == [measurement]
    for node in (ALICE, BOB):
        signer.call(node, "vote_code_hash", code_hash=OTHER_IMAGE)
        signer.call(node, "vote_remove_launcher_hash", launcher_hash=LAUNCHER)
        signer.call(node, "vote_remove_os_measurement", measurement=measurement)
    images = signer.view("allowed_docker_image_hashes")
    assert [image["image_hash"] for image in images] == [OTHER_IMAGE, IMAGE]
    assert images[1]["expiry_timestamp_seconds"] > now_s(signer)
    assert signer.view("allowed_launcher_image_hashes") == [LAUNCHER]
    signer.call(CAROL, "vote_remove_launcher_hash", launcher_hash=LAUNCHER)
    signer.call(CAROL, "vote_remove_os_measurement", measurement=measurement)
    assert signer.view("allowed_launcher_image_hashes") == []
    assert signer.view("allowed_os_measurements") == []
    signer.wait_s(WEEK_S + 2)
    assert [image["image_hash"] for image in signer.view("allowed_docker_image_hashes")] == [OTHER_IMAGE]


def test_too_few_valid_attestations_stop_requests(signer: SignerNetwork) -> None:
    """Until they are renewed; with enough left, keys go to those without a vote."""
    assert signer.call(ALICE, "verify_tee") is True
    signer.must_refuse("NotVoter", STRANGER, "verify_tee")
    signer.wait_s(WEEK_S + 1)
    assert signer.call(ALICE, "verify_tee") is False
    request = {"path": "p", "payload_v2": {"Ecdsa": "07" * 32}, "domain_id": 0}
    signer.must_refuse("TeeValidationFailed", CALLER, "sign", deposit=DEPOSIT, request=request)
    for node in (ALICE, BOB):
        signer.attest(node)
    assert signer.call(ALICE, "verify_tee") is True
    resharing = signer.view("state")["Resharing"]["resharing_key"]
    names = [name for name, _, _ in resharing["parameters"]["participants"]["participants"]]
    assert (names, resharing["epoch_id"]) == ([ALICE, BOB], 1)
    signer.must_refuse("ProtocolStateNotRunning", STRANGER, "clean_invalid_attestations", max_scan=30)
    signer.ask("sign", request)


def test_whose_attestation_is_gone_is_told_so(signer: SignerNetwork) -> None:
    """Gone after its time; or taken by another account meanwhile."""
    signer.wait_s(WEEK_S + 1)
    signer.call(STRANGER, "clean_invalid_attestations", max_scan=30)
    args = {"key_event_id": {"epoch_id": 0, "domain_id": 1, "attempt_id": 0}}
    signer.must_refuse("AttestationNotFound", ALICE, "start_keygen_instance", **args)
    pay(signer, STRANGER)
    submit(signer, STRANGER, {"Mock": "Valid"}, ALICE)
    signer.must_refuse("AttestationOwnerMismatch", ALICE, "start_keygen_instance", **args)


def test_only_ed25519_keys_submit(signer: SignerNetwork) -> None:
    """Others could never be held against what is stored."""
    secret = secret_key_from_seed(SECP256K1, hashlib.sha256(b"secp256k1").digest())
    signer.add_secret(ALICE, secret)
    with Client(signer.network.url, signer=Signer(ALICE, secret)) as client:
        signer.clients["secp256k1"] = client
        with signer.refused("SignerKeyNotEd25519"):
            submit(signer, "secp256k1", {"Mock": "Valid"}, ALICE)
        del signer.clients["secp256k1"]


def elect(signer: SignerNetwork) -> None:
    """A verifier, by vote."""
    choice = {"candidate_account_id": VERIFIER, "expected_code_hash": CODE}
    for node in (ALICE, BOB):
        signer.call(node, "vote_tee_verifier_change", **choice)


def test_the_verifier_is_voted_for(signer: SignerNetwork) -> None:
    """Votes are seen by the hash of what they are for, and can be taken back."""
    choice = {"candidate_account_id": VERIFIER, "expected_code_hash": CODE}
    signer.call(ALICE, "vote_tee_verifier_change", **choice)
    proposal = len(VERIFIER).to_bytes(4, "little") + VERIFIER.encode() + bytes.fromhex(CODE)
    assert signer.view("tee_verifier_votes") == {hashlib.sha256(proposal).hexdigest(): [0]}
    signer.call(ALICE, "withdraw_tee_verifier_vote")
    assert signer.view("tee_verifier_votes") == {}
    assert signer.view("tee_verifier_account_id") is None
    elect(signer)
    assert signer.view("tee_verifier_account_id") == VERIFIER
    signer.call(ALICE, "vote_tee_verifier_change", **choice)
    assert signer.view("tee_verifier_votes") == {}


def make_machine(signer: SignerNetwork, name: str = ALICE, **changes: Any) -> Machine:
    """The machine of a participant's node, which runs what is trusted."""
    client_signer = signer.connect(name).signer
    assert client_signer is not None
    tls_key = base58.decode(make_tls_key(name).partition(":")[2])
    machine = Machine(tls_key, client_signer.public_key.data)
    machine.compose_file = make_compose_file()
    for field, value in changes.items():
        setattr(machine, field, value)
    return machine


def install(signer: SignerNetwork, answer: bytes) -> None:
    """Let the verifier say this."""
    signer.connect(VERIFIER).deploy(make_verifier(answer))


def test_a_quote_goes_to_the_verifier_and_is_stored(signer: SignerNetwork) -> None:
    """What it reports is held against what is trusted; the stored form is judged again later."""
    machine = make_machine(signer)
    with signer.refused("VerifierNotConfigured"):
        submit(signer, ALICE, machine.submit())
    trust(signer)
    elect(signer)
    for kind in (1, 2):
        machine.kind = kind
        install(signer, machine.report())
        submit(signer, ALICE, machine.submit())
    stored = signer.view("get_attestation", tls_public_key=make_tls_key(ALICE))["Dstack"]
    assert stored["mpc_image_hash"] == IMAGE
    assert stored["launcher_compose_hash"] == compute_compose_hash()
    assert stored["measurements"] == machine.measurement
    assert signer.call(ALICE, "verify_tee") is True


WRONG_MACHINES: list[tuple[str, dict[str, Any]]] = [
    ("TCB status", {"status": "OutOfDate"}),
    ("not TD10", {"kind": 0}),
    ("wrong report_data hash", {"account_key": bytes(32)}),
    ("MPC image hash", {"image": OTHER_IMAGE}),
    ("launcher compose hash", {"compose_file": "services: another"}),
    ("allows what it must forbid", {"compose": {"pre_launch_script": "curl"}}),
    ("allows what it must forbid", {"compose": {"kms_enabled": True}}),
    ("duplicate key-provider", {"extra_events": [("key-provider", b"local")]}),
    ("wrong compose_hash", {"tampered": {"compose_hash": "00" * 32}}),
    ("wrong app_compose_payload hash", {"tampered": {"app_compose": "{}"}}),
    ("wrong event_log hash", {"tampered": {"event_log": []}}),
]


@pytest.mark.parametrize(
    ("reason", "changes"), WRONG_MACHINES, ids=[f"{r} {next(iter(c))}" for r, c in WRONG_MACHINES]
)
def test_a_genuine_quote_of_the_wrong_machine_is_refused(
    signer: SignerNetwork, reason: str, changes: dict[str, Any]
) -> None:
    """Another node's keys, an untrusted image or launcher, a log that was changed."""
    trust(signer)
    elect(signer)
    machine = make_machine(signer, **changes)
    install(signer, machine.report())
    said = attempt(lambda: submit(signer, ALICE, machine.submit()))
    assert re.search(REFUSALS["InvalidAttestation"], said)
    assert reason in said
    assert "Mock" in signer.view("get_attestation", tls_public_key=make_tls_key(ALICE))


def test_a_verifier_that_rejects_or_fails_fails_the_submission(signer: SignerNetwork) -> None:
    """The submitter's transaction tells why."""
    elect(signer)
    machine = make_machine(signer)
    with signer.refused("VerifierUnavailable"):
        submit(signer, ALICE, machine.submit())
    install(signer, reject("no such certificate"))
    with signer.refused("QuoteRejected"):
        submit(signer, ALICE, machine.submit())


def test_a_node_moves_to_another_machine(signer: SignerNetwork) -> None:
    """The operator announces it; the new machine concludes it with a key and an attestation of its own."""
    keyset = signer.view("state")["Running"]["keyset"]
    new_tls_key = make_tls_key("new machine")
    machine = signer.add_key(ALICE, "new machine")
    assert machine.signer is not None
    info = {"url": "https://new", "tls_public_key": new_tls_key}
    destination = {"signer_account_pk": str(machine.signer.public_key), "destination_node_info": info}
    conclude = {"keyset": keyset}
    signer.must_refuse("MigrationNotFound", ALICE, "conclude_node_migration", **conclude)
    start = {"destination_node_info": destination}
    signer.must_refuse("InsufficientDeposit", ALICE, "start_node_migration", **start)
    signer.must_refuse("NotParticipant", STRANGER, "start_node_migration", deposit=DEPOSIT, **start)
    signer.must_refuse("NotParticipant", STRANGER, "conclude_node_migration", **conclude)
    signer.call(ALICE, "start_node_migration", deposit=DEPOSIT, **start)
    backup = {"backup_service_info": {"public_key": make_tls_key("backup")}}
    signer.must_refuse("NotParticipant", STRANGER, "register_backup_service", deposit=DEPOSIT, **backup)
    signer.call(ALICE, "register_backup_service", deposit="1 N", **backup)
    assert signer.view("migration_info") == {ALICE: [backup["backup_service_info"], destination]}
    signer.must_refuse("AccountPublicKeyMismatch", ALICE, "conclude_node_migration", **conclude)
    other = {"keyset": keyset | {"epoch_id": 1}}
    signer.must_refuse("KeysetMismatch", f"{ALICE} new machine", "conclude_node_migration", **other)
    signer.must_refuse(
        "InvalidTeeRemoteAttestation", f"{ALICE} new machine", "conclude_node_migration", **conclude
    )
    pay(signer, ALICE)
    submit(signer, f"{ALICE} new machine", {"Mock": "Valid"}, "new machine")
    signer.call(f"{ALICE} new machine", "conclude_node_migration", **conclude)
    assert signer.view("state")["Running"]["parameters"]["participants"]["participants"][0] == [
        ALICE,
        0,
        info,
    ]
    event = {"key_event_id": {"epoch_id": 0, "domain_id": 1, "attempt_id": 0}}
    signer.must_refuse("AttestationKeyMismatch", ALICE, "start_keygen_instance", **event)
    signer.must_refuse(
        "ProtocolStateNotInitializing", f"{ALICE} new machine", "start_keygen_instance", **event
    )


def test_an_address_changes_without_a_migration(signer: SignerNetwork) -> None:
    """Id and TLS key stay."""
    args = {"url": "https://elsewhere"}
    signer.must_refuse("InsufficientDeposit", ALICE, "update_participant_url", **args)
    signer.must_refuse("NotParticipant", STRANGER, "update_participant_url", deposit=DEPOSIT, **args)
    signer.call(ALICE, "update_participant_url", deposit=DEPOSIT, **args)
    entry = signer.view("state")["Running"]["parameters"]["participants"]["participants"][0]
    assert entry == [ALICE, 0, {"url": "https://elsewhere", "tls_public_key": make_tls_key(ALICE)}]


def test_chains_are_registered_by_one_rule(signer: SignerNetwork) -> None:
    """Three ways to report, one set; a chain is available when voted for and served by enough nodes."""
    signer.call(ALICE, "register_foreign_chain_support", foreign_chain_support=["Base", "Bitcoin"])
    signer.call(
        BOB, "register_foreign_chain_config", foreign_chain_configuration={"Base": [{"rpc_url": "http://b"}]}
    )
    signer.call(CAROL, "register_foreign_chains_config", foreign_chains_config=["Solana"])
    reports = {ALICE: ["Bitcoin", "Base"], BOB: ["Base"], CAROL: ["Solana"]}
    assert signer.view("get_foreign_chain_support_by_node") == {"foreign_chain_support_by_node": reports}
    assert signer.view("get_foreign_chains_configs") == {make_tls_key(n): c for n, c in reports.items()}
    signer.must_refuse("NotVoter", STRANGER, "register_foreign_chain_support", foreign_chain_support=[])
    signer.must_refuse("NotParticipant", STRANGER, "register_foreign_chains_config", foreign_chains_config=[])
    for view in ("get_available_foreign_chains", "get_supported_foreign_chains"):
        assert signer.view(view) == []


def provider(
    routing: bytes = b"\x00", authentication: bytes = b"\x03", quorum: int = 1, count: int = 1
) -> bytes:
    """A vote for providers of Bitcoin."""

    def word(text: str) -> bytes:
        return len(text).to_bytes(4, "little") + text.encode()

    entries = b"".join(
        word(f"p{index}") + word("http://localhost") + authentication + routing for index in range(count)
    )
    return b"\x01\0\0\0\x01" + count.to_bytes(4, "little") + entries + quorum.to_bytes(8, "little")


def named(tag: int, *texts: str) -> bytes:
    return bytes([tag]) + b"".join(len(text).to_bytes(4, "little") + text.encode() for text in texts)


@pytest.mark.parametrize(
    "vote",
    [
        b"\0\0\0\0",
        provider(quorum=0),
        provider(quorum=2),
        provider(count=0, quorum=0),
        provider(routing=named(1, "a/b")),
        provider(routing=named(2, "key", "v"), authentication=named(2, "key")),
    ],
)
def test_providers_that_cannot_be_are_refused(signer: SignerNetwork, vote: bytes) -> None:
    """Before the vote counts."""
    with signer.refused("MalformedPayload"):
        signer.send(ALICE, "vote_update_foreign_chain_providers", vote)


def test_providers_are_voted_for(signer: SignerNetwork) -> None:
    """At the threshold, the same entry; read back in borsh."""
    vote = provider(
        routing=named(1, "bitcoin"), authentication=b"\x00" + named(0, "x")[1:] + b"\x00", quorum=2, count=2
    )
    assert signer.send(ALICE, "vote_update_foreign_chain_providers", vote).value_json() == []
    assert signer.send(BOB, "vote_update_foreign_chain_providers", provider()).value_json() == []
    assert signer.send(BOB, "vote_update_foreign_chain_providers", vote).value_json() == ["Bitcoin"]
    view = signer.connect(CALLER).view(CONTRACT_ID, "allowed_foreign_chain_providers")
    assert view.value == vote
