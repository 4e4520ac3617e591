"""Networks of Bitcoin's family, and addresses as the scripts that they stand for. No I/O.

Bitcoin, Litecoin and Dogecoin, each with its test networks. An address of another network is refused by its prefix.
Test networks share prefixes (``tb1`` is testnet, testnet4 and signet; old addresses of regtest are testnet's too), so
between those only the endpoint's genesis block tells. Coins are received by P2WPKH; Dogecoin has no witnesses: P2PKH.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from btclib import base58, bech32
from btclib.b32 import bytes_from_witness_program, power_of_2_base_conversion
from btclib.exceptions import BTClibException
from btclib.hashes import hash160
from btclib.script.script_pub_key import type_and_payload

from hither.foreign.adapter import Coin
from hither.foreign.caip import ChainId, strip_chain
from hither.foreign.errors import InvalidAddress, InvalidChainId, WrongNetwork
from hither.foreign.secp256k1 import decompress_key

GROUP_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141

_PAYABLE_WITNESSES: Final = {(0, 20), (0, 32), (1, 32)}


@dataclass(frozen=True, slots=True)
class Terms:
    """What nodes of a chain relay: rates in the smallest unit for 1,000 (virtual) bytes.

    ``dust_rate`` is what spending an output would cost when it is not worth it; ``dust_least`` a limit beside. Without
    witnesses (``is_legacy``) inputs are larger.
    """

    rate_min: int = 1_000
    rate_max: int = 10_000_000
    dust_rate: int = 3_000
    dust_least: int = 0
    is_legacy: bool = False


@dataclass(frozen=True, slots=True)
class BitcoinNetwork:
    """``confirmations`` is how deep a block lies when it is final; without ``prefix`` there are no witnesses."""

    chain: ChainId
    name: str
    title: str
    genesis_hash: str
    confirmations: int
    key_version: int
    script_version: int
    prefix: str | None
    coin: Coin
    terms: Terms

    @property
    def is_regtest(self) -> bool:
        """Whether blocks are made at will."""
        return self.name.endswith("regtest")


BITCOIN: Final = Coin("BTC", 8)
LITECOIN: Final = Coin("LTC", 8)
DOGECOIN: Final = Coin("DOGE", 8)
BITCOIN_TERMS: Final = Terms()
_LITECOIN_TERMS: Final = Terms(dust_rate=30_000)
# A hundredth of a coin for 1,000 bytes is what its nodes recommend, and less than that is dust.
_DOGECOIN_TERMS: Final = Terms(1_000_000, 10_000_000_000, 0, 1_000_000, is_legacy=True)


def _make_network(
    title: str, genesis_hash: str, versions: tuple[int, int], prefix: str | None, confirmations: int = 6
) -> BitcoinNetwork:
    family, _, rest = title.partition(" ")
    name = rest or "mainnet"
    coin, terms = {
        "Bitcoin": (BITCOIN, BITCOIN_TERMS),
        "Litecoin": (LITECOIN, _LITECOIN_TERMS),
        "Dogecoin": (DOGECOIN, _DOGECOIN_TERMS),
    }[family]
    return BitcoinNetwork(
        # The bip122 namespace: the first half of the genesis block's hash.
        chain=ChainId("bip122", genesis_hash[:32]),
        name=name if coin is BITCOIN else f"{family.lower()}-{name}",
        title=title,
        genesis_hash=genesis_hash,
        confirmations=1 if rest == "regtest" else confirmations,
        key_version=versions[0],
        script_version=versions[1],
        prefix=prefix,
        coin=coin,
        terms=terms,
    )


MAINNET: Final = _make_network(
    "Bitcoin", "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f", (0, 5), "bc"
)
TESTNET: Final = _make_network(
    "Bitcoin testnet", "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943", (111, 196), "tb"
)
TESTNET_4: Final = _make_network(
    "Bitcoin testnet4", "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043", (111, 196), "tb"
)
SIGNET: Final = _make_network(
    "Bitcoin signet", "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6", (111, 196), "tb"
)
REGTEST: Final = _make_network(
    "Bitcoin regtest", "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206", (111, 196), "bcrt"
)
LITECOIN_MAINNET: Final = _make_network(
    "Litecoin", "12a765e31ffd4059bada1e25190f6e98c99d9714d334efa41a195a7e7e04bfe2", (48, 50), "ltc"
)
LITECOIN_TESTNET: Final = _make_network(
    "Litecoin testnet", "4966625a4b2851d9fdee139e56211a0d88575f59ed816ff5e6a63deb4e3e29a0", (111, 58), "tltc"
)
LITECOIN_REGTEST: Final = _make_network(
    "Litecoin regtest", "530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9", (111, 58), "rltc"
)
DOGECOIN_MAINNET: Final = _make_network(
    "Dogecoin", "1a91e3dace36e2be3bf030a65679fe821aa1d6ef92e7c9902eb318182c355691", (30, 22), None, 60
)
DOGECOIN_TESTNET: Final = _make_network(
    "Dogecoin testnet", "bb0a78264637406b6360aad926284d544d7049f45189db5664f3c4d07350559e", (113, 196), None
)
DOGECOIN_REGTEST: Final = _make_network(
    "Dogecoin regtest", "3d2160a3b5dc4a9d62e7e66a295f70313ac808440ef7400d6c0772171ce973a5", (111, 196), None
)

NETWORKS: Final = {
    network.chain: network
    for network in (
        MAINNET,
        TESTNET,
        TESTNET_4,
        SIGNET,
        REGTEST,
        LITECOIN_MAINNET,
        LITECOIN_TESTNET,
        LITECOIN_REGTEST,
        DOGECOIN_MAINNET,
        DOGECOIN_TESTNET,
        DOGECOIN_REGTEST,
    )
}
_PREFIXES: Final = tuple(sorted({f"{network.prefix}1" for network in NETWORKS.values() if network.prefix}))


def get_network(chain: ChainId) -> BitcoinNetwork:
    """The network of a CAIP-2 id. Raises ``InvalidChainId``."""
    network = NETWORKS.get(chain)
    if network is None:
        raise InvalidChainId(
            f"{chain} is not a network of Bitcoin's family",
            hint=f"known are {', '.join(f'{known} ({NETWORKS[known].title})' for known in NETWORKS)}",
        )
    return network


@lru_cache(maxsize=4096)
def derive_script(public_key: bytes, network: BitcoinNetwork = REGTEST) -> bytes:
    """The output script that pays to the key's hash, by its witness if there are any. Raises ``InvalidPublicKey``."""
    decompress_key(public_key)
    digest = hash160(public_key)
    if network.prefix is None:
        return b"\x76\xa9\x14" + digest + b"\x88\xac"
    return b"\x00\x14" + digest


