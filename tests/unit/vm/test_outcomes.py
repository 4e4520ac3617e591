"""How calls end: errors in NEAR's words, limits, and what the caller may get wrong."""

import hashlib
from typing import Any

import pytest
from hither_native import InvalidInput, Vm

from tests.unit.vm.exerciser import (
    ACCOUNT,
    TGAS,
    Program,
    make_call,
    make_state,
    make_trie,
    read_code,
    result_of,
    scratch,
)
from tests.vectors.recording import RECORDINGS

CODE = read_code(88)

# (module { func main: unreachable }) and friends, by hand: magic, types, functions, exports, code.
HEADER = b"\0asm\x01\0\0\0"
ONE_FUNCTION = b"\x01\x04\x01\x60\0\0\x03\x02\x01\0"
EXPORT_MAIN = b"\x07\x08\x01\x04main\0\0"
WITH_RESULT = (
    HEADER + b"\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0" + EXPORT_MAIN + b"\x0a\x06\x01\x04\0\x41\0\x0b"
)


def get_error(vm: Vm, code: bytes = CODE, method: str = "run", **changes: Any) -> tuple[str | None, int]:
    """What RPC shows of a failed call, and the gas it burnt."""
    outcome = vm.call(make_state(code), make_call(code, method, **changes))
    return outcome.error_json, outcome.gas_burnt


def test_missing_code_burns_nothing(vm: Vm) -> None:
    """Without a contract, and with one whose code is not there."""
    expected = '{"CompilationError":{"CodeDoesNotExist":{"account_id":"ex.near"}}}'
    assert get_error(vm, code_key=None) == (expected, 0)
    assert get_error(vm, code_key=b"\x01nobody.near") == (expected, 0)


@pytest.mark.parametrize(
    ("code", "method", "error"),
    [
        (CODE, "missing", '{"MethodResolveError":"MethodNotFound"}'),
        (CODE, "", '{"MethodResolveError":"MethodEmptyName"}'),
        (WITH_RESULT, "main", '{"MethodResolveError":"MethodInvalidSignature"}'),
        (b"garbage", "main", '{"CompilationError":{"PrepareError":"Deserialization"}}'),
        (b"", "main", '{"CompilationError":{"PrepareError":"Deserialization"}}'),
    ],
)
def test_what_never_starts_burns_nothing(vm: Vm, code: bytes, method: str, error: str) -> None:
    """Neither the contract's loading is charged."""
    assert get_error(vm, code, method) == (error, 0)


def test_trap_and_panic(vm: Vm) -> None:
    """Both are execution errors; a panic carries its message."""
    program = Program()
    program.step("trap")
    error, burnt = get_error(vm, args=program.encode())
    assert error == '{"ExecutionError":"WebAssembly trap: An `unreachable` opcode was executed."}'
    assert burnt > 0
    program = Program()
    program.step("panic_utf8", *program.pair("nö".encode()))
    assert get_error(vm, args=program.encode())[0] == '{"ExecutionError":"Smart contract panicked: nö"}'


def test_error_text_is_the_debug_form(vm: Vm) -> None:
    """What ``query`` says after "wasm execution failed with error: "."""
    outcome = vm.call(make_state(CODE), make_call(CODE, "missing"))
    assert outcome.error_text == "MethodResolveError(MethodNotFound)"
    assert vm.call(make_state(CODE), make_call(CODE, "nothing")).error_text is None


def test_gas_runs_out(vm: Vm) -> None:
    """Everything attached is burnt, nothing more; at the limit the message is another."""
    program = Program()
    program.step("spin", 2**64 - 1)
    assert get_error(vm, args=program.encode(), prepaid_gas=TGAS) == (
        '{"ExecutionError":"Exceeded the prepaid gas."}',
        TGAS,
    )
    assert get_error(vm, args=program.encode(), prepaid_gas=1_000 * TGAS) == (
        '{"ExecutionError":"Exceeded the maximum amount of gas allowed to burn per contract."}',
        1_000 * TGAS,
    )


def test_stack_runs_out(vm: Vm) -> None:
    """NEAR reports it as an access outside of memory, and the process lives."""
    program = Program()
    program.step("descend", 10_000_000)
    error, _ = get_error(vm, args=program.encode())
    assert error == '{"ExecutionError":"Accessed memory outside the bounds."}'


def test_failed_call_makes_no_receipts_but_its_writes_are_there(vm: Vm) -> None:
    """The caller rolls back."""
    program = Program()
    program.step("promise_batch_create", *program.pair(b"bob.near"))
    program.step("storage_write", *program.pair(b"key"), *program.pair(b"value"), 0)
    program.step("panic")
    state = make_state(CODE)
    outcome = vm.call(state, make_call(CODE, args=program.encode()))
    key = b"\x09" + ACCOUNT.encode() + b",key"
    assert (outcome.receipts, outcome.error_json is None) == ([], False)
    assert state.get(key) == b"value"
    state.rollback()
    assert state.get(key) is None


def read_all(keys: list[bytes]) -> bytes:
    """A program that reads keys."""
    program = Program()
    for key in keys:
        program.step("storage_read", *program.pair(key), 0)
    return program.encode()


LARGE = [(b"%d" % index, bytes([index]) * 1_000_000) for index in range(4)]
LARGE_RECORDS = [(b"\x09" + ACCOUNT.encode() + b"," + key, value) for key, value in LARGE]
PROOF_ERROR = (
    '{"ExecutionError":"Size of the recorded trie storage proof has exceeded the allowed limit (4.0 MB)"}'
)


