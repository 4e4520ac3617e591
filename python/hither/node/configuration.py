"""What of ``config.json`` the JSON-RPC server honours: the part of NEAR's ``rpc`` section that means something here."""

from typing import Any, Final

import msgspec

from hither.node.fork.pin import read_pin
from hither.node.home import CONFIG_FILE, Home, HomeProblem
from hither.rpc.addresses import InvalidAddress, parse_address
from hither.rpc.context import ANNOUNCED_SIZE_MAX, VIEW_STATE_SIZE_MAX, WAIT_TIMEOUT_MS, RpcSettings

DEFAULT_RPC_ADDRESS: Final = "127.0.0.1:3030"


class _Duration(msgspec.Struct, frozen=True):
    secs: int = 0
    nanos: int = 0


class _Polling(msgspec.Struct, frozen=True):
    polling_timeout: _Duration = _Duration(WAIT_TIMEOUT_MS // 1000)


class _Limits(msgspec.Struct, frozen=True):
    json_payload_max_size: int = ANNOUNCED_SIZE_MAX


class _Rpc(msgspec.Struct, frozen=True):
    """NEAR's ``RpcConfig``; what is left out there has the same default here."""

    addr: str = DEFAULT_RPC_ADDRESS
    prometheus_addr: str | None = None
    enable_debug_rpc: bool = False
    cors_allowed_origins: tuple[str, ...] = ("*",)
    polling_config: _Polling = _Polling()
    limits_config: _Limits = _Limits()


class _Config(msgspec.Struct, frozen=True):
    rpc: _Rpc | None = None
    trie_viewer_state_size_limit: int | None = VIEW_STATE_SIZE_MAX
    max_gas_burnt_view: int | None = None


def _read(config: dict[str, Any]) -> _Config:
    try:
        return msgspec.convert(config, _Config)
    except msgspec.ValidationError as error:
        raise HomeProblem(f"{CONFIG_FILE}: {error}") from error


def get_rpc_address(config: dict[str, Any]) -> str:
    """Where JSON-RPC listens, as ``host:port``, unless the command line says otherwise. Raises HomeProblem."""
    address = (_read(config).rpc or _Rpc()).addr
    _must_be_address("rpc.addr", address)
    return address


def _must_be_address(field: str, text: str) -> None:
    try:
        parse_address(text)
    except InvalidAddress as error:
        raise HomeProblem(f"{CONFIG_FILE}: {field}: {error}") from None


def make_rpc_settings(home: Home) -> RpcSettings:
    """How the server of a home behaves. Raises HomeProblem for what cannot be honoured."""
    config = _read(home.config)
    rpc = config.rpc or _Rpc()
    if rpc.enable_debug_rpc:
        raise HomeProblem(
            f"{CONFIG_FILE}: rpc.enable_debug_rpc: this program has no /debug pages; set it to false"
        )
    if rpc.prometheus_addr is not None:
        _must_be_address("rpc.prometheus_addr", rpc.prometheus_addr)
    timeout = rpc.polling_config.polling_timeout
    return RpcSettings(
        metrics_address=rpc.prometheus_addr,
        wait_timeout_ms=timeout.secs * 1000 + timeout.nanos // 1_000_000,
        view_state_size_max=config.trie_viewer_state_size_limit,
        view_gas_max=config.max_gas_burnt_view,
        announced_size_max=rpc.limits_config.json_payload_max_size,
        cors_allowed_origins=rpc.cors_allowed_origins,
        node_public_key=home.node_key,
        is_fork=read_pin(home.path) is not None,
    )
