"""Meta-transactions: a relayer pays for what a user signed."""

from typing import Any

import pytest

from hither.crypto.hashing import sha256
from hither.crypto.keys import public_key_to_str
from hither.crypto.signing import sign
from hither.primitives.account import (
    AccessKey,
    DeployMode,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyInfo,
    GlobalContractByHash,
)
from hither.primitives.action import (
    Action,
    AddKey,
    Delegate,
    DelegateAction,
    DelegateV2,
    DeployGlobalContract,
    DeterministicStateInit,
    FunctionCall,
    Transfer,
    TransferToGasKey,
    WithdrawFromGasKey,
    compute_delegate_hash,
    encode_deterministic_state_init,
)
from hither.primitives.ids import compute_deterministic_account_id
from hither.primitives.types import AccountId, Balance, BlockHeight, CryptoHash, Gas, Nonce, Signature
from tests.unit.runtime.world import NEAR, TGAS, World, get_errors, make_key, make_secret

NAMES = ("alice.near", "bob.near", "relayer.near")


def delegate(
    *actions: Action,
    receiver: str = "bob.near",
    key: str = "alice.near",
    nonce: int = 9_500_000,
    until: int = 1000,
    index: int | None = None,
    kind: type[Delegate] | type[DelegateV2] = Delegate,
) -> Any:
    """What alice signed."""
    inner = DelegateAction(
        AccountId("alice.near"),
        AccountId(receiver),
        actions,
        Nonce(nonce),
        BlockHeight(until),
        make_key(key),
        index,
    )
    unsigned = kind(inner, Signature(0, bytes(64)))
    return kind(inner, sign(make_secret(key), compute_delegate_hash(unsigned)))


@pytest.mark.parametrize("version", [84, 88])
def test_the_relayer_pays_and_the_user_acts(version: int) -> None:
    world = World(version, accounts=NAMES)
    before = world.must_account("alice.near").amount
    outcomes = world.act("relayer.near", "alice.near", delegate(Transfer(Balance(NEAR))))
    assert get_errors(outcomes) == []
    assert world.must_account("alice.near").amount == before
    assert world.must_account("bob.near").amount == 1001 * NEAR
    burnt = sum(outcome.tokens_burnt for outcome in outcomes)
    assert world.must_account("relayer.near").amount == 999 * NEAR - burnt
    key = world.get_key("alice.near")
    assert key is not None and key.nonce == 9_500_000


def test_a_delegate_is_held_to_signature_time_sender_and_nonce() -> None:
    world = World(accounts=NAMES)
    good = delegate(Transfer(Balance(1)))
    forged = Delegate(good.delegate_action, delegate(Transfer(Balance(2))).signature)
    late = delegate(Transfer(Balance(1)), until=5)
    low = delegate(Transfer(Balance(1)), nonce=0)
    for action, error in [
        (forged, "DelegateActionInvalidSignature"),
        (late, "DelegateActionExpired"),
        (low, {"DelegateActionInvalidNonce": {"delegate_nonce": 0, "ak_nonce": 0}}),
    ]:
        assert get_errors(world.act("relayer.near", "alice.near", action)) == [error]
    wrong_account = world.act("relayer.near", "bob.near", good)
    fields = {"sender_id": "alice.near", "receiver_id": "bob.near"}
    assert get_errors(wrong_account) == [{"DelegateActionSenderDoesNotMatchTxReceiver": fields}]
    height = world.height + 2
    high = delegate(Transfer(Balance(1)), nonce=height * 1_000_000)
    fields_high = {"delegate_nonce": height * 1_000_000, "upper_bound": height * 1_000_000}
    assert get_errors(world.act("relayer.near", "alice.near", high)) == [
        {"DelegateActionNonceTooLarge": fields_high}
    ]
    unknown = delegate(Transfer(Balance(1)), key="eve")
    missing = {"account_id": "alice.near", "public_key": public_key_to_str(make_key("eve"))}
    assert get_errors(world.act("relayer.near", "alice.near", unknown)) == [
        {"DelegateActionAccessKeyError": {"AccessKeyNotFound": missing}}
    ]


@pytest.mark.parametrize("version", [84, 85])
def test_a_deposit_with_a_limited_key_is_told_as_such_from_85_on(version: int) -> None:
    world = World(version, accounts=NAMES)
    world.put_key("alice.near", make_key("limited"), FunctionCallPermission(None, "ex.near", ()))
    action = delegate(FunctionCall("run", b"", Gas(TGAS), Balance(1)), key="limited")
    errors = get_errors(world.act("relayer.near", "alice.near", action))
    mismatch = {"ReceiverMismatch": {"tx_receiver": "bob.near", "ak_receiver": "ex.near"}}
    error = mismatch if version == 84 else "DepositWithFunctionCall"
    assert errors == [{"DelegateActionAccessKeyError": error}]


