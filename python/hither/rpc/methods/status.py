"""About the node: status, health, network, storage."""

import datetime
from typing import Any, Final

from hither.chain.reader import Finality
from hither.codec import base58
from hither.crypto.keys import public_key_to_str
from hither.rpc.context import Context, Method, read_nothing
from hither.rpc.parameters import structure

PEER_COUNT_MAX: Final = 40


def format_time(timestamp_ns: int) -> str:
    """Nanoseconds since 1970 as ``2026-01-01T00:00:00.000000000Z``."""
    seconds, fraction = divmod(timestamp_ns, 1_000_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09}Z"


def get_status(context: Context, parameters: None) -> dict[str, Any]:
    """``status``: program, chain, validators, and how far the chain is."""
    del parameters
    reader, settings = context.reader, context.settings
    head = reader.get_header(reader.get_head().last_block_hash)
    epoch = reader.get_epoch(head.epoch_id)
    genesis = reader.get_header("genesis")
    earliest = reader.get_header("earliest_available")
    version = settings.node_version
    key = reader.validator_public_key
    key_text = None if key is None else public_key_to_str(key)
    address = {} if settings.rpc_address is None else {"rpc_addr": settings.rpc_address}
    return {
        "version": {
            "version": version.version,
            "build": version.build,
            "commit": version.commit,
            "rustc_version": version.rustc_version,
        },
        "chain_id": reader.chain_id,
        "protocol_version": epoch.protocol_version,
        "latest_protocol_version": head.latest_protocol_version,
        **address,
        "validators": [{"account_id": validator.account_id} for validator in epoch.validators],
        "sync_info": {
            "latest_block_hash": base58.encode(head.hash),
            "latest_block_height": head.height,
            "latest_state_root": base58.encode(head.prev_state_root),
            "latest_block_time": format_time(head.timestamp_ns),
            "syncing": False,
            "earliest_block_hash": base58.encode(earliest.hash),
            "earliest_block_height": earliest.height,
            "earliest_block_time": format_time(earliest.timestamp_ns),
            "epoch_id": base58.encode(head.epoch_id),
            "epoch_start_height": epoch.start_height,
        },
        "validator_account_id": reader.validator_id,
        "validator_public_key": key_text,
        "node_public_key": public_key_to_str(settings.node_public_key),
        "node_key": key_text,
        "uptime_sec": context.uptime_seconds,
        "genesis_hash": base58.encode(genesis.hash),
    }


def get_health(context: Context, parameters: None) -> None:
    """``health``: that there is an answer is the answer."""
    del parameters
    context.reader.get_head()


def get_network_info(context: Context, parameters: None) -> dict[str, Any]:
    """``network_info``: an embedded sequencer has no peers."""
    del context, parameters
    return {
        "active_peers": [],
        "num_active_peers": 0,
        "peer_max_count": PEER_COUNT_MAX,
        "sent_bytes_per_sec": 0,
        "received_bytes_per_sec": 0,
        "known_producers": [],
    }


def get_split_storage_info(context: Context, parameters: tuple[()]) -> dict[str, Any]:
    """``EXPERIMENTAL_split_storage_info``: nothing is split."""
    del parameters
    return {
        "head_height": context.reader.get_head().height,
        "final_head_height": context.reader.get_head(Finality.FINAL).height,
        "cold_head_height": None,
        "hot_db_kind": "RPC",
    }


METHODS: Final = {
    "status": Method(read_nothing, get_status),
    "health": Method(read_nothing, get_health),
    "network_info": Method(read_nothing, get_network_info),
    "EXPERIMENTAL_split_storage_info": Method(
        structure("RpcSplitStorageInfoRequest"), get_split_storage_info
    ),
}
