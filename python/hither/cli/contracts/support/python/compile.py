"""Compile one contract with nearc: compile.py CONTRACT OUTPUT [MODULE...]. Runs in the toolchain's own environment.

nearc's own command wants a project file and a container; its builder is what does the work. It looks for the contract's
other modules by itself, but nowhere below a folder that is called build or venv, so it is told which there are.
"""

import sys
from pathlib import Path

import nearc
from nearc.analyzer import find_imports, is_micropython_module
from nearc.builder import compile_contract
from nearc.manifest import ManifestGenerator


def find_missing(folder: Path, sources: list[Path], packages: Path) -> list[str]:
    """What is imported and would not be there in the contract, one line each."""
    told = []
    for source in sources:
        for name in sorted(find_imports(folder / source)):
            base = name.partition(".")[0]
            places = [
                folder / source.parent / base,
                folder / source.parent / f"{base}.py",
                folder / base,
                folder / f"{base}.py",
                packages / base,
                packages / f"{base}.py",
            ]
            if not is_micropython_module(base) and not any(place.exists() for place in places):
                told.append(f"{source}: no module named {name!r}, here or in MicroPython")
    return told


def main() -> int:
    """Leave with 0 if there is a wasm."""
    contract, output = (Path(path).resolve() for path in sys.argv[1:3])
    modules = [Path(path) for path in sys.argv[3:]]
    packages = Path(nearc.__file__).parents[1]
    missing = find_missing(contract.parent, [Path(contract.name), *modules], packages)
    if missing:
        print("\n".join(missing))
        return 1

    def list_modules(generator: ManifestGenerator) -> list[Path]:
        for module in modules:
            generator.imports |= find_imports(contract.parent / module)
        return modules

    ManifestGenerator.find_local_modules = list_modules
    is_made = compile_contract(contract, output, Path(sys.prefix), Path(nearc.__file__).parent)
    return 0 if is_made and output.exists() else 1


sys.exit(main())
