"""All chains of a network as one: nothing is lost by a SIGKILL, and everything goes back to a snapshot."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx
import pytest
from embit.ec import PrivateKey
from embit.networks import NETWORKS as embit_networks
from embit.script import p2wpkh
from solders.keypair import Keypair

from hither.client import Client, Signer, UnknownAccount
from hither.client.actions import transfer
from hither.foreign.engines.control import Control
from hither.foreign.solana_tokens import TOKEN_PROGRAM
from hither.sdk.snapshots import take_snapshot
from tests.e2e.cli.running import Network, hither, must_hither, network
from tests.e2e.demo.test_demo import list_processes

pytestmark = pytest.mark.slow
SENDERS = ("alice", "bob", "carol")
SOLANA_STEP = 10**7
BITCOIN_STEP = 1_000
AS_JSON = {"encoding": "jsonParsed"}
PAUSE_S = 0.05
PAUSES = 60


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose processes are gone afterwards."""
    yield tmp_path
    assert wait_until_gone(str(tmp_path)) == []


def wait_until_gone(word: str) -> list[str]:
    deadline = time.monotonic() + 60
    while (left := list_processes(word)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def ask(url: str, method: str, *params: Any) -> Any:
    """A JSON-RPC method's result."""
    # Ours names its parameters.
    named = params[0] if method in ("query", "tx") else list(params)
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": named}
    answer = httpx.post(url, json=request, timeout=60).json()
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
                "tokens": [
                    ask(url, "getTokenAccountsByOwner", one, {"programId": str(TOKEN_PROGRAM)}, AS_JSON)[
                        "value"
                    ]
                    for one in addresses
                ],
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
    found["treasury"] = read_treasury(running, rows)
    for chain, url in urls.items():
        mine = [row for row in rows if row["chain"] == chain]
        addresses = list(dict.fromkeys(row["address"] for row in mine))
        found[chain] = read_chain(chain, url, addresses, [row["transaction_id"] for row in mine])
    return found


def read_treasury(running: Network, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the contract that paid a bitcoin knows: its owners, and the proposal with its votes."""
    (row,) = [row for row in rows if row["deed"] == "paid by a treasury after a vote"]
    with Client(running.url) as client:
        (execution,) = row["sign_tx"]
        contract_id = client.wait_for(execution, rows[0]["address"]).json["transaction"]["receiver_id"]
        return {
            "account": client.get_account(contract_id).amount,
            "owners": client.view(contract_id, "get_owners").json(),
            "proposal": client.view(contract_id, "get_proposal", {"id": 0}).json(),
        }


def must_have_written_states(running: Network) -> None:
    """Blocks that a node replays after a kill are others' (``anvil_journal``): here nothing is to be replayed."""
    journals = list((running.home / "foreign").glob("anvil-*/blocks"))
    assert len(journals) == 3
    running.must_become(lambda: all(path.stat().st_size == 0 for path in journals), "quiet")


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
        must_have_written_states(running)
        os.kill(running.process.pid, number)
        running.process.wait(timeout=60)
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


class Ring:
    """Goes around the chains, again and again: each step is taken when the one before was answered.

    So on each chain there are as many as on the one before, or one less. Number 0 leaves our chain out, and is the
    faster for it.
    """

    def __init__(self, running: Network, number: int) -> None:
        self.ending = threading.Event()
        self.rounds = 0
        self.has_home = number > 0
        self.urls = {row["caip2"].partition(":")[0]: row["rpc_url"] for row in running.endpoints["foreign"]}
        self.client = Client(
            running.url, signer=Signer(f"{SENDERS[number]}.near", running.get_key(f"{SENDERS[number]}.near"))
        )
        self.account_id = secrets.token_hex(32)
        self.evm = "0x" + secrets.token_hex(20)
        self.solana = str(Keypair().pubkey())
        self.bitcoin = str(
            p2wpkh(PrivateKey(secrets.token_bytes(32)).get_public_key()).address(embit_networks["regtest"])
        )
        self.payer = ask(self.urls["eip155"], "eth_accounts")[number]

    def go(self) -> None:
        """Until it is told to end."""
        while not self.ending.is_set():
            if self.has_home:
                self.client.send(self.account_id, transfer("1 yoctonear"))
            self.send_evm()
            ask(self.urls["solana"], "requestAirdrop", self.solana, SOLANA_STEP)
            ask(self.urls["bip122"], "hither_fund", self.bitcoin, BITCOIN_STEP)
            self.rounds += 1

    def send_evm(self) -> None:
        sent = ask(
            self.urls["eip155"],
            "eth_sendTransaction",
            {"from": self.payer, "to": self.evm, "value": "0x1"},
        )
        while ask(self.urls["eip155"], "eth_getTransactionReceipt", sent) is None:
            time.sleep(0.005)

    def count(self) -> list[int]:
        """How often each chain was reached, in the order of the steps."""
        own = []
        if self.has_home:
            with contextlib.suppress(UnknownAccount):
                own = [self.client.get_account(self.account_id).amount]
        coins = ask(self.urls["bip122"], "scantxoutset", "start", [f"addr({self.bitcoin})"])
        return [
            *own,
            int(ask(self.urls["eip155"], "eth_getBalance", self.evm, "latest"), 16),
            ask(self.urls["solana"], "getBalance", self.solana)["value"] // SOLANA_STEP,
            round(coins["total_amount"] * 10**8) // BITCOIN_STEP,
        ]


def go_on_from(running: Network, rings: list[Ring], going: list[Future[None]]) -> None:
    """The rings have gone on for a while when this returns."""
    reached = [ring.rounds for ring in rings]
    running.must_become(
        lambda: (
            any(one.done() for one in going)
            or all(ring.rounds > before + 1 for ring, before in zip(rings, reached, strict=True))
        ),
        "going on",
    )


@pytest.fixture
def pausing(monkeypatch: pytest.MonkeyPatch) -> list[Ring]:
    """Between our chain and the others a snapshot of this process gives these rings the time for several rounds.

    They cannot use it, so it is always spent whole; did nobody hold the other chains, it would be far too much.
    """
    rings: list[Ring] = []
    ask_control = Control.ask

    async def ask_late(control: Control, method: str, **parameters: str) -> None:
        reached = [ring.rounds for ring in rings]
        for _ in range(PAUSES if method == "snapshot" else 0):
            await asyncio.sleep(PAUSE_S)
            if all(ring.rounds > before + 3 for ring, before in zip(rings, reached, strict=True)):
                break
        await ask_control(control, method, **parameters)

    monkeypatch.setattr(Control, "ask", ask_late)
    return rings


def test_snapshot_with_traffic_beside_is_of_one_moment(home: Path, pausing: list[Ring]) -> None:
    """What a chain of it holds because of another one is in that one too: nothing has an effect before its cause."""
    with network(home, "--quiet", "--evm", "8453", is_alone=False) as running:
        rings = [Ring(running, number) for number in range(2)]
        pausing += rings
        with ThreadPoolExecutor() as threads:
            going = [threads.submit(ring.go) for ring in rings]
            try:
                snapshot_ids = []
                for _ in range(2):
                    go_on_from(running, rings, going)
                    snapshot_ids.append(asyncio.run(take_snapshot(running.endpoints, home)))
                go_on_from(running, rings, going)
            finally:
                for ring in rings:
                    ring.ending.set()
            for one in going:
                one.result()
        last = [ring.count() for ring in rings]
        for snapshot_id in reversed(snapshot_ids):
            must_hither("revert", snapshot_id, home=home)
            counts = [ring.count() for ring in rings]
            for now, later in zip(counts, last, strict=True):
                assert sorted(now, reverse=True) == now, counts
                assert now[-1] >= now[0] - 1, counts
                assert now[0] < later[0], (counts, last)
            last = counts
        for ring in rings:
            ring.client.close()
        running.end()


def test_other_chains_wait_for_who_holds_them_and_no_longer(home: Path) -> None:
    """Nobody is answered in between; when the holder is killed, everybody is."""
    code = """
import asyncio, pathlib, sys
from hither.foreign.engines.control import hold_engines
async def hold():
    async with hold_engines(pathlib.Path(sys.argv[1])):
        print("held", flush=True)
        await asyncio.Event().wait()
asyncio.run(hold())
"""
    with network(home, "--quiet", "--evm", "8453", is_alone=False) as running:
        holder = subprocess.Popen(
            [sys.executable, "-c", code, str(home / "foreign")], stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        urls = {row["caip2"].partition(":")[0]: row["rpc_url"] for row in running.endpoints["foreign"]}
        methods = {"eip155": "eth_blockNumber", "bip122": "getblockcount", "solana": "getSlot"}
        with ThreadPoolExecutor() as threads:
            answers = [threads.submit(ask, urls[family], method) for family, method in methods.items()]
            done, waiting = wait(answers, timeout=1)
            holder.kill()
            holder.wait()
            holder.stdout.close()
            assert (len(done), len(waiting)) == (0, 3)
            assert all(answer.result() is not None for answer in answers)
        must_hither("snapshot", home=home)
        running.end()


def count_bitcoin_blocks(running: Network) -> int:
    (url,) = [row["rpc_url"] for row in running.endpoints["foreign"] if row["caip2"].startswith("bip122")]
    return int(ask(url, "getblockcount"))


def test_snapshot_outlives_a_kill_and_fresh_forgets_everything(home: Path) -> None:
    """A name given before the end is good after it; --fresh leaves nothing of any chain."""
    with network(home, "--quiet", is_alone=False) as running:
        height = count_bitcoin_blocks(running)
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
        assert count_bitcoin_blocks(running) == height
        assert not (home / "transfers").exists()
        running.end()
