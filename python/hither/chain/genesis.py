"""Where a chain begins: a genesis in NEAR's format, and the one of a development chain. Its file: ``genesis_file``.

The configuration keeps NEAR's field names, order and JSON forms (amounts are decimal
strings, ratios are pairs), so that it can be shown as it is by ``genesis_config``.
"""

from collections.abc import Iterable, Sequence, Set
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from hither.chain.epochs.types import EpochConfig, RewardConfig
from hither.crypto.hashing import sha256
from hither.crypto.keys import (
    ED25519,
    InvalidKey,
    PublicKey,
    SecretKey,
    public_key_from_str,
    public_key_to_str,
)
from hither.crypto.signing import compute_public_key, secret_key_from_seed
from hither.params import DEFAULT_PROTOCOL_VERSION, NEWEST_PROTOCOL_VERSION, OLDEST_PROTOCOL_VERSION
from hither.primitives.ids import is_valid_account_id
from hither.primitives.sharding import ShardLayout, ValidatorStake
from hither.primitives.types import AccountId, Balance

NEAR: Final = 10**24
DEVELOPMENT_VALIDATOR: Final = AccountId("test.near")
DEVELOPMENT_TREASURY: Final = AccountId("near")
"""Not the validator: NEAR mints a validating treasury's share without paying it out, and the sum would drift."""
DEVELOPMENT_BOUNDARIES: Final = ("h0", "p0")
DEVELOPMENT_ACCOUNTS: Final = (
    "alice.near",
    "bob.near",
    "carol.near",
    "heidi.near",
    "ivan.near",
    "judy.near",
    "mallory.near",
    "peggy.near",
    "sybil.near",
    "trent.near",
)
DEVELOPMENT_BALANCE: Final = 1_000_000 * NEAR
DEVELOPMENT_STAKE: Final = 50_000_000 * NEAR
DEVELOPMENT_VALIDITY_BLOCKS: Final = 86_400
DEVELOPMENT_EPOCH_LENGTH: Final = 43_200
_IMPLICIT_STORAGE_USAGE: Final = 182
_NO_CODE: Final = "1" * 32


class InvalidGenesis(ValueError):
    """The file is not a genesis that this node can start from. The message says what to change."""


class GenesisValidator(msgspec.Struct, frozen=True):
    """A validator of the first epochs; ``amount`` is its stake."""

    account_id: str
    public_key: str
    amount: str


class GenesisConfig(msgspec.Struct, frozen=True, kw_only=True):
    """NEAR's ``GenesisConfig``, in its order, in its JSON forms, with its defaults."""

    protocol_version: int
    genesis_time: str
    chain_id: str
    genesis_height: int = 0
    num_block_producer_seats: int
    num_block_producer_seats_per_shard: list[int]
    avg_hidden_validator_seats_per_shard: list[int]
    dynamic_resharding: bool
    protocol_upgrade_stake_threshold: tuple[int, int] = (4, 5)
    epoch_length: int
    gas_limit: int
    min_gas_price: str
    max_gas_price: str
    block_producer_kickout_threshold: int
    chunk_producer_kickout_threshold: int
    chunk_validator_only_kickout_threshold: int = 80
    target_validator_mandates_per_shard: int = 68
    online_min_threshold: tuple[int, int] = (9, 10)
    online_max_threshold: tuple[int, int] = (99, 100)
    gas_price_adjustment_rate: tuple[int, int]
    validators: list[GenesisValidator]
    transaction_validity_period: int
    protocol_reward_rate: tuple[int, int]
    max_inflation_rate: tuple[int, int]
    total_supply: str
    num_blocks_per_year: int
    protocol_treasury_account: str
    fishermen_threshold: str
    minimum_stake_divisor: int = 10
    shard_layout: dict[str, Any] = msgspec.field(default_factory=lambda: make_layout_json((), 0))
    num_chunk_only_producer_seats: int = 300
    minimum_validators_per_shard: int = 1
    max_kickout_stake_perc: int = 100
    minimum_stake_ratio: tuple[int, int] = (1, 6250)
    shuffle_shard_assignment_for_chunk_producers: bool = False
    use_production_config: bool = False
    num_chunk_producer_seats: int = 100
    num_chunk_validator_seats: int = 300
    chunk_producer_assignment_changes_limit: int = 5


