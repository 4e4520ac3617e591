"""Compile one contract with nearc: compile.py CONTRACT OUTPUT. Runs in the toolchain's own environment.

nearc's own command wants a project file and a container; its builder is what does the work.
"""

import sys
from pathlib import Path

import nearc
from nearc.builder import compile_contract


def main() -> int:
    """Leave with 0 if there is a wasm."""
    contract, output = (Path(path).resolve() for path in sys.argv[1:3])
    is_made = compile_contract(contract, output, Path(sys.prefix), Path(nearc.__file__).parent)
    return 0 if is_made and output.exists() else 1


sys.exit(main())
