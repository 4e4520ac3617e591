"""What an account does before any chain is asked."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hither.client import Signer
from hither.crypto.signing import secret_key_from_seed
from hither.foreign.caip import parse_chain_id
from hither.foreign.engines import faucet
from hither.foreign.errors import EngineError, InvalidAddress, InvalidAmount, WrongNetwork
from hither.primitives.types import ED25519
from hither.sdk import Account, Network
from hither.sdk.network import UnknownChain, make_endpoint

BITCOIN = "bip122:000000000019d6689c085ae165831e93"
BASE = "eip155:8453"
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"


def make_network(folder: Path, *chains: str) -> Network:
    """Whose endpoints nobody asks."""
    rows = [make_endpoint(chain, ["http://127.0.0.1:1"]) for chain in chains]
    home = parse_chain_id("near:localnet")
    return Network("http://127.0.0.1:1", "signer.near", {row.chain: row for row in rows}, home, folder)


def test_transfer_on_a_chain_that_is_gone_does_not_stop_the_others(tmp_path: Path) -> None:
    """Each is tried; all errors are told in the end, and nothing is lost."""
    signer = Signer("alice.near", secret_key_from_seed(ED25519, bytes(32)))

    async def resume() -> int:
        async with Account(make_network(tmp_path), signer) as account:
            for chain in (BASE, BITCOIN):
                deed = {"kind": "send", "receiver": "bob", "amount": 1}
                account.journal.begin(parse_chain_id(chain), "path", deed, None).close()
            with pytest.raises(ExceptionGroup) as told:
                await account.resume()
            assert [type(one) for one in told.value.exceptions] == [UnknownChain, UnknownChain]
            return len(account.list_transfers())

    assert asyncio.run(resume()) == 2


class PublicEndpoint:
    """It answers as public ones do: it keeps no accounts."""

    host = "public.example"

    def __init__(self, _url: str) -> None:
        pass

    async def call(self, method: str, *_arguments: Any, **_options: Any) -> Any:
        assert method == "eth_accounts"
        return []

    async def close(self) -> None:
        pass


def test_chain_without_a_faucet_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistakes are told before any endpoint is asked."""
    network, base = make_network(tmp_path, BASE, BITCOIN), parse_chain_id(BASE)
    monkeypatch.setattr(faucet, "JsonRpc", PublicEndpoint)
    with pytest.raises(EngineError, match=r"public\.example keeps no accounts") as told:
        asyncio.run(network.fund(base, ADDRESS, "1 ETH"))
    assert "only development chains have a faucet" in str(told.value.hint)
    for chain, receiver, amount, mistake in [
        (base, ADDRESS[:-1] + "D", "1 ETH", InvalidAddress),
        (base, f"eip155:1:{ADDRESS}", "1 ETH", WrongNetwork),
        (base, ADDRESS, "1 BTC", InvalidAmount),
        (base, ADDRESS, "0 ETH", InvalidAmount),
        (parse_chain_id(BITCOIN), "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "1 BTC", WrongNetwork),
        (parse_chain_id("eip155:10"), ADDRESS, "1 ETH", UnknownChain),
    ]:
        with pytest.raises(mistake):
            asyncio.run(network.fund(chain, receiver, amount))
