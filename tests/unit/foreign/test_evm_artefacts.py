"""Contracts from packages: what set-up left, and how it is put together."""

import json
from pathlib import Path

import pytest

from hither.crypto.hashing import keccak256
from hither.foreign import evm_artefacts
from hither.foreign.errors import EngineError
from hither.foreign.evm_artefacts import read_artefact

TABLE = json.loads(Path(evm_artefacts.__file__).with_name("evm_contracts.json").read_text(encoding="utf-8"))
NAMES = [(package, contract) for package, row in TABLE.items() for contract in row["artefacts"]]


@pytest.mark.parametrize(("package", "contract"), NAMES)
def test_every_contract_of_the_table_is_there(package: str, contract: str) -> None:
    """With code, unless it is an interface of what Arbitrum's node answers itself."""
    artefact = read_artefact(package, contract)
    assert bool(artefact.creation) == (package != "arbitrum")
    assert all(offset + length <= len(artefact.runtime) for offset, length in artefact.places)
    if artefact.runtime:
        assert artefact.is_runtime(artefact.runtime)
        assert not artefact.is_runtime(artefact.runtime + b"\0")


def test_pairs_and_pools_are_those_that_routers_expect() -> None:
    """A pair and a pool have the hashes from which Uniswap's own routers derive their addresses."""
    pair = read_artefact("uniswap-v2-core", "UniswapV2Pair")
    router = read_artefact("uniswap-v2-periphery", "UniswapV2Router02")
    assert keccak256(pair.creation) in router.runtime
    pool = read_artefact("uniswap-v3-core", "UniswapV3Pool")
    assert keccak256(pool.creation) in read_artefact("uniswap-v3-periphery", "SwapRouter").runtime


def test_libraries_are_linked_or_asked_for() -> None:
    """Every placeholder is filled."""
    artefact = read_artefact("aave", "FlashLoanLogic")
    with pytest.raises(EngineError, match="FlashLoanLogic needs the address of the library BorrowLogic"):
        artefact.link()
    linked = artefact.link({"BorrowLogic": b"\x77" * 20})
    assert linked.count(b"\x73" + b"\x77" * 20) == len(artefact.links["BorrowLogic"])
    with pytest.raises(EngineError, match="NodeInterface is an interface"):
        read_artefact("arbitrum", "NodeInterface").link()


def test_another_contract_is_told_from_this_one() -> None:
    """One bit outside of the places that a deployment fills in."""
    artefact = read_artefact("uniswap-v3-core", "UniswapV3Pool")
    offset, length = artefact.places[0]
    deployed = bytearray(artefact.runtime)
    deployed[offset : offset + length] = b"\x55" * length
    assert artefact.is_runtime(bytes(deployed))
    deployed[offset - 1] ^= 1
    assert not artefact.is_runtime(bytes(deployed))


def test_missing_contracts_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what to do."""
    with pytest.raises(EngineError, match="names no Nothing of weth"):
        read_artefact("weth", "Nothing")
    monkeypatch.setenv("HITHER_CACHE", str(tmp_path))
    with pytest.raises(EngineError, match="are not in") as caught:
        read_artefact("weth", "WETH9")
    assert "make setup" in str(caught.value.hint)
