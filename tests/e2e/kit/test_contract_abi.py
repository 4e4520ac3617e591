"""A transaction of a contract that carries its ABI: arguments, result and storage in borsh are told by it.

Contracts in Rust carry what near-sdk tells; NEAR's own crate near-abi reads it too.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from hither.cli.contracts.builders import BuildFailed, build
from hither.cli.contracts.project import (
    PROJECT_FILE,
    TEMPLATES,
    Project,
    ProjectProblem,
    make_project,
    read_project,
)
from hither.client.contract_abi import METHOD, read_abi
from hither.client.trace import export_trace, render_trace
from hither.foreign.cache import find_cache
from hither.testing import Chain, reverts
from hither.testing.network import LocalNetwork
from tests.unit.client.test_contract_abi import ABI, READ, TIP

pytestmark = pytest.mark.slow
IN_RUST = """
use near_sdk::{near, env};

#[near(serializers = [borsh])]
pub enum Mood { Calm, Glad(u8) }

#[near(serializers = [borsh])]
pub struct Tip { giver: String, amount: u128, mood: Mood }

#[near(serializers = [json])]
pub struct Thanks { to: String }

#[near(contract_state)]
#[derive(Default)]
pub struct Tips { count: u64 }

#[near]
impl Tips {
    /// Keeps a tip.
    #[result_serializer(borsh)]
    pub fn leave(&mut self, #[serializer(borsh)] tip: Tip) -> Tip {
        self.count += 1;
        env::storage_write(b"t", &near_sdk::borsh::to_vec(&tip).unwrap());
        tip
    }
}

#[near]
impl Tips {
    pub fn thank(&self, thanks: Thanks) -> u64 {
        near_sdk::log!("{}", thanks.to);
        self.count
    }
}
"""
# Serde's own derive tells an ABI nothing of the type.
WITHOUT_SCHEMA = IN_RUST.replace(
    "#[near(serializers = [json])]",
    '#[derive(near_sdk::serde::Serialize, near_sdk::serde::Deserialize)]\n#[serde(crate = "near_sdk::serde")]',
)
READER = """
fn main() {
    let text = std::io::read_to_string(std::io::stdin()).unwrap();
    let abi: near_abi::AbiRoot = serde_json::from_str(&text).unwrap();
    for function in &abi.body.functions {
        println!("{} {:?} {:?}", function.name, function.kind, function.doc);
    }
    println!("{}", serde_json::to_string(&abi).unwrap());
}
"""
READER_MANIFEST = """
[package]
name = "abi-reader"
version = "0.1.0"
edition = "2021"

[[bin]]
name = "abi-reader"
path = "main.rs"

[dependencies]
near-abi = "0.4"
serde_json = "1"
"""
IN_CPP = """
#include "near.hpp"
static const char ABI[] = {%s};
NEAR_METHOD(__contract_abi) { near::value_return(std::string_view(ABI, sizeof ABI)); }
NEAR_METHOD(leave) {
    std::string tip = near::input();
    near::storage_write("t", tip);
    near::value_return(tip);
}
"""


def test_trace_reads_borsh_by_the_abi_of_the_contract(tmp_path: Path) -> None:
    """And says so when a call is not what the ABI says."""
    project = make_project(tmp_path, "tips", "cpp")
    embedded = zstandard.compress(json.dumps(ABI).encode())
    signed = ",".join(str(byte - 256 if byte > 127 else byte) for byte in embedded)
    project.source.write_text(IN_CPP % signed)
    with LocalNetwork(shards=3) as running:
        chain = Chain(running.url)
        tips = chain.deploy(build(project).wasm)
        result = chain.account("alice").call(tips, "leave", TIP)
        trace = chain.trace(result)
        shown = json.dumps(READ)
        lines = [line.strip() for line in render_trace(trace)]
        assert f'arguments of leave: {{"tip": {shown}}}' in lines, lines
        assert f"result of leave: {shown}" in lines
        assert f'write "t" = Tip {shown}' in lines
        decoded = [row["decoded"] for row in export_trace(trace)["trace"].values()]
        assert {"arguments": {"leave": {"tip": READ}}, "result": {"leave": READ}} in decoded
        wrong = chain.trace(chain.account("alice").call(tips, "leave", b"\x01"))
        told = [
            line for line in render_trace(wrong) if "not as the contract's ABI says: the bytes end" in line
        ]
        assert len(told) == 2
        chain.close()


@pytest.fixture(scope="module")
def in_rust(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Built, with methods in borsh and in JSON, in two blocks."""
    project = make_project(tmp_path_factory.mktemp("rust"), "rust-tips", "rust")
    project.source.write_text(IN_RUST)
    build(project)
    return project


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with LocalNetwork(protocol_version=86) as running:
        chain = Chain(running.url)
        yield chain
        chain.close()


