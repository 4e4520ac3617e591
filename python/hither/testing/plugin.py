"""The pytest plugin; it is there wherever hither is installed.

Fixtures: ``chain`` (one for the run; tests, modules and examples of Hypothesis leave it as they found it), ``network``
(the signing network and other chains too) and ``gas`` (gas that must not grow). Marker:
``@pytest.mark.hither(shards=3, protocol_version=86)``. A failing test shows the receipts of what it sent.

A chain is started when the first test asks for it, and each process of pytest-xdist has its own.
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from hither.client import ClientError, TransactionResult, actions, clients, flow, operations, signer
from hither.client.advice import OWN_WORDS
from hither.client.trace import render_trace
from hither.params import DEFAULT_PROTOCOL_VERSION
from hither.testing import chain as chain_module
from hither.testing import gas as gas_module
from hither.testing.chain import Chain
from hither.testing.gas import GasBook
from hither.testing.network import BOUNDARIES, LocalNetwork

if TYPE_CHECKING:  # It brings all of the sdk, which most tests do without.
    from hither.testing.whole_network import WholeNetwork

MARKER: Final = "hither"
MARKER_LINE: Final = (
    f"{MARKER}(shards=1, protocol_version={DEFAULT_PROTOCOL_VERSION}): "
    "the chain that a test wants, or all tests of a module"
)
SHOWN_TRANSACTIONS_MAX: Final = 10
OURS: Final = (sys.modules[__name__], chain_module, gas_module, actions, clients, flow, operations, signer)
"""Between a test and what the chain told: their lines are left out of a failure, but for --full-trace."""
Options = tuple[int, int]


class Chains:
    """The chains of this run, by their options."""

    def __init__(self) -> None:
        self._chains: dict[Options, Chain] = {}
        self._stack = contextlib.ExitStack()

    def get(self, options: Options) -> Chain:
        """Start it, unless a test before has."""
        if options not in self._chains:
            shards, protocol_version = options
            network = self._stack.enter_context(
                LocalNetwork(shards=shards, protocol_version=protocol_version)
            )
            self._chains[options] = self._stack.enter_context(contextlib.closing(Chain(network.url)))
        return self._chains[options]

    def close(self) -> None:
        """Stop all."""
        self._stack.close()


_CHAINS: Final = pytest.StashKey[Chains]()
_GAS: Final = pytest.StashKey[GasBook]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where gas is written, how much it may grow, and how it is written anew."""
    group = parser.getgroup("hither")
    group.addoption("--hither-gas-update", action="store_true", help="write gas down as it is now")
    parser.addini("hither_gas_file", "where gas is written down", default="gas.json")
    parser.addini("hither_gas_tolerance_percent", "growth of gas that passes", default="0")


