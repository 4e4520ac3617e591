"""The state at a block, ready for questions: looked up once, kept for the next who ask."""

from typing import Final

from hither.chain.reader import BlockReference, ChainReader, Finality
from hither.codec import base58
from hither.primitives.types import AccountId, Balance, CryptoHash
from hither.state import AnyTrie

KEPT_BLOCKS: Final = 64


class StateAtBlock:
    """A block's place in time, and the tries of its shards. Immutable but for tries fetched on demand."""

    __slots__ = (
        "_reader",
        "_tries",
        "epoch_height",
        "hash",
        "hash_text",
        "height",
        "layout",
        "protocol_version",
        "timestamp_ns",
        "validators",
    )

    def __init__(self, reader: ChainReader, reference: BlockReference) -> None:
        header = reader.get_header(reference)
        epoch = reader.get_epoch(header.epoch_id)
        self._reader = reader
        self._tries: dict[int, AnyTrie] = {}
        self.hash: CryptoHash = header.hash
        self.hash_text = base58.encode(header.hash)
        self.height = header.height
        self.timestamp_ns = header.timestamp_ns
        self.layout = epoch.shard_layout
        self.protocol_version = epoch.protocol_version
        self.epoch_height = epoch.epoch_height
        self.validators: tuple[tuple[AccountId, Balance], ...] = tuple(
            (validator.account_id, Balance(validator.stake)) for validator in epoch.validators
        )

    def get_trie(self, account_id: str) -> AnyTrie:
        """The state of the shard that holds the account."""
        return self.get_trie_of_shard(self.layout.get_shard_id(account_id))

    def get_first_trie(self) -> AnyTrie:
        """The state of any shard: what every shard has is there too."""
        return self.get_trie_of_shard(self.layout.shard_ids[0])

    def get_trie_of_shard(self, shard_id: int) -> AnyTrie:
        """The state of a shard after this block."""
        trie = self._tries.get(shard_id)
        if trie is None:
            trie = self._tries[shard_id] = self._reader.get_trie(self.hash, shard_id)
        return trie


class StateCache:
    """The states last asked for. A block never changes, so only its absence can become outdated."""

    def __init__(self, reader: ChainReader) -> None:
        self.reader = reader
        self.states: dict[CryptoHash, StateAtBlock] = {}

    def get_kept(self, finality: Finality) -> StateAtBlock | None:
        """The state at that head, if somebody asked for it before."""
        return self.states.get(self.reader.get_head(finality).last_block_hash)

    def get(self, reference: BlockReference) -> StateAtBlock:
        """Raises ``UnknownBlock``, ``GarbageCollectedBlock``."""
        if isinstance(reference, Finality):
            head = self.reader.get_head(reference).last_block_hash
            state = self.states.get(head)
            if state is not None:
                return state
            reference = head
        elif isinstance(reference, bytes):
            state = self.states.get(reference)
            if state is not None:
                self.reader.get_header(reference)  # A revert may have taken it away.
                return state
        state = StateAtBlock(self.reader, reference)
        if len(self.states) >= KEPT_BLOCKS:
            del self.states[next(iter(self.states))]
        self.states[state.hash] = state
        return state
