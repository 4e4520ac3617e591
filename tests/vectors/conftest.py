"""The recorded chains behind our server: each group is replayed and asked once for all tests."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hither.vm import Vm
from tests.vectors.answers import Asked, Conversation
from tests.vectors.comparison import Difference
from tests.vectors.coverage import Coverage
from tests.vectors.recorded_node import RecordedNode
from tests.vectors.recording import CHAINS, RecordedChain


@dataclass
class Progress:
    """A chain as far as it was asked for.

    ``found`` are differences of the replay by group, ``asked`` the requests and their answers. A
    group that differs stops everything after it.
    """

    node: RecordedNode
    found: dict[str, list[Difference]] = field(default_factory=dict)
    asked: dict[str, list[Asked]] = field(default_factory=dict)

    def run_until(self, name: str | None = None) -> None:
        """Replay and ask up to the end of a group, or of the chain."""
        chain = self.node.replay.chain
        for group_name in chain.group_names:
            if group_name not in self.found:
                assert not any(self.found.values()), f"an earlier group differs: {self.found}"
                group = chain.read_group(group_name)
                self.found[group_name] = self.node.run_group(group)
                if not self.found[group_name]:
                    coverage = self.get_coverage(group_name)
                    self.asked[group_name] = list(Conversation(self.node, group, coverage).run())
            if group_name == name:
                break

    def get_coverage(self, name: str) -> Coverage:
        """What of the group was compared."""
        return self.node.replay.coverage[name]


@pytest.fixture(scope="session")
def chains(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Progress]:
    """All recorded chains, not yet begun."""
    folder: Path = tmp_path_factory.mktemp("recorded")
    vm = Vm(str(folder / "compiled"))
    return {
        name: Progress(RecordedNode(RecordedChain(chain), vm, folder / name))
        for name, chain in CHAINS.items()
    }
