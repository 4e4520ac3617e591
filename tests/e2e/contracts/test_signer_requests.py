"""Requests to the signer contract: what is taken, how it ends, and every way in which it is refused."""

import hashlib
import re
from typing import Any

import coincurve
import pytest
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.optimized_bls12_381 import G1, add, multiply

from hither.client import ExecutionFailed
from hither.client.actions import function_call
from hither.client.operations import WaitUntil
from hither.codec import base58
from hither.mpc.protocols import compute_tweak
from hither.mpc.requests import EcdsaSignature, signature_to_json
from tests.e2e.contracts.signer_network import (
    CALLER,
    CONTRACT_ID,
    DEPOSIT,
    DOMAINS,
    PARTICIPANTS,
    PATH,
    REFUSALS,
    ROOT,
    STRANGER,
    TIME_OUT_BLOCKS,
    SignerNetwork,
    attempt,
    g1_text,
    gas_burnt,
    make_app_key,
    make_scalar,
    make_secret,
)

pytestmark = pytest.mark.slow

SIGNER_DOMAINS = DOMAINS
ALICE, BOB, CAROL = PARTICIPANTS
DIGEST = hashlib.sha256(b"a transaction").digest()
ECDSA = {"Ecdsa": DIGEST.hex()}
TWEAK = compute_tweak(CALLER, PATH)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
CURVE_25519_ORDER = 2**252 + 27742317777372353535851937790883648493
BITCOIN = {"Bitcoin": {"tx_id": "07" * 32, "confirmations": 1, "extractors": ["BlockHash"]}}
FOREIGN = {"request": BITCOIN, "domain_id": 2, "payload_version": 1}
APP_SECRET, BLINDING = 987654321, 123456789


def make_request(payload: Any = ECDSA, domain_id: int = 0, **changes: Any) -> dict[str, Any]:
    return {"path": PATH, "payload_v2": payload, "domain_id": domain_id} | changes


def sign_request(payload: Any = ECDSA, domain_id: int = 0, tweak: bytes = TWEAK) -> dict[str, Any]:
    """As the contract stores what `make_request` asks."""
    return {"tweak": list(tweak), "payload": payload, "domain_id": domain_id}


def sign_ecdsa(secret: bytes, digest: bytes = DIGEST) -> dict[str, Any]:
    raw = coincurve.PrivateKey(secret).sign_recoverable(digest, hasher=None)
    return signature_to_json(EcdsaSignature(bytes([2 + raw[64]]) + raw[:32], raw[32:64], raw[64]))


def derive_secret(domain_id: int = 0, tweak: bytes = TWEAK) -> bytes:
    return coincurve.PrivateKey(make_secret(domain_id)).add(tweak).secret


def respond(signer: SignerNetwork, node: str = BOB, domain_id: int = 0) -> Any:
    answer = sign_ecdsa(derive_secret(domain_id))
    signer.call(node, "respond", request=sign_request(domain_id=domain_id), response=answer)
    return answer


def ask(signer: SignerNetwork, **options: Any) -> str:
    hash_ = signer.ask("sign", make_request(), **options)
    signer.wait_pending("get_pending_request", sign_request())
    return hash_


def test_a_signature_comes_back_to_its_caller(signer: SignerNetwork) -> None:
    """ECDSA under Cait-Sith and robust domains."""
    for domain_id in (0, 4):
        hash_ = signer.ask("sign", make_request(domain_id=domain_id))
        signer.wait_pending("get_pending_request", sign_request(domain_id=domain_id))
        answer = respond(signer, domain_id=domain_id)
        assert signer.end(hash_) == answer
        assert signer.view("get_pending_request", request=sign_request(domain_id=domain_id)) is None


def sign_eddsa(message: bytes) -> dict[str, Any]:
    """Of a scalar and not of a seed: what a derived key comes to."""
    expanded = hashlib.sha512(make_secret(1)).digest()
    clamped = bytearray(expanded[:32])
    clamped[0] &= 248
    clamped[31] = clamped[31] & 127 | 64
    scalar = (int.from_bytes(clamped, "little") + int.from_bytes(TWEAK, "little")) % CURVE_25519_ORDER
    nonce = int.from_bytes(hashlib.sha512(expanded[32:] + message).digest(), "little") % CURVE_25519_ORDER
    public, big_r = multiply_ed25519(scalar), multiply_ed25519(nonce)
    challenge = int.from_bytes(hashlib.sha512(big_r + public + message).digest(), "little")
    s = (nonce + challenge * scalar) % CURVE_25519_ORDER
    return {"scheme": "Ed25519", "signature": list(big_r + s.to_bytes(32, "little"))}


