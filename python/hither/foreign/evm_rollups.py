"""What rollups charge and estimate by contracts of their own.

Chains of the OP stack charge for the bytes that they put on the parent chain, outside of gas: GasPriceOracle tells how
much. Arbitrum charges for them as gas, which NodeInterface tells.
"""

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
    """Wei charged beside gas for the transaction's bytes on the parent chain; 0 where gas is all.

    Raises ``CallReverted`` when a chain of the OP stack has no oracle.
    """
    if family is not Family.OP_STACK:
        return 0
    return int(await read_contract(rpc, GAS_PRICE_ORACLE, GET_PARENT_FEE, (unsigned_body,)))


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
