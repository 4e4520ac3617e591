"""Updates of the signer contract by vote: code that is deployed and migrates, settings, and what is refused."""

import hashlib
from typing import Any

import pytest

from hither.client import ContractFailed, ExecutionFailed
from hither.mpc.development import read_contract
from hither.testing.network import LocalNetwork
from tests.e2e.contracts.signer_network import (
    CALLER,
    CONTRACT_ID,
    DOMAINS,
    PARTICIPANTS,
    ROOT,
    STRANGER,
    SignerNetwork,
    make_parameters,
)

pytestmark = pytest.mark.slow

SIGNER_DOMAINS = DOMAINS[:1]
ALICE, BOB, CAROL = PARTICIPANTS
YOCTO_PER_BYTE = 10**19
OVERHEAD_BYTES = 32_768
GAS = "300 Tgas"


def encode_code(code: bytes) -> bytes:
    return b"\x01" + len(code).to_bytes(4, "little") + code + b"\x00"


def encode_config(config: dict[str, int]) -> bytes:
    return b"\x00\x01" + b"".join(value.to_bytes(8, "little") for value in config.values())


def compute_deposit(size: int) -> str:
    return f"{YOCTO_PER_BYTE * (OVERHEAD_BYTES + size)} yoctonear"


def propose_code(signer: SignerNetwork, code: bytes, node: str = ALICE) -> Any:
    deposit = compute_deposit(len(code))
    return signer.send(node, "propose_update", encode_code(code), deposit=deposit).value_json()


def add_section(wasm: bytes) -> bytes:
    """The same program with a note in it, and so another hash."""
    return wasm + b"\x00\x05\x04note"


def settle(signer: SignerNetwork) -> None:
    signer.connect(CALLER).request("hither_mine", {"count": 3})


def test_voted_code_is_deployed_and_migrates(signer: SignerNetwork) -> None:
    """At the threshold; keys and participants stay, other proposals go, and the new code works."""
    code = add_section(read_contract())
    before = signer.view("state")
    other = propose_code(signer, b"other", BOB)
    id_ = propose_code(signer, code)
    assert (other, id_) == (0, 1)
    hashes = [{"Code": list(hashlib.sha256(text).digest())} for text in (b"other", code)]
    assert signer.view("proposed_updates") == {"votes": {}, "updates": {"0": hashes[0], "1": hashes[1]}}
    signer.must_refuse("NotVoter", STRANGER, "vote_update", id=id_)
    signer.must_refuse("UpdateNotFound", ALICE, "vote_update", id=9)
    assert signer.call(ALICE, "vote_update", id=other) is False
    assert signer.call(ALICE, "vote_update", id=id_) is False
    assert signer.view("proposed_updates")["votes"] == {ALICE: id_}
    signer.call(ALICE, "remove_update_vote")
    assert signer.call(BOB, "vote_update", id=id_) is False
    assert signer.call(CAROL, "vote_update", id=id_, gas="260 Tgas") is True
    settle(signer)
    assert signer.connect(CALLER).get_code(CONTRACT_ID).code == code
    assert signer.view("state") == before
    assert signer.view("proposed_updates") == {"votes": {}, "updates": {}}
    assert propose_code(signer, b"again") == 2


def test_many_proposals_keep_no_update_from_being_launched(signer: SignerNetwork) -> None:
    """Six of them are more state than one call may touch; what is left of them goes call by call."""
    code, client = read_contract(), signer.connect(CALLER)
    before = client.get_account(CONTRACT_ID).storage_usage
    others = [propose_code(signer, code + b"\x00\x02\x01" + bytes([number])) for number in range(6)]
    id_ = propose_code(signer, add_section(code))
    for node in (ALICE, BOB):
        is_launched = signer.call(node, "vote_update", id=id_, gas="260 Tgas")
    assert is_launched is True
    settle(signer)
    assert client.get_code(CONTRACT_ID).code == add_section(code)
    assert client.get_account(CONTRACT_ID).storage_usage - before > 5 * len(code)
    settings = signer.send(ALICE, "propose_update", encode_config(signer.view("config")), deposit="1 N")
    for _ in others:
        signer.call(ALICE, "vote_update", id=settings.value_json())
    assert client.get_account(CONTRACT_ID).storage_usage - before < len(code)


@pytest.mark.parametrize("code", [b"no program", (ROOT / "contracts/nft/nft.wasm").read_bytes()])
def test_code_that_cannot_migrate_is_not_deployed(signer: SignerNetwork, code: bytes) -> None:
    """Deployment and migration are one receipt: the old code stays."""
    id_ = propose_code(signer, code)
    for node, is_last in ((ALICE, False), (BOB, True)):
        assert signer.call(node, "vote_update", id=id_) is is_last
    settle(signer)
    assert signer.connect(CALLER).get_code(CONTRACT_ID).code == read_contract()
    assert signer.view("proposed_updates") == {"votes": {}, "updates": {}}


def test_voted_settings_are_in_force(signer: SignerNetwork) -> None:
    """All of them are proposed; bad ones are refused at once."""
    config = signer.view("config")
    changed = config | {"sign_call_gas_attachment_requirement_tera_gas": 20}
    arguments = encode_config(changed)
    result = signer.send(ALICE, "propose_update", arguments, deposit="1 N")
    signer.call(ALICE, "vote_update", id=result.value_json())
    assert signer.call(BOB, "vote_update", id=result.value_json()) is True
    settle(signer)
    assert signer.view("config") == changed
    bad = encode_config(config | {"launcher_hash_unused_ttl_seconds": 604_799})
    with signer.refused("InvalidConfig"):
        signer.send(ALICE, "propose_update", bad, deposit="1 N")


