"""Every host function is reached from a contract, at the protocol versions that have it."""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hither.client import ExecutionFailed
from hither.client.actions import function_call
from hither.client.results import TransactionResult
from hither.testing.network import LocalNetwork
from tests.e2e.contracts.exerciser import EXTRAS, NUMBERS, Program, Scratch

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).resolve().parents[3] / "contracts/exerciser"
WASM = {86: "exerciser_86.wasm", 87: "exerciser_87.wasm", 88: "exerciser.wasm"}
FIRST_VERSION = {
    "sha3_256": 87,
    "sha3_384": 87,
    "sha3_512": 87,
    "ml_dsa_verify": 87,
    "universal_state_init_to_account_id": 88,
    "promise_batch_action_universal_state_init": 88,
}
KEY = b"\x00" + hashlib.sha256(b"key").digest()
TGAS = 10**12
Make = Callable[[Program], None]


def plain(name: str, *arguments: int) -> Make:
    """A function of numbers alone."""
    return lambda program: _drop(program.call(name, *arguments))


def of_bytes(name: str, content: bytes, *rest: int) -> Make:
    """A function of one piece of data, then numbers."""
    return lambda program: _drop(program.call(name, *program.data(content), *rest))


def of_scratch(name: str) -> Make:
    """A function that writes to an address."""
    return lambda program: _drop(program.call(name, Scratch(0)))


def action(name: str, *parts: bytes | int | str) -> Make:
    """An action of a promise to bob.near: bytes become size and address, `amount:n` an amount."""

    def make(program: Program) -> None:
        promise = program.call("promise_batch_create", *program.data(b"bob.near"))
        arguments: list[object] = []
        for part in parts:
            if isinstance(part, bytes):
                arguments += program.data(part)
            elif isinstance(part, str):
                arguments.append(program.amount(int(part.removeprefix("amount:"))))
            else:
                arguments.append(part)
        program.call(name, promise, *arguments)  # type: ignore[arg-type]

    return make


def _drop(_result: object) -> None:
    """The steps matter, not what they return."""


def _write_register(program: Program) -> None:
    program.call("write_register", 1, *program.data(b"abc"))
    program.call("register_len", 1)
    program.call("read_register", 1, Scratch(0))


def _verify(name: str, signature_size: int, key_size: int) -> Make:
    return lambda program: _drop(
        program.call(
            name,
            *program.data(bytes(signature_size)),
            *program.data(b"message"),
            *program.data(bytes(key_size)),
        )
    )


def _recover(program: Program) -> None:
    program.call("ecrecover", *program.data(bytes(32)), *program.data(bytes(64)), 0, 0, 1)


def _abort(program: Program) -> None:
    # AssemblyScript's strings: UTF-16 with the size in bytes before the address.
    program.call("store", Scratch(0), 4)
    program.call("store", Scratch(4), int.from_bytes("oh".encode("utf-16-le"), "little"))
    program.call("abort", Scratch(4), Scratch(4), 1, 2)


def _create(program: Program) -> None:
    program.call(
        "promise_create",
        *program.data(b"bob.near"),
        *program.data(b"nothing"),
        *program.data(b""),
        program.amount(0),
        TGAS,
    )


def _then(program: Program) -> None:
    first = program.call("promise_batch_create", *program.data(b"bob.near"))
    program.call(
        "promise_then",
        first,
        *program.data(b"bob.near"),
        *program.data(b"nothing"),
        *program.data(b""),
        program.amount(0),
        TGAS,
    )


def _and(program: Program) -> None:
    first = program.call("promise_batch_create", *program.data(b"bob.near"))
    second = program.call("promise_batch_create", *program.data(b"bob.near"))
    program.call("store", Scratch(0), first)
    program.call("store", Scratch(8), second)
    joined = program.call("promise_and", Scratch(0), 2)
    program.call("promise_batch_then", joined, *program.data(b"bob.near"))
    program.call("promise_return", first)