def multiply_ed25519(scalar: int) -> bytes:
    """A multiple of the base point, compressed (RFC 8032, section 5.1.4)."""
    prime = 2**255 - 19
    d = -121665 * pow(121666, -1, prime) % prime
    base_x = 15112221349535400772501151409588531511454012693041857206046113283949847762202

    def plus(p: tuple[int, ...], q: tuple[int, ...]) -> tuple[int, ...]:
        a, b = (p[1] - p[0]) * (q[1] - q[0]) % prime, (p[1] + p[0]) * (q[1] + q[0]) % prime
        c, e = 2 * p[3] * q[3] * d % prime, 2 * p[2] * q[2] % prime
        x, y, u, v = b - a, e - c, e + c, b + a
        return x * y % prime, u * v % prime, y * u % prime, x * v % prime

    base_y = 4 * pow(5, -1, prime) % prime
    point, power = (0, 1, 1, 0), (base_x, base_y, 1, base_x * base_y % prime)
    while scalar:
        point = plus(point, power) if scalar & 1 else point
        power, scalar = plus(power, power), scalar >> 1
    inverse = pow(point[2], -1, prime)
    x, y = point[0] * inverse % prime, point[1] * inverse % prime
    return (y | (x & 1) << 255).to_bytes(32, "little")


def test_the_longest_message_is_signed(signer: SignerNetwork) -> None:
    """1,232 bytes with EdDSA, and one byte more is refused where it is read."""
    message = bytes(range(256)) * 4 + bytes(208)
    payload = {"Eddsa": message.hex()}
    hash_ = signer.ask("sign", make_request(payload, 1))
    signer.wait_pending("get_pending_request", sign_request(payload, 1))
    answer = sign_eddsa(message)
    signer.call(CAROL, "respond", request=sign_request(payload, 1), response=answer)
    assert signer.end(hash_) == answer
    with pytest.raises(ExecutionFailed, match="0 to 1232 bytes"):
        signer.call(CALLER, "sign", deposit=DEPOSIT, request=make_request({"Eddsa": "07" * 1233}, 1))


REFUSED_REQUESTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("DomainNotFound", make_request(domain_id=9), {}),
    ("WrongDomainPurpose", make_request(domain_id=2), {}),
    ("WrongDomainPurpose", make_request(domain_id=3), {}),
    ("PayloadNotEcdsa", make_request({"Eddsa": "07"}), {}),
    ("PayloadNotEddsa", make_request(ECDSA, 1), {}),
    ("PayloadNotScalar", make_request({"Ecdsa": f"{ORDER:064x}"}), {}),
    ("PayloadNotScalar", make_request({"Ecdsa": "00" * 32}), {}),
    ("PayloadNotScalar", make_request({"Ecdsa": "00" * 32}, 4), {}),
    ("ExclusiveFields", make_request(key_version=0), {}),
    ("ExclusiveFields", make_request() | {"payload": [7] * 32}, {}),
    ("MissingField", {"path": PATH, "domain_id": 0}, {}),
    ("MissingField", {"path": PATH, "payload_v2": ECDSA}, {}),
    ("InsufficientGas", make_request(), {"gas": "14 Tgas"}),
    ("InsufficientDeposit", make_request(), {"deposit": "0 N"}),
]


@pytest.mark.parametrize(("name", "request_", "options"), REFUSED_REQUESTS)
def test_what_cannot_be_signed_is_refused(
    signer: SignerNetwork, name: str, request_: dict[str, Any], options: dict[str, Any]
) -> None:
    """At once, with a text that tells what to change."""
    signer.must_refuse(name, CALLER, "sign", **({"deposit": DEPOSIT} | options), request=request_)


