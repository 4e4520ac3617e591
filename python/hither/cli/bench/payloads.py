"""``hither bench payloads``: transactions of other chains built, hashed, signed and checked, on one core.

The signatures are made beforehand, as the signing network makes them. Every transaction is another one; the results are
compared with what was signed for, so that none is skipped.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hither.cli.bench.evm import make_senders
from hither.cli.bench.keys import compress
from hither.cli.bench.options import BenchmarkFailed, BenchOptions, Figures
from hither.cli.bench.payloads_bitcoin import BitcoinPayloads
from hither.crypto.hashing import keccak256
from hither.crypto.signing import sign
from hither.foreign.adapter import EcdsaSignature, UnsignedTransaction
from hither.foreign.evm import EvmAdapter
from hither.foreign.evm_chains import get_evm_chain, make_evm_chain_id
from hither.foreign.evm_transactions import FeeMarketTransaction, encode_unsigned, recover_sender
from hither.foreign.transport import JsonRpc

CHAIN_ID = 8453
SENDERS = 50
PREPARED = 5_000


def measure(options: BenchOptions) -> Figures:
    """Half of the seconds for each family."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return {**_measure_evm(options.seconds / 2), **_measure_bitcoin(options.seconds / 2)}
    finally:
        os.sched_setaffinity(0, cores)


def measure_rate(work: Callable[[int], None], count: int, seconds: float) -> tuple[int, float]:
    """Call ``work`` with 0 to ``count`` - 1 over and over; how often, and how long that took."""
    done, started = 0, time.perf_counter()
    while True:
        for index in range(count):
            work(index)
        done += count
        elapsed = time.perf_counter() - started
        if elapsed >= seconds:
            return done, elapsed


def _measure_bitcoin(seconds: float) -> Figures:
    payloads = BitcoinPayloads()
    return payloads.report(*measure_rate(payloads.work, len(payloads.cases), seconds))


# EVM


@dataclass(frozen=True, slots=True)
class _Case:
    public_key: bytes
    address: bytes
    transaction: FeeMarketTransaction
    signature: EcdsaSignature


def _measure_evm(seconds: float) -> Figures:
    """Transfers of type 2: body, digest, signature attached, sender recovered and compared."""
    adapter = EvmAdapter(get_evm_chain(make_evm_chain_id(CHAIN_ID)), JsonRpc("http://127.0.0.1"))
    cases = _prepare_evm()
    raws = [b""] * len(cases)

    def work(index: int) -> None:
        case = cases[index]
        unsigned = UnsignedTransaction(adapter.chain, case.public_key, encode_unsigned(case.transaction))
        adapter.list_payloads(unsigned)
        raws[index] = adapter.attach(unsigned, (case.signature,)).raw

    done, elapsed = measure_rate(work, len(cases), seconds)
    if [recover_sender(raw) for raw in raws] != [case.address for case in cases]:
        raise BenchmarkFailed("a transaction is not from who signed it")
    return {"evm_per_s": round(done / elapsed), "evm_transactions": done}


def _prepare_evm() -> Sequence[_Case]:
    senders = make_senders(SENDERS)
    keys = [compress(sender.secret) for sender in senders]
    cases = []
    for index in range(PREPARED):
        sender, key = senders[index % SENDERS], keys[index % SENDERS]
        receiver = keccak256(b"receiver %d" % index)[12:]
        nonce = index // SENDERS
        transaction = FeeMarketTransaction(
            CHAIN_ID, nonce, 10**9, 3 * 10**9, 21_000, receiver, 10**15 + index
        )
        made = sign(sender.secret, keccak256(encode_unsigned(transaction))).data
        parity = made[64]
        signature = EcdsaSignature(bytes((2 + parity,)) + made[:32], made[32:64], parity)
        cases.append(_Case(key, sender.address, transaction, signature))
    return cases
