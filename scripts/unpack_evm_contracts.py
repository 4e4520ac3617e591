"""Fetch the npm packages of a table by name and version, check their hashes, and write their artefacts in one form.

Compilers of contracts write their results in four forms; ours is, for each contract, one JSON object::

    abi        the interface
    creation   code that makes the contract; library addresses are forty zeros
    links      library -> the offsets of its address in ``creation``
    runtime    code of the made contract, empty when the package does not tell it; immutable values are zeros
    places     [offset, length] of what a deployment fills into ``runtime``: libraries and immutable values

Usage: unpack_evm_contracts.py TABLE FOLDER
"""

import base64
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_PUSH_OF_ZEROS = re.compile(rb"\x7f(?=\0{32})")
_PERMIT2_BEGIN = bytes.fromhex("6040608081526004908136101561001557")
_PERMIT2_END = bytes.fromhex("a164736f6c6343000811000a")


def main() -> None:
    """Every package of the table."""
    table = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2])
    with ThreadPoolExecutor(4) as pool:
        for problem in pool.map(lambda item: fetch_package(*item, folder), table.items()):
            if problem is not None:
                sys.exit(f"setup: {problem}")


def fetch_package(name: str, row: dict[str, Any], folder: Path) -> str | None:
    """Write one package's artefacts; what is wrong, if anything is."""
    package = f"{row['package']}@{row['version']}"
    with tempfile.TemporaryDirectory() as work:
        done = subprocess.run(["npm", "pack", "--silent", package], cwd=work, capture_output=True, text=True)
        archives = list(Path(work).glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            return f"npm does not fetch {package}: {done.stderr.strip()}"
        digest = hashlib.sha512(archives[0].read_bytes()).digest()
        if base64.b64encode(digest).decode() != row["sha512"]:
            return f"{package} is not the package that was pinned"
        target = folder / name
        target.mkdir()
        wanted = {f"package/{path}": contract for contract, path in row["artefacts"].items()}
        with tarfile.open(archives[0]) as archive:
            for member in archive:
                contract = wanted.pop(member.name, None)
                file = archive.extractfile(member) if contract is not None else None
                if file is not None:
                    artefact = normalise(str(contract), file.read().decode())
                    (target / f"{contract}.json").write_text(json.dumps(artefact), encoding="utf-8")
        return f"{package} lacks {', '.join(wanted)}" if wanted else None


def normalise(contract: str, text: str) -> dict[str, Any]:
    """The one form."""
    if contract == "Multicall3":
        found = re.search(r"multicall3Bytecode\s*=\s*'0x([0-9a-f]+)'", text)
        assert found is not None, "viem names Multicall3's bytecode"
        return make([], found[1], {}, b"", {})
    artefact = json.loads(text)
    if contract == "Permit2":
        return make_permit2(artefact)
    creation, runtime = artefact.get("bytecode", ""), artefact.get("deployedBytecode", "")
    if "evm" in artefact:  # Solidity's own form.
        creation, runtime = artefact["evm"]["bytecode"], artefact["evm"]["deployedBytecode"]
    links = artefact.get("linkReferences", {})
    places = artefact.get("deployedLinkReferences", {})
    immutables = None
    if isinstance(creation, dict):  # Foundry's.
        links, places = creation["linkReferences"], runtime["linkReferences"]
        immutables = runtime.get("immutableReferences")
        creation, runtime = creation["object"], runtime["object"]
    return make(artefact["abi"], creation, links, read_code(runtime), places, immutables)


def make(
    abi: list[Any], creation: str, links: Any, runtime: bytes, runtime_links: Any, immutables: Any = None
) -> dict[str, Any]:
    """Put together; without a list of immutable values they are looked for as they are compiled."""
    places = [
        [place["start"], place["length"]]
        for libraries in runtime_links.values()
        for found in libraries.values()
        for place in found
    ]
    if immutables is None:
        places += [[match.start() + 1, 32] for match in _PUSH_OF_ZEROS.finditer(runtime)]
    else:
        places += [[place["start"], place["length"]] for found in immutables.values() for place in found]
    if runtime.startswith(b"\x73" + bytes(20)):  # A library begins with its own address.
        places.append([1, 20])
    return {
        "abi": abi,
        "creation": read_code(creation).hex(),
        "links": {
            library: [place["start"] for place in found]
            for libraries in links.values()
            for library, found in libraries.items()
        },
        "runtime": runtime.hex(),
        "places": sorted(places),
    }


def read_code(text: str) -> bytes:
    """Bytes, with zeros where a library's address goes."""
    return bytes.fromhex(re.sub(r"__.{38}", "0" * 40, text.removeprefix("0x")))


def make_permit2(deployer: dict[str, Any]) -> dict[str, Any]:
    """Permit2 as its package deploys it in tests: the code of Ethereum's own, inside another contract's.

    The creation code copies it: PUSH2 length, DUP1, PUSH1 10, PUSH0 (as RETURNDATASIZE), CODECOPY, RETURN.
    """
    code = read_code(deployer["bytecode"]["object"])
    begin = code.index(_PERMIT2_BEGIN)
    runtime = code[begin : code.index(_PERMIT2_END, begin) + len(_PERMIT2_END)]
    prefix = b"\x61" + len(runtime).to_bytes(2, "big") + bytes.fromhex("80600a3d393df3")
    return {
        "abi": [],
        "creation": (prefix + runtime).hex(),
        "links": {},
        "runtime": runtime.hex(),
        "places": [],
    }


if __name__ == "__main__":
    main()
