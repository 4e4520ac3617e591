"""Limits and shapes of actions, each with its accepted twin and NEAR's words for the refused one."""

import pytest

from hither.crypto.keys import ED25519, SECP256K1, PublicKey, Signature, public_key_to_str
from hither.params import get_runtime_config
from hither.primitives.account import (
    AccessKey,
    DeployMode,
    FullAccess,
    FunctionCallPermission,
    GlobalContractByAccount,
)
from hither.primitives.action import (
    Action,
    AddKey,
    CreateAccount,
    Delegate,
    DelegateAction,
    DeleteAccount,
    DeployContract,
    DeployGlobalContract,
    DeterministicStateInit,
    FunctionCall,
    Stake,
    Transfer,
    UseGlobalContract,
    encode_deterministic_state_init,
)
from hither.primitives.ids import compute_deterministic_account_id
from hither.primitives.types import AccountId, Balance, BlockHeight, Gas, Nonce
from hither.runtime.action_validation import validate_actions
from tests.unit.runtime.world import make_key

KEY = make_key("alice.near")
MEGA = 1024 * 1024
BOB = AccountId("bob.near")


def validate(*actions: Action, version: int = 88, is_new: bool = True, receiver: str = "bob.near") -> object:
    return validate_actions(get_runtime_config(version), actions, receiver, version, is_new=is_new)


def call(method: str = "run", args: bytes = b"", gas: int = 1) -> FunctionCall:
    return FunctionCall(method, args, Gas(gas), Balance(0))


def add(receiver: str = "ex.near", names: tuple[str, ...] = ()) -> AddKey:
    return AddKey(KEY, AccessKey(Nonce(0), FunctionCallPermission(None, receiver, names)))


def delegate(*actions: Action) -> Delegate:
    inner = DelegateAction(BOB, BOB, actions, Nonce(1), BlockHeight(100), KEY)
    return Delegate(inner, Signature(ED25519, bytes(64)))


@pytest.mark.parametrize(
    ("good", "bad", "error"),
    [
        (
            [CreateAccount()] * 100,
            [CreateAccount()] * 101,
            {"TotalNumberOfActionsExceeded": {"total_number_of_actions": 101, "limit": 100}},
        ),
        (
            [DeployContract(b"")] * 10,
            [DeployContract(b"")] * 10 + [DeployGlobalContract(b"", DeployMode.CODE_HASH)],
            {"TotalNumberOfDeployActionsExceeded": {"number_of_deploy_actions": 11, "limit": 10}},
        ),
        (
            [Transfer(Balance(1)), DeleteAccount(BOB)],
            [DeleteAccount(BOB), Transfer(Balance(1))],
            "DeleteActionMustBeFinal",
        ),
        ([delegate()], [delegate(), delegate()], "DelegateActionMustBeOnlyOne"),
        (
            [delegate(*[CreateAccount()] * 100)],
            [delegate(*[CreateAccount()] * 101)],
            {"TotalNumberOfActionsExceeded": {"total_number_of_actions": 101, "limit": 100}},
        ),
        ([call(gas=1)], [call(gas=0)], "FunctionCallZeroAttachedGas"),
        (
            [call("m" * 256)],
            [call("m" * 257)],
            {"FunctionCallMethodNameLengthExceeded": {"length": 257, "limit": 256}},
        ),
        (
            [call("é" * 128)],
            [call("é" * 129)],
            {"FunctionCallMethodNameLengthExceeded": {"length": 258, "limit": 256}},
        ),
        (
            [call(args=bytes(4 * MEGA))],
            [call(args=bytes(4 * MEGA + 1))],
            {"FunctionCallArgumentsLengthExceeded": {"length": 4 * MEGA + 1, "limit": 4 * MEGA}},
        ),
        (
            [DeployContract(bytes(4 * MEGA))],
            [DeployContract(bytes(4 * MEGA + 1))],
            {"ContractSizeExceeded": {"size": 4 * MEGA + 1, "limit": 4 * MEGA}},
        ),
        (
            [call(gas=10**15)],
            [call(gas=10**15), call(gas=1)],
            {"TotalPrepaidGasExceeded": {"total_prepaid_gas": 10**15 + 1, "limit": 10**15}},
        ),
        ([call(gas=2**63)] * 0, [call(gas=2**63)] * 2, "IntegerOverflow"),
        ([add("ex.near")], [add("Ex.near")], {"InvalidAccountId": {"account_id": "Ex.near"}}),
        ([], [add("é" * 100)], {"InvalidAccountId": {"account_id": "é" * 64}}),
        (
            [add(names=("m" * 256,))],
            [add(names=("m" * 257,))],
            {"AddKeyMethodNameLengthExceeded": {"length": 257, "limit": 256}},
        ),
        (
            [add(names=("m" * 249,) * 8)],
            [add(names=("m" * 249,) * 7 + ("m" * 250,))],
            {"AddKeyMethodNamesNumberOfBytesExceeded": {"total_number_of_bytes": 2001, "limit": 2000}},
        ),
        (
            [Stake(Balance(1), KEY)],
            [Stake(Balance(1), PublicKey(SECP256K1, bytes(64)))],
            {"UnsuitableStakingKey": {"public_key": public_key_to_str(PublicKey(SECP256K1, bytes(64)))}},
        ),
        (
            [DeleteAccount(BOB)],
            [DeleteAccount(AccountId("B"))],
            {"InvalidAccountId": {"account_id": "B"}},
        ),
        (
            [UseGlobalContract(GlobalContractByAccount(BOB))],
            [UseGlobalContract(GlobalContractByAccount(AccountId("x")))],
            {"InvalidAccountId": {"account_id": "x"}},
        ),
    ],
)
def test_limits(good: list[Action], bad: list[Action], error: object) -> None:
    assert validate(*good) is None
    assert validate(*bad) == error


def test_rules_that_came_later_spare_receipts_that_exist() -> None:
    many = [DeployContract(b"")] * 11
    assert validate(*many) is not None
    assert validate(*many, is_new=False) is None
    nameless = call("")
    assert validate(nameless) == "FunctionCallEmptyMethodName"
    assert validate(nameless, is_new=False) is None


def test_entries_of_a_state_init_are_limited_one_by_one() -> None:
    for data, error in [
        (((bytes(2048), b""),), None),
        (((bytes(2049), b""),), {"DeterministicStateInitKeyLengthExceeded": {"length": 2049, "limit": 2048}}),
        (
            ((b"k", bytes(4 * MEGA + 1)),),
            {"DeterministicStateInitValueLengthExceeded": {"length": 4 * MEGA + 1, "limit": 4 * MEGA}},
        ),
    ]:
        action = DeterministicStateInit(GlobalContractByAccount(BOB), data, Balance(0))
        receiver = compute_deterministic_account_id(encode_deterministic_state_init(action))
        assert validate(action, receiver=receiver) == error


def test_post_quantum_keys_are_refused_at_84_at_any_depth() -> None:
    action = AddKey(make_key("quantum", 2), AccessKey(Nonce(0), FullAccess()))
    fields = {"protocol_feature": "PostQuantumSignatures", "version": 84}
    for actions in ([action], [delegate(action)]):
        assert validate(*actions, version=84) == {"UnsupportedProtocolFeature": fields}
        assert validate(*actions, version=85) is None
