"""An ABI that is put together from what near-sdk tells of each block of methods."""

import json
from typing import Any

import pytest
import zstandard

from hither.cli.contracts.near_abi import InvalidChunks, combine, compress, describe_package


def make_chunk(names: list[str], types: dict[str, Any], version: str = "0.4.0") -> dict[str, Any]:
    """As near-sdk tells one block."""
    root = {"$schema": "draft-07", "title": "String", "type": "string"} | (
        {"definitions": types} if types else {}
    )
    functions = [{"name": name, "kind": "view"} for name in names]
    return {"schema_version": version, "functions": functions, "root_schema": root}


def test_chunks_become_one_abi_in_order_of_names() -> None:
    """Whatever order the compiler left them in."""
    chunks = [make_chunk(["write", "ask"], {"B": {"type": "object"}}), make_chunk(["get"], {"A": {}})]
    metadata = {"name": "first"}
    abi = combine(chunks, metadata)
    assert abi == combine(reversed(chunks), metadata)
    assert [one["name"] for one in abi["body"]["functions"]] == ["ask", "get", "write"]
    assert list(abi["body"]["root_schema"]["definitions"]) == ["A", "B"]
    assert abi["schema_version"] == "0.4.0" and abi["metadata"] == metadata
    assert "definitions" not in combine([make_chunk(["get"], {})], metadata)["body"]["root_schema"]
    assert json.loads(zstandard.decompress(compress(abi))) == abi


def test_chunks_of_two_versions_or_none_are_refused() -> None:
    """They would be read by nobody."""
    with pytest.raises(InvalidChunks, match=r"0\.3\.0 and 0\.4\.0"):
        combine([make_chunk(["a"], {}), make_chunk(["b"], {}, "0.3.0")], {})
    with pytest.raises(InvalidChunks, match="no version"):
        combine([], {})


def test_metadata_says_what_the_manifest_says() -> None:
    """What a workspace says in its place is left out, since it is no text."""
    build = {"compiler": "rustc 1", "builder": "hither 1"}
    told = describe_package(
        {"name": "a", "version": {"workspace": True}, "authors": []}, "rustc 1", "hither 1"
    )
    assert told == {"name": "a", "build": build}
    told = describe_package({"name": "a", "version": "1.0.0", "authors": ["me"]}, "rustc 1", "hither 1")
    assert told == {"name": "a", "version": "1.0.0", "authors": ["me"], "build": build}
