"""The pytest plugin as its users have it: small projects, each run by a pytest of its own."""

import json
from pathlib import Path

import pytest

from hither.foreign.cache import find_cache
from hither.state import Store
from hither.testing.network import LocalNetwork

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

CACHE = find_cache()
ROOT = Path(__file__).resolve().parents[3]
TOKEN = ROOT / "contracts/fungible_token/fungible_token.wasm"
HEADER = f"""
import pytest
from hypothesis import given, settings, strategies
from hither.testing import reverts
TOKEN = {str(TOKEN)!r}
INIT = ("new_default", {{"owner_id": "alice.near", "total_supply": "1000"}})
"""


def run(pytester: pytest.Pytester, code: str, *options: str) -> pytest.RunResult:
    """A project of one module."""
    pytester.makepyfile(test_project=HEADER + code)
    return pytester.runpytest_subprocess(*options)


def test_tests_modules_and_examples_leave_no_trace(pytester: pytest.Pytester) -> None:
    """Money, accounts and contracts of one test are not there in the next; those of the module's fixture are."""
    result = run(
        pytester,
        """
@pytest.fixture(scope="module")
def token(chain):
    assert chain.account("alice").balance == 10**30
    return chain.deploy(TOKEN, init=INIT)

@pytest.mark.parametrize("round", range(3))
def test_alone(chain, token, round):
    before = chain.account("bob").balance
    assert before == 10**30
    chain.account("alice").transfer("bob.near", "1 N")
    assert chain.account("bob").balance == before + 10**24
    assert token.view("ft_balance_of", {"account_id": "alice.near"}) == "1000"
    dora = chain.account("dora")
    chain.account("alice").call(token, "storage_deposit", {"account_id": dora.id}, deposit="0.1 N")
    chain.account("alice").call(token, "ft_transfer", {"receiver_id": dora.id, "amount": "7"}, deposit="1 yoctonear")
    assert token.view("ft_balance_of", {"account_id": dora.id}) == "7"

seen = []

@settings(max_examples=5, deadline=None)
@given(number=strategies.integers(1, 5))
def test_examples(chain, number):
    chain.account("alice").transfer("bob.near", f"{number} N")
    assert chain.account("bob").balance == 10**30 + number * 10**24
    seen.append(number)

def test_examples_ran():
    assert seen
""",
    )
    result.assert_outcomes(passed=5)


def test_only_chains_that_are_thrown_away_do_not_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that somebody named may be opened again."""
    opened = []

    def open_store(path: str, *, tables: list[str], throwaway: bool) -> Store:
        opened.append(throwaway)
        return Store(path, tables=tables, throwaway=throwaway)

    monkeypatch.setattr("hither.node.node.Store", open_store)
    for home in (None, tmp_path / "home"):
        with LocalNetwork(home=home) as network, network.connect("alice.near") as client:
            client.transfer("bob.near", "1 N")
    assert opened == [True, False]


def test_second_module_finds_nothing_of_the_first(pytester: pytest.Pytester) -> None:
    """Contracts of a module's fixture go with the module, so the same name can be used again."""
    module = (
        HEADER
        + """
@pytest.fixture(scope="module")
def token(chain):
    return chain.deploy(TOKEN, "same", init=INIT)

def test_token(token):
    assert token.view("ft_total_supply") == "1000"
"""
    )
    pytester.makepyfile(test_one=module, test_two=module)
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_failures_show_receipts_and_reverts_reads_messages(pytester: pytest.Pytester) -> None:
    """A failing test prints what it sent; ``reverts`` takes the right message and nothing else."""
    result = run(
        pytester,
        """
@pytest.fixture(scope="module")
def token(chain):
    return chain.deploy(TOKEN, init=INIT)

def send(chain, token, amount):
    return chain.account("bob").call(
        token, "ft_transfer", {"receiver_id": "alice.near", "amount": amount}, deposit="1 yoctonear")

def test_message(chain, token):
    with reverts("is not registered") as seen:
        send(chain, token, "1")
    assert seen.error.panic_message
    with reverts("MethodNotFound"):
        token.view("no_such_method")

def test_other_message(chain, token):
    with reverts("out of cheese"):
        send(chain, token, "1")

def test_nothing_fails(chain):
    with reverts():
        chain.account("alice").transfer("bob.near", "1 N")
""",
    )
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*failed, but not with 'out of cheese': *is not registered*",
            "*bob.near → *ft_transfer(*",
            "*panic: *",
            "*shard 0, block *, burnt *",
            "*balance * N, storage * bytes",
        ]
    )
    result.stdout.fnmatch_lines(["*nothing failed", "*alice.near → bob.near  transfer 1 N*"])


