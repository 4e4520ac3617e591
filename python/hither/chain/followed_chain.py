"""A chain as a process sees it that does not make it: rows from disk, states from the process that has them.

The maker tells which block is the newest when that is on disk; nothing above it is ever shown. Rows go away in
two cases. Before a revert the maker waits until every follower has gone back. Pruning takes place at any
moment: whoever misses a row looks at the tail on disk, which moved in the same commit.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Final

import msgspec

from hither.chain.epochs.tracker import EpochPosition
from hither.chain.epochs.types import EpochInfo, EpochStatistics
from hither.chain.genesis import Genesis
from hither.chain.parameters import ChainParameters
from hither.chain.rows import PROGRESS, ProgressRow, decode_progress, height_key
from hither.chain.storage import ChainStorage
from hither.chain.stored_chain import CommittedChain, PoolView
from hither.crypto.keys import PublicKey
from hither.primitives.block import Block
from hither.primitives.types import AccountId, BlockHeight, CryptoHash
from hither.state import DistantTrie, StateClient

_KEPT_EPOCHS: Final = 16


class PublishedTip(msgspec.Struct, frozen=True, gc=False):
    """What the maker tells of its head."""

    height: BlockHeight
    hash: CryptoHash
    final_height: BlockHeight


class StoredEpochs(Mapping[CryptoHash, EpochInfo]):
    """Epochs by id, each read once: what an id stands for never changes."""

    def __init__(self, storage: ChainStorage) -> None:
        self._storage = storage
        self._known: dict[CryptoHash, EpochInfo] = {}

    def __getitem__(self, epoch_id: CryptoHash) -> EpochInfo:
        epoch = self._known.get(epoch_id)
        if epoch is None:
            epoch = self._storage.get_epoch(epoch_id)
            if epoch is None:
                raise KeyError(epoch_id)
            if len(self._known) >= _KEPT_EPOCHS:
                self._known.clear()
            self._known[epoch_id] = epoch
        return epoch

    def __iter__(self) -> Iterator[CryptoHash]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


class FollowedHead:
    """The newest published block (``HeadView``). Its rows are read when they are asked for."""

    def __init__(
        self, tip: PublishedTip, storage: ChainStorage, epochs: StoredEpochs, states: StateClient
    ) -> None:
        self.height = tip.height
        self.hash = tip.hash
        self.final_height = tip.final_height
        self.epochs = epochs
        self._storage = storage
        self._states = states

    @cached_property
    def block(self) -> Block:
        return self._storage.must_get_block(self.height)

    @cached_property
    def _progress(self) -> ProgressRow:
        return decode_progress(self._storage.must_get(PROGRESS, height_key(self.height)))

    @cached_property
    def position(self) -> EpochPosition:
        return self._storage.load_position(self.block, self._progress)

    @cached_property
    def statistics(self) -> EpochStatistics:
        return self._storage.load_statistics(self.height, self._progress, self.epoch)

    @property
    def epoch(self) -> EpochInfo:
        return self.epochs[self.block.header.epoch_id]

    def get_trie(self, shard_index: int) -> DistantTrie:
        """The state of the shard at that position in blocks."""
        return self._states.trie(self.hash, shard_index)


class FollowedChain(CommittedChain):
    """Answers ``ChainReader``'s questions from the rows of a chain that another process makes."""

    def __init__(
        self,
        genesis: Genesis,
        parameters: ChainParameters,
        storage: ChainStorage,
        tip: PublishedTip,
        states: StateClient,
        pool: PoolView,
        validator: tuple[AccountId, PublicKey] | None,
    ) -> None:
        self._states = states
        self._epochs = StoredEpochs(storage)
        head = FollowedHead(tip, storage, self._epochs, states)
        super().__init__(genesis, parameters, storage, head, pool, validator)

    def publish(self, tip: PublishedTip, *, is_revert: bool = False) -> None:
        """Show a new head."""
        if is_revert:
            self._forget()
            self._epochs = StoredEpochs(self._storage)
        self._head = FollowedHead(tip, self._storage, self._epochs, self._states)

    def _get_tail(self) -> BlockHeight:
        return self._storage.get_tail()

    def _get_old_trie(self, block: Block, shard_index: int) -> DistantTrie:
        return self._states.trie(block.hash, shard_index)
