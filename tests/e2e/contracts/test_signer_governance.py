"""Who runs the signer contract's network: domains, key events, resharing, and every refusal about them."""

from typing import Any

import pytest

from hither.client import ExecutionFailed
from tests.e2e.contracts.exerciser import Program
from tests.e2e.contracts.signer_network import (
    CALLER,
    CONTRACT_ID,
    DEPOSIT,
    DOMAINS,
    JOINER,
    PARTICIPANTS,
    ROOT,
    STRANGER,
    SignerNetwork,
    make_parameters,
    make_participant,
    make_root_key,
    make_tls_key,
    start_signer,
)

pytestmark = pytest.mark.slow

SIGNER_DOMAINS = DOMAINS[:3]
ALICE, BOB, CAROL = PARTICIPANTS
FEE = "0.02 N"
CALLING_CONTRACT = "ivan.near"
FRESH_CONTRACT = "sybil.near"
KEY_EVENT_BLOCKS = 100


def make_domain(
    id_: int, protocol: str = "CaitSith", purpose: str = "Sign", threshold: int = 2
) -> dict[str, Any]:
    return {"id": id_, "protocol": protocol, "purpose": purpose, "reconstruction_threshold": threshold}


def event(domain_id: int, attempt_id: int = 0, epoch_id: int = 0) -> dict[str, int]:
    return {"epoch_id": epoch_id, "domain_id": domain_id, "attempt_id": attempt_id}


@pytest.mark.parametrize(
    ("name", "domains"),
    [
        ("AddDomainsMustAddAtLeastOneDomain", []),
        ("InvalidProtocolPurposeCombination", [make_domain(3, "Frost", "ForeignTx")]),
        ("InvalidProtocolPurposeCombination", [make_domain(3, "DamgardEtAl", "ForeignTx")]),
        ("InvalidProtocolPurposeCombination", [make_domain(3, "CaitSith", "CKD")]),
        ("InvalidProtocolPurposeCombination", [make_domain(3, "ConfidentialKeyDerivation", "Sign")]),
        ("ReconstructionThresholdTooLow", [make_domain(3, threshold=1)]),
        ("ReconstructionThresholdExceedsParticipants", [make_domain(3, threshold=4)]),
        ("InsufficientParticipantsForProtocol", [make_domain(3, "DamgardEtAl", threshold=3)]),
        ("BelowReconstructionThreshold", [make_domain(3, threshold=3)]),
    ],
)
def test_domains_that_cannot_be_are_refused(
    signer: SignerNetwork, name: str, domains: list[dict[str, Any]]
) -> None:
    """Before any vote counts: robust signing needs 2t-1 nodes, no domain more shares than the network's threshold."""
    signer.must_refuse(name, ALICE, "vote_add_domains", domains=domains)


def test_domains_begin_when_all_ask_for_the_same(signer: SignerNetwork) -> None:
    """Votes can change; ids are looked at when the last one falls; strangers have none."""
    right, gap = [make_domain(3, "DamgardEtAl")], [make_domain(4)]
    signer.must_refuse("NotVoter", STRANGER, "vote_add_domains", domains=right)
    for node in (ALICE, BOB):
        signer.call(node, "vote_add_domains", domains=gap)
    signer.must_refuse("NewDomainIdsNotContiguous", CAROL, "vote_add_domains", domains=gap)
    signer.call(CAROL, "vote_add_domains", domains=right)
    votes = signer.view("state")["Running"]["add_domains_votes"]["proposal_by_account"]
    assert votes == {"0": gap, "1": gap, "2": right}
    for node in (ALICE, BOB):
        signer.call(node, "vote_add_domains", domains=right)
    state = signer.view("state")["Initializing"]
    assert state["generating_key"]["domain"] == right[0]
    assert [entry["domain_id"] for entry in state["generated_keys"]] == [0, 1, 2]


def begin_generating(signer: SignerNetwork, *domains: dict[str, Any]) -> None:
    signer.call_by_all("vote_add_domains", domains=list(domains or (make_domain(3),)))