class Genesis(msgspec.Struct, frozen=True):
    """The configuration and the records of state, both in JSON forms."""

    config: GenesisConfig
    records: Iterable[dict[str, Any]]


def make_layout_json(boundaries: Sequence[str], version: int) -> dict[str, Any]:
    """NEAR's JSON of a layout by boundary accounts, shard ids counting from zero."""
    shard_ids = list(range(len(boundaries) + 1))
    numbers = {str(shard_id): shard_id for shard_id in shard_ids}
    return {
        "V2": {
            "boundary_accounts": list(boundaries),
            "shard_ids": shard_ids,
            "id_to_index_map": numbers,
            "index_to_id_map": dict(numbers),
            "shards_split_map": None,
            "shards_parent_map": None,
            "version": version,
        }
    }


def get_shard_layout(config: GenesisConfig) -> ShardLayout:
    """The layout as data. Only layouts by boundary accounts are supported."""
    layout = config.shard_layout.get("V2")
    if not isinstance(layout, dict):
        raise InvalidGenesis("shard_layout: only the form V2 (boundary accounts) is supported")
    boundaries, shard_ids = layout["boundary_accounts"], layout["shard_ids"]
    if len(shard_ids) != len(boundaries) + 1 or sorted(set(boundaries)) != boundaries:
        raise InvalidGenesis("shard_layout: needs sorted boundary_accounts and one shard id more than those")
    return ShardLayout(tuple(boundaries), tuple(shard_ids), layout["version"])


def get_validators(config: GenesisConfig) -> tuple[ValidatorStake, ...]:
    """The validators as data."""
    return tuple(
        ValidatorStake(AccountId(v.account_id), public_key_from_str(v.public_key), int(v.amount))
        for v in config.validators
    )


def get_genesis_time_ns(config: GenesisConfig) -> int:
    """The time of the genesis block in nanoseconds since 1970. Fractions keep nine digits."""
    whole, _, rest = config.genesis_time.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return seconds * 1_000_000_000 + int(rest.ljust(9, "0")[:9] or "0")


