"""The near-abi of a contract in Rust, put together from what near-sdk tells of each ``impl`` block.

Form: near-abi 0.4 (https://github.com/near/abi), as cargo-near writes it. A contract that embeds it returns it from
``__contract_abi``, compressed by zstd.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

Json = dict[str, Any]
COMPRESSION_LEVEL: Final = 22  # What cargo-near takes; the text is short.


class InvalidChunks(ValueError):
    """What near-sdk tells cannot be put together."""


def combine(chunks: Iterable[Json], metadata: Json) -> Json:
    """One ABI of all chunks: functions by name, and the types that they mention. Raises ``InvalidChunks``."""
    entries = list(chunks)
    versions = sorted({entry["schema_version"] for entry in entries})
    if len(versions) != 1:
        raise InvalidChunks(f"the methods are told in near-abi {' and '.join(versions) or 'of no version'}")
    functions = sorted((one for entry in entries for one in entry["functions"]), key=lambda one: one["name"])
    roots = [entry["root_schema"] for entry in entries]
    # Every chunk's root is the same: a text, which stands for nothing. What is told are the definitions beside it.
    definitions = {name: schema for root in roots for name, schema in root.get("definitions", {}).items()}
    schema = {name: value for name, value in roots[0].items() if name != "definitions"}
    if definitions:
        schema["definitions"] = dict(sorted(definitions.items()))
    body = {"functions": functions, "root_schema": schema}
    return {"schema_version": versions[0], "metadata": metadata, "body": body}


def describe_package(package: Mapping[str, Any], compiler: str, builder: str) -> Json:
    """The metadata, from a manifest's ``[package]``. What a workspace would say instead of it is left out."""
    metadata: Json = {key: package[key] for key in ("name", "version") if isinstance(package.get(key), str)}
    authors = package.get("authors")
    if isinstance(authors, list) and authors:
        metadata["authors"] = authors
    return metadata | {"build": {"compiler": compiler, "builder": builder}}


def compress(abi: Json) -> bytes:
    """What the contract carries."""
    import zstandard  # Other languages do without.

    text = json.dumps(abi, separators=(",", ":"), ensure_ascii=False).encode()
    return zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(text)