def _state_init(program: Program) -> None:
    promise = program.call("promise_batch_create", *program.data(b"0s" + b"1" * 40))
    code = program.data(bytes(32))
    index = program.call("promise_batch_action_state_init", promise, *code, program.amount(0))
    program.call("set_state_init_data_entry", promise, index, *program.data(b"k"), *program.data(b"v"))


def _yield(program: Program) -> None:
    program.call("promise_yield_create", *program.data(b"resume"), *program.data(b""), TGAS, 0, 1)
    program.call("read_register", 1, Scratch(0))
    program.call("promise_yield_resume", 32, Scratch(0), *program.data(b"x"))


def _yield_with_id(program: Program) -> None:
    id_ = program.data(bytes(32))
    program.call(
        "promise_yield_create_with_id",
        *program.data(b"resume"),
        *program.data(b""),
        program.amount(0),
        TGAS,
        0,
        *id_,
    )
    program.call("promise_yield_resume_with_yield_id", *id_, *program.data(b"x"))


def _store(program: Program) -> None:
    key = program.data(b"key")
    program.call("storage_write", *key, *program.data(b"value"), 1)
    program.call("storage_has_key", *key)
    program.call("storage_read", *key, 1)
    program.call("storage_remove", *key, 1)


# Name of a host function -> a call that reaches it.
CALLS: dict[str, Make] = {
    **dict.fromkeys(("write_register", "register_len", "read_register"), _write_register),
    **{
        name: plain(name, 1)
        for name in (
            "current_account_id",
            "chain_id",
            "signer_account_id",
            "signer_account_pk",
            "predecessor_account_id",
            "input",
            "random_seed",
            "current_contract_code",
            "refund_to_account_id",
        )
    },
    **{
        name: plain(name)
        for name in (
            "block_index",
            "block_timestamp",
            "epoch_height",
            "storage_usage",
            "prepaid_gas",
            "used_gas",
            "promise_results_count",
            "panic",
        )
    },
    **{
        name: of_scratch(name)
        for name in ("account_balance", "account_locked_balance", "attached_deposit", "validator_total_stake")
    },
    **{
        name: of_bytes(name, b"data", 1)
        for name in ("sha256", "keccak256", "keccak512", "sha3_256", "sha3_384", "sha3_512", "ripemd160")
    },
    "ed25519_verify": _verify("ed25519_verify", 64, 32),
    "p256_verify": _verify("p256_verify", 64, 33),
    "ml_dsa_verify": _verify("ml_dsa_verify", 3309, 1952),
    "ecrecover": _recover,
    "value_return": of_bytes("value_return", b"v"),
    "panic_utf8": of_bytes("panic_utf8", b"oh no"),
    "log_utf8": of_bytes("log_utf8", b"hello"),
    "log_utf16": of_bytes("log_utf16", "hello".encode("utf-16-le")),
    "abort": _abort,
    "promise_create": _create,
    "promise_then": _then,
    **dict.fromkeys(("promise_and", "promise_batch_create", "promise_batch_then", "promise_return"), _and),
    "promise_set_refund_to": action("promise_set_refund_to", b"carol.near"),
    **dict.fromkeys(("promise_batch_action_state_init", "set_state_init_data_entry"), _state_init),
    "promise_batch_action_state_init_by_account_id": action(
        "promise_batch_action_state_init_by_account_id", b"carol.near", "amount:0"
    ),
    "universal_state_init_to_account_id": of_bytes("universal_state_init_to_account_id", b"\x00", 1),
    "promise_batch_action_universal_state_init": action(
        "promise_batch_action_universal_state_init", b"\x00", "amount:0"
    ),
    "promise_batch_action_create_account": action("promise_batch_action_create_account"),
    **{
        f"promise_batch_action_{name}": action(f"promise_batch_action_{name}", b"\x00asm\x01\x00\x00\x00")
        for name in ("deploy_contract", "deploy_global_contract", "deploy_global_contract_by_account_id")
    },
    "promise_batch_action_use_global_contract": action("promise_batch_action_use_global_contract", bytes(32)),
    "promise_batch_action_use_global_contract_by_account_id": action(
        "promise_batch_action_use_global_contract_by_account_id", b"carol.near"
    ),
    "promise_batch_action_function_call": action(
        "promise_batch_action_function_call", b"nothing", b"", "amount:0", TGAS
    ),
    "promise_batch_action_function_call_weight": action(
        "promise_batch_action_function_call_weight", b"nothing", b"", "amount:0", TGAS, 1
    ),
    "promise_batch_action_transfer": action("promise_batch_action_transfer", "amount:1"),
    "promise_batch_action_stake": action("promise_batch_action_stake", "amount:1", KEY),
    "promise_batch_action_add_key_with_full_access": action(
        "promise_batch_action_add_key_with_full_access", KEY, 0
    ),
    "promise_batch_action_add_key_with_function_call": action(
        "promise_batch_action_add_key_with_function_call", KEY, 0, "amount:1", b"carol.near", b"go"
    ),
    "promise_batch_action_delete_key": action("promise_batch_action_delete_key", KEY),
    "promise_batch_action_delete_account": action("promise_batch_action_delete_account", b"carol.near"),
    "promise_batch_action_transfer_to_gas_key": action(
        "promise_batch_action_transfer_to_gas_key", KEY, "amount:1"
    ),
    "promise_batch_action_add_gas_key_with_full_access": action(
        "promise_batch_action_add_gas_key_with_full_access", KEY, 2
    ),
    "promise_batch_action_add_gas_key_with_function_call": action(
        "promise_batch_action_add_gas_key_with_function_call", KEY, 2, "amount:0", b"carol.near", b"go"
    ),
    **dict.fromkeys(("promise_yield_create", "promise_yield_resume"), _yield),
    **dict.fromkeys(("promise_yield_create_with_id", "promise_yield_resume_with_yield_id"), _yield_with_id),
    "promise_result": plain("promise_result", 0, 1),
    **dict.fromkeys(("storage_write", "storage_read", "storage_remove", "storage_has_key"), _store),
    "storage_iter_prefix": of_bytes("storage_iter_prefix", b"k"),
    "storage_iter_range": lambda program: _drop(
        program.call("storage_iter_range", *program.data(b"a"), *program.data(b"b"))
    ),
    "storage_iter_next": plain("storage_iter_next", 0, 1, 2),
    "validator_stake": lambda program: _drop(
        program.call("validator_stake", *program.data(b"test.near"), Scratch(0))
    ),
    "alt_bn128_g1_multiexp": of_bytes("alt_bn128_g1_multiexp", bytes(96), 1),
    "alt_bn128_g1_sum": of_bytes("alt_bn128_g1_sum", bytes(65), 1),
    "alt_bn128_pairing_check": of_bytes("alt_bn128_pairing_check", b""),
    "bls12381_p1_sum": of_bytes("bls12381_p1_sum", b"", 1),
    "bls12381_p2_sum": of_bytes("bls12381_p2_sum", b"", 1),
    "bls12381_g1_multiexp": of_bytes("bls12381_g1_multiexp", b"", 1),
    "bls12381_g2_multiexp": of_bytes("bls12381_g2_multiexp", b"", 1),
    "bls12381_map_fp_to_g1": of_bytes("bls12381_map_fp_to_g1", bytes(48), 1),
    "bls12381_map_fp2_to_g2": of_bytes("bls12381_map_fp2_to_g2", bytes(96), 1),
    "bls12381_pairing_check": of_bytes("bls12381_pairing_check", b""),
    "bls12381_p1_decompress": of_bytes("bls12381_p1_decompress", b"", 1),
    "bls12381_p2_decompress": of_bytes("bls12381_p2_decompress", b"", 1),
}