def test_key_generation_goes_by_attempts(signer: SignerNetwork) -> None:
    """Leader, names, one vote each, one key; an attempt that failed or expired is followed by the next."""
    method = "start_keygen_instance"
    signer.must_refuse("ProtocolStateNotInitializing", ALICE, method, key_event_id=event(3))
    begin_generating(signer)
    key = make_root_key(3, "CaitSith")
    vote = {"key_event_id": event(3), "public_key": key}
    signer.must_refuse("NoActiveKeyEvent", BOB, "vote_pk", **vote)
    signer.must_refuse("VoterNotLeader", BOB, method, key_event_id=event(3))
    signer.must_refuse("KeyEventIdMismatch", ALICE, method, key_event_id=event(3, 1))
    signer.must_refuse("KeyEventIdMismatch", ALICE, method, key_event_id=event(4))
    signer.call(ALICE, method, key_event_id=event(3))
    signer.must_refuse("ActiveKeyEvent", ALICE, method, key_event_id=event(3, 1))
    signer.call(BOB, "vote_pk", **vote)
    signer.must_refuse("VoteAlreadySubmitted", BOB, "vote_pk", **vote)
    signer.must_refuse("VoteAlreadySubmitted", BOB, "vote_abort_key_event_instance", key_event_id=event(3))
    signer.must_refuse("KeyEventIdMismatch", CAROL, "vote_pk", **vote | {"key_event_id": event(3, 1)})
    signer.must_refuse("MalformedKey", CAROL, "vote_pk", **vote | {"public_key": "secp256k1:2vw"})
    signer.must_refuse(
        "KeyOfOtherCurve", CAROL, "vote_pk", **vote | {"public_key": make_root_key(3, "Frost")}
    )
    instance = signer.view("state")["Initializing"]["generating_key"]["instance"]
    assert instance["completed"] == [1]
    assert instance["public_key"] == {"Secp256k1": {"near_public_key": key}}
    assert instance["expires_on"] == instance["started_in"] + 1 + KEY_EVENT_BLOCKS
    # Another key ends the attempt, and the vote itself is no failure.
    signer.call(CAROL, "vote_pk", **vote | {"public_key": make_root_key(9, "CaitSith")})
    signer.must_refuse("NoActiveKeyEvent", ALICE, "vote_pk", **vote)
    signer.call(ALICE, method, key_event_id=event(3, 1))
    signer.call(CAROL, "vote_abort_key_event_instance", key_event_id=event(3, 1))
    signer.call(ALICE, method, key_event_id=event(3, 2))
    signer.skip(KEY_EVENT_BLOCKS + 1)
    signer.must_refuse("NoActiveKeyEvent", BOB, "vote_pk", **vote | {"key_event_id": event(3, 2)})
    signer.call(ALICE, method, key_event_id=event(3, 3))
    signer.call_by_all("vote_pk", key_event_id=event(3, 3), public_key=key)
    entry = signer.view("state")["Running"]["keyset"]["domains"][-1]
    assert entry == {"domain_id": 3, "attempt": 3, "key": {"Secp256k1": {"near_public_key": key}}}


def test_finished_domains_are_served_while_others_are_made(signer: SignerNetwork) -> None:
    """Their keys do not change; the new domain has none yet; other votes must wait."""
    before = signer.view("public_key", domain_id=0)
    begin_generating(signer)
    assert signer.view("public_key", domain_id=0) == before
    request = {"path": "a path", "payload_v2": {"Ecdsa": "07" * 32}, "domain_id": 0}
    signer.ask("sign", request)
    signer.must_refuse("DomainNotFound", CALLER, "sign", deposit=DEPOSIT, request=request | {"domain_id": 3})
    signer.must_refuse("ProtocolStateNotRunning", ALICE, "vote_add_domains", domains=[make_domain(4)])
    proposal = {"parameters": make_parameters()}
    signer.must_refuse(
        "ProtocolStateNotRunningNorResharing",
        ALICE,
        "vote_new_parameters",
        prospective_epoch_id=1,
        proposal=proposal,
    )
    signer.must_refuse("UpdateNeedsRunning", ALICE, "vote_update", id=0)
    signer.must_refuse("UpdateNeedsRunning", ALICE, "remove_update_vote")


