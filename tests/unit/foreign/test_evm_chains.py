"""The table of EVM chains: where it comes from, and how chains are found in it."""

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from hither.foreign import evm_chains
from hither.foreign.adapter import Coin
from hither.foreign.caip import ChainId, parse_chain_id
from hither.foreign.errors import InvalidChainId
from hither.foreign.evm_chains import Family, find_evm_chain, get_evm_chain, list_evm_chains

ROOT = Path(__file__).resolve().parents[3]
TABLE = Path(evm_chains.__file__).with_name("evm_chains.json")


def find_viem() -> Path:
    """The version that the lock of tests/e2e/chainsig names, as set-up installed it."""
    cache = Path(os.environ.get("HITHER_CACHE") or Path.home() / ".cache" / "hither")
    lock = subprocess.run(
        ["sha256sum", ROOT / "tests/e2e/chainsig/package-lock.json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return cache / "chainsig" / lock.stdout[:16] / "node_modules" / "viem"


def test_the_table_is_what_the_script_writes() -> None:
    """From viem at the locked version: nothing in it was typed by hand."""
    program = ROOT / "scripts/generate_evm_chains.mjs"
    written = subprocess.run(["node", program, find_viem()], capture_output=True, check=True).stdout
    assert written == TABLE.read_bytes()
    table = msgspec.json.decode(written)
    assert table["entries"] >= 752 and len(table["chains"]) >= 724


def test_every_chain_can_be_had() -> None:
    """With CAIP-2 keys, coins with symbols, parents that are chains as well."""
    chains = list_evm_chains()
    assert len({entry.chain for entry in chains}) == len(chains)
    for entry in chains:
        assert entry.chain.namespace == "eip155" and parse_chain_id(str(entry.chain)) == entry.chain
        assert entry.name and entry.coin.symbol and 0 <= entry.coin.decimals <= 18
        assert all(url.startswith(("http://", "https://")) for url in entry.endpoints)
        if entry.family is Family.OP_STACK and entry.parent is not None:
            assert entry.parent != entry.chain


@pytest.mark.parametrize(
    ("number", "name", "coin", "family", "parent"),
    [
        (1, "Ethereum", Coin("ETH", 18), Family.EVM, None),
        (10, "OP Mainnet", Coin("ETH", 18), Family.OP_STACK, 1),
        (8453, "Base", Coin("ETH", 18), Family.OP_STACK, 1),
        (42161, "Arbitrum One", Coin("ETH", 18), Family.ARBITRUM, 1),
        (324, "ZKsync Era", Coin("ETH", 18), Family.ZK_STACK, 1),
        (204, "opBNB", Coin("BNB", 18), Family.OP_STACK, 56),
        (5000, "Mantle", Coin("MNT", 18), Family.EVM, 1),
        (100, "Gnosis", Coin("XDAI", 18), Family.EVM, None),
        (728126428, "Tron", Coin("TRX", 6), Family.EVM, None),
    ],
)
def test_known_chains(number: int, name: str, coin: Coin, family: Family, parent: int | None) -> None:
    """Name, coin, family and parent."""
    entry = get_evm_chain(ChainId("eip155", str(number)), confirmations=3)
    assert (entry.name, entry.coin, entry.family, entry.confirmations) == (name, coin, family, 3)
    assert entry.parent == (None if parent is None else ChainId("eip155", str(parent)))


def test_an_unknown_chain_is_named_by_its_id() -> None:
    """Nobody has to be in the table to be used."""
    entry = get_evm_chain(ChainId("eip155", "99999999999"))
    assert (entry.name, entry.coin.symbol, entry.family) == ("eip155:99999999999", "ETH", Family.EVM)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8453", 8453),
        ("eip155:8453", 8453),
        ("base", 8453),
        ("Base", 8453),
        ("ethereum", 1),
        ("mainnet", 1),
        ("arbitrum", 42161),
        ("Arbitrum One", 42161),
        ("optimism", 10),
        ("op", 10),
        ("linea", 59144),
        ("base sepolia", 84532),
        ("zksync-era", 324),
        ("424242424242", 424242424242),
    ],
)
def test_chains_are_found_by_number_and_name(text: str, number: int) -> None:
    """As people write them."""
    assert find_evm_chain(text) == ChainId("eip155", str(number))


@pytest.mark.parametrize(
    "text", ["", "nowhere", "0", "-1", "1.5", "solana:x", "eip155:0x1", "eip155:", "bip122:1", "٣", "9" * 20]
)
def test_what_is_no_chain_is_refused(text: str) -> None:
    """Rather than guessed."""
    with pytest.raises(InvalidChainId):
        find_evm_chain(text)


def test_a_mistyped_name_is_answered_with_similar_ones() -> None:
    """The hint says what to write."""
    with pytest.raises(InvalidChainId, match="no EVM chain is named 'arbitrun'") as caught:
        find_evm_chain("arbitrun")
    assert "arbitrum" in str(caught.value.hint)
