"""What is known about an epoch, and what it is computed from."""

from typing import Any

import msgspec

from hither.primitives.sharding import ShardLayout, ValidatorStake
from hither.primitives.types import (
    AccountId,
    Balance,
    BlockHeight,
    CryptoHash,
    EpochHeight,
    ProtocolVersion,
    ShardId,
)

Ratio = tuple[int, int]
"""Numerator and denominator."""

KickoutReason = str | dict[str, Any]
"""The JSON form of NEAR's ``ValidatorKickoutReason``."""


class EpochConfig(msgspec.Struct, frozen=True, gc=False):
    """The rules of an epoch (NEAR's ``EpochConfig``); the names are NEAR's."""

    epoch_length: int
    num_block_producer_seats: int
    num_chunk_producer_seats: int = 100
    num_chunk_validator_seats: int = 300
    block_producer_kickout_threshold: int = 90
    chunk_producer_kickout_threshold: int = 90
    chunk_validator_only_kickout_threshold: int = 80
    target_validator_mandates_per_shard: int = 68
    validator_max_kickout_stake_perc: int = 100
    online_min_threshold: Ratio = (90, 100)
    online_max_threshold: Ratio = (99, 100)
    minimum_stake_divisor: int = 10
    minimum_stake_ratio: Ratio = (160, 1_000_000)
    minimum_validators_per_shard: int = 1
    chunk_producer_assignment_changes_limit: int = 5
    shuffle_shard_assignment_for_chunk_producers: bool = False
    protocol_upgrade_stake_threshold: Ratio = (4, 5)
    max_inflation_rate: Ratio = (1, 40)


class RewardConfig(msgspec.Struct, frozen=True, gc=False):
    """What the genesis fixes about rewards for the whole life of the chain."""

    protocol_reward_rate: Ratio
    protocol_treasury_account: AccountId


class StakeWeightedIndex(msgspec.Struct, frozen=True, gc=False):
    """Tables for choosing an index with probability proportional to stake (Vose's alias method)."""

    stake_sum: int
    aliases: tuple[int, ...]
    no_alias_odds: tuple[int, ...]


class ValidatorMandates(msgspec.Struct, frozen=True, gc=False):
    """Stake cut into mandates of equal price, the unit of chunk validation."""

    target_mandates_per_shard: int
    num_shards: int
    stake_per_mandate: int
    mandates: tuple[int, ...]
    partials: tuple[tuple[int, int], ...]


class EpochInfo(msgspec.Struct, frozen=True):
    """An epoch's validators. Settlements hold positions in ``validators``.

    ``stake_change``, ``validator_reward``, ``validator_kickout`` and ``minted_amount`` are
    results of the epoch two before, whose end made this information.
    """

    epoch_height: EpochHeight
    validators: tuple[ValidatorStake, ...]
    block_producers_settlement: tuple[int, ...]
    chunk_producers_settlement: tuple[tuple[int, ...], ...]
    stake_change: dict[AccountId, Balance]
    validator_reward: dict[AccountId, Balance]
    validator_kickout: dict[AccountId, KickoutReason]
    minted_amount: Balance
    seat_price: Balance
    protocol_version: ProtocolVersion
    shard_layout: ShardLayout
    rng_seed: bytes
    block_producers_sampler: StakeWeightedIndex
    chunk_producers_sampler: tuple[StakeWeightedIndex, ...]
    validator_mandates: ValidatorMandates
    last_resharding: EpochHeight | None = None

    def get_validator_index(self, account_id: AccountId) -> int | None:
        """The position of the account among the validators."""
        for index, validator in enumerate(self.validators):
            if validator.account_id == account_id:
                return index
        return None


class BlockInfo(msgspec.Struct, frozen=True, gc=False):
    """What the epochs remember of a block (NEAR's ``BlockInfo``).

    ``chunk_endorsements`` is the bitmap of the header: bytes by shard. For the genesis
    block, ``epoch_first_block`` and ``epoch_id`` are zeros.
    """

    hash: CryptoHash
    height: BlockHeight
    last_finalized_height: BlockHeight
    last_final_block_hash: CryptoHash
    prev_hash: CryptoHash
    epoch_first_block: CryptoHash
    epoch_id: CryptoHash
    proposals: tuple[ValidatorStake, ...]
    chunk_mask: tuple[bool, ...]
    latest_protocol_version: ProtocolVersion
    total_supply: Balance
    timestamp_ns: int
    chunk_endorsements: tuple[bytes, ...]


class Production(msgspec.Struct, frozen=True, gc=False):
    """How much was delivered of what was due."""

    produced: int = 0
    expected: int = 0

    def add(self, *, is_produced: bool) -> "Production":
        """One more that was due."""
        return Production(self.produced + is_produced, self.expected + 1)

    def is_less_than(self, percent: int) -> bool:
        """Whether the share delivered is under ``percent``; nothing due is never under."""
        return self.produced * 100 < percent * self.expected


class ChunkProduction(msgspec.Struct, frozen=True, gc=False):
    """Chunks produced and chunks endorsed."""

    production: Production = Production()
    endorsement: Production = Production()


class ValidatorStatistics(msgspec.Struct, frozen=True, gc=False):
    """One validator over one epoch."""

    blocks: Production
    chunks: Production
    endorsements: Production


class EpochStatistics(msgspec.Struct, frozen=True):
    """What the blocks of an epoch recorded so far (NEAR's ``EpochInfoAggregator``); never changed in place.

    Keys are positions in the epoch's ``validators``; ``chunks`` is by shard first.
    ``proposals`` holds the newest one of each account.
    """

    blocks: dict[int, Production] = {}
    chunks: dict[ShardId, dict[int, ChunkProduction]] = {}
    versions: dict[int, ProtocolVersion] = {}
    proposals: dict[AccountId, ValidatorStake] = {}


class EpochSummary(msgspec.Struct, frozen=True):
    """A finished epoch: what ``validators`` answers for it."""

    prev_epoch_last_block_hash: CryptoHash
    all_proposals: tuple[ValidatorStake, ...]
    validator_kickout: dict[AccountId, KickoutReason]
    statistics: dict[AccountId, ValidatorStatistics]
    next_next_epoch_version: ProtocolVersion
