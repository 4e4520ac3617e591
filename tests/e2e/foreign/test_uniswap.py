"""Real Uniswap on anvil, used from a derived address and read again by web3.py."""

import asyncio
from dataclasses import replace

import pytest
from web3 import HTTPProvider, Web3
from web3.logs import DISCARD

from hither.foreign.errors import CallReverted, EngineError
from hither.foreign.evm_account import deploy
from hither.foreign.evm_artefacts import read_artefact
from hither.foreign.evm_calls import approve_token
from hither.foreign.evm_uniswap import (
    deploy_uniswap_v3,
    fetch_holdings,
    fetch_quote,
    make_swap,
    make_swap_back,
)
from tests.e2e.foreign.acting import ETHER, run_stage


@pytest.mark.parametrize("chain", ["eip155:1", "eip155:8453"])
def test_a_swap_in_a_real_pool(chain: str) -> None:
    """What arrives is what Uniswap's quoter said; too small a result is refused before anything is sent."""

    async def run() -> None:
        async with run_stage(chain) as stage:
            exchange = await deploy_uniswap_v3(stage.funder)
            alice = stage.alice.address
            quote = await fetch_quote(stage.rpc, exchange, ETHER)
            assert 1970 * ETHER < quote < 1994 * ETHER
            with pytest.raises(CallReverted, match="Too little received"):
                await stage.alice.act(make_swap(exchange, alice, ETHER, quote + 1))
            receipt = await stage.alice.act(make_swap(exchange, alice, ETHER, quote))
            assert await fetch_holdings(stage.rpc, exchange, alice) == (quote, 0)

            web3 = Web3(HTTPProvider(stage.engine.url))
            token = web3.eth.contract(
                exchange.token, abi=read_artefact("openzeppelin", "ERC20PresetFixedSupply").abi
            )
            pool = web3.eth.contract(exchange.pool, abi=read_artefact("uniswap-v3-core", "UniswapV3Pool").abi)
            assert token.functions.balanceOf(alice).call() == quote
            found = web3.eth.get_transaction_receipt(receipt["transactionHash"])
            (event,) = pool.events.Swap().process_receipt(found, errors=DISCARD)
            assert event["args"]["recipient"] == alice

            await stage.alice.act(approve_token(exchange.token, exchange.router, quote))
            await stage.alice.act(make_swap_back(exchange, alice, quote, 0))
            left, wrapped = await fetch_holdings(stage.rpc, exchange, alice)
            assert left == 0 and 0.99 * ETHER < wrapped < ETHER

    asyncio.run(run())


def test_what_sets_the_scene_may_cost_more_than_its_estimate() -> None:
    """In the block after the estimate it is another second, and a pool then writes a word more."""

    async def run() -> None:
        async with run_stage() as stage:
            await deploy_uniswap_v3(stage.funder)
            web3 = Web3(HTTPProvider(stage.engine.url))
            for number in range(1, web3.eth.block_number + 1):
                for transaction in web3.eth.get_block(number, full_transactions=True)["transactions"]:
                    used = web3.eth.get_transaction_receipt(transaction["hash"])["gasUsed"]
                    assert used == 21_000 or transaction["gas"] > used * 11 // 10

    asyncio.run(run())


def test_code_that_is_not_the_packages_is_noticed() -> None:
    """One byte is another."""

    async def run() -> None:
        async with run_stage() as stage:
            artefact = read_artefact("weth", "WETH9")
            other = replace(artefact, runtime=b"\x61" + artefact.runtime[1:])
            with pytest.raises(EngineError, match="is not that of WETH9 in its package"):
                await deploy(stage.alice, other)

    asyncio.run(run())