def is_told(seen: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether the error's own words are all that a test has to show, so that our lines above it say nothing."""
    return seen.errisinstance((ClientError, AssertionError))


def add_next_steps(error: BaseException | None) -> None:
    """What to do about an error of ours, and about what it came from, is shown with it."""
    while error is not None:
        hint = getattr(error, "hint", None)
        is_ours = type(error).__module__.startswith("hither.")
        if is_ours and hint and hint != OWN_WORDS:
            error.add_note(f"next: {hint}")
        error = error.__cause__


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marker means; have a place for chains."""
    for module in OURS:
        vars(module)["__tracebackhide__"] = is_told
    config.addinivalue_line("markers", MARKER_LINE)
    config.stash[_CHAINS] = Chains()
    config.stash[_GAS] = GasBook(
        Path(config.rootpath) / str(config.getini("hither_gas_file")),
        is_update=bool(config.getoption("--hither-gas-update")),
        tolerance=float(config.getini("hither_gas_tolerance_percent")) / 100,
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the chains, save the gas."""
    config.stash[_CHAINS].close()
    config.stash[_GAS].save()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A marked test gets its own kind of chain; fixtures of the module are made again on it."""
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is not None and "chain" in metafunc.fixturenames:
        options = read_options(marker, metafunc.definition.nodeid)
        shards, protocol_version = options
        name = f"{shards} shards, {protocol_version}" if shards > 1 else f"one shard, {protocol_version}"
        metafunc.parametrize("chain", [options], indirect=True, scope="module", ids=[name])


def read_options(marker: pytest.Mark | None, test: str) -> Options:
    """What a marker asks for. Raises ``pytest.UsageError``."""
    given = dict(marker.kwargs) if marker else {}
    shards, protocol_version = given.pop("shards", 1), given.pop("protocol_version", DEFAULT_PROTOCOL_VERSION)
    if given or (marker and marker.args):
        raise pytest.UsageError(f"{test}: @pytest.mark.hither takes shards= and protocol_version=")
    if shards not in BOUNDARIES:
        raise pytest.UsageError(f"{test}: shards is one of {', '.join(map(str, BOUNDARIES))}")
    return shards, protocol_version


def find_options(item: pytest.Item) -> Options | None:
    """The chain of a test that uses one, by itself or through its fixtures."""
    fixtures = getattr(item, "_fixtureinfo", None)
    # Somebody's own fixture may have the same name; the nearest is last, and ours counts if each before asks for it.
    for definition in reversed(fixtures.name2fixturedefs.get("chain", ()) if fixtures else ()):
        if definition.func is _chain:
            break
        if "chain" not in definition.argnames:
            return None
    else:
        return None
    return read_options(item.get_closest_marker(MARKER), item.nodeid)


def find_chain(item: pytest.Item) -> Chain | None:
    """The same, running."""
    options = find_options(item)
    return None if options is None else item.config.stash[_CHAINS].get(options)


@pytest.fixture(scope="module", autouse=True)
def _module_anchor(request: pytest.FixtureRequest) -> Iterator[None]:
    """What fixtures of a module do is gone after the module. It comes before them, since it is automatic."""
    items = [item for item in request.session.items if item.getparent(pytest.Module) is request.node]
    wanted = dict.fromkeys(map(find_options, items))
    with contextlib.ExitStack() as stack:
        for options in wanted:
            if options is not None:
                stack.enter_context(request.config.stash[_CHAINS].get(options).anchor())
        yield


@pytest.fixture(autouse=True)
def _test_anchor(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test does is gone after it."""
    chain = find_chain(request.node)
    with chain.anchor() if chain else contextlib.nullcontext():
        yield


def _chain(request: pytest.FixtureRequest) -> Chain:
    """The chain that the marker of the test, or of its module, asks for; one shard without a marker."""
    options = getattr(request, "param", (1, DEFAULT_PROTOCOL_VERSION))
    return request.config.stash[_CHAINS].get(options)


chain = pytest.fixture(scope="module", name="chain")(_chain)


@pytest.fixture
def gas(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``gas(result)`` compares what a transaction burnt with what it burnt before; ``gas(result, "name")`` when a
    test compares several. Fails when it has grown.
    """
    book = request.config.stash[_GAS]

    def check(result: int | TransactionResult, name: str = "") -> None:
        book.check(f"{request.node.nodeid}[{name}]" if name else request.node.nodeid, result)

    return check


@pytest.fixture(scope="session")
def _whole_network(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[WholeNetwork]":
    """Started when the first test asks for it."""
    from hither.testing.whole_network import run_whole_network

    with run_whole_network(tmp_path_factory.mktemp("network")) as network:
        yield network


@pytest.fixture
def network(_whole_network: "WholeNetwork") -> "Iterator[WholeNetwork]":
    """All of `hither up`: accounts on every chain, signed for by the signing network. Each test leaves it as it was."""
    with _whole_network.anchor():
        yield _whole_network


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Each example of Hypothesis begins where the test began.

    ``hypothesis.inner_test`` is what Hypothesis offers to plugins for that.
    """
    handle = getattr(pyfuncitem.obj, "hypothesis", None)
    chain = find_chain(pyfuncitem)
    if handle is None or chain is None or hasattr(handle.inner_test, "is_anchored"):
        return
    inner = handle.inner_test

    @functools.wraps(inner)
    def anchored(*args: Any, **kwargs: Any) -> Any:
        with chain.anchor():
            return inner(*args, **kwargs)

    anchored.is_anchored = True  # type: ignore[attr-defined]
    handle.inner_test = anchored


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what to do next, what the test sent and what its receipts wrote.

    Its chain is still as the test, or the fixture that failed, left it.
    """
    if call.excinfo is not None:
        add_next_steps(call.excinfo.value)
    report = yield
    if report.failed and call.when != "teardown":
        chain = find_chain(item)
        if chain is not None and chain.results:
            report.sections.append(("transactions", "\n".join(draw_results(chain))))
    return report


def draw_results(chain: Chain) -> list[str]:
    """The last transactions as trees."""
    lines = []
    left_out = len(chain.results) - SHOWN_TRANSACTIONS_MAX
    if left_out > 0:
        lines.append(f"… {left_out} before these")
    for result in chain.results[-SHOWN_TRANSACTIONS_MAX:]:
        lines += [*render_trace(chain.trace(result)), ""]
    return lines
