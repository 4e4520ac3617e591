"""What the chain and the node were configured with."""

from math import gcd
from typing import Any, Final

import msgspec

from hither.chain.genesis import GenesisConfig, get_epoch_config
from hither.chain.reader import BlockReference
from hither.params import get_protocol_config_view
from hither.rpc.context import Context, Method, read_nothing
from hither.rpc.methods.blocks import ask_about_block, name_header
from hither.rpc.methods.node_settings import SETTINGS
from hither.rpc.values import read_block_reference

FIRST_VERSION_WITHOUT_UNUSED_SEATS: Final = 87
"""The release of protocol 87 no longer tells figures that nothing uses."""

_UNUSED_SEATS: Final = (
    "num_block_producer_seats_per_shard",
    "avg_hidden_validator_seats_per_shard",
    "num_chunk_only_producer_seats",
)

LAST_VERSION_OF_OLD_FIGURES: Final = 84
"""The release of this version tells fewer figures, and two more switches."""

# Where in the answer -> the figures that are not there yet.
_NOT_IN_OLD: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    (): ("account_creation_charge", "min_gas_purchase_price"),
    ("transaction_costs",): ("ml_dsa_65_verification_cost",),
    ("wasm_config",): (
        "bls12381_not_in_group_fix",
        "chain_id_host_fn",
        "ml_dsa_verify_host_fn",
        "one_yocto_on_promise",
        "p256_verify_host_fn",
        "sha3_host_fns",
        "universal_accounts",
        "yield_with_id_host_fns",
    ),
    ("wasm_config", "ext_costs"): (
        "ml_dsa_verify_base",
        "ml_dsa_verify_byte",
        "p256_verify_base",
        "p256_verify_byte",
        "sha3_256_base",
        "sha3_256_byte",
        "sha3_384_base",
        "sha3_384_byte",
        "sha3_512_base",
        "sha3_512_byte",
        "universal_state_init_to_account_id_base",
        "universal_state_init_to_account_id_byte",
        "yield_create_with_id_base",
    ),
    ("wasm_config", "limit_config"): (
        "max_blocks_per_contract",
        "max_blocks_per_function",
        "max_deploy_actions_per_receipt",
        "max_function_body_size",
        "max_instrumented_code_size",
        "max_operand_stack_bytes_per_function",
        "max_params_per_contract",
        "max_params_per_function",
        "max_receipt_total_input_size",
        "max_state_init_entries",
        "max_types_per_contract",
        "max_universal_state_init_keys",
    ),
}
_ONLY_IN_OLD: Final = {"deterministic_account_ids": True, "eth_implicit_global_contract": True}

_FROM_GENESIS: Final = (
    "genesis_time",
    "chain_id",
    "genesis_height",
    "dynamic_resharding",
    "gas_limit",
    "min_gas_price",
    "max_gas_price",
    "gas_price_adjustment_rate",
    "transaction_validity_period",
    "protocol_reward_rate",
    "num_blocks_per_year",
    "protocol_treasury_account",
    "fishermen_threshold",
    "shard_layout",
)
_FROM_EPOCH: Final = {
    "num_block_producer_seats": "num_block_producer_seats",
    "protocol_upgrade_stake_threshold": "protocol_upgrade_stake_threshold",
    "epoch_length": "epoch_length",
    "block_producer_kickout_threshold": "block_producer_kickout_threshold",
    "chunk_producer_kickout_threshold": "chunk_producer_kickout_threshold",
    "chunk_validator_only_kickout_threshold": "chunk_validator_only_kickout_threshold",
    "target_validator_mandates_per_shard": "target_validator_mandates_per_shard",
    "online_min_threshold": "online_min_threshold",
    "online_max_threshold": "online_max_threshold",
    "max_inflation_rate": "max_inflation_rate",
    "minimum_stake_divisor": "minimum_stake_divisor",
    "max_kickout_stake_perc": "validator_max_kickout_stake_perc",
    "minimum_stake_ratio": "minimum_stake_ratio",
    "minimum_validators_per_shard": "minimum_validators_per_shard",
    "shuffle_shard_assignment_for_chunk_producers": "shuffle_shard_assignment_for_chunk_producers",
}


