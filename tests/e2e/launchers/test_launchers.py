"""Programs that start NEAR's sandbox, unmodified, with ours at NEAR_SANDBOX_BIN_PATH."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
HERE = Path(__file__).resolve().parent
NEAR = 10**24


def get_installed() -> Path:
    """Where `make setup` has installed the launchers (scripts/setup.d/40-launchers)."""
    files = ("package-lock.json", "rust/Cargo.lock", "rust/Cargo.toml", "rust/src/main.rs")
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in files)).hexdigest()
    cache = Path(os.environ.get("HITHER_CACHE", Path.home() / ".cache/hither"))
    installed = cache / "launchers" / digest[:16]
    assert (installed / "complete").exists(), "the launchers are missing: run `make setup`"
    return installed


def must_launch(command: list[str], folder: Path) -> Any:
    """Run a launcher's program and read what it saw."""
    environment = os.environ | {"NEAR_SANDBOX_BIN_PATH": str(Path(sys.executable).parent / "hither-sandbox")}
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout.strip().splitlines()[-1])


def must_run_script(name: str) -> Any:
    """Run one of the JavaScript programs beside the installed packages, where its imports are found."""
    installed = get_installed()
    script = installed / f"{os.getpid()}-{name}"
    script.write_bytes((HERE / name).read_bytes())
    try:
        return must_launch(["node", str(script)], installed)
    finally:
        script.unlink()


def test_near_sandbox_from_npm() -> None:
    """Its account and ours are there, genesis changes are taken up, the dump is complete."""
    seen = must_run_script("near_sandbox.mjs")
    assert (seen["chain_id"], seen["protocol_version"]) == ("localnet", 86)
    assert int(seen["root"]["amount"]) == 10_000 * NEAR
    assert int(seen["added"]["amount"]) == 5 * NEAR
    assert {"near", "test.near", "sandbox", "carl.test.near"} <= set(seen["dumped"])
    assert seen["epoch_length"] == 250
    assert seen["validator"] == "test.near"


def test_near_kit() -> None:
    """Transactions, fast-forward, dump, restore and restart, also with a snapshot."""
    seen = must_run_script("near_kit.mjs")
    assert (seen["root"], seen["network"]) == ("test.near", "localnet")
    assert seen["dumped"]
    assert float(seen["sent"]) == float(seen["created"]) + 1
    assert seen["skipped"] >= 100
    assert seen["restored"] == seen["back"] == seen["created"]
    assert seen["height_after_restart"] < 100
    assert seen["gone"]


def test_near_sandbox_crate() -> None:
    """What near-workspaces starts its sandbox with."""
    seen = must_launch([str(get_installed() / "launcher")], HERE)
    for name in ("root", "added", "clone"):
        assert int(seen[name]["amount"]) == 10_000 * NEAR
    assert int(seen["created"]["amount"]) == 7 * NEAR
    assert seen["skipped"] >= 100