def test_the_largest_digest_below_the_order_is_signed(signer: SignerNetwork) -> None:
    """And fifteen Tgas are enough to ask; what is deposited too much comes back."""
    payload = {"Ecdsa": f"{ORDER - 1:064X}"}
    before = signer.connect(CALLER).get_account(CALLER).amount
    hash_ = signer.ask("sign", make_request(payload), gas="15 Tgas", deposit="5 N")
    stored = sign_request({"Ecdsa": f"{ORDER - 1:064x}"})
    signer.wait_pending("get_pending_request", stored)
    answer = sign_ecdsa(derive_secret(), (ORDER - 1).to_bytes(32, "big"))
    signer.call(BOB, "respond", request=stored, response=answer)
    assert signer.end(hash_) == answer
    after = signer.connect(CALLER).get_account(CALLER).amount
    assert before - after < 10**24


def test_who_may_not_respond_is_told_why(signer: SignerNetwork) -> None:
    """Strangers, and participants with another key than the attested one."""
    hash_ = ask(signer)
    args = {"request": sign_request(), "response": sign_ecdsa(derive_secret())}
    signer.must_refuse("CallerNotParticipant", STRANGER, "respond", **args)
    signer.add_key(BOB, "another key")
    signer.must_refuse("AttestationKeyMismatch", f"{BOB} another key", "respond", **args)
    respond(signer)
    signer.end(hash_)


def flip(answer: dict[str, Any], field: str) -> dict[str, Any]:
    changed = dict(answer)
    if field == "parity of big_r":
        text = answer["big_r"]["affine_point"]
        changed["big_r"] = {"affine_point": ("03" if text[:2] == "02" else "02") + text[2:]}
    elif field == "s":
        changed["s"] = {"scalar": f"{(int(answer['s']['scalar'], 16) + 1) % ORDER:064x}"}
    elif field == "high s":
        changed["s"] = {"scalar": f"{ORDER - int(answer['s']['scalar'], 16):064x}"}
        changed |= flip(answer | {"recovery_id": answer["recovery_id"]}, "parity of big_r") | {
            "s": changed["s"],
            "recovery_id": answer["recovery_id"] ^ 1,
        }
    elif field == "recovery_id":
        changed["recovery_id"] = answer["recovery_id"] ^ 1
    return changed


@pytest.mark.parametrize("field", ["parity of big_r", "s", "high s", "recovery_id"])
def test_a_wrong_signature_is_refused(signer: SignerNetwork, field: str) -> None:
    """Each part of it counts; then the right one is taken."""
    hash_ = ask(signer)
    answer = sign_ecdsa(derive_secret())
    signer.must_refuse(
        "InvalidSignature", BOB, "respond", request=sign_request(), response=flip(answer, field)
    )
    assert respond(signer) == signer.end(hash_)


def test_a_response_must_fit_a_request_that_waits(signer: SignerNetwork) -> None:
    """Another scheme, another domain, an impossible tweak, a second answer."""
    hash_ = ask(signer)
    good = {"request": sign_request(), "response": sign_ecdsa(derive_secret())}
    other = good | {"response": {"scheme": "Ed25519", "signature": [0] * 64}}
    signer.must_refuse("SignatureSchemeMismatch", BOB, "respond", **other)
    signer.must_refuse("DomainNotFound", BOB, "respond", **good | {"request": sign_request(domain_id=9)})
    beyond = sign_request(tweak=ORDER.to_bytes(32, "big"))
    signer.must_refuse("TweakNotOnCurve", BOB, "respond", **good | {"request": beyond})
    respond(signer)
    signer.must_refuse("RequestNotFound", CAROL, "respond", **good)
    signer.end(hash_)


def test_a_request_that_nobody_answers_fails_after_its_time(signer: SignerNetwork) -> None:
    """The caller learns it, nothing waits any more, and an answer comes too late."""
    hash_ = ask(signer)
    signer.skip(TIME_OUT_BLOCKS + 1)
    with signer.refused("TimedOut"):
        signer.end(hash_)
    assert signer.view("get_pending_request", request=sign_request()) is None
    with signer.refused("RequestNotFound"):
        respond(signer)


