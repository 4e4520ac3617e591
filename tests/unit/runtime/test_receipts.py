"""Receipts: inputs joined, failures undone, refunds, yields, instant receipts, and the outcome's details."""

import pytest

from hither.crypto.hashing import sha256
from hither.primitives.account import (
    AccessKey,
    Account,
    DeployMode,
    FullAccess,
    GlobalContractByAccount,
    LocalContract,
)
from hither.primitives.action import (
    AddKey,
    CreateAccount,
    DeleteKey,
    DeployContract,
    DeployGlobalContract,
    FunctionCall,
    Transfer,
    UseGlobalContract,
)
from hither.primitives.ids import compute_receipt_id
from hither.primitives.outcome import Outcome, SuccessValue
from hither.primitives.types import AccountId, Balance, CryptoHash, Gas, Nonce
from hither.runtime.apply import InvalidReceipt
from hither.state import keys
from tests.unit.runtime import programs
from tests.unit.runtime.programs import get_exerciser
from tests.unit.runtime.world import GAS_PRICE, NEAR, TGAS, World, get_errors, make_key
from tests.unit.vm.exerciser import Program, read_code


def call(program: bytes = b"", gas: int = 100 * TGAS, deposit: int = 0, method: str = "run") -> FunctionCall:
    return FunctionCall(method, program, Gas(gas), Balance(deposit))


def make_world(version: int = 88, **fields: object) -> World:
    world = World(version, **fields)  # type: ignore[arg-type]
    for name in ("ex.near", "other.near"):
        world.put_contract(name, get_exerciser())
    return world


def find_value(outcomes: list[Outcome], executor: str) -> bytes:
    """What the last receipt of an account returned."""
    status = [outcome for outcome in outcomes if outcome.executor_id == executor][-1].status
    assert isinstance(status, SuccessValue)
    return status.value


def test_a_failed_receipt_is_undone_and_its_deposit_comes_back() -> None:
    """Transfer, deployment and a call that writes and panics: only the gas is gone."""
    world = make_world()
    before = (
        world.must_account("ex.near"),
        world.get_trie("ex.near").get(keys.contract_code(AccountId("ex.near"))),
    )
    amount = world.must_account("alice.near").amount
    writes = programs.storage_write(b"key", b"value") + programs.PANIC
    outcomes = world.act("alice.near", "ex.near", Transfer(Balance(NEAR)), call(writes, deposit=NEAR))
    (error,) = get_errors(outcomes)
    assert "Smart contract panicked" in error["FunctionCallError"]["ExecutionError"]
    after = world.must_account("ex.near")
    code = world.get_trie("ex.near").get(keys.contract_code(AccountId("ex.near")))
    assert (after, code) == before
    assert world.get_trie("ex.near").get(keys.contract_data(AccountId("ex.near"), b"key")) is None
    burnt = sum(outcome.tokens_burnt for outcome in outcomes)
    assert world.must_account("alice.near").amount == amount - burnt


def test_a_deployment_is_undone_too() -> None:
    world = make_world()
    other = b"\0asm\x01\0\0\0"
    outcomes = world.act("ex.near", "ex.near", DeployContract(other), call())
    assert len(get_errors(outcomes)) == 1, "the deployed code has no such method"
    account = world.must_account("ex.near")
    assert account.contract == LocalContract(CryptoHash(sha256(get_exerciser())))


@pytest.mark.parametrize("boundaries", [(), ("f", "p")])
def test_results_are_joined_before_a_callback_runs(boundaries: tuple[str, ...]) -> None:
    """Two calls and a callback that reads both results, also when they come from other shards."""
    world = make_world(boundaries=boundaries)
    one, two = programs.value_return(b"one"), programs.value_return(b"two")
    read = b"".join(programs.promise_result(i, i) + programs.log_register(i) for i in (0, 1))
    program = (
        programs.promise_create("other.near", "run", one, 0, 5 * TGAS)
        + programs.promise_create("ex.near", "run", two, 0, 5 * TGAS)
        + programs.promise_and(0, 1)
        + programs.promise_then(2, "ex.near", "run", read + programs.value_return(b"done"), 0, 10 * TGAS)
        + programs.promise_return(3)
    )
    outcomes = world.act("alice.near", "ex.near", call(program))
    assert get_errors(outcomes) == []
    logs = [log for outcome in outcomes for log in outcome.logs]
    assert logs == [b"one".hex(), b"two".hex()]
    assert find_value(outcomes, "ex.near") == b"done"


