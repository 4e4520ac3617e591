"""Rollups on anvil: their ids and coins, and what they charge and estimate by contracts of their own."""

import asyncio
import random

import pytest
from web3 import HTTPProvider, Web3

from hither.foreign import evm_transactions as codec
from hither.foreign.engines.anvil_genesis import (
    ARBITRUM_PRICE_MIN_WEI,
    BASE_PRICE_SCALAR,
    BLOB_PRICE_SCALAR,
    PARENT_BASE_PRICE_WEI,
    PARENT_BLOB_PRICE_WEI,
    PREDEPLOYS,
)
from hither.foreign.errors import CallReverted, InsufficientFunds
from hither.foreign.evm import EvmOptions
from hither.foreign.evm_account import read
from hither.foreign.evm_artefacts import read_artefact
from hither.foreign.evm_calls import EvmCall
from hither.foreign.evm_rollups import (
    ESTIMATE_PARENT_GAS,
    GAS_PRICE_ORACLE,
    GET_PARENT_FEE,
    NODE_INTERFACE,
    compute_compressed_size,
    compute_parent_fee,
)
from tests.e2e.foreign.acting import ETHER, run_stage

BOB = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
ROLLUPS = {
    42161: "ETH",
    10: "ETH",
    8453: "ETH",
    324: "ETH",
    59144: "ETH",
    534352: "ETH",
    5000: "MNT",
    81457: "ETH",
    34443: "ETH",
    169: "ETH",
    1088: "METIS",
    196: "OKB",
    204: "BNB",
    167000: "ETH",
}
PARENT_PRICE = 16 * PARENT_BASE_PRICE_WEI * BASE_PRICE_SCALAR + PARENT_BLOB_PRICE_WEI * BLOB_PRICE_SCALAR


@pytest.mark.parametrize("kind", [0, 2], ids=["legacy", "fee market"])
@pytest.mark.parametrize(("number", "symbol"), ROLLUPS.items())
def test_sends_on_every_rollup(number: int, symbol: str, kind: int) -> None:
    """Under its own chain id and in its own coin; the books balance to the wei, the parent chain's part included."""

    async def run() -> None:
        async with run_stage(f"eip155:{number}") as stage:
            alice, adapter = stage.alice, stage.adapter
            assert adapter.coin.symbol == symbol
            unsigned = await adapter.build(
                alice.public_key, EvmCall(BOB, b"", ETHER), EvmOptions(is_legacy=kind == 0)
            )
            assert adapter.describe(unsigned).startswith(f"Send 1 {symbol} from {alice.address} to {BOB} on ")
            limit = await adapter.fetch_fee(unsigned)
            web3 = Web3(HTTPProvider(stage.engine.url))
            before = web3.eth.get_balance(alice.address)
            receipt = await alice.act(EvmCall(BOB, b"", ETHER), EvmOptions(is_legacy=kind == 0))
            sent = web3.eth.get_transaction(receipt["transactionHash"])
            assert (sent["chainId"], sent["type"], sent["value"]) == (number, kind, ETHER)
            paid = before - ETHER - web3.eth.get_balance(alice.address)
            raw = bytes(web3.eth.get_raw_transaction(receipt["transactionHash"]))
            gas_part = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
            has_parent_fee = number in (10, 8453, 81457, 34443, 169, 204)
            parent = compute_parent_fee(compute_compressed_size(raw), PARENT_PRICE) if has_parent_fee else 0
            assert paid == gas_part + parent <= limit.total
            assert (limit.parent > 0) == has_parent_fee
            assert web3.eth.get_balance(BOB) == ETHER

    asyncio.run(run())


def test_the_contracts_of_the_op_stack_are_real() -> None:
    """Each behind its proxy, with its package's code; the oracle tells the parent chain's prices."""

    async def run() -> None:
        async with run_stage("eip155:10") as stage:
            web3 = Web3(HTTPProvider(stage.engine.url))
            for number, contract in PREDEPLOYS.items():
                address = Web3.to_checksum_address(f"0x42{number:038x}")
                assert bytes(web3.eth.get_code(address)) == read_artefact("optimism", "Proxy").runtime
                code = Web3.to_checksum_address(f"0xc0d3c0d3c0d3c0d3c0d3c0d3c0d3c0d3c0d3{number:04x}")
                assert bytes(web3.eth.get_code(code)) == read_artefact("optimism", contract).runtime
            wrapped = "0x4200000000000000000000000000000000000006"
            for function, expected in [
                ("symbol()(string)", "WETH"),
                ("name()(string)", "Wrapped Ether"),
                ("decimals()(uint8)", 18),
            ]:
                assert await read(stage.alice, wrapped, function) == expected
            for function, expected in [
                ("l1BaseFee()(uint256)", PARENT_BASE_PRICE_WEI),
                ("blobBaseFee()(uint256)", PARENT_BLOB_PRICE_WEI),
                ("baseFeeScalar()(uint32)", BASE_PRICE_SCALAR),
                ("blobBaseFeeScalar()(uint32)", BLOB_PRICE_SCALAR),
                ("isFjord()(bool)", True),
            ]:
                assert await read(stage.alice, GAS_PRICE_ORACLE, function) == expected

    asyncio.run(run())