def test_cancelled_domains_leave_a_gap(signer: SignerNetwork) -> None:
    """At the threshold; finished ones stay, ids are not used again."""
    begin_generating(signer, make_domain(3), make_domain(4))
    signer.call(ALICE, "start_keygen_instance", key_event_id=event(3))
    key = make_root_key(3, "CaitSith")
    signer.call_by_all("vote_pk", key_event_id=event(3), public_key=key)
    signer.must_refuse("NextDomainIdMismatch", ALICE, "vote_cancel_keygen", next_domain_id=4)
    for node in (ALICE, ALICE):
        signer.call(node, "vote_cancel_keygen", next_domain_id=5)
    assert signer.view("state")["Initializing"]["cancel_votes"] == [0]
    signer.call(BOB, "vote_cancel_keygen", next_domain_id=5)
    domains = signer.view("state")["Running"]["domains"]
    assert [domain["id"] for domain in domains["domains"]] == [0, 1, 2, 3]
    assert domains["next_domain_id"] == 5
    for node in PARTICIPANTS[:2]:
        signer.call(node, "vote_add_domains", domains=[make_domain(4)])
    signer.must_refuse("NewDomainIdsNotContiguous", CAROL, "vote_add_domains", domains=[make_domain(4)])


def admit(signer: SignerNetwork, name: str = JOINER) -> None:
    """A grant paid by somebody, and an attestation of the newcomer's own."""
    signer.call(CALLER, "prepay_attestation_storage", account_id=name, grants=1, deposit=FEE)
    signer.attest(name)


def make_proposal(names: tuple[str, ...], threshold: int, **thresholds: int) -> dict[str, Any]:
    """These participants by the ids that they have or get."""
    everyone = (*PARTICIPANTS, JOINER)
    entries = [make_participant(name, everyone.index(name)) for name in names]
    next_id = 4 if JOINER in names else 3
    return {
        "parameters": {
            "participants": {"next_id": next_id, "participants": entries},
            "threshold": threshold,
        },
        "per_domain_thresholds": {name.removeprefix("domain"): value for name, value in thresholds.items()},
    }


FOUR = (*PARTICIPANTS, JOINER)


def propose(signer: SignerNetwork, node: str, proposal: dict[str, Any], epoch_id: int = 1) -> None:
    signer.call(node, "vote_new_parameters", prospective_epoch_id=epoch_id, proposal=proposal)


def begin_resharing(
    signer: SignerNetwork, proposal: dict[str, Any], names: tuple[str, ...], epoch_id: int = 1
) -> None:
    for name in names:
        propose(signer, name, proposal, epoch_id)
    assert signer.view("state")["Resharing"]["resharing_key"]["epoch_id"] == epoch_id


def reshare_all(signer: SignerNetwork, names: tuple[str, ...], epoch_id: int = 1) -> None:
    """Every domain's key goes to these."""
    while "Resharing" in (state := signer.view("state")):
        key = state["Resharing"]["resharing_key"]
        event_id = event(key["domain"]["id"], key["next_attempt_id"], epoch_id)
        signer.call(names[0], "start_reshare_instance", key_event_id=event_id)
        signer.call_by_all("vote_reshared", names, key_event_id=event_id)


