"""The one owner of a chain: its head, its pools and its storage, moved by one block at a time.

Not for several threads: whoever runs the chain calls it from one. Readers look through
``StoredChain`` at what was published.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor

import msgspec

from hither.chain.admission import (
    AdmissionContext,
    admit,
    check_unsigned_parts,
    choose_transactions,
    compute_congestion_errors,
)
from hither.chain.application import AppliedBlock, ShardWork, apply_block
from hither.chain.head import ChainHead, get_congestion
from hither.chain.intake import Intake, compute_gas_max, observe_chunk
from hither.chain.parameters import ChainParameters, Signers
from hither.chain.pool import InsertResult, PooledEntry, TransactionPool
from hither.chain.production import BlockPlan, include_chunk, make_block, make_chunk
from hither.chain.storage import ChainStorage, compute_retention
from hither.primitives.action import DeployContract, DeployGlobalContract, FunctionCall
from hither.primitives.chunk import Chunk
from hither.primitives.receipt import ActionReceipt, Receipt
from hither.primitives.transaction import SignedTransaction, encode_signed_transaction
from hither.primitives.types import BlockHeight, CryptoHash, ShardId
from hither.runtime.apply import apply_chunk
from hither.runtime.queues import count_delayed_receipts
from hither.runtime.types import ApplyResult
from hither.runtime.yields import find_oldest_yield
from hither.vm import Vm

StatePatch = tuple[tuple[bytes, bytes | None], ...]


class ChainEngine:
    """Makes, applies and keeps blocks. What it does is visible to readers once it is published."""

    def __init__(
        self,
        parameters: ChainParameters,
        storage: ChainStorage,
        head: ChainHead,
        signers: Signers,
        vm: Vm,
        threads: Executor | None = None,
    ) -> None:
        self.parameters = parameters
        self.storage = storage
        self.head = head
        self._signers = signers
        self._vm = vm
        self._threads = threads
        self.pools = {shard_id: TransactionPool() for shard_id in parameters.shard_layout.shard_ids}
        self.is_archive = False
        self.held: frozenset[ShardId] = frozenset()
        """Shards whose chunk is left out of the next block: a fork has yet to copy whom its receipts are for."""
        self._patches: dict[ShardId, StatePatch] = {}
        self._intake: dict[ShardId, Intake] = {}
        self._oldest_yields: dict[ShardId, int] = {}

    # Transactions

    def make_admission_context(self) -> AdmissionContext:
        """What transactions are held against now."""
        return make_admission_context(self.parameters, self.head, self.storage)

    def insert(self, entries: Iterable[PooledEntry]) -> None:
        """Put admitted transactions into the pools of their signers' shards."""
        layout = self.parameters.shard_layout
        for entry in entries:
            pool = self.pools[layout.get_shard_id(entry.signed.transaction.signer_id)]
            pool.insert(entry)

    def has_transactions(self) -> bool:
        """Whether any pool holds something that the next block can take."""
        return any(len(pool) for shard_id, pool in self.pools.items() if shard_id not in self.held)

    def get_pooled(self, transaction_hash: CryptoHash) -> SignedTransaction | None:
        """A waiting transaction."""
        for pool in self.pools.values():
            found = pool.get(transaction_hash)
            if found is not None:
                return found
        return None

    def find_next_timeout(self) -> BlockHeight | None:
        """When the oldest yield that still waits is given up."""
        found = []
        for shard in self.head.shards:
            start = self._oldest_yields.get(shard.shard_id, 0)
            self._oldest_yields[shard.shard_id], height = find_oldest_yield(shard.trie, start)
            found += [] if height is None else [height]
        return min(found, default=None)

    # Blocks

    def add_patch(self, patches: dict[ShardId, StatePatch]) -> None:
        """Write these into the state at the end of the next block."""
        for shard_id, writes in patches.items():
            self._patches[shard_id] = self._patches.get(shard_id, ()) + writes

    def produce(self, height: BlockHeight, timestamp_ns: int) -> AppliedBlock:
        """Make the block, apply it and keep it. It is on disk after the storage's next ``sync``."""
        head, parameters = self.head, self.parameters
        chunks: dict[ShardId, Chunk] = {}
        all_dropped: list[CryptoHash] = []
        all_rows: list[tuple[bytes, ...]] = []
        # The first block of a chain has no chunks, as on NEAR: the state it starts from is not applied yet.
        if head.height != parameters.genesis_height:
            context = self.make_admission_context()
            for shard_id, pool in self.pools.items():
                if shard_id in self.held:
                    continue
                chosen, dropped = self._choose(shard_id, pool, context)
                rows = tuple(encode_signed_transaction(signed) for signed in chosen)
                chunk = make_chunk(head, parameters, shard_id, chosen, self._signers, rows)
                chunks[shard_id] = include_chunk(chunk, height)
                all_rows.append(rows)
                pool.remove([*dropped, *(signed.hash for signed in chosen)])
                all_dropped += dropped
        plan = BlockPlan(height, timestamp_ns, chunks, is_fast_forward=height != head.height + 1)
        block = make_block(head, parameters, plan, self._signers)
        new_head, applied = apply_block(head, parameters, block, chunks, self._apply_shards)
        if chunks or self.held:
            self._patches = {}
        applied = msgspec.structs.replace(
            applied, dropped=tuple(all_dropped), transaction_rows=tuple(all_rows)
        )
        self.storage.append(new_head, applied)
        self.head = new_head
        self._observe(applied)
        self._prune()
        return applied

    def _choose(
        self, shard_id: ShardId, pool: TransactionPool, context: AdmissionContext
    ) -> tuple[list[SignedTransaction], list[CryptoHash]]:
        """The next chunk's transactions: no more than can be executed soon."""
        if not len(pool):
            return [], []
        intake = self._intake.get(shard_id, Intake())
        gas_max = compute_gas_max(intake, self.parameters.gas_limit)
        return choose_transactions(pool, shard_id, context, gas_max)

    def _observe(self, applied: AppliedBlock) -> None:
        """See what became of the transactions of this block's chunks."""
        transactions = {chunk.header.shard_id: len(chunk.transactions) for chunk in applied.chunks}
        for shard in applied.shards:
            outcomes, count = shard.result.outcomes, transactions.get(shard.shard_id, 0)
            self._intake[shard.shard_id] = observe_chunk(
                self._intake.get(shard.shard_id, Intake()),
                taken=sum(outcome.gas_burnt for outcome in outcomes[:count]),
                done=sum(outcome.compute_usage for outcome in outcomes),
                receipts=len(outcomes) - count,
                delayed=count_delayed_receipts(shard.result.sealed.trie),
            )

    def _apply_shards(self, work: Sequence[ShardWork]) -> list[ApplyResult]:
        """One after the other, or at once where several shards run contracts, which leaves the lock free."""
        heavy = sum(is_heavy(part) for part in work)
        if self._threads is None or heavy < 2:
            return [self._apply_shard(part) for part in work]
        return list(self._threads.map(self._apply_shard, work))

    def _apply_shard(self, work: ShardWork) -> ApplyResult:
        context = work.context
        patch = self._patches.get(context.shard_id)
        if patch is not None and (context.is_new_chunk or context.shard_id in self.held):
            context = msgspec.structs.replace(context, state_patch=patch)
        # The signatures were checked when the transactions came in.
        verified = frozenset(signed.hash for signed in work.transactions)
        return apply_chunk(
            work.trie, context, work.transactions, work.incoming_receipts, self._vm, verified=verified
        )

    def _prune(self) -> None:
        if self.is_archive:
            return
        # What the position in the epoch is restored from after a restart is kept in any case.
        epoch_start = self.head.position.first.height
        oldest = min(self.head.height - compute_retention(self.parameters), epoch_start - 2)
        if oldest > self.storage.tail:
            self.storage.prune(BlockHeight(oldest))

    def load_head(self, height: BlockHeight) -> ChainHead:
        """The head as it was after that height; the chain stays where it is."""
        shard_ids = self.parameters.shard_layout.shard_ids
        tries = {shard_id: self.storage.state.trie_at(shard_id, height) for shard_id in shard_ids}
        return self.storage.load_head(height, tries)

    def revert_to(self, head: ChainHead, meta: Mapping[bytes, bytes] | None = None) -> None:
        """Go back to what ``load_head`` gave, and change ``meta``. On disk when it returns; what waited is gone."""
        self.storage.sync()
        self.storage.revert_to(head.height, meta or {})
        self.head = head
        self._patches, self._intake, self._oldest_yields = {}, {}, {}
        for pool in self.pools.values():
            pool.clear()


