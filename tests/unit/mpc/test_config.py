"""A node's configuration and commands: what is written reads back, what cannot be used is told in a sentence."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hither.cli.main import group
from hither.mpc.config import (
    CONFIG_FILE,
    InvalidConfig,
    NodeConfig,
    NodeHome,
    format_config,
    parse_address,
    read_config,
    write_config,
)
from hither.mpc.observe import Metric, format_metrics
from hither.mpc.protocols import Secret
from hither.mpc.store import StoreDamaged

CONFIG = NodeConfig(
    contract_id="signer.test.near",
    rpc_urls=("http://127.0.0.1:3030", "https://other.example"),
    account_id="node.test.near",
    listen="127.0.0.1:8443",
    addresses={'an "odd" name': "10.0.0.7:8443"},
    stock={"CaitSith": 3},
)


def must_hither(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(group, ["mpc", *arguments])
    assert result.exit_code == code, result.output
    return result


def init(folder: Path, *more: str) -> Result:
    return must_hither(
        "init",
        f"--home={folder}",
        "--contract=signer.test.near",
        "--rpc-url=http://127.0.0.1:1",
        "--account=node.test.near",
        "--listen=127.0.0.1:8443",
        *more,
    )


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    """Every field, with quotes in it; its owner alone reads the file, and it is not written over."""
    path = tmp_path / "node" / CONFIG_FILE
    write_config(path, CONFIG)
    assert read_config(path).config == CONFIG
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_config(path, CONFIG)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("", "missing required field `contract_id`"),
        (format_config(CONFIG).replace("listen", "lissen"), "unknown field `lissen`"),
        (format_config(CONFIG).replace(':8443"', '"', 1), "expected HOST:PORT"),
        (format_config(CONFIG).replace("127.0.0.1:0", "0.0.0.0:9600"), "an address of this machine alone"),
        (
            format_config(CONFIG).replace('"http://127.0.0.1:3030","https://other.example"', ""),
            "at least one node",
        ),
        (format_config(CONFIG).replace('store_key_file = "store.key"\n', ""), None),
        ("no toml", "node.toml"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(
    tmp_path: Path, change: str, reason: str | None
) -> None:
    """With the file's name and what is wrong; what has a default may be left out."""
    (tmp_path / CONFIG_FILE).write_text(change)
    if reason is None:
        assert read_config(tmp_path / CONFIG_FILE).config.store_key_file == "store.key"
        return
    with pytest.raises(InvalidConfig, match=reason):
        read_config(tmp_path / CONFIG_FILE)


def test_a_configuration_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    """By the command's name."""
    with pytest.raises(InvalidConfig, match="hither mpc init"):
        read_config(tmp_path / CONFIG_FILE)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("https://node.example:8443/", ("node.example", 8443)),
        ("[::1]:5", ("::1", 5)),
        ("host", None),
        (":5", None),
        ("host:70000", None),
        ("host:x", None),
    ],
)
def test_addresses_are_read_as_contracts_and_people_write_them(
    text: str, address: tuple[str, int] | None
) -> None:
    """Also as a URL."""
    if address is None:
        with pytest.raises(InvalidConfig, match="expected HOST:PORT"):
            parse_address(text)
    else:
        assert parse_address(text) == address


def test_the_store_key_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing one is not made anew beside a store; a bad one is not shown."""
    home = NodeHome(tmp_path, CONFIG)
    with home.open_store() as store:
        store.put_share(0, 0, 0, Secret(b"share"))
    (tmp_path / "store.key").rename(tmp_path / "elsewhere")
    with pytest.raises(InvalidConfig, match="the key of the store is missing"):
        home.read_key()
    named = NodeConfig(
        contract_id="a", rpc_urls=("b",), account_id="c", listen="d:1", store_key_environment="THE_KEY"
    )
    monkeypatch.delenv("THE_KEY", raising=False)
    with pytest.raises(InvalidConfig, match="the environment has no THE_KEY"):
        NodeHome(tmp_path, named).read_key()
    monkeypatch.setenv("THE_KEY", "not hex, but secret")
    with pytest.raises(InvalidConfig) as caught:
        NodeHome(tmp_path, named).read_key()
    assert "not hex" not in str(caught.value)
    monkeypatch.setenv("THE_KEY", (tmp_path / "elsewhere").read_bytes().hex())
    with NodeHome(tmp_path, named).open_store() as store:
        assert store.list_shares() == [(0, 0, 0)]
    monkeypatch.setenv("THE_KEY", "00" * 32)
    with pytest.raises(StoreDamaged, match="cannot be decrypted"):
        NodeHome(tmp_path, named).open_store()


def test_a_node_is_made_backed_up_and_restored_by_commands(tmp_path: Path) -> None:
    """The keys are the same in the end; nothing is written over; the file mode is its owner's."""
    folder, backup = tmp_path / "node", tmp_path / "backup"
    shown = init(folder).output
    assert "its key    ed25519:" in shown and "TLS key    ed25519:" in shown
    assert "exists; move it away first" in must_init_again(folder)
    assert must_hither("keys", f"--home={folder}").output == shown
    with read_config(folder / CONFIG_FILE).open_store() as store:
        store.put_share(0, 0, 0, Secret(b"share"))
        busy = must_hither("backup", f"--home={folder}", str(backup), code=1)
        assert "another process runs the node" in busy.output
    assert "1 key shares" in must_hither("backup", f"--home={folder}", str(backup)).output
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert "exists" in must_hither("restore", f"--home={folder}", str(backup), code=1).output
    for path in folder.glob("store.sqlite*"):
        path.unlink()
    assert "1 key shares, no stock" in must_hither("restore", f"--home={folder}", str(backup)).output
    assert must_hither("keys", f"--home={folder}").output == shown


def must_init_again(folder: Path) -> str:
    arguments = ["--contract=a.near", "--rpc-url=b", "--account=c.near", "--listen=d:1"]
    return must_hither("init", f"--home={folder}", *arguments, code=1).output


def test_a_node_that_does_not_answer_is_told_with_what_to_do(tmp_path: Path) -> None:
    """``status`` of a node that is not running, and ``call`` without a chain."""
    folder = tmp_path / "node"
    init(folder, "--observe=127.0.0.1:1")
    asked = must_hither("status", f"--home={folder}", code=1).output
    assert "no node answers on 127.0.0.1:1" in asked and "hither mpc run" in asked
    called = must_hither("call", f"--home={folder}", "vote_cancel_resharing", "{", code=2).output
    assert "the arguments are not JSON" in called


def test_metrics_are_what_prometheus_reads() -> None:
    """Rows of a name together, under its help and type; odd characters in labels escaped."""
    rows = [
        Metric("stock", "gauge", "On disk.", 3, {"domain": "0"}),
        Metric("height", "gauge", "Read so far.", 12),
        Metric("stock", "gauge", "On disk.", 4, {"domain": 'a"b\\c\n'}),
    ]
    assert format_metrics(rows).splitlines() == [
        "# HELP hither_mpc_stock On disk.",
        "# TYPE hither_mpc_stock gauge",
        'hither_mpc_stock{domain="0"} 3',
        'hither_mpc_stock{domain="a\\"b\\\\c\\n"} 4',
        "# HELP hither_mpc_height Read so far.",
        "# TYPE hither_mpc_height gauge",
        "hither_mpc_height 12",
    ]
