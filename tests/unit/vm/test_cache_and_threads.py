"""Compiled code is kept, within bounds; calls and views run beside each other and end in time."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hither_native import Vm

from tests.unit.vm.exerciser import TGAS, Program, make_call, make_state, make_trie, read_code
from tests.vectors.recording import RECORDINGS

CODE = read_code(88)


def measure_ms(action: Callable[[], object]) -> float:
    """How long a callable takes."""
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1_000


def list_compiled(folder: Path) -> list[Path]:
    """The files of the cache."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def distinct_code(number: int) -> bytes:
    """The exerciser with a custom section that makes its hash another."""
    name = b"\x04test" + number.to_bytes(4, "little")
    return CODE + bytes([0, len(name)]) + name


def test_precompiled_code_is_on_disk_and_used_by_the_next_process(tmp_path: Path) -> None:
    """A fresh VM over the same folder does not compile, even when the code is gone."""
    Vm(str(tmp_path)).precompile(CODE, 88)
    assert len(list_compiled(tmp_path)) == 1
    before = list_compiled(tmp_path)[0].stat().st_mtime_ns
    second = Vm(str(tmp_path))
    assert second.call(make_state(CODE), make_call(CODE, "nothing")).error_json is None
    assert [path.stat().st_mtime_ns for path in list_compiled(tmp_path)] == [before]


def test_each_version_compiles_anew(tmp_path: Path) -> None:
    """The rules of preparation are part of the cache's key."""
    vm = Vm(str(tmp_path))
    code = read_code(86)
    for count, version in enumerate((86, 87, 88), start=1):
        vm.precompile(code, version)
        assert len(list_compiled(tmp_path)) == count


def test_code_that_does_not_compile_is_remembered(tmp_path: Path) -> None:
    """As a small file with the error."""
    vm = Vm(str(tmp_path))
    vm.precompile(b"garbage", 88)
    (file,) = list_compiled(tmp_path)
    assert file.stat().st_size < 100


def test_disk_bound_holds(tmp_path: Path) -> None:
    """The oldest go; the folder never grows past the bound, nor after a restart with a lower one."""
    vm = Vm(str(tmp_path))
    vm.precompile(distinct_code(0), 88)
    (first,) = list_compiled(tmp_path)
    size = first.stat().st_size
    bound = size * 3 + size // 2
    vm = Vm(str(tmp_path), disk_bytes=bound)
    for number in range(1, 8):
        vm.precompile(distinct_code(number), 88)
        assert sum(path.stat().st_size for path in list_compiled(tmp_path)) <= bound
    assert len(list_compiled(tmp_path)) == 3
    assert first not in list_compiled(tmp_path)
    Vm(str(tmp_path), disk_bytes=size)
    assert len(list_compiled(tmp_path)) == 1


def test_too_small_a_disk_bound_still_runs(tmp_path: Path) -> None:
    """Nothing is kept on disk; memory still is."""
    vm = Vm(str(tmp_path), disk_bytes=1_000)
    assert vm.call(make_state(CODE), make_call(CODE, "nothing")).error_json is None
    assert list_compiled(tmp_path) == []


def make_long_program() -> bytes:
    """Spins until the gas is gone."""
    program = Program()
    program.step("spin", 2**64 - 1)
    return program.encode()


def test_calls_run_beside_each_other(vm: Vm) -> None:
    """While one thread is inside a long call, others finish many on other states, and a view."""
    call = make_call(CODE, args=make_long_program(), prepaid_gas=1_000 * TGAS)
    thread = threading.Thread(target=vm.call, args=(make_state(CODE), call))
    state, short, trie = make_state(CODE), make_call(CODE, "nothing"), make_trie(CODE)
    vm.call(state, short)
    thread.start()
    finished = 0
    while thread.is_alive():
        vm.call(state, short)
        vm.view(trie, short)
        finished += 1
    thread.join()
    assert finished >= 20


def test_state_is_not_locked_during_a_call(vm: Vm) -> None:
    """The chunk can be read while its contract runs."""
    state = make_state(CODE)
    call = make_call(CODE, args=make_long_program(), prepaid_gas=1_000 * TGAS)
    thread = threading.Thread(target=vm.call, args=(state, call))
    thread.start()
    reads = 0
    while thread.is_alive():
        assert state.has(b"\x01ex.near")
        reads += 1
    thread.join()
    assert reads >= 20


def test_endless_view_ends_at_the_gas_limit(vm: Vm) -> None:
    """Also without a time limit."""
    call = make_call(CODE, args=make_long_program(), view_gas_limit=300 * TGAS)
    outcome = vm.view(make_trie(CODE), call)
    assert outcome.gas_burnt == 300 * TGAS
    assert outcome.error_text == "HostError(GasLimitExceeded)"


def test_endless_view_is_interrupted(vm: Vm) -> None:
    """However much gas a view may burn."""
    call = make_call(CODE, args=make_long_program(), view_gas_limit=10**18)
    errors: list[str | None] = []
    took_ms = measure_ms(lambda: errors.append(vm.view(make_trie(CODE), call, 100).error_json))
    assert errors == ['{"ExecutionError":"Interrupted after 100 ms."}']
    assert took_ms < 5_000


def test_view_that_asks_the_host_is_interrupted_in_time(vm: Vm) -> None:
    """The clock is read when it asks for storage."""
    program = Program()
    key = program.pair(b"key")
    for _ in range(4_000):
        program.step("storage_read", *key, 0)
    call = make_call(CODE, args=program.encode(), view_gas_limit=10**18)
    outcome = vm.view(make_trie(CODE), call, 0)
    assert outcome.error_json == '{"ExecutionError":"Interrupted after 0 ms."}'


@pytest.mark.parametrize("spins", [10, 200_000, 20_000_000])
def test_time_limit_does_not_change_an_answer(vm: Vm, spins: int) -> None:
    """A view that ends within its gas gives the same, in one attempt or several."""
    program = Program()
    program.step("spin", spins)
    program.step("log_utf8", *program.pair(b"once"))
    call = make_call(CODE, args=program.encode(), view_gas_limit=1_000 * TGAS)
    plain, limited = vm.view(make_trie(CODE), call), vm.view(make_trie(CODE), call, 60_000)
    assert plain.error_json is None
    assert (limited.error_json, limited.gas_burnt) == (None, plain.gas_burnt)
    assert limited.logs == plain.logs == ["once"]


def get_resident_mib() -> int:
    """What this process holds of memory."""
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) >> 10


@pytest.mark.parametrize("version", [84, 88])
def test_memory_of_finished_calls_is_given_back(vm: Vm, version: int) -> None:
    """Ten calls that touch 36 MiB each leave less than 250 MiB behind (the engine would keep them all)."""
    code = (RECORDINGS / "exerciser.wasm").read_bytes()
    fill = b"\xfd\xff\xff\xff" + (36 << 20).to_bytes(4, "little") + b"x"
    has_key = bytes([73])
    call = make_call(code, args=has_key + fill, prepaid_gas=1_000 * TGAS, protocol_version=version)
    state, before = make_state(code), get_resident_mib()
    for _ in range(10):
        error = vm.call(state, call).error_json
        assert error is not None
        assert "The length of a storage key 37748736" in error
        assert get_resident_mib() - before < 250