def make_admission_context(
    parameters: ChainParameters, head: ChainHead, storage: ChainStorage
) -> AdmissionContext:
    """What transactions are held against after that head."""
    congestion = get_congestion(head.block)

    def get_height(block_hash: CryptoHash) -> BlockHeight | None:
        height = storage.get_height(block_hash)
        return height if height is not None and height <= head.height else None

    return AdmissionContext(
        height=head.height,
        protocol_version=parameters.protocol_version,
        config=parameters.config,
        shard_layout=parameters.shard_layout,
        gas_price=head.block.header.next_gas_price,
        validity_period=parameters.transaction_validity_period,
        tries={shard.shard_id: shard.trie for shard in head.shards},
        congestion=congestion,
        congestion_errors=compute_congestion_errors(parameters.config, congestion),
        get_height=get_height,
    )


def check_and_admit(signed: SignedTransaction, context: AdmissionContext) -> PooledEntry:
    """All checks but the signature, in NEAR's order but for it. Raises InvalidTransaction."""
    return admit(signed, check_unsigned_parts(signed, context), context)


def is_heavy(work: ShardWork) -> bool:
    """Whether applying it runs contract code, as far as can be seen from outside."""
    delayed = work.context.congestion[work.context.shard_id].info.delayed_receipts_gas
    return (
        bool(delayed)
        or any(map(_has_contract_action, work.incoming_receipts))
        or any(_runs_contract(signed.transaction.actions) for signed in work.transactions)
    )


def _has_contract_action(receipt: Receipt) -> bool:
    body = receipt.body
    return not isinstance(body, ActionReceipt) or _runs_contract(body.actions)


def _runs_contract(actions: Sequence[object]) -> bool:
    return any(isinstance(action, (FunctionCall, DeployContract, DeployGlobalContract)) for action in actions)


__all__ = [
    "ChainEngine",
    "InsertResult",
    "StatePatch",
    "check_and_admit",
    "is_heavy",
    "make_admission_context",
]