def _reduce(value: Any) -> Any:
    """A ratio in lowest terms, other values as they are."""
    if not isinstance(value, tuple):
        return value
    numerator, denominator = value
    divisor = gcd(numerator, denominator)
    return (numerator // divisor, denominator // divisor)


def shorten_time(time: str) -> str:
    """The fraction of a second in 0, 3, 6 or 9 digits, as few as hold it."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    while fraction.endswith("000"):
        fraction = fraction[:-3]
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


def view_genesis_config(config: GenesisConfig) -> dict[str, Any]:
    """The genesis without its records, its time as short as it can be."""
    view: dict[str, Any] = msgspec.to_builtins(config)
    view["genesis_time"] = shorten_time(config.genesis_time)
    return view


def view_runtime_config(protocol_version: int) -> dict[str, Any]:
    """The figures of a version, as far as the release that began with it tells them."""
    view = get_protocol_config_view(protocol_version)
    if protocol_version > LAST_VERSION_OF_OLD_FIGURES:
        return view
    for path, names in _NOT_IN_OLD.items():
        part = view
        for name in path:
            part = part[name]
        for name in names:
            del part[name]
    view["wasm_config"].update(_ONLY_IN_OLD)
    return view


def view_protocol_config(genesis: GenesisConfig, protocol_version: int) -> dict[str, Any]:
    """The rules in force: those of the genesis, of its epochs, and the figures of the version."""
    plain = view_genesis_config(genesis)
    epoch = get_epoch_config(genesis)
    config: dict[str, Any] = {"protocol_version": protocol_version}
    config.update((name, plain[name]) for name in _FROM_GENESIS)
    config.update((name, _reduce(getattr(epoch, source))) for name, source in _FROM_EPOCH.items())
    if protocol_version < FIRST_VERSION_WITHOUT_UNUSED_SEATS:
        config["num_block_producer_seats_per_shard"] = plain["num_block_producer_seats_per_shard"]
        config["avg_hidden_validator_seats_per_shard"] = []
    config["runtime_config"] = view_runtime_config(protocol_version)
    return config


def get_genesis_config(context: Context, parameters: None) -> dict[str, Any]:
    """``genesis_config``: how the chain began, without its accounts."""
    del parameters
    view = view_genesis_config(context.reader.genesis.config)
    if context.protocol_version >= FIRST_VERSION_WITHOUT_UNUSED_SEATS:
        for name in _UNUSED_SEATS:
            del view[name]
    return view


def get_protocol_config(context: Context, reference: BlockReference) -> dict[str, Any]:
    """``EXPERIMENTAL_protocol_config``: the rules of that block's epoch."""
    reader = context.reader
    header = ask_about_block("protocol_config", lambda: reader.get_header(reference), name_header)
    protocol_version = reader.get_epoch(header.epoch_id).protocol_version
    return view_protocol_config(reader.genesis.config, protocol_version)


def get_client_config(context: Context, parameters: None) -> dict[str, Any]:
    """``client_config``: the settings of this node, by NEAR's names where there is such a setting."""
    del parameters
    settings, genesis = context.settings, context.reader.genesis.config
    version = settings.node_version
    return SETTINGS | {
        "version": msgspec.to_builtins(version),
        "chain_id": context.reader.chain_id,
        "rpc_addr": settings.rpc_address,
        "epoch_length": genesis.epoch_length,
        "num_block_producer_seats": genesis.num_block_producer_seats,
        "trie_viewer_state_size_limit": settings.view_state_size_max,
        "max_gas_burnt_view": settings.view_gas_max,
    }


_GENESIS_CONFIG: Final = Method(read_nothing, get_genesis_config)

METHODS: Final = {
    "genesis_config": _GENESIS_CONFIG,
    "EXPERIMENTAL_genesis_config": _GENESIS_CONFIG,
    "EXPERIMENTAL_protocol_config": Method(read_block_reference, get_protocol_config),
    "client_config": Method(read_nothing, get_client_config),
}
