"""What the actions of one receipt share."""

from hither.primitives.account import Account, UninitialisedAccount
from hither.primitives.receipt import ActionReceipt, Receipt
from hither.primitives.types import AccountId
from hither.runtime.chunk_run import ChunkRun


class ReceiptFrame:
    """One receipt in execution.

    ``account`` is the receiver as the actions so far left it, written back only
    if all succeed. ``actor_id`` is in whose name actions are performed: the
    predecessor, or the receiver itself once the receipt created it.
    """

    __slots__ = (
        "account",
        "account_id",
        "actor_id",
        "body",
        "is_refund",
        "promise_results",
        "receipt",
        "recorded_size_before",
        "run",
    )

    def __init__(
        self,
        run: ChunkRun,
        receipt: Receipt,
        body: ActionReceipt,
        account: Account | UninitialisedAccount | None,
        promise_results: list[bytes | bool | None],
    ) -> None:
        self.run = run
        self.receipt = receipt
        self.body = body
        self.account = account
        self.account_id = receipt.receiver_id
        self.actor_id: AccountId = receipt.predecessor_id
        self.is_refund = receipt.predecessor_id == "system"
        self.promise_results = promise_results
        self.recorded_size_before = 0

    @property
    def own_account(self) -> Account:
        """The receiver, which the checks before the action found to be there and set up."""
        assert isinstance(self.account, Account)
        return self.account
