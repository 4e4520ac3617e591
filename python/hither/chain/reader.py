"""What the rest of the node may ask of the chain, and tell it.

``ChainReader`` answers questions about blocks, chunks, outcomes, state and epochs.
Every answer is about one moment: nothing is changed by asking, and a method never waits.
``ChainControl`` adds what changes the chain: transactions, and the controls of a
development chain. Those are coroutines that return once the change is visible to
every reader; a transaction they report as final is on disk.

Names are NEAR's. Errors are the typed ones below; a JSON-RPC server maps each to one of
NEAR's handler errors.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from hither.primitives.merkle import MerklePath
from hither.primitives.outcome import Outcome
from hither.primitives.receipt import Receipt
from hither.primitives.sharding import ShardLayout, ValidatorStake
from hither.primitives.transaction import SignedTransaction
from hither.primitives.types import (
    AccountId,
    Balance,
    BlockHeight,
    CryptoHash,
    EpochHeight,
    ProtocolVersion,
    PublicKey,
    ShardId,
    Signature,
)

if TYPE_CHECKING:
    from hither.chain.genesis import Genesis
    from hither.primitives.block import Block, BlockHeader
    from hither.primitives.chunk import Chunk, ChunkHeader
    from hither.state import AnyTrie


class ChainError(Exception):
    """The chain cannot answer. The class says why; the fields say about what."""


class UnknownBlock(ChainError):
    """No such block on this chain. ``reference`` is the hash or height that was asked for."""

    def __init__(self, reference: object) -> None:
        super().__init__(f"block {reference!r} is not known")
        self.reference = reference


class GarbageCollectedBlock(ChainError):
    """The block existed, but its data was pruned (older than the retention)."""

    def __init__(self, height: BlockHeight, block_hash: CryptoHash) -> None:
        super().__init__(f"block {height} is older than what this node keeps")
        self.height = height
        self.block_hash = block_hash


class NotSyncedYet(ChainError):
    """There is no block yet that the question could be about (for example no final one)."""


class UnknownChunk(ChainError):
    """No chunk with this hash."""

    def __init__(self, chunk_hash: CryptoHash) -> None:
        super().__init__("chunk is not known")
        self.chunk_hash = chunk_hash


class InvalidShardId(ChainError):
    """The layout of that block's epoch has no such shard."""

    def __init__(self, shard_id: int) -> None:
        super().__init__(f"shard {shard_id} does not exist")
        self.shard_id = shard_id


class TransactionDropped(ChainError):
    """It waited in the pool and was useless when a chunk was made."""

    def __init__(self) -> None:
        super().__init__("transaction was dropped from the pool")


class UnknownTransactionOrReceipt(ChainError):
    """Neither stored nor waiting."""

    def __init__(self, id_: CryptoHash) -> None:
        super().__init__("transaction or receipt is not known")
        self.id = id_


class NotConfirmed(ChainError):
    """Executed, but no later chunk commits to its outcome yet, so there is no proof."""

    def __init__(self, id_: CryptoHash) -> None:
        super().__init__("no chunk commits to this outcome yet")
        self.id = id_


class BlockAheadOfHead(ChainError):
    """A proof was asked for under a head that is older than the block."""

    def __init__(self, block_hash: CryptoHash, head_block_hash: CryptoHash) -> None:
        super().__init__("the block is ahead of the head block")
        self.block_hash = block_hash
        self.head_block_hash = head_block_hash


class NotFinal(ChainError):
    """The question is about final blocks, and this one is not final yet."""

    def __init__(self, block_hash: CryptoHash) -> None:
        super().__init__("the block is not final")
        self.block_hash = block_hash


class UnknownEpoch(ChainError):
    """No such epoch, or it is not finished where only finished ones can be told."""


class ValidatorInfoUnavailable(ChainError):
    """The block is not the last of its epoch, so there is no validator information for it."""


class InvalidTransaction(ChainError):
    """A transaction was refused. ``error`` is the JSON of NEAR's ``InvalidTxError``."""

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.error = error


class ControlRefused(ChainError):
    """A development control cannot be done; the message says why and what to do."""


class Finality(enum.Enum):
    """Which head. Optimistic is the newest block; final has two further consecutive heights."""

    OPTIMISTIC = "optimistic"
    NEAR_FINAL = "near-final"
    FINAL = "final"


class BlockMode(enum.Enum):
    """When the sequencer makes blocks."""

    INSTANT = "instant"
    INTERVAL = "interval"
    MANUAL = "manual"


