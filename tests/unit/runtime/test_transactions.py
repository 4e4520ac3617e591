"""Transactions: what they cost, which are refused and with which words, and what a repeat does."""

import pytest

from hither.crypto.keys import ML_DSA_65, public_key_to_str
from hither.primitives.account import FullAccess, FunctionCallPermission
from hither.primitives.action import FunctionCall, Transfer
from hither.primitives.outcome import SuccessReceiptId
from hither.primitives.types import Balance, Gas
from tests.unit.runtime.world import GAS_PRICE, NEAR, STRICT, TGAS, World, get_errors, make_key

TRANSFER_GAS = 223_182_562_500


def call(method: str = "run", gas: int = TGAS, deposit: int = 0) -> FunctionCall:
    return FunctionCall(method, b"", Gas(gas), Balance(deposit))


def test_a_transfer_burns_its_fee_on_both_sides() -> None:
    world = World(84)
    converted, executed = world.act("alice.near", "bob.near", Transfer(Balance(NEAR)))
    assert (converted.gas_burnt, executed.gas_burnt) == (TRANSFER_GAS, TRANSFER_GAS)
    assert converted.status == SuccessReceiptId(executed.id)
    assert (converted.metadata_version, executed.metadata_version) == (1, 3)
    assert world.must_account("bob.near").amount == 1001 * NEAR
    assert world.must_account("alice.near").amount == 999 * NEAR - 2 * TRANSFER_GAS * GAS_PRICE


def test_gas_is_bought_no_cheaper_than_the_minimum_and_the_difference_comes_back() -> None:
    """From 85 on gas costs at least 10^9 when bought; it is burnt at the price of the day."""
    world = World(88)
    _, executed, refund = world.act("alice.near", "bob.near", Transfer(Balance(NEAR)))
    assert executed.tokens_burnt == TRANSFER_GAS * GAS_PRICE
    assert (refund.gas_burnt, refund.tokens_burnt) == (TRANSFER_GAS, 0)
    assert world.must_account("alice.near").amount == 999 * NEAR - 2 * TRANSFER_GAS * GAS_PRICE
    dear = World(88, gas_price=2_000_000_000)
    assert len(dear.act("alice.near", "bob.near", Transfer(Balance(NEAR)))) == 2


@pytest.mark.parametrize(("version", "count"), [(84, 2), (85, 1)])
def test_a_repeat_within_a_chunk_has_no_outcome_from_85_on(version: int, count: int) -> None:
    world = World(version)
    signed = world.sign("alice.near", "bob.near", Transfer(Balance(1)))
    outcomes = world.step(signed, signed)
    assert [outcome.id for outcome in outcomes] == [signed.hash] * count
    assert len(get_errors(outcomes)) == count - 1


def test_nonces_must_grow_and_stay_below_the_height() -> None:
    world = World()
    height_bound = (world.height + 1) * 1_000_000
    good = world.sign("alice.near", "bob.near", Transfer(Balance(1)), nonce=5)
    same = world.sign("alice.near", "bob.near", Transfer(Balance(2)), nonce=5)
    last = world.sign("alice.near", "bob.near", Transfer(Balance(3)), nonce=height_bound - 1)
    large = world.sign("alice.near", "bob.near", Transfer(Balance(3)), nonce=height_bound)
    assert get_errors(world.step(good, same, large, last)) == [
        {"InvalidNonce": {"tx_nonce": 5, "ak_nonce": 5}},
        {"NonceTooLarge": {"tx_nonce": height_bound, "upper_bound": height_bound}},
    ]


def test_a_strict_nonce_is_the_next_one_exactly() -> None:
    world = World(85)
    fields = {"version": 1, "nonce_mode": STRICT}
    skipping = world.sign("alice.near", "bob.near", Transfer(Balance(1)), nonce=2, **fields)
    following = world.sign("alice.near", "bob.near", Transfer(Balance(1)), nonce=1, **fields)
    assert get_errors(world.step(skipping, following)) == [{"InvalidNonce": {"tx_nonce": 2, "ak_nonce": 0}}]
    old = World(84)
    signed = old.sign("alice.near", "bob.near", Transfer(Balance(1)), version=1)
    assert get_errors(old.step(signed)) == ["InvalidTransactionVersion"]


def test_money_for_cost_and_storage_must_be_there() -> None:
    world = World(balance=NEAR)
    cost = NEAR + TRANSFER_GAS * (GAS_PRICE + 1_000_000_000)
    poor = world.sign("alice.near", "bob.near", Transfer(Balance(NEAR)))
    fields = {"signer_id": "alice.near", "balance": str(NEAR), "cost": str(cost)}
    assert get_errors(world.step(poor)) == [{"NotEnoughBalance": fields}]


