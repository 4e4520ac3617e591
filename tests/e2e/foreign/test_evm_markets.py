"""Exchanges and a lending market from their makers' packages on anvil, used from a derived address."""

import asyncio
import math
from typing import Any

import pytest
from web3 import HTTPProvider, Web3

from hither.foreign import evm_abi as abi
from hither.foreign.errors import CallReverted
from hither.foreign.evm_account import EvmActor, deploy, fetch_time, read
from hither.foreign.evm_artefacts import read_artefact
from hither.foreign.evm_calls import approve_token, call_contract
from tests.e2e.foreign.acting import ETHER, Stage, run_stage
from tests.e2e.foreign.test_evm_contracts import BALANCE, deploy_token

ZERO = "0x" + "0" * 40
NEVER = 2**255


def pack(types: str, *values: Any) -> bytes:
    """ABI data without a function before it."""
    return abi.encode(abi.parse_type(types), values)


# Uniswap v2


def test_a_swap_in_uniswap_v2() -> None:
    """Router, factory and pair as its package has them: coin for token and back."""

    async def run() -> None:
        async with run_stage("eip155:10") as stage:
            alice, funder = stage.alice, stage.funder
            wrapped = await deploy(funder, read_artefact("weth", "WETH9"))
            factory = await deploy(
                funder, read_artefact("uniswap-v2-core", "UniswapV2Factory"), "(address)", (ZERO,)
            )
            router = await deploy(
                funder,
                read_artefact("uniswap-v2-periphery", "UniswapV2Router02"),
                "(address,address)",
                (factory, wrapped),
            )
            token = await deploy_token(funder)
            await funder.act(approve_token(token, router, 1000 * ETHER))
            add = "addLiquidityETH(address,uint256,uint256,uint256,address,uint256)"
            arguments = (token, 1000 * ETHER, 0, 0, funder.address, NEVER)
            await funder.act(call_contract(router, add, arguments, amount=10 * ETHER))

            path = [wrapped, token]
            quote = "getAmountsOut(uint256,address[])(uint256[])"
            _, expected = await read(alice, router, quote, ETHER, path)
            swap = "swapExactETHForTokens(uint256,address[],address,uint256)"
            late = (expected, path, alice.address, await fetch_time(stage.rpc) - 1)
            with pytest.raises(CallReverted, match="EXPIRED"):
                await alice.act(call_contract(router, swap, late, amount=ETHER))
            good = (expected, path, alice.address, NEVER)
            await alice.act(call_contract(router, swap, good, amount=ETHER))
            assert await read(alice, token, BALANCE, alice.address) == expected

            await alice.act(approve_token(token, router, expected))
            back = "swapExactTokensForETH(uint256,uint256,address[],address,uint256)"
            before = await stage.adapter.fetch_balance(alice.address)
            await alice.act(call_contract(router, back, (expected, 0, path[::-1], alice.address, NEVER)))
            gained = await stage.adapter.fetch_balance(alice.address) - before
            assert 0.98 * ETHER < gained < ETHER

    asyncio.run(run())


# Uniswap v4

FEE, SPACING = 500, 10
KEY = "(address,address,uint24,int24,address)"
MINT_POSITION, SETTLE_PAIR, SWEEP = 0x02, 0x0D, 0x14
SWAP_EXACT_IN_SINGLE, SETTLE_ALL, TAKE_ALL = 0x06, 0x0C, 0x0F
V4_SWAP = b"\x10"
EXPIRY = 2**47


async def open_v4_pool(stage: Stage, token: str, permit2: str, wrapped: str) -> tuple[str, str]:
    """The pool manager and the position manager, with liquidity of coin and token at one to ten."""
    funder = stage.funder
    manager = await deploy(
        funder, read_artefact("uniswap-v4-core", "PoolManager"), "(address)", (funder.address,)
    )
    positions = await deploy(
        funder,
        read_artefact("uniswap-v4-periphery", "PositionManager"),
        "(address,address,uint256,address,address)",
        (manager, permit2, 300_000, ZERO, wrapped),
    )
    key = (ZERO, token, FEE, SPACING, ZERO)
    root = math.isqrt(10 << 192)
    await funder.act(call_contract(manager, f"initialize({KEY},uint160)", (key, root)))
    await funder.act(approve_token(token, permit2, 2**256 - 1))
    allow = "approve(address,address,uint160,uint48)"
    await funder.act(call_contract(permit2, allow, (token, positions, 2**160 - 1, EXPIRY)))
    position = (key, -887_270, 887_270, 50 * ETHER, 100 * ETHER, 900 * ETHER, funder.address, b"")
    steps = [
        pack(f"({KEY},int24,int24,uint256,uint128,uint128,address,bytes)", *position),
        pack("(address,address)", ZERO, token),
        pack("(address,address)", ZERO, funder.address),
    ]
    unlock = pack("(bytes,bytes[])", bytes((MINT_POSITION, SETTLE_PAIR, SWEEP)), steps)
    add = call_contract(positions, "modifyLiquidities(bytes,uint256)", (unlock, NEVER), amount=100 * ETHER)
    await funder.act(add)
    return manager, positions