@pytest.mark.parametrize(("version", "error"), [(85, None), (86, PROOF_ERROR), (88, PROOF_ERROR)])
def test_storage_proof_limit_counts_from_the_receipt_since_86(
    vm: Vm, version: int, error: str | None
) -> None:
    """Three values of a megabyte pass; a fourth fails if the same receipt read the others before."""
    code = read_code(max(version, 86))
    state = make_state(code, LARGE_RECORDS)
    three, fourth = read_all([key for key, _ in LARGE[:3]]), read_all([LARGE[3][0]])

    def call(args: bytes, recorded_size_before_receipt: int) -> str | None:
        changes = {"recorded_size_before_receipt": recorded_size_before_receipt, "protocol_version": version}
        return vm.call(state, make_call(code, args=args, **changes)).error_json

    assert call(three, 0) is None
    assert call(fourth, 0) == error
    assert call(fourth, state.recorded_size) is None


def test_views_have_no_storage_proof(vm: Vm) -> None:
    """More than the limit can be read, as nothing is proved."""
    trie = make_trie(CODE, LARGE_RECORDS)
    args = read_all([key for key, _ in LARGE] * 2)
    outcome = vm.view(trie, make_call(CODE, args=args, view_gas_limit=1_000 * TGAS))
    assert outcome.error_json is None


def test_view_cannot_write_or_promise(vm: Vm) -> None:
    """The host says which function is not for views."""
    trie = make_trie(CODE)
    for name, arguments in (("storage_write", 5), ("promise_batch_create", 2), ("signer_account_id", 1)):
        program = Program()
        program.step(name, *[scratch(0)] * arguments)
        outcome = vm.view(trie, make_call(CODE, args=program.encode()))
        assert outcome.error_json == f'{{"ExecutionError":"{name} is not allowed in view calls"}}'


def test_view_reads_what_a_call_wrote(vm: Vm) -> None:
    """Through a sealed chunk."""
    program = Program()
    program.step("storage_write", *program.pair(b"key"), *program.pair(b"value"), 0)
    state = make_state(CODE)
    assert vm.call(state, make_call(CODE, args=program.encode())).error_json is None
    state.commit(b"receipt")
    program = Program()
    program.step("storage_read", *program.pair(b"key"), 1)
    program.return_register(1)
    outcome = vm.view(state.seal().trie, make_call(CODE, args=program.encode()))
    assert outcome.return_value == b"value"


def test_promise_results(vm: Vm) -> None:
    """1 with bytes, 2 when failed, 0 when not ready."""
    program = Program()
    for index in range(3):
        step = program.step("promise_result", index, 1)
        program.step("poke", scratch(index), result_of(step))
    program.step("value_return", 3, scratch(0))
    call = make_call(CODE, args=program.encode(), promise_results=[b"yes", None, False])
    assert vm.call(make_state(CODE), call).return_value == bytes([1, 2, 0])


def test_validators(vm: Vm) -> None:
    """The stake of one, of nobody, and of all."""
    program = Program()
    for index, account in enumerate((b"b.near", b"nobody.near")):
        program.step("validator_stake", *program.pair(account), scratch(16 * index))
    program.step("validator_total_stake", scratch(32))
    program.step("value_return", 48, scratch(0))
    call = make_call(CODE, args=program.encode(), validators=[("a.near", 5), ("b.near", 2**100)])
    returned = vm.call(make_state(CODE), call).return_value
    assert isinstance(returned, bytes)
    stakes = [int.from_bytes(returned[at : at + 16], "little") for at in (0, 16, 32)]
    assert stakes == [2**100, 0, 2**100 + 5]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"current_account_id": "No Name"}, "account id"),
        ({"validators": [("", 1)]}, "account id"),
        ({"code_hash": bytes(31)}, "code_hash must have 32 bytes"),
        ({"action_hash": bytes(33)}, "action_hash must have 32 bytes"),
        ({"account_contract": b"\x09"}, "account_contract"),
        ({"account_contract": b""}, "account_contract"),
    ],
)
def test_malformed_call_is_refused(changes: dict[str, Any], reason: str) -> None:
    """Before anything runs."""
    with pytest.raises(InvalidInput, match=reason):
        make_call(CODE, **changes)


def test_wrong_types_are_refused() -> None:
    """True is no promise result; a balance is not negative."""
    with pytest.raises(TypeError):
        make_call(CODE, promise_results=[True])
    with pytest.raises(OverflowError):
        make_call(CODE, account_balance=-1)


def test_calls_that_cannot_be_are_refused(vm: Vm) -> None:
    """A version that nobody supports, money that cannot exist."""
    with pytest.raises(InvalidInput, match="protocol version 83"):
        vm.call(make_state(CODE), make_call(CODE, protocol_version=83))
    with pytest.raises(InvalidInput, match="overflow"):
        vm.call(make_state(CODE), make_call(CODE, account_balance=2**128 - 1, attached_deposit=1))


def test_compilation_does_not_depend_on_who_holds_the_code(vm: Vm) -> None:
    """The same code under another key and account runs from the cache."""
    code_hash = hashlib.sha256(CODE).digest()
    call = make_call(CODE, "nothing", current_account_id="other.near", code_key=b"\x12\x00" + code_hash)
    state = make_state(CODE, [(b"\x12\x00" + code_hash, CODE)])
    assert vm.call(state, call).error_json is None


def test_growing_memory_costs_one_instruction_at_84_and_by_the_page_from_85_on(vm: Vm) -> None:
    """As the recordings show and as the published VM charges; 1,000 pages, then a single instruction less."""
    code = (RECORDINGS / "exerciser.wasm").read_bytes()
    grow = bytes([6]) + (1_000).to_bytes(8, "little")
    burnt = {version: get_error(vm, code, args=grow, protocol_version=version)[1] for version in (84, 85, 88)}
    assert burnt[85] - burnt[84] == 26_328_192 + 822_756 * 1_000 - 822_756
    assert burnt[88] == burnt[85]
