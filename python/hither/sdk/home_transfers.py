"""One transfer or call on our own chain, journaled like those abroad (``transfers``)."""

from typing import Final

from hither.client import (
    AsyncClient,
    ExecutionFailed,
    InvalidTransaction,
    Signer,
    TransactionResult,
    UnknownTransaction,
)
from hither.client.actions import Yocto, function_call, transfer
from hither.client.operations import Finality, WaitUntil
from hither.codec import base58
from hither.foreign.adapter import Coin
from hither.foreign.caip import ChainId
from hither.foreign.errors import InsufficientFunds, TransactionFailed
from hither.primitives import transaction as wire
from hither.primitives.action import Action
from hither.sdk.events import Progress, Step
from hither.sdk.journal import Entry, Record
from hither.sdk.work import NotOnThisChain, Sent, Work, describe_deed

NEAR: Final = Coin("N", 24)
CALL_GAS: Final = "100 Tgas"


class HomeTransfer(Work):
    """On our own chain."""

    def __init__(self, client: AsyncClient, signer: Signer, entry: Entry, progress: Progress) -> None:
        super().__init__(entry, progress)
        self._client = client
        self._signer = signer

    async def bring_to_chain(self) -> None:
        """Until the node has taken it. Raises ``ClientError``, ``TransactionFailed``, ``InsufficientFunds``.

        One that the node refuses before it runs has ended: it would surprise who sent it to see it happen later.
        """
        if self._record.is_broadcast:
            return  # In a block, which a node does not forget.
        try:
            if not await self._has_arrived():
                action = _make_action(self._record)
                self._tell(Step.INTENDED, _describe(self._record))
                await self._client.send(
                    self._record.deed["receiver"], action, signer=self._signer, on_signed=self._note
                )
        except ExecutionFailed as error:
            self._end_as_failed(error)
        except InvalidTransaction as error:
            if has_had_no_effect(error):
                self._end_as_abandoned(error)
            raise
        self._entry.write("broadcast")
        self._tell(Step.BROADCAST, f"sent as {self._record.transaction_id}")

    def _note(self, signed: wire.SignedTransaction) -> None:
        hash_, raw = base58.encode(signed.hash), wire.encode_signed_transaction(signed).hex()
        self._entry.write("ready", transaction_id=hash_, raw=raw)

    async def _has_arrived(self) -> bool:
        """Whether what was signed before ran, or does now; False when it never can."""
        if self._record.raw is None or self._record.transaction_id is None:
            return False
        try:
            await self._client.wait_for(self._record.transaction_id, self._record.account_id)
        except UnknownTransaction:
            try:
                await self._client.submit(wire.decode_signed_transaction(self._record.raw))
            except InvalidTransaction:
                return False
        return True

    def _end_as_failed(self, error: ExecutionFailed) -> None:
        self._entry.write("failed", outcome={"code": error.code, "message": str(error)})
        raise TransactionFailed(f"{self._record.transaction_id} failed: {error}") from error

    def _end_as_abandoned(self, error: InvalidTransaction) -> None:
        """Raises ``InsufficientFunds`` when that is the reason."""
        short = find_shortage(error, self._record.chain)
        told = error if short is None else short
        self._entry.write("abandoned", outcome={"code": told.code, "message": str(told)})
        if short is not None:
            raise short from error

    async def follow(self) -> Sent:
        """Until it is final. Raises ``ClientError``, ``TransactionFailed``."""
        record = self._record
        assert record.transaction_id is not None, "signed before"
        try:
            result = await self._client.wait_for(
                record.transaction_id, record.account_id, wait_until=WaitUntil.FINAL
            )
        except ExecutionFailed as error:
            self._end_as_failed(error)
            raise AssertionError("it raises") from error
        if record.step != "final":
            await self._end_as_final(result)
        return self._describe_end(record.account_id)

    async def _end_as_final(self, result: TransactionResult) -> None:
        assert result.block_hash is not None, "it is final"
        included = await self._client.get_block(result.block_hash)
        newest = await self._client.get_block(Finality.FINAL)
        outcome = {
            "fee": result.tokens_burnt,
            "confirmations": newest.height - included.height + 1,
            "height": included.height,
            "total_ms": self._measure_ms(),
        }
        self._entry.write("final", outcome=outcome)
        self._tell(Step.FINAL, f"{result.hash} is final")


def has_had_no_effect(error: InvalidTransaction) -> bool:
    """Whether a transaction was refused for good, and no earlier sending of it can have been taken."""
    return not error.retryable and not error.was_sent_before


def find_shortage(error: InvalidTransaction, chain: ChainId) -> InsufficientFunds | None:
    """The error of an account of our chain that cannot pay, as other chains' adapters tell it."""
    signer, balance, cost = (error.fields.get(name) for name in ("signer_id", "balance", "cost"))
    if error.kind != "NotEnoughBalance" or balance is None or cost is None:
        return None
    return InsufficientFunds(
        f"{signer} has {NEAR.format(int(balance))} on {chain}; {NEAR.format(int(cost))} are needed, "
        "fees and prepaid gas included",
        balance=int(balance),
        needed=int(cost),
        write=NEAR.format,
        address=str(signer),
    )


def _make_action(record: Record) -> Action:
    deed = record.deed
    match deed["kind"]:
        case "send":
            return transfer(Yocto(deed["amount"]))
        case "call":
            arguments = bytes.fromhex(deed["data"])
            return function_call(deed["function"], arguments, gas=CALL_GAS, deposit=Yocto(deed["amount"]))
    raise NotOnThisChain(f"{record.chain} cannot do {deed['kind']!r}")


def _describe(record: Record) -> str:
    receiver, amount = describe_deed(record.deed)
    if record.deed["kind"] == "call":
        deposit = f" with {NEAR.format(amount)}" if amount else ""
        return f"Call {record.deed['function']} of {receiver} as {record.account_id}{deposit}."
    return f"Send {NEAR.format(amount)} from {record.account_id} to {receiver}."
