"""Whether a chain has stored what should have come of the transfers: its database against a model.

The model knows what everybody had and what was sent; fees it takes from the outcomes, and holds the sum of
all balances against the supply that the headers tell.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hither.chain.head import ChainHead
from hither.chain.parameters import make_parameters
from hither.chain.rows import TABLES
from hither.chain.storage import ChainStorage
from hither.cli.bench.options import BenchmarkFailed
from hither.cli.bench.world import Keyring, Payment
from hither.crypto.keys import compute_key_handle
from hither.node.home import Home
from hither.primitives.account import Account
from hither.primitives.outcome import Outcome, SuccessReceiptId, SuccessValue
from hither.primitives.sharding import ShardLayout
from hither.primitives.types import AccountId, CryptoHash
from hither.state import Store
from hither.state.records import get_access_key_optional, get_account_record_optional

Stored = Mapping[CryptoHash, tuple[int, Outcome]]
"""Outcomes by what they are of, each with the height it was made at."""


@dataclass(frozen=True, slots=True)
class Audit:
    """How many transfers took effect and are final, how many left no trace, how many heights there are."""

    final: int
    missing: int
    heights: int


def audit_payments(home: Home, rings: Sequence[Keyring], payments: Sequence[Payment]) -> Audit:
    """Open the database again and compare balances, nonces and supply. Raises BenchmarkFailed.

    The chain must have stopped. A transfer counts when both its outcomes are stored and the block
    of the later one is final.
    """
    parameters = make_parameters(home.genesis)
    store = Store(str(home.data_path), tables=TABLES, read_only=True)
    try:
        storage = ChainStorage(store, parameters)
        head = storage.load()
        stored = _read_outcomes(storage, len(head.shards), head.height)
    finally:
        store.close()
    balances: defaultdict[str, int] = defaultdict(int)
    for record in home.genesis.records:
        if "Account" in record:
            balances[record["Account"]["account_id"]] += int(record["Account"]["account"]["amount"])
    nonces = dict.fromkeys((ring.account_id for ring in rings), 0)
    final = missing = 0
    for payment in payments:
        if payment.hash not in stored:
            missing += 1
            continue
        fees, height = _follow(payment, stored)
        balances[payment.signer_id] -= payment.amount + fees
        balances[payment.receiver_id] += payment.amount
        nonces[payment.signer_id] = max(nonces[payment.signer_id], payment.nonce)
        final += height <= head.final_height
    _compare_balances(head, parameters.shard_layout, balances)
    _compare_nonces(head, parameters.shard_layout, rings, nonces)
    return Audit(final, missing, head.height)


def _read_outcomes(storage: ChainStorage, shards: int, height_max: int) -> Stored:
    return {
        outcome.id: (height, outcome)
        for height in range(height_max + 1)
        for index in range(shards)
        for outcome in storage.get_outcomes(height, index)
    }


def _follow(payment: Payment, stored: Stored) -> tuple[int, int]:
    """What a transfer burnt in all, and the height at which its money arrived."""
    height, outcome = stored[payment.hash]
    fees, arrived_height = int(outcome.tokens_burnt), height
    if not isinstance(outcome.status, SuccessReceiptId):
        raise BenchmarkFailed(f"a transfer of {payment.signer_id} failed: {outcome.status}")
    waiting = [outcome.status.receipt_id]
    while waiting:
        receipt_id = waiting.pop()
        if receipt_id not in stored:
            raise BenchmarkFailed(f"a transfer of {payment.signer_id} has no outcome of its receipt")
        height, outcome = stored[receipt_id]
        if not isinstance(outcome.status, SuccessValue):
            raise BenchmarkFailed(f"a transfer of {payment.signer_id} failed: {outcome.status}")
        fees += outcome.tokens_burnt
        arrived_height = max(arrived_height, height)
        waiting += outcome.receipt_ids
    return fees, arrived_height


def _compare_balances(head: ChainHead, layout: ShardLayout, balances: Mapping[str, int]) -> None:
    tries = {shard.shard_id: shard.trie for shard in head.shards}
    total = 0
    for account_id, expected in balances.items():
        trie = tries[layout.get_shard_id(account_id)]
        account = get_account_record_optional(trie, AccountId(account_id))
        if not isinstance(account, Account) or account.amount != expected:
            raise BenchmarkFailed(f"{account_id} has {account}, the model says {expected}")
        total += account.amount + account.locked
    supply = head.block.header.total_supply
    if total != supply:
        raise BenchmarkFailed(f"the supply is {supply}, but all accounts together have {total}")


def _compare_nonces(
    head: ChainHead, layout: ShardLayout, rings: Sequence[Keyring], nonces: Mapping[AccountId, int]
) -> None:
    tries = {shard.shard_id: shard.trie for shard in head.shards}
    for ring in rings:
        trie = tries[layout.get_shard_id(ring.account_id)]
        key = get_access_key_optional(trie, ring.account_id, compute_key_handle(ring.public))
        if key is None or key.nonce != nonces[ring.account_id]:
            raise BenchmarkFailed(
                f"{ring.account_id}: key {key}, the model's nonce {nonces[ring.account_id]}"
            )
