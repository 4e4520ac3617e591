"""The main job: one account on every chain, and clients that are not ours read the same."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from embit import transaction as embit_transaction
from embit.ec import PublicKey
from embit.networks import NETWORKS as embit_networks
from embit.script import p2wpkh
from solana.rpc.async_api import AsyncClient
from solders.signature import Signature
from web3 import Web3

from hither.client import Client
from hither.foreign.cache import find_cache
from hither.foreign.engines.ports import find_network_offset
from tests.e2e.cli.running import PROGRAMS, Network, hither, must_hither, network
from tests.e2e.demo.falsifying import Falsify, falsified

pytestmark = pytest.mark.slow
ROLLUPS = ["eip155:1", "eip155:8453", "eip155:42161"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Our chain, the signing network and all other chains."""
    with network(tmp_path_factory.mktemp("home"), "--quiet", is_alone=False) as everything:
        yield everything


@pytest.fixture(scope="module")
def rows(running: Network) -> list[dict[str, Any]]:
    """What ``hither demo`` says."""
    output = must_hither("demo", "--json", home=running.home)
    rows: list[dict[str, Any]] = json.loads(output)
    return rows


def get_transfer(rows: list[dict[str, Any]], chain: str) -> dict[str, Any]:
    """The plain transfer on a chain, or on the one chain of a family."""
    (row,) = [row for row in rows if row["chain"].startswith(chain) and row["deed"] == "transfer"]
    return row


def get_url(running: Network, chain: str) -> str:
    (row,) = [row for row in running.endpoints["foreign"] if row["caip2"] == chain]
    return str(row["rpc_url"])


def test_every_chain_of_the_network_is_shown(running: Network, rows: list[dict[str, Any]]) -> None:
    """Ours first, then each of endpoints.json; addresses on chains of one family are the same."""
    foreign = [row["caip2"] for row in running.endpoints["foreign"]]
    assert [row["chain"] for row in rows if row["deed"] == "transfer"] == ["near:localnet", *foreign]
    assert {chain.partition(":")[0] for chain in foreign} == {"bip122", "eip155", "solana"}
    assert len({row["address"] for row in rows if row["chain"].startswith("eip155")}) == 1


def test_each_row_says_what_came_of_it(running: Network, rows: list[dict[str, Any]]) -> None:
    """Nine of them: amount, id, confirmations, fee and time; a new account, which had nothing anywhere."""
    assert len(rows) == 9
    assert re.fullmatch(r"demo-[0-9a-f]{8}\.test\.near", rows[0]["address"])
    coins = {"near": "N", "bip122": "BTC", "eip155": "ETH", "solana": "SOL"}
    for row in rows:
        coin = coins[row["chain"].partition(":")[0]]
        assert float(row["fee"].removesuffix(f" {coin}")) > 0, row
        assert row["confirmations"] >= 1 and row["total_ms"] > 0 and row["transaction_id"], row
        is_new = row["deed"] in ("transfer", "paid by a treasury after a vote")
        before = (row["account_balance_before"], row["account_nonce_before"])
        assert (before == (f"0 {coin}", 0)) is is_new, row
    assert [row["amount"] for row in rows[:6]] == ["1 N", "0.001 BTC", *["0.001 ETH"] * 3, "0.01 SOL"]
    assert (rows[6]["amount"], rows[8]["amount"]) == ("0.01 ETH", "0.0025 BTC")


def test_each_foreign_signature_was_asked_for_on_our_chain(
    running: Network, rows: list[dict[str, Any]]
) -> None:
    """The transaction in the row is a call of ``sign`` by the account of the row, and it succeeded."""
    account_id = rows[0]["address"]
    with Client(running.url) as client:
        for row in rows[1:-1]:
            assert row["sign_tx"]
            for hash_ in row["sign_tx"]:
                transaction = client.wait_for(hash_, account_id).json["transaction"]
                (action,) = transaction["actions"]
                assert (transaction["signer_id"], transaction["receiver_id"]) == (
                    account_id,
                    "signer.test.near",
                )
                assert action["FunctionCall"]["method_name"] == "sign"


