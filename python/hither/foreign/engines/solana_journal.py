"""What a Solana chain for development writes down, and how it is read again. LiteSVM itself keeps nothing.

Each transaction is written with what it did to accounts, so that to begin again is to put accounts and records back;
nothing is executed a second time.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from solders.account import Account
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from hither.foreign.engines.journal import Journal

_MARK: Final = b"slot"
_ENTRY_BYTES_MAX: Final = 256 * 1024 * 1024
_WHOLE_BYTES_MAX: Final = 1024
"""Data up to this size is written whole; of more, only what changed."""


class Change(msgspec.Struct, frozen=True, array_like=True):
    """An account as a transaction left it; ``piece`` stands at ``offset`` of data of ``size`` bytes."""

    address: bytes
    lamports: int
    owner: bytes
    is_executable: bool
    rent_epoch: int
    size: int
    offset: int
    piece: bytes


class Record(msgspec.Struct, frozen=True, array_like=True):
    """An included transaction. ``error`` is what its execution failed with, in the form of Solana's JSON."""

    slot: int
    time_s: int
    signature: str
    raw: bytes
    outcome: dict[str, Any]
    error: Any
    account_keys: tuple[str, ...]
    writable_loaded: tuple[str, ...]
    readonly_loaded: tuple[str, ...]
    balances_before: tuple[int, ...]
    balances_after: tuple[int, ...]
    tokens_before: tuple[dict[str, Any], ...]
    tokens_after: tuple[dict[str, Any], ...]

    @property
    def transaction(self) -> VersionedTransaction:
        """As it was sent."""
        return VersionedTransaction.from_bytes(self.raw)


class Begun(msgspec.Struct, frozen=True, array_like=True, tag="begun"):
    """The clock counts from this slot at this time; the blockhashes of later slots are made with this salt."""

    slot: int
    time_s: float
    salt: bytes


class Passed(msgspec.Struct, frozen=True, array_like=True, tag="passed"):
    """Somebody let slots pass, up to this one."""

    slot: int


class Included(msgspec.Struct, frozen=True, array_like=True, tag="included"):
    """A transaction."""

    record: Record
    changes: tuple[Change, ...]


class Moved(msgspec.Struct, frozen=True, array_like=True, tag="moved"):
    """Accounts, with no transaction beside: what so many forgotten transactions have made."""

    changes: tuple[Change, ...]
    forgotten: int


Entry = Begun | Passed | Included | Moved


class SolanaJournal:
    """Entries in a file. Raises ``EngineError`` when it is in use."""

    def __init__(self, path: Path) -> None:
        self._file = Journal(path, _MARK, entry_bytes_max=_ENTRY_BYTES_MAX)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Entry)

    @property
    def end(self) -> int:
        """Where the next entry will be written."""
        return self._file.end

    def read(self) -> Iterator[Entry]:
        """All entries."""
        for entry in self._file.read():
            yield self._decoder.decode(entry)

    def append(self, entry: Entry) -> None:
        """Safe from the end of this process when this returns."""
        self._file.append(self._encoder.encode(entry))

    def cut(self, end: int) -> None:
        """Forget what was appended after the journal ended there."""
        self._file.cut(end)

    def sync(self) -> None:
        """Wait until the disk has it."""
        self._file.sync()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def describe_change(address: Pubkey, before: Account | None, after: Account | None) -> Change | None:
    """None when nothing changed. An account that is gone has no lamports."""
    if before == after:
        return None
    if after is None:
        return Change(bytes(address), 0, bytes(32), False, 0, 0, 0, b"")
    old, new = b"" if before is None else bytes(before.data), bytes(after.data)
    offset, piece = 0, new
    if len(new) > _WHOLE_BYTES_MAX and len(old) == len(new):
        offset = _count_equal(old, new)
        piece = new[offset : len(new) - _count_equal(old[offset:][::-1], new[offset:][::-1])]
    owner = bytes(after.owner)
    return Change(
        bytes(address), after.lamports, owner, after.executable, after.rent_epoch, len(new), offset, piece
    )


def apply_change(change: Change, before: Account | None) -> Account:
    """The account after it."""
    old = b"" if before is None else bytes(before.data)
    if len(change.piece) == change.size:
        data = change.piece
    else:
        data = old[: change.offset] + change.piece + old[change.offset + len(change.piece) :]
    assert len(data) == change.size, "a change stands after the one that it changes"
    return Account(change.lamports, data, Pubkey(change.owner), change.is_executable, change.rent_epoch)


def _count_equal(first: bytes, second: bytes) -> int:
    """How many bytes agree from the beginning."""
    low, high = 0, len(first)
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def describe_whole(accounts: Sequence[tuple[Pubkey, Account | None]]) -> tuple[Change, ...]:
    """Accounts as they are."""
    changes = (describe_change(address, None, account) for address, account in accounts)
    return tuple(change for change in changes if change is not None)
