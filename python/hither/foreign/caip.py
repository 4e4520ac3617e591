"""Names of chains and of accounts on them: CAIP-2 (``eip155:8453``) and CAIP-10 (``eip155:8453:0xab…``)."""

import re
from dataclasses import dataclass
from typing import Final

from hither.foreign.errors import InvalidAddress, InvalidChainId, WrongNetwork

_NAMESPACE: Final = re.compile(r"[-a-z0-9]{3,8}")
_REFERENCE: Final = re.compile(r"[-_a-zA-Z0-9]{1,32}")
_ADDRESS: Final = re.compile(r"[-.%a-zA-Z0-9]{1,128}")


@dataclass(frozen=True, slots=True)
class ChainId:
    """A chain: ``namespace`` is its family (eip155, bip122, solana), ``reference`` the chain within."""

    namespace: str
    reference: str

    def __post_init__(self) -> None:
        if not _NAMESPACE.fullmatch(self.namespace) or not _REFERENCE.fullmatch(self.reference):
            raise InvalidChainId(f"not a CAIP-2 chain id: {self.namespace!r}:{self.reference!r}")

    def __str__(self) -> str:
        return f"{self.namespace}:{self.reference}"


@dataclass(frozen=True, slots=True)
class AccountId:
    """An address on a chain. The family's adapter judges the address itself."""

    chain: ChainId
    address: str

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.address):
            raise InvalidAddress(f"not a CAIP-10 address: {self.address!r}")

    def __str__(self) -> str:
        return f"{self.chain}:{self.address}"


def parse_chain_id(text: str) -> ChainId:
    """Read ``eip155:1``. Raises ``InvalidChainId``."""
    namespace, separator, reference = text.partition(":")
    if not separator:
        raise InvalidChainId(
            f"not a CAIP-2 chain id: {text!r}", hint="write family and chain, as in eip155:1 for Ethereum"
        )
    return ChainId(namespace, reference)


def parse_account_id(text: str) -> AccountId:
    """Read ``eip155:1:0xab…``. Raises ``InvalidChainId`` or ``InvalidAddress``."""
    chain, separator, address = text.rpartition(":")
    if not separator:
        raise InvalidAddress(f"not a CAIP-10 account: {text!r}")
    return AccountId(parse_chain_id(chain), address)


def strip_chain(text: str, chain: ChainId) -> str:
    """The address in a CAIP-10 text of this chain; text without a colon as it is.

    Raises ``InvalidAddress``, ``WrongNetwork``.
    """
    if ":" not in text:
        return text
    try:
        account = parse_account_id(text)
    except InvalidChainId as error:
        raise InvalidAddress(f"{text!r} begins with no chain: {error}") from error
    if account.chain != chain:
        raise WrongNetwork(f"{text} is an account on {account.chain}, not on {chain}")
    return account.address
