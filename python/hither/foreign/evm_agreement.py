"""How answers of several endpoints of one EVM chain are compared (``quorum``).

Requests about the newest block are asked about one block that enough endpoints have, so that honest nodes agree. Fields
that only some implementations give are left out of the comparison; the agreed answer is one endpoint's, whole.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hither.foreign.evm_rpc import read_quantity
from hither.foreign.quorum import Quorum, Reading, Rule

_RULES: Final = {
    "eth_blockNumber": Rule.REACHED,
    "eth_getTransactionCount": Rule.REACHED,
    "eth_gasPrice": Rule.MEDIAN,
    "eth_maxPriorityFeePerGas": Rule.MEDIAN,
    "eth_estimateGas": Rule.MEDIAN,
    "eth_sendRawTransaction": Rule.FIRST,
}

# Methods whose last but this parameter names a block.
_BLOCK_AT: Final = {
    "eth_getBalance": 1,
    "eth_getTransactionCount": 1,
    "eth_getCode": 1,
    "eth_call": 1,
    "eth_getStorageAt": 2,
    "eth_getBlockByNumber": 0,
    "eth_feeHistory": 1,
}

# What every implementation gives, under these names.
_FIELDS: Final = {
    "eth_getTransactionReceipt": [
        "transactionHash",
        "blockHash",
        "blockNumber",
        "status",
        "gasUsed",
        "effectiveGasPrice",
        "from",
        "to",
        "contractAddress",
    ],
    "eth_getTransactionByHash": ["hash", "from", "to", "nonce", "value", "input"],
    "eth_getBlockByNumber": ["hash", "number", "parentHash", "timestamp", "baseFeePerGas", "stateRoot"],
}
_LOG_FIELDS: Final = ["address", "topics", "data", "logIndex"]


def _read_number(_method: str, result: Any) -> int:
    return read_quantity(result)


def _project(method: str, result: Any) -> Any:
    fields = _FIELDS.get(method)
    if fields is None or not isinstance(result, Mapping):
        return result.lower() if isinstance(result, str) else result
    projected: dict[str, Any] = {field: _lower(result.get(field)) for field in fields}
    if method == "eth_getTransactionReceipt":
        logs = result.get("logs") or ()
        projected["logs"] = [
            [_lower(log.get(field)) for field in _LOG_FIELDS] for log in logs if isinstance(log, Mapping)
        ]
    return projected


def _lower(value: Any) -> Any:
    """Some write addresses with checksums."""
    if isinstance(value, list):
        return [_lower(item) for item in value]
    return value.lower() if isinstance(value, str) else value


async def _pin(quorum: Quorum, method: str, params: Sequence[Any]) -> Sequence[Any]:
    """Name the newest block that enough endpoints have, where the request says "latest"."""
    at = _BLOCK_AT.get(method)
    if at is None or len(params) <= at or params[at] != "latest":
        return params
    height = await quorum.call("eth_blockNumber")
    return [*params[:at], height, *params[at + 1 :]]


EVM_READING: Final = Reading(_RULES, _read_number, _project, _pin)
