"""Build the contracts, and compare what comes out with what is committed.

    python contracts/build.py              rebuild all, fail if a byte differs from the committed wasm
    python contracts/build.py nft          the same for one
    python contracts/build.py --write      rebuild all and write wasm and locks
    python contracts/build.py --write nft  the same for one

Beside each wasm lies NAME.lock.json: the hash of the sources it was made from, its own hash, and the
toolchain. A test compares sources and wasm with it on every run; bytes come out the same wherever the
lock's toolchain is installed, since no path of the building machine gets into them.
"""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
TARGET = "wasm32-unknown-unknown"
# near-sdk calls the host only where `near` is set; without it, it falls back on Rust's own panics and hashes.
FLAGS = ("-Ctarget-cpu=mvp", "--cfg=near")


@dataclass(frozen=True)
class Artifact:
    """One wasm: the package it is built from, the features if they are not the default, libraries beside it."""

    name: str
    package: str
    features: str | None = None
    libraries: tuple[str, ...] = ()


ARTIFACTS = (
    Artifact("deposits", "deposits", libraries=("foreign_transactions",)),
    Artifact("exerciser", "exerciser"),
    # The same without the host functions of later protocol versions, which would not link.
    Artifact("exerciser_87", "exerciser", "protocol_87"),
    Artifact("exerciser_86", "exerciser", ""),
    Artifact("fungible_token", "fungible_token"),
    Artifact("nft", "nft"),
    Artifact("ping_pong", "ping_pong"),
    Artifact("signer", "signer"),
    Artifact("treasury", "treasury", libraries=("foreign_transactions",)),
)


def compute_source_hash(artifact: Artifact) -> str:
    """One hash of everything in this folder that the wasm depends on."""
    files = [ROOT / "Cargo.toml", ROOT / "Cargo.lock"]
    for package in (artifact.package, *artifact.libraries):
        files += [ROOT / package / "Cargo.toml", *sorted((ROOT / package).glob("src/**/*.rs"))]
    digest = hashlib.sha256(f"{artifact.name} {artifact.features} {FLAGS}".encode())
    for file in files:
        content = file.read_bytes()
        digest.update(f"\n{file.relative_to(ROOT).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def get_wasm_path(artifact: Artifact) -> Path:
    """Where the committed wasm is."""
    return ROOT / artifact.package / f"{artifact.name}.wasm"


def get_lock_path(artifact: Artifact) -> Path:
    """Where its lock is."""
    return ROOT / artifact.package / f"{artifact.name}.lock.json"


def build(artifact: Artifact, cache: Path) -> bytes:
    """Compile one contract with the toolchain in the cache."""
    toolchain = cache / "wasm-toolchain"
    cargo_home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    target = Path(os.environ.get("HITHER_CONTRACTS_TARGET", toolchain / "target"))
    # The registry's folder carries its host's name: each is mapped away together with the rest of the path.
    folders = dict.fromkeys(sorted(cargo_home.glob("registry/src/*")), "/crates")
    folders |= {ROOT: "/contracts", target: "/target", toolchain: "/toolchain"}
    flags = [
        "-Ctarget-cpu=mvp",
        "--cfg=near",
        *(f"--remap-path-prefix={path}={name}" for path, name in folders.items()),
    ]
    environment = {
        key: value for key, value in os.environ.items() if "RUSTFLAGS" not in key and key != "RUSTC_WRAPPER"
    }
    environment |= {
        "RUSTC": str(toolchain / "bin/rustc"),
        "CARGO_TARGET_DIR": str(target),
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER": str(toolchain / "bin/wasm-ld"),
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS": " ".join(flags),
    }
    command = [str(toolchain / "bin/cargo"), "build", "--quiet", "--release", "--locked", "--target", TARGET]
    command += ["--package", artifact.package]
    if artifact.features is not None:
        command += ["--no-default-features", "--features", artifact.features]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdin=subprocess.DEVNULL)
    return (target / TARGET / "release" / f"{artifact.package}.wasm").read_bytes()


def compare(artifact: Artifact, wasm: bytes, toolchain: str) -> str | None:
    """Say how a fresh build differs from what is committed, if it does."""
    lock = json.loads(get_lock_path(artifact).read_text())
    if lock["source_sha256"] != compute_source_hash(artifact):
        return "the sources have changed since it was built; run `make contracts WRITE=1` and commit"
    if lock["toolchain"] != toolchain:
        return None
    if lock["wasm_sha256"] != hashlib.sha256(wasm).hexdigest():
        return "the same sources and toolchain gave other bytes"
    return None


def main() -> int:
    """Build what is named, or everything. A word that means nothing is an error, never "everything"."""
    options = {word for word in sys.argv[1:] if word.startswith("-")}
    names = [name for name in sys.argv[1:] if not name.startswith("-")]
    if unknown := options - {"--write"}:
        print(f"contracts: no such option: {', '.join(sorted(unknown))}; there is --write", file=sys.stderr)
        return 2
    write = "--write" in options
    if unknown := set(names) - {artifact.name for artifact in ARTIFACTS}:
        print(f"contracts: no such contract: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    cache = Path(os.environ.get("HITHER_CACHE", Path.home() / ".cache/hither"))
    toolchain = (cache / "wasm-toolchain/toolchain").read_text().strip()
    failures = 0
    for artifact in ARTIFACTS:
        if names and artifact.name not in names:
            continue
        wasm = build(artifact, cache)
        digest = hashlib.sha256(wasm).hexdigest()
        if write:
            lock = {
                "source_sha256": compute_source_hash(artifact),
                "toolchain": toolchain,
                "wasm_sha256": digest,
            }
            get_wasm_path(artifact).write_bytes(wasm)
            get_lock_path(artifact).write_text(json.dumps(lock, indent=2) + "\n")
        complaint = compare(artifact, wasm, toolchain)
        same_tools = json.loads(get_lock_path(artifact).read_text())["toolchain"] == toolchain
        result = complaint or (
            "as locked"
            if same_tools
            else f"built, but not comparable: locked with another toolchain than {toolchain}"
        )
        print(f"contracts: {artifact.name:<15} {len(wasm):>7} bytes  {digest[:16]}  {result}")
        failures += complaint is not None
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