def test_a_callback_learns_of_a_failure() -> None:
    world = make_world()
    read = programs.promise_result(0, 0) + programs.LOG_LAST
    program = programs.promise_create(
        "other.near", "run", programs.PANIC, 0, 5 * TGAS
    ) + programs.promise_then(0, "ex.near", "run", read, 0, 10 * TGAS)
    outcomes = world.act("alice.near", "ex.near", call(program))
    assert len(get_errors(outcomes)) == 1
    assert [log for outcome in outcomes for log in outcome.logs] == ["2"]


def test_deposits_come_back_to_whom_the_contract_names() -> None:
    world = make_world()
    program = (
        programs.promise_batch_create("missing.near")
        + programs.batch_transfer(0, NEAR)
        + programs.set_refund_to(0, "bob.near")
    )
    outcomes = world.act("alice.near", "ex.near", call(program))
    assert get_errors(outcomes) == [{"AccountDoesNotExist": {"account_id": "missing.near"}}]
    assert world.must_account("bob.near").amount == 1001 * NEAR


def test_a_yield_is_resumed_with_data() -> None:
    world = make_world()
    read = programs.promise_result(0, 0) + programs.log_register(0)
    create = programs.promise_yield_create("run", read, 10 * TGAS, 0, 0) + programs.log_register(0)
    outcomes = world.run(world.sign("alice.near", "ex.near", call(create)))
    (data_id,) = (bytes.fromhex(log) for outcome in outcomes for log in outcome.logs)
    resume = world.act("alice.near", "ex.near", call(programs.promise_yield_resume(data_id, b"data")))
    assert [log for outcome in resume for log in outcome.logs] == [b"data".hex()]
    again = world.act("alice.near", "ex.near", call(programs.promise_yield_resume(data_id, b"more")))
    assert [log for outcome in again for log in outcome.logs] == []


def test_a_yield_is_given_up_after_200_blocks() -> None:
    world = make_world()
    read = programs.promise_result(0, 0) + programs.LOG_LAST
    created = world.act(
        "alice.near", "ex.near", call(programs.promise_yield_create("run", read, 10 * TGAS, 0, 0))
    )
    assert get_errors(created) == []
    world.height += 150
    assert world.step() == []
    world.height += 60
    outcomes = world.run()
    assert [log for outcome in outcomes for log in outcome.logs] == ["2"]
    assert world.run() == [], "the queue is empty"


def test_a_yields_name_is_free_again_once_it_is_resumed() -> None:
    """Both mappings between the contract's name and the data id go with the yield (85)."""
    world = World(88)
    world.put_contract("ex.near", read_code(88))
    name = bytes(range(32))

    def count_names() -> int:
        trie = world.get_trie("ex.near")
        columns = (keys.YIELD_ID_TO_DATA_ID, keys.DATA_ID_TO_YIELD_ID)
        return sum(len(trie.scan(bytes((column,)))) for column in columns)

    program = Program()
    program.step(
        "promise_yield_create_with_id",
        program.pair(b"run"),
        program.pair(Program().encode()),
        program.amount(0),
        10 * TGAS,
        0,
        program.pair(name),
    )
    assert get_errors(world.act("alice.near", "ex.near", call(program.encode()))) == []
    assert count_names() == 2
    resume = Program()
    resume.step("promise_yield_resume_with_yield_id", resume.pair(name), resume.pair(b"data"))
    assert get_errors(world.act("alice.near", "ex.near", call(resume.encode()))) == []
    assert count_names() == 0


def test_an_account_deletion_alone_is_executed_at_once() -> None:
    world = make_world()
    deletion = programs.promise_batch_create("ex.near") + programs.batch_delete_account(0, "bob.near")
    world.step(world.sign("alice.near", "ex.near", call(deletion)))
    outcomes = world.step()
    assert [outcome.executor_id for outcome in outcomes] == ["ex.near", "ex.near"]
    assert world.get_account("ex.near") is None


