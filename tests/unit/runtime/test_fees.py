"""Prices of actions, against figures written out by hand, and sums that overflow."""

import msgspec
import pytest

from hither.crypto.keys import ED25519, ML_DSA_65, SECP256K1, PublicKey
from hither.params import get_runtime_config
from hither.primitives.account import (
    AccessKey,
    FullAccess,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    GasKeyInfo,
    GlobalContractByAccount,
    GlobalContractByHash,
)
from hither.primitives.action import (
    Action,
    AddKey,
    CreateAccount,
    DeployContract,
    DeterministicStateInit,
    FunctionCall,
    Transfer,
    TransferToGasKey,
    UniversalStateInit,
    UseGlobalContract,
)
from hither.primitives.types import ZERO_HASH, AccountId, Balance, Gas, KeyHandle, Nonce
from hither.primitives.universal_state_init import UniversalState, encode_universal_state
from hither.runtime.fees import (
    GAS_MAX,
    IntegerOverflow,
    exec_compute_surcharge,
    exec_fee,
    get_fees,
    send_fee,
    total_deposit,
    total_prepaid_gas,
)

FEES = get_fees(get_runtime_config(88))
ED = PublicKey(ED25519, bytes(32))
SECP = PublicKey(SECP256K1, bytes(64))
QUANTUM = PublicKey(ML_DSA_65, bytes(1952))
CREATE = 500_000_000_000
CREATE_EXECUTE = 7_200_000_000_000
FULL_KEY = 101_765_125_000
TRANSFER = 115_123_062_500
CALL_KEY = 102_217_625_000


def add(permission: object, key: PublicKey = ED) -> AddKey:
    return AddKey(key, AccessKey(Nonce(0), permission))  # type: ignore[arg-type]


def limited(*names: str) -> FunctionCallPermission:
    return FunctionCallPermission(None, "ex.near", names)


STATE = encode_universal_state(UniversalState(None, ((b"k", b"v"), (b"l", b"")), (KeyHandle(0, bytes(32)),)))


@pytest.mark.parametrize(
    ("action", "receiver", "send", "execute"),
    [
        (Transfer(Balance(1)), "bob.near", TRANSFER, TRANSFER),
        (Transfer(Balance(1)), "a" * 64, TRANSFER + CREATE + FULL_KEY, TRANSFER + CREATE_EXECUTE + FULL_KEY),
        (Transfer(Balance(1)), "0x" + "a" * 40, TRANSFER + CREATE, TRANSFER + CREATE_EXECUTE),
        (Transfer(Balance(1)), "0s" + "a" * 40, TRANSFER + CREATE, TRANSFER + CREATE_EXECUTE),
        (Transfer(Balance(1)), "0u" + "0" * 52, TRANSFER + CREATE, TRANSFER + CREATE_EXECUTE),
        (Transfer(Balance(1)), "a" * 63, TRANSFER, TRANSFER),
        (Transfer(Balance(1)), "0x" + "g" * 40, TRANSFER, TRANSFER),
        (
            FunctionCall("run", bytes(10), Gas(1), Balance(0)),
            "bob.near",
            200_000_000_000 + 13 * 47_683_715,
            780_000_000_000 + 13 * 2_235_934,
        ),
        (
            DeployContract(bytes(7)),
            "bob.near",
            184_765_750_000 + 7 * 47_683_715,
            184_765_750_000 + 7 * 64_572_944,
        ),
        (add(FullAccess()), "bob.near", FULL_KEY, FULL_KEY),
        (
            add(limited("run", "é")),
            "bob.near",
            CALL_KEY + 7 * 47_683_715,
            CALL_KEY + 7 * 1_925_331,
        ),
        (
            add(GasKeyFullAccess(GasKeyInfo(Balance(0), 5)), SECP),
            "bob.near",
            FULL_KEY + 18 * 59_357_464,
            FULL_KEY + 5 * (64_196_736_000 + (8 + 65 + 12) * 101_435_400),
        ),
        (
            add(GasKeyFunctionCall(GasKeyInfo(Balance(0), 1), limited()), QUANTUM),
            "bob.near",
            CALL_KEY + 18 * 59_357_464,
            CALL_KEY + 64_196_736_000 + (8 + 33 + 12) * 101_435_400,
        ),
        (
            TransferToGasKey(QUANTUM, Balance(1)),
            "bob.near",
            TRANSFER + 33 * 59_357_464,
            235_676_644_250 + (8 + 33 + 29) * 101_435_400,
        ),
        (
            UseGlobalContract(GlobalContractByAccount(AccountId("glob.near"))),
            "bob.near",
            184_765_750_000 + 9 * 47_683_715,
            184_765_750_000 + 9 * 64_572_944,
        ),
        (
            DeterministicStateInit(GlobalContractByHash(ZERO_HASH), ((b"key", b"value"),), Balance(0)),
            "bob.near",
            CREATE + 8 * 72_000_000,
            7_430_000_000_000 + 8 * 70_000_000 + 200_000_000_000,
        ),
        (
            UniversalStateInit(STATE, Balance(0)),
            "bob.near",
            CREATE + len(STATE) * 78_000_000 + 2 * 3_100_000_000 + FULL_KEY,
            7_430_000_000_000 + len(STATE) * 74_000_000 + 2 * 200_000_000_000 + FULL_KEY,
        ),
    ],
)
def test_prices_to_another_account(action: Action, receiver: str, send: int, execute: int) -> None:
    assert send_fee(FEES, action, False, receiver) == send
    assert exec_fee(FEES, action, receiver) == execute


def test_sending_to_oneself_is_cheaper_by_the_byte() -> None:
    call = FunctionCall("run", bytes(10), Gas(1), Balance(0))
    assert send_fee(FEES, call, True, "bob.near") == 200_000_000_000 + 13 * 2_235_934


def test_creation_was_dearer_to_send_at_84() -> None:
    fees = get_fees(get_runtime_config(84))
    assert send_fee(fees, CreateAccount(), False, "bob.near") == 3_850_000_000_000
    assert exec_fee(fees, CreateAccount(), "bob.near") == 3_850_000_000_000
    assert send_fee(fees, Transfer(Balance(1)), False, "0u" + "0" * 52) == TRANSFER


def test_only_deployments_take_more_compute_than_gas() -> None:
    surcharge = 20_000_000_000_000 - 184_765_750_000 + 7 * (250_000_000 - 64_572_944)
    assert exec_compute_surcharge(FEES, DeployContract(bytes(7))) == surcharge
    assert exec_compute_surcharge(FEES, Transfer(Balance(1))) == 0


def test_sums_that_leave_their_width_are_errors() -> None:
    half = FunctionCall("run", b"", Gas(GAS_MAX // 2 + 1), Balance(2**127))
    assert total_prepaid_gas([half]) == GAS_MAX // 2 + 1
    with pytest.raises(IntegerOverflow):
        total_prepaid_gas([half, half])
    with pytest.raises(IntegerOverflow):
        total_deposit([half, half])


def test_the_table_belongs_to_its_configuration() -> None:
    config = get_runtime_config(88)
    cheap = msgspec.structs.replace(
        config.fees.actions.transfer,
        execution=msgspec.structs.replace(config.fees.actions.transfer.execution, gas=1, compute=1),
    )
    actions = msgspec.structs.replace(config.fees.actions, transfer=cheap)
    changed = msgspec.structs.replace(config, fees=msgspec.structs.replace(config.fees, actions=actions))
    assert get_fees(changed).transfer.execute == 1
    assert get_fees(config) is FEES
