"""What stays the same over the life of a chain: everything that genesis fixes."""

from collections.abc import Mapping

import msgspec

from hither.chain.epochs.types import EpochConfig, RewardConfig
from hither.chain.genesis import (
    Genesis,
    get_epoch_config,
    get_genesis_time_ns,
    get_reward_config,
    get_shard_layout,
    get_validators,
)
from hither.crypto.keys import SecretKey, Signature
from hither.crypto.signing import sign
from hither.params import RuntimeConfig, get_runtime_config
from hither.primitives.chunk import FIRST_VERSION_WITH_SPLIT, compute_total_parts
from hither.primitives.sharding import ShardLayout, ValidatorStake
from hither.primitives.types import AccountId, Balance, BlockHeight, Gas, ProtocolVersion


class ChainParameters(msgspec.Struct, frozen=True):
    """Genesis as the rest of the chain uses it.

    ``config`` is that of the genesis version, which never changes here: the validators
    of this node vote for the version they started with.
    """

    chain_id: str
    genesis_height: BlockHeight
    genesis_time_ns: int
    protocol_version: ProtocolVersion
    config: RuntimeConfig
    epoch_config: EpochConfig
    reward_config: RewardConfig
    shard_layout: ShardLayout
    validators: tuple[ValidatorStake, ...]
    gas_limit: Gas
    min_gas_price: Balance
    max_gas_price: Balance
    gas_price_adjustment_rate: tuple[int, int]
    transaction_validity_period: int
    total_supply: Balance
    total_parts: int

    @property
    def treasury_account(self) -> AccountId:
        """Who gets the protocol's share of rewards."""
        return self.reward_config.protocol_treasury_account

    @property
    def has_split_fields(self) -> bool:
        """Whether headers have the fields of dynamic resharding (85 and later)."""
        return self.protocol_version >= FIRST_VERSION_WITH_SPLIT

    @property
    def chunk_version(self) -> int:
        """The version of chunk headers' inner part."""
        return 5 if self.has_split_fields else 4

    @property
    def block_header_version(self) -> int:
        """The version of block headers."""
        return 6 if self.has_split_fields else 5

    @property
    def block_info_version(self) -> int:
        """The version of what the epochs remember of a block."""
        return 4 if self.has_split_fields else 3


def make_parameters(genesis: Genesis, config: RuntimeConfig | None = None) -> ChainParameters:
    """Read the genesis once. ``config`` replaces the published figures of its version."""
    fixed = genesis.config
    return ChainParameters(
        chain_id=fixed.chain_id,
        genesis_height=BlockHeight(fixed.genesis_height),
        genesis_time_ns=get_genesis_time_ns(fixed),
        protocol_version=ProtocolVersion(fixed.protocol_version),
        config=config or get_runtime_config(fixed.protocol_version),
        epoch_config=get_epoch_config(fixed),
        reward_config=get_reward_config(fixed),
        shard_layout=get_shard_layout(fixed),
        validators=get_validators(fixed),
        gas_limit=Gas(fixed.gas_limit),
        min_gas_price=Balance(int(fixed.min_gas_price)),
        max_gas_price=Balance(int(fixed.max_gas_price)),
        gas_price_adjustment_rate=fixed.gas_price_adjustment_rate,
        transaction_validity_period=fixed.transaction_validity_period,
        total_supply=Balance(int(fixed.total_supply)),
        total_parts=compute_total_parts(fixed.num_block_producer_seats),
    )


class Signers:
    """The validator keys that this node holds.

    A development chain makes the blocks of absent validators too, under its own first
    key: heights stay consecutive, whoever stakes.
    """

    def __init__(self, keys: Mapping[AccountId, SecretKey]) -> None:
        assert keys, "a node that makes blocks holds a validator key"
        self._keys = dict(keys)
        self._own = next(iter(self._keys))

    @property
    def own_account(self) -> AccountId:
        """The first account, which stands in for absent ones."""
        return self._own

    def get_key(self, account_id: AccountId) -> SecretKey:
        """The account's key, or this node's own."""
        return self._keys.get(account_id) or self._keys[self._own]

    def has_key(self, account_id: AccountId) -> bool:
        return account_id in self._keys

    def sign(self, account_id: AccountId, message: bytes) -> Signature:
        """Sign for the account."""
        return sign(self.get_key(account_id), message)
