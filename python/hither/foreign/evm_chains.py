"""What is known of each EVM chain: its name, coin, family, parent, explorer.

``evm_chains.json`` is written by ``scripts/generate_evm_chains.mjs`` from viem's table of chains. Its public
endpoints are suggestions, which nothing here asks by itself: development chains need none, and others are named by
who uses them.
"""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from hither.foreign.adapter import Coin
from hither.foreign.caip import ChainId
from hither.foreign.errors import InvalidChainId

NAMESPACE: Final = "eip155"
ETHER: Final = Coin("ETH", 18)


class Family(Enum):
    """Chains of a family share how fees are computed and which contracts they begin with."""

    EVM = "evm"
    OP_STACK = "op-stack"
    ARBITRUM = "arbitrum"
    ZK_STACK = "zk-stack"


@dataclass(frozen=True, slots=True)
class EvmChain:
    """What an adapter must know of its chain.

    With ``confirmations`` a block is final when so many, itself included, are on top; without, when the chain's own
    ``finalized`` block has reached it. ``parent`` is the chain that a rollup keeps its data on.
    """

    chain: ChainId
    name: str
    coin: Coin
    confirmations: int | None = None
    family: Family = Family.EVM
    parent: ChainId | None = None
    is_test: bool = False
    explorer: str | None = None
    endpoints: tuple[str, ...] = ()


class _Row(msgspec.Struct, frozen=True, gc=False):
    id: int
    name: str
    keys: tuple[str, ...]
    symbol: str
    decimals: int
    is_test: bool
    family: Family
    parent: int | None
    explorer: str | None
    endpoints: tuple[str, ...]


class _Table(msgspec.Struct, frozen=True, gc=False):
    source: str
    entries: int
    chains: tuple[_Row, ...]


@lru_cache(maxsize=1)
def _read_table() -> dict[int, _Row]:
    path = Path(__file__).with_name("evm_chains.json")
    return {row.id: row for row in msgspec.json.decode(path.read_bytes(), type=_Table).chains}


def make_evm_chain_id(number: int) -> ChainId:
    """``eip155:8453`` for 8453."""
    return ChainId(NAMESPACE, str(number))


def get_evm_chain(chain: ChainId, *, confirmations: int | None = None) -> EvmChain:
    """What is known of a chain; an unknown one is named by its id, and its coin taken for ether.

    Raises ``InvalidChainId`` for another family's.
    """
    number = read_chain_number(chain)
    row = _read_table().get(number)
    if row is None:
        return EvmChain(chain, str(chain), ETHER, confirmations)
    return EvmChain(
        chain,
        row.name,
        Coin(row.symbol, row.decimals),
        confirmations,
        row.family,
        None if row.parent is None else make_evm_chain_id(row.parent),
        row.is_test,
        row.explorer,
        row.endpoints,
    )


def read_chain_number(chain: ChainId) -> int:
    """The number that transactions carry. Raises ``InvalidChainId``."""
    text = chain.reference
    if chain.namespace != NAMESPACE or not (text.isascii() and text.isdecimal()) or text.startswith("0"):
        raise InvalidChainId(f"{chain} is not an EVM chain")
    number = int(text)
    if number >= 2**63:
        raise InvalidChainId(f"{chain} is not an EVM chain: its number is too large")
    return number


def list_evm_chains() -> tuple[EvmChain, ...]:
    """All that are known, by number."""
    return tuple(get_evm_chain(make_evm_chain_id(number)) for number in _read_table())


def find_evm_chain(text: str) -> ChainId:
    """A chain by number, CAIP-2 id or name: ``8453``, ``eip155:8453``, ``base``, ``Arbitrum One``.

    Raises ``InvalidChainId``, with similar names.
    """
    if ":" in text:
        namespace, _, reference = text.partition(":")
        chain = ChainId(namespace, reference)
        read_chain_number(chain)
        return chain
    if text.isascii() and text.isdecimal():
        chain = make_evm_chain_id(int(text))
        read_chain_number(chain)
        return chain
    names = _index_names()
    number = names.get(_simplify(text))
    if number is None:
        similar = sorted(name for name in names if _simplify(text) and name.startswith(_simplify(text)[:4]))
        hint = f"did you mean {', '.join(similar[:5])}?" if similar else "a chain id works as well"
        raise InvalidChainId(f"no EVM chain is named {text!r}", hint=hint)
    return make_evm_chain_id(number)


@lru_cache(maxsize=1)
def _index_names() -> dict[str, int]:
    """Names in one form; chains for real money win."""
    names: dict[str, int] = {}
    for row in sorted(_read_table().values(), key=lambda row: (row.is_test, row.id)):
        for name in (*row.keys, row.name):
            names.setdefault(_simplify(name), row.id)
    return names


def _simplify(name: str) -> str:
    """Without case, spaces and marks; ``Linea Mainnet`` is ``linea``."""
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    return plain.removesuffix("mainnet") or plain
