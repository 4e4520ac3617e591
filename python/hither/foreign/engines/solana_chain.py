"""A Solana chain on one machine: LiteSVM executes, this keeps slots, blockhashes and history around it.

LiteSVM knows one blockhash and no blocks, so its own check is off: the window of 150 is kept here, and so are durable
nonces. A slot passes every 400 ms and with every transaction, which is alone in its block; nobody can vote otherwise,
so a block is final at once. Accounts and history are written down as they come about (``solana_journal``); a snapshot
is a place in what was written, and to go back is to begin again from there.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeGuard

from solders.account import Account
from solders.address_lookup_table_account import ID as LOOKUP_TABLE_PROGRAM
from solders.clock import Clock
from solders.hash import Hash
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM_PROGRAM
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata

from hither.foreign.engines.journal import Snapshots
from hither.foreign.engines.solana_journal import (
    Begun,
    Change,
    Included,
    Moved,
    Passed,
    Record,
    SolanaJournal,
    apply_change,
    describe_change,
    describe_whole,
)
from hither.foreign.engines.solana_views import view_amount
from hither.foreign.solana_tokens import read_holding, read_mint

BLOCKHASH_WINDOW: Final = 150
SLOT_SECONDS: Final = 0.4
HISTORY_MAX: Final = 100_000
SLOT_HASHES: Final = 512
FAUCET_LAMPORTS: Final = 500_000_000 * 10**9
GENESIS_HASH: Final = Hash(sha256(b"hither: solana for development").digest())
"""The chain's CAIP-2 reference is the first 32 characters of its text."""

_LOOKUP_TABLE_HEADER_BYTES: Final = 56
_NONCE_BYTES: Final = 80
_NONCE_IN_USE: Final = (1).to_bytes(4, "little") * 2
_NONCE_AT: Final = slice(40, 72)
_NONCE_AUTHORITY_AT: Final = slice(8, 40)


