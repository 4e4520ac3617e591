"""What the contract builds, in the VM that runs contracts, against the Python adapters: byte for byte."""

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from solders.hash import Hash
from solders.pubkey import Pubkey

from hither.client import Client, ContractFailed
from hither.codec import base58
from hither.foreign import evm_transactions as evm
from hither.foreign.adapter import Adapter, EcdsaSignature, Scheme, UnsignedTransaction
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.bitcoin_addresses import MAINNET, REGTEST, TESTNET, derive_script, parse_address
from hither.foreign.bitcoin_transactions import Coin, Draft, Output, encode_draft
from hither.foreign.caip import parse_chain_id
from hither.foreign.errors import ForeignError
from hither.foreign.evm import EvmAdapter
from hither.foreign.evm_chains import get_evm_chain
from hither.foreign.secp256k1 import decompress_key
from hither.foreign.solana import SolanaAdapter
from hither.foreign.solana_messages import TransferPlan, build_transfer_message
from hither.foreign.transport import JsonRpc
from hither.mpc.requests import EddsaSignature, signature_to_json
from hither.sdk.treasury import make_payment, read_contract
from hither.testing.network import LocalNetwork
from tests.unit.foreign.signing_network import SigningNetwork

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
NOWHERE = "http://127.0.0.1:1"
SOLANA = parse_chain_id("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp")
SIGNING = SigningNetwork("treasury")
ECDSA_KEY = SIGNING.get_public_key(Scheme.ECDSA)
EDDSA_KEY = SIGNING.get_public_key(Scheme.EDDSA)
KEYS = {
    "ethereum": f"secp256k1:{base58.encode(decompress_key(ECDSA_KEY).data)}",
    "bitcoin": f"secp256k1:{base58.encode(decompress_key(ECDSA_KEY).data)}",
    "solana": f"ed25519:{base58.encode(EDDSA_KEY)}",
}
EVM_RECEIVER = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
SOLANA_RECEIVER = "FSgsbMdfhTqrUJtzGtz4NzFyJM9h7gKDt5tG7yQ4jAt3"
BITCOIN_RECEIVERS = {
    "regtest": [
        "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
        "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry",
        "bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6",
        "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn",
        "2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc",
    ],
    "main": [
        "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        "bc1pmfr3p9j00pfxjh0zmgp99y8zftmd3s5pmedqhyptwy6lm87hf5sspknck9",
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
        "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
    ],
    "test": ["tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"],
}
NETWORKS = {"regtest": REGTEST, "main": MAINNET, "test": TESTNET}


@pytest.fixture(scope="module")
def contract() -> Iterator[Client]:
    """A treasury of alice alone."""
    with LocalNetwork() as network, network.connect("alice.near") as client:
        client.deploy(read_contract())
        setting = {"owners": ["alice.near"], "votes_needed": 1, "signer_id": "bob.near"}
        client.call("alice.near", "new", setting)
        yield client


def must_be_equal(client: Client, adapter: Adapter, body: bytes, arguments: dict[str, Any]) -> None:
    """The payloads, and with the same signatures the transaction."""
    key = ECDSA_KEY if adapter.scheme is Scheme.ECDSA else EDDSA_KEY
    unsigned = UnsignedTransaction(adapter.chain, key, body)
    payloads = adapter.list_payloads(unsigned)
    signatures = [SIGNING.sign(payload) for payload in payloads]
    told = [
        signature_to_json(one if isinstance(one, EcdsaSignature) else EddsaSignature(one.signature))
        for one in signatures
    ]
    found = client.view(
        "alice.near", "preview", {"nonce": 0, "keys": KEYS, "signatures": told, **arguments}
    ).json()
    name = "Ecdsa" if adapter.scheme is Scheme.ECDSA else "Eddsa"
    assert found["payloads"] == [{name: payload.data.hex()} for payload in payloads]
    assert b64decode(found["transaction"]) == adapter.attach(unsigned, signatures).raw


