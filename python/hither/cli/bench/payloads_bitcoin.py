"""The bitcoin half of ``hither bench payloads``: P2WPKH inputs built, hashed, signed and checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from hither.cli.bench.evm import make_senders
from hither.cli.bench.keys import compress
from hither.cli.bench.options import BenchmarkFailed, Figures
from hither.crypto.signing import sign
from hither.foreign.adapter import EcdsaSignature, UnsignedTransaction
from hither.foreign.bitcoin import BitcoinAdapter
from hither.foreign.bitcoin_addresses import MAINNET, derive_script
from hither.foreign.bitcoin_coins import compute_size
from hither.foreign.bitcoin_psbt import parse_transaction
from hither.foreign.bitcoin_transactions import Coin, Draft, Output, compute_digests, encode_draft
from hither.foreign.transport import JsonRpc

SENDERS = 50
TRANSACTIONS = 500
INPUTS = 10
COIN_SATOSHIS = 100_000
RATE = 2


@dataclass(frozen=True, slots=True)
class BitcoinCase:
    """A draft and the signatures over its inputs."""

    public_key: bytes
    draft: Draft
    signatures: tuple[EcdsaSignature, ...]


class BitcoinPayloads:
    """Payments of ten inputs with change, each with its PSBT, digests, signatures checked and attached."""

    def __init__(self) -> None:
        self._adapter = BitcoinAdapter(MAINNET.chain, JsonRpc("http://127.0.0.1"))
        self.cases = _prepare()
        self._raws = [b""] * len(self.cases)

    def work(self, index: int) -> None:
        """One payment, as the adapter makes it between the choice of coins and sending."""
        case = self.cases[index]
        unsigned = UnsignedTransaction(self._adapter.chain, case.public_key, encode_draft(case.draft))
        self._adapter.list_payloads(unsigned)
        self._raws[index] = self._adapter.attach(unsigned, case.signatures).raw

    def report(self, done: int, elapsed_s: float) -> Figures:
        """Raises ``BenchmarkFailed`` when a transaction is not the one that was asked for."""
        for case, raw in zip(self.cases, self._raws, strict=True):
            made = parse_transaction(raw)
            spent = [entry.prev_out.tx_id.hex() for entry in made.vin]
            paid = [(output.value, output.script_pub_key.script) for output in made.vout]
            if spent != [coin.transaction_id for coin in case.draft.coins] or paid != [
                (output.amount, output.script) for output in case.draft.outputs
            ]:
                raise BenchmarkFailed("a transaction is not the one that was signed for")
        return {"p2wpkh_inputs_per_s": round(done * INPUTS / elapsed_s), "p2wpkh_inputs": done * INPUTS}


def _prepare() -> Sequence[BitcoinCase]:
    senders = make_senders(SENDERS)
    cases = []
    for index in range(TRANSACTIONS):
        sender = senders[index % SENDERS]
        key = compress(sender.secret)
        own = derive_script(key, MAINNET)
        names = [sha256(b"coin %d of %d" % (number, index)).hexdigest() for number in range(INPUTS)]
        coins = tuple(Coin(name, number, COIN_SATOSHIS, own, 1) for number, name in enumerate(names))
        receiver = b"\x00\x14" + sha256(b"receiver %d" % index).digest()[:20]
        fee = RATE * compute_size(INPUTS, [Output(0, own)] * 2)
        amount = INPUTS * COIN_SATOSHIS // 2
        outputs = Output(amount, receiver), Output(INPUTS * COIN_SATOSHIS - amount - fee, own)
        draft = Draft(coins, outputs)
        made = [sign(sender.secret, digest).data for digest in compute_digests(draft, key)]
        signatures = tuple(
            EcdsaSignature(bytes((2 + one[64],)) + one[:32], one[32:64], one[64]) for one in made
        )
        cases.append(BitcoinCase(key, draft, signatures))
    return cases