# Those whose answer to this call is a failure, and how it begins.
FAILURES = {
    "panic": "Smart contract panicked: explicit guest panic",
    "panic_utf8": "Smart contract panicked: oh no",
    "abort": 'oh, filename: "oh" line: 1 col: 2',
    "promise_result": "Accessed invalid promise result index: 0",
    # The receiver is not the account that the state makes: the promise is refused when the call ends.
    "promise_batch_action_state_init": "InvalidDeterministicStateInitReceiver",
    "set_state_init_data_entry": "InvalidDeterministicStateInitReceiver",
    "promise_batch_action_state_init_by_account_id": "InvalidDeterministicStateInitReceiver",
    "promise_batch_action_universal_state_init": "InvalidUniversalStateInitReceiver",
    **dict.fromkeys(
        ("storage_iter_prefix", "storage_iter_range", "storage_iter_next"),
        "Attempted to call deprecated host function",
    ),
}


class Caller:
    """A network at one version, with the exerciser on alice.near."""

    def __init__(self, network: LocalNetwork, version: int) -> None:
        self.version = version
        self.client = network.connect("alice.near")
        self.client.deploy((FOLDER / WASM[version]).read_bytes())

    def run(self, program: Program) -> TransactionResult:
        """Call `run` with a program."""
        return self.client.call("alice.near", "run", program.encode(), gas="300 Tgas")