@pytest.mark.parametrize("chain_id", [1, 127, 128, 8453, 42161, 2**53 - 111])
@pytest.mark.parametrize("nonce", [0, 1, 127, 128, 256, 2**32])
def test_evm_payment_is_the_adapters(contract: Client, chain_id: int, nonce: int) -> None:
    """Every length of a number on the way."""
    chain = parse_chain_id(f"eip155:{chain_id}")
    adapter = EvmAdapter(get_evm_chain(chain), JsonRpc(NOWHERE))
    for amount, price, tip, gas in [
        (0, 1, 0, 21_000),
        (1, 255, 256, 100_000),
        (10**30, 10**20, 10**18, 2**40),
    ]:
        fields = (chain_id, nonce, tip, price, gas, bytes.fromhex(EVM_RECEIVER[2:]), amount)
        body = evm.encode_unsigned(evm.FeeMarketTransaction(*fields))
        payment = make_payment(chain, EVM_RECEIVER, amount, gas * price)
        means = {"gas_limit": gas, "gas_price_max": str(price), "priority_fee_max": str(tip)}
        must_be_equal(contract, adapter, body, {"payment": payment, "means": {"Evm": means}, "nonce": nonce})


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("count", [1, 3])
def test_bitcoin_payment_is_the_adapters(contract: Client, network: str, count: int) -> None:
    """To every type of address, with change and without, from one coin and from several."""
    info = NETWORKS[network]
    adapter = BitcoinAdapter(info.chain, JsonRpc(NOWHERE))
    own = derive_script(ECDSA_KEY)
    coins = tuple(Coin(f"{7 * index + 1:064x}", index, 50_000, own) for index in range(count))
    named = [
        {"transaction_id": coin.transaction_id, "index": coin.index, "amount": "50000"} for coin in coins
    ]
    for receiver in BITCOIN_RECEIVERS[network]:
        for rest in (0, 545, 546, 20_000):
            fee = 700
            amount = 50_000 * count - fee - rest
            outputs = [Output(amount, parse_address(receiver, info))]
            outputs += [Output(rest, own)] if rest >= 546 else []
            payment = make_payment(info.chain, receiver, amount, fee + (rest if rest < 546 else 0))
            means = {"Bitcoin": {"coins": named, "fee": str(fee)}}
            body = encode_draft(Draft(coins, tuple(outputs)))
            must_be_equal(contract, adapter, body, {"payment": payment, "means": means})


@pytest.mark.parametrize("receiver", [SOLANA_RECEIVER, str(Pubkey(EDDSA_KEY))])
@pytest.mark.parametrize("lamports", [1, 2**32, 2**64 - 1])
def test_solana_payment_is_the_adapters(contract: Client, receiver: str, lamports: int) -> None:
    """To somebody else, and to itself, where the same account is named once."""
    adapter = SolanaAdapter(SOLANA, JsonRpc(NOWHERE))
    blockhash = Hash(bytes(range(32)))
    plan = TransferPlan(Pubkey(EDDSA_KEY), Pubkey.from_string(receiver), lamports, blockhash)
    payment = make_payment(SOLANA, receiver, lamports, 0)
    means = {"Solana": {"blockhash": str(blockhash)}}
    must_be_equal(contract, adapter, build_transfer_message(plan), {"payment": payment, "means": means})


GOOD = {
    "eip155:1": [EVM_RECEIVER, EVM_RECEIVER.lower(), "0x" + EVM_RECEIVER[2:].upper()],
    "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp": [SOLANA_RECEIVER],
    **{str(NETWORKS[name].chain): receivers for name, receivers in BITCOIN_RECEIVERS.items()},
}


def list_mistakes(good: str) -> list[str]:
    """One letter another, missing, too many; another case; nothing."""
    places = (0, 1, 5, len(good) // 2, len(good) - 1)
    swapped = [good[:at] + ("q" if good[at] != "q" else "p") + good[at + 1 :] for at in places]
    return [*swapped, "bc1sw50qgdz25j", good[:-1], good + "1", good[1:], good.swapcase(), "", "ü" * 20]


@pytest.mark.parametrize("chain", GOOD)
def test_addresses_are_taken_and_refused_alike(contract: Client, chain: str) -> None:
    """Each mistake that the adapter sees, the contract sees before anybody can vote; those of other chains too."""
    parsed = parse_chain_id(chain)
    rpc = JsonRpc(NOWHERE)
    adapters: dict[str, Adapter] = {
        "eip155": EvmAdapter(get_evm_chain(parse_chain_id("eip155:1")), rpc),
        "solana": SolanaAdapter(SOLANA, rpc),
    }
    adapter = adapters.get(parsed.namespace) or BitcoinAdapter(parsed, rpc)
    own = GOOD[chain]
    others = [one for key, receivers in GOOD.items() if key != chain for one in receivers]
    texts = [*own, *(wrong for one in own for wrong in list_mistakes(one)), *others]
    verdicts = []
    for text in texts:
        try:
            adapter.parse_address(text)
            is_good = True
        except ForeignError:
            is_good = False
        arguments = {
            "payment": make_payment(parsed, text, 10_000, 10**6),
            "means": {
                "eip155": {"Evm": {"gas_limit": 1, "gas_price_max": "1", "priority_fee_max": "0"}},
                "solana": {"Solana": {"blockhash": "1" * 32}},
                "bip122": {
                    "Bitcoin": {
                        "coins": [{"transaction_id": "1" * 64, "index": 0, "amount": "99999"}],
                        "fee": "1",
                    }
                },
            }[parsed.namespace],
            "nonce": 0,
            "keys": KEYS,
        }
        try:
            contract.view("alice.near", "preview", arguments)
            is_taken = True
        except ContractFailed:
            is_taken = False
        assert is_taken == is_good, text
        verdicts.append(is_good)
    assert all(verdicts[: len(own)])
    assert not all(verdicts)
