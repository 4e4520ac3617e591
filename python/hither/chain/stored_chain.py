"""A chain as readers see it: ``ChainReader`` over the stored rows and the newest published head.

``CommittedChain`` is all of it but where states come from: ``StoredChain`` has them, a ``FollowedChain`` asks the
process that has them.

Rows may run ahead of the published head (blocks that are applied but not yet on disk);
nothing above the head is ever shown. Methods are called from any thread.
"""

from collections.abc import Callable

import msgspec

from hither.chain.containers import Place
from hither.chain.epochs.sampling import sample_block_producer, sample_chunk_producer
from hither.chain.epochs.types import EpochInfo
from hither.chain.genesis import Genesis
from hither.chain.head import ChainHead, HeadView
from hither.chain.light_client import find_final_block_of_epoch, make_light_client_block
from hither.chain.merkle_proofs import compute_growing_path, compute_levels, get_path
from hither.chain.parameters import ChainParameters
from hither.chain.production import list_block_producers
from hither.chain.reader import (
    BlockAheadOfHead,
    BlockReference,
    EpochStart,
    EpochValidatorInfo,
    ExecutionStatus,
    Finality,
    GarbageCollectedBlock,
    InvalidShardId,
    LightClientBlock,
    NotConfirmed,
    NotFinal,
    OutcomeProof,
    OutcomeWithProof,
    ReceiptOrigin,
    StateChange,
    Tip,
    TransactionStatus,
    UnknownBlock,
    UnknownChunk,
    UnknownEpoch,
    UnknownTransactionOrReceipt,
    ValidatorInfoUnavailable,
)
from hither.chain.storage import ChainStorage
from hither.chain.validator_info import compute_maintenance_windows, make_current_info, make_finished_info
from hither.crypto.keys import PublicKey
from hither.primitives.block import Block, BlockHeader, compute_block_outcome_proofs
from hither.primitives.chunk import Chunk, ChunkHeader
from hither.primitives.merkle import MerklePath
from hither.primitives.receipt import Receipt
from hither.primitives.sharding import ValidatorStake
from hither.primitives.transaction import SignedTransaction
from hither.primitives.types import SYSTEM_ACCOUNT, ZERO_HASH, AccountId, BlockHeight, CryptoHash, ShardId
from hither.state import AnyTrie, Trie
from hither.state.state_store import StateNotRetained

_CACHED_BLOCKS = 256
_CACHED_LEVELS = 32


class PoolView(msgspec.Struct, frozen=True):
    """What readers may know of waiting transactions."""

    get: Callable[[CryptoHash], SignedTransaction | None]
    count: Callable[[], int]


def make_tip(header: BlockHeader) -> Tip:
    """A block as a head."""
    return Tip(
        BlockHeight(header.height),
        header.hash,
        header.prev_hash,
        header.epoch_id,
        header.next_epoch_id,
        header.timestamp_ns,
    )