@pytest.fixture(scope="module", params=[86, 87, 88])
def caller(request: pytest.FixtureRequest) -> Iterator[Caller]:
    """One network a version."""
    with LocalNetwork(protocol_version=request.param) as network:
        yield Caller(network, request.param)


def test_every_host_function_has_a_call() -> None:
    """The table below is complete."""
    assert set(CALLS) == set(NUMBERS) - set(EXTRAS)


@pytest.mark.parametrize("name", CALLS)
def test_host_function_is_reached(caller: Caller, name: str) -> None:
    """The contract itself succeeds, or fails with the host's word about this very call."""
    if FIRST_VERSION.get(name, 0) > caller.version:
        return  # tests/test_contracts.py: that wasm does not import it.
    program = Program()
    CALLS[name](program)
    call = function_call("run", program.encode(), gas="300 Tgas")
    result = caller.client.send("alice.near", call, raise_on_failure=False)
    # What comes of a promise is not the point (bob has no such key); the call's own receipt is.
    own = result.json["receipts_outcome"][0]["outcome"]["status"]
    if name in FAILURES:
        assert FAILURES[name] in str(own)
    else:
        assert "Failure" not in own, own


def test_later_host_function_does_not_link() -> None:
    """A contract that imports one of 88 cannot be called at 86; at 88 it can."""
    for version, is_linked in ((86, False), (88, True)):
        with LocalNetwork(protocol_version=version) as network, network.connect("alice.near") as client:
            client.deploy((FOLDER / WASM[88]).read_bytes())
            if is_linked:
                client.call("alice.near", "nothing")
            else:
                with pytest.raises(ExecutionFailed, match="Link Error"):
                    client.call("alice.near", "nothing")


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((("unreachable",),), "WebAssembly trap: An `unreachable` opcode was executed."),
        ((("spin", 2**64 - 1),), "Exceeded the prepaid gas."),
        # Exhausting the stack looks like this on NEAR too.
        ((("descend", 10**6),), "Accessed memory outside the bounds."),
        ((("copy", 2**32 - 8, 0, 8),), "WebAssembly trap: Memory out of bounds trap."),
    ],
)
def test_misbehaviour_is_answered(caller: Caller, steps: tuple[tuple[object, ...]], message: str) -> None:
    """Traps, endless loops, exhausted stacks and wild addresses end the call, not the node."""
    program = Program()
    for name, *arguments in steps:
        program.call(str(name), *arguments)  # type: ignore[arg-type]
    with pytest.raises(ExecutionFailed, match=re.escape(message)):
        caller.run(program)
    caller.client.call("alice.near", "nothing")


def test_program_gives_values_back(caller: Caller) -> None:
    """Registers and results reach the caller: the hash is the hash."""
    program = Program()
    program.call("sha256", *program.data(b"hither"), 1)
    value = caller.run(program.return_register(1, 32)).value
    assert value == hashlib.sha256(b"hither").digest()
    program = Program()
    used = program.call("used_gas")
    assert int.from_bytes(caller.run(program.return_result(used)).value, "little") > 10**10
