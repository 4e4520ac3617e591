"""Accounts whose id is the hash of their first state: ``0s`` and, from 88 on, ``0u``."""

import pytest

from hither.crypto.hashing import sha256
from hither.crypto.keys import compute_key_handle
from hither.primitives.account import (
    AccessKey,
    Account,
    DeployMode,
    FullAccess,
    GlobalContractByHash,
    UninitialisedAccount,
)
from hither.primitives.action import (
    AddKey,
    DeployGlobalContract,
    DeterministicStateInit,
    Transfer,
    UniversalStateInit,
    encode_deterministic_state_init,
)
from hither.primitives.ids import compute_deterministic_account_id, compute_universal_account_id
from hither.primitives.types import Balance, CryptoHash, Nonce
from hither.primitives.universal_state_init import UniversalState, encode_universal_state
from hither.state import keys
from tests.unit.runtime.world import NEAR, World, get_errors, make_key

CODE = b"\0asm\x01\0\0\0"
BY_HASH = GlobalContractByHash(CryptoHash(sha256(CODE)))
DATA = ((b"key", b"value"), (b"other", b""))
PER_BYTE = 10**19


def make_world(version: int = 88) -> World:
    """A chain that has the code."""
    world = World(version)
    deploy = DeployGlobalContract(CODE, DeployMode.CODE_HASH)
    assert get_errors(world.act("bob.near", "bob.near", deploy)) == []
    return world


def make_universal(
    *names: str, code: bool = False, data: tuple[tuple[bytes, bytes], ...] = ()
) -> tuple[str, bytes]:
    """Id and bytes of a universal account with these keys."""
    handles = tuple(sorted(compute_key_handle(make_key(name)) for name in names))
    raw = encode_universal_state(UniversalState(BY_HASH if code else None, data, handles))
    return compute_universal_account_id(raw), raw


def init(raw: bytes, deposit: int = 0) -> UniversalStateInit:
    return UniversalStateInit(raw, Balance(deposit))


def test_a_deterministic_account_gets_code_and_data_and_keeps_what_storage_costs() -> None:
    world = make_world()
    data = (*DATA, (b"large", bytes(2000)))
    action = DeterministicStateInit(BY_HASH, data, Balance(NEAR))
    name = compute_deterministic_account_id(encode_deterministic_state_init(action))
    outcomes = world.act("alice.near", name, action)
    assert get_errors(outcomes) == []
    account = world.must_account(name)
    usage = 100 + 32 + sum(len(key) + len(value) + 40 for key, value in data)
    assert account == Account(Balance(usage * PER_BYTE), Balance(0), usage, BY_HASH, 2)
    assert world.get_trie(name).get(keys.contract_data(name, b"key")) == b"value"
    again = world.act("alice.near", name, action)
    assert get_errors(again) == []
    assert world.must_account(name) == account, "the whole deposit came back"


def test_a_deterministic_account_needs_its_code_its_id_and_its_deposit() -> None:
    world = make_world()
    large = ((b"large", bytes(2000)),)
    poor = DeterministicStateInit(BY_HASH, large, Balance(0))
    name = compute_deterministic_account_id(encode_deterministic_state_init(poor))
    missing = {"account_id": name, "amount": str((100 + 32 + 5 + 2000 + 40) * PER_BYTE)}
    assert get_errors(world.act("alice.near", name, poor)) == [{"LackBalanceForState": missing}]
    assert world.get_account(name) is None
    wrong = world.sign("alice.near", "bob.near", poor)
    fields = {"receiver_id": "bob.near", "derived_id": name}
    assert get_errors(world.step(wrong)) == [
        {"ActionsValidation": {"InvalidDeterministicStateInitReceiver": fields}}
    ]
    unknown = DeterministicStateInit(GlobalContractByHash(CryptoHash(bytes(32))), (), Balance(0))
    name = compute_deterministic_account_id(encode_deterministic_state_init(unknown))
    identifier = {"identifier": {"hash": "1" * 32}}
    assert get_errors(world.act("alice.near", name, unknown)) == [{"GlobalContractDoesNotExist": identifier}]


@pytest.mark.parametrize("count", [1500, 1501])
def test_entries_of_a_receipt_are_limited_from_87_on(count: int) -> None:
    data = tuple((number.to_bytes(2, "big"), b"") for number in range(count))
    action = DeterministicStateInit(BY_HASH, data, Balance(0))
    name = compute_deterministic_account_id(encode_deterministic_state_init(action))
    fields = {"number_of_entries": count, "limit": 1500}
    error = {"ActionsValidation": {"TotalNumberOfStateInitEntriesExceeded": fields}}
    for version in (86, 87):
        world = World(version)
        errors = get_errors(world.step(world.sign("alice.near", name, action)))
        assert errors == ([error] if (version, count) == (87, 1501) else [])


def test_a_universal_account_gets_its_keys_code_and_data() -> None:
    world = make_world()
    name, raw = make_universal("first", "second", code=True, data=DATA)
    assert get_errors(world.act("alice.near", name, init(raw))) == []
    account = world.must_account(name)
    usage = 100 + 32 + sum(len(key) + len(value) + 40 for key, value in DATA) + 2 * (33 + 9 + 40)
    assert account == Account(Balance(0), Balance(0), usage, BY_HASH, 2)
    for key in ("first", "second"):
        access_key = world.get_key(name, make_key(key))
        assert access_key is not None and access_key.permission == FullAccess()
    world.act("alice.near", name, Transfer(Balance(NEAR)))
    assert get_errors(world.act(name, "bob.near", Transfer(Balance(1)), key="second")) == []