def test_receipt_ids_count_data_and_refunds_but_outcomes_list_actions_only() -> None:
    world = make_world()
    program = programs.promise_create("other.near", "run", b"", 0, 5 * TGAS) + programs.promise_then(
        0, "ex.near", "run", b"", 0, 10 * TGAS
    )
    world.step(world.sign("alice.near", "ex.near", call(program)))
    (outcome,) = world.step()
    expected = [compute_receipt_id(outcome.id, world.height, index) for index in range(3)]
    assert list(outcome.receipt_ids) == expected, "two promises and the gas refund"
    outcomes = world.step()
    called = next(one for one in outcomes if one.executor_id == "other.near")
    assert called.receipt_ids == (compute_receipt_id(called.id, world.height, 0),), "its refund"
    data = [
        receipt
        for receipt in world.incoming[world.layout.shard_ids[0]]
        if receipt.predecessor_id == "other.near"
    ]
    assert [receipt.receipt_id for receipt in data] == [compute_receipt_id(called.id, world.height, 1)]


@pytest.mark.parametrize("version", [84, 86, 87])
def test_contracts_get_a_share_of_burnt_gas_until_86(version: int) -> None:
    world = make_world(version)
    before = world.must_account("ex.near").amount
    outcomes = world.act("alice.near", "ex.near", call(programs.storage_write(b"key", b"value")))
    fees = world.fees
    size = len("run") + len(programs.storage_write(b"key", b"value"))
    own = fees.receipt.execute + fees.call_base.execute + size * fees.call_byte.execute
    reward = (outcomes[1].gas_burnt - own) * 3 // 10 * GAS_PRICE
    assert world.must_account("ex.near").amount - before == (reward if version < 87 else 0)


def test_outcomes_name_the_contract_before_each_action_from_85_on() -> None:
    """After a failure the rest stand as None."""
    code = b"\0asm\x01\0\0\0"
    actions = [
        DeployContract(code),
        DeleteKey(make_key("missing")),
        Transfer(Balance(1)),
    ]
    world = World(85)
    executed = world.act("alice.near", "alice.near", *actions)[1]
    assert executed.metadata_version == 4
    assert executed.contracts == (None, LocalContract(CryptoHash(sha256(code))), None)
    old = World(84).act("alice.near", "alice.near", *actions)
    assert (old[1].metadata_version, old[1].contracts) == (3, None)


@pytest.mark.parametrize("version", [86, 87])
def test_a_method_needs_a_name_from_87_on(version: int) -> None:
    world = make_world(version)
    errors = get_errors(world.run(world.sign("alice.near", "ex.near", call(method=""))))
    empty = {"FunctionCallError": {"MethodResolveError": "MethodEmptyName"}}
    refused = {"ActionsValidation": "FunctionCallEmptyMethodName"}
    assert errors == [empty if version == 86 else refused]


def write_values(count: int) -> bytes:
    """Store so many values of 900 kB, each different."""
    value = b"\xfd\xff\xff\xff" + (900_000).to_bytes(4, "little")
    return b"".join(
        b"\x46" + programs.text(bytes([number])) + value + bytes([number]) + programs.u64(0)
        for number in range(count)
    )


@pytest.mark.parametrize("version", [85, 86])
def test_the_proof_of_a_receipt_is_limited_as_a_whole_from_86_on(version: int) -> None:
    """Two calls of one receipt read 2.7 MB each: at 85 each has a limit of its own."""
    world = make_world(version)
    world.gas_limit = 10**16
    for start in range(0, 6, 3):
        value = b"\xfd\xff\xff\xff" + (900_000).to_bytes(4, "little")
        program = b"".join(
            b"\x46" + programs.text(bytes([n])) + value + bytes([n]) + programs.u64(0)
            for n in range(start, start + 3)
        )
        assert get_errors(world.act("alice.near", "ex.near", call(program, gas=300 * TGAS))) == []
    read = [
        b"".join(b"\x47" + programs.text(bytes([n])) + programs.u64(0) for n in range(start, start + 3))
        for start in (0, 3)
    ]
    outcomes = world.act("alice.near", "ex.near", *[call(program, gas=300 * TGAS) for program in read])
    errors = get_errors(outcomes)
    assert len(errors) == (0 if version == 85 else 1)
    if errors:
        assert "storage" in errors[0]["FunctionCallError"]["ExecutionError"]