def format_genesis_time(timestamp_ns: int) -> str:
    """The same back, as NEAR writes it."""
    seconds, rest = divmod(timestamp_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def get_epoch_config(config: GenesisConfig) -> EpochConfig:
    """The rules of epochs.

    NEAR's node takes them from the genesis only for chains named ``test-chain-…``; every
    other private chain has fixed figures, of which the genesis sets seats and length.
    """
    if not config.chain_id.startswith("test-chain-"):
        return EpochConfig(
            epoch_length=config.epoch_length, num_block_producer_seats=config.num_block_producer_seats
        )
    return EpochConfig(
        epoch_length=config.epoch_length,
        num_block_producer_seats=config.num_block_producer_seats,
        num_chunk_producer_seats=config.num_chunk_producer_seats,
        num_chunk_validator_seats=config.num_chunk_validator_seats,
        block_producer_kickout_threshold=config.block_producer_kickout_threshold,
        chunk_producer_kickout_threshold=config.chunk_producer_kickout_threshold,
        chunk_validator_only_kickout_threshold=config.chunk_validator_only_kickout_threshold,
        target_validator_mandates_per_shard=config.target_validator_mandates_per_shard,
        validator_max_kickout_stake_perc=config.max_kickout_stake_perc,
        online_min_threshold=config.online_min_threshold,
        online_max_threshold=config.online_max_threshold,
        minimum_stake_divisor=config.minimum_stake_divisor,
        minimum_stake_ratio=config.minimum_stake_ratio,
        minimum_validators_per_shard=config.minimum_validators_per_shard,
        chunk_producer_assignment_changes_limit=config.chunk_producer_assignment_changes_limit,
        shuffle_shard_assignment_for_chunk_producers=config.shuffle_shard_assignment_for_chunk_producers,
        protocol_upgrade_stake_threshold=config.protocol_upgrade_stake_threshold,
        max_inflation_rate=config.max_inflation_rate,
    )


def get_reward_config(config: GenesisConfig) -> RewardConfig:
    """What the genesis fixes about rewards."""
    return RewardConfig(config.protocol_reward_rate, AccountId(config.protocol_treasury_account))


def compute_total_supply(records: Iterable[dict[str, Any]]) -> Balance:
    """All balances and stakes of the accounts in the records, gas keys included. Raises InvalidGenesis."""
    total = 0
    for record in records:
        try:
            total += _compute_supply_of(record)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise InvalidGenesis(f"records: {record!r:.200}: {error!r}") from error
    return Balance(total)


def _compute_supply_of(record: dict[str, Any]) -> int:
    if "Account" in record:
        account = record["Account"]["account"]
        return int(account["amount"]) + int(account.get("locked", 0))
    if "AccessKey" not in record:
        return 0
    permission = record["AccessKey"]["access_key"]["permission"]
    if not isinstance(permission, dict):
        return 0
    # Serde writes a variant of one value as that value, of two as a list.
    gas_keys = [permission.get("GasKeyFullAccess"), *permission.get("GasKeyFunctionCall", ())[:1]]
    return sum(int(gas_key["balance"]) for gas_key in gas_keys if gas_key is not None)


def parse_genesis(data: dict[str, Any]) -> Genesis:
    """A genesis from its JSON. Raises InvalidGenesis."""
    try:
        config = msgspec.convert(data, GenesisConfig)
        records = msgspec.convert(data.get("records", []), list[dict[str, Any]])
    except msgspec.ValidationError as error:
        raise InvalidGenesis(f"genesis.json: {error}") from error
    genesis = Genesis(config, records)
    validate_genesis(genesis)
    return genesis


def validate_genesis(genesis: Genesis) -> None:
    """Raise InvalidGenesis unless a chain can start from it."""
    config = genesis.config
    if not OLDEST_PROTOCOL_VERSION <= config.protocol_version <= NEWEST_PROTOCOL_VERSION:
        raise InvalidGenesis(
            f"protocol_version {config.protocol_version}: supported are "
            f"{OLDEST_PROTOCOL_VERSION} to {NEWEST_PROTOCOL_VERSION}"
        )
    if not config.validators:
        raise InvalidGenesis("validators: at least one is needed")
    get_shard_layout(config)
    accounts = _find_accounts(genesis.records, {validator.account_id for validator in config.validators})
    for validator in config.validators:
        if not is_valid_account_id(validator.account_id):
            raise InvalidGenesis(f"validators: {validator.account_id!r} is not an account id")
        try:
            public_key_from_str(validator.public_key)
        except InvalidKey as error:
            raise InvalidGenesis(f"validators: {error}") from error
        account = accounts.get(validator.account_id)
        if account is None or int(account["locked"]) != int(validator.amount):
            raise InvalidGenesis(
                f"records: the account {validator.account_id} must have locked "
                f"its stake of {validator.amount}"
            )


def _find_accounts(records: Iterable[dict[str, Any]], ids: Set[str]) -> dict[str, dict[str, Any]]:
    """What the records say of these accounts."""
    found = {}
    for record in records:
        account = record.get("Account")
        if isinstance(account, dict) and account.get("account_id") in ids:
            found[account["account_id"]] = account["account"]
    return found


def with_supply_of_records(genesis: Genesis) -> Genesis:
    """The same genesis with the supply that its records add up to. Raises InvalidGenesis."""
    supply = str(compute_total_supply(genesis.records))
    return Genesis(msgspec.structs.replace(genesis.config, total_supply=supply), genesis.records)


def derive_development_key(account_id: str) -> SecretKey:
    """The well-known key of an account of a development chain. Never use one elsewhere."""
    return secret_key_from_seed(ED25519, sha256(f"hither development {account_id}".encode()))


def make_account_records(
    account_id: str, public_key: PublicKey, amount: int, locked: int = 0
) -> list[dict[str, Any]]:
    """An account with one full-access key."""
    account = {
        "amount": str(amount),
        "locked": str(locked),
        "code_hash": _NO_CODE,
        "storage_usage": _IMPLICIT_STORAGE_USAGE,
        "version": "V1",
    }
    access_key = {"nonce": 0, "permission": "FullAccess"}
    return [
        {"Account": {"account_id": account_id, "account": account}},
        {
            "AccessKey": {
                "account_id": account_id,
                "public_key": public_key_to_str(public_key),
                "access_key": access_key,
            }
        },
    ]


class DevelopmentOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What may differ between development chains.

    ``accounts`` are funded beside the validator and ``near``; their keys come from
    ``derive_development_key``.
    """

    chain_id: str = "localnet"
    protocol_version: int = DEFAULT_PROTOCOL_VERSION
    boundary_accounts: tuple[str, ...] = ()
    accounts: tuple[str, ...] = DEVELOPMENT_ACCOUNTS
    epoch_length: int = DEVELOPMENT_EPOCH_LENGTH
    transaction_validity_period: int = DEVELOPMENT_VALIDITY_BLOCKS
    validator_public_key: PublicKey | None = None
    genesis_height: int = 0


def make_development_genesis(time_ns: int, options: DevelopmentOptions | None = None) -> Genesis:
    """The genesis of ``hither up``: one validator, ``near``, and funded accounts with known keys."""
    options = options or DevelopmentOptions()
    validator_key = options.validator_public_key
    if validator_key is None:
        validator_key = compute_public_key(derive_development_key(DEVELOPMENT_VALIDATOR))
    records = make_account_records(
        DEVELOPMENT_VALIDATOR, validator_key, 1000 * DEVELOPMENT_BALANCE, DEVELOPMENT_STAKE
    )
    for account_id in ("near", *options.accounts):
        key = compute_public_key(derive_development_key(account_id))
        amount = 1000 * DEVELOPMENT_BALANCE if account_id == "near" else DEVELOPMENT_BALANCE
        records += make_account_records(account_id, key, amount)
    num_shards = len(options.boundary_accounts) + 1
    config = GenesisConfig(
        protocol_version=options.protocol_version,
        genesis_time=format_genesis_time(time_ns),
        chain_id=options.chain_id,
        genesis_height=options.genesis_height,
        num_block_producer_seats=1,
        num_block_producer_seats_per_shard=[1] * num_shards,
        avg_hidden_validator_seats_per_shard=[0] * num_shards,
        dynamic_resharding=False,
        epoch_length=options.epoch_length,
        gas_limit=1_000_000_000_000_000,
        min_gas_price="100000000",
        max_gas_price="10000000000000000000000",
        block_producer_kickout_threshold=90,
        chunk_producer_kickout_threshold=90,
        gas_price_adjustment_rate=(1, 100),
        validators=[
            GenesisValidator(DEVELOPMENT_VALIDATOR, public_key_to_str(validator_key), str(DEVELOPMENT_STAKE))
        ],
        transaction_validity_period=min(options.transaction_validity_period, 2 * options.epoch_length),
        protocol_reward_rate=(1, 10),
        max_inflation_rate=(1, 20),
        total_supply=str(compute_total_supply(records)),
        num_blocks_per_year=31_536_000,
        protocol_treasury_account=DEVELOPMENT_TREASURY,
        fishermen_threshold=str(10 * NEAR),
        shard_layout=make_layout_json(options.boundary_accounts, 1 if options.boundary_accounts else 0),
        num_chunk_producer_seats=1,
        num_chunk_validator_seats=1,
    )
    return Genesis(config, records)
