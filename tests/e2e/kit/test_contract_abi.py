"""A transaction of a contract that carries its ABI: arguments, result and storage in borsh are told by it."""

import json
from pathlib import Path

import pytest
import zstandard

from hither.cli.contracts.builders import build
from hither.cli.contracts.project import make_project
from hither.client.trace import export_trace, render_trace
from hither.testing import Chain
from hither.testing.network import LocalNetwork
from tests.unit.client.test_contract_abi import ABI, READ, TIP

pytestmark = pytest.mark.slow
SOURCE = """
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
    project.source.write_text(SOURCE % signed)
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