class ExecutionStatus(enum.IntEnum):
    """How far a transaction has come (NEAR's ``TxExecutionStatus``), in order."""

    NONE = 0
    INCLUDED = 1
    EXECUTED_OPTIMISTIC = 2
    INCLUDED_FINAL = 3
    EXECUTED = 4
    FINAL = 5

    def is_at_least(self, wanted: "ExecutionStatus") -> bool:
        """Whether it is as far as wanted. That its inclusion is final does not say that it was executed."""
        if wanted is ExecutionStatus.EXECUTED_OPTIMISTIC and self is ExecutionStatus.INCLUDED_FINAL:
            return False
        return self >= wanted


BlockReference = CryptoHash | BlockHeight | Finality | Literal["genesis", "earliest_available"]


class Tip(msgspec.Struct, frozen=True, gc=False):
    """A head: enough to know whether anything has changed."""

    height: BlockHeight
    last_block_hash: CryptoHash
    prev_block_hash: CryptoHash
    epoch_id: CryptoHash
    next_epoch_id: CryptoHash
    timestamp_ns: int


class OutcomeWithProof(msgspec.Struct, frozen=True, gc=False):
    """An outcome, the block it was executed in, and its path to its shard's outcome root."""

    id: CryptoHash
    block_hash: CryptoHash
    block_height: BlockHeight
    shard_id: ShardId
    outcome: Outcome
    proof: MerklePath


class TransactionStatus(msgspec.Struct, frozen=True, gc=False):
    """A transaction and all outcomes below it that exist so far.

    ``outcome`` is None while the transaction waits in the pool or in a block not yet applied.
    ``receipt_outcomes`` are in NEAR's order (depth first along ``receipt_ids``);
    ``receipts`` are those of ``EXPERIMENTAL_tx_status`` (the local first receipt left out).
    ``execution`` is the furthest status this node can prove.
    """

    transaction: SignedTransaction
    execution: ExecutionStatus
    outcome: OutcomeWithProof | None
    receipt_outcomes: tuple[OutcomeWithProof, ...]
    receipts: tuple[Receipt, ...]


class ReceiptOrigin(msgspec.Struct, frozen=True, gc=False):
    """Which transaction a receipt came from."""

    transaction_hash: CryptoHash
    sender_id: AccountId


class StateChange(msgspec.Struct, frozen=True, gc=False):
    """One committed write: raw trie key, new value (None: removed), and its encoded cause.

    ``cause`` is what the runtime gave to ``ChunkState.commit``; decode with
    ``hither.runtime.causes``.
    """

    shard_id: ShardId
    key: bytes
    cause: bytes
    value: bytes | None


class ValidatorProduction(msgspec.Struct, frozen=True, gc=False):
    """A validator of an epoch: its stake and what it was asked for and delivered so far."""

    account_id: AccountId
    public_key: PublicKey
    stake: Balance
    is_slashed: bool
    shards: tuple[ShardId, ...]
    num_produced_blocks: int
    num_expected_blocks: int
    num_produced_chunks: int
    num_expected_chunks: int
    num_produced_chunks_per_shard: tuple[int, ...]
    num_expected_chunks_per_shard: tuple[int, ...]
    num_produced_endorsements: int
    num_expected_endorsements: int
    num_produced_endorsements_per_shard: tuple[int, ...]
    num_expected_endorsements_per_shard: tuple[int, ...]
    shards_produced: tuple[ShardId, ...]
    shards_endorsed: tuple[ShardId, ...]


class NextValidator(msgspec.Struct, frozen=True, gc=False):
    """A validator of the next epoch and the shards it will produce chunks for."""

    account_id: AccountId
    public_key: PublicKey
    stake: Balance
    shards: tuple[ShardId, ...]


class ValidatorKickout(msgspec.Struct, frozen=True, gc=False):
    """Who lost the seat. ``reason`` is the JSON of NEAR's ``ValidatorKickoutReason``."""

    account_id: AccountId
    reason: Any


class EpochValidatorInfo(msgspec.Struct, frozen=True, gc=False):
    """What the RPC method ``validators`` tells about one epoch."""

    current_validators: tuple[ValidatorProduction, ...]
    next_validators: tuple[NextValidator, ...]
    current_fishermen: tuple[ValidatorStake, ...]
    next_fishermen: tuple[ValidatorStake, ...]
    current_proposals: tuple[ValidatorStake, ...]
    prev_epoch_kickout: tuple[ValidatorKickout, ...]
    epoch_start_height: BlockHeight
    epoch_height: EpochHeight
    rewards_paid_in_previous_epoch: Mapping[AccountId, Balance]


