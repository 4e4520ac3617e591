"""Host functions that came after 84, at the versions that have them, and the receipts they make."""

import hashlib

import pytest
from hither_native import CallOutcome, ChunkState, Vm

from hither.primitives.account import (
    AccessKey,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyFunctionCall,
    GasKeyInfo,
    GlobalContractByHash,
)
from hither.primitives.action import (
    ACTIONS,
    AddKey,
    DeterministicStateInit,
    Transfer,
    TransferToGasKey,
    UniversalStateInit,
)
from hither.primitives.ids import compute_data_id, compute_universal_account_id
from hither.primitives.types import PublicKey
from tests.unit.vm.exerciser import (
    ACCOUNT,
    TGAS,
    YOCTO_NEAR,
    Program,
    make_call,
    make_state,
    read_code,
    result_of,
    scratch,
)
from tests.vectors.recording import RECORDINGS

ACTION_HASH = b"\x07" * 32
HEIGHT = 10
ED25519_KEY = bytes([0]) + b"\x05" * 32
ML_DSA_KEY = bytes([2]) + b"\x06" * 1952
YIELD_ID = b"\x09" * 32
EXERCISER_OF_84 = (RECORDINGS / "exerciser.wasm").read_bytes()


def run(
    vm: Vm, program: Program, version: int = 88, state: ChunkState | None = None, **changes: object
) -> CallOutcome:
    """Perform a program at a version, and expect it to succeed."""
    code = read_code(version)
    call = make_call(code, args=program.encode(), protocol_version=version, **changes)
    outcome = vm.call(state or make_state(code), call)
    assert outcome.error_json is None, outcome.error_json
    return outcome


@pytest.mark.parametrize("version", [86, 87, 88])
def test_contract_links_and_runs_at_its_version(vm: Vm, version: int) -> None:
    """Each build imports every host function of its version."""
    program = Program()
    program.step("chain_id", 1)
    program.return_register(1)
    assert run(vm, program, version, chain_id="hither").return_value == b"hither"


@pytest.mark.parametrize(("built_for", "version"), [(86, 84), (87, 86), (88, 87)])
def test_contract_of_a_newer_version_does_not_link(vm: Vm, built_for: int, version: int) -> None:
    """A missing import is an execution error that names no function."""
    code = read_code(built_for)
    outcome = vm.call(make_state(code), make_call(code, "nothing", protocol_version=version))
    assert outcome.error_json == '{"ExecutionError":"Link Error: unknown or invalid import"}'
    assert outcome.gas_burnt > 0


@pytest.mark.parametrize(
    ("name", "digest"),
    [("sha3_256", hashlib.sha3_256), ("sha3_384", hashlib.sha3_384), ("sha3_512", hashlib.sha3_512)],
)
def test_hashes_of_87(vm: Vm, name: str, digest: "type[hashlib._Hash]") -> None:
    """Against Python's own."""
    program = Program()
    program.step(name, *program.pair(b"abc"), 1)
    program.return_register(1)
    assert run(vm, program, 87).return_value == digest(b"abc").digest()


def add_gas_keys(program: Program) -> None:
    """Fund a gas key and add one of each kind, on bob."""
    promise = result_of(program.step("promise_batch_create", *program.pair(b"bob.near")))
    key = program.pair(ED25519_KEY)
    program.step("promise_batch_action_transfer_to_gas_key", promise, key, program.amount(5))
    program.step("promise_batch_action_add_gas_key_with_full_access", promise, key, 3)
    program.step(
        "promise_batch_action_add_gas_key_with_function_call",
        *(promise, key, 4, program.amount(0), program.pair(b"carol.near"), program.pair(b"one,two")),
    )


@pytest.mark.parametrize("version", [86, 87, 88])
def test_gas_key_actions(vm: Vm, version: int) -> None:
    """In the wire form that our own decoder reads."""
    program = Program()
    add_gas_keys(program)
    (receipt,) = run(vm, program, version).receipts
    key = PublicKey(0, ED25519_KEY[1:])
    permission = FunctionCallPermission(None, "carol.near", ("one", "two"))
    assert ACTIONS.decode(receipt.actions) == (
        TransferToGasKey(key, 5),
        AddKey(key, AccessKey(0, GasKeyFullAccess(GasKeyInfo(0, 3)))),
        AddKey(key, AccessKey(0, GasKeyFunctionCall(GasKeyInfo(0, 4), permission))),
    )


