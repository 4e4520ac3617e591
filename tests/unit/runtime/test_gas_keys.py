"""Gas keys (from 85 on): their own money and nonces, and who pays what."""

import pytest

from hither.crypto.keys import public_key_to_str
from hither.primitives.account import (
    AccessKey,
    FullAccess,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    GasKeyInfo,
)
from hither.primitives.action import (
    AddKey,
    DeleteAccount,
    DeleteKey,
    Transfer,
    TransferToGasKey,
    WithdrawFromGasKey,
)
from hither.primitives.types import AccountId, Balance, Nonce
from tests.unit.runtime.world import GAS_PRICE, NEAR, World, get_errors, make_key

KEY = make_key("gas")
TEXT = public_key_to_str(KEY)


def gas_key(nonces: int = 3, balance: int = 0) -> AccessKey:
    return AccessKey(Nonce(7), GasKeyFullAccess(GasKeyInfo(Balance(balance), nonces)))


def make_world(version: int = 88, funds: int = NEAR) -> World:
    """Alice with a gas key of three nonces."""
    world = World(version)
    actions = [AddKey(KEY, gas_key()), TransferToGasKey(KEY, Balance(funds))]
    assert get_errors(world.act("alice.near", "alice.near", *actions[: 2 if funds else 1])) == []
    return world


def get_balance(world: World) -> int:
    key = world.get_key("alice.near", KEY)
    assert key is not None and isinstance(key.permission, GasKeyFullAccess)
    assert key.nonce == 0, "a gas key's own nonce is not used"
    return key.permission.gas_key.balance


def test_a_gas_key_counts_its_nonces_as_storage_and_gives_them_back() -> None:
    world = World()
    before = world.must_account("alice.near").storage_usage
    world.act("alice.near", "alice.near", AddKey(KEY, gas_key()))
    record = 33 + (8 + 1 + 18) + 40
    nonces = 3 * (33 + 2 + 8 + 40)
    assert world.must_account("alice.near").storage_usage == before + record + nonces
    world.act("alice.near", "alice.near", DeleteKey(KEY))
    assert world.must_account("alice.near").storage_usage == before
    assert world.get_key("alice.near", KEY) is None


def test_the_gas_key_pays_gas_and_the_account_pays_deposits() -> None:
    world = make_world()
    before = world.must_account("alice.near").amount
    outcomes = world.act("alice.near", "bob.near", Transfer(Balance(5)), key="gas", version=1, nonce_index=2)
    assert get_errors(outcomes) == []
    assert world.must_account("alice.near").amount == before - 5
    burnt = sum(outcome.tokens_burnt for outcome in outcomes)
    assert get_balance(world) == NEAR - burnt, "the refund went back to the gas key"


def test_every_index_has_its_own_nonce() -> None:
    world = make_world()
    fields = {"key": "gas", "version": 1, "nonce": 20_000_000 - 1}
    world.height += 20
    outcomes = world.step(
        *[
            world.sign("alice.near", "bob.near", Transfer(Balance(1)), nonce_index=index, **fields)
            for index in (0, 1)
        ]
    )
    assert get_errors(outcomes) == []
    again = world.sign("alice.near", "bob.near", Transfer(Balance(2)), nonce_index=1, **fields)
    assert get_errors(world.step(again)) == [
        {"InvalidNonce": {"tx_nonce": 19_999_999, "ak_nonce": 19_999_999}}
    ]


def test_wrong_nonce_indices_are_refused() -> None:
    world = make_world()
    plain = world.sign("alice.near", "bob.near", Transfer(Balance(1)), key="gas")
    beyond = world.sign("alice.near", "bob.near", Transfer(Balance(1)), key="gas", version=1, nonce_index=3)
    other = world.sign("alice.near", "bob.near", Transfer(Balance(1)), version=1, nonce_index=0)
    assert get_errors(world.step(plain, beyond, other)) == [
        {"InvalidNonceIndex": {"tx_nonce_index": None, "num_nonces": 3}},
        {"InvalidNonceIndex": {"tx_nonce_index": 3, "num_nonces": 3}},
        {"InvalidNonceIndex": {"tx_nonce_index": 0, "num_nonces": 0}},
    ]


