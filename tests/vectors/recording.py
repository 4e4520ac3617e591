"""Read a recorded chain: genesis, groups, and the lines of each group by kind.

The format is described in ``nearcore-84/README.md``.
"""

import base64
import gzip
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

RECORDINGS = Path(__file__).parent / "nearcore-84"

CHAINS = {
    "one-shard": RECORDINGS,
    "three-shards": RECORDINGS / "three-shards",
    "congestion": RECORDINGS / "congestion",
    "congestion-three-shards": RECORDINGS / "congestion-three-shards",
}
"""Each complete from its own genesis."""

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """One group's lines: all in the order of the file, and by kind."""

    name: str
    first_height: int
    last_height: int
    lines: dict[str, list[Line]] = field(default_factory=dict)
    ordered: list[Line] = field(default_factory=list)

    def get(self, kind: str) -> list[Line]:
        """All lines of a kind: group, send, case, rpc, tx_status, height, query."""
        return self.lines.get(kind, [])


class RecordedChain:
    """A folder of recordings. Groups are read when asked for and not kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index = json.loads((folder / "index.json").read_text())

    @property
    def group_names(self) -> list[str]:
        """In the order in which they were recorded, on one chain."""
        return [entry["group"] for entry in self._index["groups"]]

    @cached_property
    def genesis(self) -> Line:
        """``genesis.json`` as given to the node."""
        genesis: Line = msgspec.json.decode(gzip.decompress((self.folder / "genesis.json.gz").read_bytes()))
        return genesis

    def get_line_counts(self, name: str) -> dict[str, int]:
        """How many lines of each kind the index promises."""
        entry = next(entry for entry in self._index["groups"] if entry["group"] == name)
        counts: dict[str, int] = entry["lines"]
        return counts

    def read_group(self, name: str) -> Group:
        """Parse one group's file."""
        entry = next(entry for entry in self._index["groups"] if entry["group"] == name)
        group = Group(name, entry["first_height"], entry["last_height"])
        decode = msgspec.json.Decoder().decode
        for raw in gzip.decompress((self.folder / entry["file"]).read_bytes()).splitlines():
            line = decode(raw)
            group.lines.setdefault(line["t"], []).append(line)
            group.ordered.append(line)
        return group


def list_sent_transactions(group: Group) -> list[bytes]:
    """The bytes of everything that was sent as a transaction, also of what was refused or is none."""
    texts = [line["signed_tx_base64"] for line in group.get("send")]
    for line in group.get("rpc"):
        params = line["request"].get("params")
        if (
            line["request"].get("method") in ("send_tx", "broadcast_tx_async", "broadcast_tx_commit")
            and params
        ):
            texts += params.values() if isinstance(params, dict) else params
    return [base64.b64decode(text) for text in texts if isinstance(text, str) and _is_base64(text)]


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True
