"""Token accounts and mints as the token programs lay them out, and as Solana's JSON shows them.

Both programs share the layout; Token-2022 puts one byte of kind and its extensions behind it.
"""

from dataclasses import dataclass
from typing import Any, Final

from solders.account import Account
from solders.pubkey import Pubkey

TOKEN_PROGRAM: Final = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM: Final = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
PROGRAM_NAMES: Final = {TOKEN_PROGRAM: "spl-token", TOKEN_2022_PROGRAM: "spl-token-2022"}

HOLDING_BYTES: Final = 165
MINT_BYTES: Final = 82
_KIND_MINT: Final = 1
_KIND_HOLDING: Final = 2
_STATES: Final = {1: "initialized", 2: "frozen"}


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


def read_mint(account: Account | None) -> Mint | None:
    """None for what is no mint."""
    if account is None or account.owner not in PROGRAM_NAMES:
        return None
    data = bytes(account.data)
    if not _is_of_kind(data, MINT_BYTES, _KIND_MINT) or data[45] != 1:
        return None
    return Mint(
        account.owner, _read_number(data, 36), data[44], _read_optional(data, 0), _read_optional(data, 46)
    )


def read_holding(account: Account | None) -> Holding | None:
    """None for what is no token account."""
    if account is None or account.owner not in PROGRAM_NAMES:
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


# As JSON


def view_amount(amount: int, decimals: int) -> dict[str, Any]:
    """The amount as text, as a number that may round, and as the number's text."""
    whole, rest = divmod(amount, 10**decimals)
    fraction = f"{rest:0{decimals}d}".rstrip("0") if rest else ""
    text = f"{whole}.{fraction}" if fraction else str(whole)
    return {
        "amount": str(amount),
        "decimals": decimals,
        "uiAmount": amount / 10**decimals,
        "uiAmountString": text,
    }


def view_holding(holding: Holding, decimals: int) -> dict[str, Any]:
    """As ``jsonParsed`` shows a token account."""
    info: dict[str, Any] = {
        "isNative": holding.native_reserve is not None,
        "mint": str(holding.mint),
        "owner": str(holding.owner),
        "state": holding.state,
        "tokenAmount": view_amount(holding.amount, decimals),
    }
    if holding.native_reserve is not None:
        info["rentExemptReserve"] = view_amount(holding.native_reserve, decimals)
    if holding.delegate is not None:
        info["delegate"] = str(holding.delegate)
        info["delegatedAmount"] = view_amount(holding.delegated_amount, decimals)
    if holding.close_authority is not None:
        info["closeAuthority"] = str(holding.close_authority)
    return {"info": info, "type": "account"}


def view_mint(mint: Mint) -> dict[str, Any]:
    """As ``jsonParsed`` shows a mint."""
    authorities = (mint.mint_authority, mint.freeze_authority)
    mint_authority, freeze_authority = (None if one is None else str(one) for one in authorities)
    info = {
        "decimals": mint.decimals,
        "freezeAuthority": freeze_authority,
        "isInitialized": True,
        "mintAuthority": mint_authority,
        "supply": str(mint.supply),
    }
    return {"info": info, "type": "mint"}