class CommittedChain:
    """Answers ``ChainReader``'s questions."""

    def __init__(
        self,
        genesis: Genesis,
        parameters: ChainParameters,
        storage: ChainStorage,
        head: HeadView,
        pool: PoolView,
        validator: tuple[AccountId, PublicKey] | None,
    ) -> None:
        self.genesis = genesis
        self.parameters = parameters
        self._storage = storage
        self._head = head
        self._pool = pool
        self._validator = validator
        self._blocks: dict[int, Block] = {}
        self._levels: dict[tuple[int, int], list[list[bytes]]] = {}

    def _forget(self) -> None:
        """After a revert, what was read before may be gone."""
        self._blocks, self._levels = {}, {}

    def _get_tail(self) -> BlockHeight:
        """The lowest height that is kept."""
        return self._storage.tail

    # The chain itself

    @property
    def chain_id(self) -> str:
        return self.parameters.chain_id

    @property
    def validator_id(self) -> AccountId | None:
        return None if self._validator is None else self._validator[0]

    @property
    def validator_public_key(self) -> PublicKey | None:
        return None if self._validator is None else self._validator[1]

    def get_head(self, finality: Finality = Finality.OPTIMISTIC) -> Tip:
        """The newest block of that finality."""
        if finality is Finality.OPTIMISTIC:
            return make_tip(self._head.block.header)
        return make_tip(self.get_header(finality))

    def get_earliest_height(self) -> BlockHeight:
        """The oldest height that is still kept (genesis itself stays for ever)."""
        tail = self._get_tail()
        if tail == self.parameters.genesis_height:
            return tail
        block = self._storage.get_next_block(BlockHeight(tail - 1))
        return tail if block is None else BlockHeight(block.header.height)

    # Blocks and chunks

    def get_header(self, reference: BlockReference) -> BlockHeader:
        """The header by hash, height or finality."""
        return self.get_block(reference).header

    def get_block(self, reference: BlockReference) -> Block:
        """The whole block, the same way."""
        match reference:
            case bytes():
                return self._get_block_by_hash(CryptoHash(reference))
            case int():
                return self._get_block_by_height(BlockHeight(reference))
            case Finality.OPTIMISTIC:
                return self._head.block
            case Finality.NEAR_FINAL:
                hash_ = self._head.block.header.last_ds_final_block
                return self._get_genesis() if hash_ == ZERO_HASH else self._get_block_by_hash(hash_)
            case Finality.FINAL:
                return self._get_block_by_height(self._head.final_height)
            case "genesis":
                return self._get_genesis()
            case _:
                return self._get_block_by_height(self.get_earliest_height())

    def _get_genesis(self) -> Block:
        return self._get_block_by_height(self.parameters.genesis_height)

    def _get_block_by_hash(self, block_hash: CryptoHash) -> Block:
        height = self._storage.get_height(block_hash) if len(block_hash) == 32 else None
        if height is None or height > self._head.height:
            raise UnknownBlock(block_hash)
        block = self._read_block(height)
        if block is None:
            raise GarbageCollectedBlock(height, block_hash)
        return block

    def _get_block_by_height(self, height: BlockHeight) -> Block:
        block = self._read_block(height) if height <= self._head.height else None
        if block is None:
            if self.parameters.genesis_height < height < self._get_tail():
                pruned = self._storage.get_pruned_hash(height)
                raise GarbageCollectedBlock(height, pruned or ZERO_HASH)
            raise UnknownBlock(height)
        return block

    def _read_block(self, height: BlockHeight) -> Block | None:
        if height == self._head.height:
            return self._head.block
        blocks = self._blocks
        block = blocks.get(height)
        if block is None:
            block = self._storage.get_block(height)
            if block is not None:
                if len(blocks) >= _CACHED_BLOCKS:
                    blocks.clear()
                blocks[height] = block
        return block

    def get_block_producer(self, block_hash: CryptoHash) -> AccountId:
        """Who made that block."""
        header = self._get_block_by_hash(block_hash).header
        epoch = self._get_epoch_info(header.epoch_id)
        return epoch.validators[sample_block_producer(epoch, BlockHeight(header.height))].account_id

    def get_next_block_hash(self, block_hash: CryptoHash) -> CryptoHash | None:
        """The block after it; None when it is the newest."""
        block = self._get_next_block(BlockHeight(self._get_block_by_hash(block_hash).header.height))
        return None if block is None else block.hash

    def _get_next_block(self, height: BlockHeight) -> Block | None:
        if height >= self._head.height:
            return None
        block = self._read_block(BlockHeight(height + 1)) or self._storage.get_next_block(height)
        return block if block is not None and block.header.height <= self._head.height else None

    def get_chunk(self, chunk_hash: CryptoHash) -> Chunk:
        """The chunk, outside of any block."""
        place = self._storage.get_chunk_place(chunk_hash) if len(chunk_hash) == 32 else None
        chunk = None
        if place is not None and place[0] <= self._head.height:
            chunk = self._storage.get_chunk(*place)
        if chunk is None:
            raise UnknownChunk(chunk_hash)
        header = msgspec.structs.replace(chunk.header, height_included=0)
        return msgspec.structs.replace(chunk, header=header)

    def get_chunk_of_block(self, reference: BlockReference, shard_id: int) -> Chunk:
        """The chunk that the block holds for the shard."""
        block = self.get_block(reference)
        index = self._get_shard_index(shard_id)
        header = block.chunks[index]
        chunk = self._storage.get_chunk(header.height_included, index)
        if chunk is None:
            raise UnknownChunk(header.hash)
        return chunk

    def _get_shard_index(self, shard_id: int) -> int:
        try:
            return self.parameters.shard_layout.shard_ids.index(ShardId(shard_id))
        except ValueError:
            raise InvalidShardId(shard_id) from None

    def get_chunk_producer(self, chunk_header: ChunkHeader) -> AccountId:
        """Who made the chunk: decided by the epoch of the block after the one it builds on."""
        epoch_id = ZERO_HASH
        if not chunk_header.is_genesis:
            previous = self._get_block_by_hash(chunk_header.prev_block_hash)
            following = self._get_next_block(BlockHeight(previous.header.height))
            assert following is not None, "a chunk of this chain is in a block"
            epoch_id = following.header.epoch_id
        epoch = self._get_epoch_info(epoch_id)
        height = BlockHeight(chunk_header.height_created)
        return epoch.validators[sample_chunk_producer(epoch, chunk_header.shard_id, height)].account_id

    # Transactions, outcomes, receipts

    def _get_place(self, id_: CryptoHash) -> Place | None:
        place = self._storage.get_place(id_)
        return place if place is not None and place.height <= self._head.height else None

    def get_transaction(self, transaction_hash: CryptoHash) -> SignedTransaction | None:
        """A transaction that is in a chunk or waits in the pool."""
        place = self._get_place(transaction_hash)
        if place is not None and place.transaction_index is not None:
            return self._storage.get_transaction(place)
        return self._pool.get(transaction_hash)

    def get_transaction_status(
        self, transaction_hash: CryptoHash, *, with_receipts: bool = False
    ) -> TransactionStatus:
        """How far it has come, and every outcome so far."""
        head = self._head
        signed = self.get_transaction(transaction_hash)
        if signed is None:
            raise UnknownTransactionOrReceipt(transaction_hash)
        outcomes: list[OutcomeWithProof] = []
        self._collect_outcomes(transaction_hash, outcomes)
        if not outcomes:
            return TransactionStatus(signed, ExecutionStatus.NONE, None, (), ())
        first, *others = outcomes
        receipts: tuple[Receipt, ...] = ()
        if with_receipts:
            is_local = signed.transaction.signer_id == signed.transaction.receiver_id
            local_id = first.outcome.receipt_ids[:1] if is_local else ()
            found = (self.get_receipt(other.id) for other in others if other.id not in local_id)
            receipts = tuple(receipt for receipt in found if receipt is not None)
        level = self._compute_execution(head, first, others)
        return TransactionStatus(signed, level, first, tuple(others), receipts)

    def _collect_outcomes(self, id_: CryptoHash, outcomes: list[OutcomeWithProof]) -> None:
        """Depth first along the receipts, those that are not executed yet left out."""
        waiting = [id_]
        while waiting:
            outcome = self.get_outcome(waiting.pop())
            if outcome is not None:
                outcomes.append(outcome)
                waiting += reversed(outcome.outcome.receipt_ids)

    def _compute_execution(
        self, head: HeadView, first: OutcomeWithProof, others: list[OutcomeWithProof]
    ) -> ExecutionStatus:
        """The furthest status that can be proved (nearcore view_client_actor.rs).

        A refund that is the last receipt of an outcome is not waited for, except by FINAL.
        """
        executed = {other.id for other in others}
        awaited = [id_ for outcome in (first, *others) for id_ in outcome.outcome.receipt_ids]
        missing = [id_ for id_ in awaited if id_ not in executed]
        last_ids = {other.outcome.receipt_ids[-1] for other in others if other.outcome.receipt_ids}
        needed = [id_ for id_ in missing if not (id_ in last_ids and self._is_refund(id_))]
        if first.block_height > head.final_height:
            return ExecutionStatus.INCLUDED if needed else ExecutionStatus.EXECUTED_OPTIMISTIC
        if needed:
            return ExecutionStatus.INCLUDED_FINAL
        if missing or any(other.block_height > head.final_height for other in others):
            return ExecutionStatus.EXECUTED
        return ExecutionStatus.FINAL

    def _is_refund(self, receipt_id: CryptoHash) -> bool:
        receipt = self.get_receipt(receipt_id)
        return receipt is not None and receipt.predecessor_id == SYSTEM_ACCOUNT

    def get_outcome(self, id_: CryptoHash) -> OutcomeWithProof | None:
        """The outcome of a transaction or receipt."""
        place = self._get_place(id_)
        if place is None:
            return None
        block = self._read_block(BlockHeight(place.height))
        outcome = self._storage.get_outcome(place)
        if block is None or outcome is None:
            return None
        return OutcomeWithProof(
            id_,
            block.hash,
            BlockHeight(place.height),
            block.chunks[place.shard_index].shard_id,
            outcome,
            get_path(self._get_levels(place.height, place.shard_index), place.outcome_index),
        )

    def _get_levels(self, height: int, shard_index: int) -> list[list[bytes]]:
        levels = self._levels
        found = levels.get((height, shard_index))
        if found is None:
            found = compute_levels(self._storage.get_leaves(height, shard_index))
            if len(levels) >= _CACHED_LEVELS:
                levels.clear()
            levels[height, shard_index] = found
        return found

    def get_block_outcomes(self, block_hash: CryptoHash) -> tuple[OutcomeWithProof, ...]:
        """All outcomes of applying that block, by shard, in NEAR's order."""
        block = self._get_block_by_hash(block_hash)
        height = block.header.height
        found = []
        for index, chunk in enumerate(block.chunks):
            levels = self._get_levels(height, index)
            for at, outcome in enumerate(self._storage.get_outcomes(height, index)):
                path = get_path(levels, at)
                found.append(
                    OutcomeWithProof(
                        outcome.id, block.hash, BlockHeight(height), chunk.shard_id, outcome, path
                    )
                )
        return tuple(found)

    def get_outcome_proof(self, id_: CryptoHash, account_id: AccountId) -> OutcomeProof:
        """The outcome with its path to the block outcome root of the block that commits to it."""
        outcome = self.get_outcome(id_)
        if outcome is None:
            raise UnknownTransactionOrReceipt(id_)
        index = self._get_shard_index(self.parameters.shard_layout.get_shard_id(account_id))
        block = self._get_next_block(outcome.block_height)
        while block is not None and block.chunks[index].height_included != block.header.height:
            block = self._get_next_block(BlockHeight(block.header.height))
        if block is None:
            raise NotConfirmed(id_)
        _, paths = compute_block_outcome_proofs(block.chunks)
        return OutcomeProof(outcome, block.hash, paths[index])

    def get_block_proof(self, block_hash: CryptoHash, head_block_hash: CryptoHash) -> MerklePath:
        """The path from a block to the ``block_merkle_root`` of a later final one."""
        block, head = (
            self._get_block_by_hash(block_hash).header,
            self._get_block_by_hash(head_block_hash).header,
        )
        for header in (block, head):
            if header.height > self._head.final_height:
                raise NotFinal(header.hash)
        if block.block_ordinal >= head.block_ordinal:
            raise BlockAheadOfHead(block_hash, head_block_hash)
        try:
            return compute_growing_path(
                self._storage.get_merkle_node, head.block_ordinal - 1, block.block_ordinal - 1
            )
        except LookupError:
            raise GarbageCollectedBlock(BlockHeight(block.height), block_hash) from None

    def get_receipt(self, receipt_id: CryptoHash) -> Receipt | None:
        """A receipt that left its shard or was processed in it."""
        making = self._storage.get_making(receipt_id)
        if making is None or (making.kept_height or making.height) > self._head.height:
            return None
        return self._storage.get_receipt(making)

    def get_receipt_origin(self, receipt_id: CryptoHash) -> ReceiptOrigin | None:
        """The transaction that a receipt descends from."""
        making = self._storage.get_making(receipt_id)
        if making is None or making.height > self._head.height or making.origin == ZERO_HASH:
            return None
        signed = self.get_transaction(making.origin)
        return None if signed is None else ReceiptOrigin(making.origin, signed.transaction.signer_id)

    # State

    def get_trie(self, block_hash: CryptoHash, shard_id: int) -> AnyTrie:
        """The state after applying that block."""
        index = self._get_shard_index(shard_id)
        if block_hash == self._head.hash:
            return self._head.get_trie(index)
        block = self._get_block_by_hash(block_hash)
        height = BlockHeight(block.header.height)
        if height < self._get_tail():
            # The genesis, whose block stays for ever: its state is gone whether or not somebody still has it at hand.
            raise GarbageCollectedBlock(height, block_hash)
        return self._get_old_trie(block, index)

    def _get_old_trie(self, block: Block, shard_index: int) -> AnyTrie:
        """The state after a block that is not the newest. Raises GarbageCollectedBlock."""
        raise NotImplementedError

    def get_state_changes(self, block_hash: CryptoHash) -> tuple[StateChange, ...]:
        """Every committed write of applying that block."""
        height = BlockHeight(self._get_block_by_hash(block_hash).header.height)
        found: list[StateChange] = []
        for shard_id in self.parameters.shard_layout.shard_ids:
            record = self._storage.state.get_changes(shard_id, height)
            for key, _, writes in record[1] if record is not None else ():
                found += [StateChange(shard_id, key, cause, value) for cause, value in writes]
        return tuple(found)

    # Epochs

    def _get_epoch_info(self, epoch_id: CryptoHash) -> EpochInfo:
        epoch = self._head.epochs.get(epoch_id) or self._storage.get_epoch(epoch_id)
        if epoch is None:
            raise UnknownEpoch
        return epoch

    def get_epoch(self, epoch_id: CryptoHash) -> EpochStart:
        """The epoch's rules; where it will start if that is still to come."""
        epoch = self._get_epoch_info(epoch_id)
        start = self._storage.get_epoch_start(epoch_id)
        if start is None:
            start = BlockHeight(self._head.position.first.height + self.parameters.epoch_config.epoch_length)
        return EpochStart(
            epoch_id,
            epoch.epoch_height,
            start,
            epoch.protocol_version,
            epoch.shard_layout,
            epoch.validators,
        )

    def get_validator_info(self, epoch: CryptoHash | None = None) -> EpochValidatorInfo:
        """Of a finished epoch by its id, or of the current one."""
        head = self._head
        if epoch is None or epoch == head.block.header.epoch_id:
            return make_current_info(head)
        summary = self._storage.get_summary(epoch) if len(epoch) == 32 else None
        start = self._storage.get_epoch_start(epoch) if len(epoch) == 32 else None
        if summary is None or start is None:
            raise UnknownEpoch
        following = self._get_epoch_info(summary.prev_epoch_last_block_hash)
        return make_finished_info(self._get_epoch_info(epoch), following, summary, start)

    def get_validator_info_at_block(self, reference: CryptoHash | BlockHeight) -> EpochValidatorInfo:
        """Of the epoch that ended with that block."""
        header = self.get_header(reference)
        following = self._get_next_block(BlockHeight(header.height))
        if following is None or following.header.epoch_id != header.next_epoch_id:
            raise ValidatorInfoUnavailable
        if following.header.epoch_id == header.epoch_id:
            raise ValidatorInfoUnavailable
        return self.get_validator_info(header.epoch_id)

    def get_maintenance_windows(self, account_id: AccountId) -> tuple[tuple[BlockHeight, BlockHeight], ...]:
        """Stretches of the epoch's rest in which the account makes neither block nor chunk."""
        length = self.parameters.epoch_config.epoch_length
        return compute_maintenance_windows(self._head, length, account_id)

    def get_block_producers_ordered(self, reference: BlockReference) -> tuple[ValidatorStake, ...]:
        """The block producers of that block's epoch in the order of the light client's hash."""
        return list_block_producers(self._get_epoch_info(self.get_header(reference).epoch_id))

    def get_light_client_block(self, last_block_hash: CryptoHash) -> LightClientBlock | None:
        """What a light client that knows ``last_block_hash`` needs next."""
        last = self._get_block_by_hash(last_block_hash).header
        head = self._head.block.header
        if head.epoch_id in (last.epoch_id, last.next_epoch_id):
            final = find_final_block_of_epoch(head, self._get_header_at)
            if final is None or final.height <= last.height:
                return None
        else:
            final = self._find_last_final_block(last.next_epoch_id)
            if final is None:
                return None
        return make_light_client_block(
            final, self._get_header_at, list_block_producers(self._get_epoch_info(final.next_epoch_id))
        )

    def _get_header_at(self, reference: CryptoHash | BlockHeight) -> BlockHeader:
        return self.get_block(reference).header

    def _find_last_final_block(self, epoch_id: CryptoHash) -> BlockHeader | None:
        """The newest block of a finished epoch that was final when the epoch ended."""
        start = self._storage.get_epoch_start(epoch_id)
        if start is None:
            return None
        following_id = self._get_header_at(start).next_epoch_id
        next_start = self._storage.get_epoch_start(following_id)
        if next_start is None or next_start > self._head.height:
            return None
        last = self._get_header_at(self._get_header_at(next_start).prev_hash)
        return find_final_block_of_epoch(last, self._get_header_at)

    def get_pending_count(self) -> int:
        """Transactions waiting in the pool."""
        return self._pool.count()


class StoredChain(CommittedChain):
    """The chain in the process that makes it."""

    _head: ChainHead

    def publish(self, head: ChainHead, *, is_revert: bool = False) -> None:
        """Show a new head."""
        if is_revert:
            self._forget()
        self._head = head

    @property
    def head(self) -> ChainHead:
        """The published head."""
        return self._head

    def get_trie(self, block_hash: CryptoHash, shard_id: int) -> Trie:
        """The state after applying that block."""
        trie = super().get_trie(block_hash, shard_id)
        assert isinstance(trie, Trie)
        return trie

    def _get_old_trie(self, block: Block, shard_index: int) -> Trie:
        shard_id = self.parameters.shard_layout.shard_ids[shard_index]
        height = BlockHeight(block.header.height)
        try:
            return self._storage.state.trie_at(shard_id, height)
        except StateNotRetained:
            raise GarbageCollectedBlock(height, block.hash) from None