@pytest.mark.parametrize("early", range(-3, 3))
def test_an_answer_near_the_time_out_is_given_or_refused(signer: SignerNetwork, early: int) -> None:
    """Never half: who was told that the answer counts has given it, unless the yield lapsed in that very block."""
    hash_ = ask(signer)
    signer.skip(TIME_OUT_BLOCKS + early)
    responded, ended = attempt(lambda: respond(signer)), attempt(lambda: signer.end(hash_))
    if isinstance(ended, str):
        assert re.search(REFUSALS["TimedOut"], ended)
    else:
        assert ended == responded
    if isinstance(responded, str):
        assert re.search(REFUSALS["RequestNotFound"], responded)
        assert isinstance(ended, str)
    assert signer.view("get_pending_request", request=sign_request()) is None


def test_when_the_oldest_lapsed_the_others_are_answered(signer: SignerNetwork) -> None:
    """Equal requests of different heights: the first fails, the second gets the signature."""
    first = ask(signer)
    signer.skip(TIME_OUT_BLOCKS // 2)
    second = signer.ask("sign", make_request())
    signer.connect(CALLER).request("hither_mine", {"count": 3})
    signer.skip(TIME_OUT_BLOCKS // 2 + 1)
    with signer.refused("TimedOut"):
        signer.end(first)
    signer.wait_pending("get_pending_request", sign_request())
    assert respond(signer) == signer.end(second)


def test_one_answer_serves_as_many_as_the_limit(signer: SignerNetwork) -> None:
    """128 equal requests, many of them in one receipt; the 129th is refused; one response serves all."""
    client = signer.connect(CALLER)
    asking = function_call("sign", {"request": make_request()}, gas="15 Tgas", deposit=DEPOSIT)
    hashes = []
    for count in (*[20] * 6, 8):
        sent = client.send(CONTRACT_ID, *[asking] * count, wait_until=WaitUntil.INCLUDED)
        hashes.append(sent.hash)
    client.request("hither_mine", {"count": 3})
    signer.must_refuse("PendingRequestQueueFull", CALLER, "sign", deposit=DEPOSIT, request=make_request())
    answer = sign_ecdsa(derive_secret())
    result = signer.send(BOB, "respond", {"request": sign_request(), "response": answer})
    assert gas_burnt(result, 1) < 300
    assert all(signer.end(hash_) == answer for hash_ in hashes)


def make_ckd(signer: SignerNetwork, app_public_key: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request as the contract stores it, and its right answer."""
    root = signer.view("public_key", domain_id=3)
    prefix = b"near-mpc v0.1.0 app_id derivation:"
    app_id = hashlib.sha3_256(prefix + f"{CALLER},{PATH}".encode()).digest()
    message = base58.decode(root.partition(":")[2]) + app_id
    point = hash_to_G1(message, b"NEAR BLS12381G1_XMD:SHA-256_SSWU_RO_", hashlib.sha256)
    hidden = add(multiply(point, make_scalar(3)), multiply(multiply(G1, APP_SECRET), BLINDING))
    request = {"app_public_key": app_public_key, "app_id": list(app_id), "domain_id": 3}
    return request, {"big_y": g1_text(multiply(G1, BLINDING)), "big_c": g1_text(hidden)}


@pytest.mark.parametrize("form", ["bare", "plain", "verifiable"])
def test_a_confidential_key_is_given(signer: SignerNetwork, form: str) -> None:
    """In all three forms of the app's key, within the gas that NEAR's own tests allow."""
    pair = make_app_key(APP_SECRET)
    key = {
        "bare": pair["pk1"],
        "plain": {"AppPublicKey": pair["pk1"]},
        "verifiable": {"AppPublicKeyPV": pair},
    }[form]
    asked = {"derivation_path": PATH, "app_public_key": key, "domain_id": 3}
    request, answer = make_ckd(signer, key)
    hash_ = signer.ask("request_app_private_key", asked, gas="100 Tgas")
    signer.wait_pending("get_pending_ckd_request", request)
    result = signer.send(BOB, "respond_ckd", {"request": request, "response": answer})
    assert gas_burnt(result) <= (30 if form == "verifiable" else 7)
    asking = signer.connect(CALLER).wait_for(hash_, CALLER)
    assert asking.value_json() == answer
    assert gas_burnt(asking, 1) <= (19 if form == "verifiable" else 10)


def test_a_confidential_key_is_checked_on_chain(signer: SignerNetwork) -> None:
    """Keys that do not belong together, no points at all, an answer of another secret."""
    pair, other = make_app_key(APP_SECRET), make_app_key(APP_SECRET + 1)
    asked = {"derivation_path": PATH, "domain_id": 3}
    call = {"deposit": DEPOSIT, "gas": "100 Tgas"}
    mixed = {"AppPublicKeyPV": {"pk1": pair["pk1"], "pk2": other["pk2"]}}
    wrong = asked | {"app_public_key": mixed}
    signer.must_refuse("AppPublicKeyCheckFailed", CALLER, "request_app_private_key", **call, request=wrong)
    no_point = asked | {
        "app_public_key": f"bls12381g1:{base58.encode(bytes([0x80]) + bytes(46) + bytes([3]))}"
    }
    signer.must_refuse("AppPublicKeyMalformed", CALLER, "request_app_private_key", **call, request=no_point)
    key = {"AppPublicKeyPV": pair}
    request, answer = make_ckd(signer, key)
    signer.ask("request_app_private_key", asked | {"app_public_key": key}, gas="100 Tgas")
    signer.wait_pending("get_pending_ckd_request", request)
    bad = answer | {"big_c": answer["big_y"]}
    signer.must_refuse("CkdOutputCheckFailed", BOB, "respond_ckd", request=request, response=bad)
    signer.must_refuse(
        "DomainNotBls", BOB, "respond_ckd", request=request | {"domain_id": 0}, response=answer
    )
    signer.call(BOB, "respond_ckd", request=request, response=answer)
    signer.must_refuse("RequestNotFound", BOB, "respond_ckd", request=request, response=answer)


def allow_bitcoin(signer: SignerNetwork) -> None:
    """Providers by vote, and two nodes that serve the chain."""
    entry = (
        "01000000 01 01000000 07000000616c6368656d79 12000000687474703a2f2f6c6f63616c686f73743a37"
        " 03 00 0100000000000000"
    )
    for node in (ALICE, BOB):
        signer.send(node, "vote_update_foreign_chain_providers", bytes.fromhex(entry))
        signer.call(node, "register_foreign_chain_support", foreign_chain_support=["Bitcoin"])


def test_a_foreign_transaction_is_confirmed(signer: SignerNetwork) -> None:
    """Signed under the root key; a hash that the caller did not expect is refused."""
    wanted = hashlib.sha256(b"what the chain says").digest()
    request = FOREIGN | {"expected_payload_hash": wanted.hex()}
    call = {"deposit": DEPOSIT}
    signer.must_refuse(
        "ForeignChainNotSupported", CALLER, "verify_foreign_transaction", **call, request=request
    )
    allow_bitcoin(signer)
    hash_ = signer.ask("verify_foreign_transaction", request)
    view = "get_pending_verify_foreign_tx_request"
    signer.wait_pending(view, request)
    assert signer.view(view, request=FOREIGN) is None
    answer = {"payload_hash": wanted.hex(), "signature": sign_ecdsa(make_secret(2), wanted)}
    other = {"payload_hash": DIGEST.hex(), "signature": sign_ecdsa(make_secret(2))}
    method = "respond_verify_foreign_tx"
    signer.must_refuse("UnexpectedPayloadHash", BOB, method, request=request, response=other)
    forged = answer | {"signature": sign_ecdsa(derive_secret(2), wanted)}
    signer.must_refuse("InvalidSignature", BOB, method, request=request, response=forged)
    signer.call(BOB, method, request=request, response=answer)
    assert signer.end(hash_) == answer
    signer.must_refuse("RequestNotFound", BOB, method, request=request, response=answer)


def test_a_foreign_request_is_bounded(signer: SignerNetwork) -> None:
    """In extractors and in versions."""
    many = {"Bitcoin": BITCOIN["Bitcoin"] | {"extractors": ["BlockHash"] * 17}}
    method, call = "verify_foreign_transaction", {"deposit": DEPOSIT}
    signer.must_refuse("TooManyExtractors", CALLER, method, **call, request=FOREIGN | {"request": many})
    signer.must_refuse(
        "PayloadVersionUnknown", CALLER, method, **call, request=FOREIGN | {"payload_version": 2}
    )


STANDS_S = 10
REASON = {"code": "RobustSetIncomplete", "detail": "node 2 does not answer"}


def test_a_refusal_of_the_robust_set_fails_the_caller_at_once(signer: SignerNetwork) -> None:
    """One of three is enough, since all three are needed; the caller reads the reason."""
    hash_ = signer.ask("sign", make_request(domain_id=4))
    stored = sign_request(domain_id=4)
    signer.wait_pending("get_pending_request", stored)
    assert signer.call(BOB, "respond_failure", request={"Sign": stored}, reason=REASON) is True
    ended = attempt(lambda: signer.end(hash_))
    assert re.search(REFUSALS["Refused"], ended)
    assert "RobustSetIncomplete: node 2 does not answer" in ended
    assert signer.view("get_pending_request", request=stored) is None


def test_refusals_count_once_the_others_are_too_few(signer: SignerNetwork) -> None:
    """Two of three where two sign: one alone, twice over, stops nothing."""
    hash_ = ask(signer)
    args = {"request": {"Sign": sign_request()}, "reason": REASON}
    for _ in range(2):
        assert signer.call(BOB, "respond_failure", **args) is False
    assert signer.view("get_refusals", request=args["request"]) == {"1": REASON}
    respond(signer, ALICE)
    signer.end(hash_)
    assert signer.view("get_refusals", request=args["request"]) == {}
    hash_ = ask(signer)
    assert signer.call(BOB, "respond_failure", **args) is False
    assert signer.call(CAROL, "respond_failure", **args) is True
    with signer.refused("Refused"):
        signer.end(hash_)
    signer.must_refuse("RequestNotFound", ALICE, "respond_failure", **args)


def test_a_refusal_that_stands_fails_the_request(signer: SignerNetwork) -> None:
    """One of three says again what it said ten seconds before, and nobody has answered meanwhile."""
    hash_ = ask(signer)
    args = {"request": {"Sign": sign_request()}, "reason": REASON}
    assert signer.call(BOB, "respond_failure", **args) is False
    signer.wait_s(STANDS_S)
    other = args | {"reason": {"code": "SignersUnavailable", "detail": "1 is to be reached"}}
    assert signer.call(BOB, "respond_failure", **other) is True
    ended = attempt(lambda: signer.end(hash_))
    assert "Request was refused: SignersUnavailable: 1 is to be reached" in ended
    hash_ = ask(signer)
    assert signer.call(BOB, "respond_failure", **args) is False, "a later request is judged anew"
    respond(signer, ALICE)
    signer.end(hash_)


def test_refusals_are_forgotten_with_a_request_that_timed_out(signer: SignerNetwork) -> None:
    """A later request of the same is judged anew."""
    hash_ = ask(signer)
    args = {"request": {"Sign": sign_request()}, "reason": REASON}
    signer.call(BOB, "respond_failure", **args)
    signer.skip(TIME_OUT_BLOCKS + 1)
    with signer.refused("TimedOutRefused"):
        signer.end(hash_)
    assert signer.view("get_refusals", request=args["request"]) == {}


def test_longest_refusal_fits_the_gas_of_a_time_out(signer: SignerNetwork) -> None:
    """The caller reads all of it; one of two equal requests that end leaves it for the other."""
    hash_ = ask(signer)
    reason = {"code": "SignersUnavailable", "detail": '"' * 256}
    signer.call(BOB, "respond_failure", request={"Sign": sign_request()}, reason=reason)
    second = ask(signer)
    signer.skip(TIME_OUT_BLOCKS + 1)
    for ended in (hash_, second):
        assert f"A node said: SignersUnavailable: {reason['detail']}" in attempt(
            lambda ended=ended: signer.end(ended)
        ).replace("\\", "")


def test_every_kind_of_request_can_be_refused(signer: SignerNetwork) -> None:
    """Confidential keys and foreign transactions too."""
    key = {"AppPublicKey": make_app_key(APP_SECRET)["pk1"]}
    ckd, _ = make_ckd(signer, key)
    allow_bitcoin(signer)
    asked = {"derivation_path": PATH, "app_public_key": key, "domain_id": 3}
    hashes = [
        signer.ask("request_app_private_key", asked),
        signer.ask("verify_foreign_transaction", FOREIGN),
    ]
    signer.wait_pending("get_pending_ckd_request", ckd)
    signer.wait_pending("get_pending_verify_foreign_tx_request", FOREIGN)
    for request in ({"CKD": ckd}, {"ForeignTx": FOREIGN}):
        for node, is_final in ((BOB, False), (CAROL, True)):
            reason = {"code": "UnsupportedForeignChain"}
            assert signer.call(node, "respond_failure", request=request, reason=reason) is is_final
    for hash_ in hashes:
        with signer.refused("Refused"):
            signer.end(hash_)


def test_a_refusal_is_bounded_and_not_for_everybody(signer: SignerNetwork) -> None:
    """A short line, by an attested node, about a domain that exists."""
    ask(signer)
    args = {"request": {"Sign": sign_request()}, "reason": REASON}
    signer.must_refuse("CallerNotParticipant", STRANGER, "respond_failure", **args)
    for detail in ("x" * 257, "two\nlines"):
        long = args | {"reason": REASON | {"detail": detail}}
        signer.must_refuse("RefusalTooLong", BOB, "respond_failure", **long)
    quotes = args | {"reason": REASON | {"detail": '"' * 256}}
    signer.call(BOB, "respond_failure", **quotes)
    assert signer.call(CAROL, "respond_failure", **quotes) is True
    unknown = args | {"request": {"Sign": sign_request(domain_id=9)}}
    signer.must_refuse("DomainNotFound", BOB, "respond_failure", **unknown)


def test_callbacks_are_the_contracts_own(signer: SignerNetwork) -> None:
    """Nobody else ends a request."""
    for method, args in (
        ("return_signature_and_clean_state_on_success", {"request": sign_request()}),
        ("fail_on_timeout", {}),
        ("fail_on_timeout_after_refusal", {"reason": REASON}),
        ("clean_tee_status", {}),
        ("update_config", {"config": signer.view("config")}),
    ):
        with pytest.raises(ExecutionFailed, match="is private"):
            signer.call(STRANGER, method, **args)


FIGURES = ROOT / "docs/reference/signer_contract.md"
MARGIN = 0.1


def read_figures() -> dict[str, float]:
    """The table of gas, in Tgas."""
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \|$", FIGURES.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: float(figure) for name, figure in rows}


def measure(
    signer: SignerNetwork, method: str, asked: Any, view: str, stored: Any, answer: Any
) -> list[float]:
    """Gas of a request, its response, and the call that gives the answer back."""
    hash_ = signer.ask(method, asked, gas="20 Tgas")
    signer.wait_pending(view, stored)
    responding = "respond_ckd" if "ckd" in view else "respond"
    result = signer.send(BOB, responding, {"request": stored, "response": answer})
    whole = signer.connect(CALLER).wait_for(hash_, CALLER)
    first, both = gas_burnt(whole, 1), gas_burnt(whole, 2)
    return [first, gas_burnt(result, 1), both - first]


def test_gas_is_what_the_documents_say(signer: SignerNetwork) -> None:
    """Each figure, within a tenth; a program that costs more is seen."""
    pair, message = make_app_key(APP_SECRET), {"Eddsa": bytes(100).hex()}
    plain, verifiable = ({"AppPublicKey": pair["pk1"]}, {"AppPublicKeyPV": pair})
    signing = "sign", "get_pending_request"
    ecdsa = measure(
        signer, signing[0], make_request(), signing[1], sign_request(), sign_ecdsa(derive_secret())
    )
    eddsa = measure(
        signer, "sign", make_request(message, 1), signing[1], sign_request(message, 1), sign_eddsa(bytes(100))
    )
    found = {"`sign`, ECDSA": ecdsa[0], "its end": ecdsa[2], "`respond`, ECDSA": ecdsa[1]}
    found |= {"`sign`, EdDSA of 100 bytes": eddsa[0], "`respond`, EdDSA of 100 bytes": eddsa[1]}
    for name, key in (("plain", plain), ("verifiable", verifiable)):
        asked = {"derivation_path": PATH, "app_public_key": key, "domain_id": 3}
        view = "get_pending_ckd_request"
        gas = measure(signer, "request_app_private_key", asked, view, *make_ckd(signer, key))
        found |= {f"`request_app_private_key`, {name}": gas[0], f"`respond_ckd`, {name}": gas[1]}
    figures = read_figures()
    assert {name: figures[name] for name in found} == pytest.approx(found, rel=MARGIN)
