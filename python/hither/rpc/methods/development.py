"""The controls of a development chain: NEAR's sandbox methods, and those that NEAR lacks.

On any other chain they do not exist: a call is answered as one to an unknown method.
"""

from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from hither.chain.reader import BlockMode, ControlRefused, Tip
from hither.codec import base58
from hither.rpc.context import Context, Method, read_nothing
from hither.rpc.errors import RpcError, handler_error
from hither.rpc.parameters import (
    Field,
    InvalidParameters,
    enumeration,
    list_of,
    optional,
    read_any,
    read_nonzero_u32,
    read_string,
    read_u64,
    structure,
)

T = TypeVar("T")


def _refuse(family: str, message: str) -> RpcError:
    cause = "INTERNAL_ERROR" if family == "sandbox" else "CONTROL_REFUSED"
    return handler_error(family, cause, error_message=message)


async def _control(family: str, change: Awaitable[T]) -> T:
    try:
        return await change
    except ControlRefused as error:
        raise _refuse(family, str(error)) from None


def _view_tip(tip: Tip) -> dict[str, Any]:
    return {
        "height": tip.height,
        "hash": base58.encode(tip.last_block_hash),
        "timestamp_nanosec": str(tip.timestamp_ns),
    }


async def patch_state(context: Context, parameters: tuple[list[Any]]) -> dict[str, Any]:
    """``sandbox_patch_state``: write records; visible when this returns."""
    await _control("sandbox", context.control.patch_state(parameters[0]))
    return {}


async def fast_forward(context: Context, parameters: tuple[int]) -> dict[str, Any]:
    """``sandbox_fast_forward``: skip heights; there when this returns."""
    await _control("sandbox", context.control.fast_forward(parameters[0]))
    return {}


async def snapshot(context: Context, parameters: None) -> dict[str, Any]:
    """``hither_snapshot``: remember the present, under an id that ``hither_revert`` takes."""
    del parameters
    return {"snapshot_id": await _control("development", context.control.snapshot())}


async def revert(context: Context, parameters: tuple[str]) -> dict[str, Any]:
    """``hither_revert``: back to a snapshot, which it uses up, as all that were taken after it."""
    return _view_tip(await _control("development", context.control.revert(parameters[0])))


async def set_time(context: Context, parameters: tuple[int]) -> dict[str, Any]:
    """``hither_set_time``: the next block is at this time or later."""
    return _view_tip(await _control("development", context.control.set_time(parameters[0])))


async def mine(context: Context, parameters: tuple[int]) -> dict[str, Any]:
    """``hither_mine``: make blocks now."""
    return _view_tip(await _control("development", context.control.mine(parameters[0])))


async def set_block_mode(context: Context, parameters: tuple[BlockMode, int | None]) -> dict[str, Any]:
    """``hither_set_block_mode``: when blocks are made from now on."""
    mode, interval_ms = parameters
    await _control("development", context.control.set_block_mode(mode, interval_ms))
    return {}


def _read_time(value: Any) -> int:
    """Nanoseconds since 1970, as a number or in decimal digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return read_u64(int(value))
    if isinstance(value, str):
        raise InvalidParameters("invalid digit found in string")
    return read_u64(value)


_read_mode_word = enumeration(dict.fromkeys(mode.value for mode in BlockMode))


def _read_mode(value: Any) -> BlockMode:
    return BlockMode(_read_mode_word(value)[0])


def _method(read: Any, answer: Any) -> Method:
    return Method(read, answer, "waits", is_development=True)


METHODS: Final = {
    "sandbox_patch_state": _method(
        structure("RpcSandboxPatchStateRequest", Field("records", list_of(read_any))), patch_state
    ),
    "sandbox_fast_forward": _method(
        structure("RpcSandboxFastForwardRequest", Field("delta_height", read_u64)), fast_forward
    ),
    "hither_snapshot": _method(read_nothing, snapshot),
    "hither_revert": _method(structure("RevertRequest", Field("snapshot_id", read_string)), revert),
    "hither_set_time": _method(structure("SetTimeRequest", Field("timestamp_nanosec", _read_time)), set_time),
    "hither_mine": _method(structure("MineRequest", Field("count", read_nonzero_u32, 1)), mine),
    "hither_set_block_mode": _method(
        structure(
            "SetBlockModeRequest",
            Field("mode", _read_mode),
            Field("interval_ms", optional(read_nonzero_u32), None),
        ),
        set_block_mode,
    ),
}
