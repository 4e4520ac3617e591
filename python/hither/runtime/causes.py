"""Why a state change happened: bytes that ``ChunkState.commit`` keeps with each change.

They are the JSON of NEAR's ``StateChangeCauseView``, as the RPC method ``changes`` shows it.
"""

from typing import Final

from hither.codec import base58

BANDWIDTH_SCHEDULER_STATE_UPDATE: Final = b'{"type":"bandwidth_scheduler_state_update"}'
INITIAL_STATE: Final = b'{"type":"initial_state"}'
MIGRATION: Final = b'{"type":"migration"}'
UPDATED_DELAYED_RECEIPTS: Final = b'{"type":"updated_delayed_receipts"}'
VALIDATOR_ACCOUNTS_UPDATE: Final = b'{"type":"validator_accounts_update"}'


def transaction_processing(transaction_hash: bytes) -> bytes:
    """A transaction was turned into a receipt."""
    return f'{{"type":"transaction_processing","tx_hash":"{base58.encode(transaction_hash)}"}}'.encode()


class ReceiptCauses:
    """The causes that name one receipt."""

    __slots__ = ("_end",)

    def __init__(self, receipt_id: bytes) -> None:
        self._end = f'","receipt_hash":"{base58.encode(receipt_id)}"}}'

    @property
    def processing_started(self) -> bytes:
        """Its inputs were taken from the state."""
        return f'{{"type":"action_receipt_processing_started{self._end}'.encode()

    @property
    def processing(self) -> bytes:
        """Its actions were executed."""
        return f'{{"type":"receipt_processing{self._end}'.encode()

    @property
    def gas_reward(self) -> bytes:
        """Its receiver got a share of the burnt gas."""
        return f'{{"type":"action_receipt_gas_reward{self._end}'.encode()

    @property
    def postponed(self) -> bytes:
        """It was put off until its inputs are there, or it brought an input."""
        return f'{{"type":"postponed_receipt{self._end}'.encode()