class EpochStart(msgspec.Struct, frozen=True, gc=False):
    """Where an epoch begins and the rules within it."""

    epoch_id: CryptoHash
    epoch_height: EpochHeight
    start_height: BlockHeight
    protocol_version: ProtocolVersion
    shard_layout: ShardLayout
    validators: tuple[ValidatorStake, ...]


class LightClientBlock(msgspec.Struct, frozen=True, gc=False):
    """NEAR's ``LightClientBlockView`` as data: the header parts and the two following hashes.

    ``next_block_producers`` is set only for the last final block of an epoch.
    """

    header: "BlockHeader"
    inner_rest_hash: CryptoHash
    next_block_inner_hash: CryptoHash
    next_block_producers: tuple[ValidatorStake, ...] | None
    approvals_after_next: tuple[Signature | None, ...]


class OutcomeProof(msgspec.Struct, frozen=True, gc=False):
    """An outcome with its proof up to the block outcome root of ``block_hash``.

    ``outcome.block_hash`` stays the block of execution; ``block_hash`` is the next
    block with a new chunk of that shard, whose header commits to the outcome.
    """

    outcome: OutcomeWithProof
    block_hash: CryptoHash
    outcome_root_proof: MerklePath


class PooledTransaction(msgspec.Struct, frozen=True, gc=False):
    """``submit`` took it. ``is_new`` is False when the same transaction was already known."""

    hash: CryptoHash
    is_new: bool


class ChainEvent(msgspec.Struct, frozen=True, gc=False):
    """What one height brought, for people watching: outcomes as they were executed."""

    tip: Tip
    outcomes: tuple[OutcomeWithProof, ...]
    transactions: tuple[SignedTransaction, ...]
    receipts: tuple[Receipt, ...]


class ChainReader(Protocol):
    """Questions. Nothing here waits, writes, or depends on the clock."""

    @property
    def genesis(self) -> "Genesis":
        """The genesis: configuration and records, as in genesis.json."""

    @property
    def chain_id(self) -> str: ...

    @property
    def validator_id(self) -> AccountId | None:
        """The account this node validates for."""

    @property
    def validator_public_key(self) -> PublicKey | None: ...

    def get_head(self, finality: Finality = Finality.OPTIMISTIC) -> Tip:
        """The newest block of that finality. Before one is final, the genesis block."""

    def get_earliest_height(self) -> BlockHeight:
        """The oldest height whose block and outcomes are still kept."""

    def get_header(self, reference: BlockReference) -> "BlockHeader":
        """The header by hash, height or finality. Raises UnknownBlock, GarbageCollectedBlock."""

    def get_block(self, reference: BlockReference) -> "Block":
        """The whole block, the same way."""

    def get_block_producer(self, block_hash: CryptoHash) -> AccountId:
        """Who made that block (``author`` in RPC)."""

    def get_next_block_hash(self, block_hash: CryptoHash) -> CryptoHash | None:
        """The block after it; None when it is the newest."""

    def get_chunk(self, chunk_hash: CryptoHash) -> "Chunk":
        """The chunk: header, transactions, receipts that came out of the one before. Raises UnknownChunk.

        Asked for by its hash it is not part of a block, so ``height_included`` is 0, as in NEAR's node.
        """

    def get_chunk_of_block(self, reference: BlockReference, shard_id: int) -> "Chunk":
        """The chunk that the block holds for the shard; its header says when it was included.

        Raises UnknownBlock, GarbageCollectedBlock, InvalidShardId, UnknownChunk.
        """

    def get_chunk_producer(self, chunk_header: "ChunkHeader") -> AccountId:
        """Who made the chunk (``author`` in RPC)."""

    def get_transaction(self, transaction_hash: CryptoHash) -> SignedTransaction | None:
        """A transaction that is in a chunk or waits in the pool."""

    def get_transaction_status(
        self, transaction_hash: CryptoHash, *, with_receipts: bool = False
    ) -> TransactionStatus:
        """How far it has come, and every outcome so far. Raises UnknownTransactionOrReceipt."""

    def get_outcome(self, id_: CryptoHash) -> OutcomeWithProof | None:
        """The outcome of a transaction or receipt."""

    def get_block_outcomes(self, block_hash: CryptoHash) -> tuple[OutcomeWithProof, ...]:
        """All outcomes of applying that block, by shard, in NEAR's order."""

    def get_outcome_proof(self, id_: CryptoHash, account_id: AccountId) -> OutcomeProof:
        """For ``light_client_proof``. ``account_id`` is the transaction's sender or the receipt's receiver.

        Raises UnknownTransactionOrReceipt, NotConfirmed.
        """

    def get_block_proof(self, block_hash: CryptoHash, head_block_hash: CryptoHash) -> MerklePath:
        """The path from a block to the ``block_merkle_root`` of a later final one.

        Raises UnknownBlock, NotFinal, BlockAheadOfHead.
        """

    def get_receipt(self, receipt_id: CryptoHash) -> Receipt | None: ...

    def get_receipt_origin(self, receipt_id: CryptoHash) -> ReceiptOrigin | None:
        """The transaction that a receipt descends from (``EXPERIMENTAL_receipt_to_tx``)."""

    def get_trie(self, block_hash: CryptoHash, shard_id: int) -> "AnyTrie":
        """The state after applying that block, as NEAR's queries at that block see it.

        Raises UnknownBlock, GarbageCollectedBlock, InvalidShardId.
        """

    def get_state_changes(self, block_hash: CryptoHash) -> tuple[StateChange, ...]:
        """Every committed write of applying that block, by shard, then key, then order of execution."""

    def get_epoch(self, epoch_id: CryptoHash) -> EpochStart:
        """The epoch's rules. Known for the current and the next epoch too. Raises UnknownEpoch."""

    def get_validator_info(self, epoch: CryptoHash | None = None) -> EpochValidatorInfo:
        """Of a finished epoch by its id, or of the current one (None, or its id). Raises UnknownEpoch."""

    def get_validator_info_at_block(self, reference: CryptoHash | BlockHeight) -> EpochValidatorInfo:
        """Of the epoch that ended with that block. Raises UnknownBlock, ValidatorInfoUnavailable."""

    def get_maintenance_windows(self, account_id: AccountId) -> tuple[tuple[BlockHeight, BlockHeight], ...]:
        """Stretches [start, end) of the epoch's rest in which the account makes neither block nor chunk."""

    def get_block_producers_ordered(self, reference: BlockReference) -> tuple[ValidatorStake, ...]:
        """The block producers of that block's epoch in the order of the light client's hash."""

    def get_light_client_block(self, last_block_hash: CryptoHash) -> LightClientBlock | None:
        """What a light client that knows ``last_block_hash`` needs next; None if there is nothing newer.

        Raises UnknownBlock.
        """

    def get_pending_count(self) -> int:
        """Transactions waiting in the pool."""


