"""chainsig.js, unmodified, against ``hither up``: the same addresses as ours, and its transfers arrive."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from embit.ec import PublicKey as BitcoinKey
from embit.networks import NETWORKS
from embit.script import p2wpkh
from eth_account import Account as EthereumAccount
from eth_account.messages import encode_defunct, encode_typed_data
from eth_keys.datatypes import PublicKey as EthereumKey
from solana.rpc.async_api import AsyncClient as SolanaClient
from solana.rpc.commitment import Confirmed
from solders.pubkey import Pubkey
from solders.signature import Signature
from web3 import HTTPProvider, Web3

from hither.client import AsyncClient, Client, Signer
from hither.codec import base58
from hither.foreign.caip import parse_chain_id
from hither.foreign.engines.faucet import fund
from hither.foreign.evm import EvmAdapter
from hither.foreign.evm_chains import get_evm_chain
from hither.foreign.solana import SolanaAdapter
from hither.foreign.transport import JsonRpc
from hither.mpc.client import SigningClient
from hither.sdk import Account
from hither.sdk import Network as SdkNetwork
from tests.e2e.cli.running import Network, network

pytestmark = pytest.mark.slow

HERE: Final = Path(__file__).resolve().parent
SCRIPT_S_MAX: Final = 120
CONTRACT_ID: Final = "signer.test.near"
ALICE: Final = "alice.near"
PATHS: Final = {"evm": "ethereum-1", "bitcoin_regtest": "bitcoin-1", "solana": "solana-1"}
"""As hither.sdk has them."""
OTHER_PAIRS: Final = (
    ("bob.near", "ethereum-1"),
    ("nobody.made.this.near", "a path, with comma"),
    ("0f" * 32, ""),
    ("alice.near", "Ünï/0'/1"),
)
PAIRS: Final = (*((ALICE, path) for path in PATHS.values()), *OTHER_PAIRS)
ETHER: Final = 10**18
SOL: Final = 10**9
BITCOIN: Final = 10**8
COINS: Final = 4
EVM_RECEIVER: Final = Web3.to_checksum_address("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
SOLANA_RECEIVER: Final = str(Pubkey(hashlib.sha256(b"a receiver").digest()))
TYPED_DATA: Final = {
    "domain": {"name": "A market", "version": "1", "chainId": 1, "verifyingContract": EVM_RECEIVER},
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"},
        ],
        "Order": [{"name": "buyer", "type": "address"}, {"name": "amount", "type": "uint256"}],
    },
    "primaryType": "Order",
    "message": {"buyer": EVM_RECEIVER, "amount": 7},
}


def get_libraries() -> Path:
    """Where `make setup` has put them."""
    lock = (HERE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("HITHER_CACHE", Path.home() / ".cache/hither"))
    folder = cache / "chainsig" / hashlib.sha256(lock).hexdigest()[:16]
    assert (folder / "complete").exists(), "chainsig.js is not installed: run `make setup`"
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Our chain, the signing network and all other chains."""
    with network(tmp_path_factory.mktemp("home"), "--quiet", is_alone=False) as everything:
        yield everything


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script beside its libraries: modules of Node.js are found from where the script is."""
    folder = tmp_path_factory.mktemp("script")
    (folder / "node_modules").symlink_to(get_libraries() / "node_modules")
    return Path(shutil.copy(HERE / "chainsig.mjs", folder))


def run_task(script: Path, running: Network, task: str, **setting: Any) -> tuple[Any, list[str]]:
    """What came of it, and the transactions on our chain that asked for signatures."""
    setting = {
        "task": task,
        "near_url": running.url,
        "contract_id": running.endpoints["mpc"]["contract_id"],
        "signer": {"account_id": ALICE, "secret_key": running.get_key(ALICE)},
        **setting,
    }
    result = subprocess.run(
        ["node", str(script)],
        input=json.dumps(setting),
        capture_output=True,
        text=True,
        timeout=SCRIPT_S_MAX,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    seen = json.loads(result.stdout.splitlines()[-1])
    return seen["result"], seen["asked"]


def get_row(running: Network, chain: str) -> dict[str, Any]:
    """Of endpoints.json, by the beginning of the chain's id."""
    (row,) = [row for row in running.endpoints["foreign"] if row["caip2"].startswith(chain)]
    return dict(row)


def must_fund(row: dict[str, Any], address: str, amount: int) -> None:
    """From the chain's faucet."""
    asyncio.run(fund(parse_chain_id(row["caip2"]), row["rpc_url"], address, amount))


def get_own_address(running: Network, chain: str) -> str:
    """Alice's, by our own library."""

    async def ask() -> str:
        signer = Signer(ALICE, running.get_key(ALICE))
        async with Account(SdkNetwork.from_endpoints(running.endpoints), signer) as account:
            return await account.get_address(parse_chain_id(chain))

    return asyncio.run(ask())


def view_key(client: Client, pair: tuple[str, str], domain_id: int) -> bytes:
    """What the contract says: 64 bytes on secp256k1, 32 on ed25519."""
    arguments = {"predecessor": pair[0], "path": pair[1], "domain_id": domain_id}
    text: str = client.view(CONTRACT_ID, "derived_public_key", arguments).json()
    return base58.decode(text.partition(":")[2])