@pytest.mark.parametrize("version", [86, 87])
def test_the_proof_limit_holds_for_every_action_from_87_on(version: int) -> None:
    """An action that reads nothing much fails after one that used up the proof."""
    world = make_world(version)
    world.gas_limit = 10**16
    keys_count = 5
    value = b"\xfd\xff\xff\xff" + (799_000).to_bytes(4, "little")
    for n in range(keys_count):
        program = b"\x46" + programs.text(bytes([n])) + value + bytes([n]) + programs.u64(0)
        assert get_errors(world.act("alice.near", "ex.near", call(program, gas=300 * TGAS))) == []
    for n in range(40):
        add = [AddKey(make_key(f"{n}/{m}"), AccessKey(Nonce(0), FullAccess())) for m in range(10)]
        assert get_errors(world.act("ex.near", "ex.near", *add)) == []
    read = b"".join(b"\x47" + programs.text(bytes([n])) + programs.u64(0) for n in range(keys_count))
    deletes = [DeleteKey(make_key(f"{n}/0")) for n in range(30)]
    outcomes = world.act("ex.near", "ex.near", call(read, gas=900 * TGAS), *deletes)
    errors = get_errors(outcomes)
    limit = world.config.wasm.limits.per_receipt_storage_proof_size_limit
    assert errors == ([] if version == 86 else [{"ReceiptStorageProofSizeExceeded": {"limit": limit}}])


def test_a_global_contract_replaces_own_code_and_counts_its_name() -> None:
    world = make_world(boundaries=("f",))
    own = get_exerciser()
    deploy = DeployGlobalContract(own, DeployMode.ACCOUNT_ID)
    assert get_errors(world.act("bob.near", "bob.near", deploy)) == []
    identifier = GlobalContractByAccount(AccountId("bob.near"))
    for name in ("ex.near", "other.near"):
        assert get_errors(world.act(name, name, UseGlobalContract(identifier))) == []
        account = world.must_account(name)
        assert (account.contract, account.version) == (identifier, 2)
        assert account.storage_usage == 182 + len("bob.near")
        assert get_errors(world.act("alice.near", name, call())) == []


def test_a_call_of_one_yocto_from_an_empty_account_is_subsidised_from_85_on() -> None:
    program = programs.promise_create("other.near", "run", b"", 1, 5 * TGAS)
    for version in (84, 85):
        world = World(version)
        world.put_contract("other.near", get_exerciser())
        code = get_exerciser()
        world.act("bob.near", "bob.near", DeployGlobalContract(code, DeployMode.ACCOUNT_ID))
        identifier = GlobalContractByAccount(AccountId("bob.near"))
        world.put_account("zero.near", Account(Balance(0), Balance(0), 190, identifier, 2))
        outcomes = world.act("alice.near", "zero.near", call(program))
        assert len(get_errors(outcomes)) == (1 if version == 84 else 0)


def test_an_invalid_incoming_receipt_stops_the_node() -> None:
    world = make_world()
    world.step(world.sign("alice.near", "bob.near", Transfer(Balance(1))))
    (receipt,) = world.incoming[world.layout.shard_ids[0]]
    too_many = (CreateAccount(),) * 101
    body = type(receipt.body)(
        **{**{f: getattr(receipt.body, f) for f in receipt.body.__struct_fields__}, "actions": too_many}
    )
    world.incoming[world.layout.shard_ids[0]] = [
        type(receipt)(receipt.predecessor_id, receipt.receiver_id, receipt.receipt_id, body)
    ]
    with pytest.raises(InvalidReceipt, match="TotalNumberOfActionsExceeded"):
        world.step()
