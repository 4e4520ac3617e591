"""Follow the epochs of a recorded chain with our own epoch code, from genesis and the headers alone."""

from typing import Any

from hither.chain.epochs.tracker import EpochPosition, advance_position, record_block, start_position
from hither.chain.epochs.types import BlockInfo, EpochInfo, EpochStatistics
from hither.chain.epochs.update import (
    EpochEnd,
    compute_epoch_update,
    compute_genesis_epoch,
    compute_validator_accounts_update,
    filter_validator_accounts_update,
)
from hither.chain.genesis import (
    GenesisConfig,
    get_epoch_config,
    get_reward_config,
    get_shard_layout,
    get_validators,
)
from hither.codec import base58
from hither.crypto.keys import public_key_from_str
from hither.primitives.sharding import ValidatorStake
from hither.primitives.types import (
    ZERO_HASH,
    AccountId,
    Balance,
    BlockHeight,
    CryptoHash,
    ProtocolVersion,
    ShardId,
)
from hither.runtime.types import ValidatorAccountsUpdate

Json = dict[str, Any]


def parse_hash(text: str) -> CryptoHash:
    """A hash from base58."""
    return CryptoHash(base58.decode(text))


def parse_validator_stake(fields: Json) -> ValidatorStake:
    """A proposal or seat as headers show it."""
    stake = fields["stake"] if "stake" in fields else fields["amount"]
    return ValidatorStake(
        AccountId(fields["account_id"]), public_key_from_str(fields["public_key"]), int(stake)
    )


class RecordedEpochs:
    """Epoch infos by id, and the place of the newest block."""

    def __init__(self, genesis: GenesisConfig) -> None:
        self._layout = get_shard_layout(genesis)
        self.config = get_epoch_config(genesis)
        self._rewards = get_reward_config(genesis)
        version = ProtocolVersion(genesis.protocol_version)
        self._genesis_epoch = compute_genesis_epoch(
            self.config, self._rewards, get_validators(genesis), version, self._layout
        )
        self.epochs: dict[CryptoHash, EpochInfo] = {ZERO_HASH: self._genesis_epoch}
        self._heights: dict[CryptoHash, int] = {}
        self._statistics = EpochStatistics()
        self.position: EpochPosition | None = None

    def start(self, header: Json) -> None:
        """Take the genesis block."""
        block = self._make_block_info(header)
        self.position = start_position(block)
        self.epochs[block.hash] = self._genesis_epoch

    def get_update_at_start(
        self, proposals: tuple[ValidatorStake, ...], shard_id: ShardId
    ) -> ValidatorAccountsUpdate | None:
        """What the next block does to a shard's accounts if it starts an epoch; ``proposals`` are its chunk's."""
        assert self.position is not None
        if not self.position.is_last_in_epoch(self.config):
            return None
        last = self.position.block
        ids = (last.epoch_id, self.position.next_epoch_id, last.hash)
        first, second, third = (self.epochs[epoch_id] for epoch_id in ids)
        treasury = self._rewards.protocol_treasury_account
        update = compute_validator_accounts_update((first, second, third), proposals, treasury)
        return filter_validator_accounts_update(update, self._layout, shard_id)

    def get_epoch_of_next_block(self) -> tuple[CryptoHash, EpochInfo, EpochInfo]:
        """Id and info of the next block's epoch, and info of the epoch after that."""
        assert self.position is not None
        epoch_id, next_epoch_id = self.position.get_epoch_ids_of_next_block(self.config)
        return epoch_id, self.epochs[epoch_id], self.epochs[next_epoch_id]

    def add_block(self, header: Json) -> None:
        """Take the next block; at the last of an epoch the epoch two later is decided."""
        assert self.position is not None
        prev_height = self.position.block.height
        starts_epoch = self.position.is_last_in_epoch(self.config)
        self.position = advance_position(self.position, self._make_block_info(header), self.config)
        block = self.position.block
        if starts_epoch:
            self._statistics = EpochStatistics({}, {}, {}, {})
        record_block(self._statistics, block, prev_height, self.epochs[block.epoch_id])
        if self.position.is_last_in_epoch(self.config):
            self._end_epoch(block)

    def _end_epoch(self, last: BlockInfo) -> None:
        assert self.position is not None
        end = EpochEnd(
            current=self.epochs[last.epoch_id],
            following=self.epochs[self.position.next_epoch_id],
            statistics=self._statistics,
            total_supply=last.total_supply,
            duration_ns=last.timestamp_ns - self.position.prev_epoch_last_timestamp_ns,
            rng_seed=self._random_value,
            prev_epoch_last_block_hash=self.position.next_epoch_id,
        )
        self.epochs[last.hash], _ = compute_epoch_update(end, self.config, self._rewards)

    def _make_block_info(self, header: Json) -> BlockInfo:
        block_hash = parse_hash(header["hash"])
        self._heights[block_hash] = header["height"]
        self._random_value = parse_hash(header["random_value"])
        last_final = parse_hash(header["last_final_block"])
        return BlockInfo(
            hash=block_hash,
            height=BlockHeight(header["height"]),
            last_finalized_height=BlockHeight(self._heights.get(last_final, 0)),
            last_final_block_hash=last_final,
            prev_hash=parse_hash(header["prev_hash"]),
            epoch_first_block=ZERO_HASH,
            epoch_id=ZERO_HASH,
            proposals=tuple(parse_validator_stake(fields) for fields in header["validator_proposals"]),
            chunk_mask=tuple(header["chunk_mask"]),
            latest_protocol_version=ProtocolVersion(header["latest_protocol_version"]),
            total_supply=Balance(int(header["total_supply"])),
            timestamp_ns=int(header["timestamp_nanosec"]),
            chunk_endorsements=tuple(bytes(bits) for bits in header["chunk_endorsements"] or ()),
        )