def test_cost_that_overflows_is_an_error_of_its_own() -> None:
    world = World()
    large = Transfer(Balance(2**128 - 1))
    assert get_errors(world.step(world.sign("alice.near", "bob.near", large, Transfer(Balance(1))))) == [
        "CostOverflow"
    ]


def test_unknown_signers_keys_and_bad_signatures_are_told_apart() -> None:
    world = World()
    nobody = world.sign("eve.near", "bob.near", Transfer(Balance(1)))
    strange = world.sign("alice.near", "bob.near", Transfer(Balance(1)), key="eve.near")
    good = world.sign("alice.near", "bob.near", Transfer(Balance(1)))
    forged = type(good)(good.transaction, strange.signature, good.hash, good.size)
    key = {"account_id": "alice.near", "public_key": public_key_to_str(make_key("eve.near"))}
    assert get_errors(world.step(nobody, strange, forged)) == [
        {"InvalidSignerId": {"signer_id": "eve.near"}},
        {"InvalidAccessKeyError": {"AccessKeyNotFound": key}},
        "InvalidSignature",
    ]


def test_a_function_call_key_calls_its_contract_and_pays_from_its_allowance() -> None:
    world = World(84, accounts=("alice.near", "bob.near"))
    permission = FunctionCallPermission(Balance(NEAR), "bob.near", ("run",))
    world.put_key("alice.near", make_key("limited"), permission)
    refused = [
        (Transfer(Balance(1)), "bob.near", "RequiresFullAccess"),
        (call(deposit=1), "bob.near", "DepositWithFunctionCall"),
        (
            call(),
            "alice.near",
            {"ReceiverMismatch": {"tx_receiver": "alice.near", "ak_receiver": "bob.near"}},
        ),
        (call("other"), "bob.near", {"MethodNameMismatch": {"method_name": "other"}}),
    ]
    for action, receiver, error in refused:
        signed = world.sign("alice.near", receiver, action, key="limited")
        assert get_errors(world.step(signed)) == [{"InvalidAccessKeyError": error}]
    outcomes = world.act("alice.near", "bob.near", call(), key="limited")
    assert outcomes[0].status == SuccessReceiptId(outcomes[1].id)
    key = world.get_key("alice.near", make_key("limited"))
    assert key is not None and isinstance(key.permission, FunctionCallPermission)
    spent = sum(outcome.tokens_burnt for outcome in outcomes)
    assert key.permission.allowance == NEAR - spent, "what was not burnt came back to the allowance"


def test_a_call_beyond_the_allowance_is_refused() -> None:
    world = World(84)
    world.put_key("alice.near", make_key("small"), FunctionCallPermission(Balance(1), "bob.near", ()))
    signed = world.sign("alice.near", "bob.near", call(), key="small")
    (error,) = get_errors(world.step(signed))
    assert error["InvalidAccessKeyError"]["NotEnoughAllowance"]["allowance"] == "1"


def test_post_quantum_keys_sign_from_85_on_and_pay_for_it() -> None:
    world = World(85, accounts=("alice.near", "bob.near"))
    world.put_key("alice.near", make_key("quantum", ML_DSA_65), FullAccess())
    outcomes = world.act("alice.near", "bob.near", Transfer(Balance(1)), key="quantum", kind=ML_DSA_65)
    assert get_errors(outcomes) == []
    assert outcomes[0].gas_burnt == TRANSFER_GAS + 100_000_000_000
    old = World(84)
    signed = old.sign("alice.near", "bob.near", Transfer(Balance(1)), key="quantum", kind=ML_DSA_65)
    assert get_errors(old.step(signed)) == ["InvalidTransactionVersion"]


def test_size_counts_the_signature_from_85_on() -> None:
    def sign_largest(world: World, missing: int) -> list[object]:
        limit = world.config.wasm.limits.max_transaction_size
        empty = world.sign("alice.near", "bob.near", FunctionCall("run", b"", Gas(TGAS), Balance(0)))
        args = bytes(limit - empty.size - missing)
        signed = world.sign("alice.near", "bob.near", FunctionCall("run", args, Gas(TGAS), Balance(0)))
        return get_errors(world.step(signed))

    limit = World().config.wasm.limits.max_transaction_size
    assert sign_largest(World(85), 0) == []
    assert sign_largest(World(85), -1) == [{"TransactionSizeExceeded": {"size": limit + 1, "limit": limit}}]
    assert sign_largest(World(84), -65) == []
    assert sign_largest(World(84), -66) == [{"TransactionSizeExceeded": {"size": limit + 1, "limit": limit}}]
