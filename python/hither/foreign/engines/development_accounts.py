"""Accounts of development chains whose keys everybody knows, with money from the beginning.

On EVM chains they are the first three of anvil's own. Bitcoin and Solana have accounts of the same three secrets, so
that one set of keys opens a wallet on each chain. Whatever they hold on a public network anybody can take.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

from hither.codec import base58
from hither.crypto.hashing import sha256
from hither.crypto.keys import ED25519, SECP256K1
from hither.crypto.signing import compute_public_key, secret_key_from_seed
from hither.foreign import bitcoin_addresses, evm_addresses
from hither.foreign.caip import ChainId
from hither.foreign.engines import Engine
from hither.foreign.secp256k1 import compress_point
from hither.foreign.transport import JsonRpc

SECRETS: Final = tuple(
    bytes.fromhex(text)
    for text in (
        "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
        "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
        "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    )
)
FUNDED: Final = {"bip122": 10**8, "solana": 100 * 10**9}
"""Satoshis and lamports for each; anvil gives to its own by itself."""
_WIF_TEST_PREFIX: Final = b"\xef"
_WIF_COMPRESSED: Final = b"\x01"


@dataclass(frozen=True, slots=True)
class DevelopmentAccount:
    """``secret_key`` as wallets of that chain take it: hex, WIF, or the pair of 64 bytes in base58."""

    address: str
    secret_key: str


def list_development_accounts(chain: ChainId) -> list[DevelopmentAccount]:
    """The accounts of a development chain: EVM, Bitcoin regtest or Solana; of others none."""
    make = {"eip155": _make_evm, "bip122": _make_bitcoin, "solana": _make_solana}.get(chain.namespace)
    return [] if make is None else [make(secret) for secret in SECRETS]


async def fund_development_accounts(engine: Engine) -> list[dict[str, Any]]:
    """Give money to those that have none; what programs are told about all. Raises like the engine and its endpoint."""
    accounts = list_development_accounts(engine.chain)
    amount = FUNDED.get(engine.chain.namespace)
    if amount is not None:
        rpc = JsonRpc(engine.url)
        try:
            for account in accounts:
                if await _fetch_balance(rpc, engine.chain, account.address) == 0:
                    await engine.fund(account.address, amount)
        finally:
            await rpc.close()
    return [asdict(account) for account in accounts]


async def _fetch_balance(rpc: JsonRpc, chain: ChainId, address: str) -> float:
    if chain.namespace == "solana":
        return float((await rpc.call("getBalance", [address]))["value"])
    return float((await rpc.call("scantxoutset", ["start", [f"addr({address})"]]))["total_amount"])


def _make_evm(secret: bytes) -> DevelopmentAccount:
    address = evm_addresses.derive_address(_compress(secret))
    return DevelopmentAccount(evm_addresses.format_address(address), "0x" + secret.hex())


def _make_bitcoin(secret: bytes) -> DevelopmentAccount:
    address = bitcoin_addresses.derive_address(_compress(secret), bitcoin_addresses.REGTEST)
    body = _WIF_TEST_PREFIX + secret + _WIF_COMPRESSED
    return DevelopmentAccount(address, base58.encode(body + sha256(sha256(body))[:4]))


def _make_solana(secret: bytes) -> DevelopmentAccount:
    key = secret_key_from_seed(ED25519, secret)
    public_key = compute_public_key(key).data
    return DevelopmentAccount(base58.encode(public_key), base58.encode(secret + public_key))


def _compress(secret: bytes) -> bytes:
    """The compressed public key of a secp256k1 secret."""
    return compress_point(compute_public_key(secret_key_from_seed(SECP256K1, secret)).data)