def test_failures_say_what_to_do_and_show_only_the_lines_of_the_test(pytester: pytest.Pytester) -> None:
    """Of a call, of a request that is refused, of a file that is not there, of a fixture; and of an example."""
    result = run(
        pytester,
        """
@pytest.fixture
def broken(chain):
    return chain.deploy(TOKEN, init=("new_default", {}))

def test_method(chain):
    chain.account("alice").call(chain.deploy(TOKEN, init=INIT), "nope")

def test_money(chain):
    chain.account("alice").transfer("bob.near", "10000000 N")

def test_file(chain):
    chain.deploy("missing.wasm")

def test_past(chain):
    chain.advance(seconds=-1)

def test_fixture(broken):
    raise NotImplementedError

@given(strategies.just(7))
def test_example(chain, number):
    assert number == 8
""",
    )
    result.assert_outcomes(failed=5, errors=1)
    result.stdout.fnmatch_lines_random(
        [
            "E *ExecutionFailed: MethodResolveError: MethodNotFound",
            "E *next: check the method's name; the contract exports no such function",
            "E *InvalidTransaction: NotEnoughBalance: signer_id alice.near, balance 1000000 N, cost 10000000.* N",
            "E *next: send money to the account first; *",
            "E *InvalidRequest: */missing.wasm: No such file or directory; *",
            "E *RpcError: CONTROL_REFUSED: the chain's clock already shows *",
            "E *ExecutionFailed: Smart contract panicked: Failed to deserialize input from JSON.*",
            "✗ test.near → fungible-token.test.near *",
            "E *assert 7 == 8",
        ]
    )
    # What the contract has said itself needs no advice, and our own lines are no help.
    result.stdout.no_fnmatch_line("*the contract's own words*")
    result.stdout.no_fnmatch_line("*python/hither/*.py:*")


def test_time_shards_and_versions(pytester: pytest.Pytester) -> None:
    """Blocks and seconds pass when told to; a marker chooses the chain; the clock goes back with the rest."""
    result = run(
        pytester,
        """
def test_time(chain):
    height, now = chain.height, chain.now
    chain.advance(blocks=100)
    assert chain.height >= height + 100
    chain.advance(seconds=3600 * 24 * 365)
    assert (chain.now - now).days >= 365

def test_time_is_back(chain):
    assert chain.height < 100

@pytest.mark.hither(shards=3, protocol_version=86)
def test_shards(chain):
    status = chain.client.run(chain.client.session.read("status", []))
    assert status["protocol_version"] == 86
    config = chain.client.run(chain.client.session.read("EXPERIMENTAL_protocol_config", {"finality": "final"}))
    assert len(chain.client.run(chain.client.session.read("block", {"finality": "final"}))["chunks"]) == 3
""",
    )
    result.assert_outcomes(passed=3)


def test_wrong_marker_says_what_it_takes(pytester: pytest.Pytester) -> None:
    """Not a failure deep inside."""
    result = run(pytester, "@pytest.mark.hither(sharks=3)\ndef test_it(chain): pass\n")
    result.stdout.fnmatch_lines(["*@pytest.mark.hither takes shards= and protocol_version=*"])
    assert result.ret != 0