def test_a_participant_joins_and_one_leaves(signer: SignerNetwork) -> None:
    """3 to 4 to 3: all of the proposed set vote, root keys stay, thresholds are those of the new set."""
    keys = [signer.view("public_key", domain_id=id_) for id_ in range(3)]
    admit(signer)
    proposal = make_proposal(FOUR, 3, domain0=3)
    with signer.refused("VoterPending"):
        propose(signer, JOINER, proposal)
    begin_resharing(signer, proposal, FOUR)
    state = signer.view("state")["Resharing"]
    assert state["per_domain_thresholds"] == {"0": 3}
    assert signer.view("public_key") == keys[0]
    reshare_all(signer, FOUR)
    state = signer.view("state")["Running"]
    assert state["keyset"]["epoch_id"] == 1
    assert [domain["reconstruction_threshold"] for domain in state["domains"]["domains"]] == [3, 2, 2]
    assert state["parameters"] == proposal["parameters"]
    smaller = make_proposal((BOB, CAROL, JOINER), 2, domain0=2)
    begin_resharing(signer, smaller, (BOB, CAROL, JOINER), 2)
    reshare_all(signer, (BOB, CAROL, JOINER), 2)
    state = signer.view("state")["Running"]
    assert state["keyset"]["epoch_id"] == 2
    assert [signer.view("public_key", domain_id=id_) for id_ in range(3)] == keys
    signer.must_refuse("NotVoter", ALICE, "vote_add_domains", domains=[make_domain(3)])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("MaxRequirementFailed", {"threshold": 5}),
        ("MinAbsRequirementFailed", {"threshold": 1}),
        ("MinRelRequirementFailed", {"threshold": 2}),
        ("EpochMismatch", {"epoch": 2}),
        ("UnknownDomainInProposal", {"domain9": 2}),
        ("ReconstructionThresholdTooLow", {"domain0": 1}),
        ("ReconstructionThresholdExceedsParticipants", {"domain0": 5}),
        ("BelowReconstructionThreshold", {"domain0": 4}),
        ("InsufficientOldParticipants", {"names": (ALICE, JOINER)}),
        ("ParticipantIdNotLessThanNextId", {"next_id": 3}),
        ("NewParticipantIdsTooHigh", {"next_id": 5}),
        ("DuplicateParticipantIds", {"ids": (0, 1, 2, 2)}),
        ("DuplicateAccountIds", {"double": True}),
        ("DuplicateTlsKeys", {"tls": True}),
        ("ParticipantIdChanged", {"ids": (0, 2, 1, 3)}),
        ("ParticipantInfoChanged", {"url": "https://elsewhere"}),
        ("NewParticipantReusesOldId", {"ids": (0, 1, 2), "names": (ALICE, BOB, JOINER)}),
        ("NewParticipantIdsNotContiguous", {"ids": (0, 1, 2, 4), "next_id": 5}),
        ("NotParticipant", {"names": (ALICE, CAROL, JOINER), "threshold": 2}),
        ("InvalidTeeRemoteAttestation", {"unknown": True}),
        ("InvalidTeeRemoteAttestation", {"stolen": True}),
    ],
)
def test_parameters_that_cannot_follow_are_refused(
    signer: SignerNetwork, name: str, change: dict[str, Any]
) -> None:
    """Before any vote counts; bob asks."""
    admit(signer)
    domains = {key: value for key, value in change.items() if key.startswith("domain")}
    names = change.get("names", FOUR)
    proposal = make_proposal(names, change.get("threshold", min(3, len(names))), **domains)
    participants = proposal["parameters"]["participants"]
    entries = participants["participants"]
    participants["next_id"] = change.get("next_id", participants["next_id"])
    for entry, id_ in zip(entries, change.get("ids", ()), strict=False):
        entry[1] = id_
    if "double" in change:
        entries.append([JOINER, 4, {"url": "", "tls_public_key": make_tls_key("another")}])
        participants["next_id"] = 5
        signer.call(CALLER, "prepay_attestation_storage", account_id=JOINER, grants=1, deposit=FEE)
        signer.attest(JOINER, tls_key=make_tls_key("another"))
    if "tls" in change:
        entries[3][2]["tls_public_key"] = entries[2][2]["tls_public_key"]
    if "url" in change:
        entries[0][2]["url"] = change["url"]
    if "stolen" in change:
        entries[3][2]["tls_public_key"] = make_tls_key("another's")
        signer.call(CALLER, "prepay_attestation_storage", account_id=STRANGER, grants=1, deposit=FEE)
        signer.attest(STRANGER, tls_key=make_tls_key("another's"))
    if "unknown" in change:
        entries[3][2]["tls_public_key"] = make_tls_key("nobody")
    with signer.refused(name):
        propose(signer, BOB, proposal, change.get("epoch", 1))