def test_contract_in_rust_carries_its_abi(in_rust: Project, chain: Chain) -> None:
    """What near-sdk says of the types is what the trace reads a call by."""
    with chain.anchor():
        tips = chain.deploy(in_rust.wasm)
        embedded = chain.client.view(tips.id, METHOD).value
        told = json.loads(zstandard.decompress(embedded, max_output_size=2**22))
        assert told == json.loads(in_rust.abi.read_text())
        assert told["metadata"]["name"] == "rust-tips" and told["metadata"]["version"] == "0.1.0"
        names = [function["name"] for function in told["body"]["functions"]]
        assert names == ["contract_source_metadata", "leave", "thank"]
        assert told["body"]["root_schema"]["definitions"].keys() == {"Thanks"}
        assert read_abi(embedded).decode_arguments("leave", TIP) == {"tip": READ}
        alice = chain.account("alice")
        result = alice.call(tips, "leave", TIP)
        assert result.value == TIP
        lines = [line.strip() for line in render_trace(chain.trace(result))]
        shown = json.dumps(READ)
        assert f'arguments of leave: {{"tip": {shown}}}' in lines, lines
        assert f"result of leave: {shown}" in lines
        assert f'write "t" = Tip {shown}' in lines
        thanked = alice.call(tips, "thank", {"thanks": {"to": "bob"}})
        assert thanked.value == b"1" and list(thanked.logs) == ["bob"]
        with reverts("Failed to deserialize input from JSON"):
            alice.call(tips, "thank", {"thanks": {"to": 5}})


def test_near_abi_itself_reads_it(in_rust: Project, tmp_path: Path) -> None:
    """NEAR's crate, which refuses fields that it does not know, reads it and writes the same."""
    (tmp_path / "main.rs").write_text(READER)
    (tmp_path / "Cargo.toml").write_text(READER_MANIFEST)
    # The versions that the contract is built with: they are here already, so nothing is downloaded.
    shutil.copyfile(in_rust.folder / "Cargo.lock", tmp_path / "Cargo.lock")
    tools = find_cache() / "wasm-toolchain/bin"
    # Compiled beside the contracts, so the next run has it already.
    environment = os.environ | {
        "RUSTC": str(tools / "rustc"),
        "RUSTC_WRAPPER": "",
        "CARGO_PROFILE_DEV_DEBUG": "0",
    }
    environment |= {"CARGO_TARGET_DIR": str(find_cache() / "contracts-target")}
    run = subprocess.run(
        [tools / "cargo", "run", "--quiet", "--offline"],
        cwd=tmp_path,
        env=environment,
        input=in_rust.abi.read_text(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[:-1] == [
        "contract_source_metadata View None",
        'leave Call Some(" Keeps a tip.")',
        "thank View None",
    ]
    assert json.loads(lines[-1]) == json.loads(in_rust.abi.read_text())


def test_type_that_tells_no_schema_is_refused(tmp_path: Path) -> None:
    """With the compiler's words, and what to write."""
    project = make_project(tmp_path, "silent", "rust")
    project.source.write_text(WITHOUT_SCHEMA)
    with pytest.raises(
        BuildFailed, match=r"(?s)JsonSchema.*src/lib.rs.*this is cargo's message.*abi = false"
    ):
        build(project)
    description = project.folder / PROJECT_FILE
    description.write_text(description.read_text() + 'abi = "no"\n')
    with pytest.raises(ProjectProblem, match="abi is true or false, not 'no'"):
        read_project(project.folder)


@pytest.mark.long
def test_contract_is_built_without_an_abi_where_that_is_asked(tmp_path: Path) -> None:
    """near-sdk is compiled once more for it, which takes a minute."""
    project = make_project(tmp_path, "silent", "rust")
    project.source.write_text(WITHOUT_SCHEMA)
    description = project.folder / PROJECT_FILE
    description.write_text(description.read_text() + "abi = false\n")
    wasm = build(read_project(project.folder)).wasm.read_bytes()
    assert b"contract_source_metadata" in wasm and b"__contract_abi" not in wasm


def test_lock_of_the_template_names_what_an_abi_is_made_with(in_rust: Project) -> None:
    """A build leaves it as it is, so building again asks no registry."""
    template = (TEMPLATES / "rust/Cargo.lock").read_text().replace("{{name}}", in_rust.name)
    locked = (in_rust.folder / "Cargo.lock").read_text()
    # Cargo sorts packages by name, and this one has another name here.
    assert sorted(map(str.strip, locked.split("\n\n"))) == sorted(map(str.strip, template.split("\n\n")))