def list_by_contract(running: Network, pair: tuple[str, str]) -> dict[str, str]:
    """Keys by the contract's view, addresses by libraries that are not ours."""
    with Client(running.url) as client:
        ecdsa_key, eddsa_key = view_key(client, pair, 0), view_key(client, pair, 1)
    script = p2wpkh(BitcoinKey.parse(bytes([2 + (ecdsa_key[63] & 1)]) + ecdsa_key[:32]))
    return {
        "evm": EthereumKey(ecdsa_key).to_checksum_address(),
        "bitcoin_mainnet": script.address(NETWORKS["main"]),
        "bitcoin_testnet": script.address(NETWORKS["test"]),
        "bitcoin_regtest": script.address(NETWORKS["regtest"]),
        "solana": str(Pubkey(eddsa_key)),
        "secp256k1_key": "04" + ecdsa_key.hex(),
        "ed25519_key": f"ed25519:{base58.encode(eddsa_key)}",
    }


async def derive_by_client(running: Network, pair: tuple[str, str]) -> dict[str, str]:
    """Keys and addresses by our own client, from the root keys."""
    evm = EvmAdapter(get_evm_chain(parse_chain_id("eip155:1")), JsonRpc("http://127.0.0.1:9"))
    solana = SolanaAdapter(
        parse_chain_id(get_row(running, "solana:")["caip2"]), JsonRpc("http://127.0.0.1:9")
    )
    async with AsyncClient(running.url) as client:
        signing = SigningClient(client, CONTRACT_ID)
        ecdsa_key, eddsa_key = [await signing.derive_key(*pair, domain_id) for domain_id in (0, 1)]
    return {"evm": evm.derive_address(ecdsa_key), "solana": solana.derive_address(eddsa_key)}


def test_addresses_agree(running: Network, script: Path) -> None:
    """By chainsig.js through the contract and by itself, by the contract, by our client and by our library."""
    with Client(running.url) as client:
        ed25519_root = client.view(CONTRACT_ID, "public_key", {"domain_id": 1}).json()
    rows, _ = run_task(script, running, "derive", pairs=PAIRS, ed25519_root=ed25519_root)
    for pair, row in zip(PAIRS, rows, strict=True):
        assert row.pop("local_secp256k1_key") == row["secp256k1_key"]
        assert row.pop("local_ed25519_key") == row["ed25519_key"]
        assert row == list_by_contract(running, pair)
        ours = asyncio.run(derive_by_client(running, pair))
        assert ours == {name: row[name] for name in ours}
    assert len({row["evm"] for row in rows}) == len({row["solana"] for row in rows}) == len(PAIRS)
    by_path = {path: row for (account_id, path), row in zip(PAIRS, rows, strict=True) if account_id == ALICE}
    for chain in [row["caip2"] for row in running.endpoints["foreign"]]:
        name = {"eip155": "evm", "bip122": "bitcoin_regtest", "solana": "solana"}[chain.partition(":")[0]]
        assert get_own_address(running, chain) == by_path[PATHS[name]][name]


def check_asked(running: Network, hashes: list[str], count: int) -> None:
    """Each signature was asked for by a call of alice's on our chain."""
    assert len(set(hashes)) == count
    with Client(running.url) as client:
        for hash_ in hashes:
            transaction = client.wait_for(hash_, ALICE).json["transaction"]
            assert (transaction["signer_id"], transaction["receiver_id"]) == (ALICE, CONTRACT_ID)
            assert transaction["actions"][0]["FunctionCall"]["method_name"] == "sign"


# Where chains of the OP stack put what they take for data on the parent chain.
PARENT_FEE_VAULT = Web3.to_checksum_address("0x420000000000000000000000000000000000001a")


