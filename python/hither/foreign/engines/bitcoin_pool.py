"""Transactions that wait for a block, and which of them a node takes: Bitcoin Core's checks in Bitcoin Core's order.

Reasons are Core's reject strings of the 29 series. Consensus rules are judged again by the kernel, in the scripts here
and in the block that includes them. Left out against Core: packages, expiry, and a full pool.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from btclib import policy
from btclib.exceptions import BTClibException, ScriptError
from btclib.fee import FeeRate, fee_from_vsize
from btclib.script.engine import ScriptFlag, sig_op_cost, verify_input
from btclib.script.sig_hash import PrecomputedTxData
from btclib.script.solver import solver
from btclib.tx import Coin as LibraryCoin
from btclib.tx import Tx, TxOut, assert_sequence_locks, is_final

from hither.foreign.bitcoin_transactions import SATOSHIS_MAX
from hither.foreign.engines.bitcoin_family import VERSION, FamilyError, name_transaction, validate_family
from hither.foreign.engines.bitcoin_kernel import Kernel
from hither.foreign.engines.bitcoin_ledger import Ledger, Point, Unspent, list_points, list_scripts
from hither.foreign.errors import MalformedTransaction

RELAY_RATE: Final = 100
"""Satoshis for 1,000 virtual bytes: the least that is relayed, and the least that a replacement adds."""
ANCESTORS_MAX: Final = 25
REPLACED_MAX: Final = 100
COINBASE_MATURITY: Final = 100
SIZE_BYTES_MIN: Final = 65
DATA_SCRIPT_BYTES_MAX: Final = 83

_STANDARD_RULES: Final = ~ScriptFlag(0)


class Refused(Exception):
    """``reason`` is Core's reject string; ``detail`` what it adds for people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}, {detail}" if detail else reason)
        self.reason = reason


class MissingInputs(Refused):
    """An input names an output that is not there, or is spent."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A waiting transaction. ``replaces`` are those that leave when it comes."""

    transaction_id: bytes
    transaction: Tx
    raw: bytes
    spent: tuple[Unspent, ...]
    fee: int
    size: int
    time: int
    replaces: tuple[bytes, ...] = ()


