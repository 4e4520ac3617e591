"""A node's home directory."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hither.chain.genesis import DevelopmentOptions
from hither.node.home import (
    CONFIG_FILE,
    FORMAT_FILE,
    GENESIS_FILE,
    VALIDATOR_KEY_FILE,
    HomeProblem,
    init_home,
    lock_home,
    read_home,
)

OPTIONS = DevelopmentOptions(protocol_version=86, accounts=())


def test_files_are_in_the_formats_of_launchers(tmp_path: Path) -> None:
    """What the three launchers of NEAR's sandbox read and edit is there."""
    init_home(tmp_path, OPTIONS, 1)
    genesis = json.loads((tmp_path / GENESIS_FILE).read_text())
    accounts = [row["Account"]["account_id"] for row in genesis["records"] if "Account" in row]
    assert accounts == ["test.near", "near"]
    assert genesis["total_supply"].isdigit()
    assert genesis["protocol_version"] == 86
    config = json.loads((tmp_path / CONFIG_FILE).read_text())
    assert config["rpc"]["limits_config"]["json_payload_max_size"] > 0
    assert "max_open_files" in config["store"]
    key = json.loads((tmp_path / VALIDATOR_KEY_FILE).read_text())
    assert key["account_id"] == "test.near"
    assert key["public_key"] == genesis["validators"][0]["public_key"]
    assert key["secret_key"].startswith("ed25519:")
    assert stat.S_IMODE((tmp_path / VALIDATOR_KEY_FILE).stat().st_mode) == 0o600


def test_records_added_after_init_count(tmp_path: Path) -> None:
    """Launchers add accounts to genesis.json before the first run; supply follows the records."""
    before = int(init_home(tmp_path, OPTIONS, 1).config.total_supply)
    genesis = json.loads((tmp_path / GENESIS_FILE).read_text())
    account = dict(genesis["records"][0]["Account"]["account"], amount="7", locked="0")
    genesis["records"].append({"Account": {"account_id": "sandbox", "account": account}})
    (tmp_path / GENESIS_FILE).write_text(json.dumps(genesis))
    assert int(read_home(tmp_path).genesis.config.total_supply) == before + 7


def test_key_under_its_old_name_is_read(tmp_path: Path) -> None:
    """Older files say private_key."""
    init_home(tmp_path, OPTIONS, 1)
    expected = read_home(tmp_path).validator_key
    path = tmp_path / VALIDATOR_KEY_FILE
    path.write_text(path.read_text().replace("secret_key", "private_key"))
    assert read_home(tmp_path).validator_key == expected


def test_second_init_changes_nothing(tmp_path: Path) -> None:
    """And one for another chain is refused."""
    init_home(tmp_path, OPTIONS, 1)
    content = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    init_home(tmp_path, OPTIONS, 2)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == content
    with pytest.raises(HomeProblem, match="'localnet', not 'other'"):
        init_home(tmp_path, DevelopmentOptions(chain_id="other"), 1)


def test_problems_say_what_to_do(tmp_path: Path) -> None:
    """Missing, damaged, and from the future."""
    with pytest.raises(HomeProblem, match="hither node init"):
        read_home(tmp_path)
    init_home(tmp_path, OPTIONS, 1)
    (tmp_path / FORMAT_FILE).write_text('{"format_version": 99}')
    with pytest.raises(HomeProblem, match="format 99"):
        read_home(tmp_path)
    (tmp_path / FORMAT_FILE).unlink()
    (tmp_path / GENESIS_FILE).write_text("{")
    with pytest.raises(HomeProblem, match="not JSON"):
        read_home(tmp_path)


def test_second_process_is_refused_and_named(tmp_path: Path) -> None:
    """Two nodes on one database would damage it."""
    program = (
        "import sys, pathlib\n"
        "from hither.node.home import lock_home\n"
        "with lock_home(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(HomeProblem, match=f"process {holder.pid}"), lock_home(tmp_path):
        pass
    holder.communicate("")
    with lock_home(tmp_path):
        pass
