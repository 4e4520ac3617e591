"""Token accounts and mints as the token programs lay them out. No I/O.

Both programs share the layout; Token-2022 puts one byte of kind and its extensions behind it. An owner's account for a
token has one address that anybody can derive (the associated account).
"""

from dataclasses import dataclass
from typing import Final, Protocol

from solders.pubkey import Pubkey

TOKEN_PROGRAM: Final = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM: Final = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED_PROGRAM: Final = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
TOKEN_PROGRAMS: Final = (TOKEN_PROGRAM, TOKEN_2022_PROGRAM)

HOLDING_BYTES: Final = 165
MINT_BYTES: Final = 82
_KIND_MINT: Final = 1
_KIND_HOLDING: Final = 2
_STATES: Final = {1: "initialized", 2: "frozen"}


class AccountLike(Protocol):
    """An account with its owner's program and its data."""

    @property
    def owner(self) -> Pubkey:
        """The program that may change it."""
        ...

    @property
    def data(self) -> bytes:
        """What it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Mint:
    """A token."""

    program: Pubkey
    supply: int
    decimals: int
    mint_authority: Pubkey | None
    freeze_authority: Pubkey | None


@dataclass(frozen=True, slots=True)
class Holding:
    """A token account: so much of a mint's token, an owner's."""

    program: Pubkey
    mint: Pubkey
    owner: Pubkey
    amount: int
    delegate: Pubkey | None
    delegated_amount: int
    state: str
    native_reserve: int | None
    close_authority: Pubkey | None


def read_mint(account: AccountLike | None) -> Mint | None:
    """None for what is no mint."""
    if account is None or account.owner not in TOKEN_PROGRAMS:
        return None
    data = bytes(account.data)
    if not _is_of_kind(data, MINT_BYTES, _KIND_MINT) or data[45] != 1:
        return None
    return Mint(
        account.owner, _read_number(data, 36), data[44], _read_optional(data, 0), _read_optional(data, 46)
    )


def read_holding(account: AccountLike | None) -> Holding | None:
    """None for what is no token account."""
    if account is None or account.owner not in TOKEN_PROGRAMS:
        return None
    data = bytes(account.data)
    if not _is_of_kind(data, HOLDING_BYTES, _KIND_HOLDING) or data[108] not in _STATES:
        return None
    return Holding(
        program=account.owner,
        mint=Pubkey(data[:32]),
        owner=Pubkey(data[32:64]),
        amount=_read_number(data, 64),
        delegate=_read_optional(data, 72),
        delegated_amount=_read_number(data, 121),
        state=_STATES[data[108]],
        native_reserve=_read_number(data, 113) if data[109] else None,
        close_authority=_read_optional(data, 129),
    )


def _is_of_kind(data: bytes, size: int, kind: int) -> bool:
    return len(data) == size or (len(data) > HOLDING_BYTES and data[HOLDING_BYTES] == kind)


def _read_number(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 8], "little")


def _read_optional(data: bytes, offset: int) -> Pubkey | None:
    """A key behind four bytes that say whether it is there."""
    return Pubkey(data[offset + 4 : offset + 36]) if data[offset] else None


def derive_holding(owner: Pubkey, mint: Pubkey, program: Pubkey) -> Pubkey:
    """The address of an owner's associated account for a token."""
    seeds = [bytes(owner), bytes(program), bytes(mint)]
    return Pubkey.find_program_address(seeds, ASSOCIATED_PROGRAM)[0]
