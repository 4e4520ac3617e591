"""The journal of transfers: what each one is to do and how far it is, on disk before the next step is taken.

One file a transfer, ``FOLDER/ACCOUNT/ID.jsonl``, a line of JSON a step, each synced before the next effect can follow:

::

    intended   what is wanted (again, when it is tried again after nothing had come of it)
    built      the bytes that will be signed, with their nonce, coins or blockhash: never others
    asked      a request for a signature, as a signed transaction of our chain (again, when it had to be asked again)
    signed     one signature
    ready      the transaction as it is sent, with its id
    broadcast  an endpoint took it
    bumped     the bytes that will take its place for a higher fee; from here as from ``built``
    final      what came of it; or ``failed``, ``dropped``, ``abandoned``: nothing more will happen

A line that was written in part when the machine stopped is cut off; its step is taken again, which is why each one is
the same when it is taken twice. Who works on a transfer holds its file's lock, and who builds or sends on a chain holds
that chain's: the kernel lets go of both when the process ends. A transfer that has ended moves to ``ended/``.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from hither.foreign.caip import ChainId, parse_chain_id
from hither.foreign.errors import ForeignError

ENDED: Final = frozenset({"final", "failed", "dropped", "abandoned"})
_ID_BYTES: Final = 8


class TransferBusy(ForeignError):
    """Another task or process works on this transfer now."""

    code = "TRANSFER_BUSY"
    hint = "wait until the other has ended, or stop it; then resume"
    retryable = True


class UnknownTransfer(ForeignError):
    """The journal has no such transfer."""

    code = "UNKNOWN_TRANSFER"
    hint = "list the transfers of the account; an id is what send() returned"


class DifferentIntent(ForeignError):
    """A reference was used before, for something else."""

    code = "DIFFERENT_INTENT"
    hint = "use a reference of its own for each payment"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A transaction that was signed, and those of ours that asked for its signatures."""

    transaction_id: str
    raw: bytes
    sign_transactions: dict[int, str]