@pytest.mark.parametrize("chain", ["eip155:1", "eip155:8453", "eip155:42161"])
def test_evm_transfers_arrive(running: Network, script: Path, chain: str) -> None:
    """One of the fee market, one legacy, as web3.py reads them."""
    row = get_row(running, chain)
    address = Web3.to_checksum_address(get_own_address(running, chain))
    must_fund(row, address, ETHER)
    web3 = Web3(HTTPProvider(row["rpc_url"]))
    before = web3.eth.get_balance(EVM_RECEIVER), web3.eth.get_transaction_count(address)
    vault_before = web3.eth.get_balance(PARENT_FEE_VAULT)
    amounts = [str(ETHER // 10), str(ETHER // 5)]
    setting = {"url": row["rpc_url"], "path": PATHS["evm"], "receiver": EVM_RECEIVER, "amounts": amounts}
    result, asked = run_task(script, running, "evm", **setting)
    assert (result["address"], result["balance_before"]) == (address, str(ETHER))
    paid = 0
    for index, hash_ in enumerate(result["hashes"]):
        receipt = web3.eth.wait_for_transaction_receipt(hash_, timeout=SCRIPT_S_MAX)
        transaction = web3.eth.get_transaction(hash_)
        assert receipt["status"] == 1
        assert (transaction["from"], transaction["to"]) == (address, EVM_RECEIVER)
        assert transaction["value"] == int(amounts[index])
        assert transaction["nonce"] == before[1] + index
        assert (transaction["type"], transaction["chainId"]) == (2 - 2 * index, int(chain.partition(":")[2]))
        paid += transaction["value"] + receipt["gasUsed"] * receipt["effectiveGasPrice"]
    assert web3.eth.get_balance(EVM_RECEIVER) == before[0] + ETHER // 10 + ETHER // 5
    parent_fee = web3.eth.get_balance(PARENT_FEE_VAULT) - vault_before
    assert (parent_fee > 0) == (chain == "eip155:8453")
    assert web3.eth.get_balance(address) == ETHER - paid - parent_fee
    check_asked(running, asked, 2)


def test_evm_messages_recover_to_the_derived_address(running: Network, script: Path) -> None:
    """EIP-191 and EIP-712, as eth-account reads them."""
    row = get_row(running, "eip155:1")
    setting = {"url": row["rpc_url"], "path": "messages", "message": "Good day", "typed_data": TYPED_DATA}
    result, asked = run_task(script, running, "evm_messages", **setting)
    for name, signable in (
        ("message", encode_defunct(text="Good day")),
        ("typed_data", encode_typed_data(full_message=TYPED_DATA)),
    ):
        recovered = EthereumAccount.recover_message(signable, signature=result[name])
        assert recovered == result["address"]
    check_asked(running, asked, 2)


def test_solana_transfer_arrives(running: Network, script: Path) -> None:
    """As solana-py reads it."""
    row = get_row(running, "solana:")
    address = get_own_address(running, row["caip2"])
    must_fund(row, address, SOL)
    setting = {
        "url": row["rpc_url"],
        "path": PATHS["solana"],
        "receiver": SOLANA_RECEIVER,
        "amounts": [str(SOL // 4)],
    }
    result, asked = run_task(script, running, "solana", **setting)
    assert (result["address"], result["balance_before"]) == (address, str(SOL))

    async def read() -> tuple[Any, int, int]:
        async with SolanaClient(row["rpc_url"], Confirmed) as client:
            signature = Signature.from_string(result["hashes"][0])
            await client.confirm_transaction(signature, Confirmed)
            found = await client.get_transaction(signature, "json", max_supported_transaction_version=0)
            owners = [Pubkey.from_string(text) for text in (address, SOLANA_RECEIVER)]
            balances = [(await client.get_balance(owner)).value for owner in owners]
            return found.value, balances[0], balances[1]

    found, left, received = asyncio.run(read())
    assert found.transaction.meta.err is None
    assert str(found.transaction.transaction.message.account_keys[0]) == address
    assert received == SOL // 4
    assert left == SOL - SOL // 4 - found.transaction.meta.fee
    check_asked(running, asked, 1)


def test_bitcoin_transfer_arrives(running: Network, script: Path) -> None:
    """Four coins, so four signatures, asked for at once; the node's answers to Core's own methods tell the same."""
    row = get_row(running, "bip122:")
    address = get_own_address(running, row["caip2"])
    for _ in range(COINS):
        must_fund(row, address, BITCOIN)
    receiver = p2wpkh(
        BitcoinKey.parse(
            bytes.fromhex("02" + "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
        )
    ).address(NETWORKS["regtest"])
    amount = (COINS - 1) * BITCOIN + BITCOIN // 2
    setting = {"url": row["rpc_url"], "path": PATHS["bitcoin_regtest"], "receiver": receiver}
    result, asked = run_task(script, running, "bitcoin", **setting, amounts=[str(amount)])
    assert (result["address"], result["balance_before"]) == (address, str(COINS * BITCOIN))
    assert result["payloads"] == COINS
    request = {"jsonrpc": "2.0", "id": 1, "method": "getrawtransaction", "params": [result["hashes"][0], 2]}
    transaction = httpx.post(row["rpc_url"], json=request, timeout=60).json()["result"]
    paid = {
        entry["scriptPubKey"]["address"]: round(entry["value"] * BITCOIN) for entry in transaction["vout"]
    }
    assert set(paid) == {receiver, address}
    assert paid[receiver] == amount
    assert 0 < COINS * BITCOIN - amount - paid[address] < 2_000
    assert [entry["prevout"]["scriptPubKey"]["address"] for entry in transaction["vin"]] == [address] * COINS
    assert transaction["confirmations"] == 1
    check_asked(running, asked, COINS)


def test_a_refusal_reaches_the_user(running: Network, script: Path) -> None:
    """In the contract's words, through near-api-js."""
    cases = [
        {"key_type": "Ecdsa", "payload": [0] * 32},
        {"key_type": "Ecdsa", "payload": [7] * 31},
        {"key_type": "Eddsa", "payload": [7] * 1233},
    ]
    reasons = ["above zero and below the order", "32 bytes in hex", "0 to 1232 bytes"]
    messages, _ = run_task(script, running, "refusals", path="a path", cases=cases)
    for message, reason in zip(messages, reasons, strict=True):
        assert reason in message