def is_script_of(script: bytes, public_key: bytes) -> bool:
    """Whether the key alone spends it: P2WPKH or P2PKH. Raises ``InvalidPublicKey``."""
    return script in (derive_script(public_key, MAINNET), derive_script(public_key, DOGECOIN_MAINNET))


@lru_cache(maxsize=4096)
def derive_address(public_key: bytes, network: BitcoinNetwork) -> str:
    """The address of a compressed key. Raises ``InvalidPublicKey``."""
    address = format_script(derive_script(public_key, network), network)
    assert address is not None, "these scripts have one"
    return address


def format_script(script: bytes, network: BitcoinNetwork) -> str | None:
    """The address that stands for an output script; none when there is none."""
    kind, payload = type_and_payload(script)
    if kind == "p2pkh":
        return base58.encode(bytes((network.key_version,)) + payload).decode()
    if kind == "p2sh":
        return base58.encode(bytes((network.script_version,)) + payload).decode()
    if network.prefix is None or not 4 <= len(script) <= 42 or len(script) != script[1] + 2:
        return None
    if script[0] != 0 and not 0x51 <= script[0] <= 0x60:
        return None
    if script[0] == 0 and len(script) not in (22, 34):
        return None
    version = script[0] and script[0] - 0x50
    digits = power_of_2_base_conversion(script[2:], 8, 5, True)
    return bech32.encode(network.prefix, [version, *digits]).decode()


@lru_cache(maxsize=4096)
def parse_address(text: str, network: BitcoinNetwork) -> bytes:
    """The output script of an address, or of a CAIP-10 account. Raises ``InvalidAddress``, ``WrongNetwork``."""
    address = strip_chain(text, network.chain)
    if address.lower().startswith(_PREFIXES):
        return _parse_witness_address(address, network)
    try:
        data = base58.decode(address, 21)
    except (BTClibException, ValueError) as error:
        raise _make_invalid(address, error) from error
    if data[0] == network.key_version:
        return b"\x76\xa9\x14" + data[1:] + b"\x88\xac"
    if data[0] == network.script_version:
        return b"\xa9\x14" + data[1:] + b"\x87"
    raise _make_wrong(address, network)


def _parse_witness_address(address: str, network: BitcoinNetwork) -> bytes:
    try:
        if len(address) > 90:
            raise ValueError("more than 90 letters")
        prefix, digits = bech32.decode(address)
        version = digits[0]
        program = bytes_from_witness_program(
            version, bytes(power_of_2_base_conversion(digits[1:], 5, 8, False))
        )
    except (BTClibException, ValueError, IndexError) as error:
        raise _make_invalid(address, error) from error
    if prefix != network.prefix:
        raise _make_wrong(address, network)
    if (version, len(program)) not in _PAYABLE_WITNESSES:
        raise InvalidAddress(
            f"{address} is of witness version {version} with {len(program)} bytes, which no rule protects yet",
            hint="coins sent there would be anybody's",
        )
    return bytes((0x50 + version if version else 0, len(program))) + program


def _make_invalid(address: str, error: Exception) -> InvalidAddress:
    return InvalidAddress(
        f"not an address of Bitcoin's family: {address!r}: {error}",
        hint="a letter was mistyped; copy the address again",
    )


def _make_wrong(address: str, network: BitcoinNetwork) -> WrongNetwork:
    beginning = f"{network.prefix}1" if network.prefix else "D" if network is DOGECOIN_MAINNET else "n"
    return WrongNetwork(
        f"{address} is not an address of {network.title}",
        hint=f"its addresses begin with {beginning}",
    )