class Pool:
    """In order of arrival, so that parents stand before children."""

    def __init__(self, ledger: Ledger, kernel: Kernel) -> None:
        self._ledger = ledger
        self._kernel = kernel
        self.entries: dict[bytes, Entry] = {}
        self._spenders: dict[Point, bytes] = {}

    # Reading

    @property
    def height(self) -> int:
        """Of the chain's tip."""
        return self._ledger.height

    def get_spender(self, point: Point) -> bytes | None:
        """The waiting transaction that spends an output."""
        return self._spenders.get(point)

    def find_output(self, point: Point) -> Unspent | None:
        """An output of the chain or of a waiting transaction, whether or not another waiting one spends it."""
        entry = self.entries.get(point[0])
        if entry is None:
            return self._ledger.unspent.get(point)
        if point[1] >= len(entry.transaction.vout):
            return None
        output = entry.transaction.vout[point[1]]
        return Unspent(output.value, output.script_pub_key.script, None, False)

    def list_of_script(self, script: bytes) -> list[Entry]:
        """Waiting transactions that take from or pay to a script."""
        return [
            entry for entry in self.entries.values() if script in list_scripts(entry.transaction, entry.spent)
        ]

    def list_ancestors(self, transaction: Tx) -> set[bytes]:
        """Waiting transactions that it needs."""
        found: set[bytes] = set()
        waiting = [transaction]
        while waiting:
            for parent, _ in list_points(waiting.pop()):
                if parent in self.entries and parent not in found:
                    found.add(parent)
                    waiting.append(self.entries[parent].transaction)
        return found

    def list_descendants(self, transaction_id: bytes) -> list[bytes]:
        """It and the waiting transactions that need it, children after parents."""
        found = {transaction_id: None}
        for entry in self.entries.values():
            if any(parent in found for parent, _ in list_points(entry.transaction)):
                found[entry.transaction_id] = None
        return list(found)

    # Changing

    def add(self, entry: Entry) -> None:
        """Take in what ``check`` has found good."""
        for transaction_id in entry.replaces:
            self.remove(transaction_id)
        self.entries[entry.transaction_id] = entry
        for point in list_points(entry.transaction):
            self._spenders[point] = entry.transaction_id

    def remove(self, transaction_id: bytes) -> None:
        """Forget one."""
        entry = self.entries.pop(transaction_id)
        for point in list_points(entry.transaction):
            del self._spenders[point]

    def settle(self, transactions: Iterable[Tx]) -> None:
        """Forget what a new block includes, and what that made impossible."""
        for transaction in transactions:
            if transaction.id in self.entries:
                self.remove(transaction.id)
            for point in list_points(transaction):
                rival = self._spenders.get(point)
                for loser in self.list_descendants(rival) if rival is not None else ():
                    self.remove(loser)

    # Judging

    def check(self, transaction: Tx, raw: bytes) -> Entry:
        """What the transaction would be in the pool. Raises ``Refused``."""
        validate_transaction(transaction, raw)
        validate_policy(transaction)
        if not is_final(transaction, self._ledger.height + 1, self._median_time()):
            raise Refused("non-final")
        self._must_be_new(transaction)
        rivals = self._list_rivals(transaction)
        spent = self._find_inputs(transaction)
        fee = self._validate_inputs(transaction, spent)
        self._validate_input_policy(transaction, spent)
        if fee != 0 and policy.dust_outputs(transaction):
            # One is standard in a transaction that pays nothing, which is never relayed alone.
            raise Refused("dust", "tx with dust output must be 0-fee")
        size = self._compute_size(transaction, spent)
        if fee < fee_from_vsize(size, FeeRate(sats_per_kvbyte=RELAY_RATE)):
            least = fee_from_vsize(size, FeeRate(sats_per_kvbyte=RELAY_RATE))
            raise Refused("min relay fee not met", f"{fee} < {least}")
        siblings = self._validate_family(transaction, rivals, size)
        replaces = self._validate_replacement(transaction, rivals, fee, size, siblings)
        ancestors = self.list_ancestors(transaction)
        if len(ancestors) + 1 > ANCESTORS_MAX:
            raise Refused(
                "too-long-mempool-chain", f"too many unconfirmed ancestors [limit: {ANCESTORS_MAX}]"
            )
        self._validate_scripts(transaction, raw, spent)
        return Entry(transaction.id, transaction, raw, spent, fee, size, int(time.time()), replaces)

    def _median_time(self) -> int:
        return self._ledger.compute_median_time(self._ledger.height)

    def _must_be_new(self, transaction: Tx) -> None:
        waiting = self.entries.get(transaction.id)
        if waiting is not None:
            is_same = waiting.transaction.hash == transaction.hash
            raise Refused("txn-already-in-mempool" if is_same else "txn-same-nonwitness-data-in-mempool")

    def _list_rivals(self, transaction: Tx) -> list[bytes]:
        """Waiting transactions that spend the same outputs."""
        spenders = (self._spenders.get(point) for point in list_points(transaction))
        return list(dict.fromkeys(spender for spender in spenders if spender is not None))

    def _find_inputs(self, transaction: Tx) -> tuple[Unspent, ...]:
        found = []
        for point in list_points(transaction):
            output = self.find_output(point)
            if output is None:
                transaction_id = transaction.id
                ours = ((transaction_id, index) for index in range(len(transaction.vout)))
                if any(own in self._ledger.unspent for own in ours):
                    raise Refused("txn-already-known")
                raise MissingInputs("bad-txns-inputs-missingorspent")
            found.append(output)
        return tuple(found)

    def _validate_inputs(self, transaction: Tx, spent: Sequence[Unspent]) -> int:
        """The fee."""
        height = self._ledger.height + 1
        self._validate_sequence_locks(transaction, spent)
        for one in spent:
            depth = height - (one.height if one.height is not None else height)
            if one.is_coinbase and depth < COINBASE_MATURITY:
                raise Refused(
                    "bad-txns-premature-spend-of-coinbase", f"tried to spend coinbase at depth {depth}"
                )
        total = sum(one.amount for one in spent)
        paid = sum(output.value for output in transaction.vout)
        if total < paid:
            detail = f"value in ({format_money(total)}) < value out ({format_money(paid)})"
            raise Refused("bad-txns-in-belowout", detail)
        return total - paid

    def _validate_sequence_locks(self, transaction: Tx, spent: Sequence[Unspent]) -> None:
        height = self._ledger.height + 1
        coins = [
            LibraryCoin(
                TxOut(one.amount, one.script, check_validity=False),
                height if one.height is None else one.height,
                one.is_coinbase,
            )
            for one in spent
        ]
        try:
            assert_sequence_locks(
                transaction, coins, height, self._median_time(), self._ledger.compute_median_time
            )
        except BTClibException:
            raise Refused("non-BIP68-final") from None

    def _validate_input_policy(self, transaction: Tx, spent: Sequence[Unspent]) -> None:
        outputs = _as_library_outputs(spent)
        if not policy.are_inputs_standard(outputs, transaction):
            raise Refused("bad-txns-nonstandard-inputs")
        has_witness = any(entry.script_witness.stack for entry in transaction.vin)
        if has_witness and not policy.is_witness_standard(outputs, transaction):
            raise Refused("bad-witness-nonstandard")

    def _compute_size(self, transaction: Tx, spent: Sequence[Unspent]) -> int:
        cost = sig_op_cost(_as_library_outputs(spent), transaction, _STANDARD_RULES)
        if cost > policy.MAX_STANDARD_TX_SIGOPS_COST:
            raise Refused("bad-txns-too-many-sigops", str(cost))
        return policy.virtual_size(transaction.weight, sig_op_cost=cost)

    def _validate_family(self, transaction: Tx, rivals: Sequence[bytes], size: int) -> list[bytes]:
        """The other child of its parent, which must leave for it: the rules of version 3 allow one."""
        ancestors = sorted(self.list_ancestors(transaction))
        try:
            validate_family(transaction, size, (self.entries[one].transaction for one in ancestors))
        except FamilyError as error:
            raise Refused("TRUC-violation", str(error)) from None
        if transaction.version != VERSION or not ancestors:
            return []
        siblings = self.list_descendants(ancestors[0])[1:]
        if not siblings or any(one in rivals for one in siblings):
            return []
        # Two can be there after a reorganisation alone, and then none of them is chosen.
        if len(siblings) > 1:
            raise Refused(
                "TRUC-violation", f"{name_transaction(transaction)} would exceed descendant count limit"
            )
        return siblings

    def _validate_replacement(
        self, transaction: Tx, rivals: Sequence[bytes], fee: int, size: int, siblings: Sequence[bytes]
    ) -> tuple[bytes, ...]:
        """Those that would leave. A replacement pays more in all and by size, and for its own relaying."""
        name = transaction.id.hex()
        rivals = [*rivals, *siblings]
        added = " (including sibling eviction)" if siblings else ""
        replaced = list(dict.fromkeys(one for rival in rivals for one in self.list_descendants(rival)))
        if not replaced:
            return ()
        ancestors = self.list_ancestors(transaction)
        for rival in rivals:
            if rival in ancestors:
                raise Refused(
                    "bad-txns-spends-conflicting-tx", f"{name} spends conflicting transaction {rival.hex()}"
                )
        for rival in rivals:
            entry = self.entries[rival]
            if fee * entry.size <= entry.fee * size:
                detail = f"new feerate {format_rate(fee, size)} <= old feerate {format_rate(entry.fee, entry.size)}"
                raise Refused(f"insufficient fee{added}", f"rejecting replacement {name}; {detail}")
        if len(replaced) > REPLACED_MAX:
            raise Refused(
                f"too many potential replacements{added}",
                f"rejecting replacement {name}; too many potential replacements ({len(replaced)} > {REPLACED_MAX})",
            )
        known_parents = {
            parent for rival in rivals for parent, _ in list_points(self.entries[rival].transaction)
        }
        for index, (parent, _) in enumerate(list_points(transaction)):
            if parent in self.entries and parent not in known_parents:
                raise Refused(
                    "replacement-adds-unconfirmed", f"replacement {name} adds unconfirmed input, idx {index}"
                )
        old_fee = sum(self.entries[one].fee for one in replaced)
        if fee < old_fee:
            detail = f"less fees than conflicting txs; {format_money(fee)} < {format_money(old_fee)}"
            raise Refused(f"insufficient fee{added}", f"rejecting replacement {name}, {detail}")
        least = fee_from_vsize(size, FeeRate(sats_per_kvbyte=RELAY_RATE))
        if fee - old_fee < least:
            detail = f"{format_money(fee - old_fee)} < {format_money(least)}"
            raise Refused(
                f"insufficient fee{added}",
                f"rejecting replacement {name}, not enough additional fees to relay; {detail}",
            )
        return tuple(replaced)

    def _validate_scripts(self, transaction: Tx, raw: bytes, spent: Sequence[Unspent]) -> None:
        outputs = _as_library_outputs(spent)
        shared = PrecomputedTxData(transaction, outputs)
        for index, (parent, output) in enumerate(list_points(transaction)):
            try:
                verify_input(outputs, transaction, index, _STANDARD_RULES, shared)
            except ScriptError as error:
                raise Refused(
                    f"mempool-script-verify-flag-failed ({error.code.description})",
                    f"input {index} of {transaction.id.hex()} (wtxid {transaction.hash.hex()}), "
                    f"spending {parent.hex()}:{output}",
                ) from None
        # The last word is Bitcoin Core's own code's.
        if not self._kernel.is_spend_valid(raw, [(one.amount, one.script) for one in spent]):
            raise Refused("mempool-script-verify-flag-failed")


