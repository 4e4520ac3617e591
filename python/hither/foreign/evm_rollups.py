"""What rollups charge and estimate by contracts of their own.

Chains of the OP stack charge for the bytes that they put on the parent chain, outside of gas: GasPriceOracle tells how
much. Arbitrum charges for them as gas, which NodeInterface tells.
Source: the OP stack's specification of the L1 cost function as of the upgrade Fjord.
"""

import asyncio
from typing import Final

from hither.foreign.errors import CallReverted
from hither.foreign.evm_chains import Family
from hither.foreign.evm_rpc import read_contract
from hither.foreign.transport import Rpc

GAS_PRICE_ORACLE: Final = "0x420000000000000000000000000000000000000F"
NODE_INTERFACE: Final = "0x00000000000000000000000000000000000000C8"
ZERO_ADDRESS: Final = "0x" + "0" * 40

# The oracle adds the size of a signature itself.
GET_PARENT_FEE: Final = "getL1Fee(bytes)(uint256)"
ESTIMATE_PARENT_GAS: Final = "gasEstimateL1Component(address,bool,bytes)(uint64,uint256,uint256)"


async def fetch_parent_fee(rpc: Rpc, family: Family, unsigned_body: bytes) -> int:
    """Wei charged beside gas for the transaction's bytes on the parent chain; 0 where gas is all."""
    if family is not Family.OP_STACK:
        return 0
    try:
        return int(await read_contract(rpc, GAS_PRICE_ORACLE, GET_PARENT_FEE, (unsigned_body,)))
    except CallReverted:
        # A development chain that only bears the number; the real ones all have the oracle.
        return 0


_SIZE_FACTOR: Final = 1_000_000
_SIZE_MIN: Final = 100 * _SIZE_FACTOR
_SIZE_INTERCEPT: Final = -42_585_600
_SIZE_COEFFICIENT: Final = 836_500


async def compute_paid_parent_fee(rpc: Rpc, raw: bytes) -> int:
    """What a chain of the OP stack took for these bytes, where its receipts do not tell; at the newest prices.

    The oracle can only estimate it, as it is asked before there is a signature.
    """
    try:
        price, scale, blob_price, blob_scale = await asyncio.gather(
            read_contract(rpc, GAS_PRICE_ORACLE, "l1BaseFee()(uint256)"),
            read_contract(rpc, GAS_PRICE_ORACLE, "baseFeeScalar()(uint32)"),
            read_contract(rpc, GAS_PRICE_ORACLE, "blobBaseFee()(uint256)"),
            read_contract(rpc, GAS_PRICE_ORACLE, "blobBaseFeeScalar()(uint32)"),
        )
    except CallReverted:
        return 0
    return compute_parent_fee(compute_compressed_size(raw), 16 * price * scale + blob_price * blob_scale)


def compute_parent_fee(compressed_size: int, price: int) -> int:
    """Of a transaction that compresses to so many bytes; ``price`` is the weighted sum of the parent chain's prices."""
    size = max(_SIZE_INTERCEPT + _SIZE_COEFFICIENT * compressed_size, _SIZE_MIN)
    return size * price // 10**12


def compute_compressed_size(data: bytes) -> int:
    """How many bytes FastLZ (level 1) makes of these; nothing is compressed."""
    places = [0] * 8192
    limit = max(len(data) - 13, 0)
    size, start, at = 0, 0, 2
    # A match that begins at the limit's last place is not taken.
    while at + 1 < limit:
        word = data[at : at + 3]
        slot = (2654435769 * int.from_bytes(word, "little") >> 19) & 8191
        before, places[slot] = places[slot], at
        if at - before > 8191 or word != data[before : before + 3]:
            at += 1
            continue
        size += _count_literals(at - start)
        length = _count_equal(data, before + 3, at + 3, limit + 9)
        size += 3 * ((length - 1) // 262) + (3 if (length - 1) % 262 >= 6 else 2)
        at += length
        for _ in range(2):
            word = data[at : at + 3]
            places[(2654435769 * int.from_bytes(word, "little") >> 19) & 8191] = at
            at += 1
        start = at
    return size + _count_literals(len(data) - start)


def _count_literals(count: int) -> int:
    """Runs of 32 with a byte before each."""
    whole, rest = divmod(count, 32)
    return 33 * whole + (rest + 1 if rest else 0)


def _count_equal(data: bytes, left: int, right: int, end: int) -> int:
    """How far both go on alike, the first difference counted."""
    length = 0
    while right + length < end:
        length += 1
        if data[left + length - 1] != data[right + length - 1]:
            break
    return length


async def estimate_parent_gas(rpc: Rpc, family: Family, receiver: str, data: bytes) -> int:
    """Units of gas that stand for the parent chain's part; 0 where there is none."""
    if family is not Family.ARBITRUM:
        return 0
    arguments = (receiver or ZERO_ADDRESS, not receiver, data)
    try:
        return int((await read_contract(rpc, NODE_INTERFACE, ESTIMATE_PARENT_GAS, arguments))[0])
    except CallReverted:
        # A chain that only resembles Arbitrum's; its own estimate of gas must do.
        return 0
