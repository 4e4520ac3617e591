"""What an EVM transaction shall do: calls of tokens and of any contract, as data. No I/O.

Each function gives an ``EvmCall``, which ``EvmAdapter.build`` makes into a transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hither.foreign import evm_abi as abi
from hither.foreign.evm_artefacts import Artefact


@dataclass(frozen=True, slots=True)
class EvmCall:
    """``receiver`` is none to create a contract. ``amount`` is of the chain's coin, in wei."""

    receiver: str | None
    data: bytes = b""
    amount: int = 0


def call_contract(contract: str, function: str, arguments: Sequence[Any] = (), amount: int = 0) -> EvmCall:
    """Any function, as in ``approve(address,uint256)``. Raises ``InvalidArguments``."""
    return EvmCall(contract, abi.encode_call(function, arguments), amount)


def create_contract(
    artefact: Artefact,
    types: str = "()",
    arguments: Sequence[Any] = (),
    libraries: dict[str, bytes] | None = None,
    amount: int = 0,
) -> EvmCall:
    """A new contract; ``types`` are those of its constructor. Raises ``InvalidArguments``, ``EngineError``."""
    return EvmCall(None, artefact.link(libraries) + abi.encode(abi.parse_type(types), arguments), amount)


def transfer_token(token: str, receiver: str, amount: int) -> EvmCall:
    """ERC-20, in its smallest unit."""
    return call_contract(token, "transfer(address,uint256)", (receiver, amount))


def approve_token(token: str, spender: str, amount: int) -> EvmCall:
    """ERC-20: let another take up to that much."""
    return call_contract(token, "approve(address,uint256)", (spender, amount))


def transfer_item(collection: str, sender: str, receiver: str, item: int) -> EvmCall:
    """ERC-721; contracts must agree to receive."""
    function = "safeTransferFrom(address,address,uint256)"
    return call_contract(collection, function, (sender, receiver, item))


def transfer_items(collection: str, sender: str, receiver: str, item: int, count: int) -> EvmCall:
    """ERC-1155."""
    function = "safeTransferFrom(address,address,uint256,uint256,bytes)"
    return call_contract(collection, function, (sender, receiver, item, count, b""))