def test_the_robust_bound_holds_for_a_smaller_set() -> None:
    """Five robust nodes of t = 3 cannot become four."""
    names = (*PARTICIPANTS, JOINER, "peggy.near")
    with start_signer(()) as signer:
        signer.connect(FRESH_CONTRACT).deploy(read_wasm())
        robust = [make_domain(0, "DamgardEtAl", threshold=3)]
        entries = {"domains": [{"domain_id": 0, "attempt": 0, "key": extended_key(0)}], "epoch_id": 0}
        start = {
            "domains": robust,
            "next_domain_id": 1,
            "keyset": entries,
            "parameters": make_parameters(names, 3),
        }
        owner = signer.connect(FRESH_CONTRACT)
        owner.call(FRESH_CONTRACT, "init_running", start, gas="100 Tgas")
        four = make_parameters(names[:4], 3)
        four["participants"]["next_id"] = 5
        vote = {"prospective_epoch_id": 1, "proposal": {"parameters": four}}
        with signer.refused("InsufficientParticipantsForProtocol"):
            signer.connect(ALICE).call(FRESH_CONTRACT, "vote_new_parameters", vote, gas="100 Tgas")


def read_wasm() -> bytes:
    return (ROOT / "contracts/signer/signer.wasm").read_bytes()


def extended_key(domain_id: int) -> dict[str, Any]:
    return {"Secp256k1": {"near_public_key": make_root_key(domain_id, "CaitSith")}}


def test_resharing_goes_by_attempts_and_can_be_proposed_anew(signer: SignerNetwork) -> None:
    """Leader of the proposed set, one vote each, a new proposal of the next epoch starts from the first domain."""
    method = "start_reshare_instance"
    signer.must_refuse("ProtocolStateNotResharing", ALICE, method, key_event_id=event(0, 0, 1))
    signer.must_refuse("NoActiveKeyEvent", ALICE, "vote_abort_key_event_instance", key_event_id=event(0))
    begin_resharing(signer, make_proposal((BOB, CAROL), 2), (BOB, CAROL))
    signer.must_refuse("CallerNotParticipant", ALICE, method, key_event_id=event(0, 0, 1))
    signer.must_refuse("VoterNotLeader", CAROL, method, key_event_id=event(0, 0, 1))
    signer.must_refuse("KeyEventIdMismatch", BOB, method, key_event_id=event(0, 0, 0))
    signer.call(BOB, method, key_event_id=event(0, 0, 1))
    signer.call(CAROL, "vote_abort_key_event_instance", key_event_id=event(0, 0, 1))
    signer.call(BOB, method, key_event_id=event(0, 1, 1))
    signer.call_by_all("vote_reshared", (BOB, CAROL), key_event_id=event(0, 1, 1))
    assert signer.view("state")["Resharing"]["reshared_keys"][0]["attempt"] == 1
    admit(signer)
    again = make_proposal((BOB, CAROL, JOINER), 2)
    begin_resharing(signer, again, (BOB, CAROL, JOINER), 2)
    assert signer.view("state")["Resharing"]["reshared_keys"] == []
    reshare_all(signer, (BOB, CAROL, JOINER), 2)
    assert signer.view("state")["Running"]["keyset"]["epoch_id"] == 2


