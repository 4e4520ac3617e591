"""Which shard an account lives in, and what a shard tells the others about its load."""

from bisect import bisect_right

import msgspec

from hither.codec.borsh import U16, U64, U128, Codec, fixed, prefixed, record, sequence
from hither.crypto.keys import PUBLIC_KEY
from hither.primitives.ids import ACCOUNT_ID
from hither.primitives.types import AccountId, PublicKey, ShardId


class ShardLayout(msgspec.Struct, frozen=True, gc=False):
    """Sorted boundary accounts; ``shard_ids[i]`` holds ids from boundary i-1 up to boundary i.

    ``version`` is the layout's own number, part of every storage key prefix.
    """

    boundary_accounts: tuple[AccountId, ...]
    shard_ids: tuple[ShardId, ...]
    version: int = 0

    def get_shard_index(self, account_id: str) -> int:
        """How many boundaries are at or below the id, in byte order."""
        return bisect_right(self.boundary_accounts, account_id)

    def get_shard_id(self, account_id: str) -> ShardId:
        """The shard that holds the account."""
        return self.shard_ids[bisect_right(self.boundary_accounts, account_id)]


class CongestionInfo(msgspec.Struct, frozen=True, gc=False):
    """In the chunk header: receipts waiting in this shard (gas, gas, bytes) and who may always send."""

    delayed_receipts_gas: int = 0
    buffered_receipts_gas: int = 0
    receipt_bytes: int = 0
    allowed_shard: int = 0


class ExtendedCongestionInfo(msgspec.Struct, frozen=True, gc=False):
    """The same as another shard sees it: with the number of chunks it missed since."""

    info: CongestionInfo
    missed_chunks_count: int = 0


class BandwidthRequest(msgspec.Struct, frozen=True, gc=False):
    """A wish to send more than the base: ``bitmap`` has a bit per step of the requestable values."""

    to_shard: int
    bitmap: bytes


class ValidatorStake(msgspec.Struct, frozen=True, gc=False):
    """A validator's proposal or seat. ``public_key`` is its validator key."""

    account_id: AccountId
    public_key: PublicKey
    stake: int


CONGESTION_INFO: Codec[CongestionInfo] = prefixed(
    b"\0",
    record(
        CongestionInfo,
        {
            "delayed_receipts_gas": U128,
            "buffered_receipts_gas": U128,
            "receipt_bytes": U64,
            "allowed_shard": U16,
        },
    ),
)
BANDWIDTH_REQUESTS: Codec[tuple[BandwidthRequest, ...]] = prefixed(
    b"\0", sequence(record(BandwidthRequest, {"to_shard": U16, "bitmap": fixed(5)}))
)
VALIDATOR_STAKE: Codec[ValidatorStake] = prefixed(
    b"\0", record(ValidatorStake, {"account_id": ACCOUNT_ID, "public_key": PUBLIC_KEY, "stake": U128})
)

encode_congestion_info = CONGESTION_INFO.encode
decode_congestion_info = CONGESTION_INFO.decode
encode_bandwidth_requests = BANDWIDTH_REQUESTS.encode
decode_bandwidth_requests = BANDWIDTH_REQUESTS.decode
encode_validator_stake = VALIDATOR_STAKE.encode
decode_validator_stake = VALIDATOR_STAKE.decode
