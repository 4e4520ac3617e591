"""Token-2022's extensions as Solana's JSON shows them (``jsonParsed``): names as in its account decoder. No I/O.

Behind a mint or a token account stand one byte of kind, then entries: type and length in two bytes each, and the value.
What holds encrypted amounts, groups or scaled amounts is called ``unparseableExtension``, as is what nobody knows.
"""

from collections.abc import Callable
from typing import Any, Final

from solders.pubkey import Pubkey

from hither.foreign.solana_tokens import HOLDING_BYTES

Json = dict[str, Any]
_UNKNOWN: Final = "unparseableExtension"
_ACCOUNT_STATES: Final = ("uninitialized", "initialized", "frozen")


class _Reader:
    """A value, from its beginning to its end. Raises ``ValueError`` where it is too short."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise ValueError("the value is too short")
        self._at += size
        return part

    def number(self, size: int = 8) -> int:
        return int.from_bytes(self.take(size), "little")

    def signed(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little", signed=True)

    def flag(self) -> bool:
        return self.take(1) != b"\0"

    def key(self) -> str | None:
        """Nobody's is 32 noughts."""
        part = self.take(32)
        return str(Pubkey(part)) if any(part) else None

    def text(self) -> str:
        return self.take(self.number(4)).decode()

    def account_state(self) -> str:
        """Raises ``ValueError`` for one that nobody knows."""
        number = self.number(1)
        if number >= len(_ACCOUNT_STATES):
            raise ValueError("no state of an account")
        return _ACCOUNT_STATES[number]


def _read_fee(reader: _Reader) -> Json:
    return {
        "epoch": reader.number(),
        "maximumFee": reader.number(),
        "transferFeeBasisPoints": reader.number(2),
    }


def _read_metadata(reader: _Reader) -> Json:
    start = {"updateAuthority": reader.key(), "mint": reader.key()}
    texts = {name: reader.text() for name in ("name", "symbol", "uri")}
    more = [[reader.text(), reader.text()] for _ in range(reader.number(4))]
    return {**start, **texts, "additionalMetadata": more}


_FIELDS: Final[dict[int, tuple[str, dict[str, Callable[[_Reader], Any]]]]] = {
    1: (
        "transferFeeConfig",
        {
            "transferFeeConfigAuthority": _Reader.key,
            "withdrawWithheldAuthority": _Reader.key,
            "withheldAmount": _Reader.number,
            "olderTransferFee": _read_fee,
            "newerTransferFee": _read_fee,
        },
    ),
    2: ("transferFeeAmount", {"withheldAmount": _Reader.number}),
    3: ("mintCloseAuthority", {"closeAuthority": _Reader.key}),
    6: ("defaultAccountState", {"accountState": _Reader.account_state}),
    7: ("immutableOwner", {}),
    8: ("memoTransfer", {"requireIncomingTransferMemos": _Reader.flag}),
    9: ("nonTransferable", {}),
    10: (
        "interestBearingConfig",
        {
            "rateAuthority": _Reader.key,
            "initializationTimestamp": lambda reader: reader.signed(8),
            "preUpdateAverageRate": lambda reader: reader.signed(2),
            "lastUpdateTimestamp": lambda reader: reader.signed(8),
            "currentRate": lambda reader: reader.signed(2),
        },
    ),
    11: ("cpiGuard", {"lockCpi": _Reader.flag}),
    12: ("permanentDelegate", {"delegate": _Reader.key}),
    13: ("nonTransferableAccount", {}),
    14: ("transferHook", {"authority": _Reader.key, "programId": _Reader.key}),
    15: ("transferHookAccount", {"transferring": _Reader.flag}),
    18: ("metadataPointer", {"authority": _Reader.key, "metadataAddress": _Reader.key}),
    20: ("groupPointer", {"authority": _Reader.key, "groupAddress": _Reader.key}),
    22: ("groupMemberPointer", {"authority": _Reader.key, "memberAddress": _Reader.key}),
    26: ("pausableConfig", {"authority": _Reader.key, "paused": _Reader.flag}),
    27: ("pausableAccount", {}),
}
"""By type: the name, and what stands in the value, in its order."""
_METADATA: Final = 19


def view_extensions(data: bytes) -> list[Json]:
    """Of a mint's or a token account's data, in their order; none where it has no entries."""
    found = []
    at = HOLDING_BYTES + 1
    while at + 4 <= len(data):
        kind, size = (int.from_bytes(data[start : start + 2], "little") for start in (at, at + 2))
        if kind == 0 or at + 4 + size > len(data):
            break
        found.append(_view_extension(kind, data[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


def _view_extension(kind: int, value: bytes) -> Json:
    reader = _Reader(value)
    try:
        if kind == _METADATA:
            return {"extension": "tokenMetadata", "state": _read_metadata(reader)}
        if kind not in _FIELDS:
            return {"extension": _UNKNOWN}
        name, fields = _FIELDS[kind]
        state = {field: read(reader) for field, read in fields.items()}
    except ValueError:
        return {"extension": _UNKNOWN}
    return {"extension": name, "state": state} if state else {"extension": name}
