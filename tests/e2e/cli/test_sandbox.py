"""``hither-sandbox`` under NEAR's argument forms."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hither.cli.rpc import NodeUnreachable, RpcCaller
from hither.foreign.engines.ports import find_network_offset
from hither.sdk.endpoints import NoNetwork, read_endpoints
from tests.e2e.cli.running import NODE_PORT

pytestmark = pytest.mark.slow
PROGRAM = str(Path(sys.executable).parent / "hither-sandbox")


def sandbox(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path, RpcCaller]]:
    """A node started as near-kit starts it: pipes that nobody reads, a process group of its own."""
    assert sandbox("--home", str(tmp_path), "init", "--chain-id", "localnet").returncode == 0
    port = NODE_PORT + find_network_offset()
    addresses = ["--rpc-addr", f"0.0.0.0:{port}", "--network-addr", "0.0.0.0:0"]
    process = subprocess.Popen(
        [PROGRAM, "--home", str(tmp_path), "run", *addresses],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    caller = RpcCaller(f"http://127.0.0.1:{port}")
    try:
        for _ in range(300):
            try:
                caller.call("status", None)
                break
            except NodeUnreachable:
                assert process.poll() is None
                time.sleep(0.05)
        yield process, tmp_path, caller
    finally:
        caller.close()
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_version_answers_at_once() -> None:
    """Launchers probe with it before every start."""
    times = []
    for _ in range(3):
        started = time.monotonic()
        result = sandbox("--version")
        times.append(time.monotonic() - started)
        assert result.returncode == 0
        assert result.stdout.startswith("hither-sandbox 0.")
    assert min(times) < 0.3


def test_init_twice_and_for_another_chain(tmp_path: Path) -> None:
    """The first is harmless, the second is not."""
    home = str(tmp_path)
    assert sandbox("--home", home, "init", "--fast").returncode == 0
    before = (tmp_path / "genesis.json").read_bytes()
    assert sandbox("--home", home, "init", "--fast").returncode == 0
    assert (tmp_path / "genesis.json").read_bytes() == before
    refused = sandbox("--home", home, "init", "--chain-id", "other")
    assert refused.returncode == 1
    assert "'localnet', not 'other'" in refused.stderr


def test_wrong_usage_says_so(tmp_path: Path) -> None:
    """Exit code 2, as NEAR's own program."""
    assert sandbox("--home", str(tmp_path), "start").returncode == 2
    assert sandbox("--home", str(tmp_path), "run", "--rpc-addr", "nonsense").returncode == 2
    missing = sandbox("--home", str(tmp_path), "run")
    assert missing.returncode == 1
    assert "init" in missing.stderr


def test_blocks_come_by_themselves(running: tuple[subprocess.Popen[bytes], Path, RpcCaller]) -> None:
    """near-kit waits for a next block after each patch."""
    _, _, caller = running
    heights = set()
    deadline = time.monotonic() + 10
    while len(heights) < 3 and time.monotonic() < deadline:
        heights.add(caller.call("status", [])["sync_info"]["latest_block_height"])
        time.sleep(0.05)
    assert len(heights) == 3


def test_state_is_dumped_while_the_node_runs(
    running: tuple[subprocess.Popen[bytes], Path, RpcCaller],
) -> None:
    """As one file and as a folder, with what was patched a moment ago."""
    _, home, caller = running
    account = {"amount": "7", "locked": "0", "code_hash": "1" * 32, "storage_usage": 0, "version": "V1"}
    records = [{"Account": {"account_id": "eve.near", "account": account}}]
    caller.call("sandbox_patch_state", {"records": records})
    for _ in range(5):
        assert sandbox("--home", str(home), "view-state", "dump-state").returncode == 0
        dumped = json.loads((home / "output.json").read_text())
        amounts = {
            row["Account"]["account_id"]: row["Account"]["account"]["amount"]
            for row in dumped["records"]
            if "Account" in row
        }
        assert amounts["eve.near"] == "7"
    assert sandbox("--home", str(home), "view-state", "dump-state", "--stream").returncode == 0
    assert {path.name for path in (home / "output").iterdir()} == {
        "config.json",
        "genesis.json",
        "node_key.json",
        "records.json",
        "validator_key.json",
    }
    assert len(json.loads((home / "output/records.json").read_text())) == len(dumped["records"])


def test_sigterm_to_the_group_ends_it_cleanly(
    running: tuple[subprocess.Popen[bytes], Path, RpcCaller],
) -> None:
    """Within the two seconds that near-kit gives, and with the file of endpoints gone."""
    process, home, _ = running
    # The file comes a moment after the server answers.
    deadline = time.monotonic() + 10
    while not (home / "endpoints.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert read_endpoints(home)["pid"] == process.pid
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(timeout=2) == 0
    with pytest.raises(NoNetwork):
        read_endpoints(home)


def test_home_starts_over_when_its_data_is_removed(
    running: tuple[subprocess.Popen[bytes], Path, RpcCaller],
) -> None:
    """A launcher's restart: genesis replaced, data removed, the same port at once."""
    process, home, caller = running
    port = caller.url.rpartition(":")[2]
    process.kill()
    process.communicate()
    for file in sorted((home / "data").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    (home / "data").rmdir()
    again = subprocess.Popen(
        [PROGRAM, "--home", str(home), "run", "--rpc-addr", f"127.0.0.1:{port}"], stderr=subprocess.PIPE
    )
    try:
        for _ in range(300):
            try:
                assert caller.call("status", [])["sync_info"]["latest_block_height"] < 100
                break
            except NodeUnreachable:
                assert again.poll() is None
                time.sleep(0.05)
        else:
            raise AssertionError("not ready")
    finally:
        again.terminate()
        again.communicate()
