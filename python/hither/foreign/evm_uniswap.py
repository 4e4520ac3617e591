"""Uniswap v3 on a development chain: the exchange itself from its makers' packages, one pool, and swaps in it.

``deploy_uniswap_v3`` sets the scene with any account; ``make_swap`` is then one call for whoever swaps.
"""

import asyncio
import math
from dataclasses import dataclass
from typing import Final

from hither.foreign.evm_account import EvmActor, deploy, read
from hither.foreign.evm_artefacts import read_artefact
from hither.foreign.evm_calls import EvmCall, approve_token, call_contract
from hither.foreign.evm_rpc import read_contract
from hither.foreign.transport import Rpc

FEE_PIPS: Final = 3000
"""0.3 %, in millionths."""
FULL_RANGE_TICKS: Final = 887_220
"""The widest range of prices at that fee: a multiple of sixty."""
NEVER: Final = 2**255
ETHER: Final = 10**18

_MINT: Final = (
    "mint((address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256))"
    "(uint256,uint128,uint256,uint256)"
)
_SWAP: Final = "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))(uint256)"
_QUOTE: Final = (
    "quoteExactInputSingle((address,address,uint256,uint24,uint160))(uint256,uint160,uint32,uint256)"
)


@dataclass(frozen=True, slots=True)
class UniswapV3:
    """Where everything lies. ``wrapped`` is the chain's coin as a token, ``token`` the other side of the pool."""

    wrapped: str
    token: str
    factory: str
    positions: str
    router: str
    quoter: str
    pool: str


async def deploy_uniswap_v3(
    actor: EvmActor, *, liquidity_wei: int = 100 * ETHER, tokens_per_coin: int = 2000
) -> UniswapV3:
    """The exchange, a token, and a pool of it against the chain's coin with liquidity at every price.

    Each contract's code is compared with its package. Raises ``EngineError``, ``TransactionFailed``.
    """
    wrapped = await deploy(actor, read_artefact("weth", "WETH9"))
    supply = 10 * liquidity_wei * tokens_per_coin
    token = await deploy(
        actor,
        read_artefact("openzeppelin", "ERC20PresetFixedSupply"),
        "(string,string,uint256,address)",
        ("Hither Dollar", "HUSD", supply, actor.address),
    )
    factory = await deploy(actor, read_artefact("uniswap-v3-core", "UniswapV3Factory"))
    both = ("(address,address)", (factory, wrapped))
    router = await deploy(actor, read_artefact("uniswap-v3-periphery", "SwapRouter"), *both)
    quoter = await deploy(actor, read_artefact("uniswap-v3-periphery", "QuoterV2"), *both)
    # Its third argument draws pictures of positions, which nobody looks at here.
    positions = await deploy(
        actor,
        read_artefact("uniswap-v3-periphery", "NonfungiblePositionManager"),
        "(address,address,address)",
        (factory, wrapped, wrapped),
    )
    pool = await _make_pool(actor, positions, wrapped, token, liquidity_wei, tokens_per_coin)
    return UniswapV3(wrapped, token, factory, positions, router, quoter, pool)


async def _make_pool(
    actor: EvmActor, positions: str, wrapped: str, token: str, liquidity_wei: int, tokens_per_coin: int
) -> str:
    """Pools keep their two tokens in the order of their addresses, and the price as a square root."""
    is_coin_first = wrapped.lower() < token.lower()
    first, second = (wrapped, token) if is_coin_first else (token, wrapped)
    amounts = (liquidity_wei, liquidity_wei * tokens_per_coin)
    first_amount, second_amount = amounts if is_coin_first else amounts[::-1]
    root = math.isqrt((second_amount << 192) // first_amount)
    create = "createAndInitializePoolIfNecessary(address,address,uint24,uint160)(address)"
    await actor.act(call_contract(positions, create, (first, second, FEE_PIPS, root)))
    await actor.act(approve_token(token, positions, liquidity_wei * tokens_per_coin))
    position = (
        *(first, second, FEE_PIPS, -FULL_RANGE_TICKS, FULL_RANGE_TICKS),
        *(first_amount, second_amount, 0, 0, actor.address, NEVER),
    )
    # The coin is sent along; the position manager wraps it.
    await actor.act(call_contract(positions, _MINT, (position,), amount=liquidity_wei))
    factory = await read(actor, positions, "factory()(address)")
    return str(
        await read(actor, factory, "getPool(address,address,uint24)(address)", first, second, FEE_PIPS)
    )


def make_swap(exchange: UniswapV3, receiver: str, amount: int, amount_out_min: int) -> EvmCall:
    """Pay the chain's coin, receive the token; refused unless it is at least ``amount_out_min``."""
    swap = (exchange.wrapped, exchange.token, FEE_PIPS, receiver, NEVER, amount, amount_out_min, 0)
    return call_contract(exchange.router, _SWAP, (swap,), amount=amount)


def make_swap_back(exchange: UniswapV3, receiver: str, amount: int, amount_out_min: int) -> EvmCall:
    """Pay the token, which the router must be allowed to take, and receive the wrapped coin."""
    swap = (exchange.token, exchange.wrapped, FEE_PIPS, receiver, NEVER, amount, amount_out_min, 0)
    return call_contract(exchange.router, _SWAP, (swap,))


async def fetch_quote(rpc: Rpc, exchange: UniswapV3, amount: int) -> int:
    """What a swap of so much of the coin gives now, by Uniswap's own quoter."""
    question = (exchange.wrapped, exchange.token, amount, FEE_PIPS, 0)
    found, _, _, _ = await read_contract(rpc, exchange.quoter, _QUOTE, (question,))
    return int(found)


async def fetch_holdings(rpc: Rpc, exchange: UniswapV3, owner: str) -> tuple[int, int]:
    """Of the token and of the wrapped coin."""
    function = "balanceOf(address)(uint256)"
    token, wrapped = await asyncio.gather(
        read_contract(rpc, exchange.token, function, (owner,)),
        read_contract(rpc, exchange.wrapped, function, (owner,)),
    )
    return int(token), int(wrapped)
