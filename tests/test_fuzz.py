"""The decoders keep their promise: a typed error, or a value whose encoding gives the same bytes (fuzz/targets.py)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.seeds import make_seeds
from fuzz.targets import PLANTED, TARGETS, BrokenPromise, check_planted
from hither.primitives.receipt import DataReceipt, Receipt, encode_receipt
from hither.primitives.types import AccountId, CryptoHash

ROOT = Path(__file__).resolve().parent.parent
EXECUTIONS = 1_000_000
SECONDS_MAX = 1800
NO_DATA = DataReceipt(CryptoHash(bytes(32)), None)


def spoil(data: bytes, at: int, byte: int, cut: int) -> bytes:
    """The same with one byte changed, and perhaps cut off."""
    at %= max(1, len(data))
    spoilt = data[:at] + bytes([byte]) + data[at + 1 :]
    return spoilt[: len(spoilt) - cut]


@pytest.mark.parametrize("name", TARGETS)
def test_decoders_keep_their_promise(name: str) -> None:
    """Whatever the bytes: any at all, and encoded values with a fault."""
    seeds = make_seeds(name)
    faults = st.builds(
        spoil, st.sampled_from(seeds), st.integers(0, 4096), st.integers(0, 255), st.integers(0, 3)
    )

    @settings(max_examples=300)
    @given(st.one_of(st.binary(max_size=200), faults))
    def check(data: bytes) -> None:
        TARGETS[name](data)

    for seed in seeds:
        TARGETS[name](seed)
    check()


def test_a_broken_promise_is_told() -> None:
    """No seed shows the planted bug; one byte does."""
    for seed in make_seeds(PLANTED):
        check_planted(seed)
    receipt = Receipt(AccountId("alice.near"), AccountId("bob.near"), CryptoHash(bytes(32)), NO_DATA)
    with pytest.raises(BrokenPromise):
        check_planted(encode_receipt(receipt)[:-1] + b"\2")


def fuzz(target: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Fuzz in a process of its own: a fuzzer ends its process."""
    command = [
        sys.executable,
        "-m",
        "fuzz.run",
        target,
        "--executions",
        str(EXECUTIONS),
        "--found",
        str(folder),
    ]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'python'}{os.pathsep}{ROOT}", "TMPDIR": str(folder)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS)
def test_a_million_executions_find_nothing(target: str, tmp_path: Path) -> None:
    result = fuzz(target, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"stat::number_of_executed_units: {EXECUTIONS}" in result.stderr


@pytest.mark.long
def test_the_fuzzer_finds_a_planted_bug(tmp_path: Path) -> None:
    result = fuzz(PLANTED, tmp_path)
    assert result.returncode != 0
    assert "BrokenPromise" in result.stdout + result.stderr