def test_who_leaves_may_still_deliver_what_it_signed(signer: SignerNetwork) -> None:
    """While keys are handed on both sets answer; what they answer is verified anyhow."""
    begin_resharing(signer, make_proposal((BOB, CAROL), 2), (BOB, CAROL))
    request = {"path": "a path", "payload_v2": {"Ecdsa": "07" * 32}, "domain_id": 0}
    signer.ask("sign", request)
    stored = {"tweak": [0] * 32, "payload": {"Ecdsa": "07" * 32}, "domain_id": 0}
    response = {"scheme": "Ed25519", "signature": [0] * 64}
    signer.must_refuse("SignatureSchemeMismatch", ALICE, "respond", request=stored, response=response)
    signer.must_refuse("CallerNotParticipant", STRANGER, "respond", request=stored, response=response)


def test_who_joins_has_no_say_about_keys_it_does_not_hold(signer: SignerNetwork) -> None:
    """Its refusal would count for nothing, and it is told so."""
    admit(signer)
    begin_resharing(signer, make_proposal(FOUR, 3), FOUR)
    stored = {"tweak": [0] * 32, "payload": {"Ecdsa": "07" * 32}, "domain_id": 0}
    args = {"request": {"Sign": stored}, "reason": {"code": "InvalidRequest"}}
    signer.must_refuse("NotKeyHolder", JOINER, "respond_failure", **args)


def test_a_cancelled_resharing_leaves_everything_as_it_was(signer: SignerNetwork) -> None:
    """At the previous set's threshold; its epoch is never tried again, also after new domains."""
    before = signer.view("state")["Running"]
    signer.must_refuse("ProtocolStateNotResharing", ALICE, "vote_cancel_resharing")
    begin_resharing(signer, make_proposal((BOB, CAROL), 2), (BOB, CAROL))
    signer.must_refuse("NotVoter", STRANGER, "vote_cancel_resharing")
    for node in (ALICE, ALICE, BOB):
        signer.call(node, "vote_cancel_resharing")
    assert signer.view("state")["Running"] == before | {"previously_cancelled_resharing_epoch_id": 1}
    begin_generating(signer)
    signer.make_keys()
    with signer.refused("EpochMismatch"):
        propose(signer, BOB, make_proposal((BOB, CAROL), 2), 1)
    begin_resharing(signer, make_proposal((BOB, CAROL), 2), (BOB, CAROL), 2)


def test_what_belonged_to_who_left_is_cleaned_up(signer: SignerNetwork) -> None:
    """Update votes, votes of trust, migrations, reports of chains: the contract's own six calls."""
    signer.call(ALICE, "vote_code_hash", code_hash="11" * 32)
    signer.call(ALICE, "vote_add_launcher_hash", launcher_hash="22" * 32)
    signer.call(
        ALICE, "vote_tee_verifier_change", candidate_account_id=STRANGER, expected_code_hash="33" * 32
    )
    signer.call(
        ALICE,
        "register_backup_service",
        deposit=DEPOSIT,
        backup_service_info={"public_key": make_tls_key("b")},
    )
    signer.call(ALICE, "register_foreign_chain_support", foreign_chain_support=["Base"])
    begin_resharing(signer, make_proposal((BOB, CAROL), 2), (BOB, CAROL))
    reshare_all(signer, (BOB, CAROL))
    signer.connect(CALLER).request("hither_mine", {"count": 3})
    assert signer.view("code_hash_votes") == {"proposal_by_account": {}}
    assert signer.view("launcher_hash_votes") == {"vote_by_account": {}}
    assert signer.view("tee_verifier_votes") == {}
    assert signer.view("migration_info") == {}
    assert signer.view("get_foreign_chains_configs") == {}