@pytest.mark.parametrize(("version", "is_known"), [(84, False), (85, True)])
def test_post_quantum_keys_are_known_from_85(vm: Vm, version: int, is_known: bool) -> None:
    """Before, an ML-DSA key does not decode."""
    code = read_code(86) if version == 85 else EXERCISER_OF_84
    args = Program()
    promise = result_of(args.step("promise_batch_create", *args.pair(b"bob.near")))
    args.step("promise_batch_action_add_key_with_full_access", promise, *args.pair(ML_DSA_KEY), 0)
    encoded = args.encode() if version == 85 else add_key_program_of_84(ML_DSA_KEY)
    outcome = vm.call(make_state(code), make_call(code, args=encoded, protocol_version=version))
    expected = None if is_known else '{"ExecutionError":"VM Logic provided an invalid public key"}'
    assert outcome.error_json == expected


def add_key_program_of_84(key: bytes) -> bytes:
    """The same for the recorded exerciser: opcodes 93 and 116 of its table."""
    size = len(key).to_bytes(4, "little")
    account = (8).to_bytes(4, "little") + b"bob.near"
    return bytes([93]) + account + bytes([116]) + bytes(8) + size + key + bytes(8)


def create_yield(program: Program) -> int:
    """Yield under an id of one's own."""
    return program.step(
        "promise_yield_create_with_id",
        *(*program.pair(b"resume"), *program.pair(b"args"), program.amount(0)),
        *(5 * TGAS, 0, *program.pair(YIELD_ID)),
    )


@pytest.mark.parametrize("version", [86, 87, 88])
def test_yield_with_an_id_of_ones_own(vm: Vm, version: int) -> None:
    """The id leads to the data id and back; a second yield under it is refused; resuming finds it."""
    state = make_state(read_code(version))
    program = Program()
    create_yield(program)
    program.step("poke", scratch(0), result_of(create_yield(program)))
    program.step("value_return", 8, scratch(0))
    outcome = run(vm, program, version, state)
    assert outcome.return_value == b"\xff" * 8, "the second one is refused"
    data_id = compute_data_id(ACTION_HASH, HEIGHT, 0)
    (receipt,) = outcome.receipts
    assert receipt.is_promise_yield
    assert receipt.input_data_ids == [data_id]
    account = ACCOUNT.encode() + b","
    assert state.get(b"\x14" + account + data_id) == b"\x00"
    assert state.get(b"\x16" + account + YIELD_ID) == data_id
    assert state.get(b"\x17" + account + data_id) == YIELD_ID

    program = Program()
    program.step("promise_yield_resume_with_yield_id", *program.pair(YIELD_ID), *program.pair(b"answer"))
    program.step("promise_yield_resume_with_yield_id", *program.pair(b"\x08" * 32), *program.pair(b"no"))
    outcome = run(vm, program, version, state)
    assert outcome.data_receipts == [(data_id, b"answer")]
    assert state.get(b"\x14" + account + data_id) == b"\x01"


@pytest.mark.parametrize("version", [86, 88])
def test_yield_is_resumed_by_its_data_id(vm: Vm, version: int) -> None:
    """In the same call, and again while it waits; an unknown id is not found."""
    state = make_state(read_code(version))
    data_id = compute_data_id(ACTION_HASH, HEIGHT, 0)
    program = Program()
    program.step("promise_yield_create", *program.pair(b"resume"), *program.pair(b""), 5 * TGAS, 1, 1)
    for payload in (b"one", b"two"):
        program.step("promise_yield_resume", *program.pair(data_id), *program.pair(payload))
    program.step("promise_yield_resume", *program.pair(bytes(32)), *program.pair(b"none"))
    outcome = run(vm, program, version, state)
    assert outcome.data_receipts == [(data_id, b"one"), (data_id, b"two")]
    assert outcome.gas_used == 300 * TGAS, "the yield's weight takes what is left"


