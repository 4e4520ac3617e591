"""Reads the recordings of NEAR's own node: genesis, heights, answers."""

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2] / "vectors" / "nearcore-84"


@cache
def read_genesis(chain: str = "") -> Any:
    """The genesis as given to the node."""
    with gzip.open(ROOT / chain / "genesis.json.gz") as file:
        return json.load(file)


def read_lines(chain: str = "") -> Iterator[Any]:
    """All lines of all groups in the order of recording."""
    for group in json.loads((ROOT / chain / "index.json").read_text())["groups"]:
        with gzip.open(ROOT / chain / group["file"], "rt") as file:
            for line in file:
                yield json.loads(line)


@cache
def read_heights(chain: str = "") -> list[Any]:
    """The lines of heights that have a block, in order."""
    return [line for line in read_lines(chain) if line["t"] == "height" and "block" in line]
