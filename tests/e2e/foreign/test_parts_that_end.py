"""A part of a running network that ends by itself is told at once; the rest goes on, and a restart has it all."""

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from hither import BlockingAccount
from hither.cli.bench.programs import list_tree
from hither.foreign.caip import parse_chain_id
from hither.foreign.engines.faucet import fund
from hither.sdk.endpoints import is_running
from tests.e2e.cli.running import Network, hither, must_hither, network

pytestmark = pytest.mark.slow
SENDER = "alice.near"
RESTART = "hint: hither down, then hither up; its state stays"


def must_say_that_it_ended(running: Network, name: str) -> None:
    """On the screen, in ``hither status`` and in ``hither doctor``, with what to do."""
    running.must_show(f"{name} has ended (process ")
    running.must_show(RESTART)
    shown = must_hither("status", home=running.home)
    assert f"{name} has ended (process " in shown and RESTART in shown
    assert json.loads(must_hither("status", "--json", home=running.home))["ended"] == [name]
    examined = hither("doctor", home=running.home)
    assert examined.returncode == 1
    (line,) = [line for line in examined.stdout.splitlines() if line.startswith("✗")]
    assert name in line


def give_ether(home: Path, row: dict[str, Any]) -> None:
    """To the address of alice.near."""
    with BlockingAccount.load(SENDER, home=home) as alice:
        asyncio.run(
            fund(parse_chain_id(row["caip2"]), row["rpc_url"], alice.on(row["caip2"]).address(), 10**18)
        )


def send(home: Path, chain: str) -> None:
    must_hither("send", chain, "0x" + "77" * 20, "5 gwei", "--from", SENDER, home=home)


def must_name_it(home: Path, command: str, told: str) -> None:
    """A command that needs every chain says which one is not there."""
    result = hither(command, home=home)
    assert result.returncode == 1
    assert re.search(told, result.stderr), result.stderr


def read_command(process_id: int) -> str:
    """Its words; nothing when it has ended."""
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except FileNotFoundError:
        return ""


def must_end_whole(running: Network, number: signal.Signals, engines: list[str]) -> None:
    """Every process below it is gone with it, however it ends."""
    tree = list_tree(running.process.pid)
    commands = [read_command(one) for one in tree]
    for name in engines:
        assert sum(name in command for command in commands) == engines.count(name), commands
    running.end(number)
    running.must_become(lambda: not any(is_running(one) for one in tree), "gone")


def test_engine_that_ends_is_told_and_comes_back_with_its_state(tmp_path: Path) -> None:
    """Base dies. Ethereum, beside it, still pays; after a restart Base has what it had."""
    with network(tmp_path, "--quiet", "--evm", "1,8453", is_alone=False) as running:
        assert json.loads(must_hither("status", "--json", home=tmp_path))["ended"] == []
        (row,) = [row for row in running.endpoints["foreign"] if row["caip2"] == "eip155:8453"]
        for chain in running.endpoints["foreign"]:
            if chain["caip2"].startswith("eip155:"):
                give_ether(tmp_path, chain)
        send(tmp_path, "eip155:8453")
        os.kill(row["pid"], signal.SIGKILL)
        must_say_that_it_ended(running, "eip155:8453")
        send(tmp_path, "eip155:1")
        must_name_it(tmp_path, "demo", r"the demonstration failed: eip155:8453: transfer: ")
        must_name_it(tmp_path, "snapshot", r"Error: eip155:8453 has ended\nhint: hither down, then hither up")
        assert running.text.count("has ended") == 1, "it is said once"
        assert running.end() == 0
        assert running.text.count("has ended") == 1, "what is stopped has not ended by itself"
    with network(tmp_path, "--quiet", "--evm", "1,8453", is_alone=False) as again:
        assert json.loads(must_hither("status", "--json", home=tmp_path))["ended"] == []
        with BlockingAccount.load(SENDER, home=tmp_path) as alice:
            assert [alice.on(chain).nonce() for chain in ("eip155:1", "eip155:8453")] == [1, 1]
        must_end_whole(again, signal.SIGINT, ["anvil"] * 2 + ["bitcoin_server"])


def test_signing_node_that_ends_is_told(tmp_path: Path) -> None:
    """One of three processes."""
    with network(tmp_path, "--quiet", "--evm", "1", "--mpc", "processes", is_alone=False) as running:
        node = running.endpoints["mpc"]["processes"][1]
        os.kill(node["pid"], signal.SIGKILL)
        must_say_that_it_ended(running, f"the signing node {node['account_id']}")
        must_end_whole(running, signal.SIGKILL, ["anvil", "bitcoin_server", "mpc run", "mpc run"])
