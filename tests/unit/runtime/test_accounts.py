"""Accounts that come to be and go: by name, by transfer, by state init; what they cost."""

import pytest

from hither.primitives.account import (
    AccessKey,
    Account,
    FullAccess,
    GlobalContractByHash,
    UninitialisedAccount,
)
from hither.primitives.action import AddKey, CreateAccount, DeleteAccount, Transfer
from hither.primitives.types import AccountId, Balance, CryptoHash, Nonce
from tests.unit.runtime.world import GAS_PRICE, NEAR, World, get_errors, make_key

IMPLICIT = make_key("implicit").data.hex()
ETH = "0x" + "ab" * 20
DETERMINISTIC = "0s" + "cd" * 20
UNIVERSAL = "0u" + "0" * 52


def create(amount: int = NEAR) -> list[object]:
    key = AddKey(make_key("new"), AccessKey(Nonce(0), FullAccess()))
    return [CreateAccount(), Transfer(Balance(amount)), key]


def test_only_the_parent_makes_a_sub_account_and_only_the_registrar_a_short_name() -> None:
    world = World(accounts=("near", "alice.near", "registrar"))
    assert get_errors(world.act("near", "new.near", *create())) == []
    assert world.must_account("new.near").amount == NEAR
    taken = world.act("near", "new.near", *create())
    assert get_errors(taken) == [{"AccountAlreadyExists": {"account_id": "new.near"}}]
    strange = world.act("alice.near", "other.near", *create())
    fields = {"account_id": "other.near", "predecessor_id": "alice.near"}
    assert get_errors(strange) == [{"CreateAccountNotAllowed": fields}]
    short = world.act("alice.near", "short", *create())
    fields = {"account_id": "short", "registrar_account_id": "registrar", "predecessor_id": "alice.near"}
    assert get_errors(short) == [{"CreateAccountOnlyByRegistrar": fields}]
    assert get_errors(world.act("registrar", "short", *create())) == []


@pytest.mark.parametrize("version", [84, 85, 88])
def test_a_new_account_costs_its_charge_from_85_on(version: int) -> None:
    world = World(version, accounts=("near",))
    outcomes = world.act("near", "new.near", *create())
    executed = outcomes[1]
    charge = executed.tokens_burnt - executed.gas_burnt * GAS_PRICE
    creation_gas = 7_200_000_000_000
    expected = 7 * 10**21 - creation_gas * GAS_PRICE if version >= 85 else 0
    assert charge == expected
    # An existing account pays none.
    assert world.act("near", "new.near", Transfer(Balance(1)))[1].tokens_burnt < 10**21


def test_a_transfer_alone_makes_implicit_accounts() -> None:
    world = World()
    for name in (IMPLICIT, ETH, DETERMINISTIC, UNIVERSAL):
        assert get_errors(world.act("alice.near", name, Transfer(Balance(NEAR)))) == []
    implicit = world.must_account(IMPLICIT)
    assert (implicit.amount, implicit.storage_usage) == (NEAR, 182)
    assert world.get_key(IMPLICIT, make_key("implicit")) is not None
    eth = world.must_account(ETH)
    assert isinstance(eth.contract, GlobalContractByHash)
    assert (eth.storage_usage, eth.version) == (132, 2)
    assert world.must_account(DETERMINISTIC) == Account(Balance(NEAR), Balance(0), 100)
    universal = world.get_account(UNIVERSAL)
    assert isinstance(universal, UninitialisedAccount)
    assert (universal.amount, universal.storage_usage) == (NEAR, 100)


@pytest.mark.parametrize("name", [IMPLICIT, ETH, DETERMINISTIC])
def test_among_other_actions_a_transfer_makes_none(name: str) -> None:
    world = World()
    outcomes = world.act("alice.near", name, Transfer(Balance(1)), Transfer(Balance(1)))
    assert get_errors(outcomes) == [{"AccountDoesNotExist": {"account_id": name}}]
    assert get_errors(world.act("alice.near", name, CreateAccount())) == [
        {"OnlyImplicitAccountCreationAllowed": {"account_id": name}}
    ]


def test_universal_ids_were_plain_names_and_at_87_got_no_money() -> None:
    missing = {"AccountDoesNotExist": {"account_id": UNIVERSAL}}
    assert get_errors(World(86).act("alice.near", UNIVERSAL, Transfer(Balance(1)))) == [missing]
    world = World(87)
    signed = world.sign("alice.near", UNIVERSAL, Transfer(Balance(1)))
    banned = {"TransferToUniversalAccountNotAllowed": {"account_id": UNIVERSAL}}
    assert get_errors(world.step(signed)) == [{"ActionsValidation": banned}]


def test_an_uninitialised_account_takes_money_and_nothing_else() -> None:
    world = World()
    world.act("alice.near", UNIVERSAL, Transfer(Balance(NEAR)))
    assert get_errors(world.act("alice.near", UNIVERSAL, Transfer(Balance(1)), Transfer(Balance(2)))) == []
    account = world.get_account(UNIVERSAL)
    assert account is not None and account.amount == NEAR + 3
    outcomes = world.act("alice.near", UNIVERSAL, DeleteAccount(AccountId("alice.near")))
    assert get_errors(outcomes) == [{"AccountNotInitialized": {"account_id": UNIVERSAL}}]


def test_a_deleted_account_leaves_its_money_to_the_beneficiary() -> None:
    world = World()
    amount = world.must_account("bob.near").amount
    outcomes = world.act("alice.near", "alice.near", DeleteAccount(AccountId("bob.near")))
    assert get_errors(outcomes) == [{"AccountDoesNotExist": {"account_id": "alice.near"}}], "its gas refund"
    assert world.get_account("alice.near") is None
    assert world.get_key("alice.near") is None
    assert world.must_account("bob.near").amount > amount + 999 * NEAR


@pytest.mark.parametrize("version", [84, 85])
def test_the_name_of_a_global_contract_does_not_count_against_deletion_from_85_on(version: int) -> None:
    world = World(version)
    contract = GlobalContractByHash(CryptoHash(bytes(32)))
    world.put_account("alice.near", Account(Balance(NEAR), Balance(0), 10_032, contract, 2))
    world.supply = world.count_money()
    errors = get_errors(world.act("alice.near", "alice.near", DeleteAccount(AccountId("bob.near"))))
    too_large = {"DeleteAccountWithLargeState": {"account_id": "alice.near"}}
    assert (too_large in errors) == (version == 84)
    assert (world.get_account("alice.near") is None) == (version == 85)


def test_a_refund_never_makes_an_account() -> None:
    world = World()
    outcomes = world.act("alice.near", "alice.near", DeleteAccount(AccountId(IMPLICIT)))
    assert {"AccountDoesNotExist": {"account_id": IMPLICIT}} in get_errors(outcomes)
    assert world.get_account(IMPLICIT) is None


@pytest.mark.parametrize("actor", ["bob.near", "alice.near"])
def test_keys_are_added_by_the_owner_alone(actor: str) -> None:
    world = World()
    errors = get_errors(
        world.act(actor, "alice.near", AddKey(make_key("new"), AccessKey(Nonce(0), FullAccess())))
    )
    fields = {"account_id": "alice.near", "actor_id": "bob.near"}
    assert errors == ([] if actor == "alice.near" else [{"ActorNoPermission": fields}])
