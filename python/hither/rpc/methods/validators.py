"""Who makes blocks and chunks: of an epoch, in the light client's order, and when not."""

from typing import Any, Final

from hither.chain.reader import (
    EpochValidatorInfo,
    Finality,
    GarbageCollectedBlock,
    UnknownBlock,
    UnknownEpoch,
    ValidatorInfoUnavailable,
    ValidatorProduction,
)
from hither.crypto.keys import public_key_to_str
from hither.primitives import views
from hither.primitives.types import AccountId, CryptoHash
from hither.rpc.context import Context, Method
from hither.rpc.errors import handler_error
from hither.rpc.parameters import Field, enumeration, optional, structure
from hither.rpc.values import BlockId, read_account_id, read_block_id, read_hash, single_or

FIRST_VERSION_WITH_REWARDS: Final = 85
"""The release of protocol 85 is the first that tells what was paid."""

EpochReference = tuple[str, CryptoHash | BlockId | None]
"""``epoch_id``, ``block_id`` or ``latest``, and its value."""

_read_reference = enumeration({"epoch_id": read_hash, "block_id": read_block_id, "latest": None})


def _read_single(value: Any) -> EpochReference:
    block_id = optional(read_block_id)(value)
    return ("latest", None) if block_id is None else ("block_id", block_id)


def _ask(context: Context, reference: EpochReference) -> EpochValidatorInfo:
    kind, value = reference
    reader = context.reader
    if kind == "latest" or value is None:
        return reader.get_validator_info()
    if kind == "block_id":
        return reader.get_validator_info_at_block(value)
    assert isinstance(value, bytes)
    return reader.get_validator_info(CryptoHash(value))


def get_validators(context: Context, reference: EpochReference) -> dict[str, Any]:
    """``validators``: who makes blocks in an epoch, and who will in the next."""
    try:
        return view_validator_info(_ask(context, reference), context.protocol_version)
    except (UnknownEpoch, UnknownBlock, GarbageCollectedBlock):
        raise handler_error("validators", "UNKNOWN_EPOCH") from None
    except ValidatorInfoUnavailable:
        raise handler_error("validators", "VALIDATOR_INFO_UNAVAILABLE") from None


def _view_production(validator: ValidatorProduction) -> dict[str, Any]:
    return {
        "account_id": validator.account_id,
        "public_key": public_key_to_str(validator.public_key),
        "is_slashed": validator.is_slashed,
        "stake": str(validator.stake),
        "shards": validator.shards_produced,
        "num_produced_blocks": validator.num_produced_blocks,
        "num_expected_blocks": validator.num_expected_blocks,
        "num_produced_chunks": validator.num_produced_chunks,
        "num_expected_chunks": validator.num_expected_chunks,
        "num_produced_chunks_per_shard": validator.num_produced_chunks_per_shard,
        "num_expected_chunks_per_shard": validator.num_expected_chunks_per_shard,
        "num_produced_endorsements": validator.num_produced_endorsements,
        "num_expected_endorsements": validator.num_expected_endorsements,
        "num_produced_endorsements_per_shard": validator.num_produced_endorsements_per_shard,
        "num_expected_endorsements_per_shard": validator.num_expected_endorsements_per_shard,
        "shards_endorsed": validator.shards_endorsed,
    }


def view_validator_info(info: EpochValidatorInfo, protocol_version: int) -> dict[str, Any]:
    """The JSON of an epoch's validators."""
    view: dict[str, Any] = {
        "current_validators": [_view_production(validator) for validator in info.current_validators],
        "next_validators": [
            {
                "account_id": validator.account_id,
                "public_key": public_key_to_str(validator.public_key),
                "stake": str(validator.stake),
                "shards": validator.shards,
            }
            for validator in info.next_validators
        ],
        "current_fishermen": [views.view_validator_stake(stake) for stake in info.current_fishermen],
        "next_fishermen": [views.view_validator_stake(stake) for stake in info.next_fishermen],
        "current_proposals": [views.view_validator_stake(stake) for stake in info.current_proposals],
        "prev_epoch_kickout": [
            {"account_id": kickout.account_id, "reason": kickout.reason}
            for kickout in info.prev_epoch_kickout
        ],
        "epoch_start_height": info.epoch_start_height,
        "epoch_height": info.epoch_height,
    }
    if protocol_version >= FIRST_VERSION_WITH_REWARDS:
        rewards = info.rewards_paid_in_previous_epoch
        view["validator_reward_paid_prev_epoch"] = {name: str(paid) for name, paid in rewards.items()}
    return view


def get_validators_ordered(context: Context, parameters: tuple[BlockId | None]) -> list[dict[str, Any]]:
    """``EXPERIMENTAL_validators_ordered``: block producers, with repetition, for bridges."""
    reference = Finality.OPTIMISTIC if parameters[0] is None else parameters[0]
    try:
        producers = context.reader.get_block_producers_ordered(reference)
    except (UnknownBlock, GarbageCollectedBlock, UnknownEpoch):
        raise handler_error("validators", "UNKNOWN_EPOCH") from None
    return [views.view_validator_stake(producer) for producer in producers]


def get_maintenance_windows(context: Context, parameters: tuple[AccountId]) -> list[dict[str, int]]:
    """``maintenance_windows``: the stretches of the epoch's rest in which the account makes nothing."""
    windows = context.reader.get_maintenance_windows(parameters[0])
    return [{"start": start, "end": end} for start, end in windows]


_read_ordered: Final = structure(
    "RpcValidatorsOrderedRequest", Field("block_id", optional(read_block_id), None)
)
_read_maintenance: Final = structure("RpcMaintenanceWindowsRequest", Field("account_id", read_account_id))
_MAINTENANCE: Final = Method(_read_maintenance, get_maintenance_windows)

METHODS: Final = {
    "validators": Method(single_or(_read_single, _read_reference), get_validators),
    "EXPERIMENTAL_validators_ordered": Method(_read_ordered, get_validators_ordered),
    "maintenance_windows": _MAINTENANCE,
    "EXPERIMENTAL_maintenance_windows": _MAINTENANCE,
}
