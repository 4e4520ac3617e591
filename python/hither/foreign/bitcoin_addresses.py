"""Bitcoin's networks, and addresses as the scripts that they stand for. No I/O.

An address of another network is refused by its prefix. Test networks share prefixes (``tb1`` is testnet, testnet4 and
signet), so between those only the endpoint's genesis block tells.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from btclib import b32, b58
from btclib.exceptions import BTClibException
from btclib.hashes import hash160
from btclib.network import NETWORKS
from btclib.script import script_pub_key as scripts

from hither.foreign.caip import ChainId, strip_chain
from hither.foreign.errors import InvalidAddress, InvalidChainId, WrongNetwork
from hither.foreign.secp256k1 import decompress_key

GROUP_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

_PAYABLE_WITNESSES: Final = {(0, 20), (0, 32), (1, 32)}


@dataclass(frozen=True, slots=True)
class BitcoinNetwork:
    """``name`` is btclib's; ``confirmations`` is how deep a block lies when it is final."""

    chain: ChainId
    name: str
    title: str
    genesis_hash: str
    confirmations: int


def _make_network(name: str, title: str, confirmations: int) -> BitcoinNetwork:
    genesis_hash = NETWORKS[name].genesis_block.hex()
    # The bip122 namespace: the first half of the genesis block's hash.
    return BitcoinNetwork(ChainId("bip122", genesis_hash[:32]), name, title, genesis_hash, confirmations)


MAINNET: Final = _make_network("mainnet", "Bitcoin", 6)
TESTNET: Final = _make_network("testnet", "Bitcoin testnet", 6)
TESTNET_4: Final = _make_network("testnet4", "Bitcoin testnet4", 6)
SIGNET: Final = _make_network("signet", "Bitcoin signet", 6)
REGTEST: Final = _make_network("regtest", "Bitcoin regtest", 1)

_NETWORKS: Final = {network.chain: network for network in (MAINNET, TESTNET, TESTNET_4, SIGNET, REGTEST)}


def get_network(chain: ChainId) -> BitcoinNetwork:
    """The network of a CAIP-2 id. Raises ``InvalidChainId``."""
    network = _NETWORKS.get(chain)
    if network is None:
        raise InvalidChainId(
            f"{chain} is not a Bitcoin network",
            hint=f"known are {', '.join(str(known) for known in _NETWORKS)}",
        )
    return network


@lru_cache(maxsize=4096)
def derive_script(public_key: bytes) -> bytes:
    """The output script that pays to the key's hash by its witness (P2WPKH). Raises ``InvalidPublicKey``."""
    decompress_key(public_key)
    return b"\x00\x14" + hash160(public_key)


@lru_cache(maxsize=4096)
def derive_address(public_key: bytes, network: BitcoinNetwork) -> str:
    """The P2WPKH address of a compressed key. Raises ``InvalidPublicKey``."""
    return b32.address_from_witness(0, derive_script(public_key)[2:], network.name)


def format_script(script: bytes, network: BitcoinNetwork) -> str | None:
    """The address that stands for an output script; none when there is none."""
    return scripts.address(script, network.name) or None


@lru_cache(maxsize=4096)
def parse_address(text: str, network: BitcoinNetwork) -> bytes:
    """The output script of an address, or of a CAIP-10 account. Raises ``InvalidAddress``, ``WrongNetwork``."""
    address = strip_chain(text, network.chain)
    if b32.is_segwit_prefixed(address):
        return _parse_witness_address(address, network)
    try:
        kind, digest, _ = b58.h160_from_address(address)
        own = b58.address_from_h160(kind, digest, network.name)
    except BTClibException as error:
        raise _make_invalid(address, error) from error
    if own != address:
        raise _make_wrong(address, network)
    if kind == "p2sh":
        return b"\xa9\x14" + digest + b"\x87"
    return b"\x76\xa9\x14" + digest + b"\x88\xac"


def _parse_witness_address(address: str, network: BitcoinNetwork) -> bytes:
    try:
        version, program, _ = b32.witness_from_address(address)
    except BTClibException as error:
        raise _make_invalid(address, error) from error
    prefix = address.lower().rpartition("1")[0]
    if prefix != NETWORKS[network.name].hrp:
        raise _make_wrong(address, network)
    if (version, len(program)) not in _PAYABLE_WITNESSES:
        raise InvalidAddress(
            f"{address} is of witness version {version} with {len(program)} bytes, which no rule protects yet",
            hint="coins sent there would be anybody's",
        )
    return bytes((0x50 + version if version else 0, len(program))) + program


def _make_invalid(address: str, error: BTClibException) -> InvalidAddress:
    return InvalidAddress(
        f"not a Bitcoin address: {address!r}: {error}", hint="a letter was mistyped; copy the address again"
    )


def _make_wrong(address: str, network: BitcoinNetwork) -> WrongNetwork:
    return WrongNetwork(
        f"{address} is not an address of {network.title}",
        hint=f"its addresses begin with {NETWORKS[network.name].hrp}1",
    )