def test_a_deposit_that_the_account_lacks_still_burns_the_conversion() -> None:
    world = make_world()
    amount = world.must_account("alice.near").amount
    signed = world.sign(
        "alice.near", "bob.near", Transfer(Balance(amount + 1)), key="gas", version=1, nonce_index=0
    )
    (outcome,) = world.step(signed)
    fields = {
        "signer_id": "alice.near",
        "balance": str(amount),
        "cost": str(amount + 1),
        "reason": "NotEnoughBalance",
    }
    assert get_errors([outcome]) == [{"NotEnoughBalanceForDeposit": fields}]
    assert outcome.receipt_ids == ()
    assert outcome.tokens_burnt == outcome.gas_burnt * GAS_PRICE > 0
    assert get_balance(world) == NEAR - outcome.tokens_burnt
    assert world.must_account("alice.near").amount == amount
    assert get_errors(world.step(signed)) != [], "the nonce is used up"


def test_a_gas_key_without_money_cannot_pay() -> None:
    world = make_world(funds=0)
    signed = world.sign("alice.near", "bob.near", Transfer(Balance(1)), key="gas", version=1, nonce_index=0)
    (error,) = get_errors(world.step(signed))
    assert error["NotEnoughGasKeyBalance"]["balance"] == "0"


def test_money_moves_between_account_and_gas_key() -> None:
    world = make_world()
    assert get_errors(world.act("alice.near", "alice.near", WithdrawFromGasKey(KEY, Balance(NEAR)))) == []
    assert get_balance(world) == 0
    fields = {"account_id": "alice.near", "public_key": TEXT, "balance": "0", "required": "1"}
    too_much = world.act("alice.near", "alice.near", WithdrawFromGasKey(KEY, Balance(1)))
    assert get_errors(too_much) == [{"InsufficientGasKeyBalance": fields}]
    missing = {"account_id": "bob.near", "public_key": TEXT}
    outcomes = world.act("alice.near", "bob.near", TransferToGasKey(KEY, Balance(1)))
    assert get_errors(outcomes) == [{"GasKeyDoesNotExist": missing}]


@pytest.mark.parametrize(("funds", "is_refused"), [(NEAR, False), (NEAR + 1, True)])
def test_a_little_money_burns_with_the_key_and_much_forbids_it(funds: int, is_refused: bool) -> None:
    world = make_world(funds=funds)
    errors = get_errors(world.act("alice.near", "alice.near", DeleteKey(KEY)))
    fields = {"account_id": "alice.near", "public_key": TEXT, "balance": str(funds)}
    assert errors == ([{"GasKeyBalanceTooHigh": fields}] if is_refused else [])
    world = make_world(funds=funds)
    delete = world.act("alice.near", "alice.near", DeleteAccount(AccountId("bob.near")))
    too_high = {"GasKeyBalanceTooHigh": fields | {"public_key": None}}
    assert (too_high in get_errors(delete)) == is_refused
    assert (world.get_account("alice.near") is None) != is_refused


def test_what_a_new_gas_key_may_be() -> None:
    world = World()
    call = FunctionCallPermission(Balance(1), "bob.near", ())
    for key, error in [
        (gas_key(0), {"GasKeyInvalidNumNonces": {"requested_nonces": 0, "limit": 1024}}),
        (gas_key(1025), {"GasKeyInvalidNumNonces": {"requested_nonces": 1025, "limit": 1024}}),
        (gas_key(1, 5), {"AddGasKeyWithNonZeroBalance": {"balance": "5"}}),
        (
            AccessKey(Nonce(0), GasKeyFunctionCall(GasKeyInfo(Balance(0), 1), call)),
            "GasKeyFunctionCallAllowanceNotAllowed",
        ),
    ]:
        signed = world.sign("alice.near", "alice.near", AddKey(KEY, key))
        assert get_errors(world.step(signed)) == [{"ActionsValidation": error}]


def test_gas_keys_do_not_exist_at_84() -> None:
    unsupported = {"UnsupportedProtocolFeature": {"protocol_feature": "GasKeys", "version": 84}}
    world = World(84)
    for action in (
        AddKey(KEY, gas_key()),
        TransferToGasKey(KEY, Balance(1)),
        WithdrawFromGasKey(KEY, Balance(1)),
    ):
        signed = world.sign("alice.near", "alice.near", action)
        assert get_errors(world.step(signed)) == [{"ActionsValidation": unsupported}]
    plain = AddKey(KEY, AccessKey(Nonce(0), FullAccess()))
    assert get_errors(world.act("alice.near", "alice.near", plain)) == []
