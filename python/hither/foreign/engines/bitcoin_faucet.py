"""Development coins for whoever asks. They lie under a script that asks for nothing, so that no key is kept."""

import hashlib
from typing import Final

from btclib.script.witness import Witness
from btclib.tx import OutPoint, Tx, TxIn, TxOut

from hither.foreign.bitcoin_addresses import REGTEST, format_script
from hither.foreign.bitcoin_transactions import SEQUENCE_REPLACEABLE
from hither.foreign.engines.bitcoin_ledger import Ledger, Point, Unspent
from hither.foreign.engines.bitcoin_pool import COINBASE_MATURITY, Pool
from hither.foreign.errors import EngineError

FAUCET_WITNESS: Final = b"\x51"
FAUCET_SCRIPT: Final = b"\x00\x20" + hashlib.sha256(FAUCET_WITNESS).digest()
FAUCET_ADDRESS: Final = format_script(FAUCET_SCRIPT, REGTEST)

_INPUTS_MAX: Final = 500
_CHANGE_MIN: Final = 1_000
"""Above the dust limit of every script."""


def make_payment(ledger: Ledger, pool: Pool, script: bytes, amount: int) -> Tx:
    """A transaction from the faucet. Raises ``EngineError`` when it is empty."""
    inputs = _choose_coins(ledger, pool, amount)
    total = sum(output.amount for _, output in inputs)
    rest = total - amount - _compute_fee(len(inputs))
    outputs = [TxOut(amount, script, check_validity=False)]
    if rest >= _CHANGE_MIN:
        outputs.append(TxOut(rest, FAUCET_SCRIPT, check_validity=False))
    entries = [
        TxIn(OutPoint(*point), b"", SEQUENCE_REPLACEABLE, Witness([FAUCET_WITNESS]), check_validity=False)
        for point, _ in inputs
    ]
    return Tx(2, 0, entries, outputs, check_validity=False)


def _choose_coins(ledger: Ledger, pool: Pool, amount: int) -> list[tuple[Point, Unspent]]:
    """The largest first."""
    ready = [
        (point, output)
        for point, output in ledger.list_unspent(FAUCET_SCRIPT)
        if pool.get_spender(point) is None and _is_mature(ledger, output)
    ]
    ready.sort(key=lambda one: (-one[1].amount, one[0]))
    total = 0
    for count, (_, output) in enumerate(ready[:_INPUTS_MAX], 1):
        total += output.amount
        if total >= amount + _compute_fee(count):
            return ready[:count]
    raise EngineError(f"the faucet has {total} satoshis ready, not {amount}", hint="mine more blocks first")


def _compute_fee(inputs: int) -> int:
    # An input with the witness that asks for nothing takes 42 virtual bytes; all the rest takes less than 150;
    # one satoshi each.
    return 150 + 42 * inputs


def _is_mature(ledger: Ledger, output: Unspent) -> bool:
    if not output.is_coinbase or output.height is None:
        return True
    return ledger.height + 1 - output.height >= COINBASE_MATURITY