def test_acts_are_shown_after_the_transfers(running: Network, rows: list[dict[str, Any]]) -> None:
    """A swap on Uniswap, a token on Solana, and a treasury that two of three owners let pay."""
    swap, token, treasury = rows[-3:]
    assert [row["chain"].partition(":")[0] for row in rows[-3:]] == ["eip155", "solana", "bip122"]
    assert swap["deed"].startswith("swap on Uniswap v3 for 19.9")
    assert (token["deed"], token["amount"][:16]) == ("SPL token", "250 of the token")
    assert treasury["deed"] == "paid by a treasury after a vote"
    with Client(running.url) as client:
        (execution,) = treasury["sign_tx"]
        result = client.wait_for(execution, rows[0]["address"])
        contract_id = result.json["transaction"]["receiver_id"]
        proposal = client.view(contract_id, "get_proposal", {"id": 0}).json()
    assert proposal["votes"] == ["alice.near", rows[0]["address"]]
    assert proposal["status"] == "Signed"


def test_each_row_says_who_read_it_again(rows: list[dict[str, Any]]) -> None:
    """A client that is not ours, of the row's family."""
    witnesses = {
        "near": "near-api-js",
        "bip122": "Bitcoin Knots",
        "eip155": "web3.py",
        "solana": "@solana/web3.js",
    }
    for row in rows:
        assert row["verified_by"].startswith(witnesses[row["chain"].partition(":")[0]]), row


def lie_about_gas(receipt: dict[str, Any]) -> dict[str, Any]:
    """The sender paid less."""
    return {**receipt, "gasUsed": hex(int(receipt["gasUsed"], 16) - 1)}


def lie_about_slot(answer: dict[str, Any]) -> dict[str, Any]:
    """It is in another block."""
    return {
        **answer,
        "value": [status and {**status, "slot": status["slot"] - 1} for status in answer["value"]],
    }


def lie_about_depth(transaction: Any) -> Any:
    """More blocks hold it or follow."""
    if not isinstance(transaction, dict) or "confirmations" not in transaction:
        return transaction
    return {**transaction, "confirmations": transaction["confirmations"] + 5}


@pytest.mark.parametrize(
    ("chain", "method", "lie", "reason"),
    [
        ("eip155:8453", "eth_getTransactionReceipt", lie_about_gas, "the receipt's gas is wrong"),
        ("solana", "getSignatureStatuses", lie_about_slot, "its status says slot"),
        ("bip122", "getrawtransaction", lie_about_depth, "the height is"),
    ],
)
def test_falsified_answer_fails_the_row(
    running: Network,
    rows: list[dict[str, Any]],
    tmp_path: Path,
    chain: str,
    method: str,
    lie: Falsify,
    reason: str,
) -> None:
    """Our adapter believes it; the independent client does not, and the demonstration ends with the row's name.

    Another account sends each time, and what each address has before it is funded is told.
    """
    endpoints = json.loads((running.home / "endpoints.json").read_text())
    (row,) = [row for row in endpoints["foreign"] if row["caip2"].startswith(chain)]
    with falsified(row["rpc_url"], method, lie) as url:
        row["rpc_url"] = url
        (tmp_path / "endpoints.json").write_text(json.dumps(endpoints))
        result = hither("demo", "--json", home=tmp_path)
    assert result.returncode == 1
    assert "every row is final" in result.stderr, "our adapter took the lie"
    assert result.stdout == "", "no row is given for true"
    assert f"the demonstration failed: {row['caip2']}: transfer " in result.stderr.splitlines()[-1]
    assert reason in result.stderr
    (account_id,) = re.findall(r"(demo-\S+) does not exist, so it has balance 0 and nonce 0", result.stderr)
    assert account_id != rows[0]["address"]
    for each in endpoints["foreign"]:
        assert re.search(rf"{each['caip2']}: \S+ has balance 0 [A-Z]+ and nonce 0; funding it", result.stderr)