@dataclass(slots=True)
class Record:
    """A transfer as far as its file tells. ``deed`` is what is wanted, in the journal's own words.

    ``earlier`` are attempts at lower fees; any of them may be included in the place of the newest, and only one can.
    """

    id: str
    account_id: str
    chain: ChainId
    path: str
    deed: dict[str, Any]
    reference: str | None = None
    step: str = "intended"
    body: bytes | None = None
    public_key: bytes | None = None
    asked: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    signatures: dict[int, dict[str, Any]] = field(default_factory=dict)
    sign_transactions: dict[int, str] = field(default_factory=dict)
    transaction_id: str | None = None
    raw: bytes | None = None
    earlier: tuple[Attempt, ...] = ()
    outcome: dict[str, Any] = field(default_factory=dict)

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every transaction that may come of it, the newest last."""
        if self.raw is None or self.transaction_id is None:
            return self.earlier
        return *self.earlier, Attempt(self.transaction_id, self.raw, self.sign_transactions)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.step in ENDED

    @property
    def is_broadcast(self) -> bool:
        """Whether an endpoint took it, or it has ended."""
        return self.step == "broadcast" or self.has_ended

    def fold(self, line: dict[str, Any]) -> None:
        """One more step."""
        self.step = line["step"]
        match line["step"]:
            case "intended" | "built" | "bumped":
                # What was signed before can never be included any more, or its place is taken: then it is kept.
                self.earlier = self.attempts if line["step"] == "bumped" else ()
                self.asked, self.signatures, self.sign_transactions = {}, {}, {}
                self.body = self.public_key = self.transaction_id = self.raw = None
                if line["step"] != "intended":
                    self.body, self.public_key = (
                        bytes.fromhex(line["body"]),
                        bytes.fromhex(line["public_key"]),
                    )
            case "asked":
                self.asked[line["index"]] = (line["transaction_hash"], bytes.fromhex(line["transaction"]))
            case "signed":
                self.signatures[line["index"]] = line["signature"]
                self.sign_transactions[line["index"]] = line["transaction_hash"]
            case "ready":
                self.transaction_id, self.raw = line["transaction_id"], bytes.fromhex(line["raw"])
            case step if step in ENDED:
                self.outcome = line["outcome"]
                for attempt in self.attempts:
                    if attempt.transaction_id == line.get("transaction_id"):
                        self.transaction_id, self.raw = attempt.transaction_id, attempt.raw
                        self.sign_transactions = attempt.sign_transactions


class Entry:
    """A transfer that this process works on: its record, and its file, open and locked."""

    def __init__(self, record: Record, file: IO[bytes], folder: Path) -> None:
        self.record = record
        self._file = file
        self._folder = folder

    def write(self, step: str, **content: Any) -> None:
        """Note a step; it is on disk when this returns."""
        line = {"step": step, "at_ms": time.time_ns() // 1_000_000, **content}
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fdatasync(self._file.fileno())
        self.record.fold(line)

    def close(self) -> None:
        """Let go of it."""
        path = self._folder / f"{self.record.id}.jsonl"
        if self.record.has_ended and path.exists():
            (self._folder / "ended").mkdir(exist_ok=True, mode=0o700)
            path.rename(self._folder / "ended" / path.name)
        self._file.close()


class Journal:
    """The transfers of one account."""

    def __init__(self, folder: Path, account_id: str) -> None:
        self._folder = folder / account_id
        self._account_id = account_id

    def begin(self, chain: ChainId, path: str, deed: dict[str, Any], reference: str | None) -> Entry:
        """A new transfer; with a reference that was used before, that transfer.

        Raises ``DifferentIntent`` when the reference stands for something else, ``TransferBusy``.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if reference is None:
            return self._create(Record(secrets.token_hex(_ID_BYTES), self._account_id, chain, path, deed))
        transfer_id = hashlib.sha256(reference.encode()).hexdigest()[: 2 * _ID_BYTES]
        with self._locked_folder():
            try:
                entry = self.open(transfer_id)
            except UnknownTransfer:
                return self._create(Record(transfer_id, self._account_id, chain, path, deed, reference))
        known = entry.record
        if (known.chain, known.path, known.deed) != (chain, path, deed):
            entry.close()
            raise DifferentIntent(
                f"the reference {reference!r} stands for another transfer, {known.id} on {known.chain}",
                hint="a reference names one transfer for ever; choose a new one for a new transfer",
            )
        return entry

    def _create(self, record: Record) -> Entry:
        # It gets its name once the first line is whole and on disk, so that every file has an intent.
        temporary = self._folder / f".{record.id}"
        entry = Entry(record, temporary.open("wb"), self._folder)
        fcntl.flock(entry._file, fcntl.LOCK_EX)
        entry.write(
            "intended",
            id=record.id,
            account_id=record.account_id,
            chain=str(record.chain),
            path=record.path,
            deed=record.deed,
            reference=record.reference,
        )
        temporary.rename(self._folder / f"{record.id}.jsonl")
        _sync_folder(self._folder)
        return entry

    def open(self, transfer_id: str) -> Entry:
        """A transfer to work on. Raises ``TransferBusy``, ``UnknownTransfer``."""
        file = self._find(transfer_id)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise TransferBusy(
                f"another task or process works on transfer {transfer_id}",
                hint="wait for it, or ask again later",
            ) from None
        content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        file.truncate(len(whole))
        file.seek(len(whole))
        return Entry(_read_record(whole), file, self._folder)

    def _find(self, transfer_id: str) -> IO[bytes]:
        for folder in (self._folder, self._folder / "ended"):
            with contextlib.suppress(FileNotFoundError):
                return (folder / f"{transfer_id}.jsonl").open("r+b")
        raise UnknownTransfer(f"{self._account_id} has no transfer {transfer_id!r}")

    def list(self, *, is_open: bool) -> list[Record]:
        """The transfers that have not ended, or those that have, oldest first, as they are at this moment."""
        folder = self._folder if is_open else self._folder / "ended"
        records = []
        for path in folder.glob("[!.]*.jsonl"):
            with contextlib.suppress(FileNotFoundError):  # It ended meanwhile.
                content = path.read_bytes()
                whole = content[: content.rfind(b"\n") + 1]
                records.append(
                    (json.loads(whole.partition(b"\n")[0])["at_ms"], path.name, _read_record(whole))
                )
        return [record for _, _, record in sorted(records, key=lambda one: one[:2])]

    def lock_chain(self, chain: ChainId) -> IO[bytes] | None:
        """The right to build and send on a chain, until the file is closed; None while somebody else has it."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _lock(self._folder / f"{chain.namespace}-{chain.reference}.lock")

    def _locked_folder(self) -> IO[bytes]:
        file = (self._folder / "journal.lock").open("ab")
        fcntl.flock(file, fcntl.LOCK_EX)  # Held for as long as a file takes to write.
        return file


def _read_record(content: bytes) -> Record:
    lines: Iterator[dict[str, Any]] = map(json.loads, content.splitlines())
    first = next(lines)
    chain = parse_chain_id(first["chain"])
    record = Record(first["id"], first["account_id"], chain, first["path"], first["deed"], first["reference"])
    for line in lines:
        record.fold(line)
    return record


def _lock(path: Path) -> IO[bytes] | None:
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
