"""``hither contracts``: new, build and test contracts in Rust, C++, JavaScript (TypeScript) and Python.

``project`` knows a contract's folder, ``builders`` turns sources into wasm, ``toolchains/`` installs compilers from
packages, ``support/`` is what contracts are compiled with, ``templates/`` what new ones begin as.
"""

from hither.cli.contracts.command import command

__all__ = ["command"]