def test_a_swap_in_uniswap_v4_through_the_universal_router() -> None:
    """Commands and actions as its router takes them, with Permit2 beside; the quoter said what arrives."""

    async def run() -> None:
        async with run_stage() as stage:
            alice, funder = stage.alice, stage.funder
            wrapped = await deploy(funder, read_artefact("weth", "WETH9"))
            token = await deploy_token(funder)
            permit2 = await deploy(funder, read_artefact("uniswap-v4-periphery", "Permit2"))
            manager, positions = await open_v4_pool(stage, token, permit2, wrapped)
            router = await deploy(
                funder,
                read_artefact("uniswap-router", "UniversalRouter"),
                "((address,address,address,address,bytes32,bytes32,address,address,address,address))",
                ((permit2, wrapped, ZERO, ZERO, bytes(32), bytes(32), manager, ZERO, positions, ZERO),),
            )
            quoter = await deploy(
                funder, read_artefact("uniswap-v4-periphery", "V4Quoter"), "(address)", (manager,)
            )
            key = (ZERO, token, FEE, SPACING, ZERO)
            ask = f"quoteExactInputSingle(({KEY},bool,uint128,bytes))(uint256,uint256)"
            quote, _ = await read(alice, quoter, ask, (key, True, ETHER, b""))
            assert 9 * ETHER < quote < 10 * ETHER

            def swap(least: int) -> tuple[bytes, list[bytes], int]:
                steps = [
                    pack(f"(({KEY},bool,uint128,uint128,bytes))", (key, True, ETHER, least, b"")),
                    pack("(address,uint256)", ZERO, ETHER),
                    pack("(address,uint256)", token, least),
                ]
                actions = bytes((SWAP_EXACT_IN_SINGLE, SETTLE_ALL, TAKE_ALL))
                return V4_SWAP, [pack("(bytes,bytes[])", actions, steps)], NEVER

            execute = "execute(bytes,bytes[],uint256)"
            with pytest.raises(CallReverted):
                await alice.act(call_contract(router, execute, swap(quote + 1), amount=ETHER))
            await alice.act(call_contract(router, execute, swap(quote), amount=ETHER))
            assert await read(alice, token, BALANCE, alice.address) == quote

    asyncio.run(run())


# Aave v3

RAY = 10**27
LIBRARIES = (
    *("SupplyLogic", "BorrowLogic", "BridgeLogic", "EModeLogic", "LiquidationLogic"),
    *("PoolLogic", "ConfiguratorLogic"),
)
RESERVE = f"(address,address,address,uint8{',address' * 4}{',string' * 6},bytes)"