def validate_transaction(transaction: Tx, raw: bytes) -> None:
    """What must hold for a transaction by itself. Raises ``Refused``."""
    if not transaction.vin:
        raise Refused("bad-txns-vin-empty")
    if not transaction.vout:
        raise Refused("bad-txns-vout-empty")
    bare_size = len(transaction.serialize(False, check_validity=False))
    if bare_size * 4 > 4_000_000:
        raise Refused("bad-txns-oversize")
    total = 0
    for output in transaction.vout:
        total += output.value
        if output.value < 0:
            raise Refused("bad-txns-vout-negative")
        if output.value > SATOSHIS_MAX:
            raise Refused("bad-txns-vout-toolarge")
        if total > SATOSHIS_MAX:
            raise Refused("bad-txns-txouttotal-toolarge")
    points = list(list_points(transaction))
    if len(set(points)) != len(points):
        raise Refused("bad-txns-inputs-duplicate")
    if transaction.is_coinbase:
        is_odd = not 2 <= len(transaction.vin[0].script_sig) <= 100
        raise Refused("bad-cb-length" if is_odd else "coinbase")
    if any(entry.prev_out.is_coinbase for entry in transaction.vin):
        raise Refused("bad-txns-prevout-null")


def validate_policy(transaction: Tx) -> None:
    """What Core calls standard. Raises ``Refused``."""
    try:
        policy.assert_standard_tx(transaction)
    except BTClibException as error:
        raise Refused(str(error)) from None
    data = [one for one in transaction.vout if solver(one.script_pub_key.script)[0] == "nulldata"]
    if any(len(one.script_pub_key.script) > DATA_SCRIPT_BYTES_MAX for one in data):
        raise Refused("scriptpubkey")
    if len(data) > 1:
        raise Refused("multi-op-return")
    if len(transaction.serialize(False, check_validity=False)) < SIZE_BYTES_MIN:
        raise Refused("tx-size-small")


def parse_raw(raw: bytes) -> Tx:
    """A transaction from its bytes, good or not. Raises ``MalformedTransaction``."""
    try:
        transaction = Tx.parse(raw, check_validity=False)
    except (BTClibException, ValueError) as error:
        raise MalformedTransaction(str(error)) from error
    if transaction.serialize(True, check_validity=False) != raw:
        raise MalformedTransaction("bytes are left over")
    return transaction


def format_money(satoshis: int) -> str:
    """As Core writes amounts in messages: at least two decimals."""
    whole, rest = divmod(satoshis, 10**8)
    digits = f"{rest:08d}"
    return f"{whole}.{digits[:2]}{digits[2:].rstrip('0')}"


def format_rate(fee: int, size: int) -> str:
    """Bitcoin for 1,000 virtual bytes."""
    return f"{fee * 1_000 // size / 10**8:.8f} BTC/kvB"


def _as_library_outputs(spent: Sequence[Unspent]) -> list[TxOut]:
    return [TxOut(one.amount, one.script, check_validity=False) for one in spent]
