"""Why a state change happened: bytes that ``ChunkState.commit`` keeps with each change.

A tag byte, then the hash of the transaction or receipt, if one is named: several
are made for each transfer, so they are put into words only when somebody asks.
``describe_cause`` gives NEAR's ``StateChangeCauseView``.
"""

from typing import Final

from hither.codec import base58

_NAMES: Final = (
    "initial_state",
    "transaction_processing",
    "action_receipt_processing_started",
    "action_receipt_gas_reward",
    "receipt_processing",
    "postponed_receipt",
    "updated_delayed_receipts",
    "validator_accounts_update",
    "migration",
    "bandwidth_scheduler_state_update",
)

INITIAL_STATE: Final = b"\x00"
TRANSACTION_PROCESSING: Final = b"\x01"
"""A transaction was turned into a receipt. Its hash follows."""
RECEIPT_PROCESSING_STARTED: Final = b"\x02"
"""A receipt's inputs were taken from the state. Its id follows."""
GAS_REWARD: Final = b"\x03"
"""A receipt's receiver got a share of the burnt gas. The id follows."""
RECEIPT_PROCESSING: Final = b"\x04"
"""A receipt's actions were executed. Its id follows."""
POSTPONED_RECEIPT: Final = b"\x05"
"""A receipt was put off until its inputs are there, or brought an input. Its id follows."""
UPDATED_DELAYED_RECEIPTS: Final = b"\x06"
VALIDATOR_ACCOUNTS_UPDATE: Final = b"\x07"
MIGRATION: Final = b"\x08"
"""A record was patched by hand, on a development chain."""
BANDWIDTH_SCHEDULER_STATE_UPDATE: Final = b"\x09"


def describe_cause(cause: bytes) -> dict[str, str]:
    """The cause as the RPC method ``changes`` shows it."""
    shown = {"type": _NAMES[cause[0]]}
    if len(cause) > 1:
        name = "tx_hash" if cause[:1] == TRANSACTION_PROCESSING else "receipt_hash"
        shown[name] = base58.encode(cause[1:])
    return shown
