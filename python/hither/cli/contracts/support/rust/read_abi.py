"""Print what a contract built for this machine tells of its methods: read_abi.py LIBRARY. Runs in a process of its own.

Built with near-sdk's feature ``__abi-generate``, a contract has functions ``__near_abi_…``; each returns the place and
the length of a JSON text, one of near-abi's chunks.
"""

import ctypes
import json
import re
import sys
from pathlib import Path


class Text(ctypes.Structure):
    """A pair in Rust."""

    _fields_ = [("address", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def main() -> int:
    """Print the chunks as one JSON array."""
    library = Path(sys.argv[1]).resolve()
    names = sorted({name.decode() for name in re.findall(rb"__near_abi_\w+", library.read_bytes())})
    loaded = ctypes.CDLL(str(library))
    chunks = []
    for name in names:
        if hasattr(loaded, name):
            function = getattr(loaded, name)
            function.restype = Text
            text = function()
            chunks.append(json.loads(ctypes.string_at(text.address, text.length)))
    print(json.dumps(chunks))
    return 0


sys.exit(main())
