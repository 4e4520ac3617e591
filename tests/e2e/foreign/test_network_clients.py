"""Clients that are not ours read and send on every foreign chain of one ``hither up``, as their users write it.

chainsig.js has its own tests against such a network (``tests/e2e/chainsig``).
"""

import asyncio
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from embit.ec import PrivateKey
from embit.networks import NETWORKS
from embit.script import Witness, p2pkh, p2tr, p2wpkh
from embit.transaction import Transaction, TransactionInput, TransactionOutput
from eth_account import Account as EthereumAccount
from eth_account.signers.local import LocalAccount
from solana.rpc.async_api import AsyncClient as SolanaClient
from solders.keypair import Keypair
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractLogicError

from hither.foreign.engines.full_nodes import find_program
from hither.foreign.evm_artefacts import read_artefact
from tests.e2e.chainsig.test_chainsig import get_libraries as get_chainsig_libraries
from tests.e2e.cli.running import Network, network
from tests.e2e.foreign.test_solana import HERE, SOL, WEB3_JS_FINDS, get_javascript_libraries
from tests.e2e.foreign.test_solana_libraries import KIT_FINDS

pytestmark = pytest.mark.slow

EVM_CHAINS: Final = (1, 8453, 42161)
CLIENT_S_MAX: Final = 120
ETHER: Final = 10**18
BITCOIN: Final = 10**8
BOB: Final = Web3.to_checksum_address("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
PARENT_FEE_VAULT: Final = Web3.to_checksum_address("0x420000000000000000000000000000000000001a")
"""Where chains of the OP stack put what they take for data on the parent chain."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Our chain, the signing network and all other chains."""
    with network(tmp_path_factory.mktemp("home"), "--quiet", is_alone=False) as everything:
        yield everything


def get_url(running: Network, chain: str) -> str:
    """By the beginning of the chain's id, from endpoints.json."""
    (row,) = [row for row in running.endpoints["foreign"] if row["caip2"].startswith(chain)]
    return str(row["rpc_url"])


def get_accounts(running: Network, chain: str) -> list[dict[str, str]]:
    """Those with coins whose keys everybody knows, from endpoints.json."""
    (row,) = [row for row in running.endpoints["foreign"] if row["caip2"].startswith(chain)]
    accounts: list[dict[str, str]] = row["accounts"]
    return accounts


def test_known_keys_open_wallets_with_coins(running: Network) -> None:
    """Other people's libraries derive the same addresses from them, and other people's clients find money there."""
    for number in EVM_CHAINS:
        web3 = Web3(HTTPProvider(get_url(running, f"eip155:{number}")))
        for account in get_accounts(running, f"eip155:{number}"):
            assert EthereumAccount.from_key(account["secret_key"]).address == account["address"]
            assert web3.eth.get_balance(account["address"]) > ETHER
    for account in get_accounts(running, "bip122:"):
        key = PrivateKey.from_wif(account["secret_key"])
        assert p2wpkh(key).address(NETWORKS["regtest"]) == account["address"]
        found = CommandLine(get_url(running, "bip122:"))(
            "scantxoutset", "start", [f"addr({account['address']})"]
        )
        assert count_satoshis(found["total_amount"]) == BITCOIN
    asyncio.run(must_have_coins_on_solana(get_url(running, "solana:"), get_accounts(running, "solana:")))


async def must_have_coins_on_solana(url: str, accounts: list[dict[str, str]]) -> None:
    """By solana-py and solders."""
    async with SolanaClient(url, timeout=CLIENT_S_MAX) as client:
        for account in accounts:
            pair = Keypair.from_base58_string(account["secret_key"])
            assert str(pair.pubkey()) == account["address"]
            assert (await client.get_balance(pair.pubkey())).value == 100 * SOL


# EVM


def must_make_rich(web3: Web3, name: str) -> LocalAccount:
    """A key of its own, with ten ether from an account that the chain signs for."""
    account: LocalAccount = EthereumAccount.from_key(hashlib.sha256(name.encode()).digest())
    funder = web3.eth.accounts[0]
    hash_ = web3.eth.send_transaction({"from": funder, "to": account.address, "value": 10 * ETHER})
    assert web3.eth.wait_for_transaction_receipt(hash_, timeout=CLIENT_S_MAX)["status"] == 1
    return account


@pytest.mark.parametrize("number", EVM_CHAINS)
def test_web3_py_reads_and_sends(running: Network, number: int) -> None:
    """Every type of transaction, a contract, its logs and its refusals; the books balance to the wei."""
    web3 = Web3(HTTPProvider(get_url(running, f"eip155:{number}")))
    alice = must_make_rich(web3, f"web3.py on {number}")
    vault_before = web3.eth.get_balance(PARENT_FEE_VAULT)
    assert web3.is_connected()
    assert web3.eth.chain_id == number
    assert web3.eth.get_balance(alice.address) == 10 * ETHER
    assert web3.eth.get_transaction_count(alice.address) == 0
    tip = web3.eth.max_priority_fee
    price = web3.eth.get_block("latest")["baseFeePerGas"]
    assert len(web3.eth.fee_history(4, "latest", [50.0])["reward"]) >= 1

    common = {"chainId": number, "to": BOB, "gas": 30_000}
    dynamic = {"maxFeePerGas": 3 * price + tip, "maxPriorityFeePerGas": tip}
    access = [{"address": BOB, "storageKeys": ["0x" + "07" * 32]}]
    wished = [
        {"gasPrice": web3.eth.gas_price * 2},
        {"gasPrice": web3.eth.gas_price * 2, "accessList": access, "type": 1},
        {**dynamic, "data": b"hello"},
    ]
    received = web3.eth.get_balance(BOB)
    receipts = []
    for nonce, wish in enumerate(wished):
        signed = alice.sign_transaction({**common, **wish, "nonce": nonce, "value": ETHER // 10})
        hash_ = web3.eth.send_raw_transaction(signed.raw_transaction)
        assert hash_ == signed.hash
        receipts.append(web3.eth.wait_for_transaction_receipt(hash_, timeout=CLIENT_S_MAX))
        assert web3.eth.get_transaction(hash_)["type"] == nonce
    assert web3.eth.get_balance(BOB) == received + 3 * (ETHER // 10)

    weth = read_artefact("weth", "WETH9")
    wrapped = web3.eth.contract(abi=weth.abi, bytecode=weth.creation)

    def act(call: Any, **fields: Any) -> Any:
        nonce = web3.eth.get_transaction_count(alice.address)
        built = call.build_transaction({"from": alice.address, "nonce": nonce, **dynamic, **fields})
        hash_ = web3.eth.send_raw_transaction(alice.sign_transaction(built).raw_transaction)
        receipts.append(web3.eth.wait_for_transaction_receipt(hash_, timeout=CLIENT_S_MAX))
        return receipts[-1]

    token = web3.eth.contract(act(wrapped.constructor())["contractAddress"], abi=wrapped.abi)
    deposit = act(token.functions.deposit(), value=ETHER // 5)
    (event,) = token.events.Deposit().get_logs(from_block=deposit["blockNumber"])
    assert (event["args"]["dst"], event["args"]["wad"]) == (alice.address, ETHER // 5)
    assert token.functions.balanceOf(alice.address).call() == ETHER // 5
    with pytest.raises(ContractLogicError):
        token.functions.withdraw(ETHER).estimate_gas({"from": alice.address})
    assert all(one["status"] == 1 for one in receipts)
    gas = sum(one["gasUsed"] * one["effectiveGasPrice"] for one in receipts)
    parent_fee = web3.eth.get_balance(PARENT_FEE_VAULT) - vault_before
    assert (parent_fee > 0) == (number == 8453)
    left = 10 * ETHER - 3 * (ETHER // 10) - ETHER // 5 - gas - parent_fee
    assert web3.eth.get_balance(alice.address) == left
    block = web3.eth.get_block(deposit["blockHash"], full_transactions=True)
    assert block["transactions"][0]["hash"] == deposit["transactionHash"]


@pytest.mark.parametrize("number", EVM_CHAINS)
def test_viem_reads_and_sends(running: Network, tmp_path: Path, number: int) -> None:
    """The same, with its own definitions of these chains, and a subscription for new blocks."""
    url = get_url(running, f"eip155:{number}")
    web3 = Web3(HTTPProvider(url))
    alice = must_make_rich(web3, f"viem on {number}")
    vault_before = web3.eth.get_balance(PARENT_FEE_VAULT)
    weth = read_artefact("weth", "WETH9")
    task = {
        "url": url,
        "chain_id": number,
        "secret": alice.key.to_0x_hex(),
        "receiver": BOB,
        "abi": weth.abi,
        "bytecode": "0x" + weth.creation.hex(),
    }
    script = place_script(tmp_path, "network_viem.mjs", get_chainsig_libraries())
    found = run_script(script, text=json.dumps(task))
    parent_fee = web3.eth.get_balance(PARENT_FEE_VAULT) - vault_before
    assert (parent_fee > 0) == (int(found.pop("parent_fee")) > 0) == (number == 8453)
    assert int(found.pop("paid")) == int(found.pop("spent")) + parent_fee
    contract = Web3.to_checksum_address(found.pop("contract"))
    assert bytes(web3.eth.get_code(contract)) == weth.runtime
    assert found == {
        "chain_id": number,
        "types": ["legacy", "eip2930", "eip1559", "eip7702", "eip1559", "eip1559"],
        "nonce": 7,
        "code": "0xef0100" + BOB[2:].lower(),
        "held": str(10**15),
        "event": [alice.address, str(10**15)],
        "found": 1,
        "refusal": "ContractFunctionExecutionError",
        "last_of_block": alice.address.lower(),
        "has_fees": True,
        "is_told": True,
        "is_signed": True,
    }


def place_script(folder: Path, name: str, libraries: Path) -> Path:
    """Beside its libraries: modules of Node.js are found from where the script is."""
    (folder / "node_modules").symlink_to(libraries / "node_modules")
    return Path(shutil.copy(HERE / name, folder))


def run_script(script: Path, *arguments: str, text: str = "") -> Any:
    """What its last line says."""
    result = subprocess.run(
        ["node", str(script), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=CLIENT_S_MAX,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout.splitlines()[-1])


# Bitcoin


class CommandLine:
    """bitcoin-cli, as Bitcoin Knots ships it."""

    def __init__(self, url: str) -> None:
        address, _, port = url.removeprefix("http://").partition(":")
        self._program = [str(find_program("bitcoin-cli")), "-regtest", f"-rpcconnect={address}"]
        self._program += [f"-rpcport={port}", "-rpcuser=anybody", "-rpcpassword=anything", "-color=never"]

    def __call__(self, *arguments: Any, code: int = 0) -> Any:
        """What it prints, read as JSON where it is."""
        words = [one if isinstance(one, str) else json.dumps(one) for one in arguments]
        result = subprocess.run(
            [*self._program, *words], capture_output=True, text=True, timeout=CLIENT_S_MAX, check=False
        )
        assert result.returncode == code, result
        text = (result.stdout or result.stderr).strip()
        try:
            return json.loads(text, parse_float=str)
        except ValueError:
            return text


def count_satoshis(bitcoins: str) -> int:
    """Of an amount as Core writes it: eight places."""
    whole, _, rest = bitcoins.partition(".")
    return int(whole) * BITCOIN + int(rest.ljust(8, "0"))


def sign_spend(key: PrivateKey, coins: list[tuple[str, int, int]], outputs: list[tuple[int, Any]]) -> str:
    """By embit, from P2WPKH coins of the key: id, place and amount."""
    entries = [TransactionInput(bytes.fromhex(coin), place) for coin, place, _ in coins]
    transaction = Transaction(2, entries, [TransactionOutput(*one) for one in outputs])
    for index, (_, _, amount) in enumerate(coins):
        digest = transaction.sighash_segwit(index, p2pkh(key.get_public_key()), amount)
        signature = key.sign(digest).serialize() + b"\x01"
        transaction.vin[index].witness = Witness([signature, key.get_public_key().sec()])
    return str(transaction.serialize().hex())


def test_bitcoin_cli_reads_and_sends(running: Network) -> None:
    """Coins that it mines for a key of embit's are found, judged, spent and seen in a block."""
    ask = CommandLine(get_url(running, "bip122:"))
    key = PrivateKey(hashlib.sha256(b"a miner").digest(), network=NETWORKS["regtest"])
    script = p2wpkh(key.get_public_key())
    address = script.address(NETWORKS["regtest"])
    height = ask("getblockcount")
    names = ask("generatetoaddress", 101, address)
    assert ask("getblockcount") == height + 101
    chain = ask("getblockchaininfo")
    assert (chain["chain"], chain["blocks"], chain["bestblockhash"]) == ("regtest", height + 101, names[-1])
    assert [ask("getblockhash", height + 1), ask("getblockhash", height + 101)] == [names[0], names[-1]]
    block = ask("getblock", names[0], 2)
    (coinbase,) = block["tx"]
    assert coinbase["vout"][0]["scriptPubKey"]["address"] == address
    assert ask("getblock", names[0], 0).startswith(ask("getblockheader", names[0], "false"))

    found = ask("scantxoutset", "start", [f"addr({address})"])
    assert (found["success"], len(found["unspents"]), found["height"]) == (True, 101, height + 101)
    coin = next(one for one in found["unspents"] if one["txid"] == coinbase["txid"])
    amount = count_satoshis(coin["amount"])
    output = ask("gettxout", coinbase["txid"], 0)
    assert (count_satoshis(output["value"]), output["coinbase"]) == (amount, True)

    rate = ask("estimatesmartfee", 6)
    fee = max(1_000, count_satoshis(rate["feerate"]))
    outputs = [(amount - fee - 50_000, script), (50_000, p2tr(key.get_public_key()))]
    raw = sign_spend(key, [(coinbase["txid"], 0, amount)], outputs)
    young = next(one for one in found["unspents"] if one["height"] == height + 101)
    early = sign_spend(key, [(young["txid"], 0, count_satoshis(young["amount"]))], [(50_000, script)])
    verdicts = ask("testmempoolaccept", [raw]) + ask("testmempoolaccept", [early])
    assert (verdicts[0]["allowed"], count_satoshis(verdicts[0]["fees"]["base"])) == (True, fee)
    assert verdicts[1]["reject-reason"] == "bad-txns-premature-spend-of-coinbase"
    assert ask("sendrawtransaction", early, code=26).startswith("error code: -26\n")
    sent = ask("sendrawtransaction", raw)
    assert sent == verdicts[0]["txid"]

    assert ask("getrawmempool") == []  # The network mines what is sent.
    assert ask("getrawtransaction", sent) == raw
    read = ask("getrawtransaction", sent, 2)
    assert (read["confirmations"], count_satoshis(read["fee"])) == (1, fee)
    assert read["vin"][0]["prevout"]["scriptPubKey"]["address"] == address
    assert sent in ask("getblock", read["blockhash"])["tx"]
    assert ask("gettxout", coinbase["txid"], 0) == ""
    assert count_satoshis(ask("gettxout", sent, 1)["value"]) == 50_000
    assert ask("sendrawtransaction", raw, code=27).endswith("Transaction outputs already in utxo set")


# Solana


def test_web3_js_reads_and_sends_on_solana(running: Network, tmp_path: Path) -> None:
    """Both forms of messages, confirmed through its WebSocket, and a subscription to an account."""
    script = place_script(tmp_path, "solana_web3.mjs", get_javascript_libraries())
    found = run_script(script, get_url(running, "solana:"))
    assert "already been processed" in found.pop("refusal")
    assert found == WEB3_JS_FINDS


def test_kit_reads_and_sends_on_solana(running: Network, tmp_path: Path) -> None:
    """Confirmed by subscriptions for signatures and slots; accounts and logs are told."""
    script = place_script(tmp_path, "solana_kit.mjs", get_javascript_libraries())
    url = get_url(running, "solana:")
    address, port = url.removeprefix("http://").split(":")
    found = run_script(script, url, f"ws://{address}:{int(port) + 1}")
    assert found == KIT_FINDS