class Refused(Exception):
    """The transaction was not included. ``error`` has the form of Solana's JSON."""

    def __init__(self, error: Any, outcome: dict[str, Any] | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.logs: list[str] = (outcome or {}).get("logs", [])
        self.compute_units: int = (outcome or {}).get("compute_units_consumed", 0)


class SolanaChain:
    """In a folder, one process at a time. Not safe for several threads: one request after the other."""

    svm: LiteSVM
    first_slot: int
    slot: int
    transaction_count: int
    records: dict[str, Record]

    def __init__(self, now: Callable[[], float], home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._now = now
        self._journal = SolanaJournal(home / "chain.dat")
        self._snapshots = Snapshots(home / "snapshots.json")
        self._faucet = Keypair.from_seed(sha256(b"hither: faucet").digest())
        self.listeners: list[Callable[[Record], None]] = []
        self._is_closed = False
        self._load()

    def close(self) -> None:
        """Let go of the folder, which holds the present. A second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._journal.sync()
            self._journal.close()

    def persist(self) -> None:
        """Wait until the disk has all of it; the end of the process alone loses nothing."""
        self._journal.sync()

    # The whole

    def _load(self) -> None:
        """Begin with what the journal holds, or at the beginning."""
        # Repeats are found in our own history, which does not forget after a few.
        self.svm = LiteSVM().with_blockhash_check(False).with_transaction_history(0)
        self.svm.set_account(self._faucet.pubkey(), Account(FAUCET_LAMPORTS, b"", SYSTEM_PROGRAM))
        self.first_slot = self.slot = self.svm.get_clock().slot
        self.transaction_count = 0
        self.records = {}
        self._signatures_by_account: dict[str, list[str]] = {}
        self._changed: dict[bytes, None] = {}
        self._eras: list[Begun] = []
        self._window: dict[Hash, int] = {}
        self._window_end = -1
        for entry in self._journal.read():
            match entry:
                case Begun():
                    self._eras.append(entry)
                    self.slot = entry.slot
                case Passed(slot):
                    self.slot = slot
                case Included(record, changes):
                    self.slot = record.slot
                    self._put_back(changes)
                    self._remember(record)
                case Moved(changes, forgotten):
                    self._put_back(changes)
                    self.transaction_count += forgotten
        if not self._eras:
            self._begin_era(self.first_slot)
        elif self.transaction_count > 2 * HISTORY_MAX and self._snapshots.is_empty:
            self._put_together()
        self._load_programs()
        self.advance()

    def _load_programs(self) -> None:
        """Put programs back once more, later than they were deployed: LiteSVM hides those of its present slot."""
        self._set_clock(self.slot + 1)
        for address in map(Pubkey, self._changed):
            account = self.svm.get_account(address)
            if account is not None and account.executable:
                self.svm.set_account(address, account)

    def _put_back(self, changes: Sequence[Change]) -> None:
        for change in changes:
            address = Pubkey(change.address)
            self.svm.set_account(address, apply_change(change, self.svm.get_account(address)))
            self._changed[change.address] = None

    def _begin_era(self, slot: int) -> None:
        """The clock counts from now on. Blockhashes are others than those of a time that was gone back over."""
        era = Begun(slot, self._now(), secrets.token_bytes(16))
        self._eras.append(era)
        self._journal.append(era)

    def _put_together(self) -> None:
        """Write the journal anew without what has been forgotten."""
        self._journal.cut(0)
        for era in self._eras:
            self._journal.append(era)
        addresses = [Pubkey(address) for address in self._changed]
        changes = describe_whole([(address, self.svm.get_account(address)) for address in addresses])
        self._journal.append(Moved(changes, self.transaction_count - len(self.records)))
        for record in self.records.values():
            self._journal.append(Included(record, ()))
        self._journal.sync()

    def snapshot(self, name: str) -> None:
        """Remember the present under a name."""
        self._journal.sync()
        self._snapshots.put(name, {"end": self._journal.end, "slot": self.slot})

    def revert(self, name: str) -> None:
        """Go back to a snapshot, which uses up it and all later ones. Raises ``UnknownSnapshot``."""
        state = self._snapshots.get(name)
        # In this order a stop in between leaves the snapshot, and going back can be asked for again.
        self._journal.cut(state["end"])
        self._begin_era(state["slot"])
        self._journal.sync()
        self._load()
        self._snapshots.use_up(name)

    # Slots and blockhashes

    @property
    def height(self) -> int:
        """Every slot has a block here."""
        return self.slot - self.first_slot

    def advance(self, slots: int = 0) -> None:
        """Let the slots that have passed by the clock, or at least so many, pass."""
        era = self._eras[-1]
        by_clock = era.slot + int((self._now() - era.time_s) / SLOT_SECONDS)
        self.slot = max(self.slot + slots, by_clock)
        self._set_clock(self.slot)

    def _set_clock(self, slot: int) -> None:
        old = self.svm.get_clock()
        time_s = int(self._now())
        self.svm.set_clock(
            Clock(slot, old.epoch_start_timestamp, old.epoch, old.leader_schedule_epoch, time_s)
        )

    def let_pass(self, slots: int) -> None:
        """Let so many slots pass, for good."""
        self.advance(slots)
        self._journal.append(Passed(self.slot))

    def compute_blockhash(self, height: int) -> Hash:
        """Of the block at a height."""
        slot = self.first_slot + height
        salt = next((era.salt for era in reversed(self._eras) if era.slot < slot), self._eras[0].salt)
        return Hash(sha256(bytes(GENESIS_HASH) + salt + height.to_bytes(8, "little")).digest())

    def get_latest_blockhash(self) -> tuple[Hash, int]:
        """The blockhash of this height, and the last height at which a transaction may name it."""
        return self.compute_blockhash(self.height), self.height + BLOCKHASH_WINDOW

    def is_blockhash_valid(self, blockhash: Hash) -> bool:
        """Whether it is a block's that is not older than the window."""
        oldest = max(0, self.height - BLOCKHASH_WINDOW)
        for height in range(max(self._window_end + 1, oldest), self.height + 1):
            self._window[self.compute_blockhash(height)] = height
        self._window_end = self.height
        while next(iter(self._window.values())) < oldest:
            del self._window[next(iter(self._window))]
        return blockhash in self._window

    # Accounts

    def get_account(self, address: Pubkey) -> Account | None:
        """None for what has no lamports."""
        account = self.svm.get_account(address)
        return account if account is not None and account.lamports > 0 else None

    def get_balance(self, address: Pubkey) -> int:
        """In lamports."""
        return self.svm.get_balance(address) or 0

    def get_signatures(self, address: str) -> Sequence[str]:
        """Of the transactions that name the account, oldest first."""
        return self._signatures_by_account.get(address, ())

    # Transactions

    def simulate(
        self, transaction: VersionedTransaction, *, checks_blockhash: bool = True
    ) -> tuple[dict[str, Any], dict[Pubkey, Account]]:
        """The outcome that it would have now, and accounts after it. Raises ``Refused``."""
        self._must_be_fresh(transaction, checks_blockhash=checks_blockhash)
        self._prepare(transaction)
        result = self.svm.simulate_transaction(transaction)
        if isinstance(result, FailedTransactionMetadata):
            raise _read_refusal(result)
        return dict(json.loads(result.meta().to_json())), dict(result.post_accounts())

    def send(self, transaction: VersionedTransaction) -> Record:
        """Include it in a block of its own. Raises ``Refused`` when it pays no fee and is not included."""
        self._must_be_fresh(transaction)
        message = transaction.message
        writable, readonly = self._resolve_lookups(message)
        keys = (*message.account_keys, *writable, *readonly)
        self.advance(1)
        self._prepare(transaction)
        before = [self.svm.get_account(key) for key in keys]
        tokens_before = self._view_tokens(keys, before)
        result = self.svm.send_transaction(transaction)
        error = None
        if isinstance(result, FailedTransactionMetadata):
            refusal = _read_refusal(result)
            if all(
                self.get_balance(key) == _count_lamports(old) for key, old in zip(keys, before, strict=True)
            ):
                raise refusal
            error = refusal.error
        self._renew_nonces(transaction, keys, before)
        after = [self.svm.get_account(key) for key in keys]
        record = Record(
            self.slot,
            int(self._now()),
            str(transaction.signatures[0]),
            bytes(transaction),
            json.loads(_get_metadata(result).to_json()),
            error,
            tuple(str(key) for key in keys),
            tuple(str(key) for key in writable),
            tuple(str(key) for key in readonly),
            tuple(_count_lamports(account) for account in before),
            tuple(_count_lamports(account) for account in after),
            tokens_before,
            self._view_tokens(keys, after),
        )
        changes = tuple(
            change
            for key, old, new in zip(keys, before, after, strict=True)
            if (change := describe_change(key, old, new)) is not None
        )
        self._changed.update((change.address, None) for change in changes)
        self._journal.append(Included(record, changes))
        self._remember(record)
        for listener in list(self.listeners):
            listener(record)
        return record

    def airdrop(self, address: Pubkey, lamports: int) -> Record:
        """A transfer from the faucet. Raises ``Refused``."""
        self.advance(1)  # Two equal airdrops differ in their blockhash.
        blockhash, _ = self.get_latest_blockhash()
        payment = transfer(
            TransferParams(from_pubkey=self._faucet.pubkey(), to_pubkey=address, lamports=lamports)
        )
        message = Message.new_with_blockhash([payment], self._faucet.pubkey(), blockhash)
        return self.send(VersionedTransaction(message, [self._faucet]))

    def _must_be_fresh(self, transaction: VersionedTransaction, *, checks_blockhash: bool = True) -> None:
        if str(transaction.signatures[0]) in self.records:
            raise Refused("AlreadyProcessed")
        if checks_blockhash:
            self.advance()
            blockhash = transaction.message.recent_blockhash
            if not self.is_blockhash_valid(blockhash) and not self._is_nonce_good(transaction):
                raise Refused("BlockhashNotFound")

    def _is_nonce_good(self, transaction: VersionedTransaction) -> bool:
        """Whether it names the value of the nonce account that its first instruction advances, as its authority."""
        if not transaction.uses_durable_nonce():
            return False
        message = transaction.message
        account = self.svm.get_account(message.account_keys[message.instructions[0].accounts[0]])
        if not _is_nonce(account):
            return False
        data = bytes(account.data)
        signers = message.account_keys[: message.header.num_required_signatures]
        return data[_NONCE_AT] == bytes(message.recent_blockhash) and (
            Pubkey(data[_NONCE_AUTHORITY_AT]) in signers
        )

    def _renew_nonces(
        self, transaction: VersionedTransaction, keys: Sequence[Pubkey], before: Sequence[Account | None]
    ) -> None:
        """Give each nonce that was made or used the value of this block.

        LiteSVM takes them from its one blockhash, and leaves that of a transaction that failed as it was.
        """
        message = transaction.message
        used = message.instructions[0].accounts[0] if transaction.uses_durable_nonce() else None
        value = sha256(b"DURABLE_NONCE" + bytes(self.get_latest_blockhash()[0])).digest()
        for index, (key, old) in enumerate(zip(keys, before, strict=True)):
            account = self.svm.get_account(key)
            if not _is_nonce(account):
                continue
            data = bytes(account.data)
            is_new = not _is_nonce(old) or bytes(old.data)[_NONCE_AT] != data[_NONCE_AT]
            if is_new or index == used:
                data = data[:40] + value + data[72:]
                self.svm.set_account(key, Account(account.lamports, data, account.owner))

    def _prepare(self, transaction: VersionedTransaction) -> None:
        """What programs may read of earlier slots; lookup tables are made under one of them."""
        message = transaction.message
        has_lookups = isinstance(message, MessageV0) and len(message.address_table_lookups) > 0
        if has_lookups or LOOKUP_TABLE_PROGRAM in message.account_keys:
            heights = range(self.height, max(-1, self.height - SLOT_HASHES), -1)
            self.svm.set_slot_hashes(
                [(self.first_slot + height, self.compute_blockhash(height)) for height in heights]
            )

    def _resolve_lookups(self, message: Any) -> tuple[tuple[Pubkey, ...], tuple[Pubkey, ...]]:
        """The writable and the read-only accounts that a v0 message takes from lookup tables."""
        if not isinstance(message, MessageV0):
            return (), ()
        writable: list[Pubkey] = []
        readonly: list[Pubkey] = []
        for lookup in message.address_table_lookups:
            table = self.svm.get_account(lookup.account_key)
            data = table.data[_LOOKUP_TABLE_HEADER_BYTES:] if table is not None else b""
            for indexes, found in ((lookup.writable_indexes, writable), (lookup.readonly_indexes, readonly)):
                entries = [data[32 * index : 32 * index + 32] for index in indexes]
                if any(len(entry) != 32 for entry in entries):
                    raise Refused("InvalidAddressLookupTableIndex" if table else "AddressLookupTableNotFound")
                found.extend(Pubkey(entry) for entry in entries)
        return tuple(writable), tuple(readonly)

    def _view_tokens(
        self, keys: Sequence[Pubkey], accounts: Sequence[Account | None]
    ) -> tuple[dict[str, Any], ...]:
        """The token balances among a transaction's accounts."""
        views = []
        for index, account in enumerate(accounts):
            holding = read_holding(account)
            if holding is None:
                continue
            mint = read_mint(self.svm.get_account(holding.mint))
            views.append(
                {
                    "accountIndex": index,
                    "mint": str(holding.mint),
                    "owner": str(holding.owner),
                    "programId": str(holding.program),
                    "uiTokenAmount": view_amount(holding.amount, 0 if mint is None else mint.decimals),
                }
            )
        return tuple(views)

    def _remember(self, record: Record) -> None:
        self.transaction_count += 1
        self.records[record.signature] = record
        for name in dict.fromkeys(record.account_keys):
            self._signatures_by_account.setdefault(name, []).append(record.signature)
        if len(self.records) > HISTORY_MAX:
            oldest = self.records.pop(next(iter(self.records)))
            for name in dict.fromkeys(oldest.account_keys):
                self._signatures_by_account[name].remove(oldest.signature)


def _is_nonce(account: Account | None) -> TypeGuard[Account]:
    return (
        account is not None
        and account.owner == SYSTEM_PROGRAM
        and len(account.data) == _NONCE_BYTES
        and bytes(account.data[:8]) == _NONCE_IN_USE
    )


def _count_lamports(account: Account | None) -> int:
    return 0 if account is None else account.lamports


def _get_metadata(result: TransactionMetadata | FailedTransactionMetadata) -> TransactionMetadata:
    return result.meta() if isinstance(result, FailedTransactionMetadata) else result


def _read_refusal(result: FailedTransactionMetadata) -> Refused:
    body = json.loads(result.to_json())
    return Refused(body["err"], body["meta"])