def test_sizes_and_fees_are_those_of_the_real_oracle() -> None:
    """The oracle compresses the same bytes and adds 68 for a signature."""

    async def run() -> None:
        choose = random.Random(5)
        samples = [choose.randbytes(size) for size in (0, 1, 12, 13, 14, 31, 32, 33, 100, 700)]
        samples += [bytes(size) for size in (16, 100, 300, 5000)]
        samples += [choose.choice([b"ab", b"0123456789"]) * choose.randrange(300) for _ in range(10)]
        samples += [bytes(choose.choices(b"\0\0\0\1abc", k=choose.randrange(9000))) for _ in range(15)]
        async with run_stage("eip155:8453") as stage:
            for data in samples:
                told = await read(stage.alice, GAS_PRICE_ORACLE, GET_PARENT_FEE, data)
                assert told == compute_parent_fee(compute_compressed_size(data) + 68, PARENT_PRICE)

    asyncio.run(run())


def test_money_must_be_there_for_the_parent_chains_part_too() -> None:
    """An account with enough for gas alone is told before it signs."""

    async def run() -> None:
        async with run_stage("eip155:8453") as stage:
            poor = stage.make_actor("poor")
            price = codec.decode_unsigned(
                (await stage.adapter.build_transfer(stage.alice.public_key, BOB, 1)).body
            ).fee_max
            await stage.engine.fund(poor.address, 2 * price)
            await stage.adapter.build_transfer(poor.public_key, BOB, 1)
            unsigned = await stage.adapter.build_transfer(poor.public_key, BOB, 1)
            needed = (await stage.adapter.fetch_fee(unsigned)).gas
            balance = await stage.adapter.fetch_balance(poor.address)
            with pytest.raises(InsufficientFunds, match="on Base"):
                await stage.adapter.build_transfer(poor.public_key, BOB, balance - needed - 1)

    asyncio.run(run())


def test_arbitrums_estimate_counts_the_parent_chains_part_as_gas() -> None:
    """By NodeInterface, more for more data; other questions are refused there."""

    async def run() -> None:
        async with run_stage("eip155:42161") as stage:
            alice = stage.alice
            for size in (0, 100, 5000):
                gas, price, parent_price = await read(
                    alice, NODE_INTERFACE, ESTIMATE_PARENT_GAS, BOB, False, bytes(size)
                )
                assert parent_price == PARENT_BASE_PRICE_WEI
                assert price > 0 and gas == (140 + size) * 16 * parent_price // price
            web3 = Web3(HTTPProvider(stage.engine.url))
            plain = web3.eth.estimate_gas({"from": alice.address, "to": BOB, "value": 1})
            built = codec.decode_unsigned((await stage.adapter.build_transfer(alice.public_key, BOB, 1)).body)
            gas, *_ = await read(alice, NODE_INTERFACE, ESTIMATE_PARENT_GAS, BOB, False, b"")
            assert built.gas_limit >= (plain + gas) * 9 // 10 > plain
            with pytest.raises(CallReverted):
                await read(alice, NODE_INTERFACE, "nitroGenesisBlock()(uint256)")
            # The price of gas falls with each empty block, though not below Arbitrum's minimum for what this counts.
            await stage.engine.mine(150)
            assert web3.eth.get_block("latest")["baseFeePerGas"] < ARBITRUM_PRICE_MIN_WEI
            gas, price, _ = await read(alice, NODE_INTERFACE, ESTIMATE_PARENT_GAS, BOB, False, b"")
            assert price == ARBITRUM_PRICE_MIN_WEI and gas == 140 * 16 * PARENT_BASE_PRICE_WEI // price
            built = codec.decode_unsigned((await stage.adapter.build_transfer(alice.public_key, BOB, 1)).body)
            assert built.gas_limit < 5_000_000

    asyncio.run(run())


def test_a_large_contract_fits_into_arbitrums_blocks_when_gas_is_cheapest() -> None:
    """Its gas for the parent chain is then more than what other chains' blocks take."""

    async def run() -> None:
        async with run_stage("eip155:42161") as stage:
            await stage.rpc.call("anvil_setNextBlockBaseFeePerGas", ["0x1"])
            await stage.engine.mine()
            creation = b"\x5f\x5f\xf3" + bytes(49_000)  # Returns no code.
            built = await stage.adapter.build(stage.alice.public_key, EvmCall(None, creation, 0))
            assert codec.decode_unsigned(built.body).gas_limit > 300_000_000
            receipt = await stage.alice.act(EvmCall(None, creation, 0))
            assert int(receipt["gasUsed"], 16) < 30_000_000

    asyncio.run(run())