@pytest.mark.parametrize("version", [84, 85, 86, 87, 88])
def test_version_two_is_valid_at_85_and_86_only(version: int) -> None:
    world = World(version, accounts=NAMES)
    action = delegate(Transfer(Balance(1)), kind=DelegateV2)
    errors = get_errors(world.run(world.sign("relayer.near", "alice.near", action)))
    fields = {"protocol_feature": "DelegateV2", "version": version}
    if version == 84:
        assert errors == [{"ActionsValidation": {"UnsupportedProtocolFeature": fields}}]
    elif version >= 87:
        assert errors == [{"ActionsValidation": {"RemovedProtocolFeature": fields}}]
    else:
        assert errors == []


def test_version_two_can_use_a_gas_keys_nonce() -> None:
    world = World(86, accounts=NAMES)
    key = make_key("gas")
    permission = GasKeyFullAccess(GasKeyInfo(Balance(0), 2))
    add = AddKey(key, AccessKey(Nonce(0), permission))
    assert get_errors(world.act("alice.near", "alice.near", add)) == []
    world.height += 20
    fields = {"kind": DelegateV2, "key": "gas", "nonce": 25_000_000}
    first = delegate(Transfer(Balance(1)), index=1, **fields)
    assert get_errors(world.act("relayer.near", "alice.near", first)) == []
    again = world.act("relayer.near", "alice.near", first)
    used = {"delegate_nonce": 25_000_000, "ak_nonce": 25_000_000}
    assert get_errors(again) == [{"DelegateActionInvalidNonce": used}]
    beyond = delegate(Transfer(Balance(1)), index=2, **fields)
    assert get_errors(world.act("relayer.near", "alice.near", beyond)) == [
        {"DelegateActionInvalidNonceIndex": {"nonce_index": 2, "num_nonces": 2}}
    ]
    plain = delegate(Transfer(Balance(1)), key="gas", nonce=25_000_000)
    assert get_errors(world.act("relayer.near", "alice.near", plain)) == [
        {"DelegateActionAccessKeyError": "DelegateActionRequiresNonGasKey"}
    ]
    no_gas_key = delegate(Transfer(Balance(1)), index=0, kind=DelegateV2, nonce=25_000_000)
    assert get_errors(world.act("relayer.near", "alice.near", no_gas_key)) == [
        {"DelegateActionAccessKeyError": "DelegateActionRequiresGasKey"}
    ]


@pytest.mark.parametrize("version", [86, 87])
def test_no_withdrawal_from_a_gas_key_inside_a_delegate_from_87_on(version: int) -> None:
    world = World(version, accounts=NAMES)
    key = make_key("gas")
    add = AddKey(key, AccessKey(Nonce(0), GasKeyFullAccess(GasKeyInfo(Balance(0), 1))))
    world.act("alice.near", "alice.near", add, TransferToGasKey(key, Balance(5)))
    action = delegate(WithdrawFromGasKey(key, Balance(5)), receiver="alice.near", nonce=12_900_000)
    world.height += 20
    errors = get_errors(world.run(world.sign("relayer.near", "alice.near", action)))
    refused = [{"ActionsValidation": "WithdrawFromGasKeyNotAllowedInDelegate"}]
    assert errors == ([] if version == 86 else refused)


@pytest.mark.parametrize("version", [84, 85])
def test_a_state_init_can_be_delegated_from_85_on(version: int) -> None:
    world = World(version, accounts=NAMES)
    code = b"\0asm\x01\0\0\0"
    assert (
        get_errors(world.act("bob.near", "bob.near", DeployGlobalContract(code, DeployMode.CODE_HASH))) == []
    )
    init = DeterministicStateInit(GlobalContractByHash(CryptoHash(sha256(code))), (), Balance(0))
    account_id = compute_deterministic_account_id(encode_deterministic_state_init(init))
    action = delegate(init, receiver=account_id)
    errors = get_errors(world.run(world.sign("relayer.near", "alice.near", action)))
    wrong = {"receiver_id": "alice.near", "derived_id": account_id}
    refused = [{"ActionsValidation": {"InvalidDeterministicStateInitReceiver": wrong}}]
    assert errors == (refused if version == 84 else [])
    assert (world.get_account(account_id) is not None) == (version == 85)
