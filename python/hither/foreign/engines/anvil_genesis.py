"""What rollups have from their first block, for anvil: contracts at fixed addresses, in the form of a genesis file.

Chains of the OP stack get the contracts of ``@eth-optimism/contracts-bedrock`` behind their proxies, with the
parent chain's prices that the constants below name, as of the upgrade Fjord. Arbitrum's own node answers NodeInterface
itself; here a few instructions answer the one question that is asked of it.
"""

import json
from typing import Any, Final

from hither.foreign import evm_abi as abi
from hither.foreign.evm_artefacts import read_artefact
from hither.foreign.evm_chains import EvmChain, Family, read_chain_number
from hither.foreign.evm_rollups import ESTIMATE_PARENT_GAS, NODE_INTERFACE

GAS_LIMIT: Final = 30_000_000
BASE_PRICE_WEI: Final = 1_000_000_000
PARENT_BASE_PRICE_WEI: Final = 10_000_000_000
PARENT_BLOB_PRICE_WEI: Final = 1_000_000_000
# Base's own scalars when this was written; they weigh the two prices above.
BASE_PRICE_SCALAR: Final = 2269
BLOB_PRICE_SCALAR: Final = 1_055_762

# EIP-1967.
_IMPLEMENTATION_SLOT: Final = 0x360894A13BA1A3210667C828492DB98DCA3E2076CC3735A920A3CA505D382BBC
_ADMIN_SLOT: Final = 0xB53127684A568B3173AE13B9F8A6016E243E63B6E8EE1178D6A717850B5D6103
_NAMESPACE: Final = 0x4200000000000000000000000000000000000000
_CODE_NAMESPACE: Final = 0xC0D3C0D3C0D3C0D3C0D3C0D3C0D3C0D3C0D30000
_ADMIN: Final = 0x18

# Last byte of the address -> contract, as the OP stack's specification lists them.
PREDEPLOYS: Final = {
    0x00: "LegacyMessagePasser",
    0x07: "L2CrossDomainMessenger",
    0x0F: "GasPriceOracle",
    0x10: "L2StandardBridge",
    0x11: "SequencerFeeVault",
    0x12: "OptimismMintableERC20Factory",
    0x13: "L1BlockNumber",
    0x14: "L2ERC721Bridge",
    0x15: "L1Block",
    0x16: "L2ToL1MessagePasser",
    0x17: "OptimismMintableERC721Factory",
    0x18: "ProxyAdmin",
    0x19: "BaseFeeVault",
    0x1A: "L1FeeVault",
}
WRAPPED_COIN: Final = 0x06
"""Wrapped ether alone has no proxy."""
ARBITRUM_PRICE_MIN_WEI: Final = 10**7
"""What a unit of gas costs at least on Arbitrum One (ArbGasInfo.getMinimumGasPrice)."""


def make_genesis(info: EvmChain, timestamp_seconds: int) -> dict[str, Any] | None:
    """The genesis file; none when the chain begins empty."""
    if info.family is Family.OP_STACK:
        accounts = make_optimism_accounts(timestamp_seconds)
    elif info.family is Family.ARBITRUM:
        accounts = {NODE_INTERFACE: {"balance": "0x0", "code": "0x" + make_node_interface().hex()}}
    else:
        return None
    return {
        "config": {"chainId": read_chain_number(info.chain)},
        "difficulty": "0x0",
        "gasLimit": hex(GAS_LIMIT),
        "baseFeePerGas": hex(BASE_PRICE_WEI),
        "timestamp": hex(timestamp_seconds),
        "alloc": accounts,
    }


def make_optimism_accounts(timestamp_seconds: int) -> dict[str, Any]:
    """Each contract as a proxy and its implementation. Raises ``EngineError``."""
    proxy = read_artefact("optimism", "Proxy").runtime
    storages = {
        # isEcotone, isFjord
        "GasPriceOracle": {0: 0x0101},
        # number and timestamp; basefee; hash; the scalars; blobBaseFee
        "L1Block": {
            0: timestamp_seconds << 64 | 1,
            1: PARENT_BASE_PRICE_WEI,
            2: 1,
            3: BASE_PRICE_SCALAR << 96 | BLOB_PRICE_SCALAR << 64,
            7: PARENT_BLOB_PRICE_WEI,
        },
    }
    accounts = {
        _format(_NAMESPACE | WRAPPED_COIN): {
            "balance": "0x0",
            "code": "0x" + read_artefact("weth", "WETH9").runtime.hex(),
            "storage": _make_wrapped_coin_storage(),
        }
    }
    for number, contract in PREDEPLOYS.items():
        code = _CODE_NAMESPACE | number
        storage = {_IMPLEMENTATION_SLOT: code, _ADMIN_SLOT: _NAMESPACE | _ADMIN}
        storage |= storages.get(contract, {})
        accounts[_format(_NAMESPACE | number)] = {
            "balance": "0x0",
            "code": "0x" + proxy.hex(),
            "storage": _format_storage(storage),
        }
        accounts[_format(code)] = {
            "balance": "0x0",
            "code": "0x" + read_artefact("optimism", contract).runtime.hex(),
        }
    return accounts


def _make_wrapped_coin_storage() -> dict[str, str]:
    """Name, symbol and decimals, which its constructor would write: short texts, with twice their length at the end."""
    texts = (b"Wrapped Ether", b"WETH")
    words = {
        slot: int.from_bytes(text.ljust(31, b"\0"), "big") << 8 | 2 * len(text)
        for slot, text in enumerate(texts)
    }
    return _format_storage({**words, 2: 18})


def _format(address: int) -> str:
    return f"0x{address:040x}"


def _format_storage(storage: dict[int, int]) -> dict[str, str]:
    return {f"0x{slot:064x}": f"0x{value:064x}" for slot, value in storage.items()}


def make_node_interface() -> bytes:
    """Code that answers ``gasEstimateL1Component(address,bool,bytes)`` as Arbitrum prices bytes, without compression.

    Gas for the parent chain is (140 + length) * 16 * the parent's price / the price here; 140 bytes stand for
    what surrounds the data. The price here is the block's, and at least Arbitrum's minimum: anvil has none, so its
    price falls with each empty block, and gas for the parent would grow past what a block takes. Everything else is
    refused.
    """
    selector = abi.parse_function(ESTIMATE_PARENT_GAS).selector.hex()
    push_price = f"64{PARENT_BASE_PRICE_WEI:010x}"
    return bytes.fromhex(
        f"5f3560e01c63{selector}14"  # Is the first word, shifted right by 224, this function?
        "601157" + "5f5ffd"  # Then go on at 0x11, else revert.
        f"5b63{ARBITRUM_PRICE_MIN_WEI:08x}48"  # The minimum and the block's price:
        "8181109181900390910201"  # block + (block < minimum) * (minimum - block),
        "80602052"  # which is the second word of the answer.
        "604435600401" + "35"  # The length of the bytes: the word that their offset leads to.
        f"608c01601002{push_price}02"  # Plus 140, times 16, times the parent's price,
        "04"  # divided by the price here.
        f"5f52{push_price}604052"  # That is the first word, the parent's price the third.
        "60605ff3"  # Three words to return.
    )


def write_genesis(info: EvmChain, timestamp_seconds: int) -> bytes | None:
    """The same as a file's content."""
    genesis = make_genesis(info, timestamp_seconds)
    return None if genesis is None else json.dumps(genesis).encode()
