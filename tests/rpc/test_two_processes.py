"""The server in a process of its own: what it must never show, and how each of the two processes ends."""

import concurrent.futures
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hither.chain.genesis import DevelopmentOptions
from hither.chain.reader import BlockMode
from hither.cli.rpc import NodeUnreachable, RpcCaller, RpcFailed
from hither.foreign.engines.ports import find_free_port
from hither.node.home import init_home
from hither.node.node import NodeOptions
from hither.node.server_process import LOG_FILE
from hither.rpc.context import RpcSettings
from hither.rpc.process import VIEW_THREADS
from hither.sdk.endpoints import is_running
from tests.rpc.running import RunningNode, run_node

pytestmark = pytest.mark.slow

WAIT_S_MAX = 20
PATIENCE_S = 240
REVERTS = 12
GONE = {"UNKNOWN_BLOCK", "GARBAGE_COLLECTED_BLOCK", "UNKNOWN_TRANSACTION", "UNKNOWN_CHUNK", "UNKNOWN_RECEIPT"}
# (module (func (export "spin") (loop (br 0))))
SPINNING = bytes.fromhex("0061736d010000000104016000000302010007080104737069 6e00000a0901070003400c000b0b")


def must_become(is_true: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not is_true():
        assert time.monotonic() < deadline, f"not {what} in {WAIT_S_MAX} s"
        time.sleep(0.01)


def ask_until(running: RunningNode, ending: threading.Event, wrong: list[str]) -> int:
    """Follow the newest block to its parent, chunks, outcomes and state; how many rounds that took."""
    caller = RpcCaller(running.url)
    rounds = 0
    while not ending.is_set():
        rounds += 1
        block = _ask(caller, "block", {"finality": "optimistic"}, wrong)
        if block is None:
            wrong.append("there is no newest block")
            continue
        block_hash = block["header"]["hash"]
        for chunk in block["chunks"]:
            found = _ask(caller, "chunk", {"chunk_id": chunk["chunk_hash"]}, wrong)
            for transaction in found["transactions"] if found else ():
                status = _ask(
                    caller,
                    "EXPERIMENTAL_tx_status",
                    {
                        "tx_hash": transaction["hash"],
                        "sender_account_id": transaction["signer_id"],
                        "wait_until": "NONE",
                    },
                    wrong,
                )
                if status is not None and "transaction_outcome" in status:
                    _ask(caller, "block", {"block_id": status["transaction_outcome"]["block_hash"]}, wrong)
        query = {"request_type": "view_account", "account_id": "alice.near", "block_id": block_hash}
        account = _ask(caller, "query", query, wrong)
        if account is not None and account["block_hash"] != block_hash:
            wrong.append(f"asked at {block_hash}, answered at {account['block_hash']}")
        _ask(caller, "EXPERIMENTAL_changes_in_block", {"block_id": block_hash}, wrong)
        _ask(caller, "validators", [None], wrong)
    caller.close()
    return rounds


def _ask(caller: RpcCaller, method: str, params: Any, wrong: list[str]) -> Any:
    """The result; None where what is asked about has gone meanwhile, which is all that may be wrong with it."""
    try:
        return caller.call(method, params)
    except RpcFailed as error:
        if error.name not in GONE:
            wrong.append(f"{method} {params}: {error.error}")
    except NodeUnreachable as error:
        wrong.append(f"{method} {params}: {error}")
    return None


@contextlib.contextmanager
def onlookers(running: RunningNode, count: int) -> Iterator[list[str]]:
    """So many of them for the length of a block; what they found wrong."""
    ending, wrong = threading.Event(), list[str]()
    with concurrent.futures.ThreadPoolExecutor(count) as threads:
        looking = [threads.submit(ask_until, running, ending, wrong) for _ in range(count)]
        try:
            yield wrong
        finally:
            ending.set()
        assert all(each.result() > 3 for each in looking)


def test_nobody_sees_half_a_revert(tmp_path: Path) -> None:
    """Readers ask at every moment while the chain goes forth and back; each answer is whole, or says what has gone."""
    with (
        run_node(tmp_path, is_apart=True) as running,
        running.connect("alice.near") as alice,
        onlookers(running, 3) as wrong,
    ):
        for at in range(REVERTS):
            snapshot = running.must("hither_snapshot")["snapshot_id"]
            before = running.must("block", {"finality": "optimistic"})["header"]["height"]
            for amount in range(3):
                alice.transfer("bob.near", f"{1 + amount + at % 2} NEAR")
            tip = running.must("hither_revert", [snapshot])
            assert running.must("block", {"finality": "optimistic"})["header"]["height"] >= tip["height"]
            assert tip["height"] <= before + 1
    assert wrong == []


def test_nobody_sees_half_of_what_is_pruned(tmp_path: Path) -> None:
    """Blocks go away under those who read them: an answer, or NEAR's error for a block that is gone."""
    with run_node(tmp_path, is_apart=True, epoch_length=10) as running, onlookers(running, 2) as wrong:
        caller = RpcCaller(running.url)
        for _ in range(40):
            running.must("hither_mine", [20])
            earliest = running.must("status")["sync_info"]["earliest_block_height"]
            for height in range(max(0, earliest - 3), earliest + 30, 3):
                _ask(caller, "block", {"block_id": height}, wrong)
                query = {"request_type": "view_account", "account_id": "bob.near", "block_id": height}
                _ask(caller, "query", query, wrong)
        caller.close()
    assert earliest > 100, "something was pruned"
    assert wrong == []


def test_a_state_that_is_not_at_hand_is_found(tmp_path: Path) -> None:
    """The states of old blocks, and one whose block a revert took away."""
    with run_node(tmp_path, is_apart=True) as running, running.connect("alice.near") as alice:
        first = running.must("block", {"finality": "final"})["header"]["hash"]
        snapshot = running.must("hither_snapshot")["snapshot_id"]
        alice.transfer("bob.near", "5 NEAR")
        newest = running.must("block", {"finality": "optimistic"})["header"]["hash"]
        query = {"request_type": "view_account", "account_id": "bob.near"}
        before = int(running.must("query", query | {"block_id": first})["amount"])
        after = int(running.must("query", query | {"block_id": newest})["amount"])
        assert after - before == 5 * 10**24
        running.must("hither_mine", [40])
        assert int(running.must("query", query | {"block_id": first})["amount"]) == before
        running.must("hither_revert", [snapshot])
        assert running.ask("query", query | {"block_id": newest})["error"]["cause"]["name"] == "UNKNOWN_BLOCK"
        assert int(running.must("query", query | {"finality": "optimistic"})["amount"]) == before


def test_endless_views_hold_nobody_up(tmp_path: Path) -> None:
    """More of them than there are threads for views: reads and transactions are answered all the same."""
    # Gas is what ends them here, however long a busy machine takes for it.
    settings = RpcSettings(view_timeout_ms=PATIENCE_S * 1000)
    with (
        run_node(tmp_path, is_apart=True, settings=settings) as running,
        running.connect("alice.near") as alice,
        concurrent.futures.ThreadPoolExecutor() as threads,
    ):
        running.http.timeout = PATIENCE_S
        alice.deploy(SPINNING)
        call = {"request_type": "call_function", "account_id": "alice.near", "method_name": "spin"}
        params = call | {"args_base64": "", "finality": "optimistic"}
        spinning = [threads.submit(running.ask, "query", params) for _ in range(VIEW_THREADS + 1)]
        time.sleep(0.1)
        query = {"request_type": "view_account", "account_id": "bob.near", "finality": "optimistic"}
        before = int(running.must("query", query)["amount"])
        assert not any(view.done() for view in spinning), "a read does not wait for them"
        alice.transfer("bob.near", "1 NEAR")
        assert int(running.must("query", query)["amount"]) == before + 10**24
        assert not all(view.done() for view in spinning), "they were still at it"
        assert all("GasLimitExceeded" in view.result()["result"]["error"] for view in spinning)


def send_at_once(running: RunningNode, requests: list[tuple[str, Any]]) -> list[Any]:
    """The answers to requests that the server finds all together, each on a connection of its own."""
    host, _, port = running.address.rpartition(":")
    assert running.apart is not None
    with contextlib.ExitStack() as connections:
        sockets = [
            connections.enter_context(socket.create_connection((host, int(port)), timeout=WAIT_S_MAX))
            for _ in requests
        ]
        os.kill(running.apart.process_id, signal.SIGSTOP)
        for connection, (method, params) in zip(sockets, requests, strict=True):
            body = msgspec.json.encode({"jsonrpc": "2.0", "id": "1", "method": method, "params": params})
            head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
            connection.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        os.kill(running.apart.process_id, signal.SIGCONT)
        answers = [connection.makefile("rb").read() for connection in sockets]
    return [msgspec.json.decode(answer.partition(b"\r\n\r\n")[2]) for answer in answers]


def test_requests_that_come_at_once_are_answered_as_one_by_one(tmp_path: Path) -> None:
    """What is read ahead for several, what is not there, what waits, and what cannot be read; also after a revert."""
    with (
        run_node(tmp_path, is_apart=True, boundary_accounts=("b",)) as running,
        running.connect("alice.near") as alice,
    ):
        key = running.must("query", _about("view_access_key_list", "alice.near"))["keys"][0]["public_key"]
        other = key[:-1] + ("1" if key[-1] != "1" else "2")
        requests: list[tuple[str, Any]] = [
            ("query", _about("view_account", "alice.near")),
            ("query", _about("view_account", "bob.near")),
            ("query", _about("view_account", "bob.near")),
            ("query", _about("view_account", "bob.near", finality="final")),
            ("query", _about("view_account", "bob.near") | {"block_id": 0}),
            ("query", _about("view_account", "nobody.near")),
            ("EXPERIMENTAL_view_account", {"account_id": "bob.near", "finality": "optimistic"}),
            ("query", _about("view_access_key", "alice.near", public_key=key)),
            ("query", _about("view_access_key", "alice.near", public_key=other)),
            ("EXPERIMENTAL_view_access_key", _about("", "bob.near", public_key=key)),
            ("query", _about("call_function", "bob.near", method_name="main", args_base64="")),
            ("query", {"request_type": "view_account"}),
            ("health", None),
        ]
        for amount in range(3):
            snapshot = running.must("hither_snapshot")["snapshot_id"]
            alice.transfer("bob.near", f"{1 + amount} NEAR")
            running.run(running.node.control.set_block_mode(BlockMode.MANUAL))
            for _ in range(2):
                assert send_at_once(running, requests) == [running.ask(*request) for request in requests]
            running.must("hither_revert", [snapshot])
            assert send_at_once(running, requests) == [running.ask(*request) for request in requests]
            running.run(running.node.control.set_block_mode(BlockMode.INSTANT))


def _about(kind: str, account_id: str, **more: str) -> dict[str, Any]:
    """The parameters of a question about an account."""
    named = {"request_type": kind} if kind else {}
    return named | {"account_id": account_id, "finality": "optimistic"} | more


class Program:
    """``hither node run`` on a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        init_home(home, DevelopmentOptions(), time.time_ns())
        port = find_free_port()
        command = [sys.executable, "-m", "hither.cli.main", "node", "run", "--home", str(home)]
        self.log = home / "output"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--rpc-addr", f"127.0.0.1:{port}"], stdout=log, stderr=log
            )
        self.caller = RpcCaller(f"http://127.0.0.1:{port}")
        must_become(self._is_ready, "ready")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        (self.server_id,) = map(int, children.read_text(encoding="ascii").split())

    def _is_ready(self) -> bool:
        assert self.process.poll() is None
        with contextlib.suppress(NodeUnreachable):
            self.caller.call("status", [])
            return True
        return False


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A node with its server, ended with the test."""
    program = Program(tmp_path)
    try:
        yield program
    finally:
        program.caller.close()
        if program.process.poll() is None:
            program.process.kill()
        program.process.wait()


def test_the_server_dies_with_its_node(program: Program) -> None:
    """Also when the node had no chance to say so."""
    program.process.kill()
    program.process.wait()
    must_become(lambda: not is_running(program.server_id), "gone")


def test_the_node_ends_when_its_server_dies(program: Program) -> None:
    """A chain that nobody can reach is a failure, and is told as one."""
    os.kill(program.server_id, signal.SIGKILL)
    assert program.process.wait(WAIT_S_MAX) == 1
    assert "the JSON-RPC server has ended" in program.log.read_text()


def test_an_end_that_was_asked_for_is_clean(program: Program) -> None:
    """SIGTERM to the node ends both; nobody waits for the kept connection of a client until patience runs out."""
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(PATIENCE_S) == 0
    assert not is_running(program.server_id)
    assert (program.home / LOG_FILE).read_text() == ""


def test_options_reach_the_server(tmp_path: Path) -> None:
    """A chain that is not for development has no controls there either."""
    with run_node(tmp_path, is_apart=True, options=NodeOptions(is_development=False)) as running:
        assert running.ask("hither_mine", [1])["error"]["cause"]["name"] == "METHOD_NOT_FOUND"
