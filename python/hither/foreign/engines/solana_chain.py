"""A Solana chain on one machine: LiteSVM executes, this keeps slots, blockhashes and history around it.

LiteSVM knows one blockhash and no blocks, so its own check is off and the window of 150 is kept here. A slot passes
every 400 ms and with every transaction, which is alone in its block; nobody can vote otherwise, so a block is final
at once.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from solders.account import Account
from solders.clock import Clock
from solders.hash import Hash
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata

BLOCKHASH_WINDOW: Final = 150
SLOT_SECONDS: Final = 0.4
HISTORY_MAX: Final = 100_000
FAUCET_LAMPORTS: Final = 500_000_000 * 10**9
GENESIS_HASH: Final = Hash(sha256(b"hither: solana for development").digest())
"""The chain's CAIP-2 reference is the first 32 characters of its text."""

_SYSTEM_PROGRAM: Final = Pubkey.default()
_LOOKUP_TABLE_HEADER_BYTES: Final = 56


@dataclass(frozen=True, slots=True)
class Record:
    """An included transaction. ``error`` is what its execution failed with, in the form of Solana's JSON."""

    slot: int
    time_s: int
    transaction: VersionedTransaction
    outcome: dict[str, Any]
    error: Any
    account_keys: tuple[str, ...]
    writable_loaded: tuple[str, ...]
    readonly_loaded: tuple[str, ...]
    balances_before: tuple[int, ...]
    balances_after: tuple[int, ...]

    @property
    def signature(self) -> str:
        """The transaction's id."""
        return str(self.transaction.signatures[0])


class Refused(Exception):
    """The transaction was not included. ``error`` has the form of Solana's JSON."""

    def __init__(self, error: Any, outcome: dict[str, Any] | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.logs: list[str] = (outcome or {}).get("logs", [])
        self.compute_units: int = (outcome or {}).get("compute_units_consumed", 0)


class SolanaChain:
    """Not safe for several threads: one request after the other."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        # Repeats are found in our own history, which does not forget after a few.
        self.svm = LiteSVM().with_blockhash_check(False).with_transaction_history(0)
        self.first_slot = self.svm.get_clock().slot
        self.slot = self.first_slot
        self.transaction_count = 0
        self.records: dict[str, Record] = {}
        self.listeners: list[Callable[[Record], None]] = []
        self._signatures_by_account: dict[str, list[str]] = {}
        self._issued: dict[Hash, int] = {}
        self._started_s = now()
        self._faucet = Keypair.from_seed(sha256(b"hither: faucet").digest())
        self.svm.set_account(self._faucet.pubkey(), Account(FAUCET_LAMPORTS, b"", _SYSTEM_PROGRAM))
        self.advance()

    # Slots and blockhashes

    @property
    def height(self) -> int:
        """Every slot has a block here."""
        return self.slot - self.first_slot

    def advance(self, slots: int = 0) -> None:
        """Let the slots that have passed by the clock, or at least so many, pass."""
        by_clock = self.first_slot + int((self._now() - self._started_s) / SLOT_SECONDS)
        slot = max(self.slot + slots, by_clock)
        old = self.svm.get_clock()
        time_s = int(self._now())
        self.svm.set_clock(
            Clock(slot, old.epoch_start_timestamp, old.epoch, old.leader_schedule_epoch, time_s)
        )
        self.slot = slot

    def get_latest_blockhash(self) -> tuple[Hash, int]:
        """The blockhash of this height, and the last height at which a transaction may name it."""
        blockhash = Hash(sha256(bytes(GENESIS_HASH) + self.height.to_bytes(8, "little")).digest())
        self._issued[blockhash] = self.height
        oldest = self.height - BLOCKHASH_WINDOW
        while self._issued and next(iter(self._issued.values())) < oldest:
            del self._issued[next(iter(self._issued))]
        return blockhash, self.height + BLOCKHASH_WINDOW

    def is_blockhash_valid(self, blockhash: Hash) -> bool:
        """Whether it was given out and is not older than the window."""
        height = self._issued.get(blockhash)
        return height is not None and self.height - height <= BLOCKHASH_WINDOW

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

    def simulate(self, transaction: VersionedTransaction, *, checks_blockhash: bool = True) -> dict[str, Any]:
        """The outcome that it would have now. Raises ``Refused``."""
        self._must_be_fresh(transaction, checks_blockhash=checks_blockhash)
        result = self.svm.simulate_transaction(transaction)
        if isinstance(result, FailedTransactionMetadata):
            raise _read_refusal(result)
        return dict(json.loads(result.meta().to_json()))

    def send(self, transaction: VersionedTransaction) -> Record:
        """Include it in a block of its own. Raises ``Refused`` when it pays no fee and is not included."""
        self._must_be_fresh(transaction)
        message = transaction.message
        writable, readonly = self._resolve_lookups(message)
        keys = (*message.account_keys, *writable, *readonly)
        before = tuple(self.get_balance(key) for key in keys)
        self.advance(1)
        result = self.svm.send_transaction(transaction)
        after = tuple(self.get_balance(key) for key in keys)
        error = None
        if isinstance(result, FailedTransactionMetadata):
            refusal = _read_refusal(result)
            if before == after:
                raise refusal
            error = refusal.error
        outcome = json.loads(_get_metadata(result).to_json())
        names = tuple(str(key) for key in keys)
        record = Record(
            self.slot,
            int(self._now()),
            transaction,
            outcome,
            error,
            names,
            tuple(str(key) for key in writable),
            tuple(str(key) for key in readonly),
            before,
            after,
        )
        self._remember(record)
        for listener in self.listeners:
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
        if checks_blockhash and not transaction.uses_durable_nonce():
            self.advance()
            if not self.is_blockhash_valid(transaction.message.recent_blockhash):
                raise Refused("BlockhashNotFound")

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

    def _remember(self, record: Record) -> None:
        self.transaction_count += 1
        self.records[record.signature] = record
        for name in dict.fromkeys(record.account_keys):
            self._signatures_by_account.setdefault(name, []).append(record.signature)
        if len(self.records) > HISTORY_MAX:
            oldest = self.records.pop(next(iter(self.records)))
            for name in dict.fromkeys(oldest.account_keys):
                self._signatures_by_account[name].remove(oldest.signature)


def _get_metadata(result: TransactionMetadata | FailedTransactionMetadata) -> TransactionMetadata:
    return result.meta() if isinstance(result, FailedTransactionMetadata) else result


def _read_refusal(result: FailedTransactionMetadata) -> Refused:
    body = json.loads(result.to_json())
    return Refused(body["err"], body["meta"])
