"""Programs for the recorded exerciser contract (see its OPCODES.md): one op after the other, as bytes."""

from functools import cache
from pathlib import Path

_CONTRACT = Path(__file__).parents[2] / "vectors" / "nearcore-84" / "exerciser.wasm"


@cache
def get_exerciser() -> bytes:
    """The contract's code."""
    return _CONTRACT.read_bytes()


def u64(number: int) -> bytes:
    return number.to_bytes(8, "little")


def u128(number: int) -> bytes:
    return number.to_bytes(16, "little")


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(4, "little") + raw


LOG_LAST = b"\x01"
PANIC = b"\x3d"


def log_register(register: int) -> bytes:
    return b"\x04" + u64(register)


def value_return(value: bytes) -> bytes:
    return b"\x3c" + text(value)


def storage_write(key: bytes, value: bytes) -> bytes:
    return b"\x46" + text(key) + text(value) + u64(0)


def promise_create(account_id: str, method: str, args: bytes, deposit: int, gas: int) -> bytes:
    return b"\x5a" + text(account_id) + text(method) + text(args) + u128(deposit) + u64(gas)


def promise_then(promise: int, account_id: str, method: str, args: bytes, deposit: int, gas: int) -> bytes:
    return b"\x5b" + u64(promise) + text(account_id) + text(method) + text(args) + u128(deposit) + u64(gas)


def promise_and(*promises: int) -> bytes:
    return b"\x5c" + text(b"".join(u64(promise) for promise in promises))


def promise_batch_create(account_id: str) -> bytes:
    return b"\x5d" + text(account_id)


def promise_result(index: int, register: int) -> bytes:
    return b"\x61" + u64(index) + u64(register)


def promise_return(promise: int) -> bytes:
    return b"\x62" + u64(promise)


def promise_yield_create(method: str, args: bytes, gas: int, weight: int, register: int) -> bytes:
    return b"\x63" + text(method) + text(args) + u64(gas) + u64(weight) + u64(register)


def promise_yield_resume(data_id: bytes, payload: bytes) -> bytes:
    return b"\x64" + text(data_id) + text(payload)


def batch_transfer(promise: int, amount: int) -> bytes:
    return b"\x72" + u64(promise) + u128(amount)


def batch_create_account(promise: int) -> bytes:
    return b"\x6e" + u64(promise)


def batch_delete_account(promise: int, beneficiary_id: str) -> bytes:
    return b"\x77" + u64(promise) + text(beneficiary_id)


def set_refund_to(promise: int, account_id: str) -> bytes:
    return b"\x5f" + u64(promise) + text(account_id)