def test_without_domains_parameters_are_in_force_at_once() -> None:
    """There is nothing to hand on; and nothing can be signed or read yet."""
    with start_signer(()) as signer:
        assert signer.view("state") == {
            "Running": {
                "domains": {"domains": [], "next_domain_id": 0},
                "keyset": {"epoch_id": 0, "domains": []},
                "parameters": make_parameters(),
                "parameters_votes": {"proposal_by_account": {}},
                "add_domains_votes": {"proposal_by_account": {}},
                "previously_cancelled_resharing_epoch_id": None,
            }
        }
        with signer.refused("DomainNotFound"):
            signer.view("public_key")
        with signer.refused("NoDomainOfCurve"):
            signer.view("latest_key_version")
        for name in (BOB, CAROL):
            propose(signer, name, make_proposal((BOB, CAROL), 2))
        state = signer.view("state")["Running"]
        assert (state["keyset"]["epoch_id"], len(state["parameters"]["participants"]["participants"])) == (
            1,
            2,
        )
        signer.call_by_all("vote_add_domains", (BOB, CAROL), domains=[make_domain(0)])
        with signer.refused("ProtocolStateNotRunningNorResharing"):
            signer.view("public_key")


def test_no_contract_votes_for_a_participant(signer: SignerNetwork) -> None:
    """Who signs must call directly: else a contract that a participant calls could vote for it."""
    client = signer.connect(CALLING_CONTRACT)
    client.deploy((ROOT / "contracts/exerciser/exerciser.wasm").read_bytes())
    program = Program()
    account, method, arguments = (
        program.data(text.encode()) for text in (CONTRACT_ID, "vote_cancel_resharing", "{}")
    )
    promise = program.call("promise_create", *account, *method, *arguments, program.amount(0), 100 * 10**12)
    program.call("promise_return", promise)
    with signer.refused("CallerNotSigner"):
        signer.connect(ALICE).call(CALLING_CONTRACT, "run", program.encode(), gas="200 Tgas")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("InvalidDomains", {"domains": [make_domain(1), make_domain(0)]}),
        ("InvalidDomains", {"next_domain_id": 0}),
        ("DomainsMismatch", {"domains": [make_domain(1)], "next_domain_id": 2}),
        ("DomainsMismatch", {"domains": [make_domain(0, "Frost")]}),
    ],
)
def test_keys_that_exist_can_be_begun_with(signer: SignerNetwork, name: str, change: dict[str, Any]) -> None:
    """By the contract's own account; domains and keys must belong together."""
    owner = signer.connect(FRESH_CONTRACT)
    owner.deploy(read_wasm())
    keyset = {"epoch_id": 4, "domains": [{"domain_id": 0, "attempt": 2, "key": extended_key(0)}]}
    start: dict[str, Any] = {
        "domains": [make_domain(0)],
        "next_domain_id": 1,
        "keyset": keyset,
        "parameters": make_parameters(),
    }
    with signer.refused(name):
        owner.call(FRESH_CONTRACT, "init_running", start | change, gas="100 Tgas")
    with pytest.raises(ExecutionFailed, match="is private"):
        signer.connect(ALICE).call(FRESH_CONTRACT, "init_running", start, gas="100 Tgas")
    owner.call(FRESH_CONTRACT, "init_running", start, gas="100 Tgas")
    assert owner.view(FRESH_CONTRACT, "state").json()["Running"]["keyset"] == keyset
    with pytest.raises(ExecutionFailed, match="already been initialized"):
        owner.call(FRESH_CONTRACT, "init_running", start, gas="100 Tgas")


def test_the_gas_that_nears_client_attaches_is_enough(signer: SignerNetwork) -> None:
    """Also for the vote that decides, with a newcomer: 22 Tgas for votes, 5 to cancel."""
    domains, little = {"domains": [make_domain(3)]}, {"next_domain_id": 4}
    for node in PARTICIPANTS:
        signer.send(node, "vote_add_domains", domains, gas="22 Tgas")
    for node in PARTICIPANTS[:2]:
        signer.send(node, "vote_cancel_keygen", little, gas="5 Tgas")
    admit(signer)
    proposal = {"prospective_epoch_id": 1, "proposal": make_proposal(FOUR, 3)}
    for node in FOUR:
        signer.send(node, "vote_new_parameters", proposal, gas="22 Tgas")
    for node in PARTICIPANTS[:2]:
        signer.send(node, "vote_cancel_resharing", {}, gas="5 Tgas")
    assert signer.view("state")["Running"]["previously_cancelled_resharing_epoch_id"] == 1
