"""What goes into applying a chunk and what comes out (NEAR's ``ApplyState`` and ``ApplyResult``)."""

from collections.abc import Mapping

import msgspec

from hither.params import RuntimeConfig
from hither.primitives.outcome import Outcome
from hither.primitives.receipt import Receipt
from hither.primitives.sharding import (
    BandwidthRequest,
    CongestionInfo,
    ExtendedCongestionInfo,
    ShardLayout,
    ValidatorStake,
)
from hither.primitives.types import AccountId, Balance, CryptoHash, Gas, ShardId
from hither.state import Sealed


class ValidatorAccountsUpdate(msgspec.Struct, frozen=True):
    """Rewards and stake returns, applied at the first block of an epoch.

    ``stake`` is the stake that stays locked per account, ``rewards`` what is paid
    out, ``last_proposals`` the newest proposal of each account.
    """

    stake: Mapping[AccountId, Balance]
    rewards: Mapping[AccountId, Balance]
    last_proposals: Mapping[AccountId, Balance]
    treasury_account: AccountId | None


class ApplyContext(msgspec.Struct, frozen=True):
    """Everything about its surroundings that a chunk's application may depend on.

    ``gas_price`` is that of the header before this block; ``random_value`` that of
    this block; ``congestion`` and ``bandwidth_requests`` come from the chunk headers of this
    block, by shard id. ``validators`` are (account, stake) of the epoch;
    ``minimum_stake`` is the least that a stake action may lock (NEAR's
    ``EpochInfoProvider::minimum_stake``: the next epoch's seat price by the divisor).
    ``state_patch`` are trie writes by hand at the end of the chunk, on a development chain.
    """

    chain_id: str
    protocol_version: int
    config: RuntimeConfig
    shard_layout: ShardLayout
    shard_id: ShardId
    block_height: int
    prev_block_hash: CryptoHash
    block_timestamp_ns: int
    epoch_id: CryptoHash
    epoch_height: int
    gas_price: Balance
    gas_limit: Gas
    random_value: CryptoHash
    congestion: Mapping[ShardId, ExtendedCongestionInfo]
    bandwidth_requests: Mapping[ShardId, tuple[BandwidthRequest, ...]]
    validators: tuple[tuple[AccountId, Balance], ...]
    validator_update: ValidatorAccountsUpdate | None = None
    is_new_chunk: bool = True
    minimum_stake: Balance = Balance(0)
    state_patch: tuple[tuple[bytes, bytes | None], ...] = ()


class ApplyResult(msgspec.Struct, frozen=True):
    """The new state and everything that the next chunk header commits to.

    ``outcomes`` are in NEAR's order (transactions, then receipts as executed; instant receipts
    right after the one that made them); ``outgoing_receipts`` are those that leave now,
    in order, local ones not included, ``outgoing_rows`` the same encoded. ``processed_receipts``
    maps what was executed (local, delayed, incoming, instant) for RPC.
    """

    sealed: Sealed
    outcomes: tuple[Outcome, ...]
    outgoing_receipts: tuple[Receipt, ...]
    outgoing_rows: tuple[bytes, ...]
    processed_receipts: tuple[Receipt, ...]
    validator_proposals: tuple[ValidatorStake, ...]
    gas_burnt: Gas
    balance_burnt: Balance
    congestion_info: CongestionInfo
    bandwidth_requests: tuple[BandwidthRequest, ...]