def test_settings_have_the_defaults_of_the_documents(signer: SignerNetwork) -> None:
    """But for the one that these tests set."""
    assert signer.view("config") == {
        "key_event_timeout_blocks": 100,
        "tee_upgrade_deadline_duration_seconds": 604800,
        "contract_upgrade_deposit_tera_gas": 50,
        "sign_call_gas_attachment_requirement_tera_gas": 15,
        "ckd_call_gas_attachment_requirement_tera_gas": 15,
        "return_signature_and_clean_state_on_success_call_tera_gas": 7,
        "return_ck_and_clean_state_on_success_call_tera_gas": 7,
        "fail_on_timeout_tera_gas": 2,
        "fail_attestation_submission_tera_gas": 2,
        "clean_tee_status_tera_gas": 10,
        "clean_invalid_attestations_tera_gas": 15,
        "cleanup_orphaned_node_migrations_tera_gas": 4,
        "remove_non_participant_update_votes_tera_gas": 5,
        "clean_foreign_chain_data_tera_gas": 5,
        "remove_non_participant_tee_verifier_votes_tera_gas": 5,
        "verifier_tera_gas": 200,
        "resolve_verification_tera_gas": 60,
        "launcher_hash_unused_ttl_seconds": 1209600,
        "attestation_storage_fee_millinear": 20,
    }


def test_a_proposal_is_paid_for_and_is_one_thing(signer: SignerNetwork) -> None:
    """By the byte; what is too much comes back; neither both nor nothing."""
    with signer.refused("InsufficientDeposit"):
        signer.send(ALICE, "propose_update", encode_code(bytes(4)), deposit=compute_deposit(3))
    with signer.refused("NotVoter"):
        propose_code(signer, b"code", STRANGER)
    both = b"\x01" + bytes(4) + encode_config(signer.view("config"))[1:]
    for arguments in (b"\x00\x00", both):
        with signer.refused("MalformedPayload"):
            signer.send(ALICE, "propose_update", arguments, deposit="1 N")
    before = signer.connect(ALICE).get_account(ALICE).amount
    signer.send(ALICE, "propose_update", encode_code(bytes(4)), deposit="10 N")
    spent = before - signer.connect(ALICE).get_account(ALICE).amount
    assert spent < 10**24


def test_votes_of_others_are_cleaned_up_by_participants_only(signer: SignerNetwork) -> None:
    """And by the contract itself after a resharing."""
    signer.call(ALICE, "remove_non_participant_update_votes")
    signer.must_refuse("NotParticipant", STRANGER, "remove_non_participant_update_votes")


def test_migrate_needs_a_state_that_it_knows(signer: SignerNetwork) -> None:
    """None at all, or another contract's."""
    owner = signer.connect("sybil.near")
    owner.deploy(read_contract())
    with signer.refused("ContractStateIsMissing"):
        owner.call("sybil.near", "migrate", {}, gas=GAS)
    owner.deploy((ROOT / "contracts/nft/nft.wasm").read_bytes())
    owner.call("sybil.near", "new_default", {"owner_id": "sybil.near"}, gas=GAS)
    owner.deploy(read_contract())
    with signer.refused("ContractStateUnknown"):
        owner.call("sybil.near", "migrate", {}, gas=GAS)


def test_init_refuses_bad_parameters_and_settings(signer: SignerNetwork) -> None:
    """Each founder with keys of its own; settings within their bounds."""
    owner = signer.connect("sybil.near")
    owner.deploy(read_contract())
    with signer.refused("MaxRequirementFailed"):
        owner.call("sybil.near", "init", {"parameters": make_parameters(threshold=4)}, gas=GAS)
    short = {"launcher_hash_unused_ttl_seconds": 1}
    with signer.refused("InvalidConfig"):
        owner.call("sybil.near", "init", {"parameters": make_parameters(), "init_config": short}, gas=GAS)
    with pytest.raises(ContractFailed, match="not initialized"):
        owner.view("sybil.near", "state")
    with pytest.raises(ExecutionFailed, match="already been initialized"):
        signer.call(CONTRACT_ID, "init", parameters=make_parameters())


@pytest.mark.parametrize("version", [86, 87])
def test_the_wasm_links_at_older_protocol_versions(version: int) -> None:
    """It imports nothing that NEAR's networks do not have yet."""
    with LocalNetwork(protocol_version=version) as network, network.connect("sybil.near") as owner:
        owner.deploy(read_contract())
        owner.call("sybil.near", "init", {"parameters": make_parameters()}, gas=GAS)
        assert "Running" in owner.view("sybil.near", "state").json()


def test_version_and_source_are_told(signer: SignerNetwork) -> None:
    """The version is that of the package; NEP-330 names the build."""
    manifest = (ROOT / "contracts/Cargo.toml").read_text(encoding="utf-8")
    assert f'version = "{signer.view("version")}"' in manifest
    assert signer.view("contract_source_metadata")["version"] == signer.view("version")
