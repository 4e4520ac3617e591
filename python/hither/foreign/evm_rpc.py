"""What EVM endpoints say, read with care: numbers, results of calls, reasons of refusal."""

from collections.abc import Sequence
from typing import Any, Final

from hither.foreign import evm_abi as abi
from hither.foreign.errors import CallReverted, EndpointError, InvalidArguments, LyingEndpoint
from hither.foreign.transport import Rpc

_REVERTED: Final = 3
"""The code of an execution that reverted, with what it returned as data (as geth gives it)."""


def read_quantity(text: Any) -> int:
    """A number as EVM endpoints write it."""
    if not isinstance(text, str) or not text.startswith("0x"):
        raise LyingEndpoint(f"not a number: {text!r}")
    try:
        return int(text, 16)
    except ValueError:
        raise LyingEndpoint(f"not a number: {text!r}") from None


def read_bytes(text: Any) -> bytes:
    """Bytes as EVM endpoints write them."""
    if not isinstance(text, str) or not text.startswith("0x"):
        raise LyingEndpoint(f"not bytes: {text!r}")
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise LyingEndpoint(f"not bytes: {text!r}") from None


def read_object(value: Any) -> dict[str, Any]:
    """A block, a receipt, a transaction."""
    if not isinstance(value, dict):
        raise LyingEndpoint(f"not an object: {value!r}")
    return value


def read_list(value: Any) -> list[Any]:
    """Several of them."""
    if not isinstance(value, list):
        raise LyingEndpoint(f"not a list: {value!r}")
    return value


async def try_call(rpc: Rpc, call: dict[str, Any], block: str = "latest") -> bytes:
    """What a call would return. Raises ``CallReverted``."""
    try:
        return read_bytes(await rpc.call("eth_call", [call, block]))
    except EndpointError as error:
        raise explain(error) from error


async def read_contract(
    rpc: Rpc, contract: str, function: str, arguments: Sequence[Any] = (), sender: str | None = None
) -> Any:
    """What a function of a contract returns, as ``evm_abi.decode_result`` gives it. Raises ``CallReverted``."""
    call = {"to": contract, "data": "0x" + abi.encode_call(function, arguments).hex()}
    if sender is not None:
        call["from"] = sender
    data = await try_call(rpc, call)
    try:
        return abi.decode_result(function, data)
    except InvalidArguments as error:
        what = "no contract is there" if not data else str(error)
        raise CallReverted(f"{contract} does not answer {function}: {what}") from error


def explain(error: EndpointError) -> EndpointError:
    """The contract's own reason, when the error is a contract's refusal."""
    data = error.data.get("data") if isinstance(error.data, dict) else error.data
    has_data = isinstance(data, str) and data.startswith("0x")
    if error.rpc_code != _REVERTED and not (has_data and "revert" in str(error)):
        return error
    returned = read_bytes(data) if has_data else b""
    reason = abi.describe_revert(returned)
    return CallReverted(f"the contract refuses: {reason}", rpc_code=error.rpc_code, data=returned)
