"""All chains of a network as one: nothing is lost by a SIGKILL, and everything goes back to a snapshot."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.cli.running import Network, hither, must_hither, network
from tests.e2e.demo.test_demo import list_processes

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose processes are gone afterwards."""
    yield tmp_path
    assert wait_until_gone(str(tmp_path)) == []


def wait_until_gone(word: str) -> list[str]:
    deadline = time.monotonic() + 10
    while (left := list_processes(word)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def ask(url: str, method: str, *params: Any) -> Any:
    """A JSON-RPC method's result."""
    # Ours names its parameters.
    named = params[0] if method in ("query", "tx") else list(params)
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": named}
    answer = httpx.post(url, json=request, timeout=20).json()
    assert answer.get("error") is None, answer
    return answer["result"]


def read_chain(chain: str, url: str, addresses: list[str], transactions: list[str]) -> dict[str, Any]:
    """What a client can see of a chain: its tip, balances, counts, transactions."""
    match chain.partition(":")[0]:
        case "eip155":
            tip = ask(url, "eth_getBlockByNumber", "latest", False)
            return {
                "tip": (tip["number"], tip["hash"], tip["stateRoot"]),
                "balances": [ask(url, "eth_getBalance", one, "latest") for one in addresses],
                "nonces": [ask(url, "eth_getTransactionCount", one, "latest") for one in addresses],
                "transactions": [ask(url, "eth_getTransactionByHash", one) for one in transactions],
                "receipts": [ask(url, "eth_getTransactionReceipt", one) for one in transactions],
            }
        case "bip122":
            return {
                "tip": (ask(url, "getblockcount"), ask(url, "getbestblockhash")),
                "coins": [ask(url, "scantxoutset", "start", [f"addr({one})"]) for one in addresses],
                "transactions": [ask(url, "getrawtransaction", one, 1) for one in transactions],
            }
        case "solana":
            return {
                "balances": [ask(url, "getBalance", one)["value"] for one in addresses],
                "histories": [ask(url, "getSignaturesForAddress", one) for one in addresses],
                "transactions": [
                    ask(url, "getTransaction", one, {"maxSupportedTransactionVersion": 0})
                    for one in transactions
                ],
            }
    accounts = {"request_type": "view_account", "finality": "optimistic"}
    found = [ask(url, "query", {**accounts, "account_id": one}) for one in addresses]
    return {
        "balances": [{key: one[key] for key in ("amount", "locked", "storage_usage")} for one in found],
        "transactions": [
            ask(url, "tx", {"tx_hash": one, "sender_account_id": addresses[0], "wait_until": "FINAL"})
            for one in transactions
        ],
    }


def read_everything(running: Network, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """By chain, about the addresses and the transactions of these rows."""
    urls = {
        row["caip2"]: row["rpc_url"] for row in [running.endpoints["near"], *running.endpoints["foreign"]]
    }
    found: dict[str, Any] = {}
    # What was asked of the signing network, and what the treasury's owners did.
    found["requests"] = [
        ask(
            running.url,
            "tx",
            {"tx_hash": hash_, "sender_account_id": rows[0]["address"], "wait_until": "FINAL"},
        )
        for row in rows
        for hash_ in row["sign_tx"]
    ]
    for chain, url in urls.items():
        mine = [row for row in rows if row["chain"] == chain]
        addresses = list(dict.fromkeys(row["address"] for row in mine))
        found[chain] = read_chain(chain, url, addresses, [row["transaction_id"] for row in mine])
    return found


def show_demo(running: Network) -> list[dict[str, Any]]:
    """Every chain has a transaction that an independent client read again."""
    rows: list[dict[str, Any]] = json.loads(must_hither("demo", "--json", home=running.home))
    return rows


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_every_chain_is_there_after_the_end(home: Path, number: signal.Signals) -> None:
    """Balances, counts, coins, transactions, receipts and tips; signing goes on under the same keys."""
    with network(home, "--quiet", is_alone=False) as running:
        rows = show_demo(running)
        before = read_everything(running, rows)
        keys = running.endpoints["mpc"]["domains"]
        os.kill(running.process.pid, number)
        running.process.wait(timeout=20)
    assert wait_until_gone(str(home)) == []
    with network(home, "--quiet", is_alone=False) as running:
        assert running.endpoints["mpc"]["domains"] == keys
        after = read_everything(running, rows)
        for chain, found in before.items():
            assert after[chain] == found, chain
        show_demo(running)
        running.end()


def test_snapshot_covers_every_chain(home: Path) -> None:
    """After the way back every tip and balance is as before, what came after is unknown, and it can be done again."""
    with network(home, "--quiet", is_alone=False) as running:
        rows = show_demo(running)
        before = read_everything(running, rows)
        keys = running.endpoints["mpc"]["domains"]
        snapshot_id = must_hither("snapshot", home=home)
        later = show_demo(running)
        assert read_everything(running, rows) != before
        must_hither("revert", snapshot_id, home=home)
        after = read_everything(running, rows)
        for chain, found in before.items():
            assert after[chain] == found, chain
        urls = {row["caip2"]: row["rpc_url"] for row in running.endpoints["foreign"]}
        for row in later[1:]:
            with (
                pytest.raises(AssertionError)
                if row["chain"].startswith("bip122")
                else pytest.raises(KeyError)
            ):
                found = read_chain(row["chain"], urls[row["chain"]], [], [row["transaction_id"]])
                if found["transactions"] == [None]:
                    raise KeyError(row["transaction_id"])
        again = hither("revert", snapshot_id, home=home)
        assert (again.returncode, "it may have been used" in again.stderr) == (1, True)
        show_demo(running)
        assert running.endpoints["mpc"]["domains"] == keys
        running.end()


def test_snapshot_outlives_a_kill_and_fresh_forgets_everything(home: Path) -> None:
    """A name given before the end is good after it; --fresh leaves nothing of any chain."""
    with network(home, "--quiet", is_alone=False) as running:
        rows = show_demo(running)
        before = read_everything(running, rows)
        snapshot_id = must_hither("snapshot", home=home)
        show_demo(running)
        running.process.kill()
        running.process.wait()
    assert wait_until_gone(str(home)) == []
    with network(home, "--quiet", is_alone=False) as running:
        must_hither("revert", snapshot_id, home=home)
        after = read_everything(running, rows)
        for chain, found in before.items():
            assert after[chain] == found, chain
        keys = running.endpoints["mpc"]["domains"]
        running.end()
    with network(home, "--quiet", "--fresh", is_alone=False) as running:
        assert running.endpoints["mpc"]["domains"] != keys
        assert hither("revert", snapshot_id, home=home).returncode == 1
        bitcoin = next(row for row in running.endpoints["foreign"] if row["caip2"].startswith("bip122"))
        assert ask(bitcoin["rpc_url"], "getblockcount") == 110
        assert not (home / "transfers").exists()
        running.end()
