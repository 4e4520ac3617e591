"""`hither doctor`: this machine, and a network that runs, or says that it does."""

import json
import os
from pathlib import Path

import pytest

from hither.foreign.engines.ports import find_network_offset
from tests.e2e.cli.running import hither, network

pytestmark = pytest.mark.slow


def test_every_part_of_a_running_network_is_asked(tmp_path: Path) -> None:
    """Each with its height; all is well, also where the network has the default port."""
    with network(tmp_path, "--quiet", is_alone=False) as running:
        result = hither("doctor", home=tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
        chains = ["near:localnet", *(row["caip2"] for row in running.endpoints["foreign"])]
        assert len(chains) == 6
        for chain in chains:
            assert f"{chain} at block " in result.stdout, result.stdout
        assert "2 of 3 nodes sign" in result.stdout
        running.end()
    result = hither("doctor", home=tmp_path)
    assert "none runs in" in result.stdout


def test_parts_that_do_not_answer_are_named_with_what_to_do(tmp_path: Path) -> None:
    """Our chain; and where it answers, another chain and the signing nodes."""
    with network(tmp_path / "home", "--quiet") as running:
        silent = f"http://127.0.0.1:{3030 + find_network_offset()}"
        near = running.endpoints["near"]
        # On this chain nobody has made the contract.
        gone = {"contract_id": "signer.test.near", "pid": 2**22 - 1, "threshold": 2, "nodes": 3}
        content = {
            "pid": os.getpid(),
            "near": near,
            "mpc": gone,
            "foreign": [{"caip2": "eip155:1", "rpc_url": silent}],
        }
        told = ask(tmp_path / "partly", content)
        assert "✗ chain" in told and "eip155:1: no node answers" in told
        assert "✗ signing" in told
        told = ask(tmp_path / "silent", {"pid": os.getpid(), "near": near | {"rpc_url": silent}})
        assert "✗ network" in told and "hint: hither down, then hither up" in told


def ask(home: Path, content: dict[str, object]) -> str:
    """What is said of a home whose network is told to be so."""
    home.mkdir()
    (home / "endpoints.json").write_text(json.dumps({"format_version": 1, "hither_version": "0", **content}))
    result = hither("doctor", home=home)
    assert result.returncode == 1, result.stdout
    return result.stdout
