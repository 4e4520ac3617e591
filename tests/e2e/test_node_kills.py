"""A node that is killed keeps its promises: every transaction that it called final is there after."""

import asyncio
import contextlib
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hither.chain.genesis import DEVELOPMENT_BOUNDARIES, DevelopmentOptions
from hither.chain.genesis_block import make_genesis_tries
from hither.chain.parameters import make_parameters
from hither.chain.reader import BlockMode, ControlRefused, ExecutionStatus, UnknownTransactionOrReceipt
from hither.chain.verification import reexecute
from hither.client import Client, TransportError, WaitUntil
from hither.client.flow import RetryPolicy
from hither.foreign.engines.ports import find_free_port
from hither.node.home import init_home, read_home
from hither.node.node import Node, NodeOptions
from hither.vm import Vm
from tests.e2e import rpc_load
from tests.e2e.node_load import digest

SENDERS = 150
FAILPOINTS = ("applied", "before commit", "committed")
PRUNING_FAILPOINTS = ("image", "pruned", "compiling", "compiled")
COMPILATIONS_MAX = 5
COMPILATION_MS = 30
"""About what it takes; nobody minds a kill that comes after it."""
END_S_MAX = 300
ROOT = Path(__file__).parents[2]


class Victim:
    """Runs the load and counts what it promised."""

    def __init__(self, home: Path, *arguments: str, failpoint: str | None = None) -> None:
        environment = os.environ | {"PYTHONPATH": f"{ROOT / 'python'}:{ROOT}"}
        if failpoint is not None:
            environment["HITHER_FAILPOINT"] = failpoint
        command = [sys.executable, "-m", "tests.e2e.node_load", str(home), str(SENDERS), *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
        self._left = b""
        self.promised: dict[str, str] = {}
        self.is_ready = False

    def read_for(self, seconds: float) -> bool:
        """Take what it says for so long; False when it has ended."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self._process.stdout], [], [], left)
            if ready and not self._read():
                return False
        return True

    def _read(self) -> bool:
        assert self._process.stdout is not None
        data = os.read(self._process.stdout.fileno(), 65536)
        *lines, self._left = (self._left + data).split(b"\n")
        for line in lines:
            if line == b"ready":
                self.is_ready = True
            else:
                hash_, outcomes = line.decode().split()
                self.promised[hash_] = outcomes
        return bool(data)

    def kill(self) -> None:
        """End it without warning, and read what it still said."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        while self._read():
            pass

    def wait_until_dead(self, seconds: float) -> None:
        """For one that kills itself."""
        while self.read_for(0.2):
            seconds -= 0.2
            assert seconds > 0, "it reached no failpoint"
        assert self._process.wait() == -signal.SIGKILL

    def wait_until_ready(self) -> None:
        while not self.is_ready:
            assert self.read_for(0.05), "the node ended while starting"


def make_home(home: Path, epoch_length: int = 43_200) -> None:
    accounts = tuple(f"user{at}.near" for at in range(SENDERS))
    options = DevelopmentOptions(
        boundary_accounts=DEVELOPMENT_BOUNDARIES, accounts=accounts, epoch_length=epoch_length
    )
    init_home(home, options, time.time_ns())


def find_broken(home: Path, promised: dict[str, str]) -> list[str]:
    """Promised transactions that are not there though young enough, or not as promised."""
    node = Node.open(read_home(home))
    tail = node._engine.storage.tail
    assert tail <= max(0, node.reader.get_head().height - node._engine.storage._window)
    broken = []
    for hash_, outcomes in promised.items():
        try:
            status = node.reader.get_transaction_status(bytes.fromhex(hash_))
        except UnknownTransactionOrReceipt:
            if int(outcomes.split(":")[0]) >= tail:
                broken.append(hash_)
            continue
        if status.execution is not ExecutionStatus.FINAL or digest(status) != outcomes:
            broken.append(hash_)
    node._store.close()
    return broken


def choose_failpoint(name: str, chance: random.Random) -> str:
    """Which time the place is reached, and for compilation how far it is then."""
    if name == "compiling":
        return f"{name}:{chance.randint(1, COMPILATIONS_MAX)}:{chance.randint(0, COMPILATION_MS)}"
    return f"{name}:{chance.randint(1, COMPILATIONS_MAX if name == 'compiled' else 60)}"


def kill_repeatedly(
    home: Path, kills: int, seed: int, failpoints: tuple[str, ...], *arguments: str
) -> dict[str, str]:
    """Half of the kills at random moments, half at failpoints; what was promised in all."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    promised: dict[str, str] = {}
    for at in range(kills):
        if at % 2:
            failpoint = choose_failpoint(failpoints[at // 2 % len(failpoints)], chance)
            victim = Victim(home, *arguments, failpoint=failpoint)
            victim.wait_until_dead(END_S_MAX)
        else:
            victim = Victim(home, *arguments)
            victim.wait_until_ready()
            victim.read_for(chance.uniform(0.05, 1.0))
            victim.kill()
        promised |= victim.promised
        assert find_broken(home, victim.promised) == []
    return promised


def check_kills(home: Path, kills: int) -> None:
    make_home(home)
    promised = kill_repeatedly(home, kills, random.randrange(2**32), FAILPOINTS)
    assert len(promised) > 20 * kills
    assert find_broken(home, promised) == []
    must_be_what_execution_gives(home)


def must_be_what_execution_gives(home: Path) -> None:
    """Every block from genesis on, applied again, has the roots of its header."""
    opened = read_home(home)
    parameters = make_parameters(opened.genesis)
    node = Node.open(opened)
    vm = Vm(str(home / "verification"))
    head = reexecute(parameters, make_genesis_tries(opened.genesis, parameters), node._engine.storage, vm)
    assert head.hash == node.reader.get_head().last_block_hash
    assert [s.trie.root for s in head.shards] == [s.trie.root for s in node._engine.head.shards]
    node._store.close()


def test_what_was_final_outlives_four_kills(tmp_path: Path) -> None:
    """One at random and one at each failpoint of the commit."""
    check_kills(tmp_path / "home", 4)


@pytest.mark.slow
def test_what_was_final_outlives_many_kills(tmp_path: Path) -> None:
    """And the whole chain, applied again from genesis, has the roots of its headers."""
    check_kills(tmp_path / "home", 25)


@pytest.mark.slow
def test_kills_while_images_are_written_history_is_pruned_and_code_compiled(tmp_path: Path) -> None:
    """What was promised is there, but for what is older than five epochs."""
    home = tmp_path / "home"
    make_home(home, epoch_length=20)
    promised = kill_repeatedly(
        home, 16, random.randrange(2**32), PRUNING_FAILPOINTS, "--small-images", "--deploy"
    )
    assert len(promised) > 200
    assert find_broken(home, promised) == []


@contextlib.contextmanager
def node_program(home: Path, failpoint: str | None = None) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """``hither node run`` with its server in a process of its own, killed at the end; and where it answers."""
    url = f"http://127.0.0.1:{find_free_port()}"
    command = [sys.executable, "-m", "hither.cli.main", "node", "run", "--home", str(home)]
    environment = os.environ | ({} if failpoint is None else {"HITHER_FAILPOINT": failpoint})
    with subprocess.Popen([*command, "--rpc-addr", url.removeprefix("http://")], env=environment) as process:
        try:
            deadline = time.monotonic() + END_S_MAX
            while not is_answered(url):
                assert process.poll() is None and time.monotonic() < deadline, "the node does not start"
                time.sleep(0.05)
            yield process, url
        finally:
            process.kill()


def is_answered(url: str) -> bool:
    with Client(url, policy=RetryPolicy(attempts=1)) as client:
        try:
            return client.get_block().height >= 0
        except TransportError:
            return False


def list_promised(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def load_until_dead(home: Path, log: Path, failpoint: str | None, chance: random.Random) -> None:
    """A program outside writes down what it is told; the node dies by itself at a failpoint, else at random."""
    before = len(list_promised(log))
    with node_program(home, failpoint) as (node, url):
        command = [sys.executable, "-m", "tests.e2e.rpc_load", url, str(log), str(SENDERS)]
        with subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}) as load:
            deadline = time.monotonic() + END_S_MAX
            while len(list_promised(log)) < before + 100 and node.poll() is None:
                assert load.poll() is None and time.monotonic() < deadline, "nothing is final"
                time.sleep(0.02)
            if failpoint is None:
                time.sleep(chance.uniform(0, 0.5))
                node.kill()
            assert node.wait(END_S_MAX) == -signal.SIGKILL
            assert load.wait(END_S_MAX) == 0


@pytest.mark.slow
def test_what_a_program_outside_was_told_is_final_outlives_kills(tmp_path: Path) -> None:
    """Over HTTP, through the server's own process, with every answer on the disk of who heard it."""
    home, log = tmp_path / "home", tmp_path / "told"
    make_home(home)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for failpoint in (None, "committed"):
        point = None if failpoint is None else f"{failpoint}:{chance.randint(30, 60)}"
        load_until_dead(home, log, point, chance)
    promised = list_promised(log)
    assert len(promised) > 100
    with node_program(home) as (_, url), Client(url) as client:
        for line in promised:
            hash_, told = line.split()
            result = client.wait_for(hash_, "user0.near", wait_until=WaitUntil.FINAL)
            assert rpc_load.digest(result) == told
    must_be_what_execution_gives(home)


@pytest.mark.parametrize("failpoint", ["reverting", "reverted"])
def test_a_kill_while_going_back_leaves_the_snapshot_or_its_state(tmp_path: Path, failpoint: str) -> None:
    """Before the one commit the chain is as high as it was, and the snapshot good; after it neither is so."""
    home = tmp_path / "home"
    init_home(home, DevelopmentOptions(accounts=()), time.time_ns())
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'python'}:{ROOT}", "HITHER_FAILPOINT": failpoint}
    command = [sys.executable, "-m", "tests.e2e.node_load", str(home), "0", "--revert"]
    killed = subprocess.run(
        command, stdout=subprocess.PIPE, env=environment, cwd=ROOT, timeout=300, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    (line,) = killed.stdout.decode().splitlines()
    first, second = line.split()
    asyncio.run(check_revert(home, first, second, is_done=failpoint == "reverted"))


async def check_revert(home: Path, first: str, second: str, *, is_done: bool) -> None:
    node = Node.open(read_home(home), NodeOptions(mode=BlockMode.MANUAL))
    await node.start()
    assert node.reader.get_head().height == (1 if is_done else 4)
    if is_done:
        with pytest.raises(ControlRefused, match="it may have been used"):
            await node.control.revert(second)
    else:
        assert (await node.control.revert(second)).height == 1
    await node.control.mine(2)
    assert (await node.control.revert(first)).height == 1
    await node.stop()


@pytest.mark.long
def test_what_was_final_outlives_very_many_kills(tmp_path: Path) -> None:
    check_kills(tmp_path / "home", 200)


@pytest.mark.slow
def test_a_node_that_does_not_sync_breaks_its_promises(tmp_path: Path) -> None:
    """The test above can fail: without the commit's sync, promised transactions are gone."""
    home = tmp_path / "home"
    make_home(home)
    victim = Victim(home, "--without-sync")
    victim.wait_until_ready()
    while len(victim.promised) < 300:
        assert victim.read_for(0.1)
    victim.kill()
    assert len(find_broken(home, victim.promised)) == len(victim.promised)
