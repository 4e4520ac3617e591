"""NEAR's fees, limits and switches by protocol version.

Entry points: ``get_runtime_config(version)`` and ``ProtocolFeature``. No figure
is typed here: all come from NEAR's own parameter tables in the native module.
"""

import functools
from typing import Any

import hither_native

from hither.params.config import (
    AccountCreation,
    ActionFees,
    BandwidthScheduler,
    CongestionControl,
    Cost,
    Fee,
    Limits,
    RuntimeConfig,
    RuntimeFees,
    StorageFees,
    WasmConfig,
    WitnessLimits,
    decode_protocol_config_view,
    decode_runtime_config,
)
from hither.params.protocol_versions import (
    DEFAULT_PROTOCOL_VERSION,
    NEWEST_PROTOCOL_VERSION,
    OLDEST_PROTOCOL_VERSION,
    SANDBOX_PROTOCOL_VERSION,
    ProtocolFeature,
)

__all__ = [
    "DEFAULT_PROTOCOL_VERSION",
    "NEWEST_PROTOCOL_VERSION",
    "OLDEST_PROTOCOL_VERSION",
    "SANDBOX_PROTOCOL_VERSION",
    "AccountCreation",
    "ActionFees",
    "BandwidthScheduler",
    "CongestionControl",
    "Cost",
    "Fee",
    "Limits",
    "ProtocolFeature",
    "RuntimeConfig",
    "RuntimeFees",
    "StorageFees",
    "WasmConfig",
    "WitnessLimits",
    "get_protocol_config_view",
    "get_runtime_config",
]


@functools.cache
def get_runtime_config(protocol_version: int) -> RuntimeConfig:
    """All figures of a version, read once. An unsupported version raises ``InvalidInput``."""
    return decode_runtime_config(hither_native.runtime_config_json(protocol_version))


def get_protocol_config_view(protocol_version: int) -> dict[str, Any]:
    """The part of the answer to EXPERIMENTAL_protocol_config that these figures make."""
    return decode_protocol_config_view(hither_native.protocol_config_view_json(protocol_version))