def test_gas_that_grows_fails(pytester: pytest.Pytester) -> None:
    """Written down at first, compared after that, and written anew when told to."""
    code = """
def test_cost(chain, gas):
    result = chain.account("alice").transfer("bob.near", "1 N")
    gas(result)
    gas(int(result.gas_burnt * {factor}), "again")
"""
    run(pytester, code.format(factor=1)).assert_outcomes(passed=1)
    book = pytester.path / "gas.json"
    written = json.loads(book.read_text())
    assert set(written) == {"test_project.py::test_cost", "test_project.py::test_cost[again]"}
    run(pytester, code.format(factor=0.9)).assert_outcomes(passed=1)
    result = run(pytester, code.format(factor=1.2))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_cost[[]again[]] burns * Tgas, 20.0 % more than *--hither-gas-update"])
    run(pytester, code.format(factor=1.2), "--hither-gas-update").assert_outcomes(passed=1)
    assert json.loads(book.read_text()) != written
    run(pytester, code.format(factor=1.2)).assert_outcomes(passed=1)


def test_works_with_xdist(pytester: pytest.Pytester) -> None:
    """Each worker has its own chain; gas of all of them comes into one file."""
    code = """
@pytest.mark.parametrize("number", range(4))
def test_it(chain, gas, number):
    gas(chain.account("alice").transfer("bob.near", "1 N"))
    assert chain.account("bob").balance == 10**30 + 10**24
"""
    run(pytester, code, "-n", "2").assert_outcomes(passed=4)
    assert len(json.loads((pytester.path / "gas.json").read_text())) == 4


def test_own_fixtures_named_chain(pytester: pytest.Pytester) -> None:
    """Other projects have chains of their own, and nothing starts for them; one that extends ours is served."""
    pytester.makepyfile(
        test_own="""
import pytest
import threading

@pytest.fixture
def chain():
    return "mine"

def test_mine(chain):
    assert chain == "mine"
    assert not [thread for thread in threading.enumerate() if thread.name == "network"]
"""
    )
    result = run(
        pytester,
        """
class TestExtended:
    @pytest.fixture
    def chain(self, chain):
        chain.account("alice").transfer("bob.near", "1 N")
        return chain

    @pytest.mark.parametrize("round", range(2))
    def test_extended(self, chain, round):
        assert chain.account("bob").balance == 10**30 + 10**24
""",
    )
    result.assert_outcomes(passed=3)


@pytest.fixture
def _cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs that set-up installed: a project of pytester has a home of its own."""
    monkeypatch.setenv("HITHER_CACHE", str(CACHE))


@pytest.mark.usefixtures("_cache")
def test_whole_network_is_as_it_was_after_each_test(pytester: pytest.Pytester) -> None:
    """An account pays on another chain; the next test finds both balances as before."""
    result = run(
        pytester,
        """
@pytest.mark.parametrize("round", range(2))
def test_send_abroad(network, round):
    alice, bob = network.account("alice.near"), network.account("bob.near")
    base = alice.on("eip155:8453")
    assert base.balance() == 0
    base.fund("1 ETH")
    there = bob.on("eip155:8453")
    sent = base.send(there.address(), "0.25 ETH")
    assert sent.transaction_id
    assert there.balance() == 25 * 10**16

@pytest.mark.parametrize("round", range(2))
def test_contract_has_addresses(network, round):
    token = network.chain.deploy(TOKEN, init=INIT)
    assert token.view("ft_total_supply") == "1000"
    savings = network.abroad(token, "eip155:8453", path="savings")
    assert savings.balance == 0
    savings.fund("1 ETH")
    assert savings.balance == 10**18
    assert savings.address != network.abroad(token, "eip155:8453", path="other").address
""",
    )
    result.assert_outcomes(passed=4)
