"""What of config.json counts."""

import json
from pathlib import Path
from typing import Any

import pytest

from hither.chain.genesis import DevelopmentOptions
from hither.crypto.keys import public_key_to_str
from hither.node.configuration import DEFAULT_RPC_ADDRESS, get_rpc_address, make_rpc_settings
from hither.node.home import CONFIG_FILE, NODE_KEY_FILE, HomeProblem, init_home, read_home
from hither.rpc.addresses import parse_address
from hither.rpc.context import RpcSettings


def make(folder: Path, change: dict[str, Any]) -> RpcSettings:
    """The settings of a home whose configuration somebody has edited."""
    init_home(folder, DevelopmentOptions(accounts=()), 1)
    config = json.loads((folder / CONFIG_FILE).read_text())
    for name, value in change.items():
        config[name] = config[name] | value if isinstance(value, dict) else value
    (folder / CONFIG_FILE).write_text(json.dumps(config))
    return make_rpc_settings(read_home(folder))


def test_the_file_that_is_written_says_the_defaults(tmp_path: Path) -> None:
    """But for the node's own key."""
    settings = make(tmp_path, {})
    home = read_home(tmp_path)
    assert settings == RpcSettings(node_public_key=home.node_key)
    assert get_rpc_address(home.config) == DEFAULT_RPC_ADDRESS
    key = json.loads((tmp_path / NODE_KEY_FILE).read_text())
    assert public_key_to_str(home.node_key) == key["public_key"]


def test_every_node_has_a_key_of_its_own(tmp_path: Path) -> None:
    first = make(tmp_path / "first", {}).node_public_key
    assert first != make(tmp_path / "second", {}).node_public_key
    assert first == make_rpc_settings(read_home(tmp_path / "first")).node_public_key


def test_edits_count(tmp_path: Path) -> None:
    """In NEAR's form, what is left out there has NEAR's default."""
    rpc = {
        "addr": "0.0.0.0:4040",
        "prometheus_addr": "127.0.0.1:4041",
        "cors_allowed_origins": ["http://a.example"],
        "polling_config": {"polling_timeout": {"secs": 2, "nanos": 500_000_000}},
        "limits_config": {"json_payload_max_size": 1000},
    }
    settings = make(
        tmp_path, {"rpc": rpc, "trie_viewer_state_size_limit": None, "max_gas_burnt_view": 10**12}
    )
    assert settings.metrics_address == "127.0.0.1:4041"
    assert settings.wait_timeout_ms == 2500
    assert settings.cors_allowed_origins == ("http://a.example",)
    assert settings.announced_size_max == 1000
    assert settings.view_state_size_max is None
    assert settings.view_gas_max == 10**12
    assert get_rpc_address(read_home(tmp_path).config) == "0.0.0.0:4040"
    assert get_rpc_address({}) == DEFAULT_RPC_ADDRESS


@pytest.mark.parametrize(
    "change", [{"rpc": {"addr": 3030}}, {"rpc": {"limits_config": {"json_payload_max_size": "10 MB"}}}]
)
def test_values_of_another_type_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(HomeProblem, match=r"config\.json: Expected"):
        make(tmp_path, change)


def test_pages_that_are_not_here_are_refused(tmp_path: Path) -> None:
    """Rather than to start a node that somebody takes for one with NEAR's /debug."""
    with pytest.raises(HomeProblem, match="no /debug pages; set it to false"):
        make(tmp_path, {"rpc": {"enable_debug_rpc": True}})


@pytest.mark.parametrize("field", ["addr", "prometheus_addr"])
@pytest.mark.parametrize("address", ["4040", "localhost", "127.0.0.1:65536", "127.0.0.1:²"])
def test_addresses_are_read_before_anything_starts(tmp_path: Path, field: str, address: str) -> None:
    settings = make(tmp_path, {})
    assert settings.metrics_address is None
    config = {"rpc": {field: address}}
    (tmp_path / CONFIG_FILE).write_text(json.dumps(config))
    home = read_home(tmp_path)
    with pytest.raises(HomeProblem, match=rf"config\.json: rpc\.{field}: .* expected HOST:PORT"):
        (get_rpc_address(home.config), make_rpc_settings(home))


def test_an_address_without_a_host_is_this_machine() -> None:
    """Not every one of its interfaces."""
    assert parse_address(":4040") == ("127.0.0.1", 4040)
    assert parse_address("[::1]:4040") == ("::1", 4040)
    assert parse_address("0.0.0.0:4040") == ("0.0.0.0", 4040)
