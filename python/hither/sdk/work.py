"""What is the same for a transfer on our chain (``home_transfers``) and on any other (``transfers``)."""

import time
from dataclasses import dataclass
from typing import Any

from hither.foreign.caip import ChainId
from hither.foreign.errors import ForeignError
from hither.sdk.events import Event, Progress, Step
from hither.sdk.journal import Entry, Record


class NotOnThisChain(ForeignError):
    """The chain's family has no such thing."""

    code = "NOT_ON_THIS_CHAIN"
    hint = "ask the chain's own adapter what it can do; the reference page of its family lists it"


@dataclass(frozen=True, slots=True)
class Sent:
    """A transfer that is final. Asking again with its ``reference`` gives the same one."""

    transfer_id: str
    """Its name in the journal."""
    chain: ChainId
    """Where it happened."""
    address: str
    """Who paid there: the account's derived address; on our chain the account itself."""
    receiver: str
    """The address or contract; of a batch on Bitcoin all of them, with commas; empty when a contract was created."""
    amount: int
    """Of the chain's coin in its smallest unit (wei, satoshis, lamports, yoctonear); 0 when tokens were moved."""
    fee: int | None
    """What it cost beside, in the same unit; None when the endpoint keeps no history of it."""
    transaction_id: str
    """As the chain's explorers name it."""
    confirmations: int
    """How many blocks held it or followed, it included, when it was found final."""
    height: int | None
    """Of its block (on Solana its slot), if the endpoint says so."""
    sign_transactions: tuple[str, ...]
    """The transactions on our chain that asked for its signatures; none on our own chain."""
    total_ms: float
    """From when this program took it up until it was final."""


class Work:
    """On one entry of the journal, by who holds it."""

    def __init__(self, entry: Entry, progress: Progress) -> None:
        self._entry = entry
        self._progress = progress
        self._started = time.monotonic()

    @property
    def _record(self) -> Record:
        return self._entry.record

    def _tell(self, step: Step, text: str) -> None:
        self._progress(Event(self._record.id, self._record.chain, step, text))

    def _measure_ms(self) -> float:
        """Since this process took it up."""
        return (time.monotonic() - self._started) * 1000

    def _describe_end(self, address: str) -> Sent:
        """Of a transfer that is final, sent from that address."""
        record = self._record
        assert record.transaction_id is not None, "it is final"
        receiver, amount = describe_deed(record.deed)
        return Sent(
            transfer_id=record.id,
            chain=record.chain,
            address=address,
            receiver=receiver,
            amount=amount,
            fee=record.outcome["fee"],
            transaction_id=record.transaction_id,
            confirmations=record.outcome["confirmations"],
            height=record.outcome["height"],
            sign_transactions=tuple(hash_ for _, hash_ in sorted(record.sign_transactions.items())),
            total_ms=record.outcome["total_ms"],
        )


def describe_deed(deed: dict[str, Any]) -> tuple[str, int]:
    """To whom, and how much of the chain's coin."""
    if deed["kind"] == "pay":
        payments = deed["payments"]
        return ", ".join(receiver for receiver, _ in payments), sum(amount for _, amount in payments)
    return deed["receiver"], deed["amount"]
