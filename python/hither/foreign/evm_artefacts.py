"""Contracts of EVM chains as their makers published them: interface and bytecode, from npm packages.

Set-up fetches the packages that ``evm_contracts.json`` names (and why) by version and integrity hash into the cache;
none is part of the product, as their licences differ. Here they are read, linked, and compared with what a chain has.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from hither.foreign.cache import find_cache
from hither.foreign.errors import EngineError

_ADDRESS_SIZE: Final = 20


@dataclass(frozen=True, slots=True)
class Artefact:
    """One contract.

    ``links`` says where in ``creation`` the addresses of libraries go; ``places`` are the parts of ``runtime`` that a
    deployment fills in: libraries, and immutable values. An interface has no code.
    """

    name: str
    abi: tuple[dict[str, Any], ...]
    creation: bytes
    links: Mapping[str, tuple[int, ...]]
    runtime: bytes
    places: tuple[tuple[int, int], ...]

    def link(self, libraries: Mapping[str, bytes] | None = None) -> bytes:
        """The creation code with its libraries' addresses. Raises ``EngineError`` when one is missing."""
        if not self.creation:
            raise EngineError(f"{self.name} is an interface; there is nothing to deploy")
        code = bytearray(self.creation)
        for library, offsets in self.links.items():
            address = (libraries or {}).get(library)
            if address is None:
                raise EngineError(f"{self.name} needs the address of the library {library}")
            for offset in offsets:
                code[offset : offset + _ADDRESS_SIZE] = address
        return bytes(code)

    def is_runtime(self, code: bytes) -> bool:
        """Whether this code on a chain is this contract's, whatever its libraries and immutable values are."""
        if not self.runtime:
            # The package tells the creation code alone, which ends with what it returns.
            return bool(code) and code in self.creation
        return len(code) == len(self.runtime) and self._blank(code) == self._blank(self.runtime)

    def _blank(self, code: bytes) -> bytes:
        blanked = bytearray(code)
        for offset, length in self.places:
            blanked[offset : offset + length] = bytes(length)
        return bytes(blanked)


def find_artefacts() -> Path:
    """The folder that set-up left in the cache. Raises ``EngineError``."""
    folder = find_cache() / "evm-contracts" / "current"
    if not (folder / "complete").exists():
        raise EngineError(
            f"the contracts of EVM chains are not in {folder}", hint="run `make setup`, which fetches them"
        )
    return folder


def read_artefact(package: str, contract: str) -> Artefact:
    """One contract of ``evm_contracts.json``, as in ``read_artefact("weth", "WETH9")``. Raises ``EngineError``."""
    return _read(find_artefacts().resolve(), package, contract)


@lru_cache(maxsize=128)
def _read(folder: Path, package: str, contract: str) -> Artefact:
    path = folder / package / f"{contract}.json"
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EngineError(f"evm_contracts.json names no {contract} of {package}") from None
    return Artefact(
        contract,
        tuple(fields["abi"]),
        bytes.fromhex(fields["creation"]),
        {library: tuple(offsets) for library, offsets in fields["links"].items()},
        bytes.fromhex(fields["runtime"]),
        tuple((offset, length) for offset, length in fields["places"]),
    )