async def deploy_market(owner: EvmActor, prices: dict[str, int]) -> str:
    """A whole market for these tokens (price in dollars, eight decimals); the address of its pool."""

    async def make(name: str, types: str = "()", *arguments: Any, **libraries: str) -> str:
        return await deploy(owner, read_artefact("aave", name), types, arguments, libraries)

    async def tell(contract: str, function: str, *arguments: Any) -> None:
        await owner.act(call_contract(contract, function, arguments))

    provider = await make("PoolAddressesProvider", "(string,address)", "Hither", owner.address)
    libraries = {name: await make(name) for name in LIBRARIES}
    libraries["FlashLoanLogic"] = await make("FlashLoanLogic", BorrowLogic=libraries["BorrowLogic"])
    await tell(provider, "setACLAdmin(address)", owner.address)
    roles = await make("ACLManager", "(address)", provider)
    await tell(provider, "setACLManager(address)", roles)
    await tell(roles, "addPoolAdmin(address)", owner.address)
    sources = [await make("MockAggregator", "(int256)", price) for price in prices.values()]
    oracle = await make(
        "AaveOracle",
        "(address,address[],address[],address,address,uint256)",
        *(provider, list(prices), sources, ZERO, ZERO, 10**8),
    )
    await tell(provider, "setPriceOracle(address)", oracle)
    code = await make(
        "Pool",
        "(address)",
        provider,
        **{name: address for name, address in libraries.items() if name != "ConfiguratorLogic"},
    )
    await tell(provider, "setPoolImpl(address)", code)
    configurator_code = await make("PoolConfigurator", ConfiguratorLogic=libraries["ConfiguratorLogic"])
    await tell(provider, "setPoolConfiguratorImpl(address)", configurator_code)
    pool = str(await read(owner, provider, "getPool()(address)"))
    configurator = str(await read(owner, provider, "getPoolConfigurator()(address)"))
    kinds = [
        await make(name, "(address)", pool) for name in ("AToken", "StableDebtToken", "VariableDebtToken")
    ]
    rates = await make(
        "DefaultReserveInterestRateStrategy",
        f"(address{',uint256' * 9})",
        provider,
        *(RAY * percent // 100 for percent in (80, 0, 4, 75, 4, 75, 1, 8, 20)),
    )
    texts = ("aX", "aX", "vX", "vX", "sX", "sX")
    rows = [(*kinds, 18, rates, token, owner.address, ZERO, *texts, b"") for token in prices]
    await tell(configurator, f"initReserves({RESERVE}[])", rows)
    for token in prices:
        collateral = "configureReserveAsCollateral(address,uint256,uint256,uint256)"
        await tell(configurator, collateral, token, 7500, 8000, 10500)
        await tell(configurator, "setReserveBorrowing(address,bool)", token, True)
    return pool


def test_supply_and_borrow_in_aave_v3() -> None:
    """Eight linked libraries, proxies, oracle; too large a loan is refused; all is paid back and taken out."""

    async def run() -> None:
        async with run_stage("eip155:42161") as stage:
            alice, funder = stage.alice, stage.funder
            dollar, wrapped = await deploy_token(funder), await deploy(funder, read_artefact("weth", "WETH9"))
            pool = await deploy_market(funder, {wrapped: 2000 * 10**8, dollar: 10**8})
            supply = "supply(address,uint256,address,uint16)"
            await funder.act(approve_token(dollar, pool, 1000 * ETHER))
            await funder.act(call_contract(pool, supply, (dollar, 900 * ETHER, funder.address, 0)))

            await alice.act(call_contract(wrapped, "deposit()", amount=ETHER // 2))
            await alice.act(approve_token(wrapped, pool, ETHER // 2))
            await alice.act(call_contract(pool, supply, (wrapped, ETHER // 2, alice.address, 0)))
            account = f"getUserAccountData(address)({','.join(['uint256'] * 6)})"
            collateral, debt, available, *_ = await read(alice, pool, account, alice.address)
            assert (collateral, debt, available) == (1000 * 10**8, 0, 750 * 10**8)

            borrow = "borrow(address,uint256,uint256,uint16,address)"
            too_much = (dollar, 751 * ETHER, 2, 0, alice.address)
            with pytest.raises(CallReverted, match="36"):  # COLLATERAL_CANNOT_COVER_NEW_BORROW
                await alice.act(call_contract(pool, borrow, too_much))
            await alice.act(call_contract(pool, borrow, (dollar, 500 * ETHER, 2, 0, alice.address)))
            assert await read(alice, dollar, BALANCE, alice.address) == 500 * ETHER

            # A little interest has come since.
            await funder.act(call_contract(dollar, "transfer(address,uint256)", (alice.address, ETHER)))
            await alice.act(approve_token(dollar, pool, 2**256 - 1))
            repay = "repay(address,uint256,uint256,address)"
            await alice.act(call_contract(pool, repay, (dollar, 2**256 - 1, 2, alice.address)))
            take = "withdraw(address,uint256,address)"
            await alice.act(call_contract(pool, take, (wrapped, 2**256 - 1, alice.address)))
            web3 = Web3(HTTPProvider(stage.engine.url))
            token = web3.eth.contract(wrapped, abi=read_artefact("weth", "WETH9").abi)
            assert token.functions.balanceOf(alice.address).call() == ETHER // 2

    asyncio.run(run())
