"""Our JSON-RPC server answers what the recorded node was asked as it did.

One test a group, in the order of recording. What is not compared stands in
``ANSWERS_NOT_COMPARED``, by method and JSON path.
"""

from collections import Counter

import pytest

from tests.vectors.answers import ANSWERS_NOT_COMPARED, get_excuse_optional
from tests.vectors.comparison import Difference
from tests.vectors.conftest import Progress
from tests.vectors.recording import CHAINS, RecordedChain

GROUPS = [(name, group) for name, folder in CHAINS.items() for group in RecordedChain(folder).group_names]


@pytest.mark.parametrize(("chain", "group"), GROUPS)
def test_group_is_answered_as_recorded(chains: dict[str, Progress], chain: str, group: str) -> None:
    chains[chain].run_until(group)
    asked = chains[chain].asked[group]
    found = [difference for one in asked for difference in one.differences]
    counts = Counter(one.line["t"] for one in asked)
    print(f"{chain} {group}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    assert not found, "\n".join(str(difference) for difference in found[:10])


def test_every_entry_of_the_table_is_needed(chains: dict[str, Progress]) -> None:
    """An excuse for what does not differ would hide a later difference."""
    used: set[str | None] = set()
    for progress in chains.values():
        progress.run_until()
        for asked in (one for group in progress.asked.values() for one in group):
            used |= {get_excuse_optional(difference) for difference in asked.excused}
    assert [pattern for pattern in ANSWERS_NOT_COMPARED if pattern not in used] == []


def test_only_what_the_table_names_is_excused() -> None:
    assert get_excuse_optional(Difference("status.result.uptime_sec", 1, 2)) is not None
    assert get_excuse_optional(Difference("status.result.chain_id", 1, 2)) is None
    assert get_excuse_optional(Difference("status HTTP status", 200, 500)) is None
    assert get_excuse_optional(Difference("query.result.error", "this", "that")) is None