def test_deterministic_state_init(vm: Vm) -> None:
    """Entries come out sorted; a key that is there already is an error."""
    program = Program()
    promise = result_of(program.step("promise_batch_create", *program.pair(b"bob.near")))
    step = program.step(
        "promise_batch_action_state_init", promise, *program.pair(bytes(32)), program.amount(YOCTO_NEAR)
    )
    for key, value in ((b"b", b"2"), (b"a", b"1")):
        pairs = (*program.pair(key), *program.pair(value))
        program.step("set_state_init_data_entry", promise, result_of(step), *pairs)
    (receipt,) = run(vm, program).receipts
    init = DeterministicStateInit(GlobalContractByHash(bytes(32)), ((b"a", b"1"), (b"b", b"2")), YOCTO_NEAR)
    assert ACTIONS.decode(receipt.actions) == (init,)

    program.step(
        "set_state_init_data_entry", promise, result_of(step), *program.pair(b"a"), *program.pair(b"3")
    )
    outcome = vm.call(make_state(read_code(88)), make_call(read_code(88), args=program.encode()))
    assert outcome.error_json == '{"ExecutionError":"Data entry for given key already exists"}'
    assert outcome.receipts == []


EMPTY_UNIVERSAL_INIT = bytes(10)


@pytest.mark.parametrize(
    ("state_init", "status"), [(EMPTY_UNIVERSAL_INIT, 0), (b"\x00", 1), (bytes(11), 1), (b"", 1)]
)
def test_universal_account_id_of_a_state_init(vm: Vm, state_init: bytes, status: int) -> None:
    """The status says whether the bytes are good; the id is theirs in either case."""
    program = Program()
    step = program.step("universal_state_init_to_account_id", *program.pair(state_init), 1)
    program.step("poke", scratch(0), result_of(step))
    program.step("value_return", 8, scratch(0))
    returned = run(vm, program).return_value
    assert isinstance(returned, bytes)
    assert int.from_bytes(returned, "little") == status
    if status == 0:
        program.return_register(1)
        assert run(vm, program).return_value == compute_universal_account_id(state_init).encode()


def test_universal_state_init_action_keeps_its_bytes(vm: Vm) -> None:
    """They travel as they are, good or bad; bad ones cost as much as their length could hold."""
    burnt = {}
    for state_init in (EMPTY_UNIVERSAL_INIT, b"\xff" * 10):
        program = Program()
        promise = result_of(program.step("promise_batch_create", *program.pair(b"bob.near")))
        arguments = (promise, *program.pair(state_init), program.amount(7))
        program.step("promise_batch_action_universal_state_init", *arguments)
        outcome = run(vm, program)
        (receipt,) = outcome.receipts
        assert ACTIONS.decode(receipt.actions) == (UniversalStateInit(state_init, 7),)
        burnt[state_init] = outcome.gas_burnt
    entries_in_four_bytes = 1
    assert burnt[b"\xff" * 10] - burnt[EMPTY_UNIVERSAL_INIT] == 3_100_000_000 * entries_in_four_bytes


def test_one_yocto_may_be_attached_without_balance(vm: Vm) -> None:
    """From 85 on: it is not deducted but reported as given."""
    program = Program()
    arguments = (*program.pair(b"bob.near"), *program.pair(b"m"), *program.pair(b""))
    program.step("promise_create", *arguments, program.amount(1), TGAS)
    outcome = run(vm, program, account_balance=0)
    assert (outcome.balance, outcome.subsidized_amount) == (0, 1)


def test_refund_goes_where_the_contract_says(vm: Vm) -> None:
    """A receipt without a wish has none."""
    program = Program()
    promise = result_of(program.step("promise_batch_create", *program.pair(b"bob.near")))
    program.step("promise_set_refund_to", promise, *program.pair(b"carol.near"))
    program.step("promise_batch_action_transfer", promise, program.amount(3))
    program.step("promise_batch_create", *program.pair(b"dave.near"))
    first, second = run(vm, program).receipts
    assert (first.refund_to, second.refund_to) == ("carol.near", None)
    assert ACTIONS.decode(first.actions) == (Transfer(3),)