@pytest.mark.parametrize("chain", ROLLUPS)
def test_evm_transfer_is_what_web3_reads(running: Network, rows: list[dict[str, Any]], chain: str) -> None:
    """Sender, amount, nonce and success, under that chain's id."""
    row = next(row for row in rows if (row["chain"], row["deed"]) == (chain, "transfer"))
    web3 = Web3(Web3.HTTPProvider(get_url(running, chain)))
    transaction = web3.eth.get_transaction(row["transaction_id"])
    assert (transaction["from"], transaction["nonce"]) == (row["address"], row["account_nonce_before"])
    assert (transaction["chainId"], transaction["value"]) == (int(chain.partition(":")[2]), 10**15)
    assert web3.eth.get_transaction_receipt(row["transaction_id"])["status"] == 1


def test_bitcoin_transfer_is_what_embit_reads(running: Network, rows: list[dict[str, Any]]) -> None:
    """The spent coin is the derived address's, the receiver gets the amount, the block holds it."""
    row = get_transfer(rows, "bip122:")
    url = get_url(running, row["chain"])

    def ask(method: str, *params: Any) -> Any:
        request = {"jsonrpc": "1.0", "id": "test", "method": method, "params": params}
        answer = httpx.post(url, json=request, timeout=60).json()
        assert answer["error"] is None, answer
        return answer["result"]

    found = ask("getrawtransaction", row["transaction_id"], 1)
    transaction = embit_transaction.Transaction.from_string(found["hex"])
    assert transaction.txid().hex() == row["transaction_id"]
    regtest = embit_networks["regtest"]
    key = transaction.vin[0].witness.items[1]
    assert p2wpkh(PublicKey.parse(key)).address(regtest) == row["address"]
    assert 100_000 in [output.value for output in transaction.vout]
    assert row["transaction_id"] in ask("getblock", found["blockhash"], 1)["tx"]


def test_solana_transfer_is_what_solana_py_reads(running: Network, rows: list[dict[str, Any]]) -> None:
    """The payer is the derived address, and the transaction has no error."""
    row = get_transfer(rows, "solana:")

    async def read() -> Any:
        async with AsyncClient(get_url(running, row["chain"])) as client:
            signature = Signature.from_string(row["transaction_id"])
            return (
                await client.get_transaction(signature, "json", max_supported_transaction_version=0)
            ).value

    found = asyncio.run(read())
    assert found is not None
    assert found.transaction.meta is not None
    assert found.transaction.meta.err is None
    assert str(found.transaction.transaction.message.account_keys[0]) == row["address"]


def list_processes(word: str) -> list[str]:
    """Command lines that name this word."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # It ended meanwhile.
        if word in line:
            lines.append(line)
    return lines


def test_wrong_usage_is_told() -> None:
    """``--exit`` alone, and a demonstration without a signing network, are refused with a reason."""
    for arguments, reason in [(["--exit"], "goes with --demo"), (["--demo", "--alone"], "leave out --alone")]:
        result = subprocess.run(
            [str(PROGRAMS / "hither"), "up", *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert result.returncode == 2
        assert reason in result.stderr


def test_failed_demonstration_is_the_exit_code(tmp_path: Path) -> None:
    """``hither up --demo --exit`` where no independent client is installed: nothing is confirmed by silence."""
    cache, home = tmp_path / "cache", tmp_path / "home"
    cache.mkdir()
    for path in find_cache().iterdir():
        if path.name != "witnesses":
            (cache / path.name).symlink_to(path)
    result = subprocess.run(
        [str(PROGRAMS / "hither"), "up", "--demo", "--exit", "--quiet", "--home", str(home)]
        + ["--port-offset", str(find_network_offset())],
        env=os.environ | {"HITHER_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 1, result.stdout
    assert "the demonstration failed: the independent clients are not at " in result.stderr
    assert "every row is final" in result.stdout and "read again by" not in result.stdout
    assert list_processes(str(home)) == []
