"""What comes back after a receipt: unused gas, the price difference, and deposits of a failure.

Gas is bought at one price and burnt at another; the difference is burnt (84) or
refunded (85 and later). Source: nearcore ``refund_unspent_gas_and_deposits``.
"""

from typing import Final

import msgspec

from hither.params import RuntimeConfig
from hither.primitives.action import Transfer
from hither.primitives.receipt import ActionReceipt, Receipt
from hither.primitives.types import (
    ED25519,
    SYSTEM_ACCOUNT,
    ZERO_HASH,
    AccountId,
    Balance,
    PublicKey,
)
from hither.runtime.action_result import ActionResult
from hither.runtime.chunk_run import ChunkRun
from hither.runtime.fees import prepaid_exec_and_send_gas, total_deposit
from hither.runtime.receipt_frame import ReceiptFrame

_NO_KEY: Final = PublicKey(ED25519, bytes(32))


class GasSettlement(msgspec.Struct, frozen=True, gc=False):
    """How the burnt amount differs from burnt gas at the burn price.

    ``price_deficit``: gas was bought cheaper than it is now. ``price_surplus``: it
    was bought dearer and the difference is kept. ``penalty`` is for buying too
    much, ``account_creation_charge`` tops up what a new account has burnt.
    """

    price_deficit: Balance = Balance(0)
    price_surplus: Balance = Balance(0)
    penalty: Balance = Balance(0)
    account_creation_charge: Balance = Balance(0)


NOTHING_TO_SETTLE: Final = GasSettlement()


def make_balance_refund(receiver_id: AccountId, amount: Balance) -> Receipt:
    """Give money back to an account."""
    body = ActionReceipt(SYSTEM_ACCOUNT, _NO_KEY, Balance(0), (), (), (Transfer(amount),))
    return Receipt(SYSTEM_ACCOUNT, receiver_id, ZERO_HASH, body)


def make_gas_refund(receiver_id: AccountId, amount: Balance, key: PublicKey) -> Receipt:
    """Give money back to whoever bought the gas; a key's allowance grows with it."""
    body = ActionReceipt(receiver_id, key, Balance(0), (), (), (Transfer(amount),))
    return Receipt(SYSTEM_ACCOUNT, receiver_id, ZERO_HASH, body)


def _compute_penalty_gas(config: RuntimeConfig, gas: int) -> int:
    """What is kept of refunded gas (NEP-536; nothing, at the versions supported)."""
    numerator, denominator = config.fees.gas_refund_penalty
    return min(max(gas * numerator // denominator, config.fees.min_gas_refund_penalty), gas)


def settle_gas(frame: ReceiptFrame, result: ActionResult, is_account_created: bool) -> GasSettlement:
    """Append the refunds of an executed receipt to its new receipts: deposit first, then gas."""
    run, body = frame.run, frame.body
    is_failed = result.error is not None
    prepaid = prepaid_exec_and_send_gas(run.fees, body.actions, frame.account_id)
    unused = prepaid - (result.gas_burnt if is_failed else result.gas_used)
    assert unused >= 0, "a receipt cannot use more gas than it was given"
    price_fall = body.gas_price - run.context.gas_price
    if unused == 0 and price_fall == 0 and not is_failed:
        return NOTHING_TO_SETTLE
    penalty_gas = _compute_penalty_gas(run.config, unused) if unused else 0
    gas_refund = (unused - penalty_gas) * body.gas_price
    penalty = Balance(penalty_gas * body.gas_price)
    difference = price_fall * result.gas_burnt
    if run.is_burn_price_clamped:
        refunded = max(0, difference)
        charge = _compute_creation_charge(run, body, refunded) if is_account_created else 0
        gas_refund += refunded - charge
        settlement = GasSettlement(penalty=penalty, account_creation_charge=Balance(charge))
    else:
        settlement = GasSettlement(Balance(max(0, -difference)), Balance(max(0, difference)), penalty)
    if is_failed:
        deposit = total_deposit(body.actions)
        if deposit:
            receiver_id = frame.receipt.predecessor_id if body.refund_to is None else body.refund_to
            result.new_receipts.append(make_balance_refund(receiver_id, deposit))
    if gas_refund:
        refund = make_gas_refund(body.signer_id, Balance(gas_refund), body.signer_public_key)
        result.new_receipts.append(refund)
    return settlement


def _compute_creation_charge(run: ChunkRun, body: ActionReceipt, available: int) -> int:
    """What is kept of the price difference, so that an account costs the same at every gas price."""
    burn_price = min(run.context.gas_price, body.gas_price)
    burnt = burn_price * run.fees.create_account.execute
    return min(max(0, run.config.account_creation_charge - burnt), available)