def test_money_first_and_state_later() -> None:
    world = make_world()
    name, raw = make_universal("first")
    world.act("alice.near", name, Transfer(Balance(NEAR)))
    assert isinstance(world.get_account(name), UninitialisedAccount)
    assert get_errors(world.act("alice.near", name, init(raw))) == []
    assert world.must_account(name).amount == NEAR


def test_whoever_brings_the_state_does_not_become_the_owner() -> None:
    world = make_world()
    name, raw = make_universal("first")
    thief = AddKey(make_key("thief"), AccessKey(Nonce(0), FullAccess()))
    outcomes = world.act("alice.near", name, Transfer(Balance(1)), init(raw), thief)
    fields = {"account_id": name, "actor_id": "alice.near"}
    assert get_errors(outcomes) == [{"ActorNoPermission": fields}]
    assert world.get_account(name) is None, "the receipt failed as a whole"


def test_a_universal_account_sends_its_own_state_once() -> None:
    """Signed by one of the keys that the id commits to, at exactly the next nonce."""
    world = make_world()
    name, raw = make_universal("first")
    world.act("alice.near", name, Transfer(Balance(NEAR)))
    account = world.get_account(name)
    assert isinstance(account, UninitialisedAccount)
    following = account.bootstrap_nonce + 1
    wrong_nonce = world.sign(name, name, init(raw), key="first", nonce=following + 1)
    wrong_key = world.sign(name, name, init(raw), key="second", nonce=following)
    no_init = world.sign(name, name, Transfer(Balance(1)), key="first", nonce=following)
    errors = get_errors(world.step(wrong_nonce, wrong_key, no_init))
    invalid = {"tx_nonce": following + 1, "ak_nonce": following - 1}
    assert errors[0] == {"InvalidNonce": invalid}
    assert [set(error["InvalidAccessKeyError"]) for error in errors[1:]] == [{"AccessKeyNotFound"}] * 2
    signed = world.sign(name, name, init(raw), key="first", nonce=following)
    assert get_errors(world.run(signed)) == []
    key = world.get_key(name, make_key("first"))
    assert key is not None and key.nonce >= following
    assert get_errors(world.step(signed)) != [], "the same bytes are not valid again"


def test_a_failed_bootstrap_uses_up_its_nonce() -> None:
    world = make_world()
    name, raw = make_universal("first", data=((b"large", bytes(200_000)),))
    world.act("alice.near", name, Transfer(Balance(NEAR // 2)))
    account = world.get_account(name)
    assert isinstance(account, UninitialisedAccount)
    signed = world.sign(name, name, init(raw), key="first", nonce=account.bootstrap_nonce + 1)
    (error,) = get_errors(world.run(signed))
    assert "LackBalanceForState" in error
    after = world.get_account(name)
    assert isinstance(after, UninitialisedAccount)
    assert after.bootstrap_nonce == account.bootstrap_nonce + 1


def test_a_repeated_state_init_gives_the_deposit_back() -> None:
    world = make_world()
    name, raw = make_universal("first")
    world.act("alice.near", name, init(raw))
    before = world.must_account("alice.near").amount
    outcomes = world.act("alice.near", name, init(raw, NEAR))
    assert get_errors(outcomes) == []
    assert world.must_account(name).amount == 0
    burnt = sum(outcome.tokens_burnt for outcome in outcomes)
    assert world.must_account("alice.near").amount == before - burnt


def test_only_canonical_bytes_of_the_right_account_are_a_state_init() -> None:
    world = make_world()
    name, raw = make_universal("first", data=DATA)
    first, second = b"\x03\0\0\0key\x05\0\0\0value", b"\x05\0\0\0other\0\0\0\0"
    unsorted = raw.replace(first + second, second + first)
    assert unsorted != raw
    for bad in (unsorted, raw + b"\0", b"\x01"):
        signed = world.sign("alice.near", compute_universal_account_id(bad), init(bad))
        assert get_errors(world.step(signed)) == [{"ActionsValidation": "MalformedUniversalStateInit"}]
    fields = {"receiver_id": "bob.near", "derived_id": name}
    signed = world.sign("alice.near", "bob.near", init(raw))
    assert get_errors(world.step(signed)) == [
        {"ActionsValidation": {"InvalidUniversalStateInitReceiver": fields}}
    ]
    old = World(87)
    unsupported = {"protocol_feature": "UniversalAccounts", "version": 87}
    assert get_errors(old.step(old.sign("alice.near", name, init(raw)))) == [
        {"ActionsValidation": {"UnsupportedProtocolFeature": unsupported}}
    ]


def test_keys_of_a_receipts_state_inits_are_limited() -> None:
    world = make_world()
    name, raw = make_universal(*[f"key{number}" for number in range(1025)])
    fields = {"number_of_keys": 1025, "limit": 1024}
    assert get_errors(world.step(world.sign("alice.near", name, init(raw)))) == [
        {"ActionsValidation": {"TotalNumberOfStateInitKeysExceeded": fields}}
    ]
