"""The committed contracts are what their sources make, and import what they may."""

import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def load_build() -> ModuleType:
    """contracts/build.py, which is a script."""
    spec = importlib.util.spec_from_file_location("contracts_build", ROOT / "contracts/build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


BUILD = load_build()
ARTIFACTS = {artifact.name: artifact for artifact in BUILD.ARTIFACTS}
# Host functions that need a later protocol version than the wasm of that name is for.
LATER = {
    "exerciser": set(),
    "exerciser_87": {"universal_state_init_to_account_id", "promise_batch_action_universal_state_init"},
}
LATER["exerciser_86"] = LATER["exerciser_87"] | {"sha3_256", "sha3_384", "sha3_512", "ml_dsa_verify"}


def read_number(data: bytes, at: int) -> tuple[int, int]:
    """A LEB128 number and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def iterate_imports(wasm: bytes) -> Iterator[tuple[str, str]]:
    """Module and name of each import of functions only."""
    at = 8
    while at < len(wasm):
        section = wasm[at]
        size, start = read_number(wasm, at + 1)
        at = start + size
        if section != 2:
            continue
        count, start = read_number(wasm, start)
        for _ in range(count):
            names = []
            for _ in range(2):
                length, start = read_number(wasm, start)
                names.append(wasm[start : start + length].decode())
                start += length
            assert wasm[start] == 0, "a contract imports functions only"
            _, start = read_number(wasm, start + 1)
            yield names[0], names[1]


def read_host_functions() -> set[str]:
    """The names in the exerciser's table."""
    source = (ROOT / "contracts/exerciser/src/lib.rs").read_text()
    table = source[source.index("\nhost_functions! {") :]
    return set(re.findall(r"^    \d+ (\w+)\(", table, re.MULTILINE))


@pytest.mark.parametrize("name", ARTIFACTS)
def test_lock_is_fresh(name: str) -> None:
    """Whoever changes a contract commits its new wasm: `make contracts WRITE=1`."""
    artifact = ARTIFACTS[name]
    lock = json.loads(BUILD.get_lock_path(artifact).read_text())
    wasm = BUILD.get_wasm_path(artifact).read_bytes()
    assert lock["source_sha256"] == BUILD.compute_source_hash(artifact)
    assert lock["wasm_sha256"] == hashlib.sha256(wasm).hexdigest()


def test_stale_lock_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One changed byte of a source changes its hash."""
    before = BUILD.compute_source_hash(ARTIFACTS["nft"])
    copy = tmp_path / "contracts"
    for file in (ROOT / "contracts").glob("**/*"):
        if file.suffix in (".rs", ".toml", ".lock"):
            target = copy / file.relative_to(ROOT / "contracts")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    monkeypatch.setattr(BUILD, "ROOT", copy)
    assert BUILD.compute_source_hash(ARTIFACTS["nft"]) == before
    (copy / "nft/src/lib.rs").write_text("// nothing\n")
    assert BUILD.compute_source_hash(ARTIFACTS["nft"]) != before


@pytest.mark.parametrize("name", LATER)
def test_exerciser_imports_every_host_function(name: str) -> None:
    """What its table names is what it imports, so that a call can reach each."""
    wasm = BUILD.get_wasm_path(ARTIFACTS[name]).read_bytes()
    imports = set(iterate_imports(wasm))
    assert imports == {("env", function) for function in read_host_functions() - LATER[name]}


@pytest.mark.parametrize("name", ARTIFACTS)
def test_wasm_tells_nothing_of_the_building_machine(name: str) -> None:
    """Paths of the builder would make the bytes differ elsewhere."""
    wasm = BUILD.get_wasm_path(ARTIFACTS[name]).read_bytes()
    assert not re.findall(rb"/(?:root|home|work|tmp|Users)/[ -~]{3,60}", wasm)


@pytest.mark.parametrize("words", [["--wirte"], ["--write", "--all"], ["nosuch"], ["-w", "signer"]])
def test_unknown_words_build_nothing(words: list[str]) -> None:
    """A flag that is misspelt would otherwise mean "build all"."""
    result = subprocess.run(
        [sys.executable, ROOT / "contracts/build.py", *words], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert re.search("no such (option|contract)", result.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fungible_token", "exerciser", "signer"])
def test_rebuilding_gives_the_committed_bytes(name: str) -> None:
    """Byte for byte, where the lock's toolchain is installed."""
    result = subprocess.run(
        [sys.executable, ROOT / "contracts/build.py", name], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    lock = json.loads(BUILD.get_lock_path(ARTIFACTS[name]).read_text())
    assert lock["wasm_sha256"][:16] in result.stdout or "not comparable" in result.stdout


@pytest.mark.long
def test_rebuilding_every_contract_gives_the_committed_bytes() -> None:
    """The same for all of them."""
    subprocess.run([sys.executable, ROOT / "contracts/build.py"], check=True)