class ChainControl(Protocol):
    """What changes the chain. Returns when the change is visible to every reader."""

    @property
    def is_development(self) -> bool:
        """Whether the development controls below are allowed."""

    async def submit(self, transaction: SignedTransaction) -> PooledTransaction:
        """Check as NEAR does at submission and put into the pool. Raises InvalidTransaction.

        A transaction that is already pooled or on the chain is taken again without effect.
        """

    async def check(self, transaction: SignedTransaction) -> None:
        """The same checks, and nothing else. Raises InvalidTransaction."""

    async def wait_for_transaction(
        self, transaction_hash: CryptoHash, until: ExecutionStatus, timeout_ms: int
    ) -> TransactionStatus | None:
        """Its status once it has come at least as far as ``until``, checked at each new block.

        None on time-out. A transaction that is not known yet is waited for too. Raises
        TransactionDropped as soon as it leaves the pool without getting into a block.
        """

    async def fast_forward(self, delta_height: int) -> Tip:
        """Skip heights: the next block stands ``delta_height`` higher, time n x 600 ms later."""

    async def patch_state(self, records: Sequence[Any]) -> Tip:
        """Write records (JSON of NEAR's ``StateRecord``) into the state; visible in the returned block."""

    async def bring(self, account_ids: Sequence[str]) -> None:
        """Copy accounts that a fork does not know; visible when this returns. Raises ControlRefused."""

    async def snapshot(self) -> str:
        """Remember the present; the id is for ``revert``."""

    async def revert(self, snapshot_id: str) -> Tip:
        """Go back to a snapshot. It and all later ones are used up; the pool is emptied."""

    async def set_time(self, timestamp_ns: int) -> Tip:
        """Make the next block's timestamp at least this; backwards is refused (ControlRefused)."""

    async def mine(self, count: int = 1) -> Tip:
        """Make so many blocks now, whatever the mode."""

    async def set_block_mode(self, mode: BlockMode, interval_ms: int | None = None) -> None:
        """Change when blocks are made. ``interval_ms`` belongs to INTERVAL alone."""


class ChainWatch(Protocol):
    """Tells what happens."""

    def watch(self, *, queue_size: int = 1024) -> "EventStream":
        """Everything that happens from now on. A watcher that lags loses its oldest events."""


class EventStream(Protocol):
    """An asynchronous iterator of events; ``close`` it when done."""

    def __aiter__(self) -> "EventStream": ...
    async def __anext__(self) -> ChainEvent: ...
    def close(self) -> None: ...
