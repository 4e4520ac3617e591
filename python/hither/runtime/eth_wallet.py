"""Which global contract an ETH-implicit account runs: NEAR's wallet contract for that chain (NEP-518)."""

from typing import Final

from hither.primitives.types import CryptoHash

_MAINNET_HASH: Final = CryptoHash(
    bytes.fromhex("1daa835c4637f7ae3d924095ba3f0bf2829bcfa17b1068cd58bd853dcad7ceb5")
)
_TESTNET_HASH: Final = CryptoHash(
    bytes.fromhex("238feac1f86cc9f9f4003e3f6d5aebc04eaea9c394032bd29470e9609b67f6c5")
)
_LOCAL_HASH: Final = CryptoHash(
    bytes.fromhex("d2884a900d4fa370e48f1e3d4865d4dc0dbd093c89f0e7baef2eddc142c49e8d")
)


def get_eth_wallet_code_hash(chain_id: str) -> CryptoHash:
    """The hash of the wallet's code; that it was published on the chain is not implied."""
    if chain_id in ("mainnet", "mocknet"):
        return _MAINNET_HASH
    return _TESTNET_HASH if chain_id == "testnet" else _LOCAL_HASH
